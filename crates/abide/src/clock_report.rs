//! What a guest reads of its clock, as it is sent and shown.

use abide_machine::time_of_day::ClockStatus;
use abide_vmclock::{NoTime, Reading, spec};
use serde::{Deserialize, Serialize};

/// A guest's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReport {
    /// `synchronized`, `freerunning`, `unreliable` and so on: `clock_status` in a word.
    pub status: String,
    /// The time, if there is one.
    pub time: Option<TimeReport>,
    /// Why there is none for a reader.
    pub no_time: Option<String>,
    /// Why the host's clock is not believed.
    pub host_clock: Option<String>,
    /// `disruption_marker`.
    pub disruption_marker: u64,
    /// `vm_generation_counter`.
    pub vm_generation_counter: u64,
    /// `seq_count`.
    pub seq_count: u32,
    /// The names of the flags that are set, without `VMCLOCK_FLAG_`.
    pub flags: Vec<String>,
    /// `size`, in bytes.
    pub size_bytes: u32,
    /// `counter_value`.
    pub counter_value: u64,
    /// `counter_period_frac_sec`.
    pub counter_period_frac_sec: u64,
    /// `counter_period_shift`.
    pub counter_period_shift: u8,
    /// `counter_period_maxerror_rate_frac_sec`.
    pub counter_period_maxerror_rate_frac_sec: u64,
    /// `time_maxerror_nanosec`.
    pub time_maxerror_ns: u64,
    /// `time_esterror_nanosec`.
    pub time_esterror_ns: u64,
    /// Interrupts since the guest came here.
    pub notifications: u64,
    /// How long ago the last one was sent, in ns.
    pub notified_ns_ago: Option<u64>,
    /// To which vCPU.
    pub notified_vcpu: Option<u32>,
    /// Whether it has taken it.
    pub notified_is_taken: Option<bool>,
    /// Writes of the guest to the page, which were refused.
    pub refused_writes: u64,
    /// Where the page can be mapped and read.
    pub page_path: Option<String>,
}

/// A time with its bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeReport {
    /// TAI since 1970-01-01 00:00:00 TAI, in seconds with nine digits behind the point.
    pub tai: String,
    /// How wrong it is at most, in ns.
    pub maxerror_ns: Option<u64>,
    /// UTC - TAI, in seconds.
    pub tai_offset_s: Option<i16>,
    /// `leap_indicator` in a word.
    pub leap: String,
    /// The counter that belongs to it.
    pub counter: u64,
}

const FLAGS: [(u64, &str); 10] = [
    (spec::FLAG_TAI_OFFSET_VALID, "TAI_OFFSET_VALID"),
    (spec::FLAG_DISRUPTION_SOON, "DISRUPTION_SOON"),
    (spec::FLAG_DISRUPTION_IMMINENT, "DISRUPTION_IMMINENT"),
    (spec::FLAG_PERIOD_ESTERROR_VALID, "PERIOD_ESTERROR_VALID"),
    (spec::FLAG_PERIOD_MAXERROR_VALID, "PERIOD_MAXERROR_VALID"),
    (spec::FLAG_TIME_ESTERROR_VALID, "TIME_ESTERROR_VALID"),
    (spec::FLAG_TIME_MAXERROR_VALID, "TIME_MAXERROR_VALID"),
    (spec::FLAG_TIME_MONOTONIC, "TIME_MONOTONIC"),
    (spec::FLAG_VM_GEN_COUNTER_PRESENT, "VM_GEN_COUNTER_PRESENT"),
    (spec::FLAG_NOTIFICATION_PRESENT, "NOTIFICATION_PRESENT"),
];

fn status_word(clock_status: u8) -> &'static str {
    match clock_status {
        spec::STATUS_UNKNOWN => "unknown",
        spec::STATUS_INITIALIZING => "initializing",
        spec::STATUS_SYNCHRONIZED => "synchronized",
        spec::STATUS_FREERUNNING => "freerunning",
        _ => "unreliable",
    }
}

fn leap_word(leap_indicator: u8) -> &'static str {
    match leap_indicator {
        spec::LEAP_PRE_POS => "the month ends with a second more",
        spec::LEAP_PRE_NEG => "the month ends with a second less",
        spec::LEAP_POS => "it is 23:59:60",
        spec::LEAP_POST_POS => "the last month ended with a second more",
        spec::LEAP_POST_NEG => "the last month ended with a second less",
        _ => "none",
    }
}

impl From<ClockStatus> for ClockReport {
    fn from(clock: ClockStatus) -> Self {
        let ClockStatus { constants, seq_count, body, reading, .. } = clock;
        let line = body.line;
        let (time, no_time) = match reading {
            Ok(reading) => (Some(time_report(&reading, body.leap_indicator)), None),
            Err(reason) => (None, Some(reason)),
        };
        Self {
            status: status_word(body.clock_status).to_owned(),
            time,
            no_time: no_time.as_ref().map(NoTime::to_string),
            host_clock: clock.doubt,
            disruption_marker: body.disruption_marker,
            vm_generation_counter: body.vm_generation_counter,
            seq_count,
            flags: FLAGS
                .into_iter()
                .filter(|&(flag, _)| body.has(flag))
                .map(|(_, name)| name.to_owned())
                .collect(),
            size_bytes: constants.size_bytes,
            counter_value: line.counter_value,
            counter_period_frac_sec: line.period.frac_sec,
            counter_period_shift: line.period.shift,
            counter_period_maxerror_rate_frac_sec: line.period_maxerror,
            time_maxerror_ns: line.time_maxerror_ns,
            time_esterror_ns: body.time_esterror_ns,
            notifications: clock.notifications,
            notified_ns_ago: clock.notified.map(|notified| notified.ns_ago),
            notified_vcpu: clock.notified.and_then(|notified| Some(notified.to?.0)),
            notified_is_taken: clock.notified.and_then(|notified| notified.is_taken),
            refused_writes: clock.refused_writes,
            page_path: clock.page_fd.map(|fd| format!("/proc/{}/fd/{fd}", std::process::id())),
        }
    }
}

fn time_report(reading: &Reading, leap_indicator: u8) -> TimeReport {
    TimeReport {
        tai: reading.time.to_string(),
        maxerror_ns: reading.maxerror().map(abide_vmclock::Time::to_ns_up),
        tai_offset_s: reading.tai_offset_sec,
        leap: leap_word(leap_indicator).to_owned(),
        counter: reading.counter,
    }
}
