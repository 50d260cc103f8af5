//! The registers behind the answers: reading, writing, saving, restoring.

use crate::spec;
use abide_reg::{Entry, Intake, IntakeError, Leftover, RegDef, RegError, RegId, Registers, Value};
use alloc::vec::Vec;

/// One CPU implementation that the VM may come to run on, as `DISCOVER_IMPL_CPUS` tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImplementationCpu {
    /// `MIDR_EL1`.
    pub midr: u64,
    /// `REVIDR_EL1`.
    pub revidr: u64,
    /// `AIDR_EL1`.
    pub aidr: u64,
}

impl ImplementationCpu {
    /// As the value of a register `firmware.impl-cpu-NN`: the three, u64 each.
    #[must_use]
    pub fn to_value(self) -> Value {
        let Self { midr, revidr, aidr } = self;
        Value::bytes([midr, revidr, aidr].map(u64::to_le_bytes).as_flattened())
    }

    fn from_value(value: &Value) -> Option<Self> {
        let (words, []) = value.as_bytes().as_chunks::<8>() else {
            return None;
        };
        let [midr, revidr, aidr] = *<&[_; 3]>::try_from(words).ok()?;
        Some(Self {
            midr: u64::from_le_bytes(midr),
            revidr: u64::from_le_bytes(revidr),
            aidr: u64::from_le_bytes(aidr),
        })
    }
}

/// The firmware of one VM. All of it is guest-visible state; it has no wiring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firmware {
    // Guest-visible state (saved)
    psci_version: u64,
    workaround_1: u64,
    workaround_2: u64,
    workaround_3: u64,
    std_bmap: u64,
    std_hyp_bmap: u64,
    vendor_hyp_bmap: u64,
    vendor_hyp_bmap_2: u64,
    impl_cpus: Vec<ImplementationCpu>,
}

impl Default for Firmware {
    /// What a guest is born with unless its contract says otherwise: the values of a KVM host with
    /// Linux 6.1 or 6.12 whose CPUs have SSBS. Newer hosts accept them too, so the guest may move
    /// between all of these.
    fn default() -> Self {
        Self {
            psci_version: spec::PSCI_1_1,
            workaround_1: spec::WORKAROUND_NOT_REQUIRED,
            workaround_2: spec::WORKAROUND_NOT_AVAIL,
            workaround_3: spec::WORKAROUND_NOT_REQUIRED,
            std_bmap: spec::STD_BIT_TRNG_V1_0,
            std_hyp_bmap: spec::STD_HYP_BIT_PV_TIME,
            vendor_hyp_bmap: spec::VENDOR_HYP_BIT_FUNC_FEAT | spec::VENDOR_HYP_BIT_PTP,
            vendor_hyp_bmap_2: 0,
            impl_cpus: Vec::new(),
        }
    }
}

impl Firmware {
    /// The most that this implementation can offer, register by register: the profile of a host
    /// on which it answers.
    #[must_use]
    pub fn newest() -> Self {
        Self {
            psci_version: spec::PSCI_1_3,
            workaround_2: spec::WORKAROUND_2_NOT_REQUIRED,
            vendor_hyp_bmap_2: spec::VENDOR_HYP_2_BIT_IMPL_VER | spec::VENDOR_HYP_2_BIT_IMPL_CPUS,
            ..Self::default()
        }
    }

    /// Whether it has this register.
    #[must_use]
    pub fn has(&self, id: RegId) -> bool {
        self.defs().any(|def| def.id == id)
    }

