//! `docs/migration.md` says what the code does.
#![expect(clippy::unwrap_used, reason = "a document that lacks a part must fail here")]

use abide_memory::{GuestRam, PAGE_SIZE};
use abide_migrate::driver::Link;
use abide_migrate::handoff::{DESTINATION_RULES, Rule, SOURCE_RULES};
use abide_migrate::message::{Compression, Hello, Kind, LIMITS, Message, Purpose, VERSIONS};
use abide_migrate::transport::pages::Outgoing;
use abide_migrate::transport::unix::UnixLink;
use abide_migrate::*;
use abide_reg::Gpa;
use std::fmt::Debug;
use std::fmt::Write as _;
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

const DOCUMENT: &str = include_str!("../../../docs/migration.md");

/// What stands between `<!-- name -->` and the next `<!-- end -->`.
fn part(name: &str) -> &'static str {
    let (_, rest) = DOCUMENT.split_once(&format!("<!-- {name} -->\n")).unwrap();
    rest.split_once("<!-- end -->").unwrap().0
}

fn check(name: &str, expected: &str) {
    assert!(part(name) == expected, "docs/migration.md, {name}, should be:\n{expected}");
}

fn diagram<S: Debug, E: Debug, A: Debug>(rules: &[Rule<S, E, A>]) -> String {
    let mut out = "```mermaid\nstateDiagram-v2\n".to_owned();
    for rule in rules {
        let does: Vec<String> = rule.does.iter().map(|action| format!("{action:?}")).collect();
        write!(out, "    {:?} --> {:?}: {:?}", rule.from, rule.to, rule.on).unwrap();
        if !does.is_empty() {
            write!(out, " / {}", does.join(", ")).unwrap();
        }
        out.push('\n');
    }
    out + "```\n"
}

#[test]
fn diagrams_are_the_tables() {
    check("source", &diagram(SOURCE_RULES));
    check("destination", &diagram(DESTINATION_RULES));
}

#[test]
fn no_state_has_two_rules_for_one_event() {
    for (index, rule) in SOURCE_RULES.iter().enumerate() {
        let again = SOURCE_RULES[..index].iter().any(|it| (it.from, it.on) == (rule.from, rule.on));
        assert!(!again, "{rule:?}");
    }
    for (index, rule) in DESTINATION_RULES.iter().enumerate() {
        let before = &DESTINATION_RULES[..index];
        let again = before.iter().any(|it| (it.from, it.on) == (rule.from, rule.on));
        assert!(!again, "{rule:?}");
    }
}

#[test]
fn messages_have_the_bounds_that_are_written() {
    let rows: Vec<&str> = part("messages").lines().skip(2).collect();
    assert_eq!(rows.len(), LIMITS.len());
    for (row, (kind, max_len, limit)) in rows.iter().zip(LIMITS) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let number = format!("{:#06x}", kind as u16);
        let (len, seconds) = (max_len.to_string(), limit.as_secs().to_string());
        let expected = [&*number, &*format!("{kind:?}"), cells[2], &*len, &*seconds];
        assert_eq!(cells, expected);
        assert_eq!(Kind::from_number(kind as u16), Some(kind));
    }
}

#[test]
fn the_example_is_a_hello() {
    let hello = Message::Hello(Hello {
        versions: VERSIONS,
        purpose: Purpose::Begin,
        token: RunToken { guest: GuestId([0x11; 16]), epoch: Epoch(3) },
        attempt: Attempt([0x22; 16]),
        identities: Default::default(),
    });
    check("hello", &hex(&hello.seal(0)));
}

fn hex(bytes: &[u8]) -> String {
    let mut text = "```text\n".to_owned();
    for line in bytes.chunks(16) {
        let bytes: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{}", bytes.join(" ")).unwrap();
    }
    text + "```\n"
}

#[test]
fn the_example_is_a_round() {
    let ram = GuestRam::new(Gpa(0x4000_0000), 16 * PAGE_SIZE).unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut near = UnixLink::new(near, Path::new("pair")).unwrap();
    let outgoing = Outgoing::of(vec![2]);
    let round = outgoing.announce(3, false);
    let links: &mut [&mut dyn Link] = &mut [&mut near];
    outgoing.send(&round, &ram, links, Compression::None, || false).unwrap();
    drop(near);
    let mut bytes = Vec::new();
    far.read_to_end(&mut bytes).unwrap();
    check("chunk", &hex(&bytes));
}

/// The record that a cell of the table stands for.
fn record(cell: &str, epoch: u64) -> Option<Record> {
    let ownership = Ownership::ALL.into_iter().find(|ownership| ownership.to_string() == cell)?;
    let token = RunToken { guest: GuestId([1; 16]), epoch: Epoch(epoch) };
    Some(Record { ownership, attempt: Attempt([1; 16]), ..Record::running(token) })
}

fn view<'a>(cell: &str, process: &str, record: Option<&'a Record>) -> View<'a> {
    match cell {
        "fenced" => View::Fenced,
        "unknown" => View::Unknown,
        _ => View::Journal { record: Some(record.unwrap()), is_alive: process == "alive" },
    }
}

#[test]
fn verdicts_are_those_of_the_table() {
    let mut count = 0;
    for row in part("resolve").lines().skip(2) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let (source, destination) = (record(cells[0], 3), record(cells[2], 4));
        let source = view(cells[0], cells[1], source.as_ref());
        let destination = view(cells[2], cells[3], destination.as_ref());
        assert_eq!(resolve(source, destination).to_string(), cells[4], "{row}");
        count += 1;
    }
    assert_eq!(count, 20);
}
