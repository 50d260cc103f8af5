//! `guest-debian`: a small Debian for guests, as a RAM disk and as a disk.
//!
//! The packages are unpacked over each other; none of their scripts is run, as those are programs
//! for arm64 and this machine may be another. What the scripts would have done and a small system
//! needs stands in [`settle`].

use super::apt::Suite;
use super::{alone, kernel, modules};
use crate::cpio::Archive;
use crate::{paths, process};
use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What every root has: a system that can be worked in, and what the checks in
/// `guests/userland` are about.
const BASE: [&str; 23] = [
    "base-files",
    "base-passwd",
    "bash",
    "bc",
    "coreutils",
    "dash",
    "diffutils",
    "findutils",
    "grep",
    "gzip",
    "kmod",
    "libc-bin",
    "libc6-dev",
    "mawk",
    "mount",
    "openssl",
    "procps",
    "sed",
    "sqlite3",
    "tar",
    "tcc",
    "util-linux",
    "xz-utils",
];

/// What `--with` adds.
const SETS: [(&str, &[&str]); 5] = [
    ("gcc", &["gcc"]),
    ("net", &["iproute2", "iputils-ping", "ca-certificates", "curl"]),
    ("python", &["python3"]),
    ("python-tests", &["python3", "libpython3.11-testsuite"]),
    ("systemd", &["systemd", "systemd-sysv", "udev", "dbus"]),
];

/// Below the root, and in no guest of use.
const LEFT_OUT: [&str; 9] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/i18n",
    "usr/share/gcc",
    "usr/share/bash-completion",
    "usr/lib/aarch64-linux-gnu/gconv",
];

/// Directories that scripts of packages, or an installer, would have made.
const DIRECTORIES: [(&str, u32); 9] = [
    ("dev", 0o755),
    ("mnt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
];

/// Links that scripts of packages would have made; the first target that is there is taken.
const LINKS: [(&str, &[&str]); 4] = [
    ("usr/bin/awk", &["mawk"]),
    ("usr/bin/cc", &["gcc", "tcc"]),
    ("usr/bin/sh", &["dash"]),
    ("usr/bin/which", &["which.debianutils"]),
];

/// Files that scripts of packages copy to where they are used.
const COPIES: [(&str, &str); 4] = [
    ("usr/share/base-passwd/passwd.master", "etc/passwd"),
    ("usr/share/base-passwd/group.master", "etc/group"),
    ("usr/share/base-files/profile", "etc/profile"),
    ("usr/share/base-files/dot.bashrc", "root/.bashrc"),
];

/// Counts changes of what is done to unpacked packages, so that older roots are made anew.
const LAYOUT: u32 = 2;

/// Where the guest's own scripts are put.
const SCRIPTS: &str = "usr/lib/abide";

#[derive(clap::Args, Clone)]
pub struct Arguments {
    /// What the root has besides a shell, coreutils, openssl, sqlite3 and tcc
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(SETS.map(|set| set.0)))]
    with: Vec<String>,
    /// A further package, with all that it depends on
    #[arg(long, value_name = "NAME")]
    package: Vec<String>,
    /// The suite that the packages come from
    #[arg(long, default_value = "bookworm")]
    suite: String,
    /// Kernel series that the RAM disk which finds the disk is for
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// Fetch the packages anew
    #[arg(long)]
    refresh: bool,
    /// Print nothing but where this image is
    #[arg(long, value_enum, value_name = "IMAGE")]
    print: Option<Image>,
}

/// An image of a root.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Image {
    /// The RAM disk with all of it
    Ram,
    /// The ext4 disk with all of it
    Disk,
    /// The small RAM disk that finds the disk
    Boot,
}

impl Arguments {
    /// The root with these sets, for a kernel series.
    pub fn new(with: &[String], series: &str) -> Self {
        Self {
            with: with.to_vec(),
            package: Vec::new(),
            suite: "bookworm".into(),
            kernel: series.to_owned(),
            refresh: false,
            print: None,
        }
    }
}

/// What was made.
pub struct Images {
    /// The whole root as a RAM disk.
    pub initramfs: PathBuf,
    /// The whole root as an ext4 file system.
    pub disk: PathBuf,
    /// The RAM disk that finds the disk, and goes on there.
    pub boot: PathBuf,
}

