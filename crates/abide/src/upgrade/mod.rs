//! `abide upgrade`: another program takes over a running guest, in the place of this one.
//!
//! The process that has the guest starts the other program, which inherits standard input, output
//! and error, shares the guest's place in the state directory, and gets the guest by a handoff.
//! Then the first process does nothing but wait for the second one, and ends as it ends: whoever
//! started the guest (a shell, a service manager) still sees one process, and its console.
//!
//! A program of a version without handoff gets the guest [`through_file`].
//!
//! If the second one hands on to a third, it ends, and the third is a child of the first.

mod successor;
mod through_file;

use crate::control_socket::{self, Request, Response};
use crate::exit::Exit;
use crate::handoff::{self, Desk, HandoffReport, Security, Wish};
use crate::out::say;
use crate::state_dir::{Place, StateDir};
use crate::terminal::Keyboard;
use abide_migrate::Durability;
use abide_migrate::message::Compression;
use abide_migrate::transport::descriptor;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{WaitOptions, getpid, set_child_subreaper, wait};
use std::ffi::OsString;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
pub use successor::Standing;
use successor::Successor;
pub use through_file::file_of;

/// How long a guest that has just come may take until it can be asked, and handed on.
const SETTLED_MAX: Duration = Duration::from_secs(10);
/// How long the other program may take until it can get a guest.
const READY_MAX: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// What only `receive` knows, and no version without handoff.
const TAKES_OVER: &str = "--takes-over";

/// What is around a guest in its process.
pub struct Around {
    /// Its place in the state directory.
    pub place: Arc<Place>,
    /// What is typed to it; a repeatable guest has none.
    pub keyboard: Option<Keyboard>,
    /// Options of this process that hold for the next one too.
    pub options: Vec<OsString>,
    /// Where the report of the run is written.
    pub report: Option<PathBuf>,
    /// Another process waits for this one, and will for the next.
    pub is_awaited: bool,
    successor: Mutex<Option<Successor>>,
    /// The guest is the successor's, and this process only waits.
    is_over: AtomicBool,
    /// The guest is to end, wherever it is.
    shall_end: AtomicBool,
}

impl Around {
    /// Of a guest that stays here for now.
    pub fn new(
        place: Arc<Place>,
        keyboard: Option<Keyboard>,
        options: Vec<OsString>,
        report: Option<PathBuf>,
        is_awaited: bool,
    ) -> Self {
        Self {
            place,
            keyboard,
            options,
            report,
            is_awaited,
            successor: Mutex::default(),
            is_over: AtomicBool::new(false),
            shall_end: AtomicBool::new(false),
        }
    }

    fn successor(&self) -> MutexGuard<'_, Option<Successor>> {
        self.successor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it is with the process that is to get the guest; `None` where there is none.
    pub fn standing(&self) -> Option<Standing> {
        self.successor().as_mut().map(|successor| successor.standing(&self.place))
    }

    /// Whether the other program shares the place.
    fn is_shared(&self) -> Result<bool> {
        let successor = self.successor();
        let successor = successor.as_ref().context("no other program was started")?;
        Ok(successor.is_ready.load(Ordering::SeqCst))
    }

    /// How the other program ended, if it has.
    fn has_ended(&self) -> Result<Option<ExitStatus>> {
        let mut successor = self.successor();
        let successor = successor.as_mut().context("no other program was started")?;
        Ok(successor.child.try_wait()?)
    }

