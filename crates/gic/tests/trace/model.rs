//! A second controller, written from the specification's sentences and sharing no code with the
//! first: one record for each interrupt, and every question answered by looking at all of them.

use crate::action::{Action, CPUS, NR_IRQS};
use abide_gic::spec;

#[derive(Clone, Copy, Debug)]
struct Irq {
    group: usize,
    enabled: bool,
    latch: bool,
    line: bool,
    active: bool,
    edge: bool,
    priority: u8,
    target: u64,
}

impl Irq {
    fn pending(&self) -> bool {
        if self.edge { self.latch } else { self.latch || self.line }
    }
}

#[derive(Clone, Debug)]
struct Interface {
    pmr: u8,
    bpr: [u8; 2],
    common_bpr: bool,
    split_eoi: bool,
    /// Active preemption priorities of each group, lowest value first.
    active: [Vec<u8>; 2],
    enabled: [bool; 2],
}

#[derive(Clone, Debug)]
pub struct Model {
    forwards: bool,
    /// SGIs and PPIs of each CPU.
    private: Vec<Vec<Irq>>,
    /// Index 0 is INTID 32.
    shared: Vec<Irq>,
    cpus: Vec<Interface>,
    last: Vec<u64>,
}

const IDLE: u8 = 0xff;

impl Model {
    pub fn new() -> Self {
        let irq = Irq {
            group: 1,
            enabled: false,
            latch: false,
            line: false,
            active: false,
            edge: true,
            priority: 0,
            target: 0,
        };
        let private = (0..32).map(|n| Irq { enabled: n < 16, edge: n < 16, ..irq }).collect();
        let interface = Interface {
            pmr: 0,
            bpr: [2, 3],
            common_bpr: false,
            split_eoi: false,
            active: [Vec::new(), Vec::new()],
            enabled: [false; 2],
        };
        Self {
            forwards: false,
            private: vec![private; CPUS.len()],
            shared: vec![irq; NR_IRQS as usize - 32],
            cpus: vec![interface; CPUS.len()],
            last: vec![0; CPUS.len()],
        }
    }

    fn irq(&mut self, cpu: usize, intid: u32) -> Option<&mut Irq> {
        if intid < 32 {
            Some(&mut self.private[cpu][intid as usize])
        } else {
            self.shared.get_mut(intid as usize - 32)
        }
    }

    /// The lowest priority, then the lowest INTID, of what this CPU may be given.
    fn highest(&self, cpu: usize) -> Option<(u32, Irq)> {
        let own = self.private[cpu].iter().zip(0..).map(|(irq, intid)| (intid, *irq));
        let here = u64::from(CPUS[cpu].0);
        let shared = self.shared.iter().zip(32..).map(|(irq, intid)| (intid, *irq));
        own.chain(shared.filter(|(_, irq)| irq.target == here))
            .filter(|_| self.forwards)
            .filter(|(_, irq)| irq.pending() && irq.enabled && !irq.active)
            .filter(|(_, irq)| self.cpus[cpu].enabled[irq.group])
            .min_by_key(|(intid, irq)| (irq.priority, *intid))
    }

    fn running(&self, cpu: usize) -> u8 {
        self.cpus[cpu].active.iter().flatten().copied().min().unwrap_or(IDLE)
    }

    /// The group priority: BPR0 = n leaves bits 7 to n + 1, BPR1 = n bits 7 to n.
    fn group_priority(&self, cpu: usize, irq: &Irq) -> u8 {
        let interface = &self.cpus[cpu];
        let lowest_bit = if irq.group == 0 || interface.common_bpr {
            interface.bpr[0] + 1
        } else {
            interface.bpr[1]
        };
        (0..8).filter(|&bit| bit >= lowest_bit).map(|bit| irq.priority & (1 << bit)).sum()
    }

    fn taken(&self, cpu: usize) -> Option<(u32, Irq)> {
        self.highest(cpu).filter(|(_, irq)| {
            irq.priority < self.cpus[cpu].pmr && self.group_priority(cpu, irq) < self.running(cpu)
        })
    }

    /// IRQ and FIQ.
    pub fn outputs(&self, cpu: usize) -> (bool, bool) {
        match self.taken(cpu) {
            Some((_, irq)) => (irq.group == 1, irq.group == 0),
            None => (false, false),
        }
    }

    fn acknowledge(&mut self, cpu: usize, group: usize) -> u64 {
        let Some((intid, irq)) = self.taken(cpu).filter(|(_, irq)| irq.group == group) else {
            return 1023;
        };
        let priority = self.group_priority(cpu, &irq);
        if !self.cpus[cpu].active[group].contains(&priority) {
            self.cpus[cpu].active[group].push(priority);
        }
        let irq = self.irq(cpu, intid).unwrap();
        (irq.active, irq.latch) = (true, false);
        self.last[cpu] = intid.into();
        intid.into()
    }

