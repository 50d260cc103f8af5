//! Initramfs archives: cpio in its `newc` form `[linux driver-api/early-userspace/buffer-format]`.
//!
//! The same members give the same bytes: times are 0, owners root, inodes counted in order.

use thiserror::Error;

const MAGIC: &str = "070701";
const TRAILER: &str = "TRAILER!!!";
const ALIGN: usize = 4;

const S_IFDIR: u32 = 0o040_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;
const PERMISSIONS: u32 = 0o7777;

/// Why a member cannot be in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CpioError {
    /// The kernel would not create it under this name.
    #[error(
        "cpio member {name:?}: a name is a relative path without empty parts, '.', '..' or NUL"
    )]
    Name {
        /// The name given.
        name: String,
    },
    /// The format has 32 bits for the length.
    #[error("cpio member {name:?}: {found} bytes, at most 4294967295 allowed")]
    Size {
        /// The member's name.
        name: String,
        /// Its length, in bytes.
        found: usize,
    },
}

/// An archive being written.
///
/// ```
/// use abide_testkit::cpio::Archive;
///
/// let mut archive = Archive::new();
/// archive.directory("dev", 0o755)?.character_device("dev/console", 0o600, 5, 1)?;
/// archive.file("init", 0o755, b"\x7fELF")?;
/// assert!(archive.finish().starts_with(b"070701"));
/// # Ok::<(), abide_testkit::cpio::CpioError>(())
/// ```
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    members: u32,
}

/// The fields of a member that differ from one to the next.
struct Member<'a> {
    name: &'a str,
    mode: u32,
    links: u32,
    device: (u32, u32),
    content: &'a [u8],
}

impl Archive {
    /// An archive without members.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a directory with these permissions. Directories stand before what is in them.
    ///
    /// # Errors
    /// [`CpioError`].
    pub fn directory(&mut self, name: &str, permissions: u32) -> Result<&mut Self, CpioError> {
        let mode = S_IFDIR | permissions & PERMISSIONS;
        self.add(&Member { name, mode, links: 2, device: (0, 0), content: &[] })
    }

    /// Adds the node of a character device.
    ///
    /// # Errors
    /// [`CpioError`].
    pub fn character_device(
        &mut self,
        name: &str,
        permissions: u32,
        major: u32,
        minor: u32,
    ) -> Result<&mut Self, CpioError> {
        let mode = S_IFCHR | permissions & PERMISSIONS;
        self.add(&Member { name, mode, links: 1, device: (major, minor), content: &[] })
    }

    /// Adds a file with this content.
    ///
    /// # Errors
    /// [`CpioError`].
    pub fn file(
        &mut self,
        name: &str,
        permissions: u32,
        content: &[u8],
    ) -> Result<&mut Self, CpioError> {
        let mode = S_IFREG | permissions & PERMISSIONS;
        self.add(&Member { name, mode, links: 1, device: (0, 0), content })
    }

    /// Adds a symbolic link to `target`.
    ///
    /// # Errors
    /// [`CpioError`].
    pub fn symlink(&mut self, name: &str, target: &str) -> Result<&mut Self, CpioError> {
        let (mode, content) = (S_IFLNK | 0o777, target.as_bytes());
        self.add(&Member { name, mode, links: 1, device: (0, 0), content })
    }