    /// Lets the process at `stream` share the place, if one was started for that.
    pub fn share_place(&self, mut stream: impl AsFd + Write) -> Result<()> {
        let successor = self.successor();
        let successor = successor.as_ref().context("no other program was started for this")?;
        descriptor::send_one(stream.as_fd(), self.place.lock())?;
        stream.flush()?;
        successor.is_ready.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Waits for the process that has the guest now, and ends as it ends; `None` if no other
    /// program took the guest over.
    pub fn follow(&self) -> Option<Exit> {
        let mut successor = self.successor().take()?;
        self.place.hand_on();
        self.is_over.store(true, Ordering::SeqCst);
        if self.shall_end.load(Ordering::SeqCst) {
            self.stop_there();
        }
        if self.is_awaited {
            return Some(Exit::GivenAway);
        }
        let mut code = successor.child.wait().ok().and_then(|status| status.code());
        // It may have handed on, and the next one is a child of this process.
        while code == Some(i32::from(Exit::GivenAway.number())) {
            let Ok(Some((_, status))) = wait(WaitOptions::empty()) else { break };
            code = status.exit_status();
        }
        let exit = code.and_then(Exit::of);
        if exit.is_none() {
            say(&format!("{}: its process was killed", self.place.name()));
        }
        if successor.leaves_place
            && let Ok(state) = StateDir::open(Some(self.place.state_dir()))
        {
            // The other program does not know where its place is now.
            drop(state.take(Some(self.place.name()), None));
        }
        Some(exit.unwrap_or(Exit::Refused))
    }

    /// Ends the guest where it is now; `false` if that is here. One that is on its way ends once it
    /// is there.
    pub fn stop_elsewhere(&self) -> bool {
        self.shall_end.store(true, Ordering::SeqCst);
        let is_over = self.is_over.load(Ordering::SeqCst);
        if is_over {
            self.stop_there();
        }
        is_over
    }

    fn stop_there(&self) {
        let asked = StateDir::open(Some(self.place.state_dir()))
            .and_then(|state| control_socket::ask(&state, self.place.name(), &Request::Stop));
        if let Err(error) = asked {
            tracing::debug!(%error, "it has ended");
        }
    }

    /// Whether the process that this one has the guest from still has to be told, or to hear.
    fn is_arriving(&self, desk: &Desk) -> Result<bool> {
        Ok(desk.journal() == self.place.next_journal()?)
    }

    /// Waits until the guest's name leads to where it is, or it has ended there.
    fn await_there(&self) {
        let Ok(state) = StateDir::open(Some(self.place.state_dir())) else { return };
        let give_up = Instant::now() + SETTLED_MAX;
        // Where [`Self::follow`] waits for it already, that sees its end.
        while Instant::now() < give_up && !matches!(self.has_ended(), Ok(Some(_))) {
            let answer = control_socket::ask(&state, self.place.name(), &Request::Status);
            if let Ok(Response::Status(status)) = answer
                && matches!(&*status.state, "running" | "paused")
            {
                return;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

/// Shares the place of `name` with the process that has its guest.
pub fn share(state: &StateDir, name: &str) -> Result<Place> {
    let stream = control_socket::begin(state, name, &Request::SharePlace, None)?;
    let lock = descriptor::receive_one(stream.as_fd());
    state.share(name, lock.with_context(|| format!("guest {name} does not leave its place"))?)
}

/// Whether `program` can take over a running guest by a handoff.
fn takes_over(program: &Path) -> Result<bool> {
    let starting = || format!("{}: cannot be started", program.display());
    let mut command = Command::new(program);
    let output = command.args(["receive", "--help"]).stdin(Stdio::null()).output();
    let output = output.with_context(starting)?;
    Ok(output.status.success() && String::from_utf8_lossy(&output.stdout).contains(TAKES_OVER))
}

/// Hands the guest behind `desk` to `program`; returns when that has it, or when it is known to
/// stay.
pub fn upgrade(desk: &Desk, program: &Path) -> Result<HandoffReport> {
    let (Some(around), Some(_)) = (desk.around(), desk.guest()) else {
        bail!("no guest is here yet")
    };
    let give_up = Instant::now() + SETTLED_MAX;
    while around.is_arriving(desk)? {
        ensure!(Instant::now() < give_up, "the process that it came from still asks for it");
        std::thread::sleep(LOOK_AGAIN);
    }
    let has_handoff = takes_over(program)?;
    if let Some(Err(len)) = around.keyboard.as_ref().map(Keyboard::detach) {
        bail!("it has not read {len} bytes yet that were typed; try again when it has");
    }
    let handed = if has_handoff {
        hand_over(desk, around, program)
    } else {
        through_file::hand_over(desk, around, program)
    };
    if let (Err(_), Some(keyboard)) = (&handed, &around.keyboard) {
        keyboard.reattach();
    }
    handed
}

fn hand_over(desk: &Desk, around: &Around, program: &Path) -> Result<HandoffReport> {
    begin(desk, around, program)?;
    let to = handoff::Address::Unix(around.place.handoff_socket());
    let wish = Wish {
        to,
        security: Security::default(),
        downtime: Duration::ZERO,
        connections: 1,
        compression: Compression::None,
        timeout: None,
        // Where this host loses its power, both processes lose the guest's memory.
        durability: Durability::Volatile,
        is_probe: false,
        shares_console: true,
    };
    let ready = ready(around, program);
    let handed = ready.and_then(|()| handoff::migrate(desk, &wish, None, &|_| ()));
    match &handed {
        Ok(_) => around.await_there(),
        Err(_) => {
            if let Some(successor) = around.successor().take() {
                successor.end();
            }
        }
    }
    handed
}

/// Starts the other program.
fn begin(desk: &Desk, around: &Around, program: &Path) -> Result<()> {
    let mut successor = around.successor();
    ensure!(successor.is_none(), "another program takes it over already");
    // What an earlier attempt left is of a process that is gone.
    std::fs::remove_file(around.place.next_journal()?).ok();
    if !around.is_awaited {
        set_child_subreaper(Some(getpid())).context("keeping the processes to come")?;
    }
    let mut command = Command::new(program);
    command.arg("receive").arg(around.place.name());
    let mut at = OsString::from("unix:");
    at.push(around.place.handoff_socket());
    command
        .arg(at)
        .args([TAKES_OVER, "--volatile-journal"])
        .arg("--state-dir")
        .arg(around.place.state_dir());
    if let Some(engine) = desk.engine() {
        command.args(["--engine", engine]);
    }
    command.args(&around.options);
    if let Some(path) = &around.report {
        command.arg("--report").arg(path);
    }
    let child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
    *successor = Some(Successor::new(child, false));
    Ok(())
}

/// Waits until it listens.
fn ready(around: &Around, program: &Path) -> Result<()> {
    let give_up = Instant::now() + READY_MAX;
    while !around.is_shared()? {
        if let Some(status) = around.has_ended()? {
            bail!(
                "it goes on here: {} ended before it could take it ({status}); why, it said where \
                 the guest's console is",
                program.display()
            );
        }
        ensure!(
            Instant::now() < give_up,
            "it goes on here: {} is not ready after {} s",
            program.display(),
            READY_MAX.as_secs()
        );
        // Without the lock, which whoever shares the place needs.
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}