    fn end(&mut self, cpu: usize, group: usize, value: u64) {
        let intid = u32::try_from(value % (1 << 24)).unwrap();
        if intid >= 1020 {
            return;
        }
        let running = self.running(cpu);
        // Of equal priorities in both groups, the one of group 1 ends first.
        for active in self.cpus[cpu].active.iter_mut().rev() {
            if let Some(place) = active.iter().position(|&priority| priority == running) {
                active.remove(place);
                break;
            }
        }
        let deactivates = !self.cpus[cpu].split_eoi;
        let irq = self.irq(cpu, intid).filter(|irq| deactivates && irq.group == group);
        if let Some(irq) = irq {
            irq.active = false;
        }
    }

    fn raise(&mut self, from: usize, value: u64, group0_only: bool) {
        let intid = (value >> 24 & 15) as usize;
        for (cpu, affinity) in CPUS.iter().map(|cpu| u64::from(cpu.0)).enumerate() {
            let cluster =
                (value >> 48 & 255) << 24 | (value >> 32 & 255) << 16 | (value >> 16 & 255) << 8;
            let listed = (0..16).any(|n| value >> n & 1 == 1 && cluster | n == affinity);
            let meant = if value >> 40 & 1 == 1 { cpu != from } else { listed };
            let irq = &mut self.private[cpu][intid];
            if meant && !(group0_only && irq.group == 1) {
                irq.latch = true;
            }
        }
    }

    fn set_active(&mut self, cpu: usize, group: usize, value: u64) {
        let levels = (0..32_u8).filter(|level| value >> level & 1 == 1);
        self.cpus[cpu].active[group] = levels.map(|level| level * 8).collect();
    }

    fn active(&self, cpu: usize, group: usize) -> u64 {
        self.cpus[cpu].active[group].iter().map(|priority| 1 << (priority / 8)).sum()
    }

    fn read_sysreg(&mut self, cpu: usize, encoding: u16) -> u64 {
        let named = |highest: Option<(u32, Irq)>, group| {
            highest.filter(|(_, irq)| irq.group == group).map_or(1023, |(intid, _)| intid.into())
        };
        let interface = &self.cpus[cpu];
        match encoding {
            spec::ICC_IAR0_EL1 => self.acknowledge(cpu, 0),
            spec::ICC_IAR1_EL1 => self.acknowledge(cpu, 1),
            spec::ICC_HPPIR0_EL1 => named(self.highest(cpu), 0),
            spec::ICC_HPPIR1_EL1 => named(self.highest(cpu), 1),
            spec::ICC_PMR_EL1 => interface.pmr.into(),
            spec::ICC_RPR_EL1 => self.running(cpu).into(),
            spec::ICC_BPR0_EL1 => interface.bpr[0].into(),
            spec::ICC_BPR1_EL1 if interface.common_bpr => (interface.bpr[0] + 1).min(7).into(),
            spec::ICC_BPR1_EL1 => interface.bpr[1].into(),
            spec::ICC_AP0R0_EL1 => self.active(cpu, 0),
            spec::ICC_AP1R0_EL1 => self.active(cpu, 1),
            spec::ICC_SRE_EL1 => 7,
            spec::ICC_CTLR_EL1 => {
                0x8400 + u64::from(interface.common_bpr) + 2 * u64::from(interface.split_eoi)
            }
            spec::ICC_IGRPEN0_EL1 => interface.enabled[0].into(),
            spec::ICC_IGRPEN1_EL1 => interface.enabled[1].into(),
            _ => u64::MAX,
        }
    }

    /// 1 where the write is UNDEFINED.
    fn write_sysreg(&mut self, cpu: usize, encoding: u16, value: u64) -> u64 {
        let three_bits = u8::try_from(value % 8).unwrap();
        let interface = &mut self.cpus[cpu];
        match encoding {
            spec::ICC_PMR_EL1 => interface.pmr = u8::try_from(value % 256).unwrap() / 8 * 8,
            spec::ICC_EOIR0_EL1 => self.end(cpu, 0, value),
            spec::ICC_EOIR1_EL1 => self.end(cpu, 1, value),
            spec::ICC_DIR_EL1 if interface.split_eoi => {
                let intid = u32::try_from(value % (1 << 24)).unwrap();
                if let Some(irq) = self.irq(cpu, intid) {
                    irq.active = false;
                }
            }
            spec::ICC_DIR_EL1 | spec::ICC_SRE_EL1 => {}
            spec::ICC_BPR0_EL1 => interface.bpr[0] = three_bits.max(2),
            spec::ICC_BPR1_EL1 if interface.common_bpr => {}
            spec::ICC_BPR1_EL1 => interface.bpr[1] = three_bits.max(3),
            spec::ICC_AP0R0_EL1 => self.set_active(cpu, 0, value),
            spec::ICC_AP1R0_EL1 => self.set_active(cpu, 1, value),
            spec::ICC_SGI1R_EL1 => self.raise(cpu, value, false),
            spec::ICC_SGI0R_EL1 | spec::ICC_ASGI1R_EL1 => self.raise(cpu, value, true),
            spec::ICC_CTLR_EL1 => {
                interface.common_bpr = value % 2 == 1;
                interface.split_eoi = value / 2 % 2 == 1;
            }
            spec::ICC_IGRPEN0_EL1 => interface.enabled[0] = value % 2 == 1,
            spec::ICC_IGRPEN1_EL1 => interface.enabled[1] = value % 2 == 1,
            _ => return 1,
        }
        0
    }

