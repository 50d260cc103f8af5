//! CPU models: what the guest reads from ID registers.
//!
//! A model is data. Registers it does not name read as 0. `permitted` says which values this
//! engine can keep: an ID register is a promise, and only what is implemented may be promised.

use crate::decode::{Extension, Extensions};
use crate::mmu::sctlr;
use crate::sysreg::{Kind, Slot, TABLE, find};
use abide_arm64::SysReg;

/// A named set of ID registers.
#[derive(Clone, Copy, Debug)]
pub struct CpuModel {
    /// The name on the command line and in reports.
    pub name: &'static str,
    /// The registers that do not read as 0.
    pub registers: &'static [(SysReg, u64)],
}

const fn id(op1: u16, crn: u16, crm: u16, op2: u16) -> SysReg {
    SysReg::new(3, op1, crn, crm, op2)
}

const MIDR_EL1: SysReg = id(0, 0, 0, 0);
const CTR_EL0: SysReg = id(3, 0, 0, 1);
const CLIDR_EL1: SysReg = id(1, 0, 0, 1);
const ID_PFR1_EL1: SysReg = id(0, 0, 1, 1);
const ID_DFR0_EL1: SysReg = id(0, 0, 1, 2);
const ID_AA64PFR0_EL1: SysReg = id(0, 0, 4, 0);
const ID_AA64DFR0_EL1: SysReg = id(0, 0, 5, 0);
const ID_AA64ISAR0_EL1: SysReg = id(0, 0, 6, 0);
const ID_AA64ISAR1_EL1: SysReg = id(0, 0, 6, 1);
const ID_AA64MMFR0_EL1: SysReg = id(0, 0, 7, 0);

/// The smallest CPU: integer instructions of Armv8.0 only. A guest kernel finds no errata to work
/// around and no feature that needs more than this engine has.
pub const INT: CpuModel = CpuModel {
    name: "int",
    registers: &[
        // Implementer 0, architecture by ID registers: no table of errata has it.
        (MIDR_EL1, 0x000f_0510),
        // 64-byte lines, PIPT, IDC: data caches need no cleaning. Not DIC: the guest tells when it
        // wrote code.
        (CTR_EL0, 0x9444_c004),
        // CSV3, CSV2, GICv3 registers, no Advanced SIMD, no floating point, AArch64 at EL1 and EL0.
        (ID_AA64PFR0_EL1, 0x1100_0000_01ff_0011),
        // Armv8.0 debug, the least there may be: two breakpoints and two watchpoints; no PMU.
        (ID_AA64DFR0_EL1, 0x0010_1006),
        // 4 KiB granule only, 16-bit ASIDs, 40-bit physical addresses.
        (ID_AA64MMFR0_EL1, 0x0f00_0022),
    ],
};

/// What programs for Armv8.0 expect, as a Cortex-A57 shows it: floating point, Advanced SIMD, AES,
/// SHA-1, SHA-256 and CRC32. The name of the CPU is that of [`INT`]: a kernel that reads
/// Cortex-A57 works around errata that are not here.
pub const V8_0: CpuModel = CpuModel {
    name: "v8.0",
    registers: &[
        (MIDR_EL1, 0x000f_0510),
        (CTR_EL0, 0x9444_c004),
        // As for INT, with Advanced SIMD and floating point.
        (ID_AA64PFR0_EL1, 0x1100_0000_0100_0011),
        // Armv8.0 debug, six breakpoints of which two match contexts, four watchpoints, no PMU.
        (ID_AA64DFR0_EL1, 0x1030_5006),
        // CRC32, SHA-256, SHA-1, AES with PMULL.
        (ID_AA64ISAR0_EL1, 0x0001_1120),
        (ID_AA64MMFR0_EL1, 0x0f00_0022),
    ],
};

