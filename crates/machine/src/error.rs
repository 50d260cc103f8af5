//! Errors of the machine.

use crate::devices::virtio::DiskError;
use abide_contract::{Step, rules};
use abide_engine::EngineError;
use abide_memory::MemoryError;
use abide_reg::{Gpa, IntakeError, Name, RegId, Scope, Value, VcpuId};
use abide_snapshot::{Architecture, Digest, MemoryFileError};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use thiserror::Error;

/// Why a board cannot be made as asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A number is out of range.
    #[error("{found} {what} asked for, {least} to {most} allowed")]
    Range {
        /// What the number counts.
        what: &'static str,
        /// The number found.
        found: u64,
        /// The least allowed.
        least: u64,
        /// The most allowed.
        most: u64,
    },
    /// Something that a run in virtual time cannot have.
    #[error("{found} makes no two runs alike, which --deterministic promises; use --net echo")]
    NotRepeatable {
        /// What was asked for.
        found: String,
    },
    /// Sockets that a run in virtual time cannot have.
    #[error(
        "vsock {}: programs of the host make no two runs alike, which --deterministic promises; \
         leave one of the two out",
        path.display()
    )]
    SocketsNotRepeatable {
        /// Where programs of the host would find the guest.
        path: PathBuf,
    },
    /// The page with the time cannot have this size.
    #[error("a vmclock of {found} bytes asked for; 4K, 8K, 16K, 32K or 64K are allowed")]
    VmclockSize {
        /// The size found, in bytes.
        found: u32,
    },
    /// Memory comes in whole MiB.
    #[error("{found} bytes of memory asked for, a multiple of 1 MiB is allowed")]
    MemoryGranule {
        /// The size found, in bytes.
        found: u64,
    },
}

/// Why a kernel or initial RAM disk could not be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The kernel file has no bytes.
    #[error("the kernel file is empty")]
    Empty,
    /// It is a kernel for another machine.
    #[error("the kernel is {found}; an arm64 Image, ELF or flat binary is needed")]
    Foreign {
        /// What it is.
        found: &'static str,
    },
    /// It is big-endian.
    #[error("the kernel is big-endian; only little-endian guests are supported")]
    BigEndian,
    /// It was built for other pages.
    #[error("the kernel was built for {found_kib} KiB pages; 4 KiB pages are supported")]
    PageSize {
        /// Its page size, in KiB.
        found_kib: u32,
    },
    /// Its header says it is shorter than its file.
    #[error("the kernel's header says {found:#x} bytes, its file has {file_len:#x}: damaged")]
    ImageSize {
        /// The size in the header, in bytes.
        found: u64,
        /// The size of the file, in bytes.
        file_len: u64,
    },
    /// Its file ends early.
    #[error("the kernel is truncated: {found:#x} bytes found, {needed:#x} needed")]
    TruncatedImage {
        /// The size of the file, in bytes.
        found: u64,
        /// The size it should have, in bytes.
        needed: u64,
    },
    /// It is not a usable ELF file.
    #[error("the kernel is an ELF file, but {reason}")]
    Elf {
        /// What is wrong.
        reason: &'static str,
    },
    /// It cannot be unpacked.
    #[error("the kernel is packed ({format}), but {reason}")]
    Compressed {
        /// The packing.
        format: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// A part of it belongs where there is no RAM.
    #[error("{what} belongs at {gpa} ({len:#x} bytes), which is not RAM")]
    OutsideRam {
        /// The part.
        what: &'static str,
        /// Its address.
        gpa: Gpa,
        /// Its length, in bytes.
        len: u64,
    },
    /// It does not fit.
    #[error(
        "{what} does not fit: {needed} bytes of memory needed, {found} there; use --memory {}M",
        needed.div_ceil(1 << 20)
    )]
    TooLittleMemory {
        /// What does not fit.
        what: &'static str,
        /// RAM needed, in bytes.
        needed: u64,
        /// RAM there, in bytes.
        found: u64,
    },
    /// The device tree came out too long.
    #[error("the device tree takes {found} bytes, {allowed} are allowed; shorten --append")]
    DeviceTree {
        /// Its length, in bytes.
        found: usize,
        /// The room for it, in bytes.
        allowed: u64,
    },
    /// The kernel command line cannot be told to the guest.
    #[error("the kernel command line holds a NUL byte")]
    CommandLine,
    /// The device tree could not be written.
    #[error("the device tree: {0}")]
    Fdt(#[from] vm_fdt::Error),
    /// RAM refused.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// Registers that stand against a guest, each with its unit; shown one a line, with its value, the
/// reason and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals(pub Vec<(Name, Step)>);

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut alike: BTreeMap<(Name, RegId, String), Vec<&Step>> = BTreeMap::new();
        for (unit, step) in &self.0 {
            alike.entry((*unit, step.id, step.reason())).or_default().push(step);
        }
        for ((unit, id, reason), steps) in alike {
            let [Step { scope, value, .. }, more @ ..] = steps.as_slice() else { continue };
            write!(f, "\n  {unit} {scope}")?;
            if !more.is_empty() {
                write!(f, " and {} more", more.len())?;
            }
            write!(f, ": {} ({id})", rules::name(id))?;
            if let Some(value) = value {
                write!(f, " = {value}")?;
            }
            write!(f, ": {reason}")?;
            if let Some(remedy) = steps.first().and_then(|step| step.remedy()) {
                write!(f, "; {remedy}")?;
            }
        }
        Ok(())
    }
}