    /// Ends the archive.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let end = Member { name: TRAILER, mode: 0, links: 1, device: (0, 0), content: &[] };
        self.write(&end, 0, 0);
        self.bytes
    }

    fn add(&mut self, member: &Member) -> Result<&mut Self, CpioError> {
        let parts_fit = member.name.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !parts_fit || member.name.contains('\0') || member.name == TRAILER {
            return Err(CpioError::Name { name: member.name.to_owned() });
        }
        let found = member.content.len();
        let size = u32::try_from(found)
            .map_err(|_| CpioError::Size { name: member.name.to_owned(), found })?;
        self.members += 1;
        self.write(member, self.members, size);
        Ok(self)
    }

    fn write(&mut self, member: &Member, inode: u32, size: u32) {
        let name_size = u32::try_from(member.name.len() + 1).unwrap_or(u32::MAX);
        let (major, minor) = member.device;
        // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor,
        // namesize, check.
        let fields =
            [inode, member.mode, 0, 0, member.links, 0, size, 0, 0, major, minor, name_size, 0];
        self.bytes.extend_from_slice(MAGIC.as_bytes());
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(member.name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(member.content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
    }
}

/// The initramfs of the shipped Linux guest: `init`, and the console's node, which the kernel opens
/// before it starts init.
///
/// # Errors
/// [`CpioError::Size`].
pub fn initramfs(init: &[u8]) -> Result<Vec<u8>, CpioError> {
    let mut archive = Archive::new();
    archive.directory("dev", 0o755)?;
    archive.character_device("dev/console", 0o600, 5, 1)?;
    archive.file("init", 0o755, init)?;
    Ok(archive.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, mode, device, content.
    type Read = (String, u32, (u32, u32), Vec<u8>);

    /// A reader written from the format's description.
    fn read(mut bytes: &[u8]) -> Vec<Read> {
        let mut members = Vec::new();
        loop {
            assert_eq!(&bytes[..6], b"070701");
            let field = |n: usize| {
                let digits = std::str::from_utf8(&bytes[6 + 8 * n..14 + 8 * n]).unwrap();
                u32::from_str_radix(digits, 16).unwrap()
            };
            let name_size = field(11) as usize;
            let size = field(6) as usize;
            let name = String::from_utf8(bytes[110..110 + name_size - 1].to_vec()).unwrap();
            assert_eq!(bytes[110 + name_size - 1], 0);
            let (mode, device) = (field(1), (field(9), field(10)));
            let start = (110 + name_size).next_multiple_of(4);
            let content = bytes[start..start + size].to_vec();
            bytes = &bytes[(start + size).next_multiple_of(4)..];
            if name == "TRAILER!!!" {
                assert_eq!(bytes, b"");
                return members;
            }
            members.push((name, mode, device, content));
        }
    }

    #[test]
    fn initramfs_holds_init_and_the_console() {
        let members = read(&initramfs(b"12345").unwrap());
        assert_eq!(
            members,
            [
                ("dev".to_owned(), 0o040_755, (0, 0), vec![]),
                ("dev/console".to_owned(), 0o020_600, (5, 1), vec![]),
                ("init".to_owned(), 0o100_755, (0, 0), b"12345".to_vec()),
            ]
        );
    }

    #[test]
    fn header_is_the_documented_one() {
        let mut archive = Archive::new();
        archive.file("a", 0o644, b"xyz").unwrap();
        let bytes = archive.finish();
        let expected = concat!(
            "070701", "00000001", "000081A4", "00000000", "00000000", "00000001", "00000000",
            "00000003", "00000000", "00000000", "00000000", "00000000", "00000002", "00000000",
            "a\0", "xyz\0", "070701",
        );
        assert_eq!(std::str::from_utf8(&bytes[..expected.len()]), Ok(expected));
    }

    #[test]
    fn symlink_holds_its_target() {
        let mut archive = Archive::new();
        archive.symlink("bin", "usr/bin").unwrap();
        let expected = ("bin".to_owned(), 0o120_777, (0, 0), b"usr/bin".to_vec());
        assert_eq!(read(&archive.finish()), [expected]);
    }

    #[test]
    fn names_the_kernel_would_not_create_are_refused() {
        for name in ["", "/init", "a//b", "a/", "./a", "../a", "a\0b", "TRAILER!!!"] {
            let refused = Archive::new().file(name, 0o644, b"").map(|_| ());
            assert_eq!(refused, Err(CpioError::Name { name: name.to_owned() }));
        }
    }
}
