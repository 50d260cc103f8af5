//! The committed guests are what the loader and the tests take them for.

use abide_testkit::cpio;
use std::path::{Path, PathBuf};

fn shipped(name: &str) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../guests/bin", name].iter().collect();
    read(&path)
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap_or_default())
}

#[test]
fn initramfs_holds_the_shipped_init() {
    // Compared as a whole, but not printed as one.
    let expected = cpio::initramfs(&shipped("init")).expect("the init fits");
    assert!(shipped("initramfs.cpio") == expected, "pack it anew, as guests/README.md says");
}

#[test]
fn init_is_a_static_arm64_program() {
    let init = shipped("init");
    assert_eq!(init[..7], *b"\x7fELF\x02\x01\x01");
    // e_type ET_EXEC, e_machine EM_AARCH64.
    assert_eq!(init[16..20], [2, 0, 183, 0]);
    // No PT_INTERP (3) and no PT_DYNAMIC (2) among its program headers of 56 bytes.
    let (start, count) = (u64_at(&init, 32), u64_at(&init, 56) & 0xffff);
    assert!(count > 0);
    for header in 0..count {
        let at = usize::try_from(start + 56 * header).expect("inside the file");
        assert!(!matches!(init[at], 2 | 3), "program header {header} is of type {}", init[at]);
    }
}

#[test]
fn images_ask_for_the_memory_that_the_readme_says() {
    let images = [("shell.img", 4), ("demo.img", 18), ("abi.img", 4), ("pmu.img", 4)];
    for (name, memory_mib) in images {
        let image = shipped(name);
        assert_eq!(image[56..60], *b"ARMd", "{name}");
        assert_eq!(u64_at(&image, 8), 0, "{name}: text_offset");
        assert_eq!(u64_at(&image, 16), memory_mib << 20, "{name}: image_size");
        assert_eq!(u64_at(&image, 24), 0xa, "{name}: flags");
        assert!(image.len() < 64 << 10, "{name}: {} bytes", image.len());
    }
}

#[test]
fn shipped_bytes_name_no_place_of_the_machine_that_built_them() {
    for name in ["shell.img", "demo.img", "abi.img", "pmu.img", "init"] {
        let bytes = shipped(name);
        for trace in [&b"/rustc/"[..], b"/target/", b".cargo", b".rs"] {
            let found = bytes.windows(trace.len()).any(|window| window == trace);
            assert!(!found, "{name} holds {:?}", String::from_utf8_lossy(trace));
        }
    }
}
