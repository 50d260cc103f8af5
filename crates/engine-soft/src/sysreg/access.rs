//! What reading and writing system registers does, beyond the table.

use super::table::{Def, Kind, Slot, Who, find};
use crate::cpu::{Cpu, Env, Exit, Flow, esr};
use crate::exec;
use crate::mmu::sctlr;
use crate::timer::Timer;
use abide_arm64::SysReg;

/// Blocks of 64 bytes for DC ZVA `[DDI0487 D24.2 DCZID_EL0]`.
const DCZID: u64 = 4;
/// DCZID_EL0: DC ZVA is not allowed here.
const DCZID_DZP: u64 = 1 << 4;

/// What MRS or MSR of `word` has to do first at EL0.
fn trapped_at_el0(cpu: &Cpu, slot: Slot) -> bool {
    let sctlr = cpu.sys(Slot::SctlrEl1);
    let cntkctl = cpu.sys(Slot::CntkctlEl1);
    match slot {
        Slot::CtrEl0 => sctlr & sctlr::UCT == 0,
        Slot::Daif => sctlr & sctlr::UMA == 0,
        Slot::Cntfrq => cntkctl & 3 == 0,
        Slot::Cntpct => cntkctl & 1 == 0,
        Slot::Cntvct => cntkctl & 2 == 0,
        Slot::CntvCtlEl0 | Slot::CntvCvalEl0 | Slot::CntvTval => cntkctl >> 8 & 1 == 0,
        Slot::CntpCtlEl0 | Slot::CntpCvalEl0 | Slot::CntpTval => cntkctl >> 9 & 1 == 0,
        _ => false,
    }
}

/// The syndrome of a trapped MRS, MSR or SYS instruction `[DDI0487 D24.2 ESR_EL1]`.
pub(crate) fn trap_syndrome(word: u32) -> u64 {
    let reg = u64::from(word >> 5 & 0xffff);
    let [op0, op1, crn, crm, op2] =
        [(14, 3), (11, 7), (7, 15), (3, 15), (0, 7)].map(|(shift, mask)| reg >> shift & mask);
    let read = u64::from(word >> 21 & 1);
    let rt = u64::from(word & 31);
    esr::SYSREG | op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | rt << 5 | crm << 1 | read
}

/// Which timer a register belongs to.
const fn timer_of(slot: Slot) -> Timer {
    match slot {
        Slot::CntpCtlEl0 | Slot::CntpCvalEl0 | Slot::CntpTval | Slot::Cntpct => Timer::Physical,
        _ => Timer::Virtual,
    }
}

/// Breakpoint and watchpoint registers beyond what ID_AA64DFR0_EL1 offers are not there.
fn absent_debug_register(cpu: &Cpu, reg: SysReg) -> bool {
    // op0 2, op1 0, CRn 0, op2 4 to 7: number in CRm.
    if reg.0 & 0xff84 != 0x8004 {
        return false;
    }
    let watchpoint = reg.0 >> 1 & 1 == 1;
    u64::from(reg.0 >> 3 & 15) >= cpu.ids.debug_registers(watchpoint)
}

