//! The machine's state as registers.

use crate::board::{BoardConfig, VIRTIO_SLOTS};
use crate::bus::lock;
use crate::contract::GuestContract;
use crate::devices::virtio::VirtioDevice;
use crate::entropy;
use crate::error::MachineError;
use crate::machine::Machine;
use crate::units::{ORDER, Unit};
use abide_arm64::kvm;
use abide_engine::{Provider, Vcpu};
use abide_reg::{Entry, RegDef, RegId, Scope, Value, VcpuId};
use abide_snapshot::{
    Architecture, Compression, Digest, Existing, Header, KeptMemory, RamRange, Record, RightToRun,
    Snapshot, TEXT_LEN, UnitRecord, WriteError, Writer,
};
use std::path::Path;

pub(crate) const RAM_LEN: RegDef = RegDef::state(RegId::named("board.ram_len"), "ram_len", 8);
pub(crate) const VCPU_COUNT: RegDef =
    RegDef::state(RegId::named("board.vcpu_count"), "vcpu_count", 4);
pub(crate) const CNTFRQ_HZ: RegDef = RegDef::state(RegId::named("board.cntfrq_hz"), "cntfrq_hz", 8);
/// The virtio device number in each slot, 0 where there is none. Not there on a board without any.
pub(crate) const VIRTIO: RegDef =
    RegDef::state(RegId::named("board.virtio"), "virtio slots", VIRTIO_SLOTS);

/// The vCPUs that have an identity of their own, bit n for vCPU n. Not there where all are alike.
pub(crate) const OWN_IDENTITIES: RegDef =
    RegDef::state(RegId::named("identity.own"), "vCPUs with an identity of their own", 8);

const _: () = assert!(crate::board::VCPU_MAX <= u64::BITS);

pub(crate) fn save_board(board: &BoardConfig) -> Vec<Entry> {
    // The ID registers tell the features, and the pages' own units that they are there.
    let BoardConfig { ram_len, vcpu_count, cntfrq_hz, virtio, features: _, vmclock: _ } = board;
    let mut entries = vec![
        Entry::of(&RAM_LEN, Value::u64(*ram_len)),
        Entry::of(&VCPU_COUNT, Value::u32(*vcpu_count)),
        Entry::of(&CNTFRQ_HZ, Value::u64(*cntfrq_hz)),
    ];
    if !virtio.is_empty() {
        let mut slots = [0; VIRTIO_SLOTS];
        for (slot, id) in slots.iter_mut().zip(virtio) {
            [*slot, ..] = id.0.to_le_bytes();
        }
        entries.push(Entry::of(&VIRTIO, Value::bytes(&slots)));
    }
    entries
}

/// A right to run that no other file gives.
fn new_right() -> Result<RightToRun, MachineError> {
    Ok(RightToRun { id: entropy::memory_id()?, is_taken: false })
}

/// The guest is to go on here after all, so nobody may find a file that says otherwise.
fn withdraw<T>(path: &Path, error: MachineError) -> Result<T, MachineError> {
    let MachineError::Write(WriteError::Unsynced { .. }) = error else { return Err(error) };
    match std::fs::remove_file(path) {
        Ok(()) => Err(error),
        Err(source) => Err(MachineError::RightInDoubt { path: path.to_owned(), source }),
    }
}

/// Which unit a register of a vCPU belongs to.
pub(crate) fn cpu_unit(id: RegId) -> Unit {
    if id == kvm::TIMER_CNT || id == kvm::PTIMER_CNT {
        Unit::Counter
    } else if kvm::is_firmware(id) {
        Unit::Firmware
    } else if kvm::is_vm_scoped(id) {
        Unit::Identity
    } else {
        Unit::Cpu
    }
}

impl Machine {
    /// Every register, unit by unit in the order of [`ORDER`], and what is carried along for
    /// newer versions.
    ///
    /// # Errors
    /// [`MachineError::Save`], naming the register that cannot be read.
    pub fn state(&self) -> Result<Vec<UnitRecord>, MachineError> {
        self.state_with(|unit| self.unit_entries(unit))
    }

