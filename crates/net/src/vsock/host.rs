//! The host's programs: their sockets, and the thread that serves them.

use super::Shared;
use super::connection::Connection;
use super::mux::{CONNECTIONS_MAX, Id};
use super::place::Bound;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Programs that have connected and not said to which port.
const GREETINGS_MAX: usize = 32;
/// How long they may take.
const GREETING_TIME_MAX: Duration = Duration::from_secs(60);
/// The longest line with a port, in bytes.
const LINE_MAX: usize = 32;
/// How long a guest may take to say that it heard of the end of a connection.
const CLOSING_TIME_MAX: Duration = Duration::from_secs(8);
/// How long nobody is let in after the host had no descriptor left.
const BREATH: Duration = Duration::from_millis(500);
/// How long a program whose queue is full is tried again, and how often.
const BUSY_TIME_MAX: Duration = Duration::from_secs(2);
const BUSY_BREATH: Duration = Duration::from_millis(10);
/// What is read at once, in bytes.
const PIECE_LEN: usize = 16 << 10;

/// A program's end of a connection.
struct Program {
    stream: UnixStream,
    is_readable: bool,
    is_writable: bool,
    /// It has closed its end, both ways.
    is_gone: bool,
    /// It was told that no more comes, or that no more is wanted.
    told_end: bool,
    told_deaf: bool,
    /// Until when the guest may say that it heard of the end.
    closing: Option<Instant>,
}

/// A program that has not said to which port it wants.
struct Greeting {
    stream: UnixStream,
    line: Vec<u8>,
    until: Instant,
}

/// A connection that the guest wants and that no program has taken yet.
struct Wanted {
    id: Id,
    port: u32,
    until: Instant,
}

/// What a program's first line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// It is not complete.
    Begun,
    /// A port of the guest, and what came behind the line.
    Connect { port: u32, rest: &'a [u8] },
    /// Something else.
    Wrong,
}

/// `CONNECT <port>`, as programs for other VMMs write it.
fn parse(line: &[u8]) -> Line<'_> {
    let Some(end) = line.iter().position(|&byte| byte == b'\n') else {
        return if line.len() < LINE_MAX { Line::Begun } else { Line::Wrong };
    };
    let (text, rest) = (&line[..end], &line[end + 1..]);
    let text = std::str::from_utf8(text).unwrap_or_default();
    let mut words = text.split_ascii_whitespace();
    let word = words.next().unwrap_or_default();
    let port = words.next().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    match port.and_then(|digits| digits.parse().ok()) {
        Some(port) if word.eq_ignore_ascii_case("connect") && words.next().is_none() => {
            Line::Connect { port, rest }
        }
        _ => Line::Wrong,
    }
}

