//! Virtio devices come back, each with its host side.

use super::Pending;
use crate::board::{BoardConfig, VIRTIO_SLOTS};
use crate::clock::MachineClock;
use crate::create::{check_no_sockets, check_repeatable};
use crate::devices::virtio::{
    Disk, DiskConfig, DiskError, HostSockets, NetCable, SavedCable, VirtioDevice, VsockConfig,
};
use crate::doorbell::Doorbell;
use crate::error::{MachineError, RestoreError};
use crate::save::VIRTIO;
use crate::units::Unit;
use abide_memory::GuestRam;
use abide_net::{MacAddress, NetConfig};
use abide_reg::{Intake, IntakeError, Scope};
use abide_virtio::{Block, DeviceId, Mmio, Net, Vsock};
use std::path::PathBuf;
use std::sync::Arc;

/// A disk that is elsewhere than when its guest was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskChange {
    /// Which: the path in the snapshot, or the number of its slot.
    pub old: String,
    /// Where it is now.
    pub new: PathBuf,
}

/// What is elsewhere on this host than on the one where the guest was saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// Disks.
    pub disks: Vec<DiskChange>,
    /// What its network cards are plugged into.
    pub network: Option<NetConfig>,
    /// Where programs of the host find its sockets.
    pub vsock: Option<PathBuf>,
    /// The file that its RAM is in, or is put into.
    pub memory_file: Option<PathBuf>,
}

/// What devices come back to.
#[derive(Clone, Copy)]
pub(super) struct Host<'a> {
    pub(super) elsewhere: &'a Elsewhere,
    pub(super) clock: &'a MachineClock,
    pub(super) doorbell: &'a Arc<Doorbell>,
    /// Whether another process still has disks, networks and sockets: they are looked at, and
    /// taken when the guest is committed.
    pub(super) is_shared: bool,
}

impl DiskChange {
    fn is_of(&self, slot: u32, saved: Option<&PathBuf>) -> bool {
        self.old == slot.to_string() || saved.is_some_and(|path| path.as_os_str() == &*self.old)
    }
}

/// The devices in the slots of a saved board; a board without any has no such register.
pub(super) fn restore_slots(intake: &mut Intake) -> Result<Vec<DeviceId>, IntakeError> {
    let Some(value) = intake.take_optional(&VIRTIO)? else { return Ok(Vec::new()) };
    let slots = value.as_bytes();
    let used = slots.iter().position(|&id| id == 0).unwrap_or(VIRTIO_SLOTS);
    let (devices, free) = slots.split_at(used.min(slots.len()));
    if devices.is_empty() || free.iter().any(|&id| id != 0) {
        let allowed = "32 device numbers: at least one, from the first slot on, then zeros";
        return Err(IntakeError::Value { id: VIRTIO.id, found: value.clone(), allowed });
    }
    Ok(devices.iter().map(|&id| DeviceId(id.into())).collect())
}

impl Pending {
    /// The devices of every slot.
    pub(super) fn build_virtio(
        &mut self,
        board: &BoardConfig,
        ram: &GuestRam,
        host: &Host<'_>,
    ) -> Result<Vec<VirtioDevice>, RestoreError> {
        let disks = &host.elsewhere.disks;
        check_network(board, host.elsewhere)?;
        check_vsock(board, host.elsewhere)?;
        let mut places = Vec::new();
        for (slot, _) in (0..).zip(&board.virtio).filter(|(_, id)| **id == DeviceId::BLOCK) {
            let scope = Scope::Device(slot);
            places.push((slot, self.build_if_there(Unit::Disk, scope, Disk::saved)?));
        }
        check_changes(disks, &places)?;
        let mut devices = Vec::new();
        for (slot, &id) in (0..).zip(&board.virtio) {
            let unknown = RestoreError::VirtioDevice { slot, found: id.0 };
            let unit = VirtioDevice::unit_of(id).ok_or(unknown)?;
            let scope = Scope::Device(slot);
            devices.push(match unit {
                Unit::VirtioBlock => {
                    let saved = places.iter().find(|(at, _)| *at == slot);
                    let saved = saved.and_then(|(_, saved)| saved.as_ref());
                    self.build_block(slot, saved, ram, host)?
                }
                Unit::VirtioNet => self.build_net(slot, ram, host)?,
                Unit::VirtioVsock => self.build_vsock(slot, ram, host)?,
                Unit::VirtioConsole => {
                    self.build(unit, scope, |entries| VirtioDevice::restore_console(entries, ram))?
                }
                Unit::VirtioRtc => {
                    let has_page = board.vmclock.is_some();
                    self.build(unit, scope, |entries| {
                        VirtioDevice::restore_rtc(entries, ram, has_page)
                    })?
                }
                _ => self.build(unit, scope, |entries| VirtioDevice::restore_rng(entries, ram))?,
            });
        }
        Ok(devices)
    }

