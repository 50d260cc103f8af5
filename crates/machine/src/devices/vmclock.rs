//! The page that tells a guest the time, and the one beside it that names its generation.
//!
//! Unlike the other devices these are memory: the guest reads them without an exit, and cannot
//! write them ([`PageAccess::ReadOnly`]). What stands in the pages is only ever written from the
//! state here, never read back.
//!
//! Both tell of copies, so they are one device with two units: the generation counter in the
//! clock's page counts on from the saved one, which suffices to differ from all that this guest has
//! seen. The generation's 128 bits are fresh from the host's random number generator for each copy,
//! for two copies of one snapshot must differ from each other as well: guests seed their random
//! numbers with them.

use crate::board::{VMCLOCK_BASE, VMGENID_BASE};
use abide_memory::{AbiPages, GuestRam, MemoryError, Order, PageAccess, RamOffset};
use abide_reg::{Entry, Intake, IntakeError, Leftover, RegDef, RegId, Value};
use abide_vmclock::seqlock::Cells;
use abide_vmclock::{Body, Claim, Constants, Look, NoTime, Outcome, Reader, Vmclock, spec, state};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Instant;

pub use abide_vmclock::Intent;

/// The generation, 16 bytes `[linux Documentation/devicetree/bindings/rng/microsoft,vmgenid.yaml]`.
const DEF_GENERATION: RegDef =
    RegDef::state(RegId::named("vmgenid.generation"), "generation", GENERATION_LEN);
const GENERATION_LEN: usize = 16;

/// Every register of the generation.
pub const VMGENID_TABLE: &[RegDef] = &[DEF_GENERATION];

/// What is chosen about the pages when the guest is born.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmclockConfig {
    /// `size` in the clock's page: how many bytes of it there are for the guest. A power of two,
    /// from 4 KiB to 64 KiB.
    pub size_bytes: u32,
}

impl VmclockConfig {
    /// What suits guests with pages of 4 KiB.
    pub const DEFAULT: Self = Self { size_bytes: 4096 };

    /// Whether the size can be.
    #[must_use]
    pub const fn is_possible(self) -> bool {
        self.size_bytes.is_power_of_two()
            && self.size_bytes >= 4096
            && self.size_bytes as u64 <= AbiPages::LEN
    }

    /// What the guest's driver reads once.
    const fn constants(self) -> Constants {
        Constants {
            size_bytes: self.size_bytes,
            counter_id: spec::COUNTER_ARM_VCNT,
            time_type: spec::TIME_TAI,
            notifies: true,
        }
    }
}

/// The clock's page as the protocol sees it: little-endian words.
struct Page<'a>(&'a GuestRam);

impl Page<'_> {
    fn place(index: usize) -> RamOffset {
        RamOffset((spec::BODY + 8 * index) as u64)
    }

    fn set_constants(&self, words: [u32; 3]) {
        for (at, word) in (0..).step_by(4).zip(words) {
            self.0.store(RamOffset(at), word.to_le(), Order::Relaxed);
        }
    }
}

impl Cells for Page<'_> {
    fn seq(&self) -> u32 {
        u32::from_le(self.0.load(RamOffset(spec::OFFSET_SEQ_COUNT as u64), Order::Relaxed))
    }

    fn set_seq(&self, seq: u32) {
        self.0.store(RamOffset(spec::OFFSET_SEQ_COUNT as u64), seq.to_le(), Order::Relaxed);
    }

    fn word(&self, index: usize) -> u64 {
        u64::from_le(self.0.load(Self::place(index), Order::Relaxed))
    }

    fn set_word(&self, index: usize, word: u64) {
        self.0.store(Self::place(index), word.to_le(), Order::Relaxed);
    }

    fn fence(&self, order: Ordering) {
        fence(order);
    }
}

/// The clock's page and the generation's.
#[derive(Debug)]
pub struct VmclockDevice {
    // Guest-visible state (saved)
    clock: Vmclock,
    /// `None` in a guest that was born without.
    generation: Option<[u8; GENERATION_LEN]>,
    // Wiring
    clock_page: Arc<AbiPages>,
    generation_page: Option<Arc<AbiPages>>,
    // Counted for people, on each host anew
    notifications: u64,
    notified_at: Option<Instant>,
}