/// The instructions of a Neoverse-N1: those of [`V8_0`], half precision, rounding doubling
/// multiply-add, dot product, atomics (LSE), LDAPR, DC CVAP.
pub const N1_LIKE: CpuModel = CpuModel {
    name: "n1-like",
    registers: &[
        (MIDR_EL1, 0x000f_0510),
        (CTR_EL0, 0x9444_c004),
        // As for V8_0, with half-precision arithmetic.
        (ID_AA64PFR0_EL1, 0x1100_0000_0111_0011),
        (ID_AA64DFR0_EL1, 0x1030_5006),
        // DP, RDM, Atomic, CRC32, SHA2, SHA1, AES with PMULL.
        (ID_AA64ISAR0_EL1, 0x0000_1000_1021_1120),
        // LRCPC, DPB.
        (ID_AA64ISAR1_EL1, 0x0010_0001),
        (ID_AA64MMFR0_EL1, 0x0f00_0022),
    ],
};

/// What a guest must have seen to go on under KVM on a Cortex-A57, the oldest Armv8.0 server core
/// and the one that QEMU emulates with EL2.
///
/// It has less than a Cortex-A57: what such a host can hide is hidden.
pub const PORTABLE: CpuModel = CpuModel {
    name: "portable",
    registers: &[
        (MIDR_EL1, 0x411f_d070),
        // Neither IDC nor DIC; 64-byte lines.
        (CTR_EL0, 0x8444_c004),
        // One level of cache. KVM wants that told wherever data caches need cleaning.
        (CLIDR_EL1, 0x0920_0003),
        // The system registers of GICv3. Newer hosts show them of AArch32, too, and let nobody take
        // them away; older ones keep what they are given.
        (ID_PFR1_EL1, 0x1000_0000),
        // KVM lets nobody take the debug architecture of AArch32 away, though nothing here uses it.
        (ID_DFR0_EL1, 0x6),
        // CSV3, no CSV2, GICv3 registers, Advanced SIMD, floating point, AArch64 at EL1 and EL0.
        (ID_AA64PFR0_EL1, 0x1000_0000_0100_0011),
        // Armv8.0 debug, six breakpoints of which two match contexts, four watchpoints, no PMU.
        (ID_AA64DFR0_EL1, 0x1030_5006),
        // CRC32.
        (ID_AA64ISAR0_EL1, 0x0001_0000),
        (ID_AA64MMFR0_EL1, 0x0f00_0022),
    ],
};

/// Every model.
pub const MODELS: &[CpuModel] = &[INT, V8_0, N1_LIKE, PORTABLE];

/// The ID registers of a CPU.
#[derive(Clone, Debug)]
pub(crate) struct IdSpace {
    values: [u64; 256],
}

impl IdSpace {
    pub fn of(model: &CpuModel) -> Self {
        let mut values = [0; 256];
        for &(reg, value) in model.registers {
            if let Some(def) = find(reg) {
                values[def.slot as usize] = value;
            }
        }
        Self { values }
    }

    pub fn get(&self, slot: Slot) -> u64 {
        self.values[slot as usize]
    }

    pub fn set(&mut self, slot: Slot, value: u64) {
        self.values[slot as usize] = value;
    }

    /// Whether a system register would switch on what is [only shown](done).
    pub fn uses_unimplemented(&self, slot: Slot, value: u64) -> bool {
        let shown = self.get(Slot::IdAa64Mmfr0);
        let is_only_shown =
            |field: u32| (shown ^ done(Slot::IdAa64Mmfr0, shown)) >> (4 * field) & 0xf != 0;
        match slot {
            Slot::SctlrEl1 => value & (sctlr::EE | sctlr::E0E) != 0 && is_only_shown(BIG_END),
            // TG0 and TG1 number the granules each in its own way [DDI0487 D24.2 TCR_EL1].
            Slot::TcrEl1 => match (value >> 14 & 3, value >> 30 & 3) {
                (1, _) | (_, 3) => is_only_shown(T_GRAN_64),
                _ => false,
            },
            _ => false,
        }
    }

    /// Instructions in a line that IC IVAU invalidates, from CTR_EL0.IminLine.
    pub fn code_line_ops(&self) -> usize {
        1 << (self.get(Slot::CtrEl0) & 0xf).min(10)
    }

    /// The extensions of which instructions are there.
    pub fn extensions(&self) -> Extensions {
        Extensions::of(|extension| self.has(extension))
    }

