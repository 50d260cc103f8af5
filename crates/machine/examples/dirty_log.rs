//! Boots a guest in virtual time to its end, with the dirty log harvested as a migration does it,
//! or off. For `cargo xtask bench dirty-log`.
//!
//! ```sh
//! cargo run --release -p abide-machine --example dirty_log -- \
//!     KERNEL INITRD COMMAND_LINE PERIOD_MS [copy]
//! ```
//!
//! `PERIOD_MS` is the time between two harvests; with 0 the log is off. With `copy`, the harvested
//! pages are copied too, which is no longer the log's work but a migration's.

use abide_engine::{
    Abi, Engine, EngineError, InterruptLines, Irqchip, Provider, Vcpu, Vm, VmConfig,
};
use abide_engine_soft::SoftEngine;
use abide_firmware::Firmware;
use abide_machine::board::BoardConfig;
use abide_machine::runner::{Outcome, RunConfig, control};
use abide_machine::{BirthConfig, Machine, TimeSource};
use abide_memory::{GuestRam, PAGE_SIZE};
use abide_pvtime::Revisions;
use abide_reg::{Gpa, VcpuId};
use std::error::Error;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

type Page = [u8; 4096];
const _: () = assert!(size_of::<Page>() as u64 == PAGE_SIZE);

/// What a harvester needs: the VM that the machine has too, and its RAM.
#[derive(Clone)]
struct Watched {
    vm: Arc<Mutex<Box<dyn Vm>>>,
    ram: Arc<GuestRam>,
}

impl Watched {
    fn vm(&self) -> MutexGuard<'_, Box<dyn Vm>> {
        self.vm.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One round, as a migration does it; returns the number of pages.
    fn harvest(&self, copy: Option<&mut Page>) -> Result<u64, EngineError> {
        self.vm().sync_dirty_log()?;
        let pages = self.ram.dirty().harvest();
        self.vm().settle_dirty_log();
        if let Some(page) = copy {
            for number in pages.iter() {
                let gpa = Gpa(self.ram.base().0 + number * PAGE_SIZE);
                self.ram.read(gpa, page).unwrap_or_else(|error| unreachable!("{error}"));
                std::hint::black_box(&page);
            }
        }
        Ok(pages.len())
    }

    /// Harvests until told to end; returns how often, and the number of pages.
    fn harvest_each(
        &self,
        period: Duration,
        copies: bool,
        end: &Receiver<()>,
    ) -> Result<(u64, u64), EngineError> {
        let mut page = [0; 4096];
        let (mut harvests, mut pages) = (0, 0);
        self.ram.dirty().start();
        self.vm().settle_dirty_log();
        while end.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
            pages += self.harvest(copies.then_some(&mut page))?;
            harvests += 1;
        }
        Ok((harvests, pages))
    }
}

impl Vm for Watched {
    fn provider(&self, abi: Abi) -> Provider {
        self.vm().provider(abi)
    }

    fn create_vcpu(
        &mut self,
        id: VcpuId,
        lines: Arc<InterruptLines>,
    ) -> Result<Box<dyn Vcpu>, EngineError> {
        self.vm().create_vcpu(id, lines)
    }

    fn create_irqchip(&mut self) -> Result<Option<Arc<dyn Irqchip>>, EngineError> {
        self.vm().create_irqchip()
    }

    fn counts_instructions(&self) -> bool {
        self.vm().counts_instructions()
    }

    fn sync_dirty_log(&mut self) -> Result<(), EngineError> {
        self.vm().sync_dirty_log()
    }

    fn settle_dirty_log(&self) {
        self.vm().settle_dirty_log();
    }
}

/// The software engine, which shows its VM to a harvester.
#[derive(Default)]
struct Showing {
    engine: SoftEngine,
    watched: Mutex<Option<Watched>>,
}

impl Engine for Showing {
    fn name(&self) -> &'static str {
        self.engine.name()
    }

    fn stolen_time(&self) -> Revisions {
        self.engine.stolen_time()
    }

    fn create_vm(&self, config: VmConfig) -> Result<Box<dyn Vm>, EngineError> {
        let ram = Arc::clone(&config.ram);
        let vm = Arc::new(Mutex::new(self.engine.create_vm(config)?));
        let watched = Watched { vm, ram };
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = Some(watched.clone());
        Ok(Box::new(watched))
    }
}

#[expect(clippy::print_stdout, reason = "an example's result is what it prints")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (kernel, initrd, bootargs, period_ms, copies) = match arguments.as_slice() {
        [kernel, initrd, bootargs, period_ms] => (kernel, initrd, bootargs, period_ms, false),
        [kernel, initrd, bootargs, period_ms, copy] if copy == "copy" => {
            (kernel, initrd, bootargs, period_ms, true)
        }
        _ => return Err("KERNEL INITRD COMMAND_LINE PERIOD_MS [copy] are needed".into()),
    };
    let period = Duration::from_millis(period_ms.parse()?);
    let engine = Showing::default();
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
            memory_file: None,
        },
    )?;
    let watched = engine.watched.lock().unwrap_or_else(PoisonError::into_inner).take();
    let watched = watched.ok_or("the engine made no VM")?;
    let (end, ended) = channel::<()>();
    let harvester = std::thread::spawn(move || {
        if period.is_zero() {
            return Ok((0, 0));
        }
        watched.harvest_each(period, copies, &ended)
    });
    let (_, queue) = control();
    let outcome = machine.run(&queue, &RunConfig::default())?.outcome;
    drop(end);
    let (harvests, pages) = harvester.join().map_err(|_| "the harvester panicked")??;
    println!("{} instructions, {harvests} harvests, {pages} pages", machine.instructions());
    if outcome == Outcome::PoweredOff { Ok(()) } else { Err(format!("{outcome:?}").into()) }
}
