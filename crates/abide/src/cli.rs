//! The command line.

use abide_contract::Exceptions;
use abide_machine::devices::virtio::{CID_MAX, CID_MIN, DiskConfig, VsockConfig};
use abide_machine::restore::DiskChange;
use abide_net::{MacAddress, NetConfig};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

mod clock;
mod handoff;
mod stolen_time;
mod vmclock;
pub use clock::{Announcement, ClockArgs, HostClock, HostClockArgs};
pub use handoff::{ElsewhereArgs, KeygenArgs, MigrateArgs, ReceiveArgs, UpgradeArgs};
pub use stolen_time::StolenTimeArgs;
pub use vmclock::VmclockArgs;

const EXIT_CODES: &str = "\
Exit codes:
   0  fine; of run and restore: the guest powered itself off
   1  refused, or two things differ; the reasons are on standard error
   2  wrong usage
   3  the input is damaged
   4  this host cannot
  10  the guest asked for a reset
  11  the guest's kernel panicked
  12  the guest was saved, and goes on wherever its file is restored
  13  the guest was ended from outside (abide stop, Ctrl-A x, a signal)
  14  the guest was handed over, and goes on in another process";

const FIRST_STEPS: &str = "\
First steps:
  abide demo                       see a guest saved and restored, byte for byte
  abide run web                    start the small guest that comes with abide, as `web`
  abide save web web.abide         from another terminal: save it away
  abide restore web.abide          it goes on where it was
  abide inspect web.abide          every register of it, by name";

/// Keep what a guest can see the same while everything under it changes.
///
/// abide runs arm64 virtual machines on any 64-bit Linux host, with no KVM and no root, saves them
/// to files, and lets them go on in a new process as if nothing had happened.
#[derive(Debug, Parser)]
#[command(name = "abide", version)]
#[command(after_help = FIRST_STEPS)]
#[command(after_long_help = format!("{FIRST_STEPS}\n\n{EXIT_CODES}"))]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Say more on standard error; twice: everything.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
}

/// What abide can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run: start a guest, in the foreground, its console on standard output
    #[command(after_help = RUN_EXAMPLES)]
    #[command(after_long_help = format!("{RUN_EXAMPLES}\n\n{EXIT_CODES}"))]
    Run(RunArgs),
    /// Run: list guests that run here
    Ps(QueryArgs),
    /// Run: tell how a guest is
    Status(NamedQueryArgs),
    /// Run: tell what a guest reads of its clock, and how wrong that may be
    Clock(ClockArgs),
    /// Run: let a guest stand still; afterwards it finds that time has passed
    Pause(NamedArgs),
    /// Run: let a paused guest go on
    Resume(NamedArgs),
    /// Run: end a guest, losing it
    Stop(NamedArgs),
    /// Move: write a running guest to a file
    Save(SaveArgs),
    /// Move: let a saved guest go on, needing nothing but its file, and its disks if it has any
    #[command(after_long_help = EXIT_CODES)]
    Restore(RestoreArgs),
    /// Move: hand a running guest to a process that expects it, or give that up
    #[command(after_long_help = EXIT_CODES)]
    Migrate(MigrateArgs),
    /// Move: let another abide of this host, newer or older, take over a running guest
    #[command(after_long_help = EXIT_CODES)]
    Upgrade(UpgradeArgs),
    /// Move: expect a running guest, and run it from there on
    #[command(after_long_help = EXIT_CODES)]
    Receive(Box<ReceiveArgs>),
    /// Move: make a key for moves over a network, and show its identity
    Keygen(KeygenArgs),
    /// Files: show what a file holds, register by register
    Inspect(InspectArgs),
    /// Files: compare two files, register by register and page by page
    Diff(DiffArgs),
    /// Files: check every byte of a file
    Verify(VerifyArgs),
    /// Fleet: measure what an engine on this host offers to guests
    #[command(after_long_help = EXIT_CODES)]
    Probe(ProbeArgs),
    /// Fleet: make the richest contract that every host of a set can honour
    #[command(after_help = BASELINE_EXAMPLES)]
    #[command(after_long_help = format!("{BASELINE_EXAMPLES}\n\n{EXIT_CODES}"))]
    Baseline(BaselineArgs),
    /// Fleet: tell whether guests can go to hosts, and back, before a byte moves
    #[command(after_help = PLAN_EXAMPLES)]
    #[command(after_long_help = format!("{PLAN_EXAMPLES}\n\n{}\n\n{EXIT_CODES}", shipped()))]
    Plan(PlanArgs),
    /// See it: run a guest, save it mid-flight, restore each file, compare every end
    Demo(DemoArgs),
}

