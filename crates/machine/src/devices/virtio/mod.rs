//! The board's virtio devices: one for each slot, and what each reaches on the host.
//!
//! The devices themselves are state machines of `abide-virtio`; here they meet files, the console
//! and the source of random bits.

mod cable;
mod clocks;
mod disk;
mod epoch;
mod sockets;

pub use abide_virtio::vsock::{CID_MAX, CID_MIN};
pub(crate) use cable::SavedCable;
pub use cable::{NetCable, NetCardConfig};
pub(crate) use clocks::MachineClocks;
pub use disk::{DISK_PATH, DISK_TABLE, Disk, DiskConfig, DiskError};
pub use epoch::RunEpoch;
pub use sockets::{HostSockets, SOCKETS_PATH, VsockConfig};

use crate::board::VMCLOCK_BASE;
use crate::bus::lock;
use crate::console::Console;
use crate::doorbell::Doorbell;
use crate::entropy::Entropy;
use crate::error::MachineError;
use crate::units::Unit;
use abide_memory::{AbiPages, GuestRam};
use abide_reg::{Entry, IntakeError, Leftover, RegId, Value};
use abide_virtio::rtc::PAGE_GPA;
use abide_virtio::{
    Block, DeviceId, Mmio, Net, RandomBits, Rng, Rtc, SharedMemory, Terminal, Vsock,
};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Takes the register that holds a path on the host, of any length, out of a saved record.
fn take_path(entries: &mut Vec<Entry>, id: RegId) -> Result<PathBuf, IntakeError> {
    let place = entries.iter().position(|entry| entry.id == id);
    let missing = IntakeError::Missing { id, name: "path" };
    let path = entries.remove(place.ok_or(missing)?).value;
    if path.width() == 0 || path.as_bytes().contains(&0) {
        let allowed = "a path: at least one byte, none of them 0";
        return Err(IntakeError::Value { id, found: path, allowed });
    }
    Ok(PathBuf::from(OsStr::from_bytes(path.as_bytes())))
}

/// The clock page as a device may share it.
const CLOCK_PAGE: SharedMemory = SharedMemory { base: VMCLOCK_BASE, len: AbiPages::LEN };

/// A virtio device that a board is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VirtioConfig {
    /// A disk.
    Block(DiskConfig),
    /// A source of random bits.
    Rng,
    /// A clock.
    Rtc {
        /// Whether the clock page is its shared memory: experimental.
        shares_page: bool,
    },
    /// A console beside the UART.
    Console,
    /// A network card.
    Net(NetCardConfig),
    /// Sockets between guest and host.
    Vsock(VsockConfig),
}

/// What virtio devices reach of their machine.
pub(crate) struct Outside<'a> {
    pub(crate) ram: &'a GuestRam,
    pub(crate) entropy: &'a Mutex<Entropy>,
    pub(crate) console: &'a Mutex<Console>,
    pub(crate) clocks: &'a Mutex<MachineClocks>,
}

/// The device in a slot.
#[derive(Debug)]
pub enum VirtioDevice {
    /// A disk.
    Block {
        /// What the guest sees.
        mmio: Mmio<Block>,
        /// Where its content is.
        disk: Disk,
    },
    /// A source of random bits.
    Rng {
        /// What the guest sees.
        mmio: Mmio<Rng>,
    },
    /// A clock.
    Rtc {
        /// What the guest sees.
        mmio: Mmio<Rtc>,
    },
    /// A console.
    Console {
        /// What the guest sees.
        mmio: Mmio<abide_virtio::Console>,
    },
    /// A network card.
    Net {
        /// What the guest sees.
        mmio: Mmio<Net>,
        /// What it is plugged into.
        cable: NetCable,
    },
    /// Sockets between guest and host.
    Vsock {
        /// What the guest sees.
        mmio: Mmio<Vsock>,
        /// What they lead to.
        sockets: HostSockets,
    },
}

/// Does the same with whatever transport is in the slot.
macro_rules! any {
    ($slot:expr, $mmio:ident => $what:expr) => {
        match $slot {
            VirtioDevice::Block { mmio: $mmio, .. } => $what,
            VirtioDevice::Rng { mmio: $mmio } => $what,
            VirtioDevice::Rtc { mmio: $mmio } => $what,
            VirtioDevice::Console { mmio: $mmio } => $what,
            VirtioDevice::Net { mmio: $mmio, .. } => $what,
            VirtioDevice::Vsock { mmio: $mmio, .. } => $what,
        }
    };
}