    /// Its registers, in the order in which they are to be written back.
    fn defs(&self) -> impl Iterator<Item = &'static RegDef> {
        spec::DEFS.iter().chain(&spec::IMPL_CPU_DEFS[..self.impl_cpus.len()])
    }

    /// Every register with its content, in the order in which it is to be written back.
    #[must_use]
    pub fn save(&self) -> Vec<Entry> {
        // Named one by one, so that a new field cannot be forgotten.
        let Self {
            psci_version,
            workaround_1,
            workaround_2,
            workaround_3,
            std_bmap,
            std_hyp_bmap,
            vendor_hyp_bmap,
            vendor_hyp_bmap_2,
            impl_cpus,
        } = self;
        let numbers = [
            (&spec::DEF_PSCI_VERSION, *psci_version),
            (&spec::DEF_ARCH_WORKAROUND_1, *workaround_1),
            (&spec::DEF_ARCH_WORKAROUND_2, *workaround_2),
            (&spec::DEF_ARCH_WORKAROUND_3, *workaround_3),
            (&spec::DEF_STD_BMAP, *std_bmap),
            (&spec::DEF_STD_HYP_BMAP, *std_hyp_bmap),
            (&spec::DEF_VENDOR_HYP_BMAP, *vendor_hyp_bmap),
            (&spec::DEF_VENDOR_HYP_BMAP_2, *vendor_hyp_bmap_2),
            (&spec::DEF_IMPL_COUNT, impl_cpus.len() as u64),
        ];
        let cpus = spec::IMPL_CPU_DEFS.iter().zip(impl_cpus);
        numbers
            .into_iter()
            .map(|(def, number)| Entry::of(def, Value::u64(number)))
            .chain(cpus.map(|(def, cpu)| Entry::of(def, cpu.to_value())))
            .collect()
    }

    /// The firmware with these registers, and what was there beyond them.
    ///
    /// # Errors
    /// [`IntakeError`]: a register is missing, doubled, misshapen, mandatory and unknown, or holds
    /// what no firmware of this version can hold.
    pub fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        let mut intake = Intake::new(entries)?;
        // KVM keeps no list of implementations, and its second bitmap is younger than the others:
        // what comes from there without them has neither.
        let bitmap_2 = optional(&mut intake, &spec::DEF_VENDOR_HYP_BMAP_2)?;
        let count = match optional(&mut intake, &spec::DEF_IMPL_COUNT)? {
            None if intake.take_optional(&spec::IMPL_CPU_DEFS[0])?.is_some() => {
                intake.u64(&spec::DEF_IMPL_COUNT)?
            }
            count => count.unwrap_or(0),
        };
        let mut number = |def: &RegDef| intake.u64(def).and_then(|number| checked(def, number));
        let mut firmware = Self {
            psci_version: number(&spec::DEF_PSCI_VERSION)?,
            workaround_1: number(&spec::DEF_ARCH_WORKAROUND_1)?,
            workaround_2: number(&spec::DEF_ARCH_WORKAROUND_2)?,
            workaround_3: number(&spec::DEF_ARCH_WORKAROUND_3)?,
            std_bmap: number(&spec::DEF_STD_BMAP)?,
            std_hyp_bmap: number(&spec::DEF_STD_HYP_BMAP)?,
            vendor_hyp_bmap: number(&spec::DEF_VENDOR_HYP_BMAP)?,
            vendor_hyp_bmap_2: bitmap_2.unwrap_or(0),
            impl_cpus: Vec::new(),
        };
        for (def, _) in spec::IMPL_CPU_DEFS.iter().zip(0..count) {
            let value = intake.take(def)?;
            let cpu = ImplementationCpu::from_value(&value).ok_or(IntakeError::Width {
                id: def.id,
                found: value.width(),
                allowed: spec::IMPL_CPU_LEN,
            })?;
            firmware.impl_cpus.push(cpu);
        }
        Ok((firmware, intake.finish()?))
    }

    /// Replaces the list of implementations. It is told to the guest only where
    /// `VENDOR_HYP_BMAP_2` says so.
    ///
    /// # Errors
    /// [`RegError::Refused`] for more than [`spec::IMPL_CPUS_MAX`].
    pub fn set_impl_cpus(&mut self, cpus: &[ImplementationCpu]) -> Result<(), RegError> {
        self.store(spec::REG_IMPL_COUNT, &Value::u64(cpus.len() as u64))?;
        self.impl_cpus.copy_from_slice(cpus);
        Ok(())
    }

    /// The implementations that the VM may come to run on.
    #[must_use]
    pub fn impl_cpus(&self) -> &[ImplementationCpu] {
        &self.impl_cpus
    }

    /// PSCI's version: major in bits 31:16, minor in bits 15:0.
    #[must_use]
    pub const fn psci_version(&self) -> u64 {
        self.psci_version
    }

    /// Whether calls of paravirtual time exist (`STD_HYP_BMAP` bit 0). Who answers them answers
    /// [`spec::SMCCC_NOT_SUPPORTED`] otherwise.
    #[must_use]
    pub const fn offers_pv_time(&self) -> bool {
        self.std_hyp_bmap & spec::STD_HYP_BIT_PV_TIME != 0
    }

    pub(crate) const fn offers_trng(&self) -> bool {
        self.std_bmap & spec::STD_BIT_TRNG_V1_0 != 0
    }

    pub(crate) const fn vendor_hyp_bitmaps(&self) -> [u64; 2] {
        [self.vendor_hyp_bmap, self.vendor_hyp_bmap_2]
    }

    pub(crate) const fn workaround_1(&self) -> u64 {
        self.workaround_1
    }

    pub(crate) const fn workaround_2(&self) -> u64 {
        self.workaround_2
    }

    pub(crate) const fn workaround_3(&self) -> u64 {
        self.workaround_3
    }

    fn slot(&mut self, id: RegId) -> Option<&mut u64> {
        Some(match id {
            spec::REG_PSCI_VERSION => &mut self.psci_version,
            spec::REG_ARCH_WORKAROUND_1 => &mut self.workaround_1,
            spec::REG_ARCH_WORKAROUND_2 => &mut self.workaround_2,
            spec::REG_ARCH_WORKAROUND_3 => &mut self.workaround_3,
            spec::REG_STD_BMAP => &mut self.std_bmap,
            spec::REG_STD_HYP_BMAP => &mut self.std_hyp_bmap,
            spec::REG_VENDOR_HYP_BMAP => &mut self.vendor_hyp_bmap,
            spec::REG_VENDOR_HYP_BMAP_2 => &mut self.vendor_hyp_bmap_2,
            _ => return None,
        })
    }

    fn impl_cpu_slot(&mut self, id: RegId) -> Option<&mut ImplementationCpu> {
        let index = spec::IMPL_CPU_DEFS.iter().position(|def| def.id == id)?;
        self.impl_cpus.get_mut(index)
    }
}

