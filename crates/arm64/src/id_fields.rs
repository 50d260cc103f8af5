//! The fields of ID registers, and which change of each cannot surprise a guest `[DDI0487 D24.2]`.
//!
//! Most fields count features upwards: a host that has more can show less. Exceptions say why.
//! Bits without a field here must be the same everywhere.

use crate::SysReg;
use abide_reg::{Direction, Field};

/// The fields of an ID register, or `None` for registers of other kinds.
#[must_use]
pub fn fields(reg: SysReg) -> Option<&'static [Field]> {
    let found = TABLE.binary_search_by_key(&reg.0, |(encoding, _)| *encoding).ok()?;
    Some(TABLE[found].1)
}

/// The registers that have fields here, by encoding.
pub fn registers() -> impl Iterator<Item = SysReg> {
    TABLE.iter().map(|&(encoding, _)| SysReg(encoding))
}

const fn field(name: &'static str, shift: u8, width: u8, direction: Direction) -> Field {
    Field { name, shift, width, signed: false, direction }
}

/// Four bits that count features upwards.
const fn low(name: &'static str, shift: u8) -> Field {
    field(name, shift, 4, Direction::LowerIsSafe)
}

/// As [`low`], with 0xf (and what is above 7) for less than 0: not there.
const fn signed(name: &'static str, shift: u8) -> Field {
    Field { signed: true, ..low(name, shift) }
}

/// Four bits that must be the same.
const fn same(name: &'static str, shift: u8) -> Field {
    field(name, shift, 4, Direction::Same)
}

/// One bit for one feature.
const fn bit(name: &'static str, shift: u8) -> Field {
    field(name, shift, 1, Direction::LowerIsSafe)
}

const fn id(crm: u16, op2: u16) -> u16 {
    SysReg::new(3, 0, 0, crm, op2).0
}

/// ID_AA64PFR0_EL1.RAS: error records, ESB and the deferred error of DISR_EL1.
pub const RAS: Field = low("RAS", 28);
/// ID_AA64PFR0_EL1.SVE: the Scalable Vector Extension.
pub const SVE: Field = low("SVE", 32);
/// ID_AA64PFR1_EL1.MTE: memory tagging.
pub const MTE: Field = low("MTE", 8);
/// ID_AA64PFR1_EL1.SME: the Scalable Matrix Extension.
pub const SME: Field = low("SME", 24);
/// ID_AA64PFR2_EL1.FPMR: the register FPMR.
pub const FPMR: Field = low("FPMR", 32);
/// ID_AA64DFR0_EL1.PMUVer: the performance monitors.
pub const PMU_VER: Field = low("PMUVer", 8);
/// ID_AA64ISAR1_EL1.APA: address authentication, by QARMA5.
pub const APA: Field = same("APA", 4);
/// ID_AA64ISAR1_EL1.API: address authentication, by an algorithm of the maker's.
pub const API: Field = same("API", 8);
/// ID_AA64ISAR2_EL1.APA3: address authentication, by QARMA3.
pub const APA3: Field = same("APA3", 12);
/// ID_AA64ISAR1_EL1.GPA: generic authentication, by QARMA5.
pub const GPA: Field = same("GPA", 24);
/// ID_AA64ISAR1_EL1.GPI: generic authentication, by an algorithm of the maker's.
pub const GPI: Field = same("GPI", 28);
/// ID_AA64ISAR2_EL1.GPA3: generic authentication, by QARMA3.
pub const GPA3: Field = same("GPA3", 8);
/// ID_AA64MMFR2_EL1.NV: nested virtualization.
pub const NV: Field = low("NV", 24);
/// ID_AA64MMFR3_EL1.TCRX: the register TCR2_EL1.
pub const TCRX: Field = low("TCRX", 0);
/// ID_AA64MMFR3_EL1.SCTLRX: the register SCTLR2_EL1.
pub const SCTLRX: Field = low("SCTLRX", 4);
/// ID_AA64MMFR3_EL1.S1PIE: the registers PIR_EL1 and PIRE0_EL1.
pub const S1PIE: Field = low("S1PIE", 8);
/// ID_AA64MMFR3_EL1.S1POE: the registers POR_EL0 and POR_EL1.
pub const S1POE: Field = low("S1POE", 16);
/// ID_AA64PFR0_EL1.MPAM: memory partitioning.
pub const MPAM: Field = low("MPAM", 40);
/// ID_AA64PFR1_EL1.MPAM_frac.
pub const MPAM_FRAC: Field = low("MPAM_frac", 16);
/// ID_AA64PFR1_EL1.MTE_frac: 0 where tag checks can be asynchronous.
pub const MTE_FRAC: Field = signed("MTE_frac", 40);

