//! Which ID registers each vCPU of a VM shows.
//!
//! One set is the VM's: that of vCPU 0. Another vCPU may show its own value in a register, as the
//! clusters of one chip do. What vCPUs use together must look the same to all of them: the caches
//! of decoded instructions, the translation tables, the interrupt controller.

use crate::cpu_model::{CpuModel, IdSpace, done, permitted, permitted_or_shown};
use crate::sysreg::{Kind, Slot, TABLE};
use abide_arm64::kvm;
use abide_engine::Unimplemented;
use abide_reg::{RegError, Value, VcpuId};
use std::sync::Arc;

/// The ID registers of a VM's vCPUs.
#[derive(Debug)]
pub(crate) struct Identities {
    /// What each vCPU shows.
    shown: Vec<Arc<IdSpace>>,
    /// In which registers a vCPU does not follow the VM.
    own: Vec<Vec<Slot>>,
    /// Whether vCPUs may show what the engine does not do.
    pub shows_unimplemented: bool,
}

impl Identities {
    /// All of `vcpu_count` vCPUs like `model`.
    pub fn all(model: &CpuModel, vcpu_count: usize) -> Self {
        let ids = Arc::new(IdSpace::of(model));
        let own = vec![Vec::new(); vcpu_count];
        Self { shown: vec![ids; vcpu_count], own, shows_unimplemented: false }
    }

    /// A vCPU like each of `models`, in their order.
    pub fn each(models: &[&CpuModel]) -> Result<Self, RegError> {
        let first = models.first().copied().unwrap_or(&crate::cpu_model::INT);
        let mut identities = Self::all(first, models.len());
        for (vcpu, model) in models.iter().enumerate().skip(1) {
            let ids = IdSpace::of(model);
            for def in TABLE.iter().filter(|def| def.kind == Kind::Id) {
                let value = ids.get(def.slot);
                identities.set(vcpu, def.slot, value).map_err(|allowed| RegError::Refused {
                    id: kvm::sysreg(def.reg),
                    found: Value::u64(value),
                    allowed,
                })?;
            }
        }
        Ok(identities)
    }

    /// What vCPU number `vcpu` shows.
    pub fn of(&self, vcpu: usize) -> &Arc<IdSpace> {
        &self.shown[vcpu]
    }

    /// The registers in which a vCPU shows what the engine does not do: the VM's under vCPU 0, and
    /// under another that vCPU's own.
    pub fn unimplemented(&self) -> Vec<Unimplemented> {
        let mut found = Vec::new();
        for (number, ids) in (0..).zip(&self.shown) {
            for def in TABLE.iter().filter(|def| def.kind == Kind::Id) {
                let is_own = number == 0 || self.own[number as usize].contains(&def.slot);
                let shown = ids.get(def.slot);
                let done = done(def.slot, shown);
                if is_own && shown != done {
                    found.push(Unimplemented {
                        vcpu: VcpuId(number),
                        id: kvm::sysreg(def.reg),
                        shown: Value::u64(shown),
                        done: Value::u64(done),
                    });
                }
            }
        }
        found
    }

    /// Gives a register a value: the VM's through vCPU 0, and through another that vCPU's own. Of a
    /// register that is each vCPU's there is no VM's: vCPUs are restored in any order.
    /// `Err` says what is allowed.
    pub fn set(&mut self, vcpu: usize, slot: Slot, value: u64) -> Result<(), &'static str> {
        if self.shown[vcpu].get(slot) == value {
            return Ok(());
        }
        if self.shows_unimplemented {
            permitted_or_shown(slot, value)?;
        } else {
            permitted(slot, value)?;
        }
        let is_vms = !is_each_vcpus(slot);
        let follows: Vec<usize> = if vcpu == 0 && is_vms {
            (0..self.shown.len()).filter(|&other| !self.own[other].contains(&slot)).collect()
        } else {
            vec![vcpu]
        };
        let stay = (0..self.shown.len()).filter(|other| !follows.contains(other));
        for other in stay {
            together(slot, self.shown[other].get(slot), value)?;
        }
        if vcpu != 0 && is_vms {
            let own = &mut self.own[vcpu];
            own.retain(|&other| other != slot);
            if self.shown[0].get(slot) != value {
                own.push(slot);
            }
        }
        for vcpu in follows {
            Arc::make_mut(&mut self.shown[vcpu]).set(slot, value);
        }
        Ok(())
    }
}

/// Whether there is no value of the VM's of a register: what [`kvm::is_vm_scoped`] says.
fn is_each_vcpus(slot: Slot) -> bool {
    slot == Slot::ClidrEl1
}

