//! Reading a page, as a guest does: nothing allocated, nothing trusted.

use crate::seqlock::{Cells, try_read};
use crate::{Body, Constants, Line, Time, spec};
use core::fmt;

/// Why there is nothing to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// The region does not begin with "VCLK".
    Magic {
        /// What is there.
        found: u32,
    },
    /// Not version 1.
    Version {
        /// What is there.
        found: u16,
    },
    /// The region says that it is smaller than a clock, or larger than what is mapped.
    Size {
        /// What it says, in bytes.
        found: u32,
        /// From which to which length, in bytes.
        allowed: [u32; 2],
    },
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic { found } => {
                write!(f, "vmclock magic: found {found:#x}, allowed {:#x}", spec::MAGIC)
            }
            Self::Version { found } => write!(f, "vmclock version: found {found}, allowed 1"),
            Self::Size { found, allowed: [least, most] } => {
                write!(f, "vmclock size: found {found} bytes, allowed {least} to {most}")
            }
        }
    }
}

impl core::error::Error for HeadError {}

impl Constants {
    /// The least region that holds a clock: all fields but the generation counter, which came
    /// later.
    pub const SIZE_MIN: u32 = 0x68;

    /// Bytes 0 to 0xb of a region of which `mapped_bytes` can be read; `notifies` is a flag and
    /// therefore unknown here.
    ///
    /// # Errors
    /// [`HeadError`].
    pub const fn from_words(words: [u32; 3], mapped_bytes: u32) -> Result<Self, HeadError> {
        let [magic, size_bytes, kinds] = words;
        let [version_low, version_high, counter_id, time_type] = kinds.to_le_bytes();
        let version = u16::from_le_bytes([version_low, version_high]);
        if magic != spec::MAGIC {
            return Err(HeadError::Magic { found: magic });
        }
        if version != spec::VERSION {
            return Err(HeadError::Version { found: version });
        }
        if size_bytes < Self::SIZE_MIN || size_bytes > mapped_bytes {
            let allowed = [Self::SIZE_MIN, mapped_bytes];
            return Err(HeadError::Size { found: size_bytes, allowed });
        }
        Ok(Self { size_bytes, counter_id, time_type, notifies: false })
    }
}

/// What happened to the guest since the reader last took note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The counter may have jumped, or have another frequency: what was learnt about it is void.
    Disrupted,
    /// The guest may be one of several copies: identities, keys and random state are to be made
    /// anew. Its counter may have been disturbed as well.
    Cloned {
        /// Whether it was.
        is_disrupted: bool,
    },
}

/// Why there is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTime {
    /// An update was under way at every attempt: the host may be stuck in one.
    Busy,
    /// The host says not to rely upon it, by this `clock_status`.
    Unreliable {
        /// `spec::STATUS_UNKNOWN`, `_INITIALIZING`, `_UNRELIABLE`, or one that has no meaning yet.
        clock_status: u8,
    },
    /// The page tells of disruptions only, or counts by another counter than the reader.
    NoClock {
        /// `counter_id`.
        counter_id: u8,
    },
    /// The page's shift is none that a time can be computed with.
    Shift {
        /// `counter_period_shift`.
        found: u8,
    },
}

impl fmt::Display for NoTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => write!(f, "vmclock: an update was under way at every attempt"),
            Self::Unreliable { clock_status } => {
                write!(f, "vmclock clock_status {clock_status}: not to be relied upon")
            }
            Self::NoClock { counter_id } => {
                write!(f, "vmclock counter_id {counter_id:#x}: no clock for this reader")
            }
            Self::Shift { found } => {
                write!(f, "vmclock counter_period_shift: found {found}, allowed 0 to 63")
            }
        }
    }
}

impl core::error::Error for NoTime {}

/// A moment, as the page and the counter tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The counter.
    pub counter: u64,
    /// The time, since the epoch of the page's `time_type`.
    pub time: Time,
    /// The line that the time is on, if the page says how wrong it may be.
    bounded: Option<Line>,
    /// UTC - TAI in seconds, if the page says.
    pub tai_offset_sec: Option<i16>,
    /// Whether the host was synchronised and no longer is. Bounds hold all the same.
    pub is_freerunning: bool,
}

impl Reading {
    /// How wrong the time may be at most, if the page says. It is computed here: who asks for the
    /// time alone does not wait for it.
    #[must_use]
    #[inline]
    pub fn maxerror(&self) -> Option<Time> {
        self.bounded.map(|line| line.maxerror_at(self.counter))
    }
}

/// What one look at the page gives: the state of its writer and a counter that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The even sequence count.
    pub seq_count: u32,
    /// The fields.
    pub body: Body,
    /// The counter, read meanwhile.
    pub counter: u64,
}