/// Why a contract cannot be kept, or is none.
#[derive(Debug, Error)]
pub enum ContractError {
    /// More is asked for than was promised.
    #[error("contract {contract} promises {promised} {what}, {asked} asked for: {next}")]
    Beyond {
        /// The contract's name.
        contract: String,
        /// What the numbers count.
        what: &'static str,
        /// The number asked for.
        asked: u64,
        /// The number promised.
        promised: u64,
        /// What to do.
        next: &'static str,
    },
    /// The engine has none of a feature that was promised.
    #[error(
        "contract {contract} cannot be kept: engine {engine} does not offer {what}; choose an \
         engine and a host that do, or a contract of profiles without it"
    )]
    Feature {
        /// The contract's name.
        contract: String,
        /// The engine's name.
        engine: &'static str,
        /// What was promised.
        what: &'static str,
    },
    /// The host or the engine stands against it.
    #[error(
        "contract {contract} cannot be kept by engine {engine} on this host, for {} \
         registers:{steps}",
        steps.0.len()
    )]
    NotKept {
        /// The contract's name.
        contract: String,
        /// The engine's name.
        engine: &'static str,
        /// Each register, with what was promised.
        steps: Refusals,
    },
    /// A saved contract is no text.
    #[error("the snapshot's contract is no text; the file was not written by abide")]
    NotText,
    /// A saved contract is not in the parts that a file has it in.
    #[error("the snapshot's contract is cut otherwise than abide cuts it; a part is missing")]
    Cut,
    /// A saved contract cannot be read.
    #[error("the snapshot's contract: {0}")]
    Text(abide_contract::codec::ReadError),
    /// A saved contract's record has more in it.
    #[error("the snapshot's contract: {0}")]
    Record(IntakeError),
    /// The header tells of a contract, and there is none.
    #[error("the header tells of contract {told}, the file has none; it is not complete")]
    Missing {
        /// The digest in the header.
        told: Digest,
    },
    /// The header tells of another contract than the record holds.
    #[error(
        "the header tells of contract {told}, the file has {found}; it was put together of two"
    )]
    Digest {
        /// The digest in the header.
        told: Digest,
        /// The digest of the record's.
        found: Digest,
    },
    /// A saved register does not hold what was promised.
    #[error(
        "{scope}: {name} ({id}): {found} saved, {promised} promised by the contract; the file was \
         put together of two"
    )]
    Broken {
        /// Whose register.
        scope: Scope,
        /// The register's name in its specification.
        name: String,
        /// The register.
        id: RegId,
        /// The value promised.
        promised: Value,
        /// The value in the file.
        found: Value,
    },
}