    /// As [`state`](Self::state), with each unit's registers read by `read`.
    pub(crate) fn state_with(
        &self,
        mut read: impl FnMut(Unit) -> Result<Vec<(Scope, Vec<Entry>)>, MachineError>,
    ) -> Result<Vec<UnitRecord>, MachineError> {
        let mut states = Vec::new();
        for place in ORDER {
            for (scope, entries) in read(place.unit)? {
                let class = place.unit.class();
                states.push(UnitRecord { unit: place.unit.name(), scope, class, entries });
            }
        }
        #[cfg(feature = "next-version")]
        self.next.save(&mut states);
        for carried in &self.carried {
            let known = states
                .iter_mut()
                .find(|state| (state.unit, state.scope) == (carried.unit, carried.scope));
            match known {
                Some(state) => state.entries.extend(carried.entries.iter().cloned()),
                None => states.push(carried.clone()),
            }
        }
        Ok(states)
    }

    /// The registers of one unit.
    pub(crate) fn unit_entries(
        &self,
        unit: Unit,
    ) -> Result<Vec<(Scope, Vec<Entry>)>, MachineError> {
        let vm = |entries| Ok(vec![(Scope::Vm, entries)]);
        let device = |entries| Ok(vec![(Scope::Device(0), entries)]);
        match unit {
            // A guest without a contract has no such record.
            Unit::Contract => Ok(self.contract.iter().map(|it| (Scope::Vm, it.save())).collect()),
            Unit::Board => vm(save_board(&self.board)),
            Unit::Clock => vm(self.clock.save()),
            Unit::Entropy => vm(lock(&self.bus.entropy).save()),
            Unit::Console => device(lock(&self.bus.console).save()),
            Unit::Uart => device(lock(&self.bus.uart).save()),
            Unit::Rtc => device(lock(&self.bus.rtc).save()),
            Unit::Vmclock => {
                let clock = self.bus.vmclock.iter().map(|device| lock(device).save_clock());
                Ok(clock.map(|entries| (Scope::Device(0), entries)).collect())
            }
            Unit::Vmgenid => {
                let own = self.bus.vmclock.as_ref().and_then(|it| lock(it).save_generation());
                Ok(own.into_iter().map(|entries| (Scope::Device(0), entries)).collect())
            }
            Unit::Disk
            | Unit::Cable
            | Unit::Sockets
            | Unit::VirtioBlock
            | Unit::VirtioRng
            | Unit::VirtioRtc
            | Unit::VirtioConsole
            | Unit::VirtioNet
            | Unit::VirtioVsock => Ok(self.virtio_entries(unit)),
            Unit::Firmware if self.firmware_provider == Provider::Machine => {
                vm(lock(&self.bus.firmware).save())
            }
            Unit::Identity => self.identity_entries(),
            Unit::Firmware | Unit::Counter => vm(self.vcpu_entries(VcpuId(0), unit)?),
            Unit::Cpu => {
                let ids = self.vcpus.iter().map(|vcpu| vcpu.id());
                ids.map(|id| Ok((Scope::Vcpu(id), self.vcpu_entries(id, unit)?))).collect()
            }
            Unit::PvTime => Ok(self.stolen_time_entries()),
            Unit::Gic => self.gic_entries(),
        }
    }

    /// The VM's identity, that of vCPU 0; and for each vCPU that shows something else in some
    /// registers, these.
    fn identity_entries(&self) -> Result<Vec<(Scope, Vec<Entry>)>, MachineError> {
        let mut common = self.vcpu_entries(VcpuId(0), Unit::Identity)?;
        let mut records = Vec::new();
        let mut own = 0;
        for vcpu in self.vcpus.iter().skip(1).filter(|_| self.vm.has_own_identities()) {
            let mut entries = self.vcpu_entries(vcpu.id(), Unit::Identity)?;
            entries.retain(|entry| !common.contains(entry));
            if !entries.is_empty() {
                own |= 1u64 << vcpu.id().0;
                records.push((Scope::Vcpu(vcpu.id()), entries));
            }
        }
        if own != 0 {
            common.push(Entry::of(&OWN_IDENTITIES, Value::u64(own)));
        }
        records.insert(0, (Scope::Vm, common));
        Ok(records)
    }

