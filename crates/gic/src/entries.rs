//! Canonical state to saved registers and back.

use crate::Affinity;
use crate::check::scope_of;
use crate::config::{GicConfig, IccIds, check_cpus, check_nr_irqs};
use crate::error::GicError;
use crate::frame::low_word;
use crate::layout::{self, BitField, Half, Key, Line};
use crate::spec::{
    ATTR_AFFINITY_SHIFT, GICD_CTLR_ARE, GICD_CTLR_DS, GICD_CTLR_ENABLE_GRP0, GICD_CTLR_ENABLE_GRP1,
    GICD_CTLR_NASSGIREQ, GICD_IROUTER_IRM, GICR_CTLR_ENABLE_LPIS, GICR_TYPER, GICR_TYPER_LAST,
    GICR_TYPER_NUMBER_SHIFT, GRP_CPU_SYSREGS, GRP_NR_IRQS, GRP_REDIST_REGS, ICC_AP0R0_EL1,
    ICC_AP1R0_EL1, ICC_BPR0_EL1, ICC_BPR1_EL1, ICC_CTLR_A3V, ICC_CTLR_CBPR, ICC_CTLR_EL1,
    ICC_CTLR_EOIMODE, ICC_CTLR_IDBITS_SHIFT, ICC_CTLR_PRIBITS_SHIFT, ICC_CTLR_SEIS,
    ICC_IGRPEN0_EL1, ICC_IGRPEN1_EL1, ICC_PMR_EL1, ICC_SRE_EL1, ICC_SRE_FIXED, PRIVATE_COUNT,
    priority_bits,
};
use crate::state::{CpuState, GicState, IccState, IrqState, Route, TyperFields};
use abide_reg::{Entry, Intake, IntakeError, RegId, Scope, Value};

/// Saved registers of each scope.
pub type Sections = Vec<(Scope, Vec<Entry>)>;

/// A state taken back from saved registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The state.
    pub state: GicState,
    /// Unknown static registers: to be saved again unchanged.
    pub carried: Sections,
    /// Unknown volatile registers: dropped, to be reported.
    pub dropped: Sections,
    /// Registers that were saved in a form that no CPU interface keeps: to be reported.
    pub normalised: Vec<Normalised>,
}

/// A register whose saved value is not the one that the state has, but means the same: kernels and
/// other programs save PMR, BPRs and the tables' registers of a vCPU that never ran as they were
/// written, and show them in the form of the hardware from the first run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalised {
    /// Whose.
    pub scope: Scope,
    /// The register.
    pub id: RegId,
    /// Its name in the specification.
    pub name: &'static str,
    /// The value saved.
    pub found: Value,
    /// The value that a controller holds, and shows, in its place.
    pub made: Value,
}