const RUN_EXAMPLES: &str = "\
Examples:
  abide run                                    the guest that comes with abide
  abide run web --kernel Image --initrd initrd.gz --append 'console=ttyAMA0 quiet'
  abide run --kernel Image --append 'console=ttyAMA0 root=/dev/vda' --disk root.img
  abide run --kernel Image --deterministic --report run.json
  abide run web --kernel Image --engine kvm --contract debian-neoverse-n1
  abide run web --kernel Image --initrd initrd.gz --net user,hostfwd=tcp:127.0.0.1:2222-:22

In the terminal, Ctrl-A x ends the guest, Ctrl-A a sends Ctrl-A, Ctrl-A h tells more.";

const BASELINE_EXAMPLES: &str = "\
Examples:
  abide baseline a.toml b.toml c.toml -o fleet.toml
  abide baseline debian-6.1-neoverse-n1 debian-7.2-neoverse-n1";

const PLAN_EXAMPLES: &str = "\
Examples:
  abide plan web.abide --to new-kernel.toml            a saved guest
  abide plan fleet.toml --to a.toml b.toml c.toml      a guest that would be born under a contract
  abide plan a.toml b.toml c.toml                      every host to every other
  abide plan old.toml --to new.toml --back             an upgrade, and its way back
  abide plan debian-6.1-neoverse-n1 --to debian-7.2-neoverse-n1 --report plan.html";

/// The profiles and contracts that come with abide, as help shows them.
fn shipped() -> String {
    let names: Vec<&str> = abide_contract::shipped::names().collect();
    format!("Profiles and contracts that come with abide:\n  {}", names.join("\n  "))
}

/// What executes a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineName {
    /// abide's own interpreter: runs anywhere
    Soft,
    /// The host kernel's KVM, on arm64 hosts
    Kvm,
}

impl EngineName {
    /// As the command line says it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::Kvm => "kvm",
        }
    }
}

/// A feature with which vCPUs are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FeatureName {
    /// Performance monitors
    Pmu,
    /// The Scalable Vector Extension, with all vector lengths of the host
    Sve,
    /// Pointer authentication
    Pauth,
    /// Memory tags: refused
    #[value(hide = true)]
    Mte,
    /// The Scalable Matrix Extension: refused
    #[value(hide = true)]
    Sme,
    /// Guests that have guests: refused
    #[value(hide = true)]
    Nested,
    /// Guests whose memory the host cannot read: refused
    #[value(hide = true)]
    Protected,
}

/// A set of CPU features, as ID registers show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CpuName {
    /// The smallest: no floating point, no optional features
    Int,
    /// Armv8.0: floating point, Advanced SIMD, AES, SHA-1, SHA-256, CRC32
    #[value(name = "v8.0")]
    V80,
    /// Armv8.2 as of a Neoverse-N1: v8.0, atomics (LSE), half precision, rounding multiply-add
    /// (RDM), dot product, LDAPR, DC CVAP
    N1Like,
    /// What KVM on a Cortex-A57 host can hold too: floating point, Advanced SIMD, CRC32
    Portable,
}

