//! The clock device: what time it is, on request `[linux uapi virtio_rtc.h]`.
//!
//! | clock | kind | answers |
//! |---|---|---|
//! | 0 | UTC, maybe smeared | always: what the host takes for UTC, with no claim of how right it is |
//! | 1 | TAI | while the host knows it, else [`status::EIO`] |
//!
//! Both can be read together with the Arm virtual counter. There are no alarms. An answer has no
//! bounds; who needs them reads the clock page.

use crate::{Chain, Device, DeviceId, Guest, QueueError, SharedMemory};
use abide_reg::{Entry, Gpa, Intake, IntakeError, RegDef, RegId, Value};

/// Types of requests.
pub mod request {
    /// `VIRTIO_RTC_REQ_READ`: u16 clock, 6 bytes reserved → u64 nanoseconds.
    pub const READ: u16 = 0x0001;
    /// `VIRTIO_RTC_REQ_READ_CROSS`: u16 clock, u8 counter, 5 bytes reserved → u64 nanoseconds, u64
    /// count.
    pub const READ_CROSS: u16 = 0x0002;
    /// `VIRTIO_RTC_REQ_CFG`: nothing → u16 clocks, 6 bytes reserved.
    pub const CFG: u16 = 0x1000;
    /// `VIRTIO_RTC_REQ_CLOCK_CAP`: u16 clock, 6 bytes reserved → u8 kind, u8 smearing, u8 flags, 5
    /// bytes reserved.
    pub const CLOCK_CAP: u16 = 0x1001;
    /// `VIRTIO_RTC_REQ_CROSS_CAP`: u16 clock, u8 counter, 5 bytes reserved → u8 flags, 7 bytes
    /// reserved.
    pub const CROSS_CAP: u16 = 0x1002;
}

/// How a request ended.
pub mod status {
    /// `VIRTIO_RTC_S_OK`.
    pub const OK: u8 = 0;
    /// `VIRTIO_RTC_S_EOPNOTSUPP`: no such request here, or no such counter.
    pub const EOPNOTSUPP: u8 = 2;
    /// `VIRTIO_RTC_S_ENODEV`: no such clock.
    pub const ENODEV: u8 = 3;
    /// `VIRTIO_RTC_S_EINVAL`: the request, or the room for its answer, is too short.
    pub const EINVAL: u8 = 4;
    /// `VIRTIO_RTC_S_EIO`: the clock cannot be read now.
    pub const EIO: u8 = 5;
}

/// Kinds of clocks.
mod kind {
    pub(super) const TAI: u8 = 1;
    pub(super) const UTC_MAYBE_SMEARED: u8 = 4;
}

/// The Arm virtual counter, CNTVCT_EL0.
const COUNTER_ARM_VCT: u8 = 0;
/// The pair of clock and counter can be read.
const FLAG_CROSS_CAP: u8 = 1;

/// Length of a request's and of an answer's head, in bytes.
const HEAD_LEN: usize = 8;
/// Length of the longest request, in bytes.
const REQUEST_LEN_MAX: usize = 16;
/// Length of the longest answer, in bytes.
const ANSWER_LEN_MAX: usize = 24;

/// A clock of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcClock {
    /// What the host takes for UTC.
    UtcMaybeSmeared,
    /// International atomic time.
    Tai,
}

impl RtcClock {
    /// All, in the order of their numbers.
    pub const ALL: [Self; CLOCK_COUNT as usize] = [Self::UtcMaybeSmeared, Self::Tai];

    const fn kind(self) -> u8 {
        match self {
            Self::UtcMaybeSmeared => kind::UTC_MAYBE_SMEARED,
            Self::Tai => kind::TAI,
        }
    }
}

const CLOCK_COUNT: u16 = 2;

/// A clock, read together with the guest's counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrossReading {
    /// Nanoseconds since the clock's epoch.
    pub clock_ns: u64,
    /// The guest's CNTVCT_EL0 at that instant.
    pub counter_value: u64,
}

/// The host's clocks.
pub trait Clocks {
    /// Reads one; `None` while it is not known.
    fn read(&mut self, clock: RtcClock) -> Option<CrossReading>;
}

/// A clock device.
///
/// Experimental: it may share the clock page with its guest as its region [`PAGE_REGION`] of shared
/// memory, which a driver finds without a device tree or ACPI, and maps whatever its page size is.
/// No published document has such a region yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rtc {
    // Guest-visible state (saved)
    page: Option<SharedMemory>,
}

/// The number of the region in which the clock page is.
pub const PAGE_REGION: u32 = 0;

/// Where the clock page begins; 0 without one.
pub const PAGE_GPA: RegDef = RegDef::state(RegId::named("virtio.rtc.page_gpa"), "clock page", 8);
const PAGE_LEN: RegDef = RegDef::state(RegId::named("virtio.rtc.page_len"), "clock page length", 8);

impl Rtc {
    /// A device that shares a clock page, if there is one.
    #[must_use]
    pub const fn new(page: Option<SharedMemory>) -> Self {
        Self { page }
    }

    /// The clock page that it shares.
    #[must_use]
    pub const fn page(&self) -> Option<SharedMemory> {
        self.page
    }
}

/// An answer being written: `len` bytes, of which the head comes first.
struct Answer {
    bytes: [u8; ANSWER_LEN_MAX],
    len: usize,
}

impl Answer {
    fn status(status: u8) -> Self {
        let mut bytes = [0; ANSWER_LEN_MAX];
        bytes[0] = status;
        Self { bytes, len: HEAD_LEN }
    }

