//! The calls whose answers are looked at: all that only tell, none that do `[DEN0022] [DEN0028]`.

use kit::cpu::hypercall;

/// A call: its name, its function number, and how many of x0…x3 answer.
const TELLING: [(&str, u32, usize); 13] = [
    ("PSCI_VERSION", 0x8400_0000, 1),
    ("PSCI_MIGRATE_INFO_TYPE", 0x8400_0006, 1),
    ("SMCCC_VERSION", 0x8000_0000, 1),
    ("SMCCC_ARCH_WORKAROUND_1", 0x8000_8000, 1),
    ("SMCCC_ARCH_WORKAROUND_3", 0x8000_3fff, 1),
    ("TRNG_VERSION", 0x8400_0050, 1),
    ("TRNG_GET_UUID", 0x8400_0052, 4),
    ("STD_HYP_CALL_COUNT", 0x8500_ff00, 1),
    ("STD_HYP_UID", 0x8500_ff01, 4),
    ("VENDOR_HYP_FEATURES", 0x8600_0000, 4),
    ("VENDOR_HYP_UID", 0x8600_ff01, 4),
    ("PV_TIME_ST", 0xc500_0021, 1),
    ("DISCOVER_IMPL_VER", 0xc600_0040, 3),
];

/// Tells one CPU implementation: its number is asked for, and four registers answer. Those of the
/// first stand at 0 to 3, and so on.
const DISCOVER_IMPL_CPUS: (&str, u32) = ("DISCOVER_IMPL_CPUS", 0xc600_0041);
/// How many are asked for: one more than a short list has.
const IMPLEMENTATIONS: u32 = 3;

/// Every function of PSCI 1.3 below its base, in both widths `[DEN0022 5]`.
const PSCI_FUNCTIONS: u32 = 0x18;
/// What SMCCC_ARCH_FEATURES is asked about `[DEN0028 7.3]`: its own functions, the workarounds,
/// and stolen time `[DEN0057A 3]`.
const ARCH_FUNCTIONS: [u32; 9] = [
    0x8000_0000,
    0x8000_0001,
    0x8000_0002,
    0x8000_0004,
    0x8000_8000,
    0x8000_7fff,
    0x8000_3fff,
    0xc500_0020,
    0xc500_0021,
];
/// The functions of TRNG 1.0 `[DEN0098 2]`.
const TRNG_FUNCTIONS: [u32; 5] = [0x8400_0050, 0x8400_0051, 0x8400_0052, 0x8400_0053, 0xc400_0053];

/// The calls that are asked about others: the name, the number.
const PSCI_FEATURES: (&str, u32) = ("PSCI_FEATURES", 0x8400_000a);
const ARCH_FEATURES: (&str, u32) = ("SMCCC_ARCH_FEATURES", 0x8000_0001);
const TRNG_FEATURES: (&str, u32) = ("TRNG_FEATURES", 0x8400_0051);
const PV_TIME_FEATURES: (&str, u32) = ("PV_TIME_FEATURES", 0xc500_0020);

/// Asks all of them, in the same order each time: the call, what it was asked about or which
/// register of the answer it is, and the answer.
pub fn each(mut show: impl FnMut(&'static str, Option<u32>, u64)) {
    for (name, function, words) in TELLING {
        let answer = hypercall(function, [0; 3]);
        for (word, value) in (0..).zip(answer).take(words) {
            show(name, (words > 1).then_some(word), value);
        }
    }
    for index in 0..IMPLEMENTATIONS {
        let (name, number) = DISCOVER_IMPL_CPUS;
        let answer = hypercall(number, [u64::from(index), 0, 0]);
        for (word, value) in (0..).zip(answer) {
            show(name, Some(4 * index + word), value);
        }
    }
    let mut ask = |(name, number): (&'static str, u32), about: u32| {
        let [answer, ..] = hypercall(number, [u64::from(about), 0, 0]);
        show(name, Some(about), answer);
    };
    for function in 0..PSCI_FUNCTIONS {
        ask(PSCI_FEATURES, 0x8400_0000 | function);
        ask(PSCI_FEATURES, 0xc400_0000 | function);
    }
    ask(PSCI_FEATURES, 0x8000_0000);
    ARCH_FUNCTIONS.into_iter().for_each(|function| ask(ARCH_FEATURES, function));
    TRNG_FUNCTIONS.into_iter().for_each(|function| ask(TRNG_FEATURES, function));
    ask(PV_TIME_FEATURES, 0xc500_0020);
    ask(PV_TIME_FEATURES, 0xc500_0021);
}
