//! `guest-driver`: drivers that Debian does not build for a kernel, built as modules against the
//! headers of the kernel's very release: Linux' own, unchanged, from Debian's kernel source, and
//! ours.

use super::apt::Suite;
use super::{alone, kernel};
use crate::{paths, process};
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The series whose source drivers are taken from: the first that has them all.
const SOURCE_SERIES: &str = "7.2";
/// What the kernel's build is told. Debian's compiler for these kernels is newer than the machine's
/// own, and its options are in the configuration; what they do concerns no interface of a module.
const OPTIONS: [&str; 5] = [
    "ARCH=arm64",
    "CROSS_COMPILE=aarch64-linux-gnu-",
    "CC=aarch64-linux-gnu-gcc",
    "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=",
    "CONFIG_DEBUG_INFO_BTF_MODULES=",
];

/// A driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Driver {
    /// Of the clock device of virtio
    VirtioRtc,
    /// Of the clock page, for kernels before 6.13: one of abide's own
    VmclockPage,
}

impl Driver {
    const fn name(self) -> &'static str {
        match self {
            Self::VirtioRtc => "virtio_rtc",
            Self::VmclockPage => "vmclock_page",
        }
    }

    /// Its files in the kernel's source, and where they go in the module's folder.
    const fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::VirtioRtc => &[
                ("drivers/virtio/virtio_rtc_driver.c", "virtio_rtc_driver.c"),
                ("drivers/virtio/virtio_rtc_ptp.c", "virtio_rtc_ptp.c"),
                ("drivers/virtio/virtio_rtc_arm.c", "virtio_rtc_arm.c"),
                ("drivers/virtio/virtio_rtc_internal.h", "virtio_rtc_internal.h"),
                ("include/uapi/linux/virtio_rtc.h", "include/uapi/linux/virtio_rtc.h"),
            ],
            Self::VmclockPage => {
                &[("include/uapi/linux/vmclock-abi.h", "include/uapi/linux/vmclock-abi.h")]
            }
        }
    }

    /// Its source, if it is ours.
    fn own_source(self) -> Result<Option<Vec<u8>>> {
        if self != Self::VmclockPage {
            return Ok(None);
        }
        let path = paths::root().join("guests/drivers").join(self.name()).with_extension("c");
        Ok(Some(fs::read(&path).with_context(|| format!("reading {path:?}"))?))
    }

    /// What its folder's `Makefile` says.
    const fn makefile(self) -> &'static str {
        match self {
            Self::VirtioRtc => {
                "obj-m := virtio_rtc.o\n\
                 virtio_rtc-y := virtio_rtc_driver.o virtio_rtc_ptp.o virtio_rtc_arm.o\n\
                 ccflags-y := -I$(src)/include \
                 -DCONFIG_VIRTIO_RTC_PTP=1 -DCONFIG_VIRTIO_RTC_ARM=1\n"
            }
            Self::VmclockPage => {
                "obj-m := vmclock_page.o\n\
                 ccflags-y := -I$(src)/include\n"
            }
        }
    }
}

#[derive(clap::Args)]
pub struct Arguments {
    /// The driver
    driver: Driver,
    /// The kernel's series: 6.1, 6.12 or 7.2
    series: String,
}

pub fn task(arguments: &Arguments) -> Result<()> {
    println!("{}", get(arguments.driver, &arguments.series)?.display());
    Ok(())
}

/// The module for a series' kernel, built if it is not there yet.
///
/// # Errors
/// If the archive does not offer headers of the kernel's release, or the build fails.
pub fn get(driver: Driver, series: &str) -> Result<PathBuf> {
    let (package, version) = kernel::origin(series)?;
    let folder = paths::cache()?.join("drivers").join(format!("{package}_{version}"));
    let module = folder.join(format!("{}.ko", driver.name()));
    // Beside a module of ours lies what it was built from.
    let (source, built_from) = (driver.own_source()?, module.with_extension("c"));
    let is_built = module.is_file()
        && source.as_ref().is_none_or(|now| fs::read(&built_from).is_ok_and(|then| then == *now));
    if !is_built {
        fs::create_dir_all(&folder)?;
        let work = tempfile::tempdir_in(&folder)?;
        let built = build(driver, series, work.path())
            .with_context(|| format!("driver {} for kernel {series}", driver.name()))?;
        fs::rename(&built, &module).with_context(|| format!("placing {module:?}"))?;
        source.map_or(Ok(()), |source| fs::write(&built_from, source))?;
    }
    Ok(module)
}

fn build(driver: Driver, series: &str, work: &Path) -> Result<PathBuf> {
    let place = work.join("driver");
    take_source(driver, &place)?;
    fs::write(place.join("Makefile"), driver.makefile())?;
    let headers = unpack_headers(series, &work.join("headers"))?;
    let mut make = Command::new("make");
    make.arg("-C").arg(&headers).arg(format!("M={}", place.display())).args(OPTIONS);
    process::capture(make.arg("modules"))?;
    Ok(place.join(format!("{}.ko", driver.name())))
}