    fn build_net(
        &mut self,
        slot: u32,
        ram: &GuestRam,
        host: &Host<'_>,
    ) -> Result<VirtioDevice, RestoreError> {
        let scope = Scope::Device(slot);
        let saved = self.build_if_there(Unit::Cable, scope, NetCable::saved)?;
        let (network, lost) = match (&host.elsewhere.network, saved) {
            (Some(network), Some(SavedCable { lost, .. })) => (network.clone(), lost),
            (Some(network), None) => (network.clone(), Vec::new()),
            (None, Some(SavedCable { network, lost })) => (network, lost),
            (None, None) => return Err(RestoreError::NetworkUnknown { slot }),
        };
        let mmio: Mmio<Net> =
            self.build(Unit::VirtioNet, scope, |entries| Mmio::restore(entries, ram))?;
        let refuse = |source| RestoreError::Network { slot, source: Box::new(source) };
        check_repeatable(&network, host.clock.is_virtual())
            .map_err(|error| refuse(error.into()))?;
        // The card's registers hold no other address.
        let mac = MacAddress::new(mmio.device().mac()).unwrap_or(MacAddress::of_seed(0));
        let mut cable = NetCable::apart(network, mac, &lost);
        if !host.is_shared {
            cable.plug_in(host.doorbell).map_err(|error| refuse(MachineError::Net(error)))?;
        }
        Ok(VirtioDevice::Net { mmio, cable })
    }

    fn build_vsock(
        &mut self,
        slot: u32,
        ram: &GuestRam,
        host: &Host<'_>,
    ) -> Result<VirtioDevice, RestoreError> {
        let scope = Scope::Device(slot);
        let saved = self.build_if_there(Unit::Sockets, scope, HostSockets::saved)?;
        let path = host.elsewhere.vsock.clone().or(saved);
        let path = path.ok_or(RestoreError::VsockUnknown { slot })?;
        let mmio: Mmio<Vsock> =
            self.build(Unit::VirtioVsock, scope, |entries| Mmio::restore(entries, ram))?;
        let refuse = |source| RestoreError::Vsock { slot, source: Box::new(source) };
        check_no_sockets(&path, host.clock.is_virtual()).map_err(|error| refuse(error.into()))?;
        let config = VsockConfig { path, cid: mmio.device().cid() };
        let mut sockets = HostSockets::apart(&config);
        if !host.is_shared {
            sockets.listen(host.doorbell).map_err(|error| refuse(MachineError::Vsock(error)))?;
        }
        Ok(VirtioDevice::Vsock { mmio, sockets })
    }

    fn build_block(
        &mut self,
        slot: u32,
        saved: Option<&(PathBuf, bool)>,
        ram: &GuestRam,
        host: &Host<'_>,
    ) -> Result<VirtioDevice, RestoreError> {
        let mmio: Mmio<Block> = self
            .build(Unit::VirtioBlock, Scope::Device(slot), |entries| Mmio::restore(entries, ram))?;
        let saved_path = saved.map(|(path, _)| path);
        let mut changes = host.elsewhere.disks.iter();
        let change = changes.find(|change| change.is_of(slot, saved_path));
        let path = change.map(|change| &change.new).or(saved_path);
        let path = path.cloned().ok_or(RestoreError::DiskUnknown { slot })?;
        let readonly = mmio.device().is_readonly();
        let config =
            DiskConfig { path, readonly, direct: saved.is_some_and(|(_, direct)| *direct) };
        let disk = open(&config).map_err(|source| RestoreError::Disk { slot, source })?;
        if !host.is_shared {
            disk.lock().map_err(|source| RestoreError::Disk { slot, source })?;
        }
        let (found, saved) = (disk.sectors(), mmio.device().capacity());
        if found != saved {
            let path = config.path;
            return Err(RestoreError::DiskLen { slot, path, found, saved });
        }
        Ok(VirtioDevice::Block { mmio, disk })
    }
}

/// Opens a disk as it was used, or through the page cache where this host has no other way: the
/// guest cannot tell.
fn open(config: &DiskConfig) -> Result<Disk, DiskError> {
    match Disk::open_unlocked(config) {
        Err(DiskError::Direct { path }) => {
            tracing::warn!(path = %path.display(), "disk goes through the page cache here");
            Disk::open_unlocked(&DiskConfig { direct: false, ..config.clone() })
        }
        opened => opened,
    }
}

/// A network that is named for nobody was meant for another guest: nothing is restored then.
fn check_network(board: &BoardConfig, elsewhere: &Elsewhere) -> Result<(), RestoreError> {
    match &elsewhere.network {
        Some(network) if !board.virtio.contains(&DeviceId::NET) => {
            Err(RestoreError::NoCard { network: network.to_string() })
        }
        _ => Ok(()),
    }
}

/// As [`check_network`].
fn check_vsock(board: &BoardConfig, elsewhere: &Elsewhere) -> Result<(), RestoreError> {
    match &elsewhere.vsock {
        Some(path) if !board.virtio.contains(&DeviceId::SOCKET) => {
            Err(RestoreError::NoSockets { path: path.clone() })
        }
        _ => Ok(()),
    }
}

/// A disk that is named and not there was meant to be another: nothing is restored then.
fn check_changes(
    disks: &[DiskChange],
    places: &[(u32, Option<(PathBuf, bool)>)],
) -> Result<(), RestoreError> {
    let saved = |place: &Option<(PathBuf, bool)>| place.as_ref().map(|(path, _)| path.clone());
    let is_there = |change: &DiskChange| {
        places.iter().any(|(slot, place)| change.is_of(*slot, saved(place).as_ref()))
    };
    let Some(change) = disks.iter().find(|change| !is_there(change)) else { return Ok(()) };
    let has = places.iter().map(|(slot, place)| {
        let path = saved(place).map_or("nowhere".to_owned(), |path| path.display().to_string());
        format!("{slot} ({path})")
    });
    let has: Vec<String> = has.collect();
    let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
    Err(RestoreError::NoSuchDisk { old: change.old.clone(), has })
}