impl Program {
    fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            is_readable: true,
            is_writable: true,
            is_gone: false,
            told_end: false,
            told_deaf: false,
            closing: None,
        }
    }

    /// Carries what can be carried, both ways.
    fn carry(&mut self, connection: &mut Connection) {
        self.carry_to_program(connection);
        self.carry_to_guest(connection);
        if self.is_gone {
            connection.host_is_deaf();
            // What it sent before it went is read first, if somebody wants it.
            if connection.guest_is_deaf() {
                connection.host_is_done();
            }
        }
    }

    fn carry_to_program(&mut self, connection: &mut Connection) {
        while self.is_writable && !connection.for_host().is_empty() {
            match self.stream.write(connection.for_host()) {
                Ok(len) => connection.host_took(len),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_writable = false,
                Err(_) => connection.host_is_deaf(),
            }
        }
        if connection.host_has_all() && !self.told_end {
            self.told_end = true;
            // A program that has gone already will be noticed.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }

    fn carry_to_guest(&mut self, connection: &mut Connection) {
        if connection.guest_is_deaf() && !self.told_deaf {
            self.told_deaf = true;
            let _ = self.stream.shutdown(Shutdown::Read);
        }
        let mut piece = [0; PIECE_LEN];
        while self.is_readable && connection.room_for_guest() > 0 {
            let len = connection.room_for_guest().min(PIECE_LEN);
            match self.stream.read(&mut piece[..len]) {
                Ok(0) => connection.host_is_done(),
                Ok(len) => connection.host_sent(&piece[..len]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_readable = false,
                Err(_) => {
                    connection.host_is_done();
                    connection.host_is_deaf();
                }
            }
        }
    }

    /// What to wait for; `None` if nothing that it does matters now.
    fn interest(&self, connection: &Connection) -> Option<PollFlags> {
        // One that has gone is always ready.
        if self.is_gone {
            return None;
        }
        let mut interest = PollFlags::empty();
        interest.set(PollFlags::IN, !self.is_readable && connection.wants_bytes());
        interest.set(PollFlags::OUT, !self.is_writable && !connection.for_host().is_empty());
        Some(interest)
    }

    fn note(&mut self, happened: PollFlags) {
        self.is_readable |= happened.contains(PollFlags::IN);
        self.is_writable |= happened.contains(PollFlags::OUT);
        if happened.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            (self.is_gone, self.is_readable) = (true, true);
        }
    }
}

/// All programs of the host that have to do with a guest.
pub(super) struct Host {
    bound: Bound,
    programs: BTreeMap<Id, Program>,
    greetings: Vec<Greeting>,
    /// Their programs are there, and too busy.
    busy: Vec<Wanted>,
    /// Nobody is let in before this.
    closed_until: Option<Instant>,
}

impl Host {
    pub(super) fn new(bound: Bound) -> Self {
        let (programs, greetings, busy) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { bound, programs, greetings, busy, closed_until: None }
    }

    /// Serves them until the guest is gone.
    pub(super) fn serve(mut self, shared: &Shared) {
        loop {
            let is_over = shared.begin_turn();
            let now = Instant::now();
            self.reach(shared, now);
            self.carry(shared, now);
            shared.tell_guest();
            if is_over {
                return;
            }
            if let Err(error) = self.wait(shared, now) {
                tracing::error!(%error, "sockets failed: the guest reaches the host no more");
                return;
            }
        }
    }

    /// Connects the guest to programs that it asked for.
    fn reach(&mut self, shared: &Shared, now: Instant) {
        let mut wanted = std::mem::take(&mut self.busy);
        let until = now + BUSY_TIME_MAX;
        let new = shared.lock().mux.take_wanted();
        wanted.extend(new.into_iter().map(|(id, port)| Wanted { id, port, until }));
        for one in wanted {
            // The guest may have given up.
            if shared.lock().mux.get(one.id).is_none() {
                continue;
            }
            let stream = self.bound.place.connect(one.port);
            let mut state = shared.lock();
            match stream {
                Ok(stream) => {
                    if state.mux.reached(one.id) {
                        self.programs.insert(one.id, Program::new(stream));
                    }
                }
                Err(Errno::AGAIN) if one.until > now => self.busy.push(one),
                Err(error) => {
                    let port = one.port;
                    tracing::debug!(port, %error, "nobody for the guest's connection");
                    state.mux.drop_from_host(one.id);
                }
            }
        }
    }

    fn carry(&mut self, shared: &Shared, now: Instant) {
        self.programs.retain(|&id, program| {
            let mut state = shared.lock();
            let Some(is_asked) = state.mux.get(id).map(Connection::is_asked) else { return false };
            if is_asked && program.is_gone {
                state.mux.drop_from_host(id);
                return false;
            }
            let is_closing = state.mux.with(id, |connection| {
                program.carry(connection);
                connection.is_closing()
            });
            if is_closing == Some(true) {
                let until = *program.closing.get_or_insert(now + CLOSING_TIME_MAX);
                if until <= now {
                    state.mux.drop_from_host(id);
                }
            }
            state.mux.get(id).is_some()
        });
    }

    /// Waits until something happens, and takes note of it.
    fn wait(&mut self, shared: &Shared, now: Instant) -> rustix::io::Result<()> {
        let is_open = self.closed_until.is_none_or(|until| until <= now);
        let lets_in = is_open && self.greetings.len() < GREETINGS_MAX;
        let timeout = self.patience(now).and_then(|time| Timespec::try_from(time).ok());
        let mut fds = vec![PollFd::from_borrowed_fd(shared.bell(), PollFlags::IN)];
        let listens = if lets_in { PollFlags::IN } else { PollFlags::empty() };
        fds.push(PollFd::new(&self.bound.listener, listens));
        fds.extend(self.greetings.iter().map(|one| PollFd::new(&one.stream, PollFlags::IN)));
        let mut waiting = Vec::with_capacity(CONNECTIONS_MAX);
        let state = shared.lock();
        for (&id, program) in &self.programs {
            let interest = state.mux.get(id).and_then(|found| program.interest(found));
            if let Some(interest) = interest {
                waiting.push(id);
                fds.push(PollFd::new(&program.stream, interest));
            }
        }
        drop(state);
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(()),
            Err(errno) => return Err(errno),
        }
        let happened: Vec<_> = fds.iter().map(PollFd::revents).collect();
        drop(fds);
        let (greetings, programs) = happened[2..].split_at(self.greetings.len());
        for (id, &happened) in waiting.iter().zip(programs) {
            if let Some(program) = self.programs.get_mut(id) {
                program.note(happened);
            }
        }
        let ready: Vec<_> = greetings.iter().map(|happened| !happened.is_empty()).collect();
        self.greet(shared, &ready);
        if lets_in && !happened[1].is_empty() {
            self.let_in();
        }
        Ok(())
    }

    /// How long nothing has to be done by itself.
    fn patience(&self, now: Instant) -> Option<Duration> {
        let closing = self.programs.values().filter_map(|program| program.closing);
        let greetings = self.greetings.iter().map(|one| one.until);
        let closed = self.closed_until.filter(|until| *until > now);
        let busy = (!self.busy.is_empty()).then(|| now + BUSY_BREATH);
        let next = closing.chain(greetings).chain(closed).chain(busy).min()?;
        Some(next.saturating_duration_since(now))
    }

    fn let_in(&mut self) {
        let now = Instant::now();
        while self.greetings.len() < GREETINGS_MAX {
            let accepted = self.bound.listener.accept().and_then(|(stream, _)| {
                stream.set_nonblocking(true)?;
                Ok(stream)
            });
            match accepted {
                Ok(stream) => self.greetings.push(Greeting {
                    stream,
                    line: Vec::new(),
                    until: now + GREETING_TIME_MAX,
                }),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::debug!(%error, "nobody let in");
                    self.closed_until = Some(now + BREATH);
                    return;
                }
            }
        }
    }

    /// Reads first lines of those that are `ready`.
    fn greet(&mut self, shared: &Shared, ready: &[bool]) {
        let now = Instant::now();
        let greetings = std::mem::take(&mut self.greetings);
        for (mut greeting, &is_ready) in greetings.into_iter().zip(ready) {
            if !is_ready {
                if greeting.until > now {
                    self.greetings.push(greeting);
                }
                continue;
            }
            match read_line(&mut greeting) {
                Line::Begun => self.greetings.push(greeting),
                Line::Wrong => {}
                Line::Connect { port, rest } => {
                    let mut state = shared.lock();
                    if let Some(id) = state.mux.ask(port) {
                        state.mux.with(id, |connection| connection.host_sent(rest));
                        self.programs.insert(id, Program::new(greeting.stream));
                    }
                }
            }
        }
    }
}