impl VirtioDevice {
    /// The device that `config` asks for, in slot `slot`.
    ///
    /// # Errors
    /// [`MachineError::Disk`], [`MachineError::Net`] or [`MachineError::Vsock`].
    pub(crate) fn create(
        config: &VirtioConfig,
        slot: usize,
        doorbell: &Arc<Doorbell>,
    ) -> Result<Self, MachineError> {
        Ok(match config {
            VirtioConfig::Block(config) => {
                let disk = Disk::open(config)?;
                let device = Block::new(disk.sectors(), config.readonly, disk_id(slot));
                Self::Block { mmio: Mmio::new(device), disk }
            }
            VirtioConfig::Rng => Self::Rng { mmio: Mmio::new(Rng) },
            VirtioConfig::Rtc { shares_page } => {
                Self::Rtc { mmio: Mmio::new(Rtc::new(shares_page.then_some(CLOCK_PAGE))) }
            }
            VirtioConfig::Console => Self::Console { mmio: Mmio::new(abide_virtio::Console) },
            VirtioConfig::Net(NetCardConfig { network, mac }) => {
                let cable = NetCable::plug(network.clone(), *mac, &[], doorbell)?;
                Self::Net { mmio: Mmio::new(Net::new(mac.bytes())), cable }
            }
            VirtioConfig::Vsock(config) => {
                let sockets = HostSockets::open(config, doorbell)?;
                Self::Vsock { mmio: Mmio::new(Vsock::new(config.cid)), sockets }
            }
        })
    }

    /// Which device it is.
    #[must_use]
    pub const fn id(&self) -> DeviceId {
        match self {
            Self::Block { .. } => DeviceId::BLOCK,
            Self::Rng { .. } => DeviceId::ENTROPY,
            Self::Rtc { .. } => DeviceId::CLOCK,
            Self::Console { .. } => DeviceId::CONSOLE,
            Self::Net { .. } => DeviceId::NET,
            Self::Vsock { .. } => DeviceId::SOCKET,
        }
    }

    /// The unit that a device of this number is, if boards of this version can have one.
    #[must_use]
    pub const fn unit_of(id: DeviceId) -> Option<Unit> {
        match id {
            DeviceId::BLOCK => Some(Unit::VirtioBlock),
            DeviceId::ENTROPY => Some(Unit::VirtioRng),
            DeviceId::CLOCK => Some(Unit::VirtioRtc),
            DeviceId::CONSOLE => Some(Unit::VirtioConsole),
            DeviceId::NET => Some(Unit::VirtioNet),
            DeviceId::SOCKET => Some(Unit::VirtioVsock),
            _ => None,
        }
    }

    /// How its interrupt line stands.
    #[must_use]
    pub fn irq_level(&self) -> bool {
        any!(self, mmio => mmio.irq_level())
    }

    pub(crate) fn read(&self, offset: u64, size: usize) -> u64 {
        any!(self, mmio => mmio.read(offset, size))
    }

    pub(crate) fn write(&mut self, offset: u64, size: usize, value: u64, outside: &Outside<'_>) {
        let ram = outside.ram;
        match self {
            Self::Block { mmio, disk } => mmio.write(offset, size, value, ram, disk),
            Self::Rng { mmio } => {
                mmio.write(offset, size, value, ram, &mut *lock(outside.entropy));
            }
            Self::Rtc { mmio } => {
                mmio.write(offset, size, value, ram, &mut *lock(outside.clocks));
            }
            Self::Console { mmio } => {
                mmio.write(offset, size, value, ram, &mut *lock(outside.console));
            }
            Self::Net { mmio, cable } => mmio.write(offset, size, value, ram, cable),
            Self::Vsock { mmio, sockets } => mmio.write(offset, size, value, ram, sockets),
        }
    }

    /// Lets it look at what came from outside.
    pub(crate) fn poll(&mut self, outside: &Outside<'_>) {
        let ram = outside.ram;
        match self {
            Self::Block { mmio, disk } => mmio.poll(ram, disk),
            Self::Rng { mmio } => mmio.poll(ram, &mut *lock(outside.entropy)),
            Self::Rtc { mmio } => mmio.poll(ram, &mut *lock(outside.clocks)),
            Self::Console { mmio } => mmio.poll(ram, &mut *lock(outside.console)),
            Self::Net { mmio, cable } => mmio.poll(ram, cable),
            Self::Vsock { mmio, sockets } => mmio.poll(ram, sockets),
        }
    }

