//! `vsock`: Linux guests and programs of their host, connected to each other, over a save.
//!
//! The guest (`guests/vsock`) and programs here exchange more than any window, each way, over
//! connections that each side opens, each half closed by itself. The guest is refused where nobody
//! listens and where there are too many connections. It is saved away while it holds connections,
//! one of them in the middle of a flood, and restored with its sockets at another path: all that it
//! held must have been reset, and everything works anew.

use crate::abide::{self, Linux, POWERED_OFF, SAVED_AWAY};
use crate::oracle::KERNELS;
use crate::process::{self, Ended};
use crate::tally::Count;
use crate::tasks::guests;
use crate::traffic;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// What the guest needs of the modules that a guest with devices may have.
const MODULES: [&str; 4] =
    ["virtio_mmio", "vsock", "vmw_vsock_virtio_transport_common", "vmw_vsock_virtio_transport"];
/// What the guest says.
const SAYS: &str = "abide-vsock: ";
/// One run may take this long, on slow cores that others use too.
const LIMIT: Duration = Duration::from_secs(400);

/// The guest's number, and the port where it listens.
const CID: u32 = 7;
const PORT: u32 = 1024;
/// The host's ports, as `guests/vsock/main.rs` has them.
const TAKES: u32 = 5001;
const GIVES: u32 = 5002;
const HOLDS: u32 = 5003;
const FLOODS: u32 = 5004;
/// How much goes each way, in bytes.
const LEN: usize = (1 << 20) + 7;
/// How much is sent to the guest to be sent back, in bytes.
const ECHO_LEN: usize = (1 << 20) + 11;

#[derive(clap::Args)]
pub struct Arguments {
    /// Kernel series
    #[arg(long = "kernel", value_name = "SERIES", default_values_t = KERNELS.map(String::from))]
    kernels: Vec<String>,
    /// Numbers of vCPUs
    #[arg(long = "vcpus", value_name = "N", default_values_t = [1, 2])]
    vcpus: Vec<u32>,
}

pub fn run(arguments: &Arguments, count: &mut Count) -> Result<()> {
    abide::each_guest(&arguments.kernels, &arguments.vcpus, count, check)
}

/// The programs of the host that a guest finds, and what they have to tell.
struct Programs {
    /// Where they are.
    path: PathBuf,
    /// Told when the guest has sent back all that it should.
    echoed: Sender<()>,
    /// Connections that are held.
    held: Vec<UnixStream>,
}

/// Listens at a port of the host, for as long as this program runs.
fn serve(
    path: &Path,
    port: u32,
    mut answer: impl FnMut(UnixStream) -> std::io::Result<()> + Send + 'static,
) -> Result<()> {
    let place = format!("{}_{port}", path.display());
    let listener = UnixListener::bind(&place).with_context(|| place.clone())?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // What goes wrong here the guest sees, and says so.
            let _ = stream.set_read_timeout(Some(LIMIT)).and_then(|()| answer(stream));
        }
    });
    Ok(())
}

impl Programs {
    fn start(path: &Path) -> Result<Self> {
        serve(path, TAKES, |mut stream| {
            let mut taken = Vec::new();
            stream.read_to_end(&mut taken)?;
            stream.write_all(&traffic::hash_of(taken).to_le_bytes())
        })?;
        let (echoed, has_echoed): (_, Receiver<()>) = channel();
        serve(path, GIVES, move |mut stream| {
            let mut round = [0];
            stream.read_exact(&mut round)?;
            // So that no other connection is open when the guest counts how many there can be.
            let _ = has_echoed.recv_timeout(LIMIT);
            stream.write_all(&traffic::bytes(round[0].into()).take(LEN).collect::<Vec<_>>())
        })?;
        let mut holding = Vec::new();
        serve(path, HOLDS, move |stream| {
            holding.push(stream);
            Ok(())
        })?;
        serve(path, FLOODS, |mut stream| {
            let mut flood = traffic::bytes(FLOODS.into());
            loop {
                let piece: Vec<u8> = flood.by_ref().take(7001).collect();
                stream.write_all(&piece)?;
            }
        })?;
        Ok(Self { path: path.to_owned(), echoed, held: Vec::new() })
    }

    /// Connects to the guest.
    fn connect(&self) -> Result<UnixStream> {
        let mut stream = UnixStream::connect(&self.path).context("connecting to the guest")?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(format!("CONNECT {PORT}\n").as_bytes())?;
        // Byte by byte: what follows the line belongs to the guest's program.
        let (mut line, mut byte) = (Vec::new(), [0]);
        while !line.ends_with(b"\n") && stream.read(&mut byte).context("the guest's answer")? == 1 {
            line.extend(byte);
        }
        ensure!(line.starts_with(b"OK "), "the guest's answer is {:?}", line.escape_ascii());
        Ok(stream)
    }

    /// Sends the guest bytes and receives them again.
    fn echo(&self, round: u64) -> Result<()> {
        let mut stream = self.connect()?;
        let sent: Vec<u8> = traffic::bytes(100 + round).take(ECHO_LEN).collect();
        let (mut writer, to_send) = (stream.try_clone()?, sent.clone());
        let writing = thread::spawn(move || {
            writer.write_all(&to_send).and_then(|()| writer.shutdown(Shutdown::Write))
        });
        let mut received = Vec::new();
        stream.read_to_end(&mut received).context("what the guest sends back")?;
        writing.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
        ensure!(received == sent, "{} bytes came back, or others", received.len());
        let _ = self.echoed.send(());
        Ok(())
    }