/// Reads what is there of a program's first line.
fn read_line(greeting: &mut Greeting) -> Line<'_> {
    let mut piece = [0; LINE_MAX];
    let len = LINE_MAX - greeting.line.len();
    loop {
        match greeting.stream.read(&mut piece[..len]) {
            Ok(0) => return Line::Wrong,
            Ok(len) => {
                greeting.line.extend(&piece[..len]);
                return parse(&greeting.line);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Line::Begun,
            Err(_) => return Line::Wrong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_name_a_port_and_nothing_else() {
        let connect = |port, rest| Line::Connect { port, rest };
        assert_eq!(parse(b"CONNECT 52\n"), connect(52, b""));
        assert_eq!(parse(b"connect  1024 \r\nGET /"), connect(1024, b"GET /"));
        assert_eq!(parse(b"CONNECT 4294967294\n\n"), connect(u32::MAX - 1, b"\n"));
        for begun in [&b""[..], b"C", b"CONNECT 52", &[b'x'; LINE_MAX - 1]] {
            assert_eq!(parse(begun), Line::Begun);
        }
        let wrong: [&[u8]; 9] = [
            b"\n",
            b"CONNECT\n",
            b"CONNECT x\n",
            b"CONNECT +5\n",
            b"CONNECT 4294967296\n",
            b"CONNECT 5 6\n",
            b"LISTEN 5\n",
            b"CONNECT \xff\n",
            &[b'x'; LINE_MAX],
        ];
        for wrong in wrong {
            assert_eq!(parse(wrong), Line::Wrong);
        }
    }
}