    /// A guest without stolen time has no such record.
    fn stolen_time_entries(&self) -> Vec<(Scope, Vec<Entry>)> {
        let Some(records) = &self.bus.stolen_time else { return Vec::new() };
        let ids = self.vcpus.iter().map(|vcpu| vcpu.id());
        ids.map(|id| (Scope::Vcpu(id), records.save(id))).collect()
    }

    fn virtio_entries(&self, unit: Unit) -> Vec<(Scope, Vec<Entry>)> {
        let devices = (0..).zip(&self.bus.virtio);
        let of_unit = devices.filter_map(|(slot, device)| {
            let device = lock(device);
            let entries = match (unit, &*device) {
                (Unit::Disk, VirtioDevice::Block { disk, .. }) => disk.save(),
                (Unit::Cable, VirtioDevice::Net { cable, .. }) => cable.save(),
                (Unit::Sockets, VirtioDevice::Vsock { sockets, .. }) => sockets.save(),
                _ if VirtioDevice::unit_of(device.id()) == Some(unit) => device.save(),
                _ => return None,
            };
            Some((Scope::Device(slot), entries))
        });
        of_unit.collect()
    }

    fn vcpu_entries(&self, vcpu: VcpuId, unit: Unit) -> Result<Vec<Entry>, MachineError> {
        let scope = if unit == Unit::Cpu { Scope::Vcpu(vcpu) } else { Scope::Vm };
        let mut entries = entries_of(self.vcpus[vcpu.index()].as_ref(), unit, scope)?;
        for entry in &mut entries {
            let found = std::mem::replace(&mut entry.value, Value::bytes(&[]));
            entry.value = self.originals.to_save(scope, entry.id, found);
        }
        Ok(entries)
    }
}

/// A unit's registers of one vCPU, as its engine shows them.
pub(crate) fn entries_of(
    vcpu: &dyn Vcpu,
    unit: Unit,
    scope: Scope,
) -> Result<Vec<Entry>, MachineError> {
    let ids = vcpu.reg_ids().into_iter().filter(|&id| cpu_unit(id) == unit);
    let read = |id| {
        let unit = unit.name();
        let value = vcpu.load(id).map_err(|source| MachineError::Save { unit, scope, source })?;
        Ok(Entry::new(id, vcpu.class_of(id), value))
    };
    ids.map(read).collect()
}

impl Machine {
    /// Writes the machine, which is not running, to a file; returns the file's length in bytes.
    ///
    /// # Errors
    /// [`MachineError`]; no new file is there then, and the machine can go on.
    pub fn save(
        &mut self,
        path: &Path,
        compress: bool,
        overwrite: bool,
    ) -> Result<u64, MachineError> {
        self.save_with(path, compress, overwrite, None)
    }

    /// As [`save`](Self::save), and gives the right to run to the file: this machine must not run
    /// again, and whoever takes the right from the file ([`Prepared::commit_moved`]) goes on as the
    /// same guest.
    ///
    /// # Errors
    /// [`MachineError`]; the machine can go on, except after [`MachineError::RightInDoubt`].
    ///
    /// [`Prepared::commit_moved`]: crate::lifecycle::Prepared::commit_moved
    pub fn save_moving(
        &mut self,
        path: &Path,
        compress: bool,
        overwrite: bool,
    ) -> Result<u64, MachineError> {
        let right = new_right()?;
        self.save_with(path, compress, overwrite, Some(right))
            .or_else(|error| withdraw(path, error))
    }

    fn save_with(
        &mut self,
        path: &Path,
        compress: bool,
        overwrite: bool,
        right: Option<RightToRun>,
    ) -> Result<u64, MachineError> {
        let existing = if overwrite { Existing::Replace } else { Existing::Keep };
        let compression = if compress { Compression::Lz4 } else { Compression::None };
        // Before there is a half file: RAM that cannot be brought ends the process here.
        self.complete_ram();
        // Then the name: what cannot be written is known before anything is read.
        let writer = Writer::create(path, existing)?;
        // The file is of no use with a disk that lost what the guest wrote before.
        for device in &self.bus.virtio {
            lock(device).flush()?;
        }
        let mut snapshot = self.snapshot()?;
        snapshot.records.splice(..0, right.map(Record::Right));
        Ok(writer.write(&snapshot, &[&self.ram], compression)?.file_len)
    }