/// The registers are VM-scoped. KVM allows the bitmaps to change only before the first vCPU has
/// run; that is for the caller to keep, who alone knows.
///
/// `firmware.impl-cpu-NN` exist as far as `firmware.impl-count` says, so that is written first.
impl Registers for Firmware {
    fn reg_ids(&self) -> Vec<RegId> {
        self.defs().map(|def| def.id).collect()
    }

    fn load(&self, id: RegId) -> Result<Value, RegError> {
        let entry = self.save().into_iter().find(|entry| entry.id == id);
        entry.map(|entry| entry.value).ok_or(RegError::Unknown { id })
    }

    fn store(&mut self, id: RegId, value: &Value) -> Result<(), RegError> {
        let found = value.width();
        if let Some(slot) = self.impl_cpu_slot(id) {
            *slot = ImplementationCpu::from_value(value).ok_or(RegError::Width {
                id,
                found,
                allowed: spec::IMPL_CPU_LEN,
            })?;
            return Ok(());
        }
        if !spec::DEFS.iter().any(|def| def.id == id) {
            return Err(RegError::Unknown { id });
        }
        let number = value.to_u64().ok_or(RegError::Width { id, found, allowed: 8 })?;
        let number = check(id, number).map_err(|allowed| RegError::Refused {
            id,
            found: value.clone(),
            allowed,
        })?;
        match self.slot(id) {
            Some(slot) => *slot = number,
            // The one register that is no number of its own: `check` bounds it.
            None => {
                let count = usize::try_from(number).unwrap_or(spec::IMPL_CPUS_MAX);
                self.impl_cpus.resize(count, ImplementationCpu::default());
            }
        }
        Ok(())
    }
}

fn checked(def: &RegDef, number: u64) -> Result<u64, IntakeError> {
    check(def.id, number).map_err(|allowed| refused(def.id, Value::u64(number), allowed))
}

/// A register of 8 bytes that not every engine saves.
fn optional(intake: &mut Intake, def: &RegDef) -> Result<Option<u64>, IntakeError> {
    let number = intake.take_optional(def)?.and_then(|value| value.to_u64());
    number.map(|number| checked(def, number)).transpose()
}

fn refused(id: RegId, found: Value, allowed: &'static str) -> IntakeError {
    IntakeError::Value { id, found, allowed }
}

/// The number if the register can hold it, else what it can hold.
fn check(id: RegId, number: u64) -> Result<u64, &'static str> {
    let (good, allowed) = match id {
        spec::REG_PSCI_VERSION => (
            number == spec::PSCI_0_2 || (spec::PSCI_1_0..=spec::PSCI_1_3).contains(&number),
            "0x2 (PSCI 0.2), 0x10000 (1.0), 0x10001 (1.1), 0x10002 (1.2), 0x10003 (1.3)",
        ),
        spec::REG_ARCH_WORKAROUND_1 | spec::REG_ARCH_WORKAROUND_3 => (
            number <= spec::WORKAROUND_NOT_REQUIRED,
            "0 (not available), 1 (available), 2 (not required)",
        ),
        spec::REG_ARCH_WORKAROUND_2 => (
            matches!(number, spec::WORKAROUND_NOT_AVAIL | spec::WORKAROUND_2_NOT_REQUIRED),
            "0 (not available), 3 (not required)",
        ),
        spec::REG_STD_BMAP => (number & !spec::STD_BIT_TRNG_V1_0 == 0, "bit 0 (TRNG 1.0)"),
        spec::REG_STD_HYP_BMAP => {
            (number & !spec::STD_HYP_BIT_PV_TIME == 0, "bit 0 (paravirtual time)")
        }
        spec::REG_VENDOR_HYP_BMAP => (
            number & !(spec::VENDOR_HYP_BIT_FUNC_FEAT | spec::VENDOR_HYP_BIT_PTP) == 0,
            "bits 0 (UID and features) and 1 (PTP)",
        ),
        spec::REG_VENDOR_HYP_BMAP_2 => (
            number & !(spec::VENDOR_HYP_2_BIT_IMPL_VER | spec::VENDOR_HYP_2_BIT_IMPL_CPUS) == 0,
            "bits 0 (DISCOVER_IMPL_VER) and 1 (DISCOVER_IMPL_CPUS)",
        ),
        spec::REG_IMPL_COUNT => (number <= spec::IMPL_CPUS_MAX as u64, "0 to 64"),
        _ => (false, "no such register"),
    };
    if good { Ok(number) } else { Err(allowed) }
}