impl Images {
    fn place(&self, image: Image) -> &Path {
        match image {
            Image::Ram => &self.initramfs,
            Image::Disk => &self.disk,
            Image::Boot => &self.boot,
        }
    }
}

pub fn task(arguments: &Arguments) -> Result<()> {
    let images = make(arguments)?;
    if let Some(image) = arguments.print {
        println!("{}", images.place(image).display());
        return Ok(());
    }
    for image in [&images.initramfs, &images.disk, &images.boot] {
        println!("{:>4} MiB  {}", fs::metadata(image)?.len() >> 20, image.display());
    }
    show_use(&kernel::get(&arguments.kernel)?, &images);
    Ok(())
}

fn show_use(kernel: &Path, images: &Images) {
    println!(
        "\nAll of it in RAM:\n  abide run --cpu portable --memory 1G --append console=ttyAMA0 \
         \\\n    --kernel {} \\\n    --initrd {}",
        kernel.display(),
        images.initramfs.display()
    );
    println!(
        "On a disk, which the guest writes:\n  abide run --cpu portable --memory 512M \
         --append 'console=ttyAMA0 root=/dev/vda' \\\n    --kernel {} \\\n    --initrd {} \\\n    \
         --disk {}",
        kernel.display(),
        images.boot.display(),
        images.disk.display()
    );
    println!(
        "The same in QEMU:\n  qemu-system-aarch64 -M virt,gic-version=3 -cpu cortex-a57 -m 512M \
         -nographic \\\n    -kernel {} \\\n    -initrd {} \\\n    \
         -append 'console=ttyAMA0 root=/dev/vda' -device virtio-blk-device,drive=d \\\n    \
         -drive if=none,id=d,format=raw,file={}",
        kernel.display(),
        images.boot.display(),
        images.disk.display()
    );
}

/// Makes the images; the packages are fetched once.
///
/// # Errors
/// If packages cannot be fetched or a program that packs is not there.
pub fn make(arguments: &Arguments) -> Result<Images> {
    let folder = paths::cache()?.join("debian").join(folder_name(arguments)?);
    alone(&folder, || make_in(&folder, arguments))
}

fn make_in(folder: &Path, arguments: &Arguments) -> Result<Images> {
    let tree = folder.join("tree");
    let wanted = format!("layout {LAYOUT}\n{}\n", packages(arguments).join("\n"));
    let is_there = is_written(&folder.join("wanted.txt"), &wanted) && tree.is_dir();
    if arguments.refresh || !is_there {
        fetch(arguments, folder, &tree)?;
        fs::write(folder.join("wanted.txt"), &wanted)?;
    }
    let images = Images {
        initramfs: folder.join("initramfs.cpio.gz"),
        disk: folder.join("disk.ext4"),
        boot: folder.join(format!("boot-{}.cpio.gz", arguments.kernel)),
    };
    place_compressed(&images.boot, &boot_archive(&arguments.kernel)?)?;
    // Packing takes longer than many a guest's life; a disk that a guest has written is made anew.
    let made = folder.join("made.txt");
    let recipe = wanted + &recipe(folder)?;
    let is_packed = images.initramfs.is_file() && is_unwritten(&images.disk, &made);
    if !is_packed || !is_written(&made, &recipe) {
        install_scripts(&tree)?;
        place_compressed(&images.initramfs, &archive(&tree)?)?;
        make_disk(&tree, &images.disk)?;
        fs::write(&made, recipe).with_context(|| format!("writing {made:?}"))?;
    }
    Ok(images)
}

fn is_written(file: &Path, content: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|there| there == content)
}

/// Whether `disk` was last written before `made` was.
fn is_unwritten(disk: &Path, made: &Path) -> bool {
    let written = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    written(disk).zip(written(made)).is_some_and(|(disk, made)| disk <= made)
}

/// All that images are made of: the packages, and the scripts to their last letter.
fn recipe(folder: &Path) -> Result<String> {
    let packages = folder.join("packages.txt");
    let mut recipe =
        fs::read_to_string(&packages).with_context(|| format!("reading {packages:?}"))?;
    describe(&paths::root().join("guests/userland"), &mut recipe)?;
    Ok(recipe)
}