impl VmclockDevice {
    /// Those of a guest that is born, with `generation` as its first.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn new(
        config: VmclockConfig,
        generation: [u8; GENERATION_LEN],
    ) -> Result<Self, MemoryError> {
        Self::of(Vmclock::new(config.constants(), 0), Some(generation))
    }

    fn of(clock: Vmclock, generation: Option<[u8; GENERATION_LEN]>) -> Result<Self, MemoryError> {
        let page = |gpa| AbiPages::new(gpa, PageAccess::ReadOnly).map(Arc::new);
        let clock_page = page(VMCLOCK_BASE)?;
        let generation_page = generation.map(|_| page(VMGENID_BASE)).transpose()?;
        let device = Self {
            clock,
            generation,
            clock_page,
            generation_page,
            notifications: 0,
            notified_at: None,
        };
        device.fill();
        Ok(device)
    }

    /// Puts into fresh pages what the registers say, the sequence count as it was saved: whoever
    /// was stopped in the middle of reading finds what it had begun with.
    fn fill(&self) {
        let page = Page(self.clock_page.host());
        page.set_constants(self.clock.constants().to_words());
        for (index, word) in self.clock.body().to_words().into_iter().enumerate() {
            page.set_word(index, word);
        }
        page.set_seq(self.clock.seq_count());
        self.fill_generation();
    }

    fn fill_generation(&self) {
        let (Some(page), Some(generation)) = (&self.generation_page, self.generation) else {
            return;
        };
        let word = u128::from_le_bytes(generation);
        // At once: the guest may be reading it.
        page.host().store(RamOffset(0), word.to_le(), Order::SeqCst);
    }

    /// The pages, for the guest's memory.
    #[must_use]
    pub fn pages(&self) -> Vec<Arc<AbiPages>> {
        let both = [Some(&self.clock_page), self.generation_page.as_ref()];
        both.into_iter().flatten().map(Arc::clone).collect()
    }

    /// The clock's page: for who looks on from the host.
    #[must_use]
    pub fn clock_page(&self) -> &Arc<AbiPages> {
        &self.clock_page
    }

    /// What was chosen at birth.
    #[must_use]
    pub fn config(&self) -> VmclockConfig {
        VmclockConfig { size_bytes: self.clock.constants().size_bytes }
    }

    /// What stands in the clock's page.
    #[must_use]
    pub fn body(&self) -> Body {
        self.clock.body()
    }

    /// Whether an interrupt follows each change.
    #[must_use]
    pub fn notifies(&self) -> bool {
        self.clock.constants().notifies
    }

    /// Whether an interrupt follows a change, which is then counted as sent.
    pub(crate) fn note_notification(&mut self) -> bool {
        if self.notifies() {
            self.notifications += 1;
            self.notified_at = Some(Instant::now());
        }
        self.notifies()
    }

    /// How many interrupts were sent since the guest came here.
    #[must_use]
    pub fn notifications(&self) -> u64 {
        self.notifications
    }

    /// When the last one was.
    #[must_use]
    pub fn notified_at(&self) -> Option<Instant> {
        self.notified_at
    }

    /// What is fixed for life.
    #[must_use]
    pub fn constants(&self) -> &Constants {
        self.clock.constants()
    }

    /// Whether the guest has a generation besides the clock's.
    #[must_use]
    pub fn has_generation(&self) -> bool {
        self.generation.is_some()
    }

    /// The guest has come here, and why; a copy has a new `generation`. Both pages are written;
    /// the clock's says nothing of the time before the next [`Self::update`].
    pub fn arrive(&mut self, intent: Intent, generation: [u8; GENERATION_LEN]) {
        self.clock.arrive(intent);
        if intent == Intent::Copy && self.generation.is_some() {
            self.generation = Some(generation);
            self.fill_generation();
        }
        self.write();
    }

    /// Takes what the host says of the time, and writes it if it is anything new.
    pub fn claim(&mut self, claim: Claim, window_ticks: u64) -> Outcome {
        let outcome = self.clock.claim(claim, window_ticks);
        if outcome != Outcome::Unchanged {
            self.write();
        }
        outcome
    }

    /// Changes the clock and writes its page.
    pub fn update<T>(&mut self, change: impl FnOnce(&mut Vmclock) -> T) -> T {
        let changed = change(&mut self.clock);
        self.write();
        changed
    }

    fn write(&mut self) {
        self.clock.write(&Page(self.clock_page.host()));
    }

    /// A guest's reader of the clock's page. Who writes holds the device, so one attempt will do.
    #[must_use]
    pub fn reader(&self) -> Reader {
        let constants = *self.clock.constants();
        Reader::new(constants, constants.counter_id, 1)
    }

    /// What a guest with this reader and this counter finds now.
    ///
    /// # Errors
    /// [`NoTime::Busy`].
    pub fn look(&self, reader: &Reader, counter: impl FnMut() -> u64) -> Result<Look, NoTime> {
        reader.look(&Page(self.clock_page.host()), counter)
    }

    /// The clock's registers.
    #[must_use]
    pub fn save_clock(&self) -> Vec<Entry> {
        self.clock.save()
    }

    /// The generation's, if it has one.
    #[must_use]
    pub fn save_generation(&self) -> Option<Vec<Entry>> {
        let generation = self.generation?;
        Some(vec![Entry::of(&DEF_GENERATION, Value::bytes(&generation))])
    }

    /// The clock that was saved, as this board can have it.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub fn restore_clock(entries: Vec<Entry>) -> Result<(Vmclock, Leftover), IntakeError> {
        let (clock, leftover) = Vmclock::restore(entries)?;
        let Constants { size_bytes, counter_id, .. } = *clock.constants();
        let refused =
            |def: &RegDef, found, allowed| Err(IntakeError::Value { id: def.id, found, allowed });
        if !(VmclockConfig { size_bytes }).is_possible() {
            let allowed = "4096, 8192, 16384, 32768 or 65536";
            return refused(&state::DEF_SIZE, Value::u32(size_bytes), allowed);
        }
        if counter_id != spec::COUNTER_ARM_VCNT {
            let allowed = "0 (the virtual counter), on this board";
            return refused(&state::DEF_COUNTER_ID, Value::u8(counter_id), allowed);
        }
        Ok((clock, leftover))
    }

    /// The generation that was saved.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub fn restore_generation(
        entries: Vec<Entry>,
    ) -> Result<([u8; GENERATION_LEN], Leftover), IntakeError> {
        let mut intake = Intake::new(entries)?;
        let value = intake.take(&DEF_GENERATION)?;
        let bytes = value.as_bytes().try_into().map_err(|_| IntakeError::Value {
            id: DEF_GENERATION.id,
            found: value.clone(),
            allowed: "16 bytes",
        })?;
        Ok((bytes, intake.finish()?))
    }

    /// The device of a restored guest. It has not arrived yet.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn restored(
        clock: Vmclock,
        generation: Option<[u8; GENERATION_LEN]>,
    ) -> Result<Self, MemoryError> {
        Self::of(clock, generation)
    }
}
