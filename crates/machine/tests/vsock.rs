//! Machines with sockets: who is reached, what is refused, what a restored guest is told.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use abide_engine::Stop;
use abide_machine::devices::virtio::{VirtioConfig, VsockConfig};
use abide_machine::error::{ConfigError, MachineError, RestoreError};
use abide_machine::lifecycle::Intent;
use abide_machine::restore::{Elsewhere, restore_elsewhere};
use abide_machine::runner::{Outcome, control};
use abide_machine::{Machine, TimeSource};
use abide_reg::Gpa;
use abide_snapshot::{Reader, Record};
use abide_testkit::virtio::{Desc, DriverQueue};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use support::{BOARD, KERNEL, MockEngine, Turn};

const SLOT: u64 = 0x0a00_0000;
const NOTIFY: u64 = SLOT + 0x50;
const STATUS: u64 = SLOT + 0x70;
const RX: Gpa = Gpa(0x4030_0000);
const TX: Gpa = Gpa(0x4030_1000);
const EVENT: Gpa = Gpa(0x4030_2000);
const SENT: Gpa = Gpa(0x4031_0000);
const RECEIVED: Gpa = Gpa(0x4031_1000);
const TOLD: Gpa = Gpa(0x4031_2000);
const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
const RST: u8 = 3;
const CREDIT_UPDATE: u8 = 6;

fn bring_up(turn: &mut Turn<'_>) {
    for (at, value) in [(0x70, 0), (0x70, 1), (0x70, 3), (0x24, 1), (0x20, 1), (0x70, 0xb)] {
        turn.write(SLOT + at, value);
    }
    for (index, base) in [(0, RX), (1, TX), (2, EVENT)] {
        let queue = DriverQueue::new(base, 16);
        turn.write(SLOT + 0x30, index);
        turn.write(SLOT + 0x38, 16);
        for (at, gpa) in [(0x80, queue.desc()), (0x90, queue.avail()), (0xa0, queue.used())] {
            turn.write(SLOT + at, gpa.0);
        }
        turn.write(SLOT + 0x44, 1);
    }
    turn.write(STATUS, 0xf);
    assert_eq!(turn.read(STATUS), 0xf);
}

/// An engine whose guest sets its sockets up, if that is not done, sends what is in its queue,
/// waits until something has come, and powers off. One without work powers off at once.
fn one_packet() -> MockEngine {
    MockEngine::new(|turn| match turn.next_step() % 3 {
        0 => {
            if turn.read(STATUS) == 0 {
                bring_up(turn);
            }
            turn.write(NOTIFY, 2);
            turn.write(NOTIFY, 1);
            Stop::Budget
        }
        // Bit 0 of InterruptStatus: a buffer was used.
        1 if turn.read(SLOT + 0x60) & 1 == 0 => {
            turn.set_x(support::STEP, turn.x(support::STEP) - 1);
            // It polls, for it has told the GIC of no interrupt that could end an idle wait.
            Stop::Budget
        }
        1 => {
            turn.write(SLOT + 0x64, 3);
            Stop::Budget
        }
        _ => turn.power_off(),
    })
}

struct Guest {
    rx: DriverQueue,
    tx: DriverQueue,
    event: DriverQueue,
}

impl Guest {
    fn new() -> Self {
        let queue = |base| DriverQueue::new(base, 16);
        Self { rx: queue(RX), tx: queue(TX), event: queue(EVENT) }
    }

    /// Lets the guest send a packet from its port 1000 to the host's 52; the operation of what it
    /// received.
    fn exchange(&mut self, machine: &mut Machine, op: u8) -> u8 {
        let ram = machine.ram();
        let mut packet = [0; 44];
        (packet[0], packet[8], packet[20], packet[28], packet[30]) = (5, 2, 52, 1, op);
        packet[16..18].copy_from_slice(&1000_u16.to_le_bytes());
        packet[38] = 1;
        ram.write(SENT, &packet).unwrap();
        self.rx.add(ram, &[Desc::writable(RECEIVED, 2048)]);
        self.tx.add(ram, &[Desc::readable(SENT, 44)]);
        loop {
            run(machine);
            // An interrupt of the other queue may have come first.
            if let Some((_, len)) = self.rx.take_used(machine.ram()) {
                assert_eq!(len, 44);
                break;
            }
        }
        assert!(self.tx.take_used(machine.ram()).is_some(), "the packet has left");
        let mut received = [0; 44];
        machine.ram().read(RECEIVED, &mut received).unwrap();
        assert_eq!((received[0], received[8]), (2, 5), "from the host, to the guest");
        received[30]
    }

    /// Offers a buffer for an event.
    fn listen(&mut self, machine: &Machine) {
        machine.ram().write(TOLD, &[0xee; 4]).unwrap();
        self.event.add(machine.ram(), &[Desc::writable(TOLD, 4)]);
    }

    /// The event that came, if one did.
    fn told(&mut self, machine: &Machine) -> Option<[u8; 4]> {
        self.event.take_used(machine.ram())?;
        let mut told = [0; 4];
        machine.ram().read(TOLD, &mut told).unwrap();
        Some(told)
    }
}

/// One life of the guest.
fn run(machine: &mut Machine) {
    let (_, queue) = control();
    let ended = machine.run(&queue, &Default::default()).unwrap();
    assert_eq!(ended.outcome, Outcome::PoweredOff);
}

