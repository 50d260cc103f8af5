//! The block device: a disk `[VIRTIO 5.2]`.
//!
//! A request is done when the call returns; what the driver was told is written and flushed, is.
//! Sectors that were discarded read as zeros on every host.

use crate::{Chain, Device, DeviceId, Guest, QueueError};
use abide_reg::{Entry, Intake, IntakeError, RegDef, RegId, Value};

/// Length of a sector, in bytes: the unit of every position, whatever the block size.
pub const SECTOR_LEN: u64 = 512;

/// Feature bits `[VIRTIO 5.2.3]`.
pub mod feature {
    /// `VIRTIO_BLK_F_SEG_MAX`.
    pub const SEG_MAX: u64 = 1 << 2;
    /// `VIRTIO_BLK_F_RO`.
    pub const RO: u64 = 1 << 5;
    /// `VIRTIO_BLK_F_BLK_SIZE`.
    pub const BLK_SIZE: u64 = 1 << 6;
    /// `VIRTIO_BLK_F_FLUSH`.
    pub const FLUSH: u64 = 1 << 9;
    /// `VIRTIO_BLK_F_DISCARD`.
    pub const DISCARD: u64 = 1 << 13;
    /// `VIRTIO_BLK_F_WRITE_ZEROES`.
    pub const WRITE_ZEROES: u64 = 1 << 14;
}

const FEATURES_OF_ALL: u64 = feature::SEG_MAX | feature::BLK_SIZE | feature::FLUSH;
const FEATURES_OF_WRITABLE: u64 = feature::DISCARD | feature::WRITE_ZEROES;

/// Request types `[VIRTIO 5.2.6]`.
mod request {
    pub const IN: u32 = 0;
    pub const OUT: u32 = 1;
    pub const FLUSH: u32 = 4;
    pub const GET_ID: u32 = 8;
    pub const DISCARD: u32 = 11;
    pub const WRITE_ZEROES: u32 = 13;
}

const STATUS_OK: u8 = 0;
const STATUS_IOERR: u8 = 1;
const STATUS_UNSUPP: u8 = 2;

/// u32 type, u32 reserved, u64 sector.
const HEADER_LEN: u64 = 16;
/// u64 sector, u32 sectors, u32 flags.
const SEGMENT_LEN: u64 = 16;
/// Flag of a segment: the sectors may be freed.
const SEGMENT_F_UNMAP: u32 = 1;
/// Length of the name that `VIRTIO_BLK_T_GET_ID` asks for, in bytes.
pub const ID_LEN: usize = 20;

const QUEUE_SIZE: u16 = 256;
/// Buffers of a request: a queue's size, less header and status.
const SEG_MAX: u32 = QUEUE_SIZE as u32 - 2;
/// Sectors that one request may discard or zero: 32 MiB, so that none takes long even where zeros
/// have to be written.
const DISCARD_SECTORS_MAX: u32 = 65_536;
/// How much is copied at once, in bytes.
const PIECE_LEN: usize = 256 << 10;

const CAPACITY: RegDef = RegDef::state(RegId::named("virtio.blk.capacity"), "capacity", 8);
const ID: RegDef = RegDef::state(RegId::named("virtio.blk.id"), "id string", ID_LEN);

/// A request that the host could not do. What happened, the host knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoFailed;

/// What a disk's content is kept in. Positions and lengths are in bytes, multiples of
/// [`SECTOR_LEN`] and inside the capacity.
pub trait Storage {
    /// Reads.
    ///
    /// # Errors
    /// [`IoFailed`].
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), IoFailed>;

    /// Writes, maybe to a cache.
    ///
    /// # Errors
    /// [`IoFailed`].
    fn write(&mut self, at: u64, from: &[u8]) -> Result<(), IoFailed>;

    /// Makes all that was written last.
    ///
    /// # Errors
    /// [`IoFailed`].
    fn flush(&mut self) -> Result<(), IoFailed>;

    /// Makes bytes read as zeros, and frees their room on the host if `may_free`.
    ///
    /// # Errors
    /// [`IoFailed`].
    fn zero(&mut self, at: u64, len: u64, may_free: bool) -> Result<(), IoFailed>;
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    // Guest-visible state (saved)
    features: u64,
    /// In sectors.
    capacity: u64,
    id: [u8; ID_LEN],
}

/// How a request ended: status, and whether all its data was written for the driver.
type Done = Result<(), u8>;

