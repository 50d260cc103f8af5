//! Every function at every PSCI version, with numbers typed from the specifications.

use abide_firmware::{Caller, Effect, Environment, Firmware, PtpCounter, PtpSample, Reply};
use abide_firmware::{ImplementationCpu, fuzz_call};
use abide_reg::{Gpa, RegId, Registers, Value, VcpuId};
use proptest::prelude::*;

const VERSIONS: [u64; 5] = [0x2, 0x1_0000, 0x1_0001, 0x1_0002, 0x1_0003];
const NOT_SUPPORTED: u64 = u64::MAX;
const INVALID_PARAMETERS: u64 = u64::MAX - 1;
const INTERNAL_FAILURE: u64 = u64::MAX - 5;
const ALREADY_ON: u64 = u64::MAX - 3;

/// Two clusters of two: affinities 0, 1, 0x100, 0x1_0000_0000. Only the first runs.
struct Board {
    on: [bool; 4],
    entropy: Vec<u64>,
    sample: Option<PtpSample>,
    /// Where the first vCPU's record of stolen time is, and how often it was begun.
    record: (Option<Gpa>, u32),
}

impl Default for Board {
    fn default() -> Self {
        let on = [true, false, false, false];
        Self { on, entropy: Vec::new(), sample: None, record: (None, 0) }
    }
}

impl Environment for Board {
    fn vcpu_count(&self) -> u32 {
        4
    }
    fn mpidr(&self, vcpu: VcpuId) -> u64 {
        0x8000_0000 | [0, 1, 0x100, 0x1_0000_0000][vcpu.index()]
    }
    fn is_on(&self, vcpu: VcpuId) -> bool {
        self.on[vcpu.index()]
    }
    fn entropy(&mut self) -> Option<u64> {
        self.entropy.pop()
    }
    fn ptp(&self, counter: PtpCounter) -> Option<PtpSample> {
        self.sample.map(|sample| match counter {
            PtpCounter::Virtual => sample,
            PtpCounter::Physical => PtpSample { counter_ticks: sample.counter_ticks + 7, ..sample },
        })
    }
    fn stolen_time_record(&self, vcpu: VcpuId) -> Option<Gpa> {
        self.record.0.filter(|_| vcpu == VcpuId(0))
    }
    fn begin_stolen_time(&mut self, vcpu: VcpuId) {
        assert_eq!(vcpu, VcpuId(0));
        self.record.1 += 1;
    }
}

fn firmware(version: u64) -> Firmware {
    with(0x6030_0000_0014_0000, version)
}

fn with(id: u64, value: u64) -> Firmware {
    let mut firmware = Firmware::newest();
    firmware.store(RegId::Kvm(id), &Value::u64(value)).expect("a value that KVM takes");
    firmware
}

fn call(firmware: &Firmware, args: [u64; 4], board: &mut Board) -> Reply {
    firmware.call(Caller::aarch64(VcpuId(0)), &args, board).expect("a function of the firmware")
}

fn answer(firmware: &Firmware, args: [u64; 4]) -> [u64; 4] {
    let reply = call(firmware, args, &mut Board::default());
    assert_eq!(reply.effect, None, "{args:x?}");
    reply.regs
}

/// x0 at each of [`VERSIONS`], then the effect where x0 is that of the newest version.
type Row = (u64, [u64; 3], [u64; 5], Option<Effect>);