/// Where running guests are known.
#[derive(Clone, Debug, Args)]
pub struct StateDirArgs {
    /// Directory with the sockets of running guests [default: $XDG_STATE_HOME/abide, else
    /// ~/.local/state/abide]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// Devices besides the UART and the clock.
#[derive(Clone, Debug, Args)]
pub struct DeviceArgs {
    /// Give the guest a virtio disk; may be repeated, the first is /dev/vda
    ///
    /// FILE is a raw disk image or a block device, a multiple of 512 bytes long. It is locked while
    /// the guest runs: one writer, or any number of readers. What the guest flushes is on the
    /// host's disk when it is told so.
    ///
    /// OPTIONS are `readonly` and `direct`, which passes the host's page cache by (then a multiple
    /// of 4096 bytes). They end at an empty one: `a,b,` is the file `a,b`.
    ///
    /// A snapshot remembers where the disk is, not what is on it.
    #[arg(long = "disk", value_name = "FILE[,OPTIONS]", value_parser = parse_disk)]
    pub disks: Vec<DiskConfig>,
    /// Give the guest a virtio source of random bits; with --deterministic the same in every run
    #[arg(long)]
    pub rng: bool,
    /// Give the guest a virtio clock: UTC and TAI, alone or together with its counter
    ///
    /// TAI is what the page of --vmclock-size says; where that says none, reading fails (EIO). With
    /// --deterministic UTC is virtual time.
    #[arg(long)]
    pub virtio_rtc: bool,
    /// Let the virtio clock share the page with the time as its shared memory (experimental: no
    /// published document has that)
    #[arg(long, requires = "virtio_rtc", conflicts_with = "no_vmclock")]
    pub virtio_rtc_page: bool,
    /// Give the guest a virtio console (hvc0) beside the UART: both print here, what is typed goes
    /// to it alone
    #[arg(long)]
    pub virtio_console: bool,
    /// Give the guest a virtio network card, plugged into NETWORK:
    /// user, tap=NAME, echo or none. Behind commas, user takes hostfwd=tcp:HOST:PORT-GUEST:PORT,
    /// dns=ADDR and restrict=on;
    /// mac=ADDR behind a comma gives the card an address
    ///
    /// user: the host's own network, with no root and no set-up. The guest gets 10.0.2.15 by DHCP;
    /// 10.0.2.2 is the gateway and the host itself, 10.0.2.3 the name server. hostfwd leads a port
    /// of the host to one of the guest (127.0.0.1 and 10.0.2.15 where left out) and may be
    /// repeated; dns names another name server; restrict=on leaves the guest nothing but forwarded
    /// ports. Connections end when the guest is saved; after a restore it is told so.
    ///
    /// tap=NAME: an interface of the host that exists already: `ip tuntap add NAME mode tap user
    /// $USER` makes one, `ip link set NAME up` switches it on.
    ///
    /// echo: a gateway at 10.0.2.2 that answers by itself (DHCP, ARP, echo requests, and every UDP
    /// datagram with itself): the one network that goes with --deterministic.
    ///
    /// none: a card whose cable is out.
    #[arg(long, value_name = "NETWORK", value_parser = parse_net)]
    pub net: Option<NetArg>,
    /// Give the guest virtio sockets; programs of the host find it at the UNIX socket PATH
    ///
    /// A program that connects to PATH and writes `CONNECT 52`, with a newline, is connected to
    /// port 52 of the guest, and reads `OK` and a number first. A connection of the guest to port
    /// 53 of the host, whose number is 2, leads to who listens at the UNIX socket PATH_53.
    ///
    /// cid is the guest's number, from 3 [default: 3]. Options end at an empty one: `a,b,` is the
    /// path `a,b`. Connections end when the guest is saved; after a restore it is told so.
    #[arg(long, value_name = "PATH[,cid=N]", value_parser = parse_vsock)]
    pub vsock: Option<VsockConfig>,
}

/// A network card's network, and its address if one is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetArg {
    /// What it is plugged into.
    pub network: NetConfig,
    /// Its address.
    pub mac: Option<MacAddress>,
}