impl GicState {
    /// The saved form, scope by scope in the canonical order.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn to_entries(&self) -> Result<Sections, GicError> {
        self.check()?;
        let sections = layout::layout(self.nr_irqs, &self.affinities()).into_iter();
        Ok(sections
            .map(|(scope, lines)| {
                let entry = |line: &Line| Entry::of(&line.def, self.value(scope, line));
                (scope, lines.iter().map(entry).collect())
            })
            .collect())
    }

    /// Takes a saved state back. Every register must be there once, and hold what it can hold.
    ///
    /// # Errors
    /// [`GicError`], naming the register or the field.
    pub fn from_entries(sections: Sections) -> Result<Taken, GicError> {
        let (nr_irqs, cpus) = dimensions(&sections)?;
        let mut taken = Taken {
            state: Self::at_reset(&GicConfig::new(cpus.iter().copied(), nr_irqs))?,
            carried: Vec::new(),
            dropped: Vec::new(),
            normalised: Vec::new(),
        };
        let lines = layout::layout(nr_irqs, &cpus).into_iter();
        for ((scope, entries), (_, lines)) in sections.into_iter().zip(lines) {
            let refused = |source| GicError::Intake { scope, source };
            let mut intake = Intake::new(entries).map_err(refused)?;
            for Line { key, def } in lines {
                let value = intake.take(&def).map_err(refused)?;
                taken.state.set(scope, key, number(&value)).map_err(|allowed| {
                    refused(IntakeError::Value { id: def.id, found: value, allowed })
                })?;
            }
            let leftover = intake.finish().map_err(refused)?;
            taken.carried.push((scope, leftover.carried));
            taken.dropped.push((scope, leftover.dropped));
        }
        taken.carried.retain(|(_, entries)| !entries.is_empty());
        taken.dropped.retain(|(_, entries)| !entries.is_empty());
        let saved = taken.state.clone();
        taken.state.normalise();
        taken.state.check()?;
        if taken.state != saved {
            taken.normalised = saved.differing(&taken.state, nr_irqs, &cpus);
        }
        Ok(taken)
    }

    /// The registers in which `normal`, of the same dimensions, holds other values.
    fn differing(&self, normal: &Self, nr_irqs: u32, cpus: &[Affinity]) -> Vec<Normalised> {
        let mut differing = Vec::new();
        for (scope, lines) in layout::layout(nr_irqs, cpus) {
            for line in lines {
                let (found, made) = (self.value(scope, &line), normal.value(scope, &line));
                if found != made {
                    let Line { def, .. } = line;
                    differing.push(Normalised { scope, id: def.id, name: def.name, found, made });
                }
            }
        }
        differing
    }

    fn affinities(&self) -> Vec<Affinity> {
        self.cpus.iter().map(|cpu| cpu.affinity).collect()
    }

    fn value(&self, scope: Scope, Line { key, def }: &Line) -> Value {
        let number = self.get(scope, *key);
        let low = low_word(number);
        if def.width == 8 { Value::u64(number) } else { Value::u32(low) }
    }
}

/// The number in a value of 4 or 8 bytes; other widths were refused before.
fn number(value: &Value) -> u64 {
    value.to_u64().or_else(|| value.to_u32().map(u64::from)).unwrap_or(0)
}

/// How many INTIDs and which CPUs the registers are of: nothing else can be looked up before.
pub(crate) fn dimensions(sections: &Sections) -> Result<(u32, Vec<Affinity>), GicError> {
    let mut allowed = Scope::Vm;
    for (index, &(found, _)) in sections.iter().enumerate() {
        if found != allowed {
            return Err(GicError::Scope { found, allowed });
        }
        allowed = scope_of(index);
    }
    let Some(((_, vm), cpus)) = sections.split_first() else {
        return Err(GicError::ScopeMissing { scope: Scope::Vm });
    };
    let nr_irqs = RegId::gic(GRP_NR_IRQS, 0);
    let refused = |source| GicError::Intake { scope: Scope::Vm, source };
    let Some(entry) = vm.iter().find(|entry| entry.id == nr_irqs) else {
        return Err(refused(IntakeError::Missing { id: nr_irqs, name: "NR_IRQS" }));
    };
    let Some(nr_irqs_found) = entry.value.to_u32() else {
        let found = entry.value.width();
        return Err(refused(IntakeError::Width { id: nr_irqs, found, allowed: 4 }));
    };
    check_nr_irqs(nr_irqs_found)?;
    let cpus: Result<Vec<Affinity>, GicError> =
        (0..).zip(cpus).map(|(n, (scope, entries))| affinity_of(n, *scope, entries)).collect();
    let cpus = cpus?;
    check_cpus(&cpus)?;
    Ok((nr_irqs_found, cpus))
}

/// The affinity that the registers of vCPU `n` are named by: that of its first `GICR_TYPER`.
fn affinity_of(n: u32, scope: Scope, entries: &[Entry]) -> Result<Affinity, GicError> {
    // Affinity and offset of each register of the redistributor and the CPU interface.
    let named = || {
        entries.iter().filter_map(|entry| match entry.id {
            RegId::Gic { group: group @ (GRP_REDIST_REGS | GRP_CPU_SYSREGS), attr } => {
                let affinity = Affinity(u32::try_from(attr >> ATTR_AFFINITY_SHIFT).ok()?);
                Some((group, affinity, attr & u64::from(u32::MAX)))
            }
            _ => None,
        })
    };
    let is_typer = |&(group, _, offset): &(u32, Affinity, u64)| {
        group == GRP_REDIST_REGS && offset == u64::from(GICR_TYPER)
    };
    if let Some((_, affinity, _)) = named().find(is_typer) {
        return Ok(affinity);
    }
    // What is missing has the affinity of what is there, else the one that KVM gives vCPU n.
    let affinity = named().next().map_or(n & 0xf | n >> 4 << 8, |(_, affinity, _)| affinity.0);
    let attr = u64::from(affinity) << ATTR_AFFINITY_SHIFT | u64::from(GICR_TYPER);
    let id = RegId::gic(GRP_REDIST_REGS, attr);
    let source = IntakeError::Missing { id, name: "GICR_TYPER.low" };
    Err(GicError::Intake { scope, source })
}