    fn write_bits(&mut self, cpu: usize, row: u32, word: u32, value: u32) {
        for place in 0..32 {
            let set = value >> place & 1 == 1;
            let Some(irq) = self.irq(cpu, word * 32 + place) else { return };
            match row {
                spec::GICD_IGROUPR => irq.group = usize::from(set),
                spec::GICD_ISENABLER => irq.enabled |= set,
                spec::GICD_ICENABLER => irq.enabled &= !set,
                spec::GICD_ISPENDR => irq.latch |= set,
                spec::GICD_ICPENDR => irq.latch &= !set,
                spec::GICD_ISACTIVER => irq.active |= set,
                spec::GICD_ICACTIVER => irq.active &= !set,
                _ => unreachable!("{row:#x}"),
            }
        }
    }

    fn read_bits(&mut self, cpu: usize, row: u32, word: u32) -> u64 {
        let mut read = 0;
        for place in 0..32 {
            let Some(irq) = self.irq(cpu, word * 32 + place) else { return 0 };
            let bit = match row {
                spec::GICD_IGROUPR => irq.group == 1,
                spec::GICD_ISENABLER | spec::GICD_ICENABLER => irq.enabled,
                spec::GICD_ISPENDR | spec::GICD_ICPENDR => irq.pending(),
                _ => irq.active,
            };
            read |= u64::from(bit) << place;
        }
        read
    }

    fn drive(&mut self, cpu: usize, intid: u32, level: bool) {
        if let Some(irq) = self.irq(cpu, intid) {
            irq.latch |= irq.edge && level && !irq.line;
            irq.line = level;
        }
    }

    pub fn apply(&mut self, action: &Action) -> u64 {
        match *action {
            Action::WriteBits { cpu, row, word, value } => self.write_bits(cpu, row, word, value),
            Action::ReadBits { cpu, row, word } => return self.read_bits(cpu, row, word),
            Action::WritePriority { cpu, intid, value } => {
                if let Some(irq) = self.irq(cpu, intid) {
                    irq.priority = value / 8 * 8;
                }
            }
            Action::ReadPriority { cpu, intid } => {
                return self.irq(cpu, intid).map_or(0, |irq| irq.priority.into());
            }
            Action::WriteConfig { word, value } if word >= 2 => {
                for place in 0..16 {
                    if let Some(irq) = self.irq(0, word * 16 + place) {
                        irq.edge = value >> (2 * place + 1) & 1 == 1;
                    }
                }
            }
            Action::ReadConfig { word } if word >= 2 => {
                let edge = |place| self.irq(0, word * 16 + place).is_some_and(|irq| irq.edge);
                let edges: Vec<bool> = (0..16).map(edge).collect();
                return edges.iter().rev().fold(0, |read, &edge| read * 4 + 2 * u64::from(edge));
            }
            Action::WriteRoute { intid, value } if intid >= 32 => {
                if let Some(irq) = self.irq(0, intid) {
                    irq.target = value % (1 << 24);
                }
            }
            Action::ReadRoute { intid } if intid >= 32 => {
                return self.irq(0, intid).map_or(0, |irq| irq.target);
            }
            Action::WriteCtlr { value } => self.forwards = value & 2 != 0,
            Action::ReadSysreg { cpu, encoding } => return self.read_sysreg(cpu, encoding),
            Action::WriteSysreg { cpu, encoding, value } => {
                return self.write_sysreg(cpu, encoding, value);
            }
            Action::End { cpu, group1 } => self.end(cpu, usize::from(group1), self.last[cpu]),
            Action::SetSpi { intid, level } if intid >= 32 => self.drive(0, intid, level),
            Action::SetPpi { cpu, intid, level } if (16..32).contains(&intid) => {
                self.drive(cpu, intid, level);
            }
            // No such register, or no such input.
            Action::WriteConfig { .. }
            | Action::ReadConfig { .. }
            | Action::WriteRoute { .. }
            | Action::ReadRoute { .. }
            | Action::SetSpi { .. }
            | Action::SetPpi { .. } => {}
        }
        0
    }
}
