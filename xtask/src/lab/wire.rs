//! Two hosts that run at the same time, with a wire between them that can be cut and mended.
//!
//! Each host's commands find the variables `ME` and `PEER`, the addresses of the two, and a
//! function `reachable`, which tells whether the other answers within a second.

use super::host::{Besides, Errand, File, Finished, Host, option};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// One of the two hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    First,
    Second,
}

impl Side {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::First => 1,
            Self::Second => 2,
        }
    }

    fn address(self) -> String {
        format!("10.0.0.{}", self.number())
    }
}

/// What both hosts do first. A module may be built in.
const NETWORK: &str = "\
for module in /modules/*.ko; do insmod $module 2>/dev/null; done
turns=0
until [ -e /sys/class/net/eth0 ] || [ $turns -ge 100 ]; do sleep 0.1; turns=$((turns + 1)); done
ip address add $ME/24 dev eth0
ip link set eth0 up
reachable() { ping -q -c 1 -W 1 $PEER >/dev/null 2>&1; }
";

/// A kernel that starts reads whole seconds, so two of them are up to a second apart. Both clocks
/// of hardware are that of this machine, whose next second each host's clock is set to begin with.
const SET_CLOCK: &str = "\
second() { read $1 </sys/class/rtc/rtc0/since_epoch; }
second last && next=$last
while [ $next = $last ]; do second next; done
date -s @$next >/dev/null || { echo 'abide-lab: the clock is not set'; exit 9; }
";

/// How long QEMU may take to answer a command: many times what it takes on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// How long a host may go on when the other one ended badly: enough to say what it saw of that.
const ALONE_LIMIT: Duration = Duration::from_secs(60);

/// A wire, plugged in at both ends.
pub struct Wire {
    folder: TempDir,
}

impl Wire {
    fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    /// Pulls the plug of one host. Its kernel sees that; the other's does not, and hears nothing
    /// any more. What is on the way is lost.
    ///
    /// # Errors
    /// If the host does not run.
    pub fn cut(&self, at: Side) -> Result<()> {
        self.plug(at, false)
    }

    /// Puts the plug back.
    ///
    /// # Errors
    /// As [`Wire::cut`].
    pub fn mend(&self, at: Side) -> Result<()> {
        self.plug(at, true)
    }

    fn plug(&self, at: Side, up: bool) -> Result<()> {
        let arguments = json!({"name": "wire", "up": up});
        self.command(at, &json!({"execute": "set_link", "arguments": arguments}))
    }

    /// Ends a host at once.
    fn end(&self, at: Side) -> Result<()> {
        self.command(at, &json!({"execute": "quit"}))
    }

    fn command(&self, at: Side, command: &Value) -> Result<()> {
        let socket = UnixStream::connect(self.control(at)).context("the host's QEMU is gone")?;
        socket.set_read_timeout(Some(ANSWER_LIMIT))?;
        let mut answers = BufReader::new(socket.try_clone()?);
        let mut line = String::new();
        answers.read_line(&mut line).context("QEMU says nothing")?;
        for command in [&json!({"execute": "qmp_capabilities"}), command] {
            writeln!(&socket, "{command}")?;
            let answer = answer(&mut answers)?;
            ensure!(answer.get("return").is_some(), "{command}: QEMU says {answer}");
        }
        Ok(())
    }

    fn control(&self, side: Side) -> PathBuf {
        self.folder.path().join(format!("control{}", side.number()))
    }

    fn socket(&self, side: Side) -> PathBuf {
        self.folder.path().join(format!("end{}", side.number()))
    }

    /// Datagrams: either host may come up first, or twice.
    fn besides(&self, side: Side) -> Besides {
        let (here, there) = (self.socket(side), self.socket(side.other()));
        let network = format!(
            "dgram,id=wire,local.type=unix,local.path={},remote.type=unix,remote.path={}",
            option(&here),
            option(&there)
        );
        let card = format!("virtio-net-device,netdev=wire,mac=52:54:00:00:00:0{}", side.number());
        let control = format!("unix:{},server=on,wait=off", option(&self.control(side)));
        let arguments = ["-netdev", &network, "-device", &card, "-qmp", &control];
        Besides {
            arguments: arguments.map(OsString::from).into(),
            has_modules: true,
            ..Besides::default()
        }
    }
}

/// Gives a host a disk that another one has too. QEMU would lock it.
fn shared(disk: &Path) -> [OsString; 4] {
    let drive = format!("if=none,id=shared,format=raw,file.locking=off,file={}", option(disk));
    let device = "virtio-blk-device,drive=shared,serial=shared,share-rw=on";
    ["-drive".into(), drive.into(), "-device".into(), device.into()]
}

