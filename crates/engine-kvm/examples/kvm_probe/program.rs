//! The guests' instructions, assembled with this program.
#![expect(unsafe_code, reason = "assembly, and the names of its labels")]

// Runs at any address with the MMU off. x9 = UART, x8 = where results are written,
// x7 = a place where nothing answers or RAM, x6 = ESR_EL1 of the last exception.
std::arch::global_asm!(
    ".pushsection .rodata.probe_guest, \"a\"",
    ".balign 2048",
    ".global probe_guest_start",
    "probe_guest_start:",
    "    movz x9, #0x0900, lsl #16",
    "    movz x8, #0x0900, lsl #16",
    "    movk x8, #0x1000",
    "    movz x7, #0x0a00, lsl #16",
    "    adr x0, 90f",
    "    msr vbar_el1, x0",
    "    isb",
    "    adr x1, 80f",
    "1:  ldrb w0, [x1], #1",
    "    cbz w0, 2f",
    "    str w0, [x9]",
    "    b 1b",
    "2:  ldr w0, [x9, #0x18]",
    "    str x0, [x8, #0]",
    "    mrs x0, midr_el1",
    "    str x0, [x8, #8]",
    "    mrs x0, id_aa64pfr0_el1",
    "    str x0, [x8, #16]",
    "    mrs x0, id_aa64dfr0_el1",
    "    str x0, [x8, #24]",
    "    mrs x0, id_aa64mmfr0_el1",
    "    str x0, [x8, #32]",
    "    mrs x0, ctr_el0",
    "    str x0, [x8, #40]",
    "    mrs x0, dczid_el0",
    "    str x0, [x8, #48]",
    "    mrs x0, cntfrq_el0",
    "    str x0, [x8, #56]",
    "    mrs x0, CurrentEL",
    "    str x0, [x8, #64]",
    "    mov x6, #0",
    "    ldr x0, [x7]",
    "    str x6, [x8, #72]",
    "    mov x6, #0",
    "    str x0, [x7]",
    "    str x6, [x8, #80]",
    "    mov x6, #0",
    "    ldp x0, x1, [x9]",
    "    str x6, [x8, #88]",
    "    movz x0, #0x8400, lsl #16",
    "    hvc #0",
    "    str x0, [x8, #96]",
    // All ID registers of CRm 1 to 7, then CLIDR_EL1 and CTR_EL0. No writeback: an access to a
    // device with it has no syndrome, and KVM cannot tell what was to be stored.
    "    add x4, x8, #0x400",
    ".irp crm, 1, 2, 3, 4, 5, 6, 7",
    ".irp op2, 0, 1, 2, 3, 4, 5, 6, 7",
    "    mrs x0, s3_0_c0_c\\crm\\()_\\op2",
    "    str x0, [x4]",
    "    add x4, x4, #8",
    ".endr",
    ".endr",
    "    mrs x0, clidr_el1",
    "    str x0, [x4]",
    "    add x4, x4, #8",
    "    mrs x0, ctr_el0",
    "    str x0, [x4]",
    "    add x4, x4, #8",
    "    movz x7, #0x4001, lsl #16",
    "    str x7, [x7]",
    "    movz x7, #0x4010, lsl #16",
    "    str x7, [x7]",
    "    ldr w0, [x9, #0x1c]",
    ".global probe_guest_after_read",
    "probe_guest_after_read:",
    "    nop",
    ".global probe_guest_spin",
    "probe_guest_spin:",
    "    cbz x20, probe_guest_spin",
    "    movz x0, #0x8400, lsl #16",
    "    movk x0, #0x0008",
    "    hvc #0",
    "    b .",
    "80: .asciz \"guest runs\\n\"",
    ".balign 2048",
    "90: .skip 0x200",
    "    mrs x6, esr_el1",
    "    mrs x5, elr_el1",
    "    add x5, x5, #4",
    "    msr elr_el1, x5",
    "    eret",
    ".balign 2048",
    ".global probe_guest_end",
    "probe_guest_end:",
    ".popsection",
);