/// Saves on the way.
#[derive(Clone, Debug, Args)]
pub struct SavePointArgs {
    /// Save after this many instructions, at the next end of a slice; may be repeated, each with
    /// its --save-to
    #[arg(long, value_name = "INSTRUCTIONS", requires = "save_to")]
    pub save_at: Vec<u64>,
    /// File for the --save-at before it
    #[arg(long, value_name = "FILE", requires = "save_at")]
    pub save_to: Vec<PathBuf>,
    /// Go on after the last --save-at instead of ending
    #[arg(long, requires = "save_at")]
    pub keep_running: bool,
    /// Compress memory in files written by --save-at
    #[arg(long, requires = "save_at")]
    pub compress: bool,
    /// With the last --save-at, leave memory in its --memory-file, as `save --keep-memory` does
    #[arg(long, requires = "save_at", conflicts_with = "keep_running")]
    pub keep_memory: bool,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Name of the guest, for save, status and so on [default: vm1, vm2, ...]
    pub name: Option<String>,
    /// Kernel: arm64 Image (plain, gzip or EFI zboot), ELF, or a flat binary as for QEMU
    /// [default: a small guest with a prompt]
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// Initial RAM disk
    #[arg(long, value_name = "FILE")]
    pub initrd: Option<PathBuf>,
    /// Kernel command line
    #[arg(long, value_name = "STRING", default_value = "", allow_hyphen_values = true)]
    pub append: String,
    /// Virtual CPUs
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub vcpus: u32,
    /// Memory, with suffix K, M or G
    #[arg(long, value_name = "SIZE", default_value = "512M", value_parser = parse_size)]
    pub memory: u64,
    /// Keep the guest's memory in the file PATH, so that `save --keep-memory` can leave it there
    ///
    /// The file is made if it is not there, and takes the room of --memory and one page at once.
    /// On tmpfs or on a file system that is mounted with -o dax it is memory itself. It is locked
    /// while the guest runs; who shortens it ends the guest.
    #[arg(long, value_name = "PATH")]
    pub memory_file: Option<PathBuf>,
    /// What executes the guest [default: kvm where it works and can do what is asked, else soft]
    #[arg(long, value_enum)]
    pub engine: Option<EngineName>,
    /// CPU features shown to the guest [default: v8.0; the host's with --engine kvm]
    #[arg(long, value_enum)]
    pub cpu: Option<CpuName>,
    /// CPU features of each vCPU, by names as for --cpu: one for each of --vcpus, in their order
    ///
    /// As the clusters of one chip differ. What a vCPU does not show is UNDEFINED there and may
    /// work on the next; a guest kernel uses what all of them show. Only --engine soft can do that,
    /// for `run` and for `restore`.
    #[arg(long, value_enum, value_name = "CPU,CPU,...", value_delimiter = ',')]
    #[arg(conflicts_with = "cpu")]
    pub asymmetric: Vec<CpuName>,
    /// Features of the host's CPUs that vCPUs are made with; only --engine kvm has them. A restored
    /// guest has those that it was born with
    #[arg(long, value_enum, value_name = "FEATURE,...", value_delimiter = ',')]
    pub features: Vec<FeatureName>,
    /// Promise the guest a contract: a file, or the name of one that comes with abide
    ///
    /// Every register of it gets its value before the first instruction and is read back, and what
    /// only this host has is hidden. The contract travels in the guest's snapshots. Where the host
    /// or the engine cannot keep it, nothing is started and every register in the way is named.
    #[arg(long, value_name = "FILE|NAME", conflicts_with_all = ["cpu", "asymmetric", "features"])]
    pub contract: Option<PathBuf>,
    #[command(flatten)]
    pub vmclock: VmclockArgs,
    #[command(flatten)]
    pub host_clock: HostClockArgs,
    #[command(flatten)]
    pub stolen_time: StolenTimeArgs,
    /// Let executed instructions make time pass, so that every run is the same to the last bit;
    /// standard input is not read, and the end shows a hash over the whole guest state
    #[arg(long)]
    pub deterministic: bool,
    /// Write a report of the run (JSON)
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub devices: DeviceArgs,
    #[command(flatten)]
    pub save_points: SavePointArgs,
    #[command(flatten)]
    pub state: StateDirArgs,
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The file
    pub file: PathBuf,
    #[command(flatten)]
    pub elsewhere: ElsewhereArgs,
    /// Where the guest's memory file is now, after `save --keep-memory`; of another snapshot, the
    /// file that its memory is put into
    #[arg(long, value_name = "PATH")]
    pub memory_file: Option<PathBuf>,
    /// Name of the guest from here on [default: the file's name without ending, if free]
    pub name: Option<String>,
    /// Go on as the same guest: take the right to run from a file of `save --move`, for good
    ///
    /// Else the guest is told that it is a copy. The file is marked before the guest's first
    /// instruction. A copy of the file made before has a right of its own.
    #[arg(long = "move")]
    pub moves: bool,
    /// What executes the guest [default: kvm where it works and can do what is asked, else soft]
    #[arg(long, value_enum)]
    pub engine: Option<EngineName>,
    #[command(flatten)]
    pub accept: AcceptArgs,
    #[command(flatten)]
    pub stolen_time: StolenTimeArgs,
    /// Read and check all memory before the guest goes on, so that a damaged file is refused; else
    /// memory comes as the guest touches it, and damage ends the guest (exit code 3) when it is met
    #[arg(long)]
    pub eager: bool,
    #[command(flatten)]
    pub host_clock: HostClockArgs,
    /// Write a report of the run (JSON)
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub save_points: SavePointArgs,
    #[command(flatten)]
    pub state: StateDirArgs,
}

