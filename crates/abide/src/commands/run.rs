//! `abide run`: a guest is born.

use super::{clock, devices, fleet, moves, session};
use crate::cli::{EngineName, RunArgs};
use crate::console::Output;
use crate::engines;
use crate::exit::Exit;
use crate::out::say;
use abide_contract::Exceptions;
use abide_engine_kvm::trial::Kind;
use abide_machine::board::BoardConfig;
use abide_machine::{BirthConfig, GuestContract, Kept, Machine, TimeSource};
use anyhow::{Context, Result, bail};
use std::borrow::Cow;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// The guest that comes with abide: an arm64 Image built from `guests/shell`.
const SHIPPED_GUEST: &[u8] = include_bytes!("../../../../guests/bin/shell.img");

/// What is read of a kernel or RAM disk, in bytes, however small the guest: debug information
/// makes an ELF file much longer than the kernel in it.
const INPUT_MAX_LEN: u64 = 1 << 30;

/// Runs a new guest to its end.
pub fn run(args: &RunArgs) -> Result<Exit> {
    let config = session::run_config(&args.save_points)?;
    let host_time = clock::source(&args.host_clock)?;
    let cpus = engines::Cpus::of(args)?;
    if args.engine == Some(EngineName::Kvm) && cpus.is_for_soft() {
        bail!(cpus.not_on_kvm());
    }
    let features = engines::features(&args.features)?;
    let needs = engines::Needs { soft_only: soft_only(args, &cpus), features };
    let found = engines::Found::find(args.engine, &needs, Kind::Born)?;
    let (cntfrq_hz, instead) = (found.cntfrq_hz(), found.instead());
    let contract = args.contract.as_deref().map(fleet::contract).transpose()?;
    let contract = contract.map(GuestContract::new);
    let engine = match &contract {
        Some(_) => found.any_cpu(Exceptions::default(), &args.stolen_time),
        None => cpus.open(found, &args.stolen_time)?,
    };
    args.stolen_time.check(engine.as_ref())?;
    let input_max_len = args.memory.max(INPUT_MAX_LEN);
    let kernel = match &args.kernel {
        Some(path) => Cow::Owned(read_file("kernel", path, input_max_len)?),
        None => Cow::Borrowed(SHIPPED_GUEST),
    };
    let initrd =
        args.initrd.as_deref().map(|path| read_file("initrd", path, input_max_len)).transpose()?;
    let place = session::take_place(args.state.state_dir.as_deref(), args.name.as_deref(), None)?;
    let board = BoardConfig {
        ram_len: args.memory,
        vcpu_count: args.vcpus,
        cntfrq_hz,
        features,
        vmclock: args.vmclock.config(),
        ..BoardConfig::DEFAULT
    };
    let time = if args.deterministic { TimeSource::Virtual } else { TimeSource::Host };
    let virtio = devices::virtio(&args.devices, args.deterministic, place.name())?;
    let output = Output::stdout();
    let birth = BirthConfig {
        board,
        virtio: &virtio,
        time,
        firmware: cpus.firmware()?,
        kernel: &kernel,
        initrd: initrd.as_deref(),
        bootargs: &args.append,
        console: Box::new(output.clone()),
        memory_file: args.memory_file.as_deref(),
    };
    let machine = match &contract {
        Some(contract) => {
            let (machine, kept) = Machine::create_under(engine.as_ref(), birth, contract)?;
            announce(place.name(), contract, &kept);
            machine
        }
        None => Machine::create(engine.as_ref(), birth)?,
    };
    #[cfg(feature = "next-version")]
    let machine = {
        let mut machine = machine;
        let note = std::env::var("ABIDE_NEXT_NOTE").ok();
        machine.give_next(note.as_deref(), std::env::var_os("ABIDE_NEXT_DEVICE").is_some());
        machine
    };
    let mut machine = machine;
    machine.set_time_of_day(host_time);
    drop((kernel, initrd));
    if args.kernel.is_none() {
        say(&format!("{} runs the guest that comes with abide; Ctrl-A x ends it", place.name()));
    }
    say(&format!("{} runs on engine {}{instead}", place.name(), machine.engine()));
    let report = session::Report { path: args.report.as_deref(), ..session::Report::default() };
    let options = [args.host_clock.words(), args.stolen_time.words()].concat();
    let setting = session::Setting { output, place: Arc::new(place), options, is_awaited: false };
    session::run(machine, setting, &config, &report)
}

/// What is asked for that only the software engine has.
fn soft_only(args: &RunArgs, cpus: &engines::Cpus) -> Option<&'static str> {
    if args.deterministic {
        Some("--deterministic")
    } else if !args.save_points.save_at.is_empty() {
        Some("--save-at")
    } else {
        cpus.is_for_soft().then_some("--cpu")
    }
}

/// Tells what keeping a contract did.
fn announce(name: &str, contract: &GuestContract, kept: &Kept) {
    let (written, contract) = (kept.written, &contract.contract().name);
    say(&format!("{name}: contract {contract}: {written} registers written and read back"));
    moves::announce_steps(name, kept.originals.iter().chain(&kept.masked));
    moves::announce_hidden(name, &kept.hidden);
}

/// Reads a file of at most `max` bytes.
///
/// The bound is on what is read, not on the length that the file tells: a pipe or a device tells
/// none.
fn read_file(what: &str, path: &Path, max: u64) -> Result<Vec<u8>> {
    let context = || format!("{what} {}", path.display());
    let mut file = std::fs::File::open(path).with_context(context)?.take(max.saturating_add(1));
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).with_context(context)?;
    anyhow::ensure!(
        bytes.len() as u64 <= max,
        "{what} {}: longer than {max} bytes; use a larger --memory if it is meant so",
        path.display()
    );
    Ok(bytes)
}
