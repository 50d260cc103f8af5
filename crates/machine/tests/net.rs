//! Machines with a network card: what answers, what is refused, what comes back.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use abide_engine::Stop;
use abide_machine::devices::virtio::{NetCardConfig, VirtioConfig};
use abide_machine::error::{ConfigError, MachineError, RestoreError};
use abide_machine::lifecycle::Intent;
use abide_machine::restore::{Elsewhere, restore_elsewhere};
use abide_machine::runner::{Outcome, control};
use abide_machine::{Machine, TimeSource};
use abide_net::{MacAddress, NetConfig};
use abide_reg::Gpa;
use abide_snapshot::{Reader, Record};
use abide_testkit::virtio::{Desc, DriverQueue};
use support::{BOARD, KERNEL, MockEngine, Turn};

const SLOT: u64 = 0x0a00_0000;
const NOTIFY: u64 = SLOT + 0x50;
const RX: Gpa = Gpa(0x4030_0000);
const TX: Gpa = Gpa(0x4030_1000);
const SENT: Gpa = Gpa(0x4031_0000);
const RECEIVED: Gpa = Gpa(0x4031_1000);
const MAC: [u8; 6] = [0x52, 0x54, 0, 0xab, 0x1d, 0xe0];

/// "Who has 10.0.2.2?", from 10.0.2.15, behind a virtio header (RFC 826).
fn question() -> Vec<u8> {
    let mut bytes = vec![0; 12];
    bytes.extend([0xff; 6]);
    bytes.extend(MAC);
    bytes.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    bytes.extend(MAC);
    bytes.extend([10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2]);
    bytes
}

fn bring_up(turn: &mut Turn<'_>) {
    for (at, value) in [(0x70, 0), (0x70, 1), (0x70, 3), (0x24, 1), (0x20, 1), (0x70, 0xb)] {
        turn.write(SLOT + at, value);
    }
    for (index, base) in [(0, RX), (1, TX)] {
        let queue = DriverQueue::new(base, 16);
        turn.write(SLOT + 0x30, index);
        turn.write(SLOT + 0x38, 16);
        for (at, gpa) in [(0x80, queue.desc()), (0x90, queue.avail()), (0xa0, queue.used())] {
            turn.write(SLOT + at, gpa.0);
        }
        turn.write(SLOT + 0x44, 1);
    }
    turn.write(SLOT + 0x70, 0xf);
    assert_eq!(turn.read(SLOT + 0x70), 0xf);
}

/// An engine whose guest sets the card up, if that is not done, sends what is in its queue, and
/// powers off.
fn one_question() -> MockEngine {
    MockEngine::new(|turn| match turn.next_step() % 3 {
        0 => {
            if turn.read(SLOT + 0x70) == 0 {
                bring_up(turn);
            }
            Stop::Budget
        }
        1 => {
            turn.write(NOTIFY, 1);
            Stop::Budget
        }
        _ => turn.power_off(),
    })
}

fn card(network: &str) -> VirtioConfig {
    let (network, _) = NetConfig::parse(network).unwrap();
    VirtioConfig::Net(NetCardConfig { network, mac: MacAddress::new(MAC).unwrap() })
}

fn try_born(virtio: &[VirtioConfig]) -> Result<Machine, MachineError> {
    support::try_born(&one_question(), KERNEL, BOARD, TimeSource::Virtual, virtio)
}

fn born(network: &str) -> Machine {
    try_born(&[card(network)]).unwrap_or_else(|error| panic!("{error}"))
}

/// Lets the guest ask its question; what it received, without the header.
fn ask(machine: &mut Machine, rx: &mut DriverQueue, tx: &mut DriverQueue) -> Option<Vec<u8>> {
    let ram = machine.ram();
    let question = question();
    ram.write(SENT, &question).unwrap();
    rx.add(ram, &[Desc::writable(RECEIVED, 2048)]);
    tx.add(ram, &[Desc::readable(SENT, u32::try_from(question.len()).unwrap())]);
    let (_, queue) = control();
    let ended = machine.run(&queue, &Default::default()).unwrap();
    assert_eq!(ended.outcome, Outcome::PoweredOff);
    assert!(tx.take_used(machine.ram()).is_some(), "the question has left");
    let (_, len) = rx.take_used(machine.ram())?;
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    machine.ram().read(RECEIVED, &mut bytes).unwrap();
    Some(bytes.split_off(12))
}

