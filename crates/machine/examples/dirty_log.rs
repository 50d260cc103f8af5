//! Boots a guest in virtual time to its end, with the dirty log harvested as a migration does it,
//! or off. For `cargo xtask bench dirty-log`.
//!
//! ```sh
//! cargo run --release -p abide-machine --example dirty_log -- KERNEL INITRD COMMAND_LINE PERIOD_MS
//! ```
//!
//! `PERIOD_MS` is the time between two harvests; with 0 the log is off.

use abide_engine::{Engine, EngineError, Vm, VmConfig};
use abide_engine_soft::SoftEngine;
use abide_firmware::Firmware;
use abide_machine::board::BoardConfig;
use abide_machine::runner::{Outcome, RunConfig, control};
use abide_machine::{BirthConfig, Machine, TimeSource};
use abide_memory::GuestRam;
use std::error::Error;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The software engine, which keeps the guest's RAM for whoever harvests.
struct Watched {
    engine: SoftEngine,
    ram: Mutex<Option<Arc<GuestRam>>>,
}

impl Engine for Watched {
    fn name(&self) -> &'static str {
        self.engine.name()
    }

    fn create_vm(&self, config: VmConfig) -> Result<Box<dyn Vm>, EngineError> {
        let ram = Arc::clone(&config.ram);
        *self.ram.lock().unwrap_or_else(PoisonError::into_inner) = Some(ram);
        self.engine.create_vm(config)
    }
}

#[expect(clippy::print_stdout, reason = "an example's result is what it prints")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kernel, initrd, bootargs, period_ms] = arguments.as_slice() else {
        return Err("KERNEL INITRD COMMAND_LINE PERIOD_MS are needed".into());
    };
    let period = Duration::from_millis(period_ms.parse()?);
    let engine = Watched { engine: SoftEngine::new(), ram: Mutex::new(None) };
    let board = BoardConfig { ram_len: 512 << 20, ..BoardConfig::DEFAULT };
    let mut machine = Machine::create(
        &engine,
        BirthConfig {
            board,
            virtio: &[],
            time: TimeSource::Virtual,
            firmware: Firmware::default(),
            kernel: &std::fs::read(kernel)?,
            initrd: Some(&std::fs::read(initrd)?),
            bootargs,
            console: Box::new(std::io::sink()),
        },
    )?;
    let ram = engine.ram.lock().unwrap_or_else(PoisonError::into_inner).take();
    let ram = ram.ok_or("the engine got no RAM")?;
    let (end, ended) = channel::<()>();
    let harvester = std::thread::spawn(move || {
        let (mut harvests, mut pages) = (0_u64, 0);
        if period.is_zero() {
            return (harvests, pages);
        }
        ram.dirty().start();
        while ended.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
            pages += ram.dirty().harvest().len();
            harvests += 1;
        }
        (harvests, pages)
    });
    let (_, queue) = control();
    let outcome = machine.run(&queue, &RunConfig::default())?.outcome;
    drop(end);
    let (harvests, pages) = harvester.join().map_err(|_| "the harvester panicked")?;
    println!("{} instructions, {harvests} harvests, {pages} pages", machine.instructions());
    if outcome == Outcome::PoweredOff { Ok(()) } else { Err(format!("{outcome:?}").into()) }
}
