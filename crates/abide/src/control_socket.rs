//! Commands to a running guest: one JSON object a line, one in answer, and before the answer to a
//! handoff how far it is, where that is wished.

use crate::clock_report::ClockReport;
use crate::console::Requests;
use crate::descriptors::{self, Pair, Reader as Descriptors};
use crate::handoff::{self, Address, Desk, HandoffReport, Progress, Security, Wish, Writes};
use crate::state_dir::StateDir;
use crate::upgrade::{self, Around};
use abide_machine::handoff::Handoff;
use abide_machine::runner::{Command, Reply, Status};
use abide_migrate::Durability;
use abide_migrate::driver::Resolution;
use abide_migrate::message::Compression;
use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The longest line, in bytes: a path and a few words.
const LINE_MAX_LEN: u64 = 64 << 10;
/// How long a peer may take to say something.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a guest may take to tell how it is.
const STATUS_PATIENCE: Duration = Duration::from_secs(3);

/// A command as it is sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Request {
    /// Tell how it is.
    Status,
    /// Tell what the guest reads of its clock.
    Clock,
    /// Tell the guest how near the next disruption of its clock is.
    Announce {
        /// How near.
        notice: Notice,
    },
    /// Stand still.
    Pause,
    /// Go on.
    Resume,
    /// End.
    Stop,
    /// Hand it to the process that expects it at this address; it ends here.
    Migrate {
        /// `unix:PATH`, with an absolute path, `tcp:HOST:PORT`; or `-` or `exec:COMMAND`, and the
        /// two descriptors of the tunnel come with the command.
        to: String,
        /// How many seconds a step of the peer may take.
        timeout_s: Option<u64>,
        /// How many ms it may stand still for memory.
        downtime_ms: u64,
        /// On how many connections its memory goes.
        connections: u16,
        /// Whether that is packed.
        is_packed: bool,
        /// Whether the journal may be on a file system in memory.
        volatile_journal: bool,
        /// What protects the way there.
        security: Security,
        /// Whether [`Response::Progress`] is to come before the answer.
        #[serde(default)]
        tells: bool,
        /// Whether it is only tried: it goes on here in any case.
        #[serde(default)]
        is_probe: bool,
    },
    /// Tell how fast it writes to its memory.
    MeasureWrites,
    /// Hand it to another program, which takes this process's place.
    Upgrade {
        /// The program, with an absolute path.
        program: PathBuf,
    },
    /// Let the process that asks share the guest's place, which it takes over.
    SharePlace,
    /// Give up the handoff that is under way.
    CancelMigration,
    /// The other side of the handoff is fenced, as an operator states.
    Fenced,
    /// What is prepared is not to run here, as an operator states.
    Discard,
    /// Write it to a file.
    Save {
        /// The file, with an absolute path.
        path: PathBuf,
        /// Whether it goes on here.
        keep_running: bool,
        /// Whether memory is compressed.
        compress: bool,
        /// Whether an existing file may be replaced.
        overwrite: bool,
    },
    /// Write it to a file that gives the right to run; it ends here.
    SaveMoving {
        /// The file, with an absolute path.
        path: PathBuf,
        /// Whether memory is compressed.
        compress: bool,
        /// Whether an existing file may be replaced.
        overwrite: bool,
    },
    /// Write all but its memory, which stays in its file; it ends here.
    SaveKeepingMemory {
        /// The file, with an absolute path.
        path: PathBuf,
        /// Whether an existing file may be replaced.
        overwrite: bool,
        /// Whether the memory is hashed.
        hash_ram: bool,
        /// Whether the file gives the right to run.
        #[serde(default)]
        gives_right: bool,
    },
}

/// How near a disruption is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// None is expected.
    None,
    /// Within a day.
    Soon,
    /// Within an hour.
    Imminent,
}

impl From<Notice> for abide_vmclock::Notice {
    fn from(notice: Notice) -> Self {
        match notice {
            Notice::None => Self::None,
            Notice::Soon => Self::Soon,
            Notice::Imminent => Self::Imminent,
        }
    }
}