/// Copies a driver's files out of the kernel's source, which is fetched once.
fn take_source(driver: Driver, place: &Path) -> Result<()> {
    let source = source()?;
    for (from, to) in driver.files() {
        let (from, to) = (source.join(from), place.join(to));
        fs::create_dir_all(to.parent().context("a file in a folder")?)?;
        fs::copy(&from, &to).with_context(|| format!("copying {from:?}"))?;
    }
    if let Some(own) = driver.own_source()? {
        fs::write(place.join(driver.name()).with_extension("c"), own)?;
    }
    Ok(())
}

/// The parts of the kernel's source that drivers are in.
fn source() -> Result<PathBuf> {
    let package = format!("linux-source-{SOURCE_SERIES}");
    let folder = paths::cache()?.join("drivers").join(&package);
    alone(&folder, || if folder.is_dir() { Ok(()) } else { fetch_source(&package, &folder) })?;
    Ok(folder)
}

fn fetch_source(package: &str, folder: &Path) -> Result<()> {
    let parent = folder.parent().context("a folder in a folder")?;
    let work = tempfile::tempdir_in(parent)?;
    let (suite, _) = kernel::first_with(kernel::suites(SOURCE_SERIES)?, "arm64", package, None)?;
    suite.unpack(package, work.path())?;
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--directory").arg(work.path()).arg("--file");
    tar.arg(work.path().join(format!("usr/src/{package}.tar.xz")));
    for within in ["drivers/ptp", "drivers/virtio", "include/uapi/linux"] {
        tar.arg(format!("{package}/{within}"));
    }
    process::run(&mut tar)?;
    fs::rename(work.path().join(package), folder).with_context(|| format!("placing {folder:?}"))
}

/// Unpacks what modules of a series' kernel are built with; returns the folder to build in.
fn unpack_headers(series: &str, root: &Path) -> Result<PathBuf> {
    let (_, version) = kernel::origin(series)?;
    let release = kernel::release(series)?;
    let common = release.strip_suffix("-arm64").context("a release for arm64")?;
    let suites = kernel::suites(series)?;
    let headers = format!("linux-headers-{release}");
    let (suite, name) = kernel::first_with(suites, "arm64", &headers, Some(&version))?;
    suite.unpack(&headers, root)?;
    suite.unpack(&format!("linux-headers-{common}-common"), root)?;
    // Its programs run here, not there.
    let needs = suite.depends(&headers)?;
    let kbuild = needs.iter().find(|name| name.starts_with("linux-kbuild-"));
    let kbuild = kbuild.with_context(|| format!("{headers} depends on no linux-kbuild"))?;
    let here = Suite::architecture_here()?;
    Suite::open(name, &here)?.unpack(kbuild, root)?;
    let place = root.join("usr/src").join(&headers);
    point_at(root, &place.join("Makefile"))?;
    let scripts = root.join("usr/lib").join(kbuild).join("scripts");
    run_with_libraries_of(name.trim_end_matches("-backports"), &here, &scripts, root)?;
    Ok(place)
}

/// Makes the headers' own paths those of `root`.
fn point_at(root: &Path, makefile: &Path) -> Result<()> {
    let text = fs::read_to_string(makefile).with_context(|| format!("reading {makefile:?}"))?;
    let text = text.replace("/usr/src/", &format!("{}/usr/src/", root.display()));
    fs::write(makefile, text).with_context(|| format!("writing {makefile:?}"))
}

/// The kernel's programs may need a newer C library than this machine has: gives them their own.
fn run_with_libraries_of(suite: &str, here: &str, scripts: &Path, root: &Path) -> Result<()> {
    let library = root.join("library");
    Suite::open(suite, here)?.unpack("libc6", &library)?;
    let loader =
        fs::read_dir(library.join("usr/lib64")).or_else(|_| fs::read_dir(library.join("lib64")));
    let loader = loader.context("libc6 has no loader")?.next().context("libc6 has no loader")??;
    // A link, whose target begins at the root or beside it.
    let name = fs::read_link(loader.path())?.file_name().context("a loader")?.to_owned();
    let folder = find(&library, &name)?;
    let folder = folder.parent().context("a file in a folder")?;
    for program in ["mod/modpost.real-lsb-64", "basic/fixdep"] {
        let path = scripts.join(program);
        let real = path.with_extension("real");
        fs::rename(&path, &real).with_context(|| format!("placing {real:?}"))?;
        let script = format!(
            "#!/bin/sh\nexec {0}/{1} --library-path {0} {2} \"$@\"\n",
            folder.display(),
            name.to_string_lossy(),
            real.display(),
        );
        fs::write(&path, script)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    // It only chooses among others by its own place.
    let modpost = scripts.join("mod/modpost");
    fs::remove_file(&modpost)?;
    std::os::unix::fs::symlink("modpost.real-lsb-64", modpost)?;
    Ok(())
}

/// The file of this name below a folder.
fn find(folder: &Path, name: &std::ffi::OsStr) -> Result<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() == name && entry.file_type()?.is_file() {
                return Ok(entry.path());
            }
        }
    }
    bail!("no {name:?} in {folder:?}")
}