fn queues() -> (DriverQueue, DriverQueue) {
    (DriverQueue::new(RX, 16), DriverQueue::new(TX, 16))
}

fn saved(machine: &Machine) -> Vec<u8> {
    support::file_with(machine, |_| ())
}

fn restored(file: Vec<u8>, network: Option<&str>) -> Result<Machine, RestoreError> {
    let reader = Reader::from_bytes(file).unwrap();
    let network = network.map(|text| NetConfig::parse(text).unwrap().0);
    let elsewhere = Elsewhere { network, ..Elsewhere::default() };
    let prepared =
        restore_elsewhere(&one_question(), &reader, Box::new(std::io::sink()), &elsewhere)?;
    Ok(prepared.commit(Intent::Restore)?)
}

fn refusal(file: Vec<u8>, network: Option<&str>) -> RestoreError {
    match restored(file, network) {
        Ok(_) => panic!("it was restored"),
        Err(error) => error,
    }
}

#[test]
fn echo_answers_and_a_restored_guest_hears_the_same() {
    let (mut rx, mut tx) = queues();
    let mut machine = born("echo");
    let answer = ask(&mut machine, &mut rx, &mut tx).unwrap();
    assert_eq!((&answer[..6], &answer[20..22]), (&MAC[..], &[0, 2][..]));
    assert_eq!(answer[28..32], [10, 0, 2, 2]);
    let hash = machine.state_hash().unwrap();
    let mut again = restored(saved(&machine), None).unwrap();
    assert_eq!(again.state_hash().unwrap(), hash);
    assert_eq!(ask(&mut again, &mut rx, &mut tx), Some(answer));
}

#[test]
fn card_without_a_cable_hears_nothing_and_can_be_plugged_in_elsewhere() {
    let (mut rx, mut tx) = queues();
    let mut machine = born("none");
    assert_eq!(ask(&mut machine, &mut rx, &mut tx), None);
    let mut again = restored(saved(&machine), Some("echo")).unwrap();
    // The buffer that was not used waits as well.
    assert!(ask(&mut again, &mut rx, &mut tx).is_some());
}

#[test]
fn where_a_card_is_plugged_in_is_named_in_the_file_and_no_part_of_the_guest() {
    let machine = born("echo");
    let file = saved(&machine);
    let hash = machine.state_hash().unwrap();
    let state = machine.state().unwrap();
    let cable = state.iter().find(|record| record.unit.as_str() == "cable").unwrap();
    assert_eq!(cable.entries[0].value.as_bytes(), b"echo");
    let card = state.iter().find(|record| record.unit.as_str() == "virtio-net").unwrap();
    assert!(card.entries.iter().any(|entry| entry.value.as_bytes() == MAC));
    let elsewhere = restored(file, Some("none")).unwrap();
    assert_eq!(elsewhere.state_hash().unwrap(), hash);
    let again = restored(saved(&elsewhere), None).unwrap();
    let cable = again.state().unwrap();
    let cable = cable.iter().find(|record| record.unit.as_str() == "cable").unwrap();
    assert_eq!(cable.entries[0].value.as_bytes(), b"none");
}

#[test]
fn networks_of_others_are_refused_in_virtual_time() {
    for network in ["user", "tap=abide-nothere"] {
        let refused = try_born(&[card(network)]).err().unwrap();
        assert!(
            matches!(&refused, MachineError::Config(ConfigError::NotRepeatable { found })
                if found.contains(network)),
            "{refused}"
        );
        let refused = refusal(saved(&born("echo")), Some(network)).to_string();
        assert!(refused.contains(network) && refused.contains("virtio-net dev0"), "{refused}");
    }
}

#[test]
fn network_for_a_guest_without_a_card_is_refused() {
    let file = saved(&try_born(&[VirtioConfig::Rng]).unwrap());
    assert!(matches!(refusal(file, Some("echo")), RestoreError::NoCard { network }
        if network == "echo"));
}

#[test]
fn file_that_names_no_network_needs_to_be_told() {
    let is_cable = |record: &Record| match record {
        Record::Unit(record) => record.unit.as_str() == "cable",
        Record::Kept(_) | Record::Right(_) | Record::Foreign(_) => false,
    };
    let file = support::file_with(&born("echo"), |records| {
        assert!(records.iter().any(is_cable));
        records.retain(|record| !is_cable(record));
    });
    assert!(matches!(refusal(file.clone(), None), RestoreError::NetworkUnknown { slot: 0 }));
    assert!(restored(file, Some("none")).is_ok());
}