/// An answer as it is sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Response {
    /// Done.
    Done,
    /// Done; the file's length in bytes.
    Saved {
        /// Bytes.
        file_len: u64,
    },
    /// How far a handoff is; the answer is still to come.
    Progress(Progress),
    /// Handed over.
    Migrated {
        /// How that went.
        report: Box<HandoffReport>,
    },
    /// How fast it writes.
    Writes(Writes),
    /// How it is.
    Status(StatusReport),
    /// The guest's clock.
    Clock {
        /// `None`: it has none.
        clock: Option<Box<ClockReport>>,
    },
    /// Not done, and why.
    Failed {
        /// Why.
        reason: String,
    },
}

/// How a guest is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// `running` or `paused`; on its way to another process `outgoing`, `frozen`, `given away`; on
    /// its way here `expected`, `incoming`, `prepared`, `taken`.
    pub state: String,
    /// Its engine.
    pub engine: String,
    /// Process that runs it.
    pub pid: u32,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// How many of them the guest has switched on; not told by every engine.
    #[serde(default)]
    pub vcpus_on: Option<u32>,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Whether its runs can be repeated.
    pub deterministic: bool,
    /// Instructions executed.
    pub instructions: u64,
    /// Its own time since it was started, in ns.
    pub guest_ns: u64,
    /// Bytes it has printed.
    pub console_bytes: u64,
    /// How far it is on its way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handoff: Option<Progress>,
}

/// In a word.
fn state_of(status: &Status) -> &'static str {
    match (status.handoff, status.paused) {
        (Handoff::Frozen { .. }, _) => "frozen",
        (Handoff::Released { .. }, _) => "released",
        (Handoff::Offered { .. }, _) => "outgoing",
        (Handoff::None, true) => "paused",
        (Handoff::None, false) => "running",
    }
}

impl From<Status> for StatusReport {
    fn from(status: Status) -> Self {
        Self {
            state: state_of(&status).to_owned(),
            engine: status.engine.to_owned(),
            pid: std::process::id(),
            vcpus: status.vcpu_count,
            vcpus_on: status.vcpus_on,
            memory_bytes: status.ram_len,
            deterministic: status.deterministic,
            instructions: status.instructions,
            guest_ns: status.guest_ns,
            console_bytes: status.console_bytes,
            handoff: None,
        }
    }
}

/// Serves commands until the machine ends, each connection on its own thread.
pub fn serve(listener: UnixListener, desk: Arc<Desk>) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let desk = Arc::clone(&desk);
            std::thread::spawn(move || {
                if let Err(error) = serve_one(&stream, &desk) {
                    tracing::debug!(%error, "control connection");
                }
            });
        }
    });
}

fn serve_one(stream: &UnixStream, desk: &Desk) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    let mut reader = BufReader::new(Descriptors::new(stream).take(LINE_MAX_LEN));
    reader.read_line(&mut line)?;
    let tunnel = reader.into_inner().into_inner().pair();
    let request: Result<Request, _> = serde_json::from_str(&line);
    if matches!(request, Ok(Request::SharePlace)) {
        return desk.around().context("no guest is here yet")?.share_place(stream);
    }
    // Until the answer has left, this process must not end.
    let _underway = desk.guest().map(Requests::begin);
    let response = match request {
        Ok(request) => answer(request, desk, tunnel, stream),
        Err(error) => Response::Failed { reason: format!("not a command: {error}") },
    };
    send(stream, &response)
}

/// The answer where no guest is yet.
fn answer_expected(request: &Request, desk: &Desk) -> Response {
    match request {
        Request::Status => Response::Status(StatusReport {
            state: desk.word().unwrap_or("expected").to_owned(),
            pid: std::process::id(),
            ..StatusReport::default()
        }),
        Request::Stop | Request::CancelMigration => cancel_expected(desk),
        Request::Fenced => fence(desk),
        Request::Discard => discard(desk),
        _ => Response::Failed { reason: "the guest is still to come".to_owned() },
    }
}

fn migrate(
    desk: &Desk,
    to: &str,
    wished: impl FnOnce(Address) -> Wish,
    tunnel: Option<Pair>,
    teller: Option<&UnixStream>,
) -> Response {
    let failed = |reason| Response::Failed { reason };
    let teller = Cell::new(teller);
    // Some rounds fit what a socket holds. Who reads none of it, or is gone, is told no more.
    let tell = |progress: &Progress| {
        let progress = Response::Progress(progress.clone());
        teller.set(teller.get().filter(|stream| send(stream, &progress).is_ok()));
    };
    match to.parse().map(wished) {
        Err(reason) => failed(reason),
        Ok(wish) => migrated(handoff::migrate(desk, &wish, tunnel, &tell)),
    }
}

