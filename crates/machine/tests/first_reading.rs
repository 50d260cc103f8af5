//! The first thing that a guest reads of its clock where it has come to, held against the host's.
//!
//! The guest reads its page and its counter as fast as it can, and writes both to a port that
//! traps. The host knows the time when it let the guest go on and when the port was written: the
//! reading must lie between, but for the largest error that the page itself tells.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use abide_engine_soft::SoftEngine;
use abide_firmware::Firmware;
use abide_host_time::assess::kernel_maxerror_ns;
use abide_host_time::{
    Discipline, HostClock, HostTime, KernelClock, Kind, LeapState, SimulatedClock, Utc,
};
use abide_machine::board::{BoardConfig, UART_BASE, VMCLOCK_BASE};
use abide_machine::devices::vmclock::VmclockConfig;
use abide_machine::host_time::HostTimeOfDay;
use abide_machine::lifecycle::Intent;
use abide_machine::runner::{Command, Outcome, Reply};
use abide_machine::{BirthConfig, Machine, TimeSource, restore};
use abide_snapshot::Reader;
use abide_testkit::guest::{Program, asm, x};
use abide_vmclock::{Body, Time, spec};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use support::smp;

/// What the guest writes of a reading: the body's twelve words and the counter.
const RECORD_LEN: usize = 8 * 13;
/// MRS x3, CNTVCT_EL0.
const MRS_X3_CNTVCT: u32 = 0xd53b_e043;
const ISB: u32 = 0xd503_3fdf;

/// Reads under the sequence count, writes to the UART, for ever.
fn reading_guest() -> Vec<u8> {
    smp::image(1, |program, _| {
        program.mov64(x(24), VMCLOCK_BASE.0);
        program.mov64(x(25), UART_BASE.0);
        let (again, send) = (program.label(), program.label());
        program.bind(again);
        asm!(program.assembler(); ldr w4, [x24, 0xc]; tbnz w4, 0, =>again);
        program.word(smp::DMB_ISHLD);
        asm!(program.assembler(); add x0, x20, smp::OWN);
        for at in (0..96).step_by(8) {
            copy_word(program, at);
        }
        program.word(ISB);
        program.word(MRS_X3_CNTVCT);
        asm!(program.assembler(); str x3, [x0, 96]);
        program.word(smp::DMB_ISHLD);
        asm!(program.assembler()
            ; ldr w5, [x24, 0xc]
            ; cmp w4, w5
            ; b.ne =>again
            ; mov x6, RECORD_LEN as u64
        );
        program.bind(send);
        asm!(program.assembler()
            ; ldrb w7, [x0], 1
            ; str w7, [x25]
            ; sub x6, x6, 1
            ; cbnz x6, =>send
        );
        program.branch(again);
    })
}

fn copy_word(program: &mut Program, to: u32) {
    let from = 0x10 + to;
    asm!(program.assembler(); ldr x1, [x24, from]; str x1, [x0, to]);
}

/// A host's clock that is its kernel's and so much more, and says how wrong it is.
struct Host {
    offset_ns: i64,
    maxerror_us: i64,
}

impl Host {
    fn source(&self, folder: &Path) -> Box<HostTimeOfDay> {
        let path = folder.join("clock");
        let Self { offset_ns, maxerror_us } = self;
        std::fs::write(&path, format!("offset-ns {offset_ns}\nmaxerror-us {maxerror_us}\n"))
            .unwrap();
        let clock = Box::new(SimulatedClock::open(&path).unwrap());
        // The clock knows TAI; there is no table.
        let time = HostTime::new(clock, Kind::Unstated, folder.join("none"));
        Box::new(HostTimeOfDay::new(time))
    }

    fn tai(&self) -> Time {
        let Utc { sec, ns } = KernelClock.utc();
        let ns = i128::from(sec + 37) * 1_000_000_000 + i128::from(ns) + i128::from(self.offset_ns);
        let sec = u64::try_from(ns / 1_000_000_000).unwrap();
        Time::from_parts(sec, 0) + Time::from_ns(u64::try_from(ns % 1_000_000_000).unwrap())
    }

    /// What its clock itself may be wrong at this moment, in ns.
    fn error_ns(&self, at: Time) -> u64 {
        let discipline = Discipline {
            leap: LeapState::None,
            status: 0,
            freq_scaled_ppm: 0,
            tick_us: 10_000,
            maxerror_us: self.maxerror_us,
            esterror_us: 10,
            tai_sec: 37,
        };
        let ns = Time(at.0 & ((1 << 64) - 1)).to_ns();
        kernel_maxerror_ns(&discipline, u32::try_from(ns).unwrap())
    }
}

/// The port's other end: what was written, and the kernel's UTC at the end of each record.
#[derive(Clone, Default)]
struct Port(Arc<Mutex<Vec<(u8, Utc)>>>);

