//! A running guest is handed to another machine: by the descriptor of its RAM, or page by page.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use abide_arm64::kvm;
use abide_engine::Engine;
use abide_engine_soft::SoftEngine;
use abide_firmware::Firmware;
use abide_machine::board::BoardConfig;
use abide_machine::departure::ClockPolicy;
use abide_machine::devices::virtio::{
    DiskConfig, DiskError, NetCardConfig, RunEpoch, VirtioConfig, VsockConfig,
};
use abide_machine::devices::vmclock::VmclockConfig;
use abide_machine::error::{MachineError, RestoreError};
use abide_machine::handoff::Handoff;
use abide_machine::lifecycle::{Intent, Prepared};
use abide_machine::restore::{Elsewhere, restore_onto};
use abide_machine::runner::{Command, Control, Outcome, Reply, RunConfig, control};
use abide_machine::{BirthConfig, Machine, TimeSource};
use abide_memory::{GuestRam, PAGE_SIZE};
use abide_net::NetConfig;
use abide_reg::Gpa;
use abide_snapshot::{Reader, UnitRecord, ram_hash};
use abide_testkit::guest::{asm, x};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::handoff::{by_descriptor, done, freeze, harvest, offer};
use support::smp::{self, DATA, OWN, add_atomically, image, run_asked, status};
use support::{BOARD, KERNEL, MockEngine, Quirk, born_with, try_born};

/// The guest that comes with abide and needs nobody.
const DEMO: &[u8] = include_bytes!("../../../guests/bin/demo.img");
const DEMO_RAM_LEN: u64 = 32 << 20;

/// What a guest prints, for who asks.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn demo(printed: &Printed) -> Machine {
    let board = BoardConfig { ram_len: DEMO_RAM_LEN, ..BoardConfig::DEFAULT };
    let birth = BirthConfig {
        board,
        virtio: &[],
        time: TimeSource::Virtual,
        firmware: Firmware::default(),
        kernel: DEMO,
        initrd: None,
        bootargs: "",
        console: Box::new(printed.clone()),
        memory_file: None,
    };
    Machine::create(&SoftEngine::new(), birth).unwrap()
}

fn end(machine: &mut Machine) -> Outcome {
    let (_, queue) = control();
    machine.run(&queue, &RunConfig::default()).unwrap().outcome
}

fn copy(pages: impl Iterator<Item = u64>, from: &GuestRam, to: &GuestRam) {
    let mut page = [0; 4096];
    for number in pages {
        let gpa = Gpa(from.base().0 + number * PAGE_SIZE);
        from.read(gpa, &mut page).unwrap();
        to.write(gpa, &page).unwrap();
    }
}

fn prepare(
    engine: &dyn Engine,
    state: Vec<u8>,
    ram: GuestRam,
    console: impl Write + Send + 'static,
) -> Result<Prepared, RestoreError> {
    let reader = Reader::from_bytes(state).unwrap();
    restore_onto(engine, &reader, ram, Box::new(console), &Elsewhere::default())
}

/// Waits until the guest has executed so much.
fn wait_for(control: &Control, instructions: u64) {
    while status(control).unwrap().instructions < instructions {}
}

#[test]
fn guest_handed_over_ends_as_if_untouched() {
    let untouched = Printed::default();
    let mut machine = demo(&untouched);
    assert_eq!(end(&mut machine), Outcome::PoweredOff);
    let (hash, total) = (machine.state_hash().unwrap(), machine.instructions());
    drop(machine);
    for (logs_writes, at) in [(false, total / 5), (true, total / 3), (true, total / 2)] {
        let printed = Printed::default();
        let mut source = demo(&printed);
        let mut prepared = None;
        let outcome = run_asked(&mut source, |control| {
            wait_for(control, at);
            let offered = offer(control, logs_writes);
            let ram = if logs_writes {
                let ram = GuestRam::new(offered.ram.base(), offered.ram.size()).unwrap();
                copy(0..ram.size() / PAGE_SIZE, &offered.ram, &ram);
                for _ in 0..3 {
                    copy(harvest(control).iter(), &offered.ram, &ram);
                }
                ram
            } else {
                by_descriptor(&offered.ram)
            };
            let frozen = freeze(control);
            copy(frozen.written.iter(), &offered.ram, &ram);
            let made = prepare(&SoftEngine::new(), frozen.state, ram, printed.clone()).unwrap();
            assert_eq!(made.report().digest, frozen.digest);
            prepared = Some(made);
            done(control, Command::Release);
            done(control, Command::GiveAway);
        });
        assert_eq!(outcome, Outcome::GivenAway);
        let (_, queue) = control();
        let again = source.run(&queue, &RunConfig::default()).map(|_| ());
        assert!(matches!(again, Err(MachineError::Handoff { .. })), "it never runs here again");
        drop(source);
        let mut destination = prepared.unwrap().commit(Intent::Move).unwrap();
        assert!(destination.instructions() < total, "it was caught in the middle");
        assert_eq!(end(&mut destination), Outcome::PoweredOff);
        assert_eq!(destination.state_hash().unwrap(), hash, "log {logs_writes}, at {at}");
        assert_eq!(destination.instructions(), total);
        assert_eq!(*printed.0.lock().unwrap(), *untouched.0.lock().unwrap());
    }
}

