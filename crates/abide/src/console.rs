//! What the guest prints, on its way to standard output.
//!
//! Standard output may be slow (a pager), stand still (a pipe that nobody reads), refuse for a
//! moment (a descriptor that somebody set to non-blocking) or fail (a full disk). So a thread of
//! its own writes there. The guest waits when too much is on its way, so nothing is lost; but it
//! does not wait while somebody asks something of it, or `abide stop` would wait for the pager.

use crate::out::say;
use abide_machine::runner::{Command, Control, Reply};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes on their way before the guest has to wait.
const WAITING_MAX_LEN: usize = 64 << 10;
/// How long output may take to leave after its guest was ended from outside, and an answer to
/// reach whoever asked.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The guest's end.
#[derive(Clone)]
pub struct Output {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Whether the thread holds bytes that are neither waiting nor written.
    writing: bool,
    /// Requests under way, for which the guest must come to the end of its slice.
    requests: usize,
    /// Nobody will read any more, or nobody cares.
    given_up: bool,
}

impl State {
    /// Whether something has not left yet that somebody will read.
    fn is_leaving(&self) -> bool {
        !self.given_up && (self.writing || !self.waiting.is_empty())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        self.changed
            .wait_while(self.lock(), |state| condition(state))
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

impl Output {
    /// To standard output.
    pub fn stdout() -> Self {
        Self::to(write_stdout)
    }

    fn to(mut write: impl FnMut(&[u8]) -> Result<(), Errno> + Send + 'static) -> Self {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let output = Self { shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            loop {
                let mut state = shared.wait_while(|state| state.waiting.is_empty());
                let bytes = std::mem::take(&mut state.waiting);
                state.writing = true;
                drop(state);
                // There is room again.
                shared.changed.notify_all();
                let result = write(&bytes);
                shared.change(|state| state.writing = false);
                let Err(errno) = result else { continue };
                // A reader that went away has read enough.
                if errno != Errno::PIPE {
                    say(&format!("the guest's console output is lost from here on: {errno}"));
                }
                shared.change(|state| state.given_up = true);
                return;
            }
        });
        output
    }

    /// Waits until all has left; not for long if `hurry`, and no longer once
    /// [`Self::give_up`] is called. Then waits until whoever asked something has the answer.
    pub fn finish(&self, hurry: bool) {
        if hurry {
            self.await_leaving();
        } else {
            drop(self.shared.wait_while(State::is_leaving));
        }
        self.wait_briefly(|state| state.requests > 0);
    }

    /// Waits, not for long, until all has left; `false` if it has not.
    fn await_leaving(&self) -> bool {
        self.wait_briefly(State::is_leaving)
    }

    /// Waits, not for long, while it is so; `false` if it still is.
    fn wait_briefly(&self, condition: impl Fn(&State) -> bool) -> bool {
        let state = self.shared.lock();
        let changed = &self.shared.changed;
        let waited = changed.wait_timeout_while(state, LAST_WORDS, |state| condition(state));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !condition(&state)
    }

    /// Loses what is on its way.
    pub fn give_up(&self) {
        self.shared.change(|state| state.given_up = true);
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut state = self.shared.wait_while(|state| {
            state.waiting.len() >= WAITING_MAX_LEN && state.requests == 0 && !state.given_up
        });
        if !state.given_up {
            state.waiting.extend_from_slice(bytes);
            self.shared.changed.notify_all();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes all of it, waiting where the descriptor asks for that.
fn write_stdout(mut bytes: &[u8]) -> Result<(), Errno> {
    let stdout = rustix::stdio::stdout();
    while !bytes.is_empty() {
        match rustix::io::write(stdout, bytes) {
            Ok(len) => bytes = &bytes[len..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut ready = [PollFd::new(&stdout, PollFlags::OUT)];
                match poll(&mut ready, None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(errno) => return Err(errno),
                }
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Asks the machine, which does not wait for its output meanwhile.
#[derive(Clone)]
pub struct Requests {
    control: Control,
    output: Output,
}

impl Requests {
    /// To the machine behind `control`, which prints to `output`.
    pub fn new(control: Control, output: Output) -> Self {
        Self { control, output }
    }

    /// Asks and waits for the answer; `None` if the machine has ended.
    #[must_use]
    pub fn ask(&self, command: Command) -> Option<Reply> {
        let _underway = self.begin();
        self.control.ask(command)
    }

    /// Waits, not for long, until all that was printed has left; `false` if it has not.
    pub fn has_printed(&self) -> bool {
        self.output.await_leaving()
    }

    /// Counts something asked: until it is dropped, the machine does not wait for its output, and
    /// its process not end.
    pub fn begin(&self) -> Underway {
        self.output.shared.change(|state| state.requests += 1);
        Underway { shared: Arc::clone(&self.output.shared) }
    }

    /// Ends the guest; if it has ended already, ends the wait for its output.
    pub fn stop(&self) {
        if self.ask(Command::Stop).is_none() {
            self.output.give_up();
        }
    }
}

/// Something asked of the machine and not yet answered.
pub struct Underway {
    shared: Arc<Shared>,
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.shared.change(|state| state.requests -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abide_machine::runner::control;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// An output whose reader takes a piece each time it is told to.
    fn slow() -> (Output, Sender<()>, Receiver<Vec<u8>>) {
        let (permit, permits) = channel();
        let (piece, pieces) = channel();
        let output = Output::to(move |bytes| {
            permits.recv().map_err(|_| Errno::PIPE)?;
            piece.send(bytes.to_vec()).map_err(|_| Errno::PIPE)
        });
        (output, permit, pieces)
    }

    #[test]
    fn everything_arrives_in_order() {
        let (mut output, permit, pieces) = slow();
        let text: Vec<u8> = (0..=255).cycle().take(5 * WAITING_MAX_LEN).collect();
        let sent = text.clone();
        let guest = std::thread::spawn(move || {
            for piece in sent.chunks(1000) {
                output.write_all(piece).unwrap();
            }
            output.finish(false);
        });
        let mut arrived = Vec::new();
        while arrived.len() < text.len() {
            permit.send(()).unwrap();
            arrived.extend(pieces.recv().unwrap());
            assert!(arrived.len() <= text.len());
        }
        guest.join().unwrap();
        assert!(arrived == text);
    }

    #[test]
    fn a_request_lets_a_guest_pass_whose_output_nobody_reads() {
        let (mut output, _permit, _pieces) = slow();
        let (control, queue) = control();
        let requests = Requests::new(control, output.clone());
        let asking = std::thread::spawn(move || requests.ask(Command::Status).is_none());
        // The machine is here, with more to say than anybody takes, until somebody asks.
        for _ in 0..4 {
            output.write_all(&[b'x'; WAITING_MAX_LEN]).unwrap();
        }
        drop(queue);
        assert!(asking.join().unwrap());
    }

    #[test]
    fn what_nobody_reads_is_waited_for_until_it_is_given_up() {
        let (mut output, _permit, _pieces) = slow();
        output.write_all(b"never read").unwrap();
        let (control, queue) = control();
        drop(queue);
        let requests = Requests::new(control, output.clone());
        let waiting = std::thread::spawn(move || output.finish(false));
        requests.stop();
        waiting.join().unwrap();
    }

    #[test]
    fn output_that_fails_does_not_hold_the_guest() {
        let mut output = Output::to(|_| Err(Errno::PIPE));
        for _ in 0..100 {
            output.write_all(&[b'x'; WAITING_MAX_LEN]).unwrap();
        }
        output.finish(false);
    }
}