fn describe(folder: &Path, recipe: &mut String) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {folder:?}"))?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_type()?.is_dir() {
            describe(&entry.path(), recipe)?;
        } else {
            let content = fs::read(entry.path())?;
            let name = entry.file_name();
            let text = String::from_utf8_lossy(&content);
            writeln!(recipe, "{}:\n{text}", name.to_string_lossy())?;
        }
    }
    Ok(())
}

/// The same choice gives the same name; what it is made of stands in `packages.txt` there.
fn folder_name(arguments: &Arguments) -> Result<String> {
    let mut parts: Vec<&str> =
        arguments.with.iter().chain(&arguments.package).map(String::as_str).collect();
    parts.sort_unstable();
    parts.dedup();
    parts.insert(0, &arguments.suite);
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.');
    if let Some(bad) = parts.iter().find(|part| part.is_empty() || !part.chars().all(good)) {
        bail!("{bad:?} is no name of a suite or package");
    }
    Ok(parts.join("_"))
}

fn packages(arguments: &Arguments) -> Vec<&str> {
    let chosen = SETS.iter().filter(|(name, _)| arguments.with.iter().any(|with| with == name));
    let further = arguments.package.iter().map(String::as_str);
    BASE.into_iter().chain(chosen.flat_map(|(_, set)| set.iter().copied())).chain(further).collect()
}

fn fetch(arguments: &Arguments, folder: &Path, tree: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {folder:?}"))?;
    let work = tempfile::tempdir_in(folder)?;
    let new = work.path().join("tree");
    // Everything is below /usr; packages of bookworm still name the old places.
    for place in ["bin", "sbin", "lib"] {
        fs::create_dir_all(new.join("usr").join(place))?;
        symlink(format!("usr/{place}"), new.join(place))?;
    }
    fs::set_permissions(&new, Permissions::from_mode(0o755))?;
    let suite = Suite::open(&arguments.suite, "arm64")?;
    let archives = suite.unpack_whole(&packages(arguments), &new)?;
    settle(&new)?;
    fs::write(folder.join("packages.txt"), archives.join("\n") + "\n")?;
    if tree.exists() {
        fs::rename(tree, work.path().join("old"))?;
    }
    fs::rename(&new, tree).with_context(|| format!("placing {tree:?}"))
}

/// Does what is left to the scripts of packages and to installers, and takes out what no guest
/// needs.
fn settle(tree: &Path) -> Result<()> {
    for path in LEFT_OUT {
        let path = tree.join(path);
        if path.is_dir() {
            fs::remove_dir_all(&path).with_context(|| format!("removing {path:?}"))?;
        }
    }
    for (path, mode) in DIRECTORIES {
        let path = tree.join(path);
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
    }
    for (master, copy) in COPIES {
        let master = tree.join(master);
        fs::copy(&master, tree.join(copy)).with_context(|| format!("copying {master:?}"))?;
    }
    for (link, targets) in LINKS {
        let link = tree.join(link);
        let folder = link.parent().context("a link in a folder")?;
        let target = targets.iter().find(|target| folder.join(target).exists());
        if let (Some(target), Err(_)) = (target, fs::symlink_metadata(&link)) {
            symlink(target, &link).with_context(|| format!("linking {link:?}"))?;
        }
    }
    fs::write(tree.join("etc/hostname"), "guest\n")?;
    fs::write(tree.join("etc/hosts"), "127.0.0.1 localhost guest\n")?;
    fs::write(tree.join("etc/fstab"), "")?;
    // Empty: systemd makes one up at the first boot.
    fs::write(tree.join("etc/machine-id"), "")?;
    Ok(())
}