/// What a guest's owner takes upon himself.
#[derive(Debug, Args)]
pub struct AcceptArgs {
    /// Let the guest go where it otherwise could not, and name each register for which; may be
    /// repeated
    #[arg(long, value_enum, value_name = "EXCEPTION")]
    pub accept: Vec<ExceptionName>,
}

impl AcceptArgs {
    /// As the planner knows them.
    pub fn exceptions(&self) -> Exceptions {
        let advertised = ExceptionName::AdvertisedNotImplemented;
        Exceptions { advertised_not_implemented: self.accept.contains(&advertised) }
    }

    /// As they were given, for another process.
    pub fn words(&self) -> Vec<OsString> {
        let words = |exception: &ExceptionName| match exception {
            ExceptionName::AdvertisedNotImplemented => {
                ["--accept".into(), "advertised-not-implemented".into()]
            }
        };
        self.accept.iter().flat_map(words).collect()
    }
}

/// An exception to what a guest can rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExceptionName {
    /// On the software engine ID registers go on showing AArch32, EL2, big-endian data or granules
    /// of 64 KiB, which it has not: a return to AArch32 is illegal, the others are UNDEFINED
    AdvertisedNotImplemented,
}

/// A guest by name.
#[derive(Debug, Args)]
pub struct NamedArgs {
    /// The guest
    pub name: String,
    #[command(flatten)]
    pub state: StateDirArgs,
}

/// A question about a guest.
#[derive(Debug, Args)]
pub struct NamedQueryArgs {
    /// The guest
    pub name: String,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub state: StateDirArgs,
}

/// A question about all guests.
#[derive(Debug, Args)]
pub struct QueryArgs {
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub state: StateDirArgs,
}

/// Arguments of `save`.
#[derive(Debug, Args)]
pub struct SaveArgs {
    /// The guest
    pub name: String,
    /// The file to write
    pub file: PathBuf,
    /// Let the guest go on here; else it ends here and goes on where the file is restored
    #[arg(long)]
    pub keep_running: bool,
    /// Move the guest: the file gives the right to run, once, to `restore --move`
    #[arg(long = "move", conflicts_with = "keep_running")]
    pub moves: bool,
    /// Compress memory (lz4); such a file cannot be mapped
    #[arg(long)]
    pub compress: bool,
    /// Leave memory in the file that `run --memory-file` put it into, and write all the rest
    ///
    /// Takes no longer for a guest with more memory. The file is good for one restore, on this host
    /// or on any that has the memory file as it is now: after a new kernel was started over
    /// persistent memory, for one.
    #[arg(long, conflicts_with_all = ["keep_running", "compress"])]
    pub keep_memory: bool,
    /// Write a hash of the memory too, which restore checks; both then read all of it
    #[arg(long, requires = "keep_memory")]
    pub hash_memory: bool,
    /// Replace the file if it exists
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub state: StateDirArgs,
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The file
    pub file: PathBuf,
    /// Only records of this unit (cpu, gic, uart, ...)
    #[arg(long, value_name = "UNIT")]
    pub unit: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// One file
    pub left: PathBuf,
    /// Another
    pub right: PathBuf,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The file
    pub file: PathBuf,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// What executes guests [default: kvm where it works and can do what is asked, else soft]
    #[arg(long, value_enum)]
    pub engine: Option<EngineName>,
    /// CPU features that a guest is born with [default: v8.0]
    #[arg(long, value_enum)]
    pub cpu: Option<CpuName>,
    /// Features of the host's CPUs that vCPUs are made with; only --engine kvm has them
    #[arg(long, value_enum, value_name = "FEATURE,...", value_delimiter = ',')]
    pub features: Vec<FeatureName>,
    #[command(flatten)]
    pub stolen_time: StolenTimeArgs,
    /// The profile's name, for reports [default: of engine and CPU]
    #[arg(long, value_name = "NAME", value_parser = parse_line)]
    pub name: Option<String>,
    /// Write the profile to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, requires = "output")]
    pub overwrite: bool,
}