#[test]
fn every_function_at_every_version() {
    const NO: u64 = NOT_SUPPORTED;
    const FAIL: u64 = INTERNAL_FAILURE;
    const BAD: u64 = INVALID_PARAMETERS;
    let on = |entry, context_id| {
        let target = VcpuId(1);
        Some(Effect::CpuOn { target, entry: Gpa(entry), context_id, is_big_endian: false })
    };
    let reset2 = |reset_type, cookie| Some(Effect::SystemReset2 { reset_type, cookie });
    let high = 0xffff_ffff_0000_0000;
    #[rustfmt::skip]
    let rows: &[Row] = &[
        (0x8400_0000, [0, 0, 0], VERSIONS, None),
        (0x8400_0001, [1, 2, 3], [0; 5], Some(Effect::Suspend)),
        (0xc400_0001, [1, 2, 3], [0; 5], Some(Effect::Suspend)),
        (0x8400_0002, [0, 0, 0], [0; 5], Some(Effect::CpuOff)),
        (0x8400_0003, [high | 1, high | 0x4000, high | 5], [0; 5], on(0x4000, 5)),
        (0xc400_0003, [1, high | 0x4000, high | 5], [0; 5], on(high | 0x4000, high | 5)),
        (0xc400_0003, [high | 1, 0, 0], [BAD; 5], None),
        (0x8400_0004, [high | 1, high, 0], [1; 5], None),
        (0xc400_0004, [1, 0, 0], [1; 5], None),
        (0xc400_0004, [1, high, 0], [BAD; 5], None),
        (0x8400_0005, [0, 0, 0], [NO; 5], None),
        (0xc400_0005, [0, 0, 0], [NO; 5], None),
        (0x8400_0006, [0, 0, 0], [2; 5], None),
        (0x8400_0007, [0, 0, 0], [NO; 5], None),
        (0x8400_0008, [0, 0, 0], [FAIL; 5], Some(Effect::SystemOff)),
        (0xc400_0008, [0, 0, 0], [NO; 5], None),
        (0x8400_0009, [0, 0, 0], [FAIL; 5], Some(Effect::SystemReset)),
        (0x8400_000a, [0x8400_0000, 0, 0], [NO, 0, 0, 0, 0], None),
        (0x8400_000e, [0, 0, 0], [NO; 5], None),
        (0xc400_000e, [0, 0, 0], [NO; 5], None),
        (0x8400_0012, [0, high | 9, 0], [NO, NO, FAIL, FAIL, FAIL], reset2(0, 9)),
        (0xc400_0012, [0, high | 9, 0], [NO, NO, FAIL, FAIL, FAIL], reset2(0, high | 9)),
        (0xc400_0012, [0x8000_0000, 1, 0], [NO, NO, FAIL, FAIL, FAIL], reset2(0x8000_0000, 1)),
        (0xc400_0012, [1, 0, 0], [NO, NO, BAD, BAD, BAD], None),
        (0xc400_0012, [0x7fff_ffff, 0, 0], [NO, NO, BAD, BAD, BAD], None),
        (0x8400_0015, [0, 0, 0], [NO, NO, NO, NO, FAIL], Some(Effect::SystemOff2)),
        (0x8400_0015, [1, high, 0], [NO, NO, NO, NO, FAIL], Some(Effect::SystemOff2)),
        (0xc400_0015, [high | 1, 0, 0], [NO, NO, NO, NO, FAIL], Some(Effect::SystemOff2)),
        (0xc400_0015, [1, high, 0], [NO, NO, NO, NO, BAD], None),
        (0xc400_0015, [2, 0, 0], [NO, NO, NO, NO, BAD], None),
        (0x8400_001f, [0, 0, 0], [NO; 5], None),
    ];
    for &(function, [x1, x2, x3], expected, effect) in rows {
        for (version, x0) in VERSIONS.into_iter().zip(expected) {
            let args = [high | function, x1, x2, x3];
            let reply = call(&firmware(version), args, &mut Board::default());
            assert_eq!(reply.regs[0], x0, "{function:#x} at {version:#x}");
            let effect = effect.filter(|_| x0 == expected[4]);
            assert_eq!(reply.effect, effect, "{function:#x} at {version:#x}");
        }
    }
}

#[test]
fn psci_features_tells_of_what_exists() {
    const NO: u64 = NOT_SUPPORTED;
    let since_0_2 = [NO, 0, 0, 0, 0];
    let since_1_1 = [NO, NO, 0, 0, 0];
    let since_1_3 = [NO, NO, NO, NO, 1];
    #[rustfmt::skip]
    let rows = [
        (0x8400_0000, since_0_2), (0x8400_0001, since_0_2), (0xc400_0001, since_0_2),
        (0x8400_0002, since_0_2), (0x8400_0003, since_0_2), (0xc400_0003, since_0_2),
        (0x8400_0004, since_0_2), (0xc400_0004, since_0_2), (0x8400_0006, since_0_2),
        (0x8400_0008, since_0_2), (0x8400_0009, since_0_2), (0x8400_000a, since_0_2),
        (0x8000_0000, since_0_2), (0x8400_0012, since_1_1), (0xc400_0012, since_1_1),
        (0x8400_0015, since_1_3), (0xc400_0015, since_1_3), (0x8400_0005, [NO; 5]),
        (0x8000_0001, [NO; 5]), (0xc400_000e, [NO; 5]), (0x8400_0050, [NO; 5]),
    ];
    for (function, expected) in rows {
        for (version, x0) in VERSIONS.into_iter().zip(expected) {
            let args = [0x8400_000a, 0xdead_0000_0000_0000 | function, 0, 0];
            let regs = answer(&firmware(version), args);
            assert_eq!(regs, [x0, 0, 0, 0], "{function:#x} at {version:#x}");
        }
    }
}