/// Why a machine could not be made or run.
#[derive(Debug, Error)]
pub enum MachineError {
    /// The configuration is impossible.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The contract cannot be kept.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// The guest could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Guest RAM could not be made.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A disk cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A network cannot be used.
    #[error(transparent)]
    Net(#[from] abide_net::NetError),
    /// Sockets cannot be used.
    #[error(transparent)]
    Vsock(#[from] abide_net::vsock::VsockError),
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The host has no thread for a vCPU.
    #[error("the host gives no thread for vCPU {number}: {source}; use fewer --vcpus")]
    VcpuThread {
        /// The vCPU's number.
        number: usize,
        /// What the host said.
        source: std::io::Error,
    },
    /// A vCPU's thread came upon a defect of abide.
    #[error("vCPU {vcpu} cannot go on, by a defect of abide ({message}); please report it")]
    VcpuPanicked {
        /// The vCPU.
        vcpu: VcpuId,
        /// What the defect says of itself.
        message: String,
    },
    /// The interrupt controller could not be made.
    #[error(transparent)]
    Gic(#[from] abide_gic::GicError),
    /// The machine's registers cannot be read.
    #[error("{unit} {scope}: {source}")]
    Save {
        /// The unit.
        unit: Name,
        /// Whose registers.
        scope: Scope,
        /// Why.
        source: abide_reg::RegError,
    },
    /// RAM cannot be in the file that was named for it.
    #[error(transparent)]
    MemoryFile(#[from] MemoryFileError),
    /// The engine's guests do not run from the file.
    #[error("memory file {}, Linux {kernel}: {source}", path.display())]
    MemoryForEngine {
        /// The file.
        path: PathBuf,
        /// The host's kernel.
        kernel: String,
        /// What was seen, and what to do.
        source: EngineError,
    },
    /// A file that gives the right to run may be on the disk, and could not be removed.
    #[error(
        "{}: may give the right to run, and can neither be completed nor removed: {source}. The \
         guest does not go on here; restore that file, or else it is lost",
        path.display()
    )]
    RightInDoubt {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: std::io::Error,
    },
    /// The right to run could not be taken.
    #[error(transparent)]
    Right(#[from] abide_snapshot::RightError),
    /// RAM cannot stay where it is, for it goes with the process.
    #[error("its memory is in no file, so it cannot be kept; `run --memory-file` gives it one")]
    NoMemoryFile,
    /// The guest was saved away.
    #[error("its memory is kept for the snapshot that was made of it; restore that")]
    SavedAway,
    /// A guest is on its way to another process.
    #[error("the guest is being handed over: {why}")]
    Handoff {
        /// What that is in the way of.
        why: &'static str,
    },
    /// RAM in a file goes nowhere else.
    #[error(
        "its memory is in {}, which goes with it only by `save --keep-memory`; guests born without \
         --memory-file can be migrated",
        path.display()
    )]
    HandoffMemoryFile {
        /// The memory file.
        path: PathBuf,
    },
    /// The guest cannot be told of a disruption.
    #[error("the guest cannot be told of a disruption: {why}")]
    Announce {
        /// Why.
        why: &'static str,
    },
    /// The host has no random numbers.
    #[error("the host gives no random numbers: {source}")]
    Random {
        /// What the host said.
        source: std::io::Error,
    },
    /// The snapshot could not be written.
    #[error(transparent)]
    Write(#[from] abide_snapshot::WriteError),
    /// The interrupt controller cannot be read.
    #[error(transparent)]
    GicTransfer(#[from] abide_gic::TransferError),
    /// The machine's state could not be hashed.
    #[error(transparent)]
    Hash(#[from] abide_snapshot::HashError),
}

/// Why a machine could not be restored. Nothing of it is left.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// The guest is of another architecture.
    #[error("the snapshot is of an {found} guest; this version restores aarch64 guests")]
    Architecture {
        /// Its architecture.
        found: Architecture,
    },
    /// Guest RAM could not be restored.
    #[error(transparent)]
    Memory(#[from] abide_snapshot::RestoreError),
    /// The interrupt controller's registers are no state of it.
    #[error(transparent)]
    Gic(#[from] abide_gic::GicError),
    /// The interrupt controller did not take its state.
    #[error(transparent)]
    GicTransfer(#[from] abide_gic::TransferError),
    /// A unit's record stands there twice.
    #[error("the snapshot has two records of {unit} {scope}")]
    Twice {
        /// The unit.
        unit: Name,
        /// Whose registers.
        scope: Scope,
    },
    /// A unit's record is missing.
    #[error("the snapshot has no record of {unit} {scope}")]
    MissingUnit {
        /// The unit.
        unit: Name,
        /// Whose registers.
        scope: Scope,
    },
    /// A record is of a unit that this version does not know.
    #[error(
        "record {unit} {scope} is mandatory and unknown to this version; restore with a newer one"
    )]
    UnknownUnit {
        /// The unit.
        unit: Name,
        /// Whose registers.
        scope: Scope,
    },
    /// A unit refuses its registers.
    #[error("{unit} {scope}: {source}")]
    Intake {
        /// The unit.
        unit: Name,
        /// Whose registers.
        scope: Scope,
        /// Why.
        source: IntakeError,
    },
    /// A board's slot has a device that this version does not know.
    #[error("slot {slot} has virtio device {found}, unknown to this version; use a newer one")]
    VirtioDevice {
        /// The slot.
        slot: u32,
        /// The device's number.
        found: u32,
    },
    /// A disk cannot be used.
    #[error("virtio-blk dev{slot}: {source}")]
    Disk {
        /// The slot.
        slot: u32,
        /// Why.
        source: DiskError,
    },
    /// A disk has another size than the guest was told.
    #[error(
        "virtio-blk dev{slot}: disk {} has {found} sectors, the guest's had {saved}; \
         use --disk {slot}=FILE to name the right one",
        path.display()
    )]
    DiskLen {
        /// The slot.
        slot: u32,
        /// The disk.
        path: PathBuf,
        /// Its size, in sectors.
        found: u64,
        /// The size that was saved, in sectors.
        saved: u64,
    },
    /// The snapshot does not tell where a disk is.
    #[error("virtio-blk dev{slot}: the snapshot names no disk for it; use --disk {slot}=FILE")]
    DiskUnknown {
        /// The slot.
        slot: u32,
    },
    /// The snapshot does not tell what a card is plugged into.
    #[error("virtio-net dev{slot}: the snapshot names no network for it; use --net")]
    NetworkUnknown {
        /// The slot.
        slot: u32,
    },
    /// A card cannot be plugged in.
    #[error("virtio-net dev{slot}: {source}; --net names another network")]
    Network {
        /// The slot.
        slot: u32,
        /// Why.
        source: Box<MachineError>,
    },
    /// A network was named for a guest that has no card.
    #[error("--net {network}: the snapshot has no network card")]
    NoCard {
        /// The network.
        network: String,
    },
    /// The snapshot does not tell where programs of the host find the guest's sockets.
    #[error("virtio-vsock dev{slot}: the snapshot names no path for it; use --vsock PATH")]
    VsockUnknown {
        /// The slot.
        slot: u32,
    },
    /// Sockets cannot be opened.
    #[error("virtio-vsock dev{slot}: {source}; --vsock names another path")]
    Vsock {
        /// The slot.
        slot: u32,
        /// Why.
        source: Box<MachineError>,
    },
    /// A path was named for a guest that has no sockets.
    #[error("--vsock {}: the snapshot has no virtio sockets", path.display())]
    NoSockets {
        /// The path.
        path: PathBuf,
    },
    /// A disk was named that the guest does not have.
    #[error("{old}: no disk of the snapshot; it has {has}")]
    NoSuchDisk {
        /// What was named.
        old: String,
        /// The snapshot's disks.
        has: String,
    },
    /// The engine gives all vCPUs one identity, and the guest's have more.
    #[error(
        "identity {vcpu}: its ID registers are not those of vCPU 0, and engine {engine} gives all \
         vCPUs the same; use --engine soft"
    )]
    OwnIdentity {
        /// The first vCPU that is not like vCPU 0.
        vcpu: VcpuId,
        /// The engine's name.
        engine: &'static str,
    },
    /// The file's contract is none, or not this guest's.
    #[error(transparent)]
    Contract(ContractError),
    /// The host has not what the guest cannot miss, or did not take it.
    #[error(
        "the guest cannot go to engine {engine} on this host, for {} registers:{steps}",
        steps.0.len()
    )]
    Plan {
        /// The engine's name.
        engine: &'static str,
        /// Each register, with what was saved.
        steps: Refusals,
    },
    /// A register that every CPU has is missing.
    #[error("{unit} {scope}: {name} ({id}) is missing; the file is not complete")]
    MissingRegister {
        /// The unit.
        unit: Name,
        /// Whose registers.
        scope: Scope,
        /// The register's name in its specification.
        name: String,
        /// The register.
        id: RegId,
    },
    /// The engine refuses a register.
    #[error("{unit} {scope}: {name}: {source}")]
    Register {
        /// The unit.
        unit: Name,
        /// Whose registers.
        scope: Scope,
        /// The register's name in its specification.
        name: String,
        /// Why.
        source: abide_reg::RegError,
    },
    /// A register holds something else than was written.
    #[error(
        "{unit} {scope}: {name} ({id}): {written} was written, {found} is read back; this host \
         cannot keep the guest's ABI"
    )]
    Readback {
        /// The unit.
        unit: Name,
        /// Whose registers.
        scope: Scope,
        /// The register's name in its specification.
        name: String,
        /// The register.
        id: RegId,
        /// What was written.
        written: Value,
        /// What it holds.
        found: Value,
    },
    /// RAM is not in the memory file as it was saved.
    #[error(transparent)]
    MemoryFile(#[from] MemoryFileError),
    /// The machine could not be made.
    #[error(transparent)]
    Machine(#[from] MachineError),
}