    /// Writes everything but RAM, which stays in its file: the guest goes on where that file is,
    /// and not here. With `hash_ram`, a restore finds out whether RAM was changed meanwhile, which
    /// takes as long as to read all of it. With `gives_right` the file gives the right to run, too,
    /// so that the guest goes on as the same and not as a copy. Returns the file's length in bytes.
    ///
    /// # Errors
    /// [`MachineError`]; no new file is there then, and the machine can go on.
    pub fn save_keeping_memory(
        &mut self,
        path: &Path,
        overwrite: bool,
        hash_ram: bool,
        gives_right: bool,
    ) -> Result<u64, MachineError> {
        let Some(file) = &self.memory_file else { return Err(MachineError::NoMemoryFile) };
        let (guest, memory_path) = (file.guest(), file.path().to_owned());
        let existing = if overwrite { Existing::Replace } else { Existing::Keep };
        let writer = Writer::create(path, existing)?;
        for device in &self.bus.virtio {
            lock(device).flush()?;
        }
        let kept = KeptMemory {
            range: RamRange { gpa: self.ram.base(), size: self.ram.size() },
            guest,
            save: entropy::memory_id()?,
            hash: hash_ram.then(|| abide_snapshot::ram_hash(&self.ram)).transpose()?,
            path: memory_path,
        };
        let save = kept.save;
        let right = gives_right.then(new_right).transpose()?;
        let mut snapshot = self.snapshot()?;
        snapshot.records.splice(..0, right.map(Record::Right));
        snapshot.records.push(Record::Kept(kept));
        let written = writer.write(&snapshot, &[], Compression::None);
        // Only now does the memory file fit the snapshot: whatever fails before, nothing does.
        let kept = match (written, &mut self.memory_file) {
            (Ok(written), Some(file)) => {
                file.keep(save).map(|()| written.file_len).map_err(MachineError::from)
            }
            (Ok(_), None) => Err(MachineError::NoMemoryFile),
            (Err(error @ WriteError::Unsynced { .. }), _) => Err(error.into()),
            (Err(error), _) => return Err(error.into()),
        };
        if kept.is_err() {
            // A snapshot that fits nothing. Where it cannot be removed, restoring it is refused.
            std::fs::remove_file(path).ok();
        }
        kept
    }

    /// Everything but RAM.
    pub(crate) fn snapshot(&mut self) -> Result<Snapshot, MachineError> {
        #[cfg(feature = "next-version")]
        self.next.count_save();
        let mut records: Vec<Record> = self.state()?.into_iter().map(Record::Unit).collect();
        records.extend(self.carried_records.iter().cloned().map(Record::Foreign));
        Ok(Snapshot { header: self.header(), records })
    }

    fn header(&self) -> Header {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let printable = |byte: char| byte.is_ascii_graphic() || byte == ' ';
        let kernel: String = release.chars().filter(|&c| printable(c)).take(TEXT_LEN).collect();
        Header {
            created_unix_ns: self.clock.wall_ns(),
            producer: concat!("abide ", env!("CARGO_PKG_VERSION")).to_owned(),
            kernel,
            contract: self.contract.as_ref().map(GuestContract::digest).unwrap_or_default(),
            ..Header::new(Architecture::AARCH64)
        }
    }

    /// The hash over every register and all of RAM: equal for equal guests, whatever processes
    /// and files they went through.
    ///
    /// # Errors
    /// [`MachineError`].
    pub fn state_hash(&self) -> Result<Digest, MachineError> {
        self.complete_ram();
        Ok(abide_snapshot::state_hash(&self.state()?, &[&self.ram])?)
    }

    /// How many bytes its state takes in a file, besides RAM and the file's own frame.
    ///
    /// # Errors
    /// [`MachineError::Save`].
    pub fn state_len(&self) -> Result<u64, MachineError> {
        let lens = self.state()?.into_iter().map(|record| {
            abide_reg::codec::encode(&record.entries).map_or(0, |bytes| bytes.len() as u64)
        });
        Ok(lens.sum())
    }
}