fn try_born(time: TimeSource, virtio: &[VirtioConfig]) -> Result<Machine, MachineError> {
    support::try_born(&one_packet(), KERNEL, BOARD, time, virtio)
}

fn vsock(path: &Path) -> VirtioConfig {
    VirtioConfig::Vsock(VsockConfig { path: path.into(), cid: 5 })
}

fn born(path: &Path) -> Machine {
    try_born(TimeSource::Host, &[vsock(path)]).unwrap_or_else(|error| panic!("{error}"))
}

fn saved(machine: &Machine) -> Vec<u8> {
    support::file_with(machine, |_| ())
}

fn restored(file: Vec<u8>, vsock: Option<PathBuf>) -> Result<Machine, RestoreError> {
    let reader = Reader::from_bytes(file).unwrap();
    let elsewhere = Elsewhere { vsock, ..Elsewhere::default() };
    let prepared =
        restore_elsewhere(&one_packet(), &reader, Box::new(std::io::sink()), &elsewhere)?;
    Ok(prepared.commit(Intent::Restore)?)
}

fn refusal(file: Vec<u8>, vsock: Option<PathBuf>) -> RestoreError {
    match restored(file, vsock) {
        Ok(_) => panic!("it was restored"),
        Err(error) => error,
    }
}

#[test]
fn guest_reaches_a_program_and_a_restored_guest_is_told_that_it_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v");
    let program = UnixListener::bind(folder.path().join("v_52")).unwrap();
    let mut guest = Guest::new();
    let mut machine = born(&path);
    guest.listen(&machine);
    assert_eq!(guest.exchange(&mut machine, REQUEST), RESPONSE);
    let _connected = program.accept().unwrap();
    assert_eq!(guest.told(&machine), None);
    let file = saved(&machine);
    drop(machine);
    assert!(!path.exists());
    let mut again = restored(file, None).unwrap();
    assert!(path.exists());
    assert_eq!(guest.told(&again), Some([0; 4]), "VIRTIO_VSOCK_EVENT_TRANSPORT_RESET");
    // It has seen to that. Whoever talks on all the same hears that nobody knows the connection.
    guest.listen(&again);
    assert_eq!(guest.exchange(&mut again, CREDIT_UPDATE), RST);
    assert_eq!(guest.exchange(&mut again, REQUEST), RESPONSE);
}

#[test]
fn event_waits_for_a_buffer_over_another_save() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v");
    let mut guest = Guest::new();
    let mut machine = born(&path);
    assert_eq!(guest.exchange(&mut machine, REQUEST), RST);
    let file = saved(&machine);
    drop(machine);
    let again = restored(file, None).unwrap();
    let file = saved(&again);
    drop(again);
    let mut third = restored(file, None).unwrap();
    guest.listen(&third);
    run(&mut third);
    assert_eq!(guest.told(&third), Some([0; 4]));
}

#[test]
fn driver_that_is_not_there_yet_is_told_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v");
    let machine = born(&path);
    let hash = machine.state_hash().unwrap();
    let file = saved(&machine);
    drop(machine);
    assert_eq!(restored(file, None).unwrap().state_hash().unwrap(), hash);
}

#[test]
fn path_is_named_in_the_file_and_no_part_of_the_guest() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    let machine = born(&here);
    let hash = machine.state_hash().unwrap();
    let file = saved(&machine);
    let named = |machine: &Machine| {
        let state = machine.state().unwrap();
        let sockets = state.iter().find(|record| record.unit.as_str() == "sockets").unwrap();
        String::from_utf8(sockets.entries[0].value.as_bytes().to_vec()).unwrap()
    };
    assert_eq!(named(&machine), here.to_str().unwrap());
    // It runs here still.
    let refused = refusal(file.clone(), None).to_string();
    assert!(refused.contains(here.to_str().unwrap()) && refused.contains("--vsock"), "{refused}");
    let elsewhere = restored(file, Some(there.clone())).unwrap();
    assert_eq!(
        (named(&elsewhere), elsewhere.state_hash().unwrap()),
        (there.display().to_string(), hash)
    );
    drop(elsewhere);
    assert!(here.exists() && !there.exists());
}

#[test]
fn file_that_names_no_path_needs_to_be_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v");
    let machine = born(&path);
    let is_sockets = |record: &Record| match record {
        Record::Unit(record) => record.unit.as_str() == "sockets",
        Record::Kept(_) | Record::Right(_) | Record::Foreign(_) => false,
    };
    let file = support::file_with(&machine, |records| {
        assert!(records.iter().any(is_sockets));
        records.retain(|record| !is_sockets(record));
    });
    drop(machine);
    assert!(matches!(refusal(file.clone(), None), RestoreError::VsockUnknown { slot: 0 }));
    assert!(restored(file, Some(path)).is_ok());
}

#[test]
fn sockets_are_refused_in_virtual_time_and_to_guests_without_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v");
    let refused = try_born(TimeSource::Virtual, &[vsock(&path)]).err().unwrap();
    assert!(
        matches!(&refused, MachineError::Config(ConfigError::SocketsNotRepeatable { path: named })
            if *named == path),
        "{refused}"
    );
    assert!(!path.exists());
    let without = saved(&try_born(TimeSource::Host, &[VirtioConfig::Rng]).unwrap());
    let refused = refusal(without, Some(path.clone()));
    assert!(matches!(&refused, RestoreError::NoSockets { path: named } if *named == path));
}
