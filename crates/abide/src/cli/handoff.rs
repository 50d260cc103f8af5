//! Arguments of `migrate` and `receive`, and of what else gets a guest from elsewhere.

use super::clock::HostClockArgs;
use super::stolen_time::StolenTimeArgs;
use super::{AcceptArgs, EngineName, NetArg, StateDirArgs, parse_disk_change, parse_net};
use crate::handoff::{Address, Security};
use abide_machine::departure::ClockPolicy;
use abide_machine::restore::DiskChange;
use abide_migrate::Durability;
use anyhow::Result;
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// What is elsewhere on this host than where the guest was.
#[derive(Debug, Args)]
pub struct ElsewhereArgs {
    /// Take a disk from elsewhere than where the guest had it; may be repeated
    ///
    /// OLD is the path that `abide inspect FILE --unit disk` shows, or the disk's number, 0 for the
    /// first. NEW must have its size, and its content as it was at the save: a snapshot holds no
    /// disks. Without this option disks are opened where they were, so restore only files that you
    /// trust.
    #[arg(long = "disk", value_name = "OLD=NEW", value_parser = parse_disk_change)]
    pub disks: Vec<DiskChange>,
    /// Plug the guest's network card into another network than before; as for `run`, without mac=
    #[arg(long, value_name = "NETWORK", value_parser = parse_net)]
    pub net: Option<NetArg>,
    /// Let programs of the host find the guest's virtio sockets at another path than before
    #[arg(long, value_name = "PATH")]
    pub vsock: Option<PathBuf>,
}

/// Where the journal may be.
#[derive(Debug, Args)]
pub struct JournalArgs {
    /// Take a state directory in memory (tmpfs): after a power cut nobody knows who has the guest
    #[arg(long)]
    pub volatile_journal: bool,
}

impl JournalArgs {
    /// As journals know it.
    pub fn durability(&self) -> Durability {
        if self.volatile_journal { Durability::Volatile } else { Durability::Required }
    }
}

/// Who may be at the other end of tcp:HOST:PORT.
#[derive(Debug, Args)]
pub struct NetworkArgs {
    /// The file with this side's private key, as `abide keygen` makes it
    #[arg(long, value_name = "FILE", requires = "trust")]
    pub key: Option<PathBuf>,
    /// The other side's identity, as `abide keygen` shows it there; may be repeated
    #[arg(long, value_name = "IDENTITY", requires = "key")]
    pub trust: Vec<String>,
    /// Use no keys: nobody is authenticated, and nothing is encrypted
    #[arg(long, conflicts_with_all = ["key", "trust"])]
    pub insecure_plain_tcp: bool,
}

impl NetworkArgs {
    /// What protects the connection. The guest's process may have another working directory.
    pub fn security(&self) -> Result<Security> {
        let key = self.key.as_ref().map(std::path::absolute).transpose()?;
        Ok(Security { is_plain: self.insecure_plain_tcp, key, trust: self.trust.clone() })
    }
}

/// Arguments of `keygen`.
#[derive(Debug, Args)]
pub struct KeygenArgs {
    /// The file for the private key; an existing one is not replaced
    pub file: PathBuf,
    /// Make nothing: show the identity of the key in the file
    #[arg(long)]
    pub show: bool,
}

/// Arguments of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// The guest
    pub name: String,
    /// Where it is expected: unix:PATH on this host, tcp:HOST:PORT, or exec:COMMAND
    ///
    /// As `abide receive` was told. exec:COMMAND starts a command of the shell with `abide receive
    /// NAME -` at its end, as through ssh, and hands the guest to its standard input. `-` is the
    /// standard input and output of this command itself, which are pipes or sockets then.
    #[arg(required_unless_present_any = ["cancel", "resolve", "dry_run"])]
    pub to: Option<Address>,
    /// Move nothing: predict how many rounds the move takes, and how long the guest stands still
    ///
    /// The guest goes on. Its writes are logged for some two seconds. With an address the guest is
    /// offered there, tried on that host, sent in part to see what the way there carries, and
    /// withdrawn. Without one, --link-rate says what the way carries.
    #[arg(long, conflicts_with_all = ["cancel", "resolve"])]
    pub dry_run: bool,
    /// With --dry-run, predict for a way that carries so many MiB in a second
    #[arg(long, value_name = "MIB_PER_S", requires = "dry_run",
          value_parser = clap::value_parser!(u64).range(1..1 << 40))]
    pub link_rate: Option<u64>,
    /// Give up the handoff that is under way; the guest goes on here, unless it was given away
    #[arg(long, conflicts_with_all = ["to", "timeout"])]
    pub cancel: bool,
    /// Settle a handoff that was cut off and whose process is gone, by its journal
    ///
    /// With an address the destination there is asked, and the guest given to it if it is
    /// prepared. Without one, what the journal says is shown.
    #[arg(long, conflicts_with = "cancel")]
    pub resolve: bool,
    /// With --resolve, state that the other side is gone for good, or cut off from power, network
    /// and disks: that nothing of it runs, nor ever will again
    ///
    /// Nobody can check that. A guest that is prepared here then runs, and one that was given away
    /// goes on here; if it had gone on at the other side, it is put back in time.
    #[arg(long, requires = "resolve", conflicts_with = "to")]
    pub fenced: bool,
    /// With --resolve, drop a guest that is prepared here, or was given away: it never runs here
    ///
    /// For what is prepared, a source that lives asks, and has the guest back. If the source's
    /// process has ended, no other copy may be left, and the guest is lost. What was given away is
    /// dropped where its destination cannot be asked: if that does not have it, it is lost.
    #[arg(long, requires = "resolve", conflicts_with_all = ["to", "fenced"])]
    pub discard: bool,
    /// How many seconds each step of the other side may take at most
    ///
    /// The unit may follow: 10s.
    #[arg(long, value_name = "SECONDS", value_parser = parse_timeout_s)]
    pub timeout: Option<u64>,
    /// How many milliseconds the guest may stand still for memory that is still to be copied
    ///
    /// Memory is copied in rounds while the guest runs, until what it writes meanwhile is little
    /// enough, or 30 rounds have not been enough. The unit may follow: 50ms, 2s.
    #[arg(long, value_name = "MILLISECONDS", default_value = "50",
          value_parser = parse_downtime_ms)]
    pub downtime: u64,
    /// On how many connections memory goes to tcp:HOST:PORT; the destination may take fewer
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=16))]
    pub connections: u16,
    /// Pack memory that is copied, where that makes it shorter
    #[arg(long, value_enum, value_name = "HOW")]
    pub compress: Option<CompressionName>,
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
    /// Write how it went as one self-contained HTML page, which draws for what the guest stood
    /// still, or as JSON, by the file's ending
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cancel", "resolve", "dry_run"])]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub journal: JournalArgs,
    #[command(flatten)]
    pub state: StateDirArgs,
}