// What each register holds of the state, and the way back. `set` answers which values are allowed
// where the one given is not. Contents that no register refuses are judged by `GicState::check`.

impl GicState {
    fn get(&self, scope: Scope, key: Key) -> u64 {
        match (scope, key) {
            (_, Key::NrIrqs) => self.nr_irqs.into(),
            (_, Key::GicdIidr) => self.iidr.into(),
            (_, Key::GicdTyper) => self.typer.into(),
            (_, Key::GicdTyper2) => self.typer2.into(),
            (_, Key::GicdCtlr) => self.dist.ctlr().into(),
            (_, Key::Propbaser(half)) => half_of(self.propbaser, half),
            (Scope::Vcpu(vcpu), key) => self.cpus.get(vcpu.index()).map_or(0, |cpu| {
                cpu.get(self.revision().map_or(0, |revision| revision.gicr_ctlr()), key)
            }),
            (_, key) => get_irqs(&self.dist.spis, PRIVATE_COUNT, key),
        }
    }

    fn set(&mut self, scope: Scope, key: Key, number: u64) -> Result<(), &'static str> {
        let word = low_word(number);
        match (scope, key) {
            // Its value has made this state.
            (_, Key::NrIrqs) => {}
            (_, Key::GicdIidr) => {
                self.iidr = word;
                self.revision().ok_or("0x4b00343b or 0x4b00243b (KVM's, revision 3 or 2)")?;
            }
            (_, Key::GicdTyper) => self.typer = word,
            (_, Key::GicdTyper2) => self.typer2 = word,
            (_, Key::GicdCtlr) => self.dist.set_ctlr(word)?,
            (_, Key::Propbaser(half)) => set_half(&mut self.propbaser, half, word),
            (Scope::Vcpu(vcpu), key) => {
                let ids = self.revision().map_or(0, |revision| revision.gicr_ctlr());
                let cpu = self.cpus.get_mut(vcpu.index()).ok_or("a vCPU that exists")?;
                cpu.set(ids, key, number)?;
            }
            (_, key) => set_irqs(&mut self.dist.spis, PRIVATE_COUNT, key, word)?,
        }
        Ok(())
    }
}

fn half_of(register: u64, half: Half) -> u64 {
    register >> half.shift() & u64::from(u32::MAX)
}

fn set_half(register: &mut u64, half: Half, word: u32) {
    *register &= !(u64::from(u32::MAX) << half.shift());
    *register |= u64::from(word) << half.shift();
}

/// `value` with `bits` where `condition` holds.
fn flag(condition: bool, bits: u32) -> u32 {
    if condition { bits } else { 0 }
}

impl crate::state::DistState {
    fn ctlr(&self) -> u32 {
        flag(self.enable_grp0, GICD_CTLR_ENABLE_GRP0)
            | flag(self.enable_grp1, GICD_CTLR_ENABLE_GRP1)
            | flag(self.are, GICD_CTLR_ARE)
            | flag(self.ds, GICD_CTLR_DS)
            | flag(self.nassgireq, GICD_CTLR_NASSGIREQ)
    }

    fn set_ctlr(&mut self, word: u32) -> Result<(), &'static str> {
        self.enable_grp0 = word & GICD_CTLR_ENABLE_GRP0 != 0;
        self.enable_grp1 = word & GICD_CTLR_ENABLE_GRP1 != 0;
        self.are = word & GICD_CTLR_ARE != 0;
        self.ds = word & GICD_CTLR_DS != 0;
        self.nassgireq = word & GICD_CTLR_NASSGIREQ != 0;
        if self.ctlr() == word { Ok(()) } else { Err("0x50 or 0x52 (DS, ARE, EnableGrp1)") }
    }
}