#[test]
fn guest_taken_back_ends_as_if_untouched() {
    let untouched = Printed::default();
    let mut machine = demo(&untouched);
    end(&mut machine);
    let hash = machine.state_hash().unwrap();
    let printed = Printed::default();
    let mut source = demo(&printed);
    let outcome = run_asked(&mut source, |control| {
        for (attempt, logs_writes) in [true, false, true, false].into_iter().enumerate() {
            let offered = offer(control, logs_writes);
            assert_eq!(status(control).unwrap().handoff, Handoff::Offered { logs_writes });
            if attempt == 0 {
                // Nobody wants it.
                done(control, Command::TakeBack { epoch: None });
                continue;
            }
            let frozen = freeze(control);
            assert_eq!(status(control).unwrap().handoff, Handoff::Frozen { logs_writes });
            let ram = by_descriptor(&offered.ram);
            let before = ram_hash(&ram).unwrap();
            let prepared = prepare(&SoftEngine::new(), frozen.state, ram, std::io::sink());
            drop(prepared.unwrap());
            assert_eq!(ram_hash(&offered.ram).unwrap(), before, "not a byte is written");
            done(control, Command::TakeBack { epoch: None });
            assert_eq!(status(control).unwrap().handoff, Handoff::None);
            assert!(!offered.ram.dirty().is_enabled());
        }
    });
    assert_eq!(outcome, Outcome::PoweredOff);
    assert_eq!(source.state_hash().unwrap(), hash);
    assert_eq!(*printed.0.lock().unwrap(), *untouched.0.lock().unwrap());
}

/// Each vCPU adds 1 to the same number until it is told to end, and counts for itself how often.
#[test]
fn vcpus_on_threads_lose_nothing_on_the_way() {
    const VCPUS: u32 = 4;
    const END: u32 = OWN + 64;
    const COUNTS: u32 = OWN + 128;
    let image = image(VCPUS, |program, _| {
        let again = program.label();
        program.mov64(x(24), 0);
        asm!(program.assembler(); add x25, x20, END);
        program.bind(again);
        add_atomically(program, OWN);
        asm!(program.assembler()
            ; add x24, x24, 1
            ; ldar x0, [x25]
            ; cbz x0, =>again
            ; add x25, x20, COUNTS
            ; add x25, x25, x19, lsl 3
            ; str x24, [x25]
        );
    });
    for logs_writes in [false, true] {
        let mut machine = smp::machine(VCPUS, &image, TimeSource::Host);
        for hop in 0..3 {
            let mut next = None;
            let outcome = run_asked(&mut machine, |control| {
                let begun = status(control).unwrap().instructions;
                wait_for(control, begun + 100_000);
                let offered = offer(control, logs_writes);
                let ram = if logs_writes {
                    GuestRam::new(offered.ram.base(), offered.ram.size()).unwrap()
                } else {
                    by_descriptor(&offered.ram)
                };
                if logs_writes {
                    copy(0..ram.size() / PAGE_SIZE, &offered.ram, &ram);
                    for _ in 0..5 {
                        copy(harvest(control).iter(), &offered.ram, &ram);
                    }
                }
                let frozen = freeze(control);
                copy(frozen.written.iter(), &offered.ram, &ram);
                assert_eq!(ram_hash(&offered.ram).unwrap(), ram_hash(&ram).unwrap());
                let made = prepare(&SoftEngine::new(), frozen.state, ram, std::io::sink());
                next = Some(made.unwrap());
                done(control, Command::Release);
                done(control, Command::GiveAway);
            });
            assert_eq!(outcome, Outcome::GivenAway, "hop {hop}");
            machine = next.unwrap().commit(Intent::Move).unwrap();
        }
        machine.ram().write(Gpa(DATA.0 + u64::from(END)), &1u64.to_le_bytes()).unwrap();
        assert_eq!(smp::run(&mut machine), Outcome::PoweredOff);
        let counts = (0..VCPUS).map(|vcpu| smp::word(&machine, COUNTS + 8 * vcpu));
        let sum: u64 = counts.sum();
        assert_eq!(smp::word(&machine, OWN), sum, "log {logs_writes}");
    }
}

