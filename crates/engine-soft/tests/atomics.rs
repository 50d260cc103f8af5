//! Atomic operations at the edges and under threads; their results are among the vectors.

mod support;

use std::sync::Arc;

use abide_arm64::{SysReg, kvm};
use abide_engine::{Engine, InterruptLines, Stop, VmConfig};
use abide_engine_soft::SoftEngine;
use abide_engine_soft::cpu_model::CpuModel;
use abide_memory::GuestRam;
use abide_reg::{Gpa, Value, VcpuId};
use support::{
    CODE, DATA, DEVICE, EL1H, ESR, FAR, Guest, HVC, RAM_BASE, RAM_LEN, SCTLR, TCR, TTBR0, Tables,
    TestBus, TestClock, asm, pte,
};

const VA: u64 = 0x10_0000_0000;
const ABORT: u64 = 0x25 << 26 | 1 << 25;
const WNR: u64 = 1 << 6;
const ALIGNMENT: u64 = 0x21;

/// LDADD x2, x3, [x1]
const LDADD: u32 = 0xf822_0023;
/// CASP x2, x3, x4, x5, [x1]
const CASP: u32 = 0x4822_7c24;
/// CASAL x2, x3, [x1]
const CASAL: u32 = 0xc8e2_fc23;
/// SWPH w2, w3, [x1]
const SWPH: u32 = 0x7822_8023;
/// LDAPR x3, [x1]
const LDAPR: u32 = 0xf8bf_c023;

/// FEAT_LSE and FEAT_LRCPC beside the base set.
static MODEL: CpuModel = CpuModel {
    name: "atomics",
    registers: &[
        (SysReg::new(3, 3, 0, 0, 1), 0x8444_c004),
        (SysReg::new(3, 0, 0, 4, 0), 0x1000_0000_01ff_0011),
        (SysReg::new(3, 0, 0, 6, 0), 0x0020_0000),
        (SysReg::new(3, 0, 0, 6, 1), 0x0010_0000),
        (SysReg::new(3, 0, 0, 7, 0), 0x0f00_0022),
    ],
};

fn guest() -> Guest {
    let mut guest = Guest::with_model(&MODEL);
    let mut tables = Tables::new(RAM_BASE + 0x80_0000);
    for at in (0..RAM_LEN).step_by(2 << 20) {
        let pa = RAM_BASE + at;
        tables.map(&guest, pa, 2, pa | pte::BLOCK | pte::AF);
    }
    tables.map(&guest, VA, 3, DATA | pte::PAGE | pte::AF);
    tables.map(&guest, VA + 0x1000, 3, DATA | pte::PAGE | pte::AF | pte::READ_ONLY);
    guest.set_sys(TTBR0, tables.root());
    guest.set_sys(TCR, 25 | 25 << 16 | 2 << 30 | 2 << 32);
    guest.set_sys(SCTLR, 0x00c5_0078 | 1);
    guest.stop_at_vectors();
    guest
}

#[test]
fn faults_name_the_access_that_failed() {
    let mut guest = guest();
    for word in [LDADD, CASP, CASAL, SWPH] {
        for (base, esr) in [
            // A read would have failed as well.
            (VA + 0x2000, ABORT | 7),
            (VA + 0x1000, ABORT | WNR | 0xf),
            (VA + 1, ABORT | WNR | ALIGNMENT),
        ] {
            guest.set_x(1, base);
            guest.set_x(3, 0x1234);
            guest.run(&[word]);
            assert_eq!((guest.sys(ESR), guest.sys(FAR)), (esr, base), "{word:#x}");
            assert_eq!(guest.x(3), 0x1234);
        }
    }
    // 8 bytes are enough for LDADD, not for a pair.
    guest.set_x(1, VA + 8);
    guest.run(&[CASP]);
    assert_eq!(guest.sys(ESR), ABORT | WNR | ALIGNMENT);
    guest.run(&[LDADD]);
    assert_eq!(guest.pc(), CODE + 8);
    guest.set_x(1, VA + 0x1004);
    guest.run(&[LDAPR]);
    assert_eq!(guest.sys(ESR), ABORT | ALIGNMENT);
}

/// What no RAM is behind takes no atomic operation.
#[test]
fn devices_refuse() {
    let mut guest = guest();
    guest.set_sys(SCTLR, 0x00c5_0078);
    guest.set_x(1, DEVICE);
    guest.run(&[LDADD]);
    assert_eq!(guest.sys(ESR), ABORT | WNR | 0x35);
    assert!(guest.bus.writes.lock().unwrap().is_empty());
}

