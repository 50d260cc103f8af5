//! The system registers that are looked at, by encoding: the assembler knows few of the names.

use kit::{Frame, Verdict};

/// Reads one register; nothing if that is UNDEFINED.
pub type Read = fn() -> Option<u64>;

/// A name and a way to read it for each encoding.
macro_rules! registers {
    ($($name:literal $encoding:literal,)*) => {
        &[$(($name, || {
            let (value, undefined): (u64, u64);
            // SAFETY: reading these registers changes nothing; where one is UNDEFINED, `fault`
            // below steps over the instruction and leaves 1 in x1.
            unsafe {
                core::arch::asm!(
                    "mov x0, xzr", "mov x1, xzr", concat!("mrs x0, ", $encoding),
                    out("x0") value, out("x1") undefined, options(nostack));
            }
            (undefined == 0).then_some(value)
        })),*]
    };
}

/// Every identification register that is or may one day be, then the caches', the timer's, the
/// performance monitors' and the debug unit's, and then what a guest sets once and reads back.
#[rustfmt::skip]
pub const ALL: &[(&str, Read)] = registers![
    "MIDR_EL1" "s3_0_c0_c0_0",
    "MPIDR_EL1" "s3_0_c0_c0_5",
    "REVIDR_EL1" "s3_0_c0_c0_6",
    "ID_PFR0_EL1" "s3_0_c0_c1_0",
    "ID_PFR1_EL1" "s3_0_c0_c1_1",
    "ID_DFR0_EL1" "s3_0_c0_c1_2",
    "ID_AFR0_EL1" "s3_0_c0_c1_3",
    "ID_MMFR0_EL1" "s3_0_c0_c1_4",
    "ID_MMFR1_EL1" "s3_0_c0_c1_5",
    "ID_MMFR2_EL1" "s3_0_c0_c1_6",
    "ID_MMFR3_EL1" "s3_0_c0_c1_7",
    "ID_ISAR0_EL1" "s3_0_c0_c2_0",
    "ID_ISAR1_EL1" "s3_0_c0_c2_1",
    "ID_ISAR2_EL1" "s3_0_c0_c2_2",
    "ID_ISAR3_EL1" "s3_0_c0_c2_3",
    "ID_ISAR4_EL1" "s3_0_c0_c2_4",
    "ID_ISAR5_EL1" "s3_0_c0_c2_5",
    "ID_MMFR4_EL1" "s3_0_c0_c2_6",
    "ID_ISAR6_EL1" "s3_0_c0_c2_7",
    "MVFR0_EL1" "s3_0_c0_c3_0",
    "MVFR1_EL1" "s3_0_c0_c3_1",
    "MVFR2_EL1" "s3_0_c0_c3_2",
    "S3_0_C0_C3_3" "s3_0_c0_c3_3",
    "ID_PFR2_EL1" "s3_0_c0_c3_4",
    "ID_DFR1_EL1" "s3_0_c0_c3_5",
    "ID_MMFR5_EL1" "s3_0_c0_c3_6",
    "S3_0_C0_C3_7" "s3_0_c0_c3_7",
    "ID_AA64PFR0_EL1" "s3_0_c0_c4_0",
    "ID_AA64PFR1_EL1" "s3_0_c0_c4_1",
    "ID_AA64PFR2_EL1" "s3_0_c0_c4_2",
    "S3_0_C0_C4_3" "s3_0_c0_c4_3",
    "ID_AA64ZFR0_EL1" "s3_0_c0_c4_4",
    "ID_AA64SMFR0_EL1" "s3_0_c0_c4_5",
    "S3_0_C0_C4_6" "s3_0_c0_c4_6",
    "ID_AA64FPFR0_EL1" "s3_0_c0_c4_7",
    "ID_AA64DFR0_EL1" "s3_0_c0_c5_0",
    "ID_AA64DFR1_EL1" "s3_0_c0_c5_1",
    "ID_AA64DFR2_EL1" "s3_0_c0_c5_2",
    "S3_0_C0_C5_3" "s3_0_c0_c5_3",
    "ID_AA64AFR0_EL1" "s3_0_c0_c5_4",
    "ID_AA64AFR1_EL1" "s3_0_c0_c5_5",
    "S3_0_C0_C5_6" "s3_0_c0_c5_6",
    "S3_0_C0_C5_7" "s3_0_c0_c5_7",
    "ID_AA64ISAR0_EL1" "s3_0_c0_c6_0",
    "ID_AA64ISAR1_EL1" "s3_0_c0_c6_1",
    "ID_AA64ISAR2_EL1" "s3_0_c0_c6_2",
    "ID_AA64ISAR3_EL1" "s3_0_c0_c6_3",
    "S3_0_C0_C6_4" "s3_0_c0_c6_4",
    "S3_0_C0_C6_5" "s3_0_c0_c6_5",
    "S3_0_C0_C6_6" "s3_0_c0_c6_6",
    "S3_0_C0_C6_7" "s3_0_c0_c6_7",
    "ID_AA64MMFR0_EL1" "s3_0_c0_c7_0",
    "ID_AA64MMFR1_EL1" "s3_0_c0_c7_1",
    "ID_AA64MMFR2_EL1" "s3_0_c0_c7_2",
    "ID_AA64MMFR3_EL1" "s3_0_c0_c7_3",
    "ID_AA64MMFR4_EL1" "s3_0_c0_c7_4",
    "S3_0_C0_C7_5" "s3_0_c0_c7_5",
    "S3_0_C0_C7_6" "s3_0_c0_c7_6",
    "S3_0_C0_C7_7" "s3_0_c0_c7_7",
    "CLIDR_EL1" "s3_1_c0_c0_1",
    "CCSIDR2_EL1" "s3_1_c0_c0_2",
    "GMID_EL1" "s3_1_c0_c0_4",
    "SMIDR_EL1" "s3_1_c0_c0_6",
    "AIDR_EL1" "s3_1_c0_c0_7",
    "CTR_EL0" "s3_3_c0_c0_1",
    "DCZID_EL0" "s3_3_c0_c0_7",
    "CNTFRQ_EL0" "s3_3_c14_c0_0",
    "CNTKCTL_EL1" "s3_0_c14_c1_0",
    "PMCR_EL0" "s3_3_c9_c12_0",
    "PMCNTENSET_EL0" "s3_3_c9_c12_1",
    "PMSELR_EL0" "s3_3_c9_c12_5",
    "PMCEID0_EL0" "s3_3_c9_c12_6",
    "PMCEID1_EL0" "s3_3_c9_c12_7",
    "PMUSERENR_EL0" "s3_3_c9_c14_0",
    "PMINTENSET_EL1" "s3_0_c9_c14_1",
    "PMMIR_EL1" "s3_0_c9_c14_6",
    "PMOVSSET_EL0" "s3_3_c9_c14_3",
    "PMCCFILTR_EL0" "s3_3_c14_c15_7",
    "PMSIDR_EL1" "s3_0_c9_c9_7",
    "TRBIDR_EL1" "s3_0_c9_c11_7",
    "ERRIDR_EL1" "s3_0_c5_c3_0",
    "MPAMIDR_EL1" "s3_0_c10_c4_4",
    "LORID_EL1" "s3_0_c10_c4_7",
    "DBGAUTHSTATUS_EL1" "s2_0_c7_c14_6",
    "MDRAR_EL1" "s2_0_c1_c0_0",
    "OSLSR_EL1" "s2_0_c1_c1_4",
    "OSDLR_EL1" "s2_0_c1_c3_4",
    "MDSCR_EL1" "s2_0_c0_c2_2",
    "DBGBVR0_EL1" "s2_0_c0_c0_4",
    "DBGBCR0_EL1" "s2_0_c0_c0_5",
    "SCTLR_EL1" "s3_0_c1_c0_0",
    "ACTLR_EL1" "s3_0_c1_c0_1",
    "CPACR_EL1" "s3_0_c1_c0_2",
    "SCTLR2_EL1" "s3_0_c1_c0_3",
    "TCR2_EL1" "s3_0_c2_c0_3",
    "PIR_EL1" "s3_0_c10_c2_3",
    "PIRE0_EL1" "s3_0_c10_c2_2",
    "POR_EL1" "s3_0_c10_c2_4",
    "TCR_EL1" "s3_0_c2_c0_2",
    "MAIR_EL1" "s3_0_c10_c2_0",
    "AMAIR_EL1" "s3_0_c10_c3_0",
    "VBAR_EL1" "s3_0_c12_c0_0",
    "CONTEXTIDR_EL1" "s3_0_c13_c0_1",
    "TPIDR_EL1" "s3_0_c13_c0_4",
    "TPIDR_EL0" "s3_3_c13_c0_2",
    "TPIDRRO_EL0" "s3_3_c13_c0_3",
    "AFSR0_EL1" "s3_0_c5_c1_0",
    "AFSR1_EL1" "s3_0_c5_c1_1",
    "ICC_CTLR_EL1" "s3_0_c12_c12_4",
    "ICC_SRE_EL1" "s3_0_c12_c12_5",
    "ICC_PMR_EL1" "s3_0_c4_c6_0",
    "ICC_BPR0_EL1" "s3_0_c12_c8_3",
    "ICC_BPR1_EL1" "s3_0_c12_c12_3",
    "ICC_IGRPEN0_EL1" "s3_0_c12_c12_6",
    "ICC_IGRPEN1_EL1" "s3_0_c12_c12_7",
];

/// Steps over an instruction that is UNDEFINED here, or trapped and not emulated.
pub fn fault(frame: &mut Frame) -> Verdict {
    const UNKNOWN: u64 = 0;
    const TRAPPED: u64 = 0x18;
    if !matches!(frame.class(), UNKNOWN | TRAPPED) {
        return Verdict::Fatal;
    }
    frame.x[1] = 1;
    frame.elr += 4;
    Verdict::Handled
}
