//! Running guests are handed from process to process, and stay where that fails.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Output, Stdio};
use support::{Running, Sandbox, code, shipped_guest, stderr};

/// Expects a guest at the socket of this name.
fn expected(sandbox: &Sandbox, name: &str, socket: &str, more: &[&str]) -> Running {
    let at = format!("unix:{}", sandbox.path(socket).display());
    let mut args = vec!["receive", name, &at, "--engine", "soft", "--volatile-journal"];
    args.extend(more);
    let mut command = sandbox.command(&args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut receiving = Running(command.spawn().unwrap());
    // From this line on somebody listens.
    let said = first_line(&mut receiving);
    assert!(said.contains("is expected at"), "{said}");
    receiving
}

fn first_line(receiving: &mut Running) -> String {
    let stderr = receiving.0.stderr.as_mut().unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"\n") {
        let mut byte = [0];
        assert_eq!(stderr.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
        said.push(byte[0]);
    }
    String::from_utf8_lossy(&said).into_owned()
}

fn migrate(sandbox: &Sandbox, name: &str, socket: &str) -> Output {
    let to = format!("unix:{}", sandbox.path(socket).display());
    sandbox.abide(&["migrate", name, &to, "--json", "--volatile-journal"])
}

fn state(sandbox: &Sandbox, name: &str) -> String {
    let output = sandbox.abide(&["status", name, "--json"]);
    let status: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    status["state"].as_str().unwrap().to_owned()
}

#[test]
fn guest_goes_there_and_back_and_keeps_what_it_knows() {
    let sandbox = Sandbox::new();
    let mut here = shipped_guest(&sandbox, "web");
    here.type_in("mem\n");
    here.wait_for("abide> ");
    let mut epoch = 1;
    for (name, next) in [("web", "other"), ("other", "web"), ("web", "other")] {
        let report = format!("{next}.json");
        let mut there = expected(&sandbox, next, next, &["--report", &report]);
        assert_eq!(state(&sandbox, next), "expected");
        let moved = migrate(&sandbox, name, next);
        assert_eq!(code(&moved), 0, "{}", stderr(&moved));
        let told: serde_json::Value = serde_json::from_slice(&moved.stdout).unwrap();
        epoch += 1;
        assert_eq!((&told["epoch"], &told["memory"]), (&epoch.into(), &"descriptor".into()));
        assert!(told["blackout_ns"].as_u64().unwrap() > 0);
        assert_eq!(here.end(), 14, "the source ends as given away");
        assert_eq!(state(&sandbox, next), "running");
        // Its console is the new process's.
        there.type_in("mem check\n");
        let said = there.wait_for("abide> ");
        assert!(said.contains("intact"), "{said}");
        here = there;
    }
    here.type_in("poweroff\n");
    assert_eq!(here.end(), 0);
    let arrival = &sandbox.report("other")["arrival"];
    assert_eq!(arrival["clock"], "continue");
    assert!(arrival["is_of_one_clock"].as_bool().unwrap());
    // Its counter is not behind by the standstill, but by a tick of 16 ns.
    assert!(arrival["behind_ns"].as_u64().unwrap() <= 16, "{arrival}");
    assert_eq!(arrival["epoch"], epoch);
}

/// Expects a guest at a free port; says which.
fn expected_by_tcp(sandbox: &Sandbox, name: &str, security: &[&str]) -> (Running, String) {
    let at = ["tcp:127.0.0.1:0", "--engine", "soft", "--volatile-journal"];
    let mut command = sandbox.command(&[&["receive", name][..], &at, security].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut receiving = Running(command.spawn().unwrap());
    let said = first_line(&mut receiving);
    let (_, to) = said.split_once("expected at ").unwrap();
    let to = to.trim().to_owned();
    (receiving, to)
}

#[test]
fn memory_goes_over_tcp_while_the_guest_writes_it() {
    let sandbox = Sandbox::new();
    let mut here = shipped_guest(&sandbox, "web");
    here.type_in("mem\n");
    here.wait_for("abide> ");
    let (mut there, to) = expected_by_tcp(&sandbox, "other", &["--insecure-plain-tcp"]);
    let plain = sandbox.abide(&["migrate", "web", &to, "--volatile-journal"]);
    assert_eq!(code(&plain), 1);
    assert!(stderr(&plain).contains("--insecure-plain-tcp"), "{}", stderr(&plain));
    here.type_in("count 30\n");
    here.wait_for("3");
    let args = ["migrate", "web", &to, "--json", "--volatile-journal", "--insecure-plain-tcp"];
    let moved = sandbox.abide(&args);
    assert_eq!(code(&moved), 0, "{}", stderr(&moved));
    let told: serde_json::Value = serde_json::from_slice(&moved.stdout).unwrap();
    assert_eq!(told["memory"], "stream");
    // Its program and 1 MiB that it filled, and once more what it wrote meanwhile.
    assert!(told["pages"].as_u64().unwrap() > 256, "{told}");
    assert!(told["rounds"].as_u64().unwrap() >= 2, "{told}");
    assert_eq!(here.end(), 14);
    there.wait_for("30");
    there.wait_for("abide> ");
    there.type_in("mem check\n");
    let said = there.wait_for("abide> ");
    assert!(said.contains("intact"), "{said}");
    there.type_in("poweroff\n");
    assert_eq!(there.end(), 0);
}

#[test]
fn keys_decide_who_gets_a_guest_over_a_network() {
    let sandbox = Sandbox::new();
    let identities = ["near", "far", "other"].map(|file| {
        let made = sandbox.abide(&["keygen", file]);
        assert_eq!(code(&made), 0, "{}", stderr(&made));
        let shown = sandbox.abide(&["keygen", file, "--show"]);
        assert_eq!(shown.stdout, made.stdout);
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    });
    let [near, far, _] = &identities;
    assert_eq!(code(&sandbox.abide(&["keygen", "near"])), 1, "none is replaced");
    let here = shipped_guest(&sandbox, "web");
    let security = ["--key", "far", "--trust", near];
    let (mut there, to) = expected_by_tcp(&sandbox, "next", &security);
    let go = |key: &str, trust: &str| {
        let args = ["migrate", "web", &to, "--json", "--volatile-journal"];
        sandbox.abide(&[&args[..], &["--key", key, "--trust", trust]].concat())
    };
    // One that is not trusted there, and one that is not trusted here.
    for (key, trust) in [("other", far), ("near", near)] {
        let refused = go(key, trust);
        assert_eq!(code(&refused), 1, "{key}");
        assert!(stderr(&refused).contains("goes on here"), "{}", stderr(&refused));
    }
    let plain = sandbox.abide(&["migrate", "web", &to, "--insecure-plain-tcp", "--timeout", "5"]);
    assert_eq!(code(&plain), 1, "{}", stderr(&plain));
    assert_eq!(state(&sandbox, "web"), "running");
    let moved = go("near", far);
    assert_eq!(code(&moved), 0, "{}", stderr(&moved));
    assert_eq!(here.end(), 14);
    there.type_in("poweroff\n");
    assert_eq!(there.end(), 0);
}

#[test]
fn guest_stays_where_nobody_takes_it() {
    let sandbox = Sandbox::new();
    let mut here = shipped_guest(&sandbox, "web");
    let alone = migrate(&sandbox, "web", "nobody");
    assert_eq!(code(&alone), 1);
    let words = stderr(&alone);
    assert!(words.contains("goes on here") && words.contains("nobody"), "{words}");
    sandbox.abide(&["pause", "web"]);
    let _there = expected(&sandbox, "other", "s", &[]);
    let paused = migrate(&sandbox, "web", "s");
    assert_eq!(code(&paused), 1);
    assert!(stderr(&paused).contains("paused"), "{}", stderr(&paused));
    assert_eq!(state(&sandbox, "web"), "paused");
    sandbox.abide(&["resume", "web"]);
    here.type_in("uptime\n");
    here.wait_for("abide> ");
    // The same two are good for the next try.
    assert_eq!(code(&migrate(&sandbox, "web", "s")), 0);
    assert_eq!(here.end(), 14);
}

#[test]
fn garbage_at_the_socket_changes_nothing() {
    let sandbox = Sandbox::new();
    let here = shipped_guest(&sandbox, "web");
    let there = expected(&sandbox, "other", "s", &[]);
    let path = sandbox.path("s");
    let garbage: [&[u8]; 4] = [b"", b"GET / HTTP/1.1\r\n\r\n", &[0xff; 4096], b"ABIDEHO\n"];
    for bytes in garbage {
        let mut stream = UnixStream::connect(&path).unwrap();
        // It may be dropped in the middle.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(state(&sandbox, "other"), "expected");
    assert_eq!(code(&migrate(&sandbox, "web", "s")), 0);
    assert_eq!(here.end(), 14);
    assert_eq!(code(&sandbox.abide(&["stop", "other"])), 0);
    assert_eq!(there.end(), 13);
}

#[test]
fn disk_is_left_by_one_and_taken_by_the_other() {
    let sandbox = Sandbox::new();
    let disk = sandbox.path("disk.img");
    std::fs::write(&disk, vec![0; 1 << 20]).unwrap();
    let mut command = sandbox.command(&["run", "web", "--memory", "32M", "--disk", "disk.img"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut here = Running(command.spawn().unwrap());
    here.wait_for("abide> ");
    // Where its disk is another one, it does not go.
    std::fs::write(sandbox.path("short.img"), vec![0; 512]).unwrap();
    let wrong = expected(&sandbox, "other", "s", &["--disk", "0=short.img"]);
    let refused = migrate(&sandbox, "web", "s");
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("sectors"), "{}", stderr(&refused));
    assert_eq!(state(&sandbox, "web"), "running");
    drop(wrong);
    let mut there = expected(&sandbox, "next", "t", &[]);
    let moved = migrate(&sandbox, "web", "t");
    assert_eq!(code(&moved), 0, "{}", stderr(&moved));
    assert_eq!(here.end(), 14);
    let busy = sandbox.abide(&["run", "third", "--memory", "32M", "--disk", "disk.img"]);
    assert!(stderr(&busy).contains("in use"), "{}", stderr(&busy));
    there.type_in("poweroff\n");
    assert_eq!(there.end(), 0);
}

#[test]
fn what_is_expected_can_be_given_up() {
    let sandbox = Sandbox::new();
    let there = expected(&sandbox, "other", "s", &[]);
    let second =
        sandbox.abide(&["receive", "third", &format!("unix:{}", sandbox.path("s").display())]);
    assert_eq!(code(&second), 1, "the socket is taken");
    assert_eq!(code(&sandbox.abide(&["migrate", "other", "--cancel"])), 0);
    assert_eq!(there.end(), 1);
    assert!(!sandbox.path("s").exists());
}

/// Forwards one connection to `to` until the destination's word of this type is due, which it
/// keeps to itself; does `then`, and closes both ends.
fn withhold(listener: &std::net::TcpListener, to: &str, kind: u16, then: impl FnOnce()) {
    let (source, _) = listener.accept().unwrap();
    let destination = std::net::TcpStream::connect(to).unwrap();
    let (mut from_source, mut to_destination) =
        (source.try_clone().unwrap(), destination.try_clone().unwrap());
    let forward = std::thread::spawn(move || {
        std::io::copy(&mut from_source, &mut to_destination).ok();
    });
    let (mut from_destination, mut to_source) = (&destination, &source);
    loop {
        let mut head = [0; 24];
        from_destination.read_exact(&mut head).unwrap();
        if head[..2] == kind.to_le_bytes() {
            break;
        }
        let len = u32::from_le_bytes(head[4..8].try_into().unwrap());
        to_source.write_all(&head).unwrap();
        std::io::copy(&mut from_destination.take(len.into()), &mut to_source).unwrap();
    }
    then();
    // One of them may be closed already.
    source.shutdown(std::net::Shutdown::Both).ok();
    destination.shutdown(std::net::Shutdown::Both).ok();
    forward.join().unwrap();
}

#[test]
fn guest_whose_source_is_killed_is_the_destinations_once_that_is_resolved() {
    let sandbox = Sandbox::new();
    let mut here = shipped_guest(&sandbox, "web");
    let (mut there, to) = expected_by_tcp(&sandbox, "other", &["--insecure-plain-tcp"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let between = format!("tcp:{}", listener.local_addr().unwrap());
    let plain = ["--volatile-journal", "--insecure-plain-tcp"];
    let mut moving = sandbox.command(&["migrate", "web", &between, plain[0], plain[1]]);
    let mut moving = Running(moving.stderr(Stdio::null()).spawn().unwrap());
    // The source's process is killed when the destination is prepared.
    withhold(&listener, to.strip_prefix("tcp:").unwrap(), 9, || {
        here.0.kill().unwrap();
        here.0.wait().unwrap();
    });
    moving.0.wait().unwrap();
    drop(listener);
    assert_eq!(state(&sandbox, "other"), "prepared");
    let untold = sandbox.abide(&["migrate", "web", "--resolve", plain[0]]);
    assert_eq!(code(&untold), 1);
    let words = stderr(&untold);
    assert!(words.contains("here, guest") && words.contains("give the destination"), "{words}");
    let resolved = sandbox.abide(&["migrate", "web", &to, "--resolve", plain[0], plain[1]]);
    assert_eq!(code(&resolved), 0, "{}", stderr(&resolved));
    there.type_in("poweroff\n");
    assert_eq!(there.end(), 0);
}

#[test]
fn guest_whose_source_never_heard_of_its_arrival_goes_on_to_others() {
    let sandbox = Sandbox::new();
    let mut here = shipped_guest(&sandbox, "web");
    let (there, to) = expected_by_tcp(&sandbox, "other", &["--insecure-plain-tcp"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let between = format!("tcp:{}", listener.local_addr().unwrap());
    let plain = ["--volatile-journal", "--insecure-plain-tcp"];
    let mut moving = sandbox.command(&["migrate", "web", &between, plain[0], plain[1]]);
    let mut moving = Running(moving.stderr(Stdio::null()).spawn().unwrap());
    // The source's process is killed when the destination says that it runs.
    withhold(&listener, to.strip_prefix("tcp:").unwrap(), 11, || {
        here.0.kill().unwrap();
        here.0.wait().unwrap();
    });
    moving.0.wait().unwrap();
    let mut next = expected(&sandbox, "next", "s", &[]);
    let moved = migrate(&sandbox, "other", "s");
    assert_eq!(code(&moved), 0, "{}", stderr(&moved));
    assert_eq!(there.end(), 14);
    // The destination's journal still tells the source that the guest was taken there.
    let (_again, to) = expected_by_tcp(&sandbox, "other", &["--insecure-plain-tcp"]);
    let resolved = sandbox.abide(&["migrate", "web", &to, "--resolve", plain[0], plain[1]]);
    assert_eq!(code(&resolved), 0, "{}", stderr(&resolved));
    next.type_in("poweroff\n");
    assert_eq!(next.end(), 0);
}

#[test]
fn guest_stays_whatever_word_before_the_record_is_lost_and_the_next_try_succeeds() {
    let sandbox = Sandbox::new();
    let mut here = shipped_guest(&sandbox, "web");
    here.type_in("mem\n");
    here.wait_for("abide> ");
    let (mut there, to) = expected_by_tcp(&sandbox, "other", &["--insecure-plain-tcp"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let between = format!("tcp:{}", listener.local_addr().unwrap());
    let plain = ["--volatile-journal", "--insecure-plain-tcp"];
    // Welcome, accept, the end of a round, prepared.
    for kind in [2, 4, 7, 9] {
        let mut moving = sandbox.command(&["migrate", "web", &between, plain[0], plain[1]]);
        let mut moving = Running(moving.stderr(Stdio::null()).spawn().unwrap());
        withhold(&listener, to.strip_prefix("tcp:").unwrap(), kind, || {});
        assert_eq!(moving.0.wait().unwrap().code(), Some(1), "type {kind}");
        assert_eq!(state(&sandbox, "web"), "running", "type {kind}");
        here.type_in("mem check\n");
        let said = here.wait_for("abide> ");
        assert!(said.contains("intact"), "type {kind}: {said}");
    }
    assert_eq!(state(&sandbox, "other"), "prepared", "its source's word was lost too");
    let moved = sandbox.abide(&["migrate", "web", &to, plain[0], plain[1]]);
    assert_eq!(code(&moved), 0, "{}", stderr(&moved));
    assert_eq!(here.end(), 14);
    there.type_in("mem check\n");
    let said = there.wait_for("abide> ");
    assert!(said.contains("intact"), "{said}");
    there.type_in("poweroff\n");
    assert_eq!(there.end(), 0);
}
