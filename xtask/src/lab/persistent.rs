//! Persistent memory for a host: half of its RAM, which its kernel is told is none of its own. The
//! device tree says so, and every kernel that is started over a kexec reads the same one.

use super::host::{Besides, Host, option};
use crate::debian::root;
use crate::process;
use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Where it begins: in the middle of the 2 GiB of a host's RAM, which begin at 1 GiB.
const START_GPA: u64 = 2 << 30;
/// Its length in bytes.
const LEN: u64 = 1 << 30;
/// Where it begins in the file behind RAM, in bytes.
const FILE_OFFSET: u64 = 1 << 30;
/// RAM, in bytes.
const RAM_LEN: u64 = 2 << 30;

/// What the kernel is told: the rest is its RAM.
pub const APPEND: &str = "mem=1G";

/// Makes, in `folder`, what gives `host` persistent memory, with a file system of what is in
/// `content` on it.
///
/// # Errors
/// If the file system or the device tree cannot be made.
pub fn besides(host: &Host, folder: &Path, content: &Path) -> Result<Besides> {
    let ram = folder.join("ram");
    fs::File::create(&ram)?.set_len(RAM_LEN)?;
    let mut format = Command::new(root::program("mke2fs")?);
    format.args(["-q", "-t", "ext4", "-b", "4096", "-O", "^has_journal"]);
    format.arg("-E").arg(format!("offset={FILE_OFFSET}")).arg("-d").arg(content);
    process::capture(format.arg(&ram).arg(format!("{}M", LEN >> 20)))?;
    let backend = format!("memory-backend-file,id=ram,size={RAM_LEN},share=on,mem-path=");
    let mut besides = Besides {
        // An ITS would go on writing to tables of a kernel that is gone.
        machine: ",its=off,memory-backend=ram".to_owned(),
        arguments: vec!["-object".into(), format!("{backend}{}", option(&ram)).into()],
        append: APPEND.to_owned(),
        has_modules: false,
    };
    let tree = folder.join("tree");
    fs::write(&tree, with_region(&shipped_tree(host, folder, &besides)?, START_GPA, LEN)?)?;
    besides.arguments.extend([OsString::from("-dtb"), tree.into()]);
    Ok(besides)
}

/// The device tree that QEMU makes for such a host.
fn shipped_tree(host: &Host, folder: &Path, besides: &Besides) -> Result<Vec<u8>> {
    let file = folder.join("shipped");
    let machine = format!("{},dumpdtb={}", besides.machine, option(&file));
    let mut qemu = host.hardware(&Besides {
        machine,
        arguments: besides.arguments.clone(),
        append: String::new(),
        has_modules: false,
    });
    process::capture(&mut qemu).context("QEMU; `cargo xtask setup` installs it")?;
    fs::read(&file).context("QEMU wrote no device tree")
}

/// Each number of the header `[Devicetree 5.2]`.
const NUMBER_LEN: usize = 4;
/// The header, in bytes: ten numbers.
const HEADER_LEN: usize = 40;
const MAGIC: u32 = 0xd00d_feed;
/// Tokens of the structure block `[Devicetree 5.4.1]`.
const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const END: u32 = 9;

/// The tree with a node of persistent memory at the end of its root
/// `[linux Documentation/devicetree/bindings/pmem/pmem-region.txt]`.
fn with_region(tree: &[u8], start_gpa: u64, len: u64) -> Result<Vec<u8>> {
    let number = |at: usize| -> Result<usize> {
        let bytes = tree.get(at * NUMBER_LEN..).and_then(|rest| rest.first_chunk());
        let number = u32::from_be_bytes(*bytes.context("the device tree has no whole header")?);
        Ok(usize::try_from(number)?)
    };
    ensure!(number(0)? == usize::try_from(MAGIC)?, "no device tree");
    let block = |start: usize, len: usize| -> Result<&[u8]> {
        let end = start.checked_add(len).context("a block of the device tree is too long")?;
        tree.get(start..end).context("a block of the device tree is not there")
    };
    let structure = block(number(2)?, number(9)?)?;
    let strings = block(number(3)?, number(8)?)?;
    let end = [END_NODE.to_be_bytes(), END.to_be_bytes()].concat();
    let inner = structure.strip_suffix(&*end).context("the device tree's root does not end")?;
    // Nothing is reserved: one entry of zeros.
    ensure!(block(number(4)?, 16)? == [0; 16], "the device tree reserves memory");

    let mut node = BEGIN_NODE.to_be_bytes().to_vec();
    node.extend(padded(format!("pmem@{start_gpa:x}\0").as_bytes()));
    let names = b"compatible\0reg\0";
    let range = [start_gpa.to_be_bytes(), len.to_be_bytes()].concat();
    for (name_at, value) in [(0, &b"pmem-region\0"[..]), (11, &range)] {
        for number in [PROP, u32::try_from(value.len())?, u32::try_from(strings.len() + name_at)?] {
            node.extend(number.to_be_bytes());
        }
        node.extend(padded(value));
    }
    node.extend(END_NODE.to_be_bytes());

    let structure = [inner, &node, &end].concat();
    let strings = [strings, names].concat();
    let reserved_at = HEADER_LEN;
    let structure_at = reserved_at + 16;
    let strings_at = structure_at + structure.len();
    let total_len = strings_at + strings.len();
    let mut new = Vec::with_capacity(total_len);
    for number in [
        usize::try_from(MAGIC)?,
        total_len,
        structure_at,
        strings_at,
        reserved_at,
        number(5)?,
        number(6)?,
        number(7)?,
        strings.len(),
        structure.len(),
    ] {
        new.extend(u32::try_from(number)?.to_be_bytes());
    }
    Ok([new, vec![0; 16], structure, strings].concat())
}

/// With zeros up to the next token.
fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(NUMBER_LEN), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with one property, `a` = 7, as a tool would write it.
    fn tree() -> Vec<u8> {
        let structure = [1_u32, 0, 3, 4, 0, 7, 2, 9].map(u32::to_be_bytes).concat();
        let header = [MAGIC, 90, 56, 88, 40, 17, 16, 0, 2, 32].map(u32::to_be_bytes).concat();
        [header, vec![0; 16], structure, b"a\0".to_vec()].concat()
    }

    #[test]
    fn region_is_the_last_node_of_the_root() {
        let made = with_region(&tree(), 0x8000_0000, 0x4000_0000).expect("a good tree");
        let structure = [
            &[1_u32, 0, 3, 4, 0, 7, 1].map(u32::to_be_bytes).concat()[..],
            b"pmem@80000000\0\0\0",
            &[3_u32, 12, 2].map(u32::to_be_bytes).concat(),
            b"pmem-region\0",
            &[3_u32, 16, 13, 0, 0x8000_0000, 0, 0x4000_0000, 2, 2, 9]
                .map(u32::to_be_bytes)
                .concat(),
        ]
        .concat();
        assert_eq!(made[56..][..structure.len()], structure);
        assert_eq!(made[56 + structure.len()..], *b"a\0compatible\0reg\0");
        assert_eq!(made[4..8], u32::try_from(made.len()).expect("short").to_be_bytes());
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let good = tree();
        for end in 0..good.len() {
            assert!(with_region(&good[..end], 0, 0).is_err(), "{end}");
        }
        for at in [0, 8, 12, 36, 40, 84] {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            assert!(with_region(&bad, 0, 0).is_err(), "{at}");
        }
    }
}