impl Block {
    /// A disk of `capacity` sectors that calls itself `id`.
    #[must_use]
    pub fn new(capacity: u64, is_readonly: bool, id: [u8; ID_LEN]) -> Self {
        let kind = if is_readonly { feature::RO } else { FEATURES_OF_WRITABLE };
        Self { features: FEATURES_OF_ALL | kind, capacity, id }
    }

    /// Its size, in sectors.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Whether the driver may only read it.
    #[must_use]
    pub const fn is_readonly(&self) -> bool {
        self.features & feature::RO != 0
    }

    /// The bytes of so many sectors, if all of them are there.
    fn range(&self, sector: u64, sectors: u64) -> Result<u64, u8> {
        let end = sector.checked_add(sectors).filter(|&end| end <= self.capacity);
        end.and_then(|_| sector.checked_mul(SECTOR_LEN)).ok_or(STATUS_IOERR)
    }

    /// Does a request; returns how many bytes were written for the driver, the status included.
    fn serve(
        &self,
        chain: &Chain,
        guest: &Guest<'_>,
        storage: &mut dyn Storage,
    ) -> Result<u32, QueueError> {
        let mut header = [0; 16];
        if chain.read(guest.ram(), 0, &mut header) < header.len() {
            return Err(QueueError::Request { reason: "without a whole header" });
        }
        let Some(status_at) = chain.writable_len().checked_sub(1) else {
            return Err(QueueError::Request { reason: "without room for its status" });
        };
        let [t0, t1, t2, t3, _, _, _, _, sector @ ..] = header;
        let sector = u64::from_le_bytes(sector);
        let done = match u32::from_le_bytes([t0, t1, t2, t3]) {
            request::IN => self.read(chain, sector, guest, storage),
            request::OUT => self.write(chain, sector, guest, storage),
            request::FLUSH => storage.flush().map_err(|_| STATUS_IOERR),
            request::GET_ID => self.tell_id(chain, guest),
            request::DISCARD if self.has(feature::DISCARD) => {
                self.zero(chain, 0, true, guest, storage)
            }
            request::WRITE_ZEROES if self.has(feature::WRITE_ZEROES) => {
                self.zero(chain, SEGMENT_F_UNMAP, false, guest, storage)
            }
            _ => Err(STATUS_UNSUPP),
        };
        let status = done.err().unwrap_or(STATUS_OK);
        chain.write(guest.ram(), status_at, &[status]);
        // The status stands last: where the data before it was not written, nothing counts.
        let written = if done.is_ok() || status_at == 0 { status_at + 1 } else { 0 };
        Ok(u32::try_from(written).unwrap_or(u32::MAX))
    }

    fn has(&self, feature: u64) -> bool {
        self.features & feature != 0
    }

    fn read(
        &self,
        chain: &Chain,
        sector: u64,
        guest: &Guest<'_>,
        storage: &mut dyn Storage,
    ) -> Done {
        let len = chain.writable_len() - 1;
        if !len.is_multiple_of(SECTOR_LEN) {
            return Err(STATUS_IOERR);
        }
        let start = self.range(sector, len / SECTOR_LEN)?;
        each_piece(len, |at, piece| {
            storage.read(start + at, piece).map_err(|_| STATUS_IOERR)?;
            chain.write(guest.ram(), at, piece);
            Ok(())
        })
    }

    fn write(
        &self,
        chain: &Chain,
        sector: u64,
        guest: &Guest<'_>,
        storage: &mut dyn Storage,
    ) -> Done {
        let len = chain.readable_len() - HEADER_LEN;
        if self.is_readonly() || !len.is_multiple_of(SECTOR_LEN) {
            return Err(STATUS_IOERR);
        }
        let start = self.range(sector, len / SECTOR_LEN)?;
        each_piece(len, |at, piece| {
            chain.read(guest.ram(), HEADER_LEN + at, piece);
            storage.write(start + at, piece).map_err(|_| STATUS_IOERR)
        })?;
        through(guest, storage)
    }

    fn tell_id(&self, chain: &Chain, guest: &Guest<'_>) -> Done {
        let room = usize::try_from(chain.writable_len() - 1).unwrap_or(ID_LEN).min(ID_LEN);
        chain.write(guest.ram(), 0, &self.id[..room]);
        Ok(())
    }

