//! The devices that arguments ask for.

use crate::cli::{DeviceArgs, ElsewhereArgs, NetArg};
use abide_machine::devices::virtio::{DiskConfig, NetCardConfig, VirtioConfig, VsockConfig};
use abide_machine::restore::{DiskChange, Elsewhere};
use abide_net::MacAddress;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// The virtio devices, slot by slot: disks first, so that the first disk is in the first slot.
pub fn virtio(args: &DeviceArgs, deterministic: bool, name: &str) -> Result<Vec<VirtioConfig>> {
    let mut devices = Vec::new();
    for disk in &args.disks {
        // A restore may have another working directory.
        let path = std::path::absolute(&disk.path)
            .with_context(|| format!("disk {}", disk.path.display()))?;
        devices.push(VirtioConfig::Block(DiskConfig { path, ..disk.clone() }));
    }
    if args.rng {
        devices.push(VirtioConfig::Rng);
    }
    if args.virtio_rtc {
        devices.push(VirtioConfig::Rtc { shares_page: args.virtio_rtc_page });
    }
    if args.virtio_console {
        devices.push(VirtioConfig::Console);
    }
    if let Some(NetArg { network, mac }) = &args.net {
        let mac = mac.unwrap_or_else(|| birth_address(deterministic, name));
        devices.push(VirtioConfig::Net(NetCardConfig { network: network.clone(), mac }));
    }
    if let Some(VsockConfig { path, cid }) = &args.vsock {
        let path = full_vsock(path)?;
        devices.push(VirtioConfig::Vsock(VsockConfig { path, cid: *cid }));
    }
    Ok(devices)
}

fn full_vsock(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("vsock {}", path.display()))
}

/// A card's address where none is given: another for each name, so that guests on one network do
/// not share it; the same in every run that can be repeated, whatever its name.
fn birth_address(deterministic: bool, name: &str) -> MacAddress {
    const REPEATABLE_SEED: u32 = 0x00e0_1dab;
    let seed = if deterministic { REPEATABLE_SEED } else { crc32c::crc32c(name.as_bytes()) };
    MacAddress::of_seed(seed)
}

/// What is elsewhere than when the guest was saved.
pub fn elsewhere(args: &ElsewhereArgs) -> Result<Elsewhere> {
    let network = match &args.net {
        Some(NetArg { mac: Some(mac), .. }) => {
            bail!("mac={mac}: a restored card keeps the address it was born with")
        }
        Some(NetArg { network, mac: None }) => Some(network.clone()),
        None => None,
    };
    let vsock = args.vsock.as_deref().map(full_vsock).transpose()?;
    Ok(Elsewhere { disks: changes(&args.disks)?, network, vsock, memory_file: None })
}

/// Disks that are elsewhere now, by slot or by the full path that snapshots hold.
fn changes(changes: &[DiskChange]) -> Result<Vec<DiskChange>> {
    let full =
        |path: &Path| std::path::absolute(path).with_context(|| format!("disk {}", path.display()));
    let with_full_paths = changes.iter().map(|DiskChange { old, new }| {
        let is_slot = old.bytes().all(|byte| byte.is_ascii_digit());
        let path = if is_slot { None } else { full(Path::new(old))?.to_str().map(str::to_owned) };
        Ok(DiskChange { old: path.unwrap_or_else(|| old.clone()), new: full(new)? })
    });
    with_full_paths.collect()
}