impl CpuState {
    fn get(&self, ctlr_ids: u32, key: Key) -> u64 {
        match key {
            Key::GicrIidr => self.iidr.into(),
            Key::GicrTyper(half) => half_of(self.typer(), half),
            Key::GicrCtlr => (ctlr_ids | flag(self.enable_lpis, GICR_CTLR_ENABLE_LPIS)).into(),
            Key::Pendbaser(half) => half_of(self.pendbaser, half),
            Key::Icc(encoding) => self.icc.get(encoding),
            key => get_irqs(&self.private, 0, key),
        }
    }

    fn set(&mut self, ctlr_ids: u32, key: Key, number: u64) -> Result<(), &'static str> {
        let word = low_word(number);
        match key {
            Key::GicrIidr => self.iidr = word,
            Key::GicrTyper(half) => {
                let mut typer = self.typer();
                set_half(&mut typer, half, word);
                let fields = TyperFields::of(typer);
                self.processor_number = fields.processor_number;
                self.last = fields.last;
                if self.typer() != typer {
                    return Err("affinity, number of the vCPU and Last; no LPIs");
                }
            }
            Key::GicrCtlr => {
                self.enable_lpis = word & GICR_CTLR_ENABLE_LPIS != 0;
                if word & !GICR_CTLR_ENABLE_LPIS != ctlr_ids {
                    return Err("6 with GICD_IIDR revision 3, 0 with revision 2");
                }
            }
            Key::Pendbaser(half) => set_half(&mut self.pendbaser, half, word),
            Key::Icc(encoding) => self.icc.set(encoding, number)?,
            key => set_irqs(&mut self.private, 0, key, word)?,
        }
        Ok(())
    }

    fn typer(&self) -> u64 {
        u64::from(self.affinity.0) << 32
            | u64::from(self.processor_number) << GICR_TYPER_NUMBER_SHIFT
            | u64::from(flag(self.last, GICR_TYPER_LAST))
    }
}

impl IccState {
    fn get(&self, encoding: u16) -> u64 {
        match encoding {
            ICC_SRE_EL1 => ICC_SRE_FIXED,
            ICC_CTLR_EL1 => self.ctlr(),
            ICC_PMR_EL1 => self.pmr.into(),
            ICC_BPR0_EL1 => self.bpr0.into(),
            ICC_BPR1_EL1 => self.bpr1.into(),
            ICC_IGRPEN0_EL1 => self.igrpen0.into(),
            ICC_IGRPEN1_EL1 => self.igrpen1.into(),
            ICC_AP0R0_EL1 => self.ap0r[0].into(),
            ICC_AP1R0_EL1 => self.ap1r[0].into(),
            _ => 0,
        }
    }

    fn set(&mut self, encoding: u16, number: u64) -> Result<(), &'static str> {
        const BYTE: &str = "0 to 0xff";
        const WORD: &str = "0 to 0xffffffff";
        const BIT: &str = "0 or 1";
        let byte = u8::try_from(number).map_err(|_| BYTE);
        let word = u32::try_from(number).map_err(|_| WORD);
        let bit = if number > 1 { Err(BIT) } else { Ok(number == 1) };
        match encoding {
            ICC_SRE_EL1 if number == ICC_SRE_FIXED => {}
            ICC_SRE_EL1 => return Err("7 (DIB, DFB, SRE)"),
            ICC_CTLR_EL1 => self.set_ctlr(number)?,
            ICC_PMR_EL1 => self.pmr = byte?,
            ICC_BPR0_EL1 => self.bpr0 = byte?,
            ICC_BPR1_EL1 => self.bpr1 = byte?,
            ICC_IGRPEN0_EL1 => self.igrpen0 = bit?,
            ICC_IGRPEN1_EL1 => self.igrpen1 = bit?,
            ICC_AP0R0_EL1 => self.ap0r[0] = word?,
            ICC_AP1R0_EL1 => self.ap1r[0] = word?,
            _ => return Err("a register of the CPU interface"),
        }
        Ok(())
    }

    fn ids(&self) -> IccIds {
        IccIds { id_bits: self.id_bits, seis: self.seis, a3v: self.a3v }
    }

    /// `ICC_CTLR_EL1` without what tells its number of priority bits.
    fn ctlr(&self) -> u64 {
        self.ids().ctlr_bits() & !(7 << ICC_CTLR_PRIBITS_SHIFT)
            | (u64::from(self.pri_bits).wrapping_sub(1) & 7) << ICC_CTLR_PRIBITS_SHIFT
            | if self.cbpr { ICC_CTLR_CBPR } else { 0 }
            | if self.eoi_mode { ICC_CTLR_EOIMODE } else { 0 }
    }

    fn set_ctlr(&mut self, number: u64) -> Result<(), &'static str> {
        self.pri_bits = priority_bits(number);
        self.id_bits = (number >> ICC_CTLR_IDBITS_SHIFT & 7) as u8;
        self.seis = number & ICC_CTLR_SEIS != 0;
        self.a3v = number & ICC_CTLR_A3V != 0;
        self.cbpr = number & ICC_CTLR_CBPR != 0;
        self.eoi_mode = number & ICC_CTLR_EOIMODE != 0;
        if self.ctlr() == number {
            Ok(())
        } else {
            Err("CBPR, EOImode, PRIbits, IDbits, SEIS and A3V alone")
        }
    }
}

