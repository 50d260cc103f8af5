//! RAM that comes when the guest first touches it, and otherwise in the background.

use crate::chunk::read_chunk;
use crate::map::Chunk;
use crate::parallel::Buffers;
use crate::reader::{Reader, RestoreError, filled_runs};
use crate::source::Source;
use abide_memory::{MissingPages, RamOffset};
use abide_reg::Gpa;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

/// What is done when RAM cannot be brought: a chunk is damaged, the file has become shorter, the
/// host has no memory.
///
/// The guest may stand in the middle of an instruction then, waiting for bytes that do not exist,
/// so there is no way on: **this ends the process**. It is called on a thread of its own; if it
/// returns, the process is aborted.
pub type OnFailure = Box<dyn FnOnce(RestoreError) + Send>;

/// RAM on its way. As long as this lives, who touches what is not there yet waits for it; so it
/// is kept at least as long as anybody uses the RAM.
#[derive(Debug)]
pub struct LazyRam {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// All that the file has is there.
    complete: Mutex<bool>,
    changed: Condvar,
    /// Nobody needs the rest.
    given_up: AtomicBool,
}

impl LazyRam {
    /// Waits until all of RAM is there: needed before somebody looks which pages are present, or
    /// reaches RAM other than by its mapping.
    pub fn complete(&self) {
        let complete = self.shared.complete.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.shared.changed.wait_while(complete, |complete| !*complete);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether all of RAM is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        *self.shared.complete.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LazyRam {
    fn drop(&mut self) {
        self.shared.given_up.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It never panics without ending the process.
            thread.join().ok();
        }
    }
}

impl Reader {
    /// As [`Self::restore_memory`], but returns at once: a chunk is read and checked when one of
    /// its pages is first touched, before anybody sees a byte of it; the others come meanwhile.
    ///
    /// ```
    /// use abide_memory::{GuestRam, MissingPages, Reach};
    /// use abide_reg::Gpa;
    /// use abide_snapshot::{Architecture, Compression, Header, Reader, Snapshot, write_to};
    /// use std::sync::Arc;
    ///
    /// let ram = GuestRam::new(Gpa(0x4000_0000), 4 << 20)?;
    /// ram.write(Gpa(0x4012_3000), b"kept")?;
    /// let snapshot = Snapshot { header: Header::new(Architecture::AARCH64), records: vec![] };
    /// let mut file = Vec::new();
    /// write_to(&mut file, &snapshot, &[&ram], Compression::None)?;
    ///
    /// let reader = Reader::from_bytes(file)?;
    /// let again = Arc::new(GuestRam::new(Gpa(0x4000_0000), 4 << 20)?);
    /// let missing = MissingPages::watch(Arc::clone(&again), Reach::User)?;
    /// let lazy = reader.restore_memory_lazily(missing, Box::new(|error| eprintln!("{error}")))?;
    /// let mut bytes = [0; 4];
    /// again.read(Gpa(0x4012_3000), &mut bytes)?;
    /// assert_eq!(&bytes, b"kept");
    /// # drop(lazy);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RestoreError`]: [`RestoreError::NotFresh`] if RAM holds anything, and
    /// [`RestoreError::Range`]. What is wrong with the chunks is told to `on_failure`.
    pub fn restore_memory_lazily(
        &self,
        missing: MissingPages,
        on_failure: OnFailure,
    ) -> Result<LazyRam, RestoreError> {
        let ram = missing.ram();
        if ram.next_present(RamOffset(0))?.is_some() {
            return Err(RestoreError::NotFresh { gpa: ram.base() });
        }
        let chunks = self.chunks_of(ram)?.to_vec();
        let shared = Arc::<Shared>::default();
        let is_there = vec![false; chunks.len()];
        let source = Arc::clone(&self.container().source);
        let buffers = Buffers::default();
        let pager =
            Pager { source, chunks, is_there, missing, buffers, shared: Arc::clone(&shared) };
        let thread = Builder::new().name("lazy-ram".to_owned());
        let thread = thread.spawn(move || pager.run(on_failure))?;
        Ok(LazyRam { shared, thread: Some(thread) })
    }
}

/// The thread that brings RAM.
struct Pager {
    source: Arc<dyn Source>,
    /// Ascending.
    chunks: Vec<Chunk>,
    is_there: Vec<bool>,
    missing: MissingPages,
    buffers: Buffers,
    shared: Arc<Shared>,
}

/// Ends the process if its thread panics: to unwind would stop watching, and what is absent would
/// silently be zero.
struct NoUnwinding;

impl Drop for NoUnwinding {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

impl Pager {
    fn run(mut self, on_failure: OnFailure) {
        let _no_unwinding = NoUnwinding;
        match self.bring_all() {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                on_failure(error);
                std::process::abort();
            }
        }
        let Self { missing, shared, .. } = self;
        // From here on nobody waits, and what is still absent is what the file has no chunk for.
        drop(missing);
        *shared.complete.lock().unwrap_or_else(PoisonError::into_inner) = true;
        shared.changed.notify_all();
    }

    /// Brings chunk after chunk, what somebody waits for first; `false` if given up before the end.
    fn bring_all(&mut self) -> Result<bool, RestoreError> {
        let mut next = 0;
        while !self.shared.given_up.load(Ordering::Relaxed) {
            if let Some(place) = self.missing.touched()? {
                self.bring_for(place)?;
                continue;
            }
            while self.is_there.get(next) == Some(&true) {
                next += 1;
            }
            if next == self.chunks.len() {
                return Ok(true);
            }
            self.bring(next)?;
        }
        Ok(false)
    }

    /// Brings what somebody waits for.
    fn bring_for(&mut self, place: RamOffset) -> Result<(), RestoreError> {
        let gpa = Gpa(self.missing.ram().base().0 + place.0);
        let after = self.chunks.partition_point(|chunk| chunk.gpa <= gpa);
        if let Some(index) = after.checked_sub(1) {
            let chunk = &self.chunks[index];
            if gpa.0 - chunk.gpa.0 < chunk.len.into() && !self.is_there[index] {
                self.bring(index)?;
            }
        }
        // Where no chunk is, or where its content is zero. Elsewhere it changes nothing.
        self.missing.zero(place).map_err(|source| RestoreError::Bring { gpa, source })
    }

    /// Reads a chunk, checks it and puts it into RAM. What is zero in it stays absent.
    fn bring(&mut self, index: usize) -> Result<(), RestoreError> {
        const GRANULE: usize = 64 << 10;
        const _: () = assert!(GRANULE as u64 == MissingPages::GRANULE);
        let chunk = &self.chunks[index];
        let content = read_chunk(&*self.source, chunk, &self.buffers)?;
        let offset = chunk.gpa.0 - self.missing.ram().base().0;
        for run in filled_runs(&content, GRANULE) {
            let place = RamOffset(offset + run.start as u64);
            let brought = self.missing.fill(place, &content[run]);
            brought.map_err(|source| RestoreError::Bring { gpa: chunk.gpa, source })?;
        }
        self.buffers.give(content);
        self.is_there[index] = true;
        Ok(())
    }
}