#[test]
fn hidden_is_undefined() {
    let mut guest = Guest::new();
    guest.stop_at_vectors();
    for word in [LDADD, CASP, CASAL, SWPH, LDAPR] {
        guest.set_x(1, DATA);
        guest.run(&[word]);
        assert_eq!((guest.vector(), guest.sys(ESR)), (0x200, 1 << 25), "{word:#x}");
    }
}

/// A page that only an atomic operation wrote to is found by a harvest.
#[test]
fn the_dirty_log_sees_them() {
    let mut guest = guest();
    guest.ram.dirty().start();
    guest.set_x(1, VA);
    guest.set_x(2, 1);
    guest.run(&[LDADD]);
    let pages: Vec<u64> = guest.ram.dirty().harvest().iter().collect();
    assert!(pages.contains(&((DATA - RAM_BASE) >> 12)), "{pages:?}");
    guest.run(&[LDADD]);
    let pages: Vec<u64> = guest.ram.dirty().harvest().iter().collect();
    assert!(pages.contains(&((DATA - RAM_BASE) >> 12)), "{pages:?}");
}

/// Adds 1 by LDADD at x1, by a loop of CAS at x1 + 64 and by one of CASP, in both halves of a pair,
/// at x1 + 128; x10 times.
#[rustfmt::skip]
const COUNT: [u32; 17] = [
    asm::mov(11, 1),
    asm::add(12, 1, 64),
    asm::add(13, 1, 128),
    0xf82b_003f, // stadd x11, [x1]
    asm::ldr(2, 12),
    asm::add(3, 2, 1),
    0x9100_0044, // mov x4, x2 (add x4, x2, #0)
    0xc8a2_7d83, // cas x2, x3, [x12]
    0xeb02_009f, // cmp x4, x2
    asm::b_cond(asm::NE, -5),
    0xa940_15a4, // ldp x4, x5, [x13]
    asm::add(6, 4, 1),
    asm::add(7, 5, 1),
    0xaa04_03e8, // mov x8, x4
    0x4824_7da6, // casp x4, x5, x6, x7, [x13]
    0xeb04_011f, // cmp x8, x4
    asm::b_cond(asm::NE, -6),
];

#[test]
fn threads_lose_no_update() {
    const THREADS: u32 = 2;
    const TIMES: u64 = 30_000;
    let ram = Arc::new(GuestRam::new(Gpa(RAM_BASE), RAM_LEN).unwrap());
    let config = VmConfig {
        vcpu_count: THREADS,
        cntfrq_hz: 62_500_000,
        ram: Arc::clone(&ram),
        clock: Arc::new(TestClock::default()),
        gicd: Gpa(0),
        gicr: Gpa(0),
        gic_intids: 64,
        features: abide_arm64::features::CpuFeatures::NONE,
    };
    let mut vm = SoftEngine::with_model(&MODEL).create_vm(config).unwrap();
    let mut program = COUNT.to_vec();
    program.extend([asm::subs(10, 10, 1), asm::b_cond(asm::NE, -15), HVC]);
    let bytes: Vec<u8> = program.iter().flat_map(|word| word.to_le_bytes()).collect();
    ram.write(Gpa(CODE), &bytes).unwrap();
    let vcpus: Vec<_> = (0..THREADS)
        .map(|number| {
            let mut vcpu =
                vm.create_vcpu(VcpuId(number), Arc::<InterruptLines>::default()).unwrap();
            vcpu.power_on(Gpa(CODE), 0).unwrap();
            for (id, value) in [(1, DATA), (10, TIMES)] {
                vcpu.store(kvm::x(id), &Value::u64(value)).unwrap();
            }
            vcpu.store(kvm::PSTATE, &Value::u64(EL1H)).unwrap();
            vcpu
        })
        .collect();
    std::thread::scope(|scope| {
        for mut vcpu in vcpus {
            scope.spawn(move || {
                let bus = TestBus::default();
                while vcpu.run(10_000, &bus).unwrap() == Stop::Budget {}
            });
        }
    });
    let word = |at: u64| {
        let mut bytes = [0; 8];
        ram.read(Gpa(DATA + at), &mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    };
    let expected = u64::from(THREADS) * TIMES;
    assert_eq!([word(0), word(64), word(128), word(136)], [expected; 4]);
}