#[test]
fn cpu_on_finds_its_target_by_affinity() {
    let firmware = Firmware::default();
    let mut board = Board::default();
    for (affinity, target) in [(0x100, 2), (0x1_0000_0000, 3)] {
        let reply = call(&firmware, [0xc400_0003, affinity, 0x4000_0000, 0], &mut board);
        assert!(
            matches!(reply.effect, Some(Effect::CpuOn { target: VcpuId(n), .. }) if n == target)
        );
    }
    assert_eq!(answer(&firmware, [0xc400_0003, 0, 0, 0])[0], ALREADY_ON);
    // Bit 31 of MPIDR is no part of the affinity; nobody has affinity 2.
    for affinity in [0x8000_0001, 2, 0x1_0000_0001, u64::MAX] {
        assert_eq!(answer(&firmware, [0xc400_0003, affinity, 0, 0])[0], INVALID_PARAMETERS);
    }
}

#[test]
fn cpu_on_passes_the_callers_byte_order_on() {
    let caller = Caller { is_big_endian: true, ..Caller::aarch64(VcpuId(0)) };
    let reply = Firmware::default().call(caller, &[0xc400_0003, 1, 0, 0], &mut Board::default());
    assert!(matches!(
        reply.and_then(|reply| reply.effect),
        Some(Effect::CpuOn { is_big_endian: true, .. })
    ));
}

#[test]
fn affinity_info_looks_at_whole_levels() {
    let firmware = Firmware::default();
    let info = |affinity, level| answer(&firmware, [0xc400_0004, affinity, level, 0])[0];
    assert_eq!([info(0, 0), info(1, 0), info(0x100, 0)], [0, 1, 1]);
    // Level 1: CPUs 0 and 1 together; level 2 adds 0x100; level 3 is Aff3 alone.
    assert_eq!([info(1, 1), info(0x100, 1), info(0x1ff, 2), info(0xff_ffff, 3)], [0, 1, 0, 0]);
    assert_eq!(info(0x1_00ff_ffff, 3), 1);
    for (affinity, level) in [(2, 0), (0x200, 1), (0x1_0000, 2), (0x2_0000_0000, 3)] {
        assert_eq!(info(affinity, level), INVALID_PARAMETERS, "{affinity:#x} level {level}");
    }
    assert_eq!([info(0, 4), info(1 << 24, 0), info(1 << 40, 3)], [INVALID_PARAMETERS; 3]);
}

#[test]
fn aarch32_callers_have_no_64_bit_psci() {
    let caller = Caller { is_aarch32: true, ..Caller::aarch64(VcpuId(0)) };
    let firmware = Firmware::newest();
    let ask = |args| firmware.call(caller, &args, &mut Board::default()).unwrap().regs[0];
    assert_eq!(ask([0xc400_0003, 1, 0, 0]), NOT_SUPPORTED);
    assert_eq!(ask([0x8400_0003, 1, 0, 0]), 0);
    assert_eq!(ask([0x8400_000a, 0xc400_0003, 0, 0]), NOT_SUPPORTED);
    assert_eq!(ask([0x8400_000a, 0x8400_0003, 0, 0]), 0);
}

#[test]
fn system_reset2_leaves_its_arguments_to_the_machine() {
    let reply =
        call(&firmware(0x1_0001), [0x8400_0012, 1 << 63, 2 << 40 | 7, 9], &mut Board::default());
    assert_eq!(reply.regs, [INTERNAL_FAILURE, 0, 7, 9]);
}

#[test]
fn architecture_calls_follow_the_workaround_registers() {
    let features = |firmware: &Firmware, id| answer(firmware, [0x8000_0001, id, 0, 0])[0];
    assert_eq!(answer(&Firmware::default(), [0x8000_0000, 0, 0, 0]), [0x1_0001, 0, 0, 0]);
    for (reg, id) in [(1, 0x8000_8000), (3, 0x8000_3fff)] {
        for (level, x0) in [(0, NOT_SUPPORTED), (1, 0), (2, 1)] {
            let firmware = with(0x6030_0000_0014_0000 + reg, level);
            assert_eq!(features(&firmware, id), x0, "workaround {reg} at {level}");
        }
    }
    for (level, x0) in [(0, NOT_SUPPORTED), (3, u64::MAX - 1)] {
        assert_eq!(features(&with(0x6030_0000_0014_0002, level), 0x8000_7fff), x0);
    }
    for (bit, x0) in [(0, NOT_SUPPORTED), (1, 0)] {
        let firmware = with(0x6030_0000_0016_0001, bit);
        assert_eq!(features(&firmware, 0xc500_0020), x0);
        assert_eq!(firmware.offers_pv_time(), bit == 1);
    }
    for id in [0x8000_0000, 0x8000_0001, 0x8000_0002, 0x8400_0050, 0xc500_0021] {
        assert_eq!(features(&Firmware::default(), id), NOT_SUPPORTED, "{id:#x}");
    }
    for function in [0x8000_0002, 0xc000_0002, 0x8000_1234] {
        assert_eq!(answer(&Firmware::default(), [function, 0, 0, 0])[0], NOT_SUPPORTED);
    }
    for function in [0x8000_8000, 0x8000_7fff, 0x8000_3fff] {
        assert_eq!(answer(&Firmware::default(), [function, 1, 2, 3]), [0, 0, 2, 3]);
    }
}

