//! Running guests are handed from process to process, and stay where that fails.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use support::handoff::{PLAIN, await_state, expected, expected_by_tcp, line_with, migrate, state};
use support::{Running, Sandbox, code, shipped_guest, stderr};

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
    let moved = sandbox.abide(&[&args[..], &["--connections", "2"]].concat());
    assert_eq!(code(&moved), 0, "{}", stderr(&moved));
    let told: serde_json::Value = serde_json::from_slice(&moved.stdout).unwrap();
    assert_eq!((&told["memory"], &told["connections"]), (&"stream".into(), &2.into()));
    // A line for each round in which it ran, for programs.
    let rounds: Vec<serde_json::Value> =
        stderr(&moved).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rounds.len() as u64 + 1, told["rounds"].as_u64().unwrap());
    for (n, round) in rounds.iter().enumerate() {
        assert_eq!((&round["rounds"], &round["to"]), (&(n + 1).into(), &to.as_str().into()));
        assert!(round["bytes_per_s"].as_u64().unwrap() > 0, "{round}");
    }
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
        let way = ["--connections", "16", "--compress", "lz4", "--key", key, "--trust", trust];
        sandbox.abide(&[&args[..], &way].concat())
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
    let told: serde_json::Value = serde_json::from_slice(&moved.stdout).unwrap();
    assert_eq!(told["connections"], 16);
    let bytes_per_page = told["bytes"].as_u64().unwrap() / told["pages"].as_u64().unwrap();
    assert!(bytes_per_page < 4096, "{told}");
    assert_eq!(here.end(), 14);
    there.type_in("poweroff\n");
    assert_eq!(there.end(), 0);
}

#[test]
fn who_has_no_key_keeps_no_guest_out() {
    let sandbox = Sandbox::new();
    let identity = |file: &str| {
        let made = sandbox.abide(&["keygen", file]);
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    };
    let (near, far) = (identity("near"), identity("far"));
    let mut here = shipped_guest(&sandbox, "web");
    here.type_in("mem\n");
    here.wait_for("abide> ");
    let (mut there, to) = expected_by_tcp(&sandbox, "other", &["--key", "far", "--trust", &near]);
    let knock = || TcpStream::connect(to.strip_prefix("tcp:").unwrap()).unwrap();
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 100_000], b"\x16\x03\x01\xff\xff"] {
        let mut stream = knock();
        // It may be dropped in the middle.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    // Some say nothing, and some the beginning of something.
    let silent: Vec<_> = (0..8).map(|_| knock()).collect();
    silent.iter().step_by(2).for_each(|mut stream| stream.write_all(&[0x16, 3, 1]).unwrap());
    assert_eq!(state(&sandbox, "other"), "expected");
    let keys = ["--key", "near", "--trust", &far, PLAIN[0]];
    let moved = sandbox.abide(&[&["migrate", "web", &to][..], &keys].concat());
    assert_eq!(code(&moved), 0, "{}", stderr(&moved));
    assert_eq!(here.end(), 14);
    drop(silent);
    there.type_in("mem check\n");
    let said = there.wait_for("abide> ");
    assert!(said.contains("intact"), "{said}");
    there.type_in("poweroff\n");
    assert_eq!(there.end(), 0);
}

#[test]
fn guest_stays_where_nobody_takes_it() {
    let sandbox = Sandbox::new();
    let mut here = shipped_guest(&sandbox, "web");
    for (option, value) in [("--connections", "2"), ("--compress", "lz4")] {
        let copies = sandbox.abide(&["migrate", "web", "unix:nobody", option, value]);
        assert_eq!(code(&copies), 1);
        assert!(stderr(&copies).contains(&format!("{option} is for")), "{}", stderr(&copies));
    }
    let alone = migrate(&sandbox, "web", "nobody");
    assert_eq!(code(&alone), 1);
    let words = stderr(&alone);
    assert!(words.contains("goes on here") && words.contains("nobody"), "{words}");
    assert!(!words.contains(": :"), "every address is said: {words}");
    here.type_in("uptime\n");
    here.wait_for("abide> ");
    let _there = expected(&sandbox, "other", "s", &[]);
    assert_eq!(code(&migrate(&sandbox, "web", "s")), 0);
    assert_eq!(here.end(), 14);
}