/// Whether two vCPUs of one VM may show these values; else what is allowed.
fn together(slot: Slot, one: u64, other: u64) -> Result<(), &'static str> {
    const GIC: u64 = 0xf << 24;
    const IMIN_LINE: u64 = 0xf;
    let (same, allowed) = match slot {
        Slot::IdAa64Pfr0 => {
            (GIC, "GIC as the other vCPUs show it: they share an interrupt controller")
        }
        // An IC IVAU on one vCPU makes all forget a line of code, of one length.
        Slot::CtrEl0 => {
            (IMIN_LINE, "IminLine as the other vCPUs show it: IC IVAU is for all of them")
        }
        Slot::IdAa64Mmfr0
        | Slot::IdAa64Mmfr1
        | Slot::IdAa64Mmfr2
        | Slot::IdAa64Mmfr3
        | Slot::IdAa64Mmfr4 => (u64::MAX, "as the other vCPUs: they share translation tables"),
        _ => (0, ""),
    };
    if (one ^ other) & same == 0 { Ok(()) } else { Err(allowed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu_model::{INT, MODELS, N1_LIKE, PORTABLE, V8_0};

    #[test]
    fn models_go_together() {
        for one in MODELS {
            for other in MODELS {
                let pair = Identities::each(&[one, other]).unwrap();
                for def in TABLE.iter().filter(|def| def.kind == Kind::Id) {
                    for (vcpu, model) in [one, other].into_iter().enumerate() {
                        let expected = IdSpace::of(model).get(def.slot);
                        assert_eq!(pair.of(vcpu).get(def.slot), expected, "{}", def.name);
                    }
                }
            }
        }
    }

    #[test]
    fn vcpus_follow_the_vm_but_in_what_is_their_own() {
        let mut ids = Identities::each(&[&V8_0, &N1_LIKE, &V8_0]).unwrap();
        let shown = |ids: &Identities, slot| [0, 1, 2].map(|vcpu| ids.of(vcpu).get(slot));
        ids.set(0, Slot::MidrEl1, 1).unwrap();
        assert_eq!(shown(&ids, Slot::MidrEl1), [1, 1, 1]);
        ids.set(0, Slot::IdAa64Isar0, 0x0001_0000).unwrap();
        assert_eq!(shown(&ids, Slot::IdAa64Isar0), [0x0001_0000, 0x1000_1021_1120, 0x0001_0000]);
        // Back to the VM's value is following it.
        ids.set(1, Slot::IdAa64Isar0, 0x0001_0000).unwrap();
        ids.set(0, Slot::IdAa64Isar0, 0).unwrap();
        assert_eq!(shown(&ids, Slot::IdAa64Isar0), [0, 0, 0]);
    }

    #[test]
    fn what_is_each_vcpus_own_is_no_other_vcpus_in_any_order() {
        for def in TABLE.iter().filter(|def| def.kind == Kind::Id) {
            let is_vms = kvm::is_vm_scoped(kvm::sysreg(def.reg));
            assert_eq!(is_each_vcpus(def.slot), !is_vms, "{}", def.name);
        }
        let mut ids = Identities::all(&PORTABLE, 3);
        let of_model = ids.of(0).get(Slot::ClidrEl1);
        // One is given what it shows already, and then vCPU 0 something else.
        ids.set(2, Slot::ClidrEl1, of_model).unwrap();
        ids.set(0, Slot::ClidrEl1, 0).unwrap();
        assert_eq!([0, 1, 2].map(|vcpu| ids.of(vcpu).get(Slot::ClidrEl1)), [0, of_model, of_model]);
        ids.set(1, Slot::ClidrEl1, 0).unwrap();
        assert_eq!([0, 1, 2].map(|vcpu| ids.of(vcpu).get(Slot::ClidrEl1)), [0, 0, of_model]);
    }

    #[test]
    fn what_is_shared_looks_the_same_to_all() {
        let mut ids = Identities::all(&V8_0, 3);
        for (slot, value) in [
            (Slot::IdAa64Pfr0, 0x1100_0000_0000_0011),
            (Slot::CtrEl0, 0x9444_c003),
            (Slot::IdAa64Mmfr0, 0x0f00_0021),
            (Slot::IdAa64Mmfr1, 0x20),
            (Slot::IdAa64Mmfr2, 1),
        ] {
            let before = ids.of(1).get(slot);
            assert!(ids.set(1, slot, value).is_err(), "{slot:?}");
            assert_eq!(ids.of(1).get(slot), before, "{slot:?}");
            ids.set(0, slot, value).unwrap();
            assert_eq!([1, 2].map(|vcpu| ids.of(vcpu).get(slot)), [value; 2], "{slot:?}");
        }
        // The VM's cannot leave a vCPU behind either.
        let mut ids = Identities::all(&V8_0, 2);
        ids.set(1, Slot::CtrEl0, 0x8444_c004).unwrap();
        assert!(ids.set(0, Slot::CtrEl0, 0x9444_c003).is_err());
        ids.set(0, Slot::CtrEl0, 0x9333_c004).unwrap();
        assert_eq!(ids.of(1).get(Slot::CtrEl0), 0x8444_c004);
    }

    #[test]
    fn what_is_only_shown_is_named_once_for_the_vm_and_for_each_that_differs() {
        let mut ids = Identities::all(&INT, 3);
        assert!(ids.set(0, Slot::IdAa64Pfr0, 0x1100_0000_01ff_0012).is_err());
        ids.shows_unimplemented = true;
        ids.set(0, Slot::IdAa64Pfr0, 0x1100_0000_01ff_0012).unwrap();
        let names = |ids: &Identities| {
            let found = ids.unimplemented().into_iter();
            found.map(|it| (it.vcpu.0, it.shown, it.done)).collect::<Vec<_>>()
        };
        let [aarch32, both, none] =
            [0x1100_0000_01ff_0012, 0x1100_0000_01ff_0022, 0x1100_0000_01ff_0011].map(Value::u64);
        assert_eq!(names(&ids), [(0, aarch32.clone(), none.clone())]);
        ids.set(2, Slot::IdAa64Pfr0, 0x1100_0000_01ff_0022).unwrap();
        assert_eq!(names(&ids), [(0, aarch32, none.clone()), (2, both, none)]);
    }

    #[test]
    fn features_without_code_are_nobodys() {
        let mut ids = Identities::all(&INT, 2);
        assert!(ids.set(1, Slot::IdAa64Isar0, 0x2000).is_err());
        assert!(ids.set(0, Slot::IdAa64Isar0, 0x2000).is_err());
    }
}