/// Puts `guests/userland` into the root, and `init` where kernels look for it.
fn install_scripts(tree: &Path) -> Result<()> {
    let place = tree.join(SCRIPTS);
    if place.is_dir() {
        fs::remove_dir_all(&place)?;
    }
    copy_scripts(&paths::root().join("guests/userland"), &place)?;
    let init = tree.join("init");
    if fs::symlink_metadata(&init).is_ok() {
        fs::remove_file(&init)?;
    }
    symlink(format!("{SCRIPTS}/init"), &init)?;
    let sbin = tree.join("usr/sbin/init");
    if fs::symlink_metadata(&sbin).is_err() {
        symlink(format!("/{SCRIPTS}/init"), &sbin)?;
    }
    let units = place.join("systemd");
    let services = tree.join("etc/systemd/system");
    if !tree.join("usr/lib/systemd/systemd").exists() || !units.is_dir() {
        return Ok(());
    }
    let wanted = services.join("multi-user.target.wants");
    fs::create_dir_all(&wanted)?;
    // Two programs cannot read one terminal, and nobody has a password to log in with.
    let getty = services.join("serial-getty@ttyAMA0.service");
    if fs::symlink_metadata(&getty).is_err() {
        symlink("/dev/null", &getty)?;
    }
    for entry in fs::read_dir(&units)? {
        let name = entry?.file_name();
        for folder in [&services, &wanted] {
            let link = folder.join(&name);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new("/").join(SCRIPTS).join("systemd").join(&name), &link)?;
            }
        }
    }
    Ok(())
}

/// Copies a folder of scripts; what a script is by its first line may be executed.
fn copy_scripts(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {from:?}"))? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_scripts(&entry.path(), &place)?;
            continue;
        }
        let content = fs::read(entry.path())?;
        let mode = if content.starts_with(b"#!") { 0o755 } else { 0o644 };
        fs::write(&place, content)?;
        fs::set_permissions(&place, Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// The tree as an initramfs, owned by root.
fn archive(tree: &Path) -> Result<Vec<u8>> {
    let mut archive = Archive::new();
    add_folder(&mut archive, tree, "")?;
    // The kernel opens it before it starts init.
    archive.character_device("dev/console", 0o600, 5, 1)?;
    Ok(archive.finish())
}

fn add_folder(archive: &mut Archive, tree: &Path, name: &str) -> Result<()> {
    let mut entries = fs::read_dir(tree.join(name))?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let last = entry.file_name();
        let last = last.to_str().with_context(|| format!("{path:?} has a name of no text"))?;
        let name = if name.is_empty() { last.to_owned() } else { format!("{name}/{last}") };
        let data = fs::symlink_metadata(&path)?;
        if data.is_dir() {
            archive.directory(&name, data.mode())?;
            add_folder(archive, tree, &name)?;
        } else if data.is_symlink() {
            let target = fs::read_link(&path)?;
            let target = target.to_str().with_context(|| format!("{path:?} leads to no text"))?;
            archive.symlink(&name, target)?;
        } else if data.is_file() {
            let content = fs::read(&path).with_context(|| format!("reading {path:?}"))?;
            archive.file(&name, data.mode(), &content)?;
        } else {
            bail!("{path:?} is no file, folder or link");
        }
    }
    Ok(())
}

/// The RAM disk that loads what the disk needs and goes on there.
fn boot_archive(series: &str) -> Result<Vec<u8>> {
    let script = paths::root().join("guests/userland/boot");
    let script = fs::read(&script).with_context(|| format!("reading {script:?}"))?;
    let mut archive = Archive::new();
    for folder in ["bin", "dev", "modules", "proc", "root", "sys"] {
        archive.directory(folder, 0o755)?;
    }
    archive.character_device("dev/console", 0o600, 5, 1)?;
    archive.file("bin/busybox", 0o755, &fs::read(kernel::busybox()?)?)?;
    archive.symlink("bin/sh", "busybox")?;
    archive.file("init", 0o755, &script)?;
    for (at, module) in modules::get(series)?.iter().enumerate() {
        let name = format!("modules/{at:02}-{}.ko", module.name);
        archive.file(&name, 0o644, &module.content)?;
    }
    Ok(archive.finish())
}

/// Compresses `content` and puts it at `place` in one step.
fn place_compressed(place: &Path, content: &[u8]) -> Result<()> {
    let folder = place.parent().context("a file in a folder")?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    let mut encoder = GzEncoder::new(&mut file, Compression::fast());
    encoder.write_all(content)?;
    encoder.finish()?;
    file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    file.persist(place).with_context(|| format!("placing {place:?}"))?;
    Ok(())
}