    /// Nobody in the guest listens at this port.
    fn is_refused(&self) -> Result<()> {
        let mut stream = UnixStream::connect(&self.path).context("connecting to the guest")?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(b"CONNECT 9\n")?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        ensure!(line.is_empty(), "somebody in the guest answers: {line}");
        Ok(())
    }

    /// Does what the guest waits for when it says `line`.
    fn react(&mut self, line: &str) -> Result<()> {
        match line {
            "round 1: listening" => self.is_refused().and_then(|()| self.echo(1)),
            "round 2: listening" => self.echo(2),
            "waiting to be held" => {
                self.held.push(self.connect()?);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What the guest must have said in its whole life.
fn expected() -> Vec<String> {
    let round = |round: u64| {
        let gave = traffic::hash_of(traffic::bytes(round).take(LEN));
        let echoed = traffic::hash_of(traffic::bytes(100 + round).take(ECHO_LEN));
        [
            format!("round {round}: gave {LEN} bytes, hash {gave:016x}"),
            format!("round {round}: listening"),
            format!("round {round}: sent back {ECHO_LEN} bytes, hash {echoed:016x}"),
            format!("round {round}: took {LEN} bytes, hash {gave:016x}"),
        ]
    };
    let mut lines = vec![format!("{} modules", MODULES.len())];
    lines.extend(round(1));
    let between = [
        "nobody is there",
        "256 connections",
        "waiting to be held",
        "holding connections",
        "held connections were reset",
    ];
    lines.extend(between.map(str::to_owned));
    lines.extend(round(2));
    lines.push("done".to_owned());
    lines
}

fn check(series: &str, vcpus: u32, program: &Path, folder: &Path) -> Result<()> {
    let is_wanted = |name: &str| MODULES.contains(&name);
    let linux = Linux::with_init(series, folder, &guests::vsock()?, &[], is_wanted)?;
    // Paths of sockets are short.
    let sockets = tempfile::tempdir()?;
    let [here, there] = ["here", "there"].map(|name| sockets.path().join(name));
    let file = folder.join("held.abide");
    let mut run = linux.run(program);
    run.arg("--vcpus").arg(vcpus.to_string());
    run.arg("--vsock").arg(format!("{},cid={CID}", here.display()));
    let before = lived(run, program, folder, &here, Some(&file))?;
    ensure!(!here.exists(), "the socket is there after the guest has gone");
    let mut restore = Command::new(program);
    restore.args(["restore", "--engine", "soft"]).arg(&file).arg("--vsock").arg(&there);
    let after = lived(restore, program, folder, &there, None)?;
    ensure!(!there.exists(), "the socket is there after the guest has ended");
    let (found, expected) = (abide::said(&[before, after].concat(), SAYS), expected());
    ensure!(found == expected, "the guest says {found:?}, not {expected:?}");
    Ok(())
}

/// Runs a guest with its programs to its end, or until it holds connections: then it is saved away.
fn lived(
    mut run: Command,
    program: &Path,
    folder: &Path,
    path: &Path,
    file: Option<&PathBuf>,
) -> Result<Vec<u8>> {
    let mut programs = Programs::start(path)?;
    let (state, words) = (folder.join("state"), folder.join("words"));
    run.arg("--state-dir").arg(&state).stderr(File::create(&words)?).arg("guest");
    let (mut console, mut seen) = (Vec::new(), 0);
    let mut result = Ok(());
    let ended = process::pour(&mut run, LIMIT, |chunk| {
        console.extend_from_slice(chunk);
        let whole = console.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let lines = abide::said(&console[..whole], SAYS);
        for line in &lines[seen..] {
            println!("{SAYS}{line}");
            result = match (line.as_str(), file) {
                ("holding connections", Some(file)) => save(program, file, &state),
                (line, _) => programs.react(line),
            };
            if result.is_err() {
                return true;
            }
        }
        seen = lines.len();
        false
    })?;
    let words = fs::read_to_string(&words).unwrap_or_default();
    let text = String::from_utf8_lossy(&console);
    result.with_context(|| format!("{text}\n{words}"))?;
    let code = if file.is_some() { SAVED_AWAY } else { POWERED_OFF };
    ensure!(ended == Ended::Exit(code), "{ended:?}, not exit code {code}: {text}\n{words}");
    Ok(console)
}

fn save(program: &Path, file: &Path, state: &Path) -> Result<()> {
    let mut save = Command::new(program);
    save.args(["save", "guest"]).arg(file).arg("--state-dir").arg(state);
    process::capture(&mut save).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_is_expected_to_say_what_it_did_once_for_each_life() {
        let lines = expected();
        assert_eq!(lines.len(), 15);
        let console = format!("[ 0.1] kernel\r\n{SAYS}{}\r\nabide-net: 1\r\n", lines[1]);
        assert_eq!(abide::said(console.as_bytes(), SAYS), lines[1..2]);
        assert_ne!(
            traffic::hash_of(traffic::bytes(1).take(LEN)),
            traffic::hash_of(traffic::bytes(2).take(LEN))
        );
    }
}