#[test]
fn what_would_change_a_frozen_guest_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = demo(&Printed::default());
    let outcome = run_asked(&mut machine, |control| {
        let refused = |command: Command| {
            let reply = control.ask(command);
            assert!(
                matches!(reply, Some(Reply::Failed(MachineError::Handoff { .. }))),
                "{reply:?}"
            );
        };
        for command in [
            Command::Freeze,
            Command::TakeBack { epoch: None },
            Command::Release,
            Command::GiveAway,
            Command::Harvest,
        ] {
            refused(command);
        }
        offer(control, false);
        for command in [Command::Offer { logs_writes: true }, Command::GiveAway, Command::Harvest] {
            refused(command);
        }
        freeze(control);
        let path = folder.path().join("file");
        let (compress, overwrite) = (false, false);
        for command in [
            Command::Pause,
            Command::Resume,
            Command::Save { path: path.clone(), keep_running: true, compress, overwrite },
            Command::SaveMoving { path, compress, overwrite },
            Command::Freeze,
            Command::GiveAway,
            Command::Harvest,
            Command::Offer { logs_writes: false },
            Command::Stop,
        ] {
            refused(command);
        }
        let typed = control.ask(Command::Input(b"x".to_vec()));
        assert!(matches!(typed, Some(Reply::Typed { taken: 0 })), "{typed:?}");
        let (one, two) = (status(control).unwrap(), status(control).unwrap());
        assert_eq!(one, two, "it stands still");
        // It was told to stop, and does so now that it is known to be here.
        done(control, Command::TakeBack { epoch: None });
        assert!(status(control).is_none());
    });
    assert_eq!(outcome, Outcome::Stopped);
}

#[test]
fn host_is_left_before_it_is_taken_and_no_unit_writes_before_that() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, socket) = (folder.path().join("disk"), folder.path().join("socket"));
    std::fs::write(&disk, vec![7; 64 << 10]).unwrap();
    let mac = abide_net::MacAddress::of_seed(7);
    let virtio = [
        VirtioConfig::Block(DiskConfig { path: disk.clone(), readonly: false, direct: false }),
        VirtioConfig::Rng,
        VirtioConfig::Rtc { shares_page: false },
        VirtioConfig::Console,
        VirtioConfig::Net(NetCardConfig { network: NetConfig::Echo, mac }),
        VirtioConfig::Vsock(VsockConfig { path: socket.clone(), cid: 7 }),
    ];
    let board = BoardConfig { vmclock: Some(VmclockConfig::DEFAULT), ..BOARD };
    let engine = MockEngine::idle();
    let mut machine = try_born(&engine, KERNEL, board, TimeSource::Host, &virtio).unwrap();
    let mut given = None;
    let outcome = run_asked(&mut machine, |control| {
        let offered = offer(control, false);
        let frozen = freeze(control);
        let before = ram_hash(&offered.ram).unwrap();
        let ram = || by_descriptor(&offered.ram);
        let mut prepared = prepare(&engine, frozen.state.clone(), ram(), std::io::sink()).unwrap();
        for _ in 0..2 {
            let refused = prepared.claim(None);
            assert!(matches!(refused, Err(MachineError::Disk(_))), "{refused:?}");
        }
        let units = frozen_units(&frozen.state);
        for unit in ["virtio-blk", "virtio-rng", "virtio-vsock", "vmclock", "gic", "cpu"] {
            assert!(units.iter().any(|name| name == unit), "{unit}: {units:?}");
        }
        drop(prepared);
        assert_eq!(ram_hash(&offered.ram).unwrap(), before, "an aborted handoff writes nothing");
        assert!(socket.exists(), "and takes nothing");
        given = Some(prepare(&engine, frozen.state, ram(), std::io::sink()).unwrap());
        assert_eq!(ram_hash(&offered.ram).unwrap(), before);
        done(control, Command::Release);
        assert!(!socket.exists());
        given.as_mut().unwrap().claim(None).unwrap();
        assert!(socket.exists());
        // Who has it keeps it.
        let refused = control.ask(Command::TakeBack { epoch: None });
        assert!(matches!(refused, Some(Reply::Failed(MachineError::Disk(_)))), "{refused:?}");
        let released = Handoff::Released { logs_writes: false };
        assert_eq!(status(control).unwrap().handoff, released);
        // Where nobody wants it after all, it goes on here.
        given = None;
        done(control, Command::TakeBack { epoch: None });
        assert!(socket.exists());
        offer(control, false);
        let frozen = freeze(control);
        given = Some(prepare(&engine, frozen.state, ram(), std::io::sink()).unwrap());
        done(control, Command::Release);
        given.as_mut().unwrap().claim(None).unwrap();
        done(control, Command::GiveAway);
    });
    assert_eq!(outcome, Outcome::GivenAway);
    drop(machine);
    let machine = given.unwrap().commit(Intent::Move).unwrap();
    assert!(socket.exists(), "the old process has left it before");
    drop(machine);
}

