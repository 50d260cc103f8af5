//! The devices that arguments ask for.

use crate::cli::DeviceArgs;
use abide_machine::devices::virtio::{DiskConfig, VirtioConfig};
use abide_machine::restore::DiskChange;
use anyhow::{Context, Result};
use std::path::Path;

/// The virtio devices, slot by slot: disks first, so that the first disk is in the first slot.
pub fn virtio(args: &DeviceArgs) -> Result<Vec<VirtioConfig>> {
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
    if args.virtio_console {
        devices.push(VirtioConfig::Console);
    }
    Ok(devices)
}

/// Disks that are elsewhere now, by slot or by the full path that snapshots hold.
pub fn changes(changes: &[DiskChange]) -> Result<Vec<DiskChange>> {
    let full =
        |path: &Path| std::path::absolute(path).with_context(|| format!("disk {}", path.display()));
    let with_full_paths = changes.iter().map(|DiskChange { old, new }| {
        let is_slot = old.bytes().all(|byte| byte.is_ascii_digit());
        let path = if is_slot { None } else { full(Path::new(old))?.to_str().map(str::to_owned) };
        Ok(DiskChange { old: path.unwrap_or_else(|| old.clone()), new: full(new)? })
    });
    with_full_paths.collect()
}
