//! The page's layout in numbers `[linux include/uapi/linux/vmclock-abi.h]`.
//!
//! The header is canonical. The published text of version 1.0 of the specification differs from
//! it in three places and is wrong there: the bits of two flags (it has no bit for `MONOTONIC`),
//! the offset of the generation counter (0x64, which is not even aligned), and the sign of the
//! TAI offset.

/// "VCLK" `[linux include/uapi/linux/vmclock-abi.h]`.
pub const MAGIC: u32 = 0x4b4c_4356;
/// The only version there is.
pub const VERSION: u16 = 1;
/// The length of the structure in bytes, `vm_generation_counter` included.
pub const LEN: usize = 0x70;
/// Where the fields that may change begin: behind `seq_count`.
pub const BODY: usize = 0x10;
/// The fields that may change, in 64-bit words.
pub const BODY_WORDS: usize = (LEN - BODY) / 8;

/// Offset of `magic`, 4 bytes.
pub const OFFSET_MAGIC: usize = 0x00;
/// Offset of `size`, 4 bytes: the length of the region, not of the structure.
pub const OFFSET_SIZE: usize = 0x04;
/// Offset of `version`, 2 bytes.
pub const OFFSET_VERSION: usize = 0x08;
/// Offset of `counter_id`, 1 byte.
pub const OFFSET_COUNTER_ID: usize = 0x0a;
/// Offset of `time_type`, 1 byte.
pub const OFFSET_TIME_TYPE: usize = 0x0b;
/// Offset of `seq_count`, 4 bytes: odd while an update is under way.
pub const OFFSET_SEQ_COUNT: usize = 0x0c;
/// Offset of `disruption_marker`, 8 bytes.
pub const OFFSET_DISRUPTION_MARKER: usize = 0x10;
/// Offset of `flags`, 8 bytes.
pub const OFFSET_FLAGS: usize = 0x18;
/// Offset of `clock_status`, 1 byte.
pub const OFFSET_CLOCK_STATUS: usize = 0x22;
/// Offset of `leap_second_smearing_hint`, 1 byte.
pub const OFFSET_SMEARING_HINT: usize = 0x23;
/// Offset of `tai_offset_sec`, 2 bytes, two's complement: UTC - TAI, -37 since 2017.
pub const OFFSET_TAI_OFFSET_SEC: usize = 0x24;
/// Offset of `leap_indicator`, 1 byte.
pub const OFFSET_LEAP_INDICATOR: usize = 0x26;
/// Offset of `counter_period_shift`, 1 byte.
pub const OFFSET_COUNTER_PERIOD_SHIFT: usize = 0x27;
/// Offset of `counter_value`, 8 bytes.
pub const OFFSET_COUNTER_VALUE: usize = 0x28;
/// Offset of `counter_period_frac_sec`, 8 bytes, unit 2^-(64+shift) s for each tick.
pub const OFFSET_COUNTER_PERIOD_FRAC_SEC: usize = 0x30;
/// Offset of `counter_period_esterror_rate_frac_sec`, 8 bytes, the same unit.
pub const OFFSET_COUNTER_PERIOD_ESTERROR: usize = 0x38;
/// Offset of `counter_period_maxerror_rate_frac_sec`, 8 bytes, the same unit.
pub const OFFSET_COUNTER_PERIOD_MAXERROR: usize = 0x40;
/// Offset of `time_sec`, 8 bytes.
pub const OFFSET_TIME_SEC: usize = 0x48;
/// Offset of `time_frac_sec`, 8 bytes, unit 2^-64 s.
pub const OFFSET_TIME_FRAC_SEC: usize = 0x50;
/// Offset of `time_esterror_nanosec`, 8 bytes.
pub const OFFSET_TIME_ESTERROR_NANOSEC: usize = 0x58;
/// Offset of `time_maxerror_nanosec`, 8 bytes.
pub const OFFSET_TIME_MAXERROR_NANOSEC: usize = 0x60;
/// Offset of `vm_generation_counter`, 8 bytes.
pub const OFFSET_VM_GENERATION_COUNTER: usize = 0x68;

/// `counter_id`: the Arm virtual counter, CNTVCT_EL0.
pub const COUNTER_ARM_VCNT: u8 = 0;
/// `counter_id`: the x86 time stamp counter.
pub const COUNTER_X86_TSC: u8 = 1;
/// `counter_id`: no clock is published, only disruptions are.
pub const COUNTER_INVALID: u8 = 0xff;

/// `time_type`: UTC, which the specification advises against.
pub const TIME_UTC: u8 = 0;
/// `time_type`: TAI, in seconds since 1970-01-01 00:00:00 TAI.
pub const TIME_TAI: u8 = 1;
/// `time_type`: no epoch.
pub const TIME_MONOTONIC: u8 = 2;

/// `tai_offset_sec` is right.
pub const FLAG_TAI_OFFSET_VALID: u64 = 1 << 0;
/// A disruption is expected within a day.
pub const FLAG_DISRUPTION_SOON: u64 = 1 << 1;
/// A disruption is expected within an hour.
pub const FLAG_DISRUPTION_IMMINENT: u64 = 1 << 2;
/// `counter_period_esterror_rate_frac_sec` is right.
pub const FLAG_PERIOD_ESTERROR_VALID: u64 = 1 << 3;
/// `counter_period_maxerror_rate_frac_sec` is right.
pub const FLAG_PERIOD_MAXERROR_VALID: u64 = 1 << 4;
/// `time_esterror_nanosec` is right.
pub const FLAG_TIME_ESTERROR_VALID: u64 = 1 << 5;
/// `time_maxerror_nanosec` is right.
pub const FLAG_TIME_MAXERROR_VALID: u64 = 1 << 6;
/// No update makes time go back.
pub const FLAG_TIME_MONOTONIC: u64 = 1 << 7;
/// `vm_generation_counter` is there.
pub const FLAG_VM_GEN_COUNTER_PRESENT: u64 = 1 << 8;
/// Every update is followed by an interrupt.
pub const FLAG_NOTIFICATION_PRESENT: u64 = 1 << 9;

/// `clock_status`: nothing is known.
pub const STATUS_UNKNOWN: u8 = 0;
/// `clock_status`: not yet synchronised. Linux serves time for it all the same.
pub const STATUS_INITIALIZING: u8 = 1;
/// `clock_status`: to be relied upon.
pub const STATUS_SYNCHRONIZED: u8 = 2;
/// `clock_status`: was synchronised; bounds go on to hold.
pub const STATUS_FREERUNNING: u8 = 3;
/// `clock_status`: not to be relied upon. The only one for which Linux refuses to tell time.
pub const STATUS_UNRELIABLE: u8 = 4;

/// `leap_indicator`: no leap second is near.
pub const LEAP_NONE: u8 = 0;
/// `leap_indicator`: the month ends with a second more.
pub const LEAP_PRE_POS: u8 = 1;
/// `leap_indicator`: the month ends with a second less.
pub const LEAP_PRE_NEG: u8 = 2;
/// `leap_indicator`: 23:59:60.
pub const LEAP_POS: u8 = 3;
/// `leap_indicator`: the last month ended with a second more.
pub const LEAP_POST_POS: u8 = 4;
/// `leap_indicator`: the last month ended with a second less.
pub const LEAP_POST_NEG: u8 = 5;
