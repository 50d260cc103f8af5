//! Options about the time that guests are told.

use super::StateDirArgs;
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Where the time comes from.
#[derive(Clone, Debug, Args)]
pub struct HostClockArgs {
    /// What kind of clock the host has: auto, exact or smeared
    ///
    /// auto: the kernel's, which is not believed around a leap second of which it was not told.
    /// exact: the same, and it makes leap seconds although nobody tells it so early. smeared: it
    /// spreads them over hours; such a clock cannot tell TAI, and the guest is told no time. For
    /// tests, sim:FILE is a clock that FILE describes, as the guide's chapter "Time" says.
    #[arg(long, value_name = "KIND", default_value = "auto", value_parser = parse_host_clock)]
    pub host_clock: HostClock,
    /// The table of leap seconds
    #[arg(long, value_name = "FILE", default_value = abide_host_time::LEAP_SECONDS_LIST)]
    pub leap_seconds: PathBuf,
}

impl HostClockArgs {
    /// As they were given, for another process of this host.
    pub fn words(&self) -> Vec<OsString> {
        use abide_host_time::Kind;
        let kind: OsString = match &self.host_clock {
            HostClock::Kernel(Kind::Unstated) => "auto".into(),
            HostClock::Kernel(Kind::Exact) => "exact".into(),
            HostClock::Kernel(Kind::Smeared) => "smeared".into(),
            HostClock::Simulated(path) => {
                let mut text = OsString::from("sim:");
                text.push(path);
                text
            }
        };
        vec!["--host-clock".into(), kind, "--leap-seconds".into(), self.leap_seconds.clone().into()]
    }
}

/// What the host's clock is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostClock {
    /// The kernel's.
    Kernel(abide_host_time::Kind),
    /// One that a file describes.
    Simulated(PathBuf),
}

fn parse_host_clock(text: &str) -> Result<HostClock, String> {
    use abide_host_time::Kind;
    Ok(match text {
        "auto" => HostClock::Kernel(Kind::Unstated),
        "exact" => HostClock::Kernel(Kind::Exact),
        "smeared" => HostClock::Kernel(Kind::Smeared),
        _ => match text.strip_prefix("sim:") {
            Some(path) if !path.is_empty() => HostClock::Simulated(path.into()),
            _ => return Err("auto, exact, smeared or sim:FILE are allowed".to_owned()),
        },
    })
}

/// Arguments of `clock`.
#[derive(Debug, Args)]
pub struct ClockArgs {
    /// The guest
    pub name: String,
    /// Answer in JSON
    #[arg(long, conflicts_with_all = ["page_path", "announce"])]
    pub json: bool,
    /// Print the path below /proc of the page that the guest reads: any program can map it, and
    /// read it as the guest does
    #[arg(long, conflicts_with = "announce")]
    pub page_path: bool,
    /// Tell the guest that its clock will be disrupted, as by a move: soon is within a day,
    /// imminent within an hour; none takes it back. An arrival elsewhere takes it back too
    #[arg(long, value_enum, value_name = "WHEN")]
    pub announce: Option<Announcement>,
    #[command(flatten)]
    pub state: StateDirArgs,
}

/// How near a disruption is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Announcement {
    /// None is expected
    None,
    /// Within a day
    Soon,
    /// Within an hour
    Imminent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_clocks_are_words_or_a_file() {
        assert_eq!(parse_host_clock("sim:a b"), Ok(HostClock::Simulated("a b".into())));
        assert!(parse_host_clock("smeared").is_ok());
        for wrong in ["", "sim:", "sim", "kernel"] {
            assert!(parse_host_clock(wrong).is_err(), "{wrong}");
        }
    }
}