/// Arguments of `receive`.
#[derive(Debug, Args)]
pub struct ReceiveArgs {
    /// Name of the guest from here on
    pub name: String,
    /// Where it is expected: unix:PATH, a socket of this host that is made, tcp:HOST:PORT, or -
    ///
    /// `-` is standard input and output, as at the other end of ssh. Whoever is there is trusted.
    /// What the guest prints goes to standard error then, and nothing can be typed.
    pub at: Address,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub elsewhere: ElsewhereArgs,
    /// What executes the guest [default: kvm where it works and can do what is asked, else soft]
    #[arg(long, value_enum)]
    pub engine: Option<EngineName>,
    #[command(flatten)]
    pub stolen_time: StolenTimeArgs,
    #[command(flatten)]
    pub accept: AcceptArgs,
    /// What the guest's counter shows of the time for which the guest stood still
    ///
    /// The clock that a guest keeps by itself is not set: that is for its own time daemon, or for
    /// the page with the time. A guest whose time is executed instructions always goes on where it
    /// stood.
    #[arg(long, value_enum, value_name = "POLICY", default_value = "continue")]
    pub clock: ClockName,
    #[command(flatten)]
    pub host_clock: HostClockArgs,
    /// Write a report of the run (JSON)
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub journal: JournalArgs,
    #[command(flatten)]
    pub state: StateDirArgs,
    /// Take over name, place and console of the process that has the guest and started this one, as
    /// `abide upgrade` lets it
    #[arg(long)]
    pub takes_over: bool,
}

impl ReceiveArgs {
    /// Options that hold as well for the process that takes over from this one.
    pub fn words(&self) -> Vec<OsString> {
        [self.host_clock.words(), self.stolen_time.words(), self.accept.words()].concat()
    }
}

/// Arguments of `upgrade`.
#[derive(Debug, Args)]
pub struct UpgradeArgs {
    /// The guest
    pub name: String,
    /// The program that takes over, of any version that has a handoff [default: the one that this
    /// command is given to]
    ///
    /// The guest's process starts it, with its own standard input, output and error and its own
    /// options, and hands the guest to it: RAM is not copied, and stays where it is. Then that
    /// process only waits, and ends as the new one ends. If the new one refuses or fails, the guest
    /// goes on as it was.
    #[arg(long, value_name = "PROGRAM")]
    pub to: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
    /// Write how it went as one self-contained HTML page, or as JSON, by the file's ending
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub state: StateDirArgs,
}

fn parse_timeout_s(text: &str) -> Result<u64, String> {
    let found = text.strip_suffix('s').unwrap_or(text).parse().ok();
    found.filter(|&s| s > 0).ok_or_else(|| "seconds are needed, at least one: 10 or 10s".to_owned())
}

fn parse_downtime_ms(text: &str) -> Result<u64, String> {
    let (digits, ms) = match text.strip_suffix('s') {
        Some(digits) => digits.strip_suffix('m').map_or((digits, 1000), |digits| (digits, 1)),
        None => (text, 1),
    };
    let found = digits.parse().ok().and_then(|number: u64| number.checked_mul(ms));
    found.ok_or_else(|| "milliseconds are needed, or a unit with them: 50, 50ms or 2s".to_owned())
}

/// How memory is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompressionName {
    /// Fast, for links that are slower than about 500 MiB/s
    Lz4,
}

/// What a counter shows of a standstill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClockName {
    /// All of it: as if the guest had never stood still; timers that were due meanwhile fire
    Continue,
    /// Nothing of it: the counter goes on where it stood, while wall clocks step to the real time;
    /// `step` is another name of it
    #[value(alias = "step")]
    Freeze,
}

impl From<ClockName> for ClockPolicy {
    fn from(name: ClockName) -> Self {
        match name {
            ClockName::Continue => Self::Continue,
            ClockName::Freeze => Self::Freeze,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_may_say_their_unit() {
        for (text, ms) in [("50", 50), ("50ms", 50), ("2s", 2000), ("0", 0)] {
            assert_eq!(parse_downtime_ms(text), Ok(ms), "{text}");
        }
        for text in ["10", "10s"] {
            assert_eq!(parse_timeout_s(text), Ok(10), "{text}");
        }
        for wrong in ["", "ms", "s", "5m", "5 ms", "-1", "1.5s", "18446744073709551615s"] {
            assert!(parse_downtime_ms(wrong).is_err(), "{wrong}");
        }
        for wrong in ["0", "0s", "ms", "10ms", ""] {
            assert!(parse_timeout_s(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn step_is_another_name_of_freeze() {
        assert_eq!(ClockName::from_str("step", false), Ok(ClockName::Freeze));
    }
}
