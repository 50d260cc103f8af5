//! Registers that the guest sets once, to values that no reset leaves there.

use kit::{cpu, mrs, msr};

/// Sets them, on the CPU that runs this. Performance monitors only where there are any.
pub fn set() {
    msr!("tpidr_el0", 0x0123_4567_89ab_cdef);
    msr!("tpidrro_el0", 0xfedc_ba98_7654_3210);
    msr!("tpidr_el1", 0x5555_aaaa_3333_cccc);
    msr!("contextidr_el1", 0xc0de);
    msr!("cntkctl_el1", 0x3);
    msr!("cpacr_el1", 3 << 20);
    msr!("dbgbvr0_el1", 0x1_0000_4000);
    msr!("dbgbcr0_el1", 0x1e4);
    let monitors = mrs!("id_aa64dfr0_el1") >> 8 & 0xf;
    if !matches!(monitors, 0 | 0xf) {
        // What is in it at reset is UNKNOWN, but for what cannot be written.
        msr!("pmcr_el0", 0);
        msr!("pmcntenset_el0", 1 << 31);
        msr!("pmintenset_el1", 1 << 31);
        msr!("pmselr_el0", 0x1f);
        msr!("pmuserenr_el0", 0x5);
    }
    cpu::barrier();
}