/// The content of a row's register; `first` is the INTID of the first of `irqs`.
fn get_irqs(irqs: &[IrqState], first: u32, key: Key) -> u64 {
    let gather = |from: u32, count: u32, of: &dyn Fn(&IrqState) -> u64| -> u64 {
        let start = from.saturating_sub(first) as usize;
        let irqs = irqs.get(start..).unwrap_or_default().iter().take(count as usize);
        let width = 32 / count;
        irqs.rev().fold(0, |register, irq| register << width | of(irq))
    };
    match key {
        Key::Bits(field, word) => gather(word * 32, 32, &|irq| u64::from(irq.bit(field))),
        Key::Config(n) => gather(n * 16, 16, &|irq| u64::from(irq.edge) << 1),
        Key::Priority(n) => gather(n * 4, 4, &|irq| irq.priority.into()),
        Key::Route(intid) => gather(intid, 1, &|irq| match irq.route {
            Route::Affinity(affinity) => affinity.0.into(),
            Route::OneOfN(affinity) => u64::from(affinity.0 | GICD_IROUTER_IRM),
            Route::Private | Route::Targets(_) => 0,
        }),
        _ => 0,
    }
}

/// Puts a row's register into its interrupts.
fn set_irqs(irqs: &mut [IrqState], first: u32, key: Key, word: u32) -> Result<(), &'static str> {
    let (from, count) = match key {
        Key::Bits(_, word) => (word * 32, 32),
        Key::Config(n) => (n * 16, 16),
        Key::Priority(n) => (n * 4, 4),
        Key::Route(intid) => (intid, 1),
        _ => return Err("a register of the state"),
    };
    let start = from.saturating_sub(first) as usize;
    let width = 32 / count;
    let irqs = irqs.iter_mut().skip(start).take(count as usize);
    for (place, irq) in (0_u32..).zip(irqs) {
        let part = word >> (place * width);
        match key {
            Key::Bits(field, _) => irq.set_bit(field, part & 1 != 0),
            Key::Config(_) if part & 1 != 0 => return Err("0 in the low bit of each field"),
            Key::Config(_) => irq.edge = part & 2 != 0,
            Key::Priority(_) => irq.priority = (part & 0xff) as u8,
            _ if part & GICD_IROUTER_IRM != 0 => {
                irq.route = Route::OneOfN(Affinity(part & !GICD_IROUTER_IRM));
            }
            _ => irq.route = Route::Affinity(Affinity(part)),
        }
    }
    Ok(())
}

impl IrqState {
    fn bit(&self, field: BitField) -> bool {
        match field {
            BitField::Group => self.group1,
            BitField::Enabled => self.enabled,
            BitField::Latch => self.latch,
            BitField::Active => self.active,
            BitField::Line => self.line == Some(true),
        }
    }

    fn set_bit(&mut self, field: BitField, value: bool) {
        match field {
            BitField::Group => self.group1 = value,
            BitField::Enabled => self.enabled = value,
            BitField::Latch => self.latch = value,
            BitField::Active => self.active = value,
            BitField::Line => self.line = Some(value),
        }
    }
}