#[test]
fn stolen_time_is_told_to_who_has_a_record_if_the_bitmap_has_it() {
    let record = Gpa(0x90a_0040);
    let told = |bit, found, vcpu| {
        let firmware = with(0x6030_0000_0016_0001, bit);
        let mut board = Board { record: (found, 0), ..Board::default() };
        let mut call = |function: u64, about: u64| {
            let reply =
                firmware.call(Caller::aarch64(VcpuId(vcpu)), &[function, about, 7, 7], &mut board);
            let reply = reply.expect("a function of the firmware");
            assert_eq!((&reply.regs[1..], reply.effect), (&[0; 3][..], None));
            reply.regs[0]
        };
        // The upper half of the argument has no meaning.
        let about = [0xc500_0020, 0xc500_0021, 0xffff_ffff_c500_0021, 0xc500_0022, 0x8500_0020, 0];
        let features = about.map(|about| call(0xc500_0020, about));
        assert_eq!(features[0], features[1]);
        assert_eq!(features[0], features[2]);
        assert_eq!(features[3..], [NOT_SUPPORTED; 3]);
        let answers = [features[0], call(0xc500_0021, 0)];
        (answers, board.record.1)
    };
    assert_eq!(told(1, Some(record), 0), ([0, record.0], 1));
    for (bit, found, vcpu) in [(0, Some(record), 0), (1, None, 0), (1, Some(record), 1)] {
        assert_eq!(told(bit, found, vcpu), ([NOT_SUPPORTED; 2], 0));
    }
    // The number of drafts, and the functions as they would be with 32-bit arguments.
    for function in [0xc500_0022, 0x8500_0020, 0x8500_0021] {
        let mut board = Board { record: (Some(record), 0), ..Board::default() };
        let args = [function, 0, 0, 0];
        assert_eq!(Firmware::default().call(Caller::aarch64(VcpuId(0)), &args, &mut board), None);
    }
}

#[test]
fn trng_gives_the_bits_asked_for() {
    let firmware = Firmware::default();
    assert_eq!(answer(&firmware, [0x8400_0050, 0, 0, 0]), [0x1_0000, 0, 0, 0]);
    let uuid = [0x00e0_210d, 0xeb11_8443, 0x4452_7080, 0x4c5a_4e55];
    assert_eq!(answer(&firmware, [0x8400_0052, 0, 0, 0]), uuid);
    for id in [0x8400_0050, 0x8400_0051, 0x8400_0052, 0x8400_0053, 0xc400_0053] {
        assert_eq!(answer(&firmware, [0x8400_0051, id, 0, 0])[0], 0);
        assert_eq!(answer(&firmware, [0x8400_0051, 1 << 32 | id, 0, 0])[0], NOT_SUPPORTED);
    }
    assert_eq!(answer(&firmware, [0x8400_0051, 0x8400_0000, 0, 0])[0], NOT_SUPPORTED);

    // Drawn from the end: low word first.
    let draw = |function, bits| {
        let entropy = vec![0x3333_4444_5555_6666, 0xaaaa_bbbb_cccc_dddd, 0x1111_2222_8888_9999];
        call(&firmware, [function, bits, 0, 0], &mut Board { entropy, ..Board::default() }).regs
    };
    assert_eq!(draw(0x8400_0053, 96), [0, 0xcccc_dddd, 0x1111_2222, 0x8888_9999]);
    assert_eq!(draw(0x8400_0053, 36), [0, 0, 2, 0x8888_9999]);
    assert_eq!(draw(0x8400_0053, 97)[0], INVALID_PARAMETERS);
    let all = [0, 0x3333_4444_5555_6666, 0xaaaa_bbbb_cccc_dddd, 0x1111_2222_8888_9999];
    assert_eq!(draw(0xc400_0053, 192), all);
    assert_eq!(draw(0xc400_0053, 68), [0, 0, 0xd, 0x1111_2222_8888_9999]);
    assert_eq!(draw(0xc400_0053, 0), [0; 4]);
    assert_eq!(draw(0xc400_0053, 193)[0], INVALID_PARAMETERS);
    let mut dry = Board { entropy: vec![5], ..Board::default() };
    let no_entropy = [u64::MAX - 2, 0, 0, 0];
    assert_eq!(call(&firmware, [0xc400_0053, 65, 0, 0], &mut dry).regs, no_entropy);

    let without = with(0x6030_0000_0016_0000, 0);
    for id in [0x8400_0050, 0x8400_0051, 0x8400_0052, 0x8400_0053, 0xc400_0053] {
        assert_eq!(answer(&without, [id, 0x8400_0050, 0, 0]), [NOT_SUPPORTED, 0, 0, 0]);
    }
}