/// Arguments of `baseline`.
#[derive(Debug, Args)]
pub struct BaselineArgs {
    /// Profiles of the hosts: files, or names of profiles that come with abide
    #[arg(required = true, value_name = "PROFILE")]
    pub profiles: Vec<PathBuf>,
    /// Write the contract to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, requires = "output", conflicts_with = "update")]
    pub overwrite: bool,
    /// Bring the file up to date and keep its comments; for guests that are still to be born
    #[arg(long, requires = "output")]
    pub update: bool,
    /// The contract's name, for reports
    #[arg(long, value_name = "NAME", default_value = "baseline", value_parser = parse_line)]
    pub name: String,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Guests: snapshots, contracts, or profiles for a guest that would be born there with all that
    /// the host offers; files, or names of what comes with abide
    ///
    /// A contract stands for every guest that was born under it. A profile stands for a guest that
    /// was born without one: it has seen the newest of everything, and is hard to move.
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<PathBuf>,
    /// Hosts, by their profiles [default: the sources, where all of them are profiles]
    #[arg(long, value_name = "PROFILE", num_args = 1..)]
    pub to: Vec<PathBuf>,
    /// Plan the way home, too: what the host added to the guest must not stand against it
    #[arg(long)]
    pub back: bool,
    /// The host that the guest is on now, for the way home; where SOURCE is a profile, it is that
    #[arg(long, value_name = "PROFILE")]
    pub home: Option<PathBuf>,
    #[command(flatten)]
    pub accept: AcceptArgs,
    /// Show every register, not only those about which there is something to say
    #[arg(long)]
    pub all: bool,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
    /// Write the whole plan as one self-contained HTML page, or as JSON, by the file's ending
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Show it with this kernel instead of the guest that comes with abide
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// Its initial RAM disk
    #[arg(long, value_name = "FILE", requires = "kernel")]
    pub initrd: Option<PathBuf>,
    /// Its command line
    #[arg(
        long,
        value_name = "STRING",
        default_value = "",
        requires = "kernel",
        allow_hyphen_values = true
    )]
    pub append: String,
    /// Its memory, with suffix K, M or G
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = parse_size)]
    pub memory: u64,
    /// How many times to save it
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    pub saves: u32,
    /// Write the report as one self-contained HTML page, or as JSON, by the file's ending
    #[arg(long, value_name = "FILE", default_value = "abide-demo.html")]
    pub report: PathBuf,
}

/// A disk: a path, then options, back to the first empty one: so `a,b,` is the path `a,b`.
fn parse_disk(text: &str) -> Result<DiskConfig, String> {
    let mut parts: Vec<&str> = text.split(',').collect();
    let (mut readonly, mut direct) = (false, false);
    while parts.len() > 1 {
        match parts.last() {
            Some(&"readonly") => readonly = true,
            Some(&"direct") => direct = true,
            Some(&"") => {
                parts.pop();
                break;
            }
            other => {
                let option = other.copied().unwrap_or_default();
                return Err(format!("{option:?} is no option; there are readonly and direct"));
            }
        }
        parts.pop();
    }
    let path = parts.join(",");
    if path.is_empty() {
        return Err("a path is needed".to_owned());
    }
    Ok(DiskConfig { path: path.into(), readonly, direct })
}

/// A disk of a snapshot, and where it is now.
fn parse_disk_change(text: &str) -> Result<DiskChange, String> {
    match text.split_once('=') {
        Some((old, new)) if !old.is_empty() && !new.is_empty() => {
            Ok(DiskChange { old: old.to_owned(), new: new.into() })
        }
        _ => Err("OLD=NEW is needed".to_owned()),
    }
}