fn migrated(handed: Result<HandoffReport>) -> Response {
    match handed {
        Ok(report) => Response::Migrated { report: Box::new(report) },
        Err(error) => Response::Failed { reason: format!("{error:#}") },
    }
}

fn cancel_expected(desk: &Desk) -> Response {
    match desk.word() {
        Some(word @ ("prepared" | "taken")) => Response::Failed {
            reason: format!(
                "it is {word}, and it may be the only copy: `abide migrate {} --resolve \
                 --discard` drops it",
                desk.name
            ),
        },
        _ => {
            desk.cancel();
            Response::Done
        }
    }
}

fn discard(desk: &Desk) -> Response {
    match desk.word() {
        Some("prepared" | "given away") => {
            desk.resolve(Some(Resolution::Discard));
            Response::Done
        }
        word => Response::Failed {
            reason: format!(
                "it is {}; only what is prepared here, or was given away, can be discarded",
                word.unwrap_or("running")
            ),
        },
    }
}

fn fence(desk: &Desk) -> Response {
    match desk.word() {
        Some("prepared" | "given away") => {
            desk.resolve(Some(Resolution::Run));
            Response::Done
        }
        word => Response::Failed {
            reason: format!(
                "it is {}, and no statement about another side changes that",
                word.unwrap_or("running")
            ),
        },
    }
}

fn answer(request: Request, desk: &Desk, tunnel: Option<Pair>, stream: &UnixStream) -> Response {
    let Some(requests) = desk.guest() else { return answer_expected(&request, desk) };
    let command = match request {
        Request::Migrate {
            to,
            timeout_s,
            downtime_ms,
            connections,
            is_packed,
            volatile_journal,
            security,
            tells,
            is_probe,
        } => {
            let wished = |to| Wish {
                to,
                security,
                is_probe,
                downtime: Duration::from_millis(downtime_ms),
                connections,
                compression: if is_packed { Compression::Lz4 } else { Compression::None },
                timeout: timeout_s.map(Duration::from_secs),
                durability: if volatile_journal {
                    Durability::Volatile
                } else {
                    Durability::Required
                },
                shares_console: false,
            };
            return migrate(desk, &to, wished, tunnel, tells.then_some(stream));
        }
        Request::MeasureWrites => {
            return match handoff::measure(desk) {
                Ok(writes) => Response::Writes(writes),
                Err(error) => Response::Failed { reason: format!("{error:#}") },
            };
        }
        Request::Upgrade { program } => return migrated(upgrade::upgrade(desk, &program)),
        // It is answered by a descriptor.
        Request::SharePlace => {
            return Response::Failed { reason: "nobody takes it over".to_owned() };
        }
        Request::CancelMigration => {
            desk.cancel();
            return Response::Done;
        }
        Request::Fenced => return fence(desk),
        Request::Discard => return discard(desk),
        Request::Status => Command::Status,
        Request::Clock => Command::Clock,
        Request::Announce { notice } => Command::Announce(notice.into()),
        Request::Pause => Command::Pause,
        Request::Resume => Command::Resume,
        Request::Stop => {
            if desk.around().is_some_and(Around::stop_elsewhere) {
                return Response::Done;
            }
            Command::Stop
        }
        Request::Save { path, keep_running, compress, overwrite } => {
            Command::Save { path, keep_running, compress, overwrite }
        }
        Request::SaveMoving { path, compress, overwrite } => {
            Command::SaveMoving { path, compress, overwrite }
        }
        Request::SaveKeepingMemory { path, overwrite, hash_ram, gives_right } => {
            Command::SaveKeepingMemory { path, overwrite, hash_ram, gives_right }
        }
    };
    match requests.ask(command) {
        None => Response::Failed { reason: "the guest has just ended".to_owned() },
        // Nothing is typed or handed over through this socket.
        Some(
            Reply::Done
            | Reply::Typed { .. }
            | Reply::Offered(_)
            | Reply::Written(_)
            | Reply::Frozen(_),
        ) => Response::Done,
        Some(Reply::Saved { file_len }) => Response::Saved { file_len },
        Some(Reply::Status(status)) => {
            let mut report = StatusReport::from(status);
            // Who has the guest, the machine does not know.
            if let Some(word) = desk.word() {
                word.clone_into(&mut report.state);
            }
            report.handoff = desk.progress();
            Response::Status(report)
        }
        Some(Reply::Clock(clock)) => {
            Response::Clock { clock: clock.map(|clock| Box::new((*clock).into())) }
        }
        Some(Reply::Failed(error)) => Response::Failed { reason: error.to_string() },
    }
}