    /// Whether instructions of `extension` are there.
    pub fn has(&self, extension: Extension) -> bool {
        match extension {
            Extension::Fp => self.has_fp(),
            Extension::Fp16 => self.has_fp16(),
            Extension::AdvSimd => self.get(Slot::IdAa64Pfr0) >> 20 & 0xf != 0xf,
            Extension::Aes => self.get(Slot::IdAa64Isar0) >> 4 & 0xf >= 1,
            Extension::Pmull => self.get(Slot::IdAa64Isar0) >> 4 & 0xf >= 2,
            Extension::Sha1 => self.get(Slot::IdAa64Isar0) >> 8 & 0xf != 0,
            Extension::Sha256 => self.get(Slot::IdAa64Isar0) >> 12 & 0xf != 0,
            Extension::Rdm => self.get(Slot::IdAa64Isar0) >> 28 & 0xf != 0,
            Extension::DotProd => self.get(Slot::IdAa64Isar0) >> 44 & 0xf != 0,
            Extension::Lse => self.get(Slot::IdAa64Isar0) >> 20 & 0xf >= 2,
            Extension::Lrcpc => self.get(Slot::IdAa64Isar1) >> 20 & 0xf >= 1,
        }
    }

    /// CRC32 instructions are there.
    pub fn has_crc32(&self) -> bool {
        self.get(Slot::IdAa64Isar0) >> 16 & 0xf != 0
    }

    /// DC CVAP is there.
    pub fn has_dc_cvap(&self) -> bool {
        self.get(Slot::IdAa64Isar1) & 0xf != 0
    }

    /// SB is there.
    pub fn has_sb(&self) -> bool {
        self.get(Slot::IdAa64Isar1) >> 36 & 0xf != 0
    }

    /// SIMD and floating-point registers are there.
    pub fn has_fp(&self) -> bool {
        self.get(Slot::IdAa64Pfr0) >> 16 & 0xf != 0xf
    }

    /// Arithmetic on half-precision numbers is there.
    pub fn has_fp16(&self) -> bool {
        self.get(Slot::IdAa64Pfr0) >> 16 & 0xf == 1
    }

    /// Breakpoints that can match a context; they have the highest numbers.
    pub fn context_breakpoints(&self) -> u64 {
        (self.get(Slot::IdAa64Dfr0) >> 28 & 0xf) + 1
    }

    /// Breakpoints, or watchpoints.
    pub fn debug_registers(&self, watchpoints: bool) -> u64 {
        let shift = if watchpoints { 20 } else { 12 };
        (self.get(Slot::IdAa64Dfr0) >> shift & 0xf) + 1
    }
}

/// The values of 4-bit fields that are implemented: field number from bit 0, and a set of values as
/// a bit mask. Fields not listed must be 0.
type Fields = &'static [(u32, u16)];

const ZERO: u16 = 1;
const UP_TO_1: u16 = 0b11;
const UP_TO_2: u16 = 0b111;
const ANY: u16 = u16::MAX;
const ABSENT: u16 = 1 << 15;

const fn fields(slot: Slot) -> Fields {
    match slot {
        // EL0 and EL1 in AArch64; FP and Advanced SIMD, with FP16 or without, or none; GIC; CSV2;
        // CSV3.
        Slot::IdAa64Pfr0 => &[
            (0, 0b10),
            (1, 0b10),
            (4, UP_TO_1 | ABSENT),
            (5, UP_TO_1 | ABSENT),
            (6, UP_TO_1),
            (14, 0b1111),
            (15, UP_TO_1),
        ],
        // CSV2_frac.
        Slot::IdAa64Pfr1 => &[(8, UP_TO_2)],
        // DebugVer, PMUVer, BRPs, WRPs, CTX_CMPs, DoubleLock.
        Slot::IdAa64Dfr0 => {
            &[(0, 1 << 6), (2, ZERO | ABSENT), (3, ANY), (5, ANY), (7, ANY), (9, ZERO | ABSENT)]
        }
        // AES, SHA1, SHA2, CRC32, Atomic, RDM, DP.
        Slot::IdAa64Isar0 => &[
            (1, UP_TO_2),
            (2, UP_TO_1),
            (3, UP_TO_1),
            (4, UP_TO_1),
            (5, 0b101),
            (7, UP_TO_1),
            (11, UP_TO_1),
        ],
        // DPB, LRCPC, SB.
        Slot::IdAa64Isar1 => &[(0, UP_TO_1), (5, UP_TO_1), (9, UP_TO_1)],
        // PARange, ASIDBits, SNSMem, TGran16 absent, TGran64 absent, TGran4, stage 2 granules.
        Slot::IdAa64Mmfr0 => &[
            (0, 0b11_1111),
            (1, 0b101),
            (3, UP_TO_1),
            (5, ZERO),
            (6, ABSENT),
            (7, ZERO),
            (8, ANY),
            (9, ANY),
            (10, ANY),
        ],
        // VMIDBits and XNX are of stage 2, SpecSEI and ECBHB of no effect.
        Slot::IdAa64Mmfr1 => &[(1, 0b101), (6, UP_TO_1), (7, UP_TO_1), (15, UP_TO_1)],
        // CnP and TTL are hints that are not taken.
        Slot::IdAa64Mmfr2 => &[(0, UP_TO_1), (12, UP_TO_1)],
        _ => &[],
    }
}