impl Port {
    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let now = KernelClock.utc();
        self.0.lock().unwrap().extend(bytes.iter().map(|&byte| (byte, now)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A reading as the guest wrote it, and when it had.
struct Record {
    body: Body,
    counter: u64,
    written: Utc,
}

/// The records in what was written behind the first `skip` bytes.
fn records(port: &Port, skip: usize) -> Vec<Record> {
    let written = port.0.lock().unwrap();
    let whole = written[skip..].chunks_exact(RECORD_LEN).map(|record| {
        let word = |index: usize| {
            let bytes = record[8 * index..][..8].iter().map(|&(byte, _)| byte);
            u64::from_le_bytes(bytes.collect::<Vec<_>>().try_into().unwrap())
        };
        let body = Body::from_words(&std::array::from_fn(word));
        Record { body, counter: word(12), written: record[RECORD_LEN - 1].1 }
    });
    whole.collect()
}

/// Runs it until it has written `more` records, then does `last`.
fn run_until(machine: &mut Machine, port: &Port, more: usize, last: Command) -> Outcome {
    let until = port.len() + more * RECORD_LEN;
    smp::run_asked(machine, |control| {
        while port.len() < until && smp::status(control).is_some() {
            std::thread::yield_now();
        }
        let reply = control.ask(last);
        assert!(matches!(reply, Some(Reply::Done | Reply::Saved { .. })), "{reply:?}");
    })
}

fn born(port: &Port) -> Machine {
    let board = BoardConfig {
        ram_len: smp::RAM_LEN,
        vcpu_count: 1,
        vmclock: Some(VmclockConfig::DEFAULT),
        ..BoardConfig::DEFAULT
    };
    let birth = BirthConfig {
        board,
        virtio: &[],
        time: TimeSource::Host,
        firmware: Firmware::default(),
        kernel: &reading_guest(),
        initrd: None,
        bootargs: "",
        console: Box::new(port.clone()),
        memory_file: None,
    };
    Machine::create(&SoftEngine::new(), birth).unwrap()
}

/// Holds every record against the host's time; the first lies behind `before`.
fn hold(host: &Host, records: &[Record], before: Time) {
    let mut before = before;
    for Record { body, counter, written } in records {
        assert_eq!(body.clock_status, spec::STATUS_SYNCHRONIZED);
        let (time, error) = (body.line.time_at(*counter), body.line.maxerror_at(*counter));
        let shift = Time::from_parts(37, 0);
        let after = Time::from_parts(u64::try_from(written.sec).unwrap(), 0)
            + Time::from_ns(written.ns.into())
            + shift;
        let after = after + Time(i128::from(host.offset_ns) * (1 << 64) / 1_000_000_000);
        assert!(time + error >= before, "read {time} ± {error}, but it was {before} already");
        assert!(time - error <= after, "read {time} ± {error}, but it was {after} only");
        before = after - error;
    }
}

#[test]
fn the_first_reading_is_true_after_birth_and_wherever_the_guest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let port = Port::default();
    let mut machine = born(&port);
    let here = Host { offset_ns: 0, maxerror_us: 40 };
    machine.set_time_of_day(here.source(folder.path()));
    let before = here.tai();
    let file = folder.path().join("saved.abide");
    let save = Command::Save {
        path: file.clone(),
        keep_running: false,
        compress: false,
        overwrite: false,
    };
    assert_eq!(run_until(&mut machine, &port, 5, save), Outcome::SavedAway);
    let first = records(&port, 0);
    hold(&here, &first, before);
    let marker = first.last().unwrap().body.disruption_marker;
    let printed = port.len();
    // The rest of a record that was being written.
    let skip = (RECORD_LEN - printed % RECORD_LEN) % RECORD_LEN;
    let mut added = Vec::new();
    for (intent, offset_ns) in [
        (Intent::Restore, 1_500_000_000),
        (Intent::Clone, -700_000_000),
        (Intent::Move, 86_400_000_000_000),
    ] {
        let there = Host { offset_ns, maxerror_us: 60 };
        let port = Port::default();
        let reader = Reader::open(&file).unwrap();
        let prepared =
            restore::restore(&SoftEngine::new(), &reader, Box::new(port.clone())).unwrap();
        let mut machine = prepared.commit(intent).unwrap();
        machine.set_time_of_day(there.source(folder.path()));
        let before = there.tai();
        assert_eq!(run_until(&mut machine, &port, 5, Command::Stop), Outcome::Stopped);
        let mut read = records(&port, skip);
        // What was read before the save and not written yet has the old page whole.
        let is_old = |record: &Record| record.body.disruption_marker == marker;
        let old = read.iter().take_while(|record| is_old(record)).count();
        assert!(old <= 1, "{intent:?}: {old} records of the old page");
        read.drain(..old);
        assert!(read.iter().all(|record| record.body.disruption_marker > marker), "{intent:?}");
        hold(&there, &read, before);
        let line = read[0].body.line;
        added.push(line.time_maxerror_ns - there.error_ns(line.time).min(line.time_maxerror_ns));
    }
    println!("a move adds to the largest error, in ns: {added:?}");
    // Between two readings of a clock the host may let somebody else run, but hardly each time.
    assert!(added.iter().min().unwrap() <= &50_000, "{added:?}");
}

#[test]
fn a_host_that_knows_no_time_tells_none() {
    let folder = tempfile::tempdir().unwrap();
    let port = Port::default();
    let mut machine = born(&port);
    std::fs::write(folder.path().join("lost"), "synchronised no\n").unwrap();
    let clock = Box::new(SimulatedClock::open(&folder.path().join("lost")).unwrap());
    let time = HostTime::new(clock, Kind::Unstated, folder.path().join("none"));
    machine.set_time_of_day(Box::new(HostTimeOfDay::new(time)));
    run_until(&mut machine, &port, 2, Command::Stop);
    for record in records(&port, 0) {
        assert_eq!(record.body.clock_status, spec::STATUS_UNRELIABLE);
    }
    let (control, queue) = abide_machine::runner::control();
    let (_, status) = std::thread::scope(|scope| {
        let asking = scope.spawn(move || {
            let Some(Reply::Clock(Some(status))) = control.ask(Command::Clock) else {
                panic!("it has a clock");
            };
            let _ = control.ask(Command::Stop);
            status
        });
        let run = machine.run(&queue, &abide_machine::runner::RunConfig::default());
        (run.unwrap(), asking.join().unwrap())
    });
    assert!(status.reading.is_err());
    assert!(status.doubt.unwrap().contains("STA_UNSYNC"));
}