// Two CPUs. The first starts the second at `probe_second` by PSCI, waits until it has written to
// RAM, reports what it wrote and powers off; the second reports its MPIDR_EL1 and turns itself off.
std::arch::global_asm!(
    ".pushsection .rodata.probe_pair, \"a\"",
    ".balign 2048",
    ".global probe_pair_start",
    "probe_pair_start:",
    "    movz x8, #0x0900, lsl #16",
    "    movk x8, #0x1000",
    // CPU_ON of affinity 1 with x0 = 0x77.
    "    movz x0, #0xc400, lsl #16",
    "    movk x0, #0x0003",
    "    mov x1, #1",
    "    adr x2, 10f",
    "    mov x3, #0x77",
    "    hvc #0",
    "    str x0, [x8, #0]",
    "    movz x7, #0x4001, lsl #16",
    "1:  ldr x0, [x7]",
    "    cbz x0, 1b",
    "    str x0, [x8, #8]",
    // AFFINITY_INFO of affinity 1 until it says off.
    "2:  movz x0, #0xc400, lsl #16",
    "    movk x0, #0x0004",
    "    mov x1, #1",
    "    mov x2, #0",
    "    hvc #0",
    "    cmp x0, #1",
    "    b.ne 2b",
    "    movz x0, #0x8400, lsl #16",
    "    movk x0, #0x0008",
    "    hvc #0",
    "    b .",
    "10: movz x8, #0x0900, lsl #16",
    "    movk x8, #0x1000",
    "    mrs x1, mpidr_el1",
    "    str x1, [x8, #16]",
    "    movz x7, #0x4001, lsl #16",
    "    str x0, [x7]",
    "    dsb sy",
    "    movz x0, #0x8400, lsl #16",
    "    movk x0, #0x0002",
    "    hvc #0",
    "    b .",
    ".balign 2048",
    ".global probe_pair_end",
    "probe_pair_end:",
    ".popsection",
);

// Writes to x12 places, x11 bytes apart from x10 on, tells, and begins anew with what the registers
// hold then.
std::arch::global_asm!(
    ".pushsection .rodata.probe_writer, \"a\"",
    ".balign 2048",
    ".global probe_writer_start",
    "probe_writer_start:",
    "    movz x8, #0x0900, lsl #16",
    "    movk x8, #0x1000",
    "1:  cbz x12, 2f",
    "    str x12, [x10]",
    "    add x10, x10, x11",
    "    sub x12, x12, #1",
    "    b 1b",
    "2:  str x12, [x8]",
    "    b 1b",
    ".global probe_writer_end",
    "probe_writer_end:",
    ".popsection",
);

// SAFETY: the labels are defined above, in read-only memory.
unsafe extern "C" {
    safe static probe_guest_start: u8;
    safe static probe_guest_after_read: u8;
    safe static probe_guest_spin: u8;
    safe static probe_guest_end: u8;
    safe static probe_pair_start: u8;
    safe static probe_pair_end: u8;
    safe static probe_writer_start: u8;
    safe static probe_writer_end: u8;
}

/// Where the instruction after the device read stands, in bytes from the start.
pub fn after_read() -> usize {
    offset_of(&probe_guest_after_read)
}

/// Where the guest spins until x20 is not 0.
pub fn spin() -> usize {
    offset_of(&probe_guest_spin)
}

fn offset_of(label: &'static u8) -> usize {
    std::ptr::from_ref(label).addr() - std::ptr::from_ref(&probe_guest_start).addr()
}

/// The guest, to be put at any 2 KiB boundary.
pub fn program() -> &'static [u8] {
    let len = offset_of(&probe_guest_end);
    // SAFETY: both labels are in the one section above, so all bytes between are its.
    unsafe { std::slice::from_raw_parts(&raw const probe_guest_start, len) }
}

/// The guest of two CPUs.
pub fn pair() -> &'static [u8] {
    let start = std::ptr::from_ref(&probe_pair_start).addr();
    let len = std::ptr::from_ref(&probe_pair_end).addr() - start;
    // SAFETY: both labels are in the one section above, so all bytes between are its.
    unsafe { std::slice::from_raw_parts(&raw const probe_pair_start, len) }
}

/// The guest that writes where it is told.
pub fn writer() -> &'static [u8] {
    let start = std::ptr::from_ref(&probe_writer_start).addr();
    let len = std::ptr::from_ref(&probe_writer_end).addr() - start;
    // SAFETY: both labels are in the one section above, so all bytes between are its.
    unsafe { std::slice::from_raw_parts(&raw const probe_writer_start, len) }
}