/// ID_AA64MMFR0_EL1.BigEnd, by its place in fours of bits.
const BIG_END: u32 = 2;
/// ID_AA64MMFR0_EL1.TGran64.
const T_GRAN_64: u32 = 6;

/// What a guest may go on being shown where its owner asks for it, though the engine does not do
/// it: register, field, the numbers, and the number of what is done. A kernel for AArch64 at EL1
/// with little-endian data and granules of 4 KiB meets none of it, but for AArch32 at EL0, which it
/// may offer to programs.
#[rustfmt::skip]
const SHOWN: [(Slot, u32, u16, u64); 6] = [
    // AArch32 at EL0: an exception return to it is illegal.
    (Slot::IdAa64Pfr0, 0, 0b100, 1),
    // AArch32 at EL1, EL2 and EL3: a guest at EL1 comes to none of them.
    (Slot::IdAa64Pfr0, 1, 0b100, 1),
    (Slot::IdAa64Pfr0, 2, 0b110, 0),
    (Slot::IdAa64Pfr0, 3, 0b110, 0),
    // Big-endian data, granules of 64 KiB: to switch them on is UNDEFINED.
    (Slot::IdAa64Mmfr0, BIG_END, 0b10, 0),
    (Slot::IdAa64Mmfr0, T_GRAN_64, 0b1, 0xf),
];

/// The value with all that is only shown replaced by what is done.
pub(crate) fn done(slot: Slot, value: u64) -> u64 {
    let mut done = value;
    for (_, field, numbers, number) in SHOWN.into_iter().filter(|shown| shown.0 == slot) {
        let shift = 4 * field;
        if numbers >> (value >> shift & 0xf) & 1 == 1 {
            done = done & !(0xf << shift) | number << shift;
        }
    }
    done
}

/// As [`permitted`], where the guest may go on being shown what the engine does not do.
pub(crate) fn permitted_or_shown(slot: Slot, value: u64) -> Result<(), &'static str> {
    permitted(slot, value)
        .or_else(|allowed| permitted(slot, done(slot, value)).map_err(|_| allowed))
}

/// Whether the engine can keep the promise of this value; else what it can.
pub(crate) fn permitted(slot: Slot, value: u64) -> Result<(), &'static str> {
    match slot {
        // Names, and the description of an AArch32 that no exception level uses.
        Slot::MidrEl1 | Slot::RevidrEl1 | Slot::AidrEl1 | Slot::ClidrEl1 => Ok(()),
        Slot::IdAa64Afr0 | Slot::IdAa64Afr1 => Ok(()),
        Slot::CtrEl0 => {
            let refused = value >> 29 & 1 == 1 || value & 0xf > 9 || value >> 32 != 0;
            let allowed = "DIC 0 and IminLine at most 9";
            if refused { Err(allowed) } else { Ok(()) }
        }
        Slot::IdAa64Pfr0 if value >> 16 & 0xf != value >> 20 & 0xf => {
            Err("the same for floating point and Advanced SIMD")
        }
        _ if is_aarch32(slot) => Ok(()),
        _ => {
            let fields = fields(slot);
            let kept = (0..16).all(|number| {
                let found = fields.iter().find(|&&(field, _)| field == number);
                let set = found.map_or(ZERO, |&(_, set)| set);
                set >> (value >> (4 * number) & 0xf) & 1 == 1
            });
            if kept {
                Ok(())
            } else if done(slot, value) != value && permitted(slot, done(slot, value)).is_ok() {
                Err("features that the software engine implements; what it would go on showing \
                     without them, it does with --accept advertised-not-implemented")
            } else {
                Err("features that the software engine implements")
            }
        }
    }
}