#[rustfmt::skip]
static TABLE: &[(u16, &[Field])] = &[
    // AArch32: what EL0 can execute there.
    (id(1, 0), &[low("State0", 0), low("State1", 4), low("State2", 8), low("State3", 12),
        low("CSV2", 16), low("AMU", 20), low("DIT", 24), low("RAS", 28)]),
    (id(1, 1), &[low("ProgMod", 0), low("Security", 4), low("MProgMod", 8),
        low("Virtualization", 12), low("GenTimer", 16), low("Sec_frac", 20), low("Virt_frac", 24),
        low("GIC", 28)]),
    (id(1, 2), &[low("CopDbg", 0), low("CopSDbg", 4), low("MMapDbg", 8), low("CopTrc", 12),
        low("MMapTrc", 16), low("MProfDbg", 20), low("PerfMon", 24), low("TraceFilt", 28)]),
    (id(1, 4), &[low("VMSA", 0), low("PMSA", 4), low("OuterShr", 8), low("ShareLvl", 12),
        low("TCM", 16), low("AuxReg", 20), low("FCSE", 24), signed("InnerShr", 28)]),
    (id(1, 5), &[low("L1HvdVA", 0), low("L1UniVA", 4), low("L1HvdSW", 8), low("L1UniSW", 12),
        low("L1Hvd", 16), low("L1Uni", 20), low("L1TstCln", 24), low("BPred", 28)]),
    (id(1, 6), &[low("L1HvdFG", 0), low("L1HvdBG", 4), low("L1HvdRng", 8), low("HvdTLB", 12),
        low("UniTLB", 16), low("MemBarr", 20), low("WFIStall", 24), low("HWAccFlg", 28)]),
    (id(1, 7), &[low("CMaintVA", 0), low("CMaintSW", 4), low("BPMaint", 8), low("MaintBcst", 12),
        low("PAN", 16), low("CohWalk", 20), low("CMemSz", 24), low("Supersec", 28)]),
    (id(2, 0), &[low("Swap", 0), low("BitCount", 4), low("BitField", 8), low("CmpBranch", 12),
        low("Coproc", 16), low("Debug", 20), low("Divide", 24)]),
    (id(2, 1), &[low("Endian", 0), low("Except", 4), low("Except_AR", 8), low("Extend", 12),
        low("IfThen", 16), low("Immediate", 20), low("Interwork", 24), low("Jazelle", 28)]),
    (id(2, 2), &[low("LoadStore", 0), low("MemHint", 4), low("MultiAccessInt", 8),
        low("Mult", 12), low("MultS", 16), low("MultU", 20), low("PSR_AR", 24),
        low("Reversal", 28)]),
    (id(2, 3), &[low("Saturate", 0), low("SIMD", 4), low("SVC", 8), low("SynchPrim", 12),
        low("TabBranch", 16), low("T32Copy", 20), low("TrueNOP", 24), low("T32EE", 28)]),
    (id(2, 4), &[low("Unpriv", 0), low("WithShifts", 4), low("Writeback", 8), low("SMC", 12),
        low("Barrier", 16), low("SynchPrim_frac", 20), low("PSR_M", 24), low("SWP_frac", 28)]),
    (id(2, 5), &[low("SEVL", 0), low("AES", 4), low("SHA1", 8), low("SHA2", 12), low("CRC32", 16),
        low("RDM", 24), low("VCMA", 28)]),
    // CCIDX is the format of CCSIDR, not a feature more or less.
    (id(2, 6), &[low("SpecSEI", 0), low("AC2", 4), low("XNX", 8), low("CnP", 12), low("HPDS", 16),
        low("LSM", 20), same("CCIDX", 24), low("EVT", 28)]),
    (id(2, 7), &[low("JSCVT", 0), low("DP", 4), low("FHM", 8), low("SB", 12), low("SPECRES", 16),
        low("BF16", 20), low("I8MM", 24), low("CLRBHB", 28)]),
    (id(3, 0), &[low("SIMDReg", 0), low("FPSP", 4), low("FPDP", 8), low("FPTrap", 12),
        low("FPDivide", 16), low("FPSqrt", 20), low("FPShVec", 24), low("FPRound", 28)]),
    (id(3, 1), &[low("FPFtZ", 0), low("FPDNaN", 4), low("SIMDLS", 8), low("SIMDInt", 12),
        low("SIMDSP", 16), low("SIMDHP", 20), low("FPHP", 24), low("SIMDFMAC", 28)]),
    (id(3, 2), &[low("SIMDMisc", 0), low("FPMisc", 4)]),
    (id(3, 4), &[low("CSV3", 0), low("SSBS", 4), low("RAS_frac", 8)]),
    (id(3, 5), &[signed("MTPMU", 0), low("HPMN0", 4)]),
    (id(3, 6), &[low("ETS", 0), low("nTLBPA", 4)]),
    // ID_AA64PFR0_EL1. 0xf is no floating point.
    (id(4, 0), &[low("EL0", 0), low("EL1", 4), low("EL2", 8), low("EL3", 12), signed("FP", 16),
        signed("AdvSIMD", 20), low("GIC", 24), RAS, SVE, low("SEL2", 36), MPAM,
        low("AMU", 44), low("DIT", 48), low("RME", 52), low("CSV2", 56), low("CSV3", 60)]),
    (id(4, 1), &[low("BT", 0), low("SSBS", 4), MTE, low("RAS_frac", 12), MPAM_FRAC,
        SME, low("RNDR_trap", 28), low("CSV2_frac", 32), low("NMI", 36), MTE_FRAC,
        low("GCS", 44), low("THE", 48), low("MTEX", 52), low("DF2", 56), low("PFAR", 60)]),
    (id(4, 2), &[low("MTEPERM", 0), low("MTESTOREONLY", 4), low("MTEFAR", 8), low("GCIE", 12),
        low("UINJ", 16), FPMR]),
    // ID_AA64ZFR0_EL1.
    (id(4, 4), &[low("SVEver", 0), low("AES", 4), low("EltPerm", 12), low("BitPerm", 16),
        low("BF16", 20), low("B16B16", 24), low("SHA3", 32), low("SM4", 40), low("I8MM", 44),
        low("F16MM", 48), low("F32MM", 52), low("F64MM", 56)]),
    // ID_AA64SMFR0_EL1.
    (id(4, 5), &[bit("SF8DP2", 28), bit("SF8DP4", 29), bit("SF8FMA", 30), bit("F32F32", 32),
        bit("BI32I32", 33), bit("B16F32", 34), bit("F16F32", 35), low("I8I32", 36),
        bit("F8F32", 40), bit("F8F16", 41), bit("F16F16", 42), bit("B16B16", 43),
        low("I16I32", 44), bit("F64F64", 48), low("I16I64", 52), low("SMEver", 56),
        bit("LUTv2", 60), bit("FA64", 63)]),
    // ID_AA64FPFR0_EL1.
    (id(4, 7), &[bit("F8E5M2", 0), bit("F8E4M3", 1), bit("F8DP2", 28), bit("F8DP4", 29),
        bit("F8FMA", 30), bit("F8CVT", 31)]),
    // ID_AA64DFR0_EL1. The breakpoints that match contexts are the last ones, so their numbers move
    // with BRPs; the others count from 0.
    (id(5, 0), &[low("DebugVer", 0), low("TraceVer", 4), PMU_VER, same("BRPs", 12),
        low("PMSS", 16), low("WRPs", 20), low("SEBEP", 24), same("CTX_CMPs", 28),
        low("PMSVer", 32), signed("DoubleLock", 36), low("TraceFilt", 40), low("TraceBuffer", 44),
        signed("MTPMU", 48), low("BRBE", 52), low("ExtTrcBuff", 56), low("HPMN0", 60)]),
    // ID_AA64ISAR0_EL1.
    (id(6, 0), &[low("AES", 4), low("SHA1", 8), low("SHA2", 12), low("CRC32", 16),
        low("Atomic", 20), low("TME", 24), low("RDM", 28), low("SHA3", 32), low("SM3", 36),
        low("SM4", 40), low("DP", 44), low("FHM", 48), low("TS", 52), low("TLB", 56),
        low("RNDR", 60)]),
    // ID_AA64ISAR1_EL1. Pointers that are signed by one algorithm are invalid under another.
    (id(6, 1), &[low("DPB", 0), APA, API, low("JSCVT", 12), low("FCMA", 16), low("LRCPC", 20),
        GPA, GPI, low("FRINTTS", 32), low("SB", 36), low("SPECRES", 40), low("BF16", 44),
        low("DGH", 48), low("I8MM", 52), low("XS", 56), low("LS64", 60)]),
    (id(6, 2), &[low("WFxT", 0), low("RPRES", 4), GPA3, APA3, low("MOPS", 16), low("BC", 20),
        same("PAC_frac", 24), low("CLRBHB", 28), low("SYSREG_128", 32), low("SYSINSTR_128", 36),
        low("PRFMSLC", 40), low("PCDPHINT", 44), low("RPRFM", 48), low("CSSC", 52),
        low("LUT", 56), low("ATS1A", 60)]),
    (id(6, 3), &[low("CPA", 0), low("FAMINMAX", 4), low("TLBIW", 8), low("PACM", 12),
        low("LSFE", 16), low("OCCMO", 20), low("LSUI", 24), low("FPRCVT", 28)]),
    // ID_AA64MMFR0_EL1. The granules of stage 2 have a code of their own: 1 no, 0 as stage 1.
    (id(7, 0), &[low("PARange", 0), low("ASIDBits", 4), low("BigEnd", 8), low("SNSMem", 12),
        low("BigEndEL0", 16), low("TGran16", 20), signed("TGran64", 24), signed("TGran4", 28),
        same("TGran16_2", 32), same("TGran64_2", 36), same("TGran4_2", 40), low("ExS", 44),
        low("FGT", 56), low("ECV", 60)]),
    // ID_AA64MMFR1_EL1. SpecSEI is something bad that may happen: a guest must not miss it.
    (id(7, 1), &[low("HAFDBS", 0), low("VMIDBits", 4), low("VH", 8), low("HPDS", 12),
        low("LO", 16), low("PAN", 20), field("SpecSEI", 24, 4, Direction::HigherIsSafe),
        low("XNX", 28), low("TWED", 32), low("ETS", 36), low("HCX", 40), low("AFP", 44),
        low("nTLBPA", 48), low("TIDCP1", 52), low("CMOW", 56), low("ECBHB", 60)]),
    (id(7, 2), &[low("CnP", 0), low("UAO", 4), low("LSM", 8), low("IESB", 12), low("VARange", 16),
        same("CCIDX", 20), NV, low("ST", 28), low("AT", 32), low("IDS", 36), low("FWB", 40),
        low("TTL", 48), low("BBM", 52), low("EVT", 56), low("E0PD", 60)]),
    (id(7, 3), &[TCRX, SCTLRX, S1PIE, low("S2PIE", 12), S1POE, low("S2POE", 20), low("AIE", 24),
        low("MEC", 28), low("D128", 32), low("D128_2", 36), low("Spec_FPACC", 60)]),
    (id(7, 4), &[low("PoPS", 0), signed("EIESB", 4), low("ASID2", 8), low("HACDBS", 12),
        low("FGWTE3", 16), low("NV_frac", 20), signed("E2H0", 24), low("E3DSE", 36)]),
    // CTR_EL0. A guest that takes lines for shorter than they are cleans each more than once; one
    // that takes them for longer leaves some out.
    (0xd801, &[low("IminLine", 0), field("L1Ip", 14, 2, Direction::Same), low("DminLine", 16),
        bit("IDC", 28), bit("DIC", 29)]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_and_no_two_fields_share_a_bit() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (encoding, fields) in TABLE {
            let mut taken = 0;
            for field in *fields {
                assert!(u32::from(field.shift) + u32::from(field.width) <= 64, "{}", field.name);
                assert_eq!(taken & field.mask(), 0, "{encoding:#x} {}", field.name);
                taken |= field.mask();
            }
        }
    }

    #[test]
    fn every_register_has_a_name() {
        for reg in registers() {
            assert!(crate::names::sysreg_name(reg).is_some(), "{reg}");
        }
    }

    #[test]
    fn directions_are_those_of_the_manual() {
        let direction = |reg: u16, name: &str| {
            let field = fields(SysReg(reg)).unwrap().iter().find(|field| field.name == name);
            field.unwrap().direction
        };
        assert_eq!(direction(id(7, 1), "SpecSEI"), Direction::HigherIsSafe);
        assert_eq!(direction(id(6, 1), "APA"), Direction::Same);
        assert_eq!(direction(id(7, 2), "CCIDX"), Direction::Same);
        assert_eq!(direction(id(6, 0), "AES"), Direction::LowerIsSafe);
        assert_eq!(direction(0xd801, "DminLine"), Direction::LowerIsSafe);
        assert!(fields(SysReg(0xc080)).is_none());
    }
}