/// The next answer; events come in between.
fn answer(lines: &mut impl BufRead) -> Result<Value> {
    loop {
        let mut line = String::new();
        ensure!(lines.read_line(&mut line)? > 0, "QEMU ended in the middle of a command");
        let value: Value = serde_json::from_str(&line).context("QEMU says no JSON")?;
        if value.get("event").is_none() {
            return Ok(value);
        }
    }
}

/// What one of two hosts is started for.
pub struct End<'a> {
    pub host: &'a Host,
    pub files: &'a [File],
    /// Shell commands, run as root.
    pub script: &'a str,
    /// Whether what they leave in `/out` is brought back.
    pub brings: bool,
    /// A disk that both hosts write to.
    pub shared_disk: Option<&'a Path>,
}

/// Starts two hosts, lets both run their commands, and waits for both ends. `heard` is called with
/// every line of either console, and may cut and mend the wire. A host whose peer ended badly is
/// soon ended too: it might wait for that for ever.
///
/// # Errors
/// As [`Host::run`], for either; or if `heard` fails.
pub fn run(
    [first, second]: [End; 2],
    limit: Duration,
    show: bool,
    heard: impl FnMut(&Wire, Side, &str) -> Result<()> + Send,
) -> Result<[Finished; 2]> {
    let wire = Wire::new()?;
    let heard = Mutex::new((heard, Ok(())));
    let one = |side: Side, end: &End| -> Result<Finished> {
        let (me, peer) = (side.address(), side.other().address());
        let script = format!("ME={me}\nPEER={peer}\n{NETWORK}{SET_CLOCK}{}", end.script);
        let End { host, files, brings, shared_disk, .. } = *end;
        let mut besides = wire.besides(side);
        if let Some(disk) = shared_disk {
            besides.arguments.extend(shared(disk));
        }
        let errand = Errand { files, script: &script, brings, limit, show };
        host.run_with(&errand, &besides, |line| {
            let mut heard = heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let (hear, result) = &mut *heard;
            if result.is_ok() {
                *result = hear(&wire, side, line);
            }
        })
    };
    let both = at_once(&wire, |side| match side {
        Side::First => one(side, &first),
        Side::Second => one(side, &second),
    });
    let (_, result) = heard.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    result?;
    let lone = |which: &str, error: anyhow::Error, other: &Finished| {
        let Finished { code, output, .. } = other;
        let said = super::host::tail(output);
        error.context(format!(
            "the {which} host; the other, whose exit code is {code}, said\n{said}"
        ))
    };
    match both {
        [Ok(first), Ok(second)] => Ok([first, second]),
        [Err(first), Err(second)] => Err(first.context(format!("the second host: {second:#}\n"))),
        [Err(error), Ok(other)] => Err(lone("first", error, &other)),
        [Ok(other), Err(error)] => Err(lone("second", error, &other)),
    }
}

/// Both at once. When one ended badly the other one is ended too, after a while.
fn at_once(wire: &Wire, one: impl Fn(Side) -> Result<Finished> + Sync) -> [Result<Finished>; 2] {
    let (sender, endings) = mpsc::channel();
    thread::scope(|scope| {
        let threads = [Side::First, Side::Second].map(|side| {
            let (one, sender) = (&one, sender.clone());
            scope.spawn(move || {
                let result = one(side);
                let well = matches!(&result, Ok(finished) if finished.code == 0);
                // Who listens ends later than both.
                let _ = sender.send((side, well));
                result
            })
        });
        drop(sender);
        if let Ok((side, false)) = endings.recv() {
            // It may be on its way up, for the first time or the second.
            while endings.recv_timeout(ALONE_LIMIT) == Err(RecvTimeoutError::Timeout) {
                let _ = wire.end(side.other());
            }
        }
        threads.map(|it| it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_events() {
        let mut lines = &b"{\"event\": \"NIC_RX_FILTER_CHANGED\"}\n{\"return\": {}}\n{\"ret"[..];
        assert_eq!(answer(&mut lines).expect("an answer"), json!({"return": {}}));
        assert!(answer(&mut lines).is_err());
        assert!(answer(&mut lines).is_err());
    }

    #[test]
    fn ends_of_a_wire_meet() {
        let wire = Wire::new().expect("a folder");
        let network = |side| wire.besides(side).arguments[1].to_string_lossy().into_owned();
        let (first, second) = (network(Side::First), network(Side::Second));
        for side in [Side::First, Side::Second] {
            let end = wire.socket(side).display().to_string();
            assert!(first.contains(&end) && second.contains(&end), "{first} {second}");
        }
        assert_ne!(first, second);
        assert!(wire.cut(Side::First).is_err(), "no host runs");
    }
}