#[test]
fn paused_guest_arrives_paused() {
    let sandbox = Sandbox::new();
    let mut here = shipped_guest(&sandbox, "web");
    here.type_in("mem\n");
    here.wait_for("abide> ");
    sandbox.abide(&["pause", "web"]);
    // By descriptor, and as a stream.
    let mut by_socket = expected(&sandbox, "other", "s", &[]);
    assert_eq!(code(&migrate(&sandbox, "web", "s")), 0);
    assert_eq!(here.end(), 14);
    assert_eq!(state(&sandbox, "other"), "paused");
    let said = line_with(&mut by_socket, "on engine");
    assert!(said.contains("is paused"), "{said}");
    let (mut there, to) = expected_by_tcp(&sandbox, "next", &["--insecure-plain-tcp"]);
    let moved = sandbox.abide(&["migrate", "other", &to, PLAIN[0], PLAIN[1]]);
    assert_eq!(code(&moved), 0, "{}", stderr(&moved));
    assert_eq!(by_socket.end(), 14);
    assert_eq!(state(&sandbox, "next"), "paused");
    there.type_in("mem check\n");
    assert_eq!(code(&sandbox.abide(&["resume", "next"])), 0);
    let said = there.wait_for("abide> ");
    assert!(said.contains("intact"), "{said}");
    there.type_in("poweroff\n");
    assert_eq!(there.end(), 0);
}

#[test]
fn dry_run_predicts_and_leaves_the_guest_as_it_was() {
    let sandbox = Sandbox::new();
    let mut here = shipped_guest(&sandbox, "web");
    here.type_in("mem\n");
    here.wait_for("abide> ");
    let dry = |more: &[&str]| {
        let told = sandbox.abide(&[&["migrate", "web", "--dry-run", "--json"], more].concat());
        let json = serde_json::from_slice(&told.stdout);
        json.unwrap_or_else(|_| serde_json::json!({"said": stderr(&told)}))
    };
    assert!(dry(&[])["said"].as_str().unwrap().contains("--link-rate"));
    let alone: serde_json::Value = dry(&["--link-rate", "100"]);
    // Its program and 1 MiB that it filled.
    assert!(alone["writes"]["present_pages"].as_u64().unwrap() > 256, "{alone}");
    assert_eq!(alone["forecast"]["bytes_per_s"], 100 << 20);
    assert_eq!(alone["forecast"]["converges"], true);
    assert_eq!(alone["forecast"]["rounds"][0]["pages"], alone["writes"]["present_pages"]);
    let nobody = dry(&["tcp:127.0.0.1:1", PLAIN[0], PLAIN[1]]);
    assert!(nobody["said"].as_str().unwrap().contains("goes on here"), "{nobody}");
    let (mut there, to) = expected_by_tcp(&sandbox, "other", &["--insecure-plain-tcp"]);
    for _ in 0..2 {
        let told = dry(&[&to, PLAIN[0], PLAIN[1]]);
        assert_eq!(told["accepted_at"], to.as_str(), "{told}");
        assert!(told["forecast"]["bytes_per_s"].as_u64().unwrap() > 0, "{told}");
        assert_eq!(state(&sandbox, "web"), "running");
        // It hears of the withdrawal a moment later.
        await_state(&sandbox, "other", "expected");
    }
    let by_socket = expected(&sandbox, "next", "s", &[]);
    let at = format!("unix:{}", sandbox.path("s").display());
    let told = dry(&[&at, PLAIN[0]]);
    assert_eq!((&told["accepted_at"], &told["forecast"]), (&at.into(), &().into()));
    drop(by_socket);
    let moved = sandbox.abide(&["migrate", "web", &to, PLAIN[0], PLAIN[1]]);
    assert_eq!(code(&moved), 0, "{}", stderr(&moved));
    assert_eq!(here.end(), 14);
    there.type_in("mem check\n");
    let said = there.wait_for("abide> ");
    assert!(said.contains("intact"), "{said}");
    there.type_in("poweroff\n");
    assert_eq!(there.end(), 0);
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
    // It says in which epoch it was taken, unless its file system keeps no such thing.
    let mut mark = [0; 24];
    match rustix::fs::getxattr(&disk, "user.abide.epoch", &mut mark) {
        Ok(len) => assert_eq!((len, &mark[16..]), (24, &2_u64.to_le_bytes()[..])),
        Err(errno) => assert_eq!(errno, rustix::io::Errno::NOTSUP),
    }
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