    /// The guest goes on elsewhere: what its neighbours must learn is told them, and what it lost
    /// on the way is told to it.
    pub(crate) fn activate(&mut self, outside: &Outside<'_>) {
        match self {
            Self::Net { mmio, cable }
                if cable.has_neighbours() && mmio.agreed(abide_virtio::net::GUEST_ANNOUNCE) =>
            {
                mmio.reconfigure(Net::announce);
            }
            Self::Vsock { mmio, sockets } if mmio.is_live() => {
                mmio.reconfigure(Vsock::reset_transport);
                // Before it can open a connection that it would take for lost.
                mmio.poll(outside.ram, sockets);
            }
            _ => {}
        }
    }

    /// Whether a burst left requests that it goes on with when it is polled.
    pub(crate) fn is_unserved(&self) -> bool {
        any!(self, mmio => mmio.is_unserved())
    }

    /// Makes what it wrote on the host last.
    ///
    /// # Errors
    /// [`DiskError`].
    pub(crate) fn flush(&self) -> Result<(), DiskError> {
        match self {
            Self::Block { disk, .. } => disk.make_last(),
            _ => Ok(()),
        }
    }

    /// Takes what it needs of the host and another process had until now; once is enough.
    ///
    /// # Errors
    /// [`MachineError::Disk`], [`MachineError::Net`] or [`MachineError::Vsock`]; it may be tried
    /// again.
    pub(crate) fn claim(
        &mut self,
        doorbell: &Arc<Doorbell>,
        epoch: Option<RunEpoch>,
    ) -> Result<(), MachineError> {
        match self {
            Self::Block { disk, .. } => Ok(disk.claim(epoch)?),
            Self::Net { cable, .. } => Ok(cable.plug_in(doorbell)?),
            Self::Vsock { sockets, .. } => Ok(sockets.listen(doorbell)?),
            Self::Rng { .. } | Self::Rtc { .. } | Self::Console { .. } => Ok(()),
        }
    }

    /// Leaves what it has of the host to another process: the guest does not go on here.
    ///
    /// # Errors
    /// [`MachineError::Disk`].
    pub(crate) fn release(&mut self) -> Result<(), MachineError> {
        match self {
            Self::Block { disk, .. } => disk.unlock()?,
            Self::Net { cable, .. } => cable.unplug(),
            Self::Vsock { sockets, .. } => sockets.leave(),
            Self::Rng { .. } | Self::Rtc { .. } | Self::Console { .. } => {}
        }
        Ok(())
    }

    /// Its registers.
    #[must_use]
    pub fn save(&self) -> Vec<Entry> {
        any!(self, mmio => mmio.save())
    }

    /// A device without a host side, from its registers.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub(crate) fn restore_rng(
        entries: Vec<Entry>,
        ram: &GuestRam,
    ) -> Result<(Self, Leftover), IntakeError> {
        Mmio::restore(entries, ram).map(|(mmio, leftover)| (Self::Rng { mmio }, leftover))
    }

    /// As [`Self::restore_rng`], in a guest that has a clock page or none.
    pub(crate) fn restore_rtc(
        entries: Vec<Entry>,
        ram: &GuestRam,
        has_page: bool,
    ) -> Result<(Self, Leftover), IntakeError> {
        let (mmio, leftover) = Mmio::<Rtc>::restore(entries, ram)?;
        if let Some(page) = mmio.device().page().filter(|page| !has_page || *page != CLOCK_PAGE) {
            let allowed = "where this guest has its clock page, or 0";
            let found = Value::u64(page.base.0);
            return Err(IntakeError::Value { id: PAGE_GPA.id, found, allowed });
        }
        Ok((Self::Rtc { mmio }, leftover))
    }

    /// As [`Self::restore_rng`].
    pub(crate) fn restore_console(
        entries: Vec<Entry>,
        ram: &GuestRam,
    ) -> Result<(Self, Leftover), IntakeError> {
        Mmio::restore(entries, ram).map(|(mmio, leftover)| (Self::Console { mmio }, leftover))
    }
}

/// What a disk in a slot calls itself: the same on every host.
fn disk_id(slot: usize) -> [u8; abide_virtio::block::ID_LEN] {
    let mut id = [0; abide_virtio::block::ID_LEN];
    for (place, byte) in id.iter_mut().zip(format!("abide-disk{slot}").bytes()) {
        *place = byte;
    }
    id
}

impl RandomBits for Entropy {
    fn next_u64(&mut self) -> Option<u64> {
        Self::next_u64(self)
    }
}

impl Terminal for Console {
    fn transmit(&mut self, bytes: &[u8]) {
        Self::transmit(self, bytes);
    }

    fn waiting(&mut self) -> &[u8] {
        Self::waiting(self)
    }

    fn accepted(&mut self, len: usize) {
        Self::accepted(self, len);
    }
}