/// The tree as an ext4 file system with half as much again free, owned by root.
fn make_disk(tree: &Path, place: &Path) -> Result<()> {
    const MIB: u64 = 1 << 20;
    let folder = place.parent().context("a file in a folder")?;
    let work = tempfile::tempdir_in(folder)?;
    let image = work.path().join("disk");
    let mut names = Vec::new();
    let bytes = measure(tree, "", &mut names)?;
    File::create(&image)?.set_len((bytes / 2 * 3).next_multiple_of(MIB) + 64 * MIB)?;
    let mut format = Command::new(program("mke2fs")?);
    format.args([
        "-q",
        "-F",
        "-t",
        "ext4",
        "-b",
        "4096",
        "-L",
        "guest",
        "-E",
        "root_owner=0:0",
        "-d",
    ]);
    process::capture(format.arg(tree).arg(&image))?;
    if fs::metadata(tree)?.uid() != 0 {
        own_by_root(&image, &names, work.path())?;
    }
    fs::rename(&image, place).with_context(|| format!("placing {place:?}"))
}

/// How many bytes files take in blocks of 4096, with one block for each name.
fn measure(tree: &Path, name: &str, names: &mut Vec<String>) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(tree.join(name))? {
        let entry = entry?;
        let last = entry.file_name();
        let last = last.to_string_lossy();
        let name = if name.is_empty() { last.into_owned() } else { format!("{name}/{last}") };
        let data = entry.metadata()?;
        bytes += 4096 + data.len().next_multiple_of(4096);
        if data.is_dir() {
            bytes += measure(tree, &name, names)?;
        }
        names.push(name);
    }
    Ok(bytes)
}

/// `mke2fs` copies owners from the tree, which are the user's unless root made it.
fn own_by_root(image: &Path, names: &[String], work: &Path) -> Result<()> {
    let mut script = String::new();
    for name in names {
        ensure!(!name.contains(['"', '\n']), "{name:?} cannot be given to debugfs");
        for field in ["uid", "gid"] {
            writeln!(script, "set_inode_field \"/{name}\" {field} 0")?;
        }
    }
    let commands = work.join("commands");
    fs::write(&commands, script)?;
    let mut debugfs = Command::new(program("debugfs")?);
    process::capture(debugfs.arg("-w").arg("-f").arg(&commands).arg(image))?;
    Ok(())
}

/// A program of e2fsprogs, which not every user has in the search path.
///
/// # Errors
/// If it is not there.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let mut places = folders.map(|folder| folder.join(name));
    places
        .find(|place| place.is_file())
        .with_context(|| format!("{name} is not there; install the package e2fsprogs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(with: &[&str], package: &[&str]) -> Arguments {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Arguments { with: owned(with), package: owned(package), ..Arguments::new(&[], "6.12") }
    }

    #[test]
    fn choice_names_the_folder_and_cannot_leave_it() {
        let name = folder_name(&arguments(&["systemd", "gcc"], &["g++"]));
        assert_eq!(name.expect("a good name"), "bookworm_g++_gcc_systemd");
        for bad in ["", "..//x", "a b", "x/../y"] {
            assert!(folder_name(&arguments(&[], &[bad])).is_err(), "{bad}");
        }
    }

    #[test]
    fn sets_add_their_packages() {
        let with = arguments(&["gcc"], &["vim"]);
        let packages = packages(&with);
        assert!(packages.contains(&"gcc") && packages.contains(&"vim"));
        assert!(packages.contains(&"sqlite3") && !packages.contains(&"systemd"));
    }

    #[test]
    fn tree_is_packed_with_links_and_modes() {
        let tree = tempfile::tempdir().expect("a folder");
        fs::create_dir(tree.path().join("dev")).expect("made");
        fs::write(tree.path().join("dev/file"), "text").expect("written");
        symlink("dev/file", tree.path().join("link")).expect("linked");
        let bytes = archive(tree.path()).expect("packed");
        let text = String::from_utf8_lossy(&bytes);
        let at = |name: &str| text.find(name).unwrap_or_else(|| panic!("{name} is not there"));
        assert!(at("dev\0") < at("dev/file\0") && at("dev/file\0") < at("dev/console\0"));
        assert!(text.contains("000081A4") && text.contains("0000A1FF"));
        let mut names = Vec::new();
        assert_eq!(measure(tree.path(), "", &mut names).expect("measured") % 4096, 0);
        names.sort();
        assert_eq!(names, ["dev", "dev/file", "link"]);
    }
}
