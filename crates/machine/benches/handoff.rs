//! What each vCPU adds to a standstill: saving and restoring 1 to 64 of them that are parked, on
//! the software engine. Figures with their conditions.
//!
//! Not by criterion: the machine itself tells how long each share took.
#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]

#[path = "../tests/support/mod.rs"]
mod support;

use abide_engine_soft::SoftEngine;
use abide_machine::TimeSource;
use abide_machine::restore::{Elsewhere, RestoreReport, restore_onto};
use abide_machine::runner::Command;
use abide_memory::GuestRam;
use abide_snapshot::Reader;
use std::time::Duration;
use support::handoff::{by_descriptor, done, freeze, offer};
use support::smp::{DATA, OWN, WFI, add_atomically, image, machine, run_asked};

const VCPUS: [u32; 7] = [1, 2, 4, 8, 16, 32, 64];
const TIMES: usize = 15;

fn main() {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    println!("host: {cpus} CPUs; other load shows in every figure; us per vCPU, min and median");
    let names = ["save", "write registers", "read back", "restore, all"];
    println!("{:>6} {}", "vCPUs", names.map(|name| format!("{name:>17}")).concat());
    for vcpus in VCPUS {
        let mut columns: [Vec<f64>; 4] = Default::default();
        for shares in parked(vcpus) {
            for (column, share) in columns.iter_mut().zip(shares) {
                column.push(share.as_secs_f64() * 1e6 / f64::from(vcpus));
            }
        }
        let cells = columns.map(|mut column| {
            column.sort_by(f64::total_cmp);
            format!("{:>8.1} {:>8.1}", column[0], column[column.len() / 2])
        });
        println!("{vcpus:>6} {}", cells.concat());
    }
}

/// Of some handoffs that are taken back: what it took to save all registers, to write those of the
/// vCPUs, to read all back, and all of the restore.
fn parked(vcpus: u32) -> Vec<[Duration; 4]> {
    let image = image(vcpus, |program, _| {
        add_atomically(program, OWN);
        let again = program.label();
        program.bind(again);
        program.word(WFI);
        program.branch(again);
    });
    let mut guest = machine(vcpus, &image, TimeSource::Host);
    let mut all = Vec::new();
    run_asked(&mut guest, |control| {
        let mut ram = offer(control, false).ram;
        while parked_count(&ram) < vcpus.into() {
            std::thread::sleep(Duration::from_millis(1));
        }
        for _ in 0..TIMES {
            let frozen = freeze(control);
            let report = restored(&frozen.state, &ram);
            let times = report.times;
            all.push([frozen.times.save, times.of_vcpus, times.readback, times.total()]);
            done(control, Command::TakeBack { epoch: None });
            ram = offer(control, false).ram;
        }
        done(control, Command::Stop);
    });
    all
}

fn parked_count(ram: &GuestRam) -> u64 {
    let mut bytes = [0; 8];
    let at = abide_reg::Gpa(DATA.0 + u64::from(OWN));
    ram.read(at, &mut bytes).expect("inside RAM");
    u64::from_le_bytes(bytes)
}

/// Made on the same RAM as another process would make it, and dropped.
fn restored(state: &[u8], ram: &GuestRam) -> RestoreReport {
    let reader = Reader::from_bytes(state.to_vec()).expect("a state");
    let console = Box::new(std::io::sink());
    let (engine, ram) = (SoftEngine::new(), by_descriptor(ram));
    let prepared = restore_onto(&engine, &reader, ram, console, &Elsewhere::default());
    prepared.expect("a machine").report().clone()
}