    /// Adds what follows the head; the rest of the 8 bytes is reserved.
    fn with(mut self, content: &[u8]) -> Self {
        self.bytes[self.len..self.len + content.len()].copy_from_slice(content);
        self.len += content.len().next_multiple_of(8);
        self
    }
}

/// A request as it was sent, zeros behind its end.
struct Request {
    bytes: [u8; REQUEST_LEN_MAX],
    len: usize,
}

impl Request {
    fn read(chain: &Chain, guest: &Guest<'_>) -> Self {
        let mut bytes = [0; REQUEST_LEN_MAX];
        let len = chain.read(guest.ram(), 0, &mut bytes);
        Self { bytes, len }
    }

    const fn message(&self) -> u16 {
        u16::from_le_bytes([self.bytes[0], self.bytes[1]])
    }

    /// Whether at least its head was sent.
    const fn is_whole(&self) -> bool {
        self.len >= HEAD_LEN
    }

    /// The clock that it is about.
    fn clock(&self) -> Result<RtcClock, u8> {
        self.check_parameters()?;
        let number = u16::from_le_bytes([self.bytes[8], self.bytes[9]]);
        RtcClock::ALL.get(usize::from(number)).copied().ok_or(status::ENODEV)
    }

    /// The counter that it is about.
    fn counter(&self) -> Result<u8, u8> {
        self.check_parameters()?;
        Ok(self.bytes[10])
    }

    const fn check_parameters(&self) -> Result<(), u8> {
        if self.len < REQUEST_LEN_MAX { Err(status::EINVAL) } else { Ok(()) }
    }
}

fn answer(request: &Request, clocks: &mut dyn Clocks) -> Result<Answer, u8> {
    let ok = Answer::status(status::OK);
    Ok(match request.message() {
        request::CFG if request.is_whole() => ok.with(&CLOCK_COUNT.to_le_bytes()),
        request::CLOCK_CAP => ok.with(&[request.clock()?.kind()]),
        request::CROSS_CAP => {
            request.clock()?;
            let can = request.counter()? == COUNTER_ARM_VCT;
            ok.with(&[if can { FLAG_CROSS_CAP } else { 0 }])
        }
        request::READ => {
            let reading = clocks.read(request.clock()?).ok_or(status::EIO)?;
            ok.with(&reading.clock_ns.to_le_bytes())
        }
        request::READ_CROSS => {
            let clock = request.clock()?;
            if request.counter()? != COUNTER_ARM_VCT {
                return Err(status::EOPNOTSUPP);
            }
            let reading = clocks.read(clock).ok_or(status::EIO)?;
            let answer = ok.with(&reading.clock_ns.to_le_bytes());
            answer.with(&reading.counter_value.to_le_bytes())
        }
        _ => return Err(if request.is_whole() { status::EOPNOTSUPP } else { status::EINVAL }),
    })
}

impl Device for Rtc {
    type Host = dyn Clocks;

    const ID: DeviceId = DeviceId::CLOCK;
    const QUEUE_SIZES: &'static [u16] = &[16];
    const TABLE: &'static [RegDef] = &[PAGE_GPA, PAGE_LEN];
    const SHARES_MEMORY: bool = true;
    const FEATURES_KNOWN: u64 = 0;

    fn shared_memory(&self, id: u32) -> Option<SharedMemory> {
        self.page.filter(|_| id == PAGE_REGION)
    }

    fn features(&self) -> u64 {
        0
    }

    fn config(&self) -> Vec<u8> {
        Vec::new()
    }

    fn reset(&mut self, _host: &mut Self::Host) {}

    fn notified(
        &mut self,
        queue: usize,
        guest: &mut Guest<'_>,
        host: &mut Self::Host,
    ) -> Result<(), QueueError> {
        while let Some(chain) = guest.pop(queue)? {
            let request = Request::read(&chain, guest);
            let mut answer = answer(&request, host).unwrap_or_else(Answer::status);
            // What does not fit whole is not written; its status is, where that much fits.
            if chain.writable_len() < answer.len as u64 {
                answer = Answer::status(status::EINVAL);
                answer.len = usize::try_from(chain.writable_len()).unwrap_or(0).min(HEAD_LEN);
            }
            let written = chain.write(guest.ram(), 0, &answer.bytes[..answer.len]);
            guest.push(queue, chain, u32::try_from(written).unwrap_or(0))?;
        }
        Ok(())
    }

    fn save(&self) -> Vec<Entry> {
        let Self { page } = self;
        let (gpa, len) = page.map_or((0, 0), |page| (page.base.0, page.len));
        vec![Entry::of(&PAGE_GPA, Value::u64(gpa)), Entry::of(&PAGE_LEN, Value::u64(len))]
    }

    fn restore(_features: u64, intake: &mut Intake) -> Result<Self, IntakeError> {
        let (gpa, len) = (intake.u64(&PAGE_GPA)?, intake.u64(&PAGE_LEN)?);
        let is_possible = if len == 0 { gpa == 0 } else { gpa.checked_add(len).is_some() };
        if !is_possible {
            let allowed = "an address from which the page's length can be counted, 0 without one";
            return Err(IntakeError::Value { id: PAGE_GPA.id, found: Value::u64(gpa), allowed });
        }
        Ok(Self::new((len != 0).then_some(SharedMemory { base: Gpa(gpa), len })))
    }
}
