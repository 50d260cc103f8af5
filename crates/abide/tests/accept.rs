//! Guests whose ID registers show what the software engine does not do.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use abide_machine::board::RAM_BASE;
use abide_memory::GuestRam;
use abide_reg::{RegId, Value};
use abide_snapshot::{Compression, Existing, Reader, Record, Writer};
use support::{Sandbox, code, shipped_guest, stderr, stdout};

const PFR0: RegId = RegId::Kvm(0x6030_0000_0013_c020);
const MMFR0: RegId = RegId::Kvm(0x6030_0000_0013_c038);
const ACCEPT: [&str; 2] = ["--accept", "advertised-not-implemented"];

/// Writes a snapshot anew with other ID registers: `change` gets each with its number.
fn rewrite(sandbox: &Sandbox, from: &str, to: &str, change: impl Fn(RegId, u64) -> u64) {
    let reader = Reader::open(&sandbox.path(from)).unwrap();
    let mut snapshot = reader.snapshot().clone();
    let mut ram_len = 0;
    for record in &mut snapshot.records {
        let Record::Unit(unit) = record else { continue };
        for entry in &mut unit.entries {
            if entry.id == RegId::named("board.ram_len") {
                ram_len = entry.value.to_u64().unwrap();
            }
            if [PFR0, MMFR0].contains(&entry.id) {
                let number = entry.value.to_u64().unwrap();
                entry.value = Value::u64(change(entry.id, number));
            }
        }
    }
    let ram = GuestRam::new(RAM_BASE, ram_len).unwrap();
    reader.restore_memory(&ram).unwrap();
    let writer = Writer::create(&sandbox.path(to), Existing::Keep).unwrap();
    writer.write(&snapshot, &[&ram], Compression::None).unwrap();
}

/// The registers as Linux 6.1 shows them of a CPU with AArch32 at all levels, mixed endianness and
/// granules of 64 KiB.
fn as_6_1_shows_it(id: RegId, number: u64) -> u64 {
    match id {
        PFR0 => number & !0xfff | 0x222,
        _ => number & !0x0f00_0f00 | 0x100,
    }
}

fn demo(sandbox: &Sandbox) {
    let saved = sandbox.run_demo_guest("demo", &["--save-at", "100000", "--save-to", "born.abide"]);
    assert_eq!(code(&saved), 12, "{}", stderr(&saved));
    rewrite(sandbox, "born.abide", "shown.abide", as_6_1_shows_it);
}

#[test]
fn what_is_only_shown_is_refused_by_register_and_goes_where_it_is_accepted() {
    let sandbox = Sandbox::new();
    demo(&sandbox);
    let refused = sandbox.abide(&["restore", "shown.abide", "--engine", "soft"]);
    let text = stderr(&refused);
    assert_eq!(code(&refused), 1, "{text}");
    for name in ["ID_AA64PFR0_EL1", "ID_AA64MMFR0_EL1", "--accept advertised-not-implemented"] {
        assert!(text.contains(name), "{name}: {text}");
    }

    let mut args = vec!["restore", "shown.abide", "--engine", "soft"];
    args.extend(ACCEPT);
    args.extend(["--save-at", "200000", "--save-to", "next.abide"]);
    let went = sandbox.abide(&args);
    let text = stderr(&went);
    assert_eq!(code(&went), 12, "{text}");
    for part in ["EL0 = 0x2", "EL1 = 0x2", "EL2 = 0x2", "BigEnd = 0x1", "TGran64 = 0x0"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(text.matches(": accept: ").count(), 2, "{text}");

    // What was promised goes on, and is accepted anew by whoever takes it over.
    let shown = stdout(&sandbox.abide(&["inspect", "next.abide", "--unit", "identity"]));
    let line = shown.lines().find(|line| line.contains("ID_AA64PFR0_EL1")).unwrap();
    assert!(line.contains("0222"), "{line}");
    assert_eq!(code(&sandbox.abide(&["restore", "next.abide", "--engine", "soft"])), 1);
    let mut args = vec!["restore", "next.abide", "--engine", "soft"];
    args.extend(ACCEPT);
    let end = sandbox.abide(&args);
    assert_eq!(code(&end), 0, "{}", stderr(&end));
}

#[test]
fn a_plan_tells_what_can_be_accepted_before() {
    let sandbox = Sandbox::new();
    demo(&sandbox);
    let probed = sandbox.abide(&["probe", "--engine", "soft", "-o", "soft.toml"]);
    assert_eq!(code(&probed), 0, "{}", stderr(&probed));
    let mut args = vec!["plan", "shown.abide", "--to", "soft.toml"];
    let refused = sandbox.abide(&args);
    let text = stdout(&refused);
    assert_eq!(code(&refused), 1, "{text}");
    assert!(text.contains(" 2 refused"), "{text}");
    let remedy = "for ID_AA64PFR0_EL1, ID_AA64MMFR0_EL1: --accept advertised-not-implemented";
    assert!(text.contains(remedy), "{text}");
    args.extend(ACCEPT);
    let fine = sandbox.abide(&args);
    let text = stdout(&fine);
    assert_eq!(code(&fine), 0, "{text}");
    assert!(text.contains("2 accepted, ") && text.contains(" 0 refused"), "{text}");
    assert!(text.contains("accept     ID_AA64PFR0_EL1"), "{text}");
    assert!(text.contains("EL0 = 0x2, the host implements 0x1"), "{text}");

    // What a guest would use is no such thing: here the Scalable Vector Extension.
    rewrite(&sandbox, "born.abide", "sve.abide", |id, number| {
        if id == PFR0 { number | 1 << 32 | 2 } else { number }
    });
    args[1] = "sve.abide";
    let refused = sandbox.abide(&args);
    assert_eq!(code(&refused), 1, "{}", stdout(&refused));
    assert!(stdout(&refused).contains(" 1 refused"), "{}", stdout(&refused));
    // No KVM host shows what it does not do, so there the word changes nothing.
    let mut args = vec!["plan", "debian-7.2-neoverse-n1", "--to", "debian-6.12-neoverse-n1"];
    args.extend(ACCEPT);
    assert_eq!(code(&sandbox.abide(&args)), 1);
}

/// Nobody chose an engine, and none takes the guest: both say why.
#[test]
fn where_no_engine_takes_a_guest_both_say_why() {
    let sandbox = Sandbox::new();
    let guest = shipped_guest(&sandbox, "web");
    let saved = sandbox.abide(&["save", "web", "web.abide"]);
    assert_eq!(code(&saved), 0, "{}", stderr(&saved));
    assert_eq!(guest.end(), 12);
    // Feature 0xe of RME is in no CPU.
    rewrite(&sandbox, "web.abide", "odd.abide", |id, number| {
        if id == PFR0 { number | 0xe << 52 } else { number }
    });
    let refused = sandbox.as_told(&["restore", "odd.abide"]).output().unwrap();
    let text = stderr(&refused);
    assert_eq!(code(&refused), 1, "{text}");
    assert!(text.contains("odd: not on engine kvm: "), "{text}");
    assert!(
        text.contains("cannot go to engine soft") && text.contains("ID_AA64PFR0_EL1"),
        "{text}"
    );
    // Whoever asked for one engine hears of that one.
    let refused = sandbox.abide(&["restore", "odd.abide", "--engine", "soft"]);
    assert!(!stderr(&refused).contains("engine kvm"), "{}", stderr(&refused));
}