#[test]
fn disks_are_taken_in_no_older_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    std::fs::write(&path, vec![7; 64 << 10]).unwrap();
    let disk = DiskConfig { path: path.clone(), readonly: false, direct: false };
    let engine = MockEngine::idle();
    let virtio = [VirtioConfig::Block(disk)];
    let mut machine = try_born(&engine, KERNEL, BOARD, TimeSource::Host, &virtio).unwrap();
    let epoch = |epoch| Some(RunEpoch { guest: [7; 16], epoch });
    run_asked(&mut machine, |control| {
        let offered = offer(control, false);
        let frozen = freeze(control);
        let prepared = || {
            let ram = by_descriptor(&offered.ram);
            prepare(&engine, frozen.state.clone(), ram, std::io::sink()).unwrap()
        };
        done(control, Command::Release);
        prepared().claim(epoch(8)).unwrap();
        // Some file systems keep no such thing.
        let is_marked = rustix::fs::getxattr(&path, "user.abide.epoch", &mut [0; 24]).is_ok();
        let stale = prepared().claim(epoch(7));
        let refused = Err(MachineError::Disk(DiskError::Epoch { path, found: 8, allowed: 7 }));
        let expected = if is_marked { refused } else { Ok(()) };
        assert_eq!(format!("{stale:?}"), format!("{expected:?}"));
        if is_marked {
            let stale = control.ask(Command::TakeBack { epoch: epoch(7) });
            assert!(matches!(stale, Some(Reply::Failed(MachineError::Disk(_)))), "{stale:?}");
        }
        done(control, Command::TakeBack { epoch: epoch(9) });
        done(control, Command::Stop);
    });
}

fn frozen_units(state: &[u8]) -> Vec<String> {
    let reader = Reader::from_bytes(state.to_vec()).unwrap();
    reader.snapshot().units().map(|unit| unit.unit.to_string()).collect()
}

#[test]
fn ram_that_is_none_of_the_guests_is_refused() {
    let mut machine = demo(&Printed::default());
    run_asked(&mut machine, |control| {
        let offered = offer(control, false);
        let ram = GuestRam::new(offered.ram.base(), DEMO_RAM_LEN / 2).unwrap();
        let refused = prepare(&SoftEngine::new(), offered.state, ram, std::io::sink());
        assert!(matches!(refused.map(|_| ()), Err(RestoreError::Memory(_))));
        done(control, Command::Stop);
    });
}

