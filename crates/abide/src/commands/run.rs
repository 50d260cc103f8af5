//! `abide run`: a guest is born.

use super::session;
use crate::cli::RunArgs;
use crate::console::Output;
use crate::engines;
use crate::exit::Exit;
use crate::out::say;
use abide_machine::board::BoardConfig;
use abide_machine::{BirthConfig, Machine, TimeSource};
use anyhow::{Context, Result};
use std::borrow::Cow;
use std::path::Path;

/// The guest that comes with abide: an arm64 Image built from `guests/shell`.
const SHIPPED_GUEST: &[u8] = include_bytes!("../../../../guests/bin/shell.img");

/// The largest file that is read as kernel or RAM disk, in bytes.
const INPUT_MAX_LEN: u64 = 4 << 30;

/// Runs a new guest to its end.
pub fn run(args: &RunArgs) -> Result<Exit> {
    let config = session::run_config(&args.save_points)?;
    let engine = engines::open(args.engine, args.cpu)?;
    let kernel = match &args.kernel {
        Some(path) => Cow::Owned(read_file("kernel", path)?),
        None => Cow::Borrowed(SHIPPED_GUEST),
    };
    let initrd = args.initrd.as_deref().map(|path| read_file("initrd", path)).transpose()?;
    let place = session::take_place(args.state.state_dir.as_deref(), args.name.as_deref())?;
    let board =
        BoardConfig { ram_len: args.memory, vcpu_count: args.vcpus, ..BoardConfig::DEFAULT };
    let time = if args.deterministic { TimeSource::Virtual } else { TimeSource::Host };
    let output = Output::stdout();
    let machine = Machine::create(
        engine.as_ref(),
        BirthConfig {
            board,
            time,
            firmware: engines::firmware(args.cpu)?,
            kernel: &kernel,
            initrd: initrd.as_deref(),
            bootargs: &args.append,
            console: Box::new(output.clone()),
        },
    )?;
    drop((kernel, initrd));
    if args.kernel.is_none() {
        say(&format!("{} runs the guest that comes with abide; Ctrl-A x ends it", place.name()));
    } else {
        say(&format!("{} runs on engine {}", place.name(), machine.engine()));
    }
    session::run(machine, &output, &place, &config, args.report.as_deref())
}

fn read_file(what: &str, path: &Path) -> Result<Vec<u8>> {
    let context = || format!("{what} {}", path.display());
    let len = std::fs::metadata(path).with_context(context)?.len();
    anyhow::ensure!(
        len <= INPUT_MAX_LEN,
        "{what} {}: {len} bytes, at most {INPUT_MAX_LEN} are allowed",
        path.display()
    );
    std::fs::read(path).with_context(context)
}