    /// Discards, or writes zeros: `flags_allowed` of the segment, `may_free` whether its room may
    /// be freed even if the segment does not say so.
    fn zero(
        &self,
        chain: &Chain,
        flags_allowed: u32,
        may_free: bool,
        guest: &Guest<'_>,
        storage: &mut dyn Storage,
    ) -> Done {
        // One segment, as the configuration says.
        if chain.readable_len() != HEADER_LEN + SEGMENT_LEN {
            return Err(STATUS_UNSUPP);
        }
        let mut segment = [0; 16];
        chain.read(guest.ram(), HEADER_LEN, &mut segment);
        let [sector @ .., n0, n1, n2, n3, f0, f1, f2, f3] = segment;
        let sectors = u32::from_le_bytes([n0, n1, n2, n3]);
        let flags = u32::from_le_bytes([f0, f1, f2, f3]);
        if flags & !flags_allowed != 0 {
            return Err(STATUS_UNSUPP);
        }
        if sectors > DISCARD_SECTORS_MAX {
            return Err(STATUS_IOERR);
        }
        let start = self.range(u64::from_le_bytes(sector), sectors.into())?;
        let len = u64::from(sectors) * SECTOR_LEN;
        let may_free = may_free || flags & SEGMENT_F_UNMAP != 0;
        storage.zero(start, len, may_free).map_err(|_| STATUS_IOERR)?;
        through(guest, storage)
    }
}

/// A driver that cannot flush takes what is written for lasting `[VIRTIO 5.2.6.2]`.
fn through(guest: &Guest<'_>, storage: &mut dyn Storage) -> Done {
    if guest.has(feature::FLUSH) {
        return Ok(());
    }
    storage.flush().map_err(|_| STATUS_IOERR)
}

fn each_piece(len: u64, mut each: impl FnMut(u64, &mut [u8]) -> Done) -> Done {
    let piece_len = usize::try_from(len).unwrap_or(PIECE_LEN).min(PIECE_LEN);
    let mut piece = vec![0; piece_len];
    let mut at = 0;
    while at < len {
        let now = usize::try_from(len - at).unwrap_or(PIECE_LEN).min(PIECE_LEN);
        each(at, &mut piece[..now])?;
        at += now as u64;
    }
    Ok(())
}

impl Device for Block {
    type Host = dyn Storage;

    const ID: DeviceId = DeviceId::BLOCK;
    const QUEUE_SIZES: &'static [u16] = &[QUEUE_SIZE];
    const TABLE: &'static [RegDef] = &[CAPACITY, ID];
    const FEATURES_KNOWN: u64 = FEATURES_OF_ALL | FEATURES_OF_WRITABLE | feature::RO;

    fn features(&self) -> u64 {
        self.features
    }

    /// `struct virtio_blk_config` `[VIRTIO 5.2.4]`, as far as features offered speak of it.
    fn config(&self) -> Vec<u8> {
        let mut config = vec![0; 60];
        config[..8].copy_from_slice(&self.capacity.to_le_bytes());
        let mut set = |at: usize, value: u32| {
            config[at..at + 4].copy_from_slice(&value.to_le_bytes());
        };
        set(12, SEG_MAX);
        set(20, 512);
        if self.has(feature::DISCARD) {
            set(36, DISCARD_SECTORS_MAX);
            set(40, 1);
            set(44, 1);
        }
        if self.has(feature::WRITE_ZEROES) {
            set(48, DISCARD_SECTORS_MAX);
            set(52, 1);
            set(56, 1);
        }
        config
    }

    fn reset(&mut self, _host: &mut Self::Host) {}

    fn notified(
        &mut self,
        queue: usize,
        guest: &mut Guest<'_>,
        host: &mut Self::Host,
    ) -> Result<(), QueueError> {
        while let Some(chain) = guest.pop(queue)? {
            let written = self.serve(&chain, guest, host)?;
            guest.push(queue, chain, written)?;
        }
        Ok(())
    }

    fn save(&self) -> Vec<Entry> {
        let Self { features: _, capacity, id } = self;
        vec![Entry::of(&CAPACITY, Value::u64(*capacity)), Entry::of(&ID, Value::bytes(id))]
    }

    fn restore(features: u64, intake: &mut Intake) -> Result<Self, IntakeError> {
        let capacity = intake.u64(&CAPACITY)?;
        if capacity > u64::MAX / SECTOR_LEN {
            let (found, allowed) = (Value::u64(capacity), "sectors whose bytes 64 bits can count");
            return Err(IntakeError::Value { id: CAPACITY.id, found, allowed });
        }
        let id = intake.take(&ID)?;
        let mut bytes = [0; ID_LEN];
        bytes.copy_from_slice(id.as_bytes());
        Ok(Self { features, capacity, id: bytes })
    }
}