impl Cpu {
    /// The register, if the current exception level may access it, or the exception to take.
    fn reachable(&mut self, word: u32, who: fn(&Def) -> Who) -> Result<&'static Def, Flow> {
        let reg = SysReg::from_instruction(word);
        let Some(def) = find(reg) else { return Err(self.undefined()) };
        let allowed = match who(def) {
            Who::Never => false,
            Who::El1 => self.el == 1,
            Who::El0 => true,
        };
        if !allowed || absent_debug_register(self, reg) {
            return Err(self.undefined());
        }
        if self.el == 0 && trapped_at_el0(self, def.slot) {
            return Err(self.raise(trap_syndrome(word)));
        }
        if matches!(def.slot, Slot::Fpcr | Slot::Fpsr) {
            exec::check_simd(self)?;
        }
        Ok(def)
    }

    /// MRS.
    pub(crate) fn read_system_register(&mut self, env: &Env, word: u32) -> Result<u64, Flow> {
        let reg = SysReg::from_instruction(word);
        if find(reg).is_none() {
            return self.read_foreign(env, reg);
        }
        let def = self.reachable(word, |def| def.read)?;
        Ok(match (def.kind, def.slot) {
            (Kind::Id, slot) => self.ids.get(slot),
            (Kind::Plain, slot) => self.sys(slot),
            (_, Slot::MpidrEl1) => self.mpidr,
            (_, slot @ (Slot::CntvCtlEl0 | Slot::CntpCtlEl0)) => {
                let timer = timer_of(slot);
                let count = self.count(env, timer);
                self.timer_ctl(timer, count)
            }
            (Kind::Custom, slot) => self.sys(slot),
            (_, slot) => self.read_alias(env, slot),
        })
    }

    /// A timer's count, after the clock was told how far execution is.
    fn count(&mut self, env: &Env, timer: Timer) -> u64 {
        self.tell_clock(env);
        timer.count(env.shared, env.clock)
    }

    fn read_alias(&mut self, env: &Env, slot: Slot) -> u64 {
        match slot {
            Slot::Cntfrq => env.shared.cntfrq_hz,
            Slot::Cntpct | Slot::Cntvct => self.count(env, timer_of(slot)),
            Slot::CntvTval | Slot::CntpTval => {
                let timer = timer_of(slot);
                let count = self.count(env, timer);
                self.timer_tval(timer, count)
            }
            Slot::SpEl0 => *self.banked_sp(false),
            Slot::SpSel => u64::from(self.sp_sel),
            Slot::CurrentEl => u64::from(self.el) << 2,
            Slot::Nzcv => self.nzcv(),
            Slot::Daif => self.daif,
            Slot::Fpcr => self.fpcr.into(),
            Slot::Fpsr => self.fpsr.into(),
            Slot::IsrEl1 => {
                u64::from(env.lines.fiq()) << 6
                    | u64::from(env.lines.irq()) << 7
                    | u64::from(self.serror.is_some()) << 8
            }
            Slot::DczidEl0 => {
                let open = self.el == 1 || self.sys(Slot::SctlrEl1) & sctlr::DZE != 0;
                DCZID | if open { 0 } else { DCZID_DZP }
            }
            // UNKNOWN for what selects no cache.
            Slot::CcsidrEl1 => {
                let selector = usize::try_from(self.sys(Slot::CsselrEl1)).ok();
                selector.and_then(|n| self.ccsidr.get(n).copied()).unwrap_or(0).into()
            }
            // Debug registers that hold nothing here.
            _ => 0,
        }
    }

    /// A register that is not the CPU's: the machine's, a reserved ID register, or nobody's.
    fn read_foreign(&mut self, env: &Env, reg: SysReg) -> Result<u64, Flow> {
        // op0 3, op1 0, CRn 0, CRm 1 to 7: reserved ID registers read as 0 [DDI0487 D23.3.1].
        let reserved_id = reg.0 & 0xffc0 == 0xc000 && reg.0 & 0x38 != 0;
        if self.el == 1 && reserved_id {
            return Ok(0);
        }
        if self.el == 1 {
            self.reach_outside(env);
            if let Some(value) = env.bus.sysreg_read(env.id, reg) {
                return Ok(value);
            }
        }
        self.name_register(env, reg, "read");
        Err(self.undefined())
    }

    fn name_register(&self, env: &Env, reg: SysReg, access: &'static str) {
        if env.shared.warn_once(u64::from(reg.0) | 1 << 32) {
            let pc = self.current_pc();
            tracing::warn!(%reg, access, el = self.el, pc = %format_args!("{pc:#x}"),
                "system register is not implemented: UNDEFINED to the guest");
        }
    }

    /// MSR (register).
    pub(crate) fn write_system_register(&mut self, env: &Env, word: u32, value: u64) -> Flow {
        let reg = SysReg::from_instruction(word);
        if find(reg).is_none() {
            if self.el == 1 {
                self.reach_outside(env);
                if env.bus.sysreg_write(env.id, reg, value).is_some() {
                    return Flow::Next;
                }
            }
            self.name_register(env, reg, "write");
            return self.undefined();
        }
        let def = match self.reachable(word, |def| def.write) {
            Ok(def) => def,
            Err(flow) => return flow,
        };
        if def.kind == Kind::Custom && self.ids.uses_unimplemented(def.slot, value) {
            self.name_register(env, reg, "use of what is only advertised");
            return self.undefined();
        }
        match def.kind {
            Kind::Plain => {
                self.set_sys(def.slot, value);
                if def.slot == Slot::CpacrEl1 {
                    self.find_simd();
                }
                Flow::Next
            }
            Kind::Custom => self.write_custom(def, value),
            _ => self.write_alias(env, def.slot, value),
        }
    }

    /// AHP, DN, FZ, RMode, and FZ16 where FP16 is: exceptions are not trapped, the rest is RES0.
    fn fpcr_mask(&self) -> u32 {
        const FZ16: u32 = 1 << 19;
        0x07c0_0000 | if self.ids.has_fp16() { FZ16 } else { 0 }
    }

    /// Goes on behind the current instruction with nothing of the old translation left.
    fn next_fetch(&mut self) -> Flow {
        let pc = self.current_pc();
        self.leave_to(pc.wrapping_add(4));
        Flow::Refetch
    }

    /// Leaves the loop behind the current instruction: interrupts or deadlines changed.
    fn next_slice(&mut self) -> Flow {
        let pc = self.current_pc();
        self.leave_to(pc.wrapping_add(4));
        Flow::Leave(Exit::Slice)
    }

    fn write_custom(&mut self, def: &Def, value: u64) -> Flow {
        let old = self.sys(def.slot);
        match def.slot {
            Slot::SctlrEl1 => {
                // Big-endian data is not implemented.
                self.set_sys(def.slot, value & !(sctlr::EE | sctlr::E0E));
                self.flush_tlb();
            }
            Slot::TcrEl1 | Slot::MairEl1 => {
                self.set_sys(def.slot, value);
                self.flush_tlb();
            }
            Slot::Ttbr0El1 | Slot::Ttbr1El1 => {
                self.set_sys(def.slot, value);
                if old == value {
                    return Flow::Next;
                }
                let asid_only = (old ^ value) & 0x0000_ffff_ffff_ffff == 0;
                if def.slot == Slot::Ttbr0El1 || asid_only {
                    self.tlb.flush_low();
                    self.flush_fetch_tlb();
                } else {
                    self.flush_tlb();
                }
            }
            Slot::CntvCtlEl0 | Slot::CntpCtlEl0 | Slot::CntvCvalEl0 | Slot::CntpCvalEl0 => {
                self.set_sys(def.slot, value & def.mask);
                return self.next_slice();
            }
            // Another loop may have to execute what follows.
            Slot::MdscrEl1 | Slot::OsdlrEl1 => {
                self.set_sys(def.slot, value & def.mask);
                return if old == value { Flow::Next } else { self.next_slice() };
            }
            slot => {
                self.set_sys(slot, value & def.mask);
                return Flow::Next;
            }
        }
        self.next_fetch()
    }

    fn write_alias(&mut self, env: &Env, slot: Slot, value: u64) -> Flow {
        match slot {
            Slot::CntvTval | Slot::CntpTval => {
                let timer = timer_of(slot);
                let count = self.count(env, timer);
                self.set_timer_tval(timer, count, value);
                return self.next_slice();
            }
            Slot::SpEl0 => *self.banked_sp(false) = value,
            Slot::SpSel => self.set_mode(self.el, value & 1 == 1),
            Slot::Nzcv => self.set_nzcv(value),
            Slot::Daif => {
                self.daif = value & 0x3c0;
                return self.next_slice();
            }
            Slot::Fpcr => self.fpcr = (value & 0x07c8_0000) as u32 & self.fpcr_mask(),
            // QC and the cumulative exceptions. N, Z, C and V are those of AArch32, which nothing
            // here has: RES0 [DDI0487 C5.2.9].
            Slot::Fpsr => self.fpsr = (value & 0x0800_009f) as u32,
            Slot::OslarEl1 => {
                self.set_sys(Slot::OslsrEl1, 8 | (value & 1) << 1);
                return self.next_slice();
            }
            // CNTFRQ is the machine's; debug registers that hold nothing.
            _ => {}
        }
        Flow::Next
    }
}