/// A reader with a memory of what it has seen. The page is what the host makes of it, so nothing
/// in it is trusted but for the meaning of its numbers.
#[derive(Clone, Debug)]
pub struct Reader {
    constants: Constants,
    counter_id: u8,
    attempts: u32,
    noted: Option<(u64, u64)>,
    /// Whether the page had a generation counter when note was taken.
    tells_generation: bool,
}

/// Where `vm_generation_counter` is among the words of the body.
const GENERATION_WORD: usize = (spec::OFFSET_VM_GENERATION_COUNTER - spec::BODY) / 8;

impl Reader {
    /// A reader of a page with these constants, on a CPU whose counter is `counter_id`. It gives
    /// up after so many attempts: an update takes less than a microsecond.
    #[must_use]
    pub const fn new(constants: Constants, counter_id: u8, attempts: u32) -> Self {
        Self { constants, counter_id, attempts, noted: None, tells_generation: false }
    }

    /// One consistent look at the page. `counter` must not be executed early: the caller orders
    /// its instruction behind the loads before it (`isb` on Arm, `lfence` on x86).
    ///
    /// # Errors
    /// [`NoTime::Busy`].
    #[inline]
    pub fn look<C: Cells>(
        &self,
        page: &C,
        mut counter: impl FnMut() -> u64,
    ) -> Result<Look, NoTime> {
        for _ in 0..self.attempts {
            if let Some((seq_count, words, counter)) = try_read(page, &mut counter) {
                let body = self.known(Body::from_words(&words));
                return Ok(Look { seq_count, body, counter });
            }
            core::hint::spin_loop();
        }
        Err(NoTime::Busy)
    }

    /// What happened since [`Self::note`]: nothing before the first.
    #[must_use]
    pub const fn event(&self, look: &Look) -> Option<Event> {
        let Some((marker, generation)) = self.noted else {
            return None;
        };
        let is_disrupted = look.body.disruption_marker != marker;
        if look.body.vm_generation_counter != generation {
            return Some(Event::Cloned { is_disrupted });
        }
        if is_disrupted { Some(Event::Disrupted) } else { None }
    }

    /// Takes note: events up to this look were acted upon.
    pub const fn note(&mut self, look: &Look) {
        self.noted = Some((look.body.disruption_marker, look.body.vm_generation_counter));
        self.tells_generation = self.has_generation(&look.body);
    }

    /// Whether the guest may be one of several copies made since [`Self::note`], by one load: for
    /// who must know at every request. Nothing before the first note, and where the page does not
    /// tell.
    ///
    /// It needs no look: a host that restores a copy writes the page before the guest runs there,
    /// and the counter is one word.
    #[must_use]
    #[inline]
    pub fn is_copy<C: Cells>(&self, page: &C) -> bool {
        self.noted.is_some_and(|(_, generation)| {
            self.tells_generation && page.word(GENERATION_WORD) != generation
        })
    }

    /// The time at a look.
    ///
    /// # Errors
    /// [`NoTime`].
    #[inline]
    pub fn time(&self, look: &Look) -> Result<Reading, NoTime> {
        let Look { body, counter, .. } = look;
        let counter_id = self.constants.counter_id;
        if counter_id != self.counter_id || counter_id == spec::COUNTER_INVALID {
            return Err(NoTime::NoClock { counter_id });
        }
        let clock_status = body.clock_status;
        if !matches!(clock_status, spec::STATUS_SYNCHRONIZED | spec::STATUS_FREERUNNING) {
            return Err(NoTime::Unreliable { clock_status });
        }
        let found = body.line.period.shift;
        if found > crate::Period::SHIFT_MAX {
            return Err(NoTime::Shift { found });
        }
        let has_bounds = spec::FLAG_TIME_MAXERROR_VALID | spec::FLAG_PERIOD_MAXERROR_VALID;
        let tai_offset = body.has(spec::FLAG_TAI_OFFSET_VALID).then_some(body.tai_offset_sec);
        Ok(Reading {
            counter: *counter,
            time: body.line.time_at(*counter),
            bounded: body.has(has_bounds).then_some(body.line),
            tai_offset_sec: tai_offset,
            is_freerunning: clock_status == spec::STATUS_FREERUNNING,
        })
    }

    /// The body without what the page does not have: both the size and the flag must say that
    /// the generation counter is there.
    #[inline]
    const fn known(&self, mut body: Body) -> Body {
        if !self.has_generation(&body) {
            body.vm_generation_counter = 0;
        }
        body
    }

    #[inline]
    const fn has_generation(&self, body: &Body) -> bool {
        self.constants.size_bytes as usize >= spec::LEN
            && body.has(spec::FLAG_VM_GEN_COUNTER_PRESENT)
    }
}
