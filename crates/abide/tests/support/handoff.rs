//! Guests that are handed over by real processes.

use super::{Running, Sandbox, stderr};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Output, Stdio};

/// Expects a guest at the socket of this name.
pub fn expected(sandbox: &Sandbox, name: &str, socket: &str, more: &[&str]) -> Running {
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

/// The next line with this in it that a process says on standard error.
pub fn line_with(process: &mut Running, text: &str) -> String {
    loop {
        let line = first_line(process);
        if line.contains(text) {
            return line;
        }
    }
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

/// Moves a guest to the socket of this name.
pub fn migrate(sandbox: &Sandbox, name: &str, socket: &str) -> Output {
    let to = format!("unix:{}", sandbox.path(socket).display());
    sandbox.abide(&["migrate", name, &to, "--json", "--volatile-journal"])
}

/// In a word, how the guest of this name is.
pub fn state(sandbox: &Sandbox, name: &str) -> String {
    status(sandbox, name)["state"].as_str().unwrap().to_owned()
}

/// Whether a process has this name.
pub fn is_there(sandbox: &Sandbox, name: &str) -> bool {
    let output = sandbox.abide(&["ps", "--json"]);
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    list.as_array().unwrap().iter().any(|guest| guest["name"] == name)
}

/// Waits until it is so.
pub fn await_state(sandbox: &Sandbox, name: &str, word: &str) {
    while state(sandbox, name) != word {}
}

/// All that `status` tells.
pub fn status(sandbox: &Sandbox, name: &str) -> serde_json::Value {
    let output = sandbox.abide(&["status", name, "--json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)))
}

/// Options of both sides where nothing has to be kept or protected.
pub const PLAIN: [&str; 2] = ["--volatile-journal", "--insecure-plain-tcp"];

/// A guest that is on its way to `to`, a port, until the word of this type is due from there: then
/// `then` is done, and the connection cut. Ends with what `abide migrate` said.
pub fn cut_off(sandbox: &Sandbox, to: &str, kind: u16, then: impl FnOnce()) -> Output {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let between = format!("tcp:{}", listener.local_addr().unwrap());
    let mut moving = sandbox.command(&["migrate", "web", &between, PLAIN[0], PLAIN[1]]);
    let moving = moving.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    withhold(&listener, to.strip_prefix("tcp:").unwrap(), kind, then);
    drop(listener);
    moving.wait_with_output().unwrap()
}

/// Expects a guest at a free port; says which.
pub fn expected_by_tcp(sandbox: &Sandbox, name: &str, security: &[&str]) -> (Running, String) {
    let at = ["tcp:127.0.0.1:0", "--engine", "soft", "--volatile-journal"];
    let mut command = sandbox.command(&[&["receive", name][..], &at, security].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut receiving = Running(command.spawn().unwrap());
    let said = first_line(&mut receiving);
    let (_, to) = said.split_once("expected at ").unwrap();
    let to = to.trim().to_owned();
    (receiving, to)
}

/// Forwards one connection to `to` until the destination's word of this type is due, which it
/// keeps to itself; does `then`, and closes both ends.
fn withhold(listener: &TcpListener, to: &str, kind: u16, then: impl FnOnce()) {
    let (source, _) = listener.accept().unwrap();
    let destination = TcpStream::connect(to).unwrap();
    let (mut from_source, mut to_destination) =
        (source.try_clone().unwrap(), destination.try_clone().unwrap());
    let forward = std::thread::spawn(move || {
        std::io::copy(&mut from_source, &mut to_destination).ok();
    });
    forward_until(&destination, &source, kind);
    then();
    // One of them may be closed already.
    source.shutdown(std::net::Shutdown::Both).ok();
    destination.shutdown(std::net::Shutdown::Both).ok();
    forward.join().unwrap();
}

/// Forwards what the destination says until its word of this type is due.
pub fn forward_until(mut from: impl Read, mut to: impl Write, kind: u16) {
    loop {
        let mut head = [0; 24];
        from.read_exact(&mut head).unwrap();
        if head[..2] == kind.to_le_bytes() {
            break;
        }
        let len = u32::from_le_bytes(head[4..8].try_into().unwrap());
        to.write_all(&head).unwrap();
        std::io::copy(&mut from.by_ref().take(len.into()), &mut to).unwrap();
    }
}