/// A name for reports.
fn parse_line(text: &str) -> Result<String, String> {
    let is_line = !text.is_empty() && text.len() <= 100 && !text.chars().any(char::is_control);
    if is_line { Ok(text.to_owned()) } else { Err("1 to 100 bytes on one line".to_owned()) }
}

fn parse_net(text: &str) -> Result<NetArg, String> {
    let (network, mac) = NetConfig::parse(text).map_err(|error| error.to_string())?;
    Ok(NetArg { network, mac })
}

/// Sockets: a path, then `cid=N`; or a path, and whatever stands before an empty option is of it.
fn parse_vsock(text: &str) -> Result<VsockConfig, String> {
    let (path, option) = match text.rsplit_once(',') {
        Some((path, "")) => (path, None),
        Some((path, option)) => (path, Some(option)),
        None => (text, None),
    };
    let (path, cid) = match option {
        None => (path, CID_MIN),
        Some(option) => {
            let number = option.strip_prefix("cid=");
            let number = number.ok_or(format!("{option:?} is no option; there is cid=N"))?;
            let allowed = format!("cid={number}: {CID_MIN} to {CID_MAX} are allowed");
            let cid = number.parse().ok().filter(|cid| (CID_MIN..=CID_MAX).contains(cid));
            // An option behind which the path ends.
            (path.strip_suffix(',').unwrap_or(path), cid.ok_or(allowed)?)
        }
    };
    if path.is_empty() {
        return Err("the path of a UNIX socket is needed".to_owned());
    }
    Ok(VsockConfig { path: path.into(), cid })
}

/// A size in bytes, with an optional suffix K, M or G (powers of 1024).
fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 10),
        None => match text.strip_suffix(['M', 'm']) {
            Some(digits) => (digits, 20),
            None => match text.strip_suffix(['G', 'g']) {
                Some(digits) => (digits, 30),
                None => (text, 0),
            },
        },
    };
    let number: u64 = digits.parse().map_err(|_| "a number with K, M or G is needed".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn disks_have_options() {
        let disk =
            |path: &str, readonly, direct| Ok(DiskConfig { path: path.into(), readonly, direct });
        assert_eq!(parse_disk("a.img"), disk("a.img", false, false));
        assert_eq!(parse_disk("a.img,readonly"), disk("a.img", true, false));
        assert_eq!(parse_disk("/x,y,,direct,readonly"), disk("/x,y", true, true));
        assert_eq!(parse_disk("a,direct,readonly"), disk("a", true, true));
        assert_eq!(parse_disk("a,b,"), disk("a,b", false, false));
        assert!(parse_disk("a.img,rw").is_err());
        assert!(parse_disk("").is_err());
        assert!(parse_disk(",readonly").is_err());
        assert!(parse_disk_change("a.img").is_err());
        assert!(parse_disk_change("=b").is_err());
        let change = DiskChange { old: "a".to_owned(), new: "b=c".into() };
        assert_eq!(parse_disk_change("a=b=c"), Ok(change));
    }

    #[test]
    fn sockets_have_a_path_and_a_number() {
        let vsock = |path: &str, cid| Ok(VsockConfig { path: path.into(), cid });
        assert_eq!(parse_vsock("v.sock"), vsock("v.sock", 3));
        assert_eq!(parse_vsock("v.sock,cid=52"), vsock("v.sock", 52));
        assert_eq!(parse_vsock("/x,y,,cid=4294967294"), vsock("/x,y", u32::MAX - 1));
        assert_eq!(parse_vsock("a,cid=7,"), vsock("a,cid=7", 3));
        for wrong in ["", ",", ",cid=3", "a,cid=2", "a,cid=4294967295", "a,cid=x", "a,port=5"] {
            assert!(parse_vsock(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_suffixes() {
        assert_eq!(parse_size("512M"), Ok(512 << 20));
        assert_eq!(parse_size("4k"), Ok(4096));
        assert_eq!(parse_size("7"), Ok(7));
        assert!(parse_size("M").is_err());
        assert!(parse_size("99999999999G").is_err());
        assert!(parse_size("-1M").is_err());
    }
}