/// A guest whose time is the host's stood still for a while, and its counter says so or not.
#[test]
fn counter_goes_on_as_the_policy_says() {
    for policy in [ClockPolicy::Continue, ClockPolicy::Freeze] {
        let mut machine = born_with(&MockEngine::idle(), KERNEL, BOARD, TimeSource::Host);
        let mut prepared = None;
        run_asked(&mut machine, |control| {
            let offered = offer(control, false);
            let frozen = freeze(control);
            let ram = by_descriptor(&offered.ram);
            let made = prepare(&MockEngine::idle(), frozen.state, ram, std::io::sink());
            done(control, Command::Release);
            prepared = Some(made.unwrap());
            done(control, Command::GiveAway);
        });
        let before_ns = machine.guest_ns();
        let (machine, arrival) = prepared.unwrap().commit_arrival(policy).unwrap();
        let stood = arrival.standstill.unwrap();
        // It was restored meanwhile.
        assert!(stood.is_of_one_clock && stood.len > Duration::ZERO, "{stood:?}");
        let skipped_ns = arrival.skipped_ticks * 1_000_000_000 / BOARD.cntfrq_hz;
        assert!(machine.guest_ns() >= before_ns + skipped_ns, "it never goes back");
        match policy {
            // To a tick, which is 16 ns.
            ClockPolicy::Continue => {
                assert!(stood.len.as_nanos() - u128::from(skipped_ns) <= 16, "{skipped_ns}");
            }
            ClockPolicy::Freeze => assert_eq!(skipped_ns, 0),
        }
    }
}

/// A host's counter goes on while a guest that stands still is read, and while it is set. None of
/// that may be lost or counted twice: many moves would add it up.
#[test]
fn counter_of_the_host_follows_its_clock_through_a_handoff() {
    let host = || MockEngine { counts_instructions: false, ..MockEngine::with(Quirk::HostCounter) };
    let mut machine = born_with(&host(), KERNEL, BOARD, TimeSource::Host);
    let mut prepared = None;
    run_asked(&mut machine, |control| {
        let offered = offer(control, false);
        let frozen = freeze(control);
        let reader = Reader::from_bytes(frozen.state.clone()).unwrap();
        let ram = by_descriptor(&offered.ram);
        let made = prepare(&host(), frozen.state, ram, std::io::sink()).unwrap();
        // What is sent belongs to the moment from which the standstill is counted.
        let departure = made.report().departure.clone().unwrap();
        let then = support::host_ticks(departure.at.uptime_ns);
        let sent = count(reader.snapshot().units());
        assert!(sent.abs_diff(then) <= ticks(departure.counter_error_ns), "{sent}, {then}");
        done(control, Command::Release);
        prepared = Some(made);
        done(control, Command::GiveAway);
    });
    let (machine, arrival) = prepared.unwrap().commit_arrival(ClockPolicy::Continue).unwrap();
    let before = support::host_ticks(support::uptime_ns());
    let shown = count(machine.state().unwrap().iter());
    let after = support::host_ticks(support::uptime_ns());
    let off = ticks(arrival.off.behind_ns.unsigned_abs() + arrival.off.error_ns);
    assert!(before - off <= shown && shown <= after + off, "{before}, {shown}, {after}: {off}");
}

/// The guest's counter among these registers.
fn count<'a>(mut units: impl Iterator<Item = &'a UnitRecord>) -> u64 {
    let unit = units.find(|unit| unit.unit.as_str() == "counter").unwrap();
    let entry = unit.entries.iter().find(|entry| entry.id == kvm::TIMER_CNT).unwrap();
    entry.value.to_u64().unwrap()
}

/// At most so many ticks are in so many ns, and one more is cut off twice.
fn ticks(ns: u64) -> u64 {
    support::host_ticks(ns) + 2
}

/// As from Linux 7.2 to 6.1: the physical counter stays behind where it is off, and does not stand
/// in the way when the guest's counter is set.
#[test]
fn counter_that_only_the_source_has_is_not_set_where_the_guest_arrives() {
    let host = |quirk| MockEngine { counts_instructions: false, ..MockEngine::with(quirk) };
    let source = host(Quirk::PhysicalCounter);
    let mut machine = born_with(&source, KERNEL, BOARD, TimeSource::Host);
    let mut prepared = None;
    run_asked(&mut machine, |control| {
        let offered = offer(control, false);
        let (frozen, ram) = (freeze(control), by_descriptor(&offered.ram));
        let destination = host(Quirk::None);
        let made = prepare(&destination, frozen.state, ram, std::io::sink()).unwrap();
        let dropped = made.report().steps.iter().any(|(_, step)| step.id == kvm::PTIMER_CNT);
        assert!(dropped, "{:?}", made.report().steps);
        done(control, Command::Release);
        prepared = Some(made);
        done(control, Command::GiveAway);
    });
    prepared.unwrap().commit_arrival(ClockPolicy::Continue).unwrap();
}