fn is_aarch32(slot: Slot) -> bool {
    TABLE
        .iter()
        .find(|def| def.slot == slot)
        .is_some_and(|def| def.kind == Kind::Id && (0xc008..0xc020).contains(&def.reg.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_promises_only_what_there_is() {
        for model in MODELS {
            for &(reg, value) in model.registers {
                let slot = find(reg).unwrap().slot;
                assert_eq!(permitted(slot, value), Ok(()), "{}: {reg}", model.name);
            }
        }
    }

    #[test]
    fn what_is_only_shown_is_taken_on_request_and_its_use_is_known() {
        // As Linux 6.1 shows a Cortex-A57.
        for (slot, shown, expected) in [
            (Slot::IdAa64Pfr0, 0x1000_0000_0100_0222, 0x1000_0000_0100_0011),
            (Slot::IdAa64Mmfr0, 0x1124, 0x0f00_1024),
        ] {
            assert_eq!(done(slot, shown), expected);
            let refused = permitted(slot, shown).unwrap_err();
            assert!(refused.contains("--accept advertised-not-implemented"), "{refused}");
            assert_eq!(permitted_or_shown(slot, shown), Ok(()));
        }
        // What a kernel would use is not among it: RAS, and HAFDBS, PAN of ID_AA64MMFR1_EL1.
        let refused = permitted_or_shown(Slot::IdAa64Pfr0, 0x1111_0112).unwrap_err();
        assert!(!refused.contains("--accept"), "{refused}");
        assert!(permitted_or_shown(Slot::IdAa64Mmfr1, 0x0020_0002).is_err());
        let mut ids = IdSpace::of(&PORTABLE);
        let big_endian = |ids: &IdSpace| ids.uses_unimplemented(Slot::SctlrEl1, 1 << 25);
        let granule = |ids: &IdSpace, tcr| ids.uses_unimplemented(Slot::TcrEl1, tcr);
        // RES0 where it is not shown.
        assert!(!big_endian(&ids) && !granule(&ids, 1 << 14));
        ids.set(Slot::IdAa64Mmfr0, 0x1124);
        assert!(big_endian(&ids) && granule(&ids, 1 << 14) && granule(&ids, 3 << 30));
        assert!(!granule(&ids, 2 << 30) && !ids.uses_unimplemented(Slot::SctlrEl1, 0x00c5_0078));
    }

    #[test]
    fn features_without_code_are_refused() {
        // 128-bit LSE atomics, DIC, 64 KiB pages, EL2, SVE.
        assert!(permitted(Slot::IdAa64Isar0, 0x0030_0000).is_err());
        assert!(permitted(Slot::CtrEl0, 0x2444_c004).is_err());
        assert!(permitted(Slot::IdAa64Mmfr0, 0x22).is_err());
        assert!(permitted(Slot::IdAa64Pfr0, 0x0000_0000_0000_0111).is_err());
        assert!(permitted(Slot::IdAa64Pfr0, 0x0000_0001_0000_0011).is_err());
        // FP16 for scalars only.
        assert!(permitted(Slot::IdAa64Pfr0, 0x0000_0000_0001_0011).is_err());
        assert!(permitted(Slot::IdAa64Pfr0, 0x0000_0000_0011_0011).is_ok());
        // SHA-512.
        assert!(permitted(Slot::IdAa64Isar0, 0x0000_2000).is_err());
        assert!(permitted(Slot::MidrEl1, 0x4100_d0c0).is_ok());
    }
}
