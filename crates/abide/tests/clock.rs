//! `abide clock`: what a running guest reads of its clock, by us and by a reader that is not ours.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use clock_bound_vmclock::shm_reader::VMClockShmReader;
use serde_json::Value;
use std::io::Write;
use std::process::Stdio;
use support::{Running, Sandbox, code, stderr, stdout};

/// How often a guest is asked for what its host is about to notice: it looks twice a second.
const ASKED_MAX: usize = 2000;

fn describe(sandbox: &Sandbox, clock: &str) {
    std::fs::write(sandbox.path("clock.new"), clock).unwrap();
    std::fs::rename(sandbox.path("clock.new"), sandbox.path("clock")).unwrap();
}

/// A guest at its prompt, whose host has the clock that the sandbox describes.
fn start(sandbox: &Sandbox, args: &[&str]) -> Running {
    let with_clock = [args, &["--host-clock", "sim:clock", "--leap-seconds", "none"]].concat();
    let mut command = sandbox.command(&with_clock);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut guest = Running(command.spawn().unwrap());
    if args[0] == "run" {
        guest.wait_for("abide> ");
    }
    guest
}

fn clock(sandbox: &Sandbox, name: &str) -> Value {
    let output = sandbox.abide(&["clock", name, "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// Asks until the guest's clock is like that.
fn clock_that(sandbox: &Sandbox, name: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let mut asked = (0..ASKED_MAX).map(|_| clock(sandbox, name));
    asked.find(is_it).expect("it never came to be")
}

fn flags(clock: &Value) -> Vec<&str> {
    clock["flags"].as_array().unwrap().iter().map(|flag| flag.as_str().unwrap()).collect()
}

/// What another reader finds in the page of the running guest is what we say of it.
fn assert_read_alike(sandbox: &Sandbox, name: &str) {
    let output = sandbox.abide(&["clock", name, "--page-path"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let path = stdout(&output).trim().to_owned();
    // The host's clock may be looked at between two questions: until nothing came between.
    for _ in 0..ASKED_MAX {
        let before = clock(sandbox, name);
        let mut reader = VMClockShmReader::new(&path).unwrap();
        let body = reader.snapshot().unwrap();
        let number = |value: u64, field: &str| assert_eq!(Some(value), before[field].as_u64());
        if clock(sandbox, name)["seq_count"] != before["seq_count"] {
            continue;
        }
        number(body.disruption_marker, "disruption_marker");
        number(body.counter_value, "counter_value");
        number(body.counter_period_frac_sec, "counter_period_frac_sec");
        number(body.counter_period_shift.into(), "counter_period_shift");
        number(body.counter_period_maxerror_rate_frac_sec, "counter_period_maxerror_rate_frac_sec");
        number(body.time_maxerror_nanosec, "time_maxerror_ns");
        number(body.time_esterror_nanosec, "time_esterror_ns");
        let status = ["unknown", "initializing", "synchronized", "freerunning", "unreliable"];
        assert_eq!(before["status"], status[body.clock_status as usize]);
        return;
    }
    panic!("the page never stayed the same");
}

#[test]
fn what_a_running_guest_reads_is_told_and_another_reader_finds_the_same() {
    let sandbox = Sandbox::new();
    describe(&sandbox, "maxerror-us 40\n");
    let mut guest = start(&sandbox, &["run", "web", "--memory", "32M"]);
    let first = clock(&sandbox, "web");
    assert_eq!(first["status"], "synchronized");
    assert_eq!(first["time"]["tai_offset_s"], -37);
    assert_eq!(first["host_clock"], Value::Null);
    assert_read_alike(&sandbox, "web");

    // Whoever maps the page can read it, and no more.
    let path = stdout(&sandbox.abide(&["clock", "web", "--page-path"])).trim().to_owned();
    let wrote = std::fs::OpenOptions::new().write(true).open(&path);
    assert!(wrote.and_then(|mut page| page.write_all(b"hostile")).is_err());

    for (when, expected) in [("soon", 1), ("imminent", 2), ("none", 0)] {
        let told = sandbox.abide(&["clock", "web", "--announce", when]);
        assert_eq!(code(&told), 0, "{}", stderr(&told));
        let now = clock(&sandbox, "web");
        let said = flags(&now).iter().filter(|flag| flag.starts_with("DISRUPTION")).count();
        assert_eq!(said, expected, "{when}");
        assert_eq!(now["notified_vcpu"], 0);
        assert_eq!(now["notified_is_taken"], false, "this guest has no driver");
    }

    // The counter goes on through a pause, and so what the page says is still true.
    for command in ["pause", "resume"] {
        assert_eq!(code(&sandbox.abide(&[command, "web"])), 0);
    }
    let resumed = clock(&sandbox, "web");
    assert_eq!(resumed["status"], "synchronized");
    assert_eq!(resumed["disruption_marker"], first["disruption_marker"]);
    assert_read_alike(&sandbox, "web");

    // Its host loses the time: what it was told is carried on, and why is said.
    describe(&sandbox, "synchronised no\n");
    let lost = clock_that(&sandbox, "web", |clock| clock["status"] == "freerunning");
    assert!(lost["host_clock"].as_str().unwrap().contains("STA_UNSYNC"), "{lost}");
    assert!(!flags(&lost).contains(&"TAI_OFFSET_VALID"), "nobody says for how long it holds");
    assert_eq!(lost["disruption_marker"], first["disruption_marker"]);
    assert_read_alike(&sandbox, "web");

    // It comes back an hour off: one of both was wrong, and the guest is told of a disruption.
    describe(&sandbox, "offset-ns 3600000000000\n");
    let back = clock_that(&sandbox, "web", |clock| clock["status"] == "synchronized");
    assert!(back["disruption_marker"].as_u64() > first["disruption_marker"].as_u64());
    guest.type_in("poweroff\n");
    assert_eq!(guest.end(), 0);
}

#[test]
fn a_restored_guest_has_the_clock_of_the_host_that_it_came_to() {
    let sandbox = Sandbox::new();
    describe(&sandbox, "maxerror-us 40\n");
    let guest = start(&sandbox, &["run", "web", "--memory", "32M"]);
    let before = clock(&sandbox, "web");
    let saved = sandbox.abide(&["save", "web", "web.abide"]);
    assert_eq!(code(&saved), 0, "{}", stderr(&saved));
    assert_eq!(guest.end(), 12);
    describe(&sandbox, "offset-ns -5000000000\nmaxerror-us 900\ntai-s 36\n");
    let mut again = start(&sandbox, &["restore", "web.abide", "again"]);
    again.type_in("time\n");
    again.wait_for("abide> ");
    let after = clock(&sandbox, "again");
    assert_eq!(after["status"], "synchronized");
    assert_eq!(after["time"]["tai_offset_s"], -36);
    let number = |clock: &Value, field: &str| clock[field].as_u64().unwrap();
    for field in ["disruption_marker", "vm_generation_counter"] {
        assert!(number(&after, field) > number(&before, field), "{field}");
    }
    assert!(number(&after, "time_maxerror_ns") >= 900_000);
    assert_read_alike(&sandbox, "again");
    again.type_in("poweroff\n");
    assert_eq!(again.end(), 0);
}

#[test]
fn a_guest_that_is_told_no_time_is_told_why_and_what_to_do() {
    let sandbox = Sandbox::new();
    describe(&sandbox, "synchronised no\n");
    let mut guest = start(&sandbox, &["run", "web", "--memory", "32M"]);
    let output = sandbox.abide(&["clock", "web"]);
    let said = stdout(&output);
    for words in ["web: unreliable", "STA_UNSYNC", "chronyd"] {
        assert!(said.contains(words), "{said}");
    }
    // Synchronised, but nobody knows TAI.
    describe(&sandbox, "tai-s 0\n");
    let why = |words: &'static str| {
        move |clock: &Value| clock["host_clock"].as_str().is_some_and(|why| why.contains(words))
    };
    let unknown = clock_that(&sandbox, "web", why("leap-seconds.list"));
    assert_eq!(unknown["status"], "unreliable");
    // A file torn by who writes it is a clock that does not answer.
    describe(&sandbox, "synchronised y");
    clock_that(&sandbox, "web", why("adjtimex failed"));
    guest.type_in("poweroff\n");
    assert_eq!(guest.end(), 0);
}

#[test]
fn guests_and_hosts_without_a_clock_are_refused_by_name() {
    let sandbox = Sandbox::new();
    describe(&sandbox, "");
    let mut guest = start(&sandbox, &["run", "bare", "--memory", "32M", "--no-vmclock"]);
    for args in [&["clock", "bare"][..], &["clock", "bare", "--announce", "soon"]] {
        let output = sandbox.abide(args);
        assert_eq!(code(&output), 1);
        assert!(stderr(&output).contains("--no-vmclock"), "{}", stderr(&output));
    }
    guest.type_in("poweroff\n");
    assert_eq!(guest.end(), 0);
    describe(&sandbox, "tai-s 37\nnonsense 1\n");
    let output = sandbox.abide(&["run", "web", "--host-clock", "sim:clock"]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("line 2: found `nonsense 1`"), "{}", stderr(&output));
    let output = sandbox.abide(&["run", "web", "--host-clock", "sundial"]);
    assert_eq!(code(&output), 2);
}