fn refuse_if_stopped(name: &str, stream: &UnixStream) -> Result<()> {
    if let Some(pid) = stopped_peer(stream) {
        bail!(
            "guest {name} cannot answer: its process {pid} is stopped (as by Ctrl-Z); \
             `kill -CONT {pid}` lets it go on"
        );
    }
    Ok(())
}

/// The process at the other end, if it stands still: it would be waited for in vain
/// `[linux Documentation/filesystems/proc.rst 1.1]`.
fn stopped_peer(stream: &UnixStream) -> Option<i32> {
    let pid = rustix::net::sockopt::socket_peercred(stream).ok()?.pid.as_raw_nonzero().get();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    matches!(fields.trim_start().chars().next(), Some('T' | 't')).then_some(pid)
}

fn send(stream: &UnixStream, message: &impl Serialize) -> Result<()> {
    send_with(stream, message, None)
}

fn send_with(stream: &UnixStream, message: &impl Serialize, tunnel: Option<&Pair>) -> Result<()> {
    let mut line = serde_json::to_string(message)?;
    line.push('\n');
    Ok(descriptors::send(stream, line.as_bytes(), tunnel)?)
}

/// Sends a command to the guest of this name. The answer is still to come.
pub fn begin(
    state: &StateDir,
    name: &str,
    request: &Request,
    tunnel: Option<&Pair>,
) -> Result<UnixStream> {
    let stream = state.connect(name)?;
    refuse_if_stopped(name, &stream)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    send_with(&stream, request, tunnel).with_context(|| format!("guest {name}"))?;
    Ok(stream)
}

/// Sends a command to the guest of this name and waits for its answer: however long a save takes,
/// otherwise as long as a save that is under way there may be expected to.
pub fn ask(state: &StateDir, name: &str, request: &Request) -> Result<Response> {
    ask_told(state, name, request, None, &mut |_| ())
}

/// As [`ask`]; `tunnel` goes with the command, and `told` hears how far it is.
pub fn ask_told(
    state: &StateDir,
    name: &str,
    request: &Request,
    tunnel: Option<Pair>,
    told: &mut dyn FnMut(&Progress),
) -> Result<Response> {
    let patience = match request {
        Request::Migrate { .. } | Request::Upgrade { .. } => None,
        Request::MeasureWrites | Request::CancelMigration | Request::Fenced | Request::Discard => {
            Some(PATIENCE)
        }
        Request::Save { .. } | Request::SaveMoving { .. } | Request::SaveKeepingMemory { .. } => {
            None
        }
        // It is asked in turn, and a list should not wait for one of its lines.
        Request::Status => Some(STATUS_PATIENCE),
        Request::Clock | Request::Announce { .. } => Some(PATIENCE),
        Request::Pause | Request::Resume | Request::Stop => Some(PATIENCE),
        Request::SharePlace => Some(PATIENCE),
    };
    let stream = begin(state, name, request, tunnel.as_ref())?;
    stream.set_read_timeout(patience)?;
    // From here on it is the guest's process's: its other side shall see when that closes it.
    drop(tunnel);
    let mut reader = BufReader::new(&stream);
    loop {
        let line = read_answer(name, &stream, &mut reader, patience)?;
        match serde_json::from_str(&line) {
            Ok(Response::Progress(progress)) => told(&progress),
            answer => return answer.with_context(|| format!("guest {name} answered nonsense")),
        }
    }
}

fn read_answer(
    name: &str,
    stream: &UnixStream,
    reader: &mut impl BufRead,
    patience: Option<Duration>,
) -> Result<String> {
    let mut line = String::new();
    match reader.take(LINE_MAX_LEN).read_line(&mut line) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            refuse_if_stopped(name, stream)?;
            bail!(
                "guest {name} did not answer within {} s: it may be saving; try again later",
                patience.unwrap_or(PATIENCE).as_secs()
            );
        }
        result => result.with_context(|| format!("guest {name}"))?,
    };
    if line.is_empty() {
        return Err(anyhow!("guest {name} ended before it answered"));
    }
    Ok(line)
}