#[test]
fn vendor_calls_follow_their_bitmaps() {
    let firmware = Firmware::default();
    let uid = [0x28b4_6fb6, 0x11e9_2ec5, 0x564b_caa9, 0x743a_004d];
    assert_eq!(answer(&firmware, [0x8600_ff01, 0, 0, 0]), uid);
    assert_eq!(answer(&firmware, [0x8600_0000, 0, 0, 0]), [3, 0, 0, 0]);
    assert_eq!(answer(&Firmware::newest(), [0x8600_0000, 0, 0, 0]), [3, 0, 3, 0]);
    let ptp_only = with(0x6030_0000_0016_0002, 2);
    for function in [0x8600_ff01, 0x8600_0000] {
        assert_eq!(answer(&ptp_only, [function, 0, 0, 0])[0], NOT_SUPPORTED);
    }

    let sample =
        Some(PtpSample { realtime_ns: 0x1234_5678_9abc_def0, counter_ticks: 0x2_ffff_fff9 });
    let ptp = |firmware: &Firmware, counter, sample| {
        let mut board = Board { sample, ..Board::default() };
        call(firmware, [0x8600_0001, counter, 0, 0], &mut board).regs
    };
    assert_eq!(ptp(&ptp_only, 0, sample), [0x1234_5678, 0x9abc_def0, 2, 0xffff_fff9]);
    assert_eq!(ptp(&firmware, 1, sample), [0x1234_5678, 0x9abc_def0, 3, 0]);
    assert_eq!(ptp(&firmware, 2, sample), [NOT_SUPPORTED, 0, 0, 0]);
    assert_eq!(ptp(&firmware, 0, None), [NOT_SUPPORTED, 0, 0, 0]);
    assert_eq!(ptp(&with(0x6030_0000_0016_0002, 1), 0, sample)[0], NOT_SUPPORTED);
}

#[test]
fn implementations_are_told_from_the_list() {
    let mut firmware = Firmware::newest();
    for function in [0xc600_0040, 0xc600_0041] {
        assert_eq!(answer(&firmware, [function, 0, 0, 0])[0], NOT_SUPPORTED, "no list yet");
    }
    let cpu = |midr| ImplementationCpu { midr, revidr: midr + 1, aidr: midr + 2 };
    firmware.set_impl_cpus(&[cpu(0x413f_d0c1), cpu(0x411f_d402)]).unwrap();
    assert_eq!(answer(&firmware, [0xc600_0040, 0, 0, 0]), [0, 0x1_0000, 2, 0]);
    let second = [0, 0x411f_d402, 0x411f_d403, 0x411f_d404];
    assert_eq!(answer(&firmware, [0xc600_0041, 1, 7, 8]), second);
    for index in [2, u64::MAX, 1 << 32] {
        assert_eq!(answer(&firmware, [0xc600_0041, index, 0, 0])[0], u64::MAX - 2);
    }
    firmware.store(RegId::Kvm(0x6030_0000_0016_0003), &Value::u64(1)).unwrap();
    assert_eq!(answer(&firmware, [0xc600_0041, 0, 0, 0])[0], NOT_SUPPORTED);
    assert_eq!(answer(&firmware, [0xc600_0040, 0, 0, 0])[0], 0);
}

#[test]
fn functions_of_others_are_left_alone() {
    for function in [0xc500_0022, 0x8500_0020, 0x8600_0002, 0x8200_0000, 0x8400_0020, 0x95c1_ba5e] {
        let args = [function, 0, 0, 0];
        let caller = Caller::aarch64(VcpuId(0));
        let reply = Firmware::newest().call(caller, &args, &mut Board::default());
        assert_eq!(reply, None, "{function:#x}");
    }
}

proptest! {
    #[test]
    fn random_calls_keep_every_rule(data in proptest::collection::vec(any::<u8>(), 0..600)) {
        fuzz_call(&data);
    }
}
