use super::*;
use crate::board::RAM_BASE;
use std::io::Write;

const MIB: u64 = 1 << 20;

fn ram(mib: u64) -> GuestRam {
    GuestRam::new(RAM_BASE, mib * MIB).unwrap()
}

/// An Image of `len` bytes whose header asks for `image_size` bytes.
fn image(len: usize, text_offset: u64, image_size: u64, flags: u64) -> Vec<u8> {
    let mut file: Vec<u8> = (0..len).map(|n| u8::try_from(n % 251).unwrap()).collect();
    file[..8].copy_from_slice(&[0; 8]);
    file[8..16].copy_from_slice(&text_offset.to_le_bytes());
    file[16..24].copy_from_slice(&image_size.to_le_bytes());
    file[24..32].copy_from_slice(&flags.to_le_bytes());
    file[56..60].copy_from_slice(b"ARM\x64");
    file
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zboot(payload: &[u8], compression: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 64];
    file[..2].copy_from_slice(b"MZ");
    file[4..8].copy_from_slice(b"zimg");
    file[8..12].copy_from_slice(&64u32.to_le_bytes());
    file[12..16].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
    file[24..24 + compression.len()].copy_from_slice(compression);
    file.extend_from_slice(payload);
    file
}

/// An ELF file with one segment of `data` at `paddr`.
fn elf(machine: u16, paddr: u64, data: &[u8], memsz: u64) -> Vec<u8> {
    let mut file = vec![0; 64 + 56];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    file[16..18].copy_from_slice(&2u16.to_le_bytes());
    file[18..20].copy_from_slice(&machine.to_le_bytes());
    file[20..24].copy_from_slice(&1u32.to_le_bytes());
    file[24..32].copy_from_slice(&(paddr + 4).to_le_bytes());
    file[32..40].copy_from_slice(&64u64.to_le_bytes());
    file[52..54].copy_from_slice(&64u16.to_le_bytes());
    file[54..56].copy_from_slice(&56u16.to_le_bytes());
    file[56..58].copy_from_slice(&1u16.to_le_bytes());
    let header = &mut file[64..];
    header[..4].copy_from_slice(&1u32.to_le_bytes());
    header[8..16].copy_from_slice(&120u64.to_le_bytes());
    header[16..24].copy_from_slice(&paddr.to_le_bytes());
    header[24..32].copy_from_slice(&paddr.to_le_bytes());
    header[32..40].copy_from_slice(&(data.len() as u64).to_le_bytes());
    header[40..48].copy_from_slice(&memsz.to_le_bytes());
    file.extend_from_slice(data);
    file
}

fn bytes_at(ram: &GuestRam, gpa: Gpa, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    ram.read(gpa, &mut bytes).unwrap();
    bytes
}

#[test]
fn image_goes_where_its_header_says_and_the_rest_behind_it() {
    let ram = ram(16);
    let file = image(4096, 0x1000, 3 * MIB, 0b1010);
    let loaded = load(&ram, &file, Some(b"initrd")).unwrap();
    assert_eq!(loaded.entry, Gpa(RAM_BASE.0 + 0x1000));
    assert_eq!(bytes_at(&ram, loaded.entry, 4096), file);
    let image_end = loaded.entry.0 + 3 * MIB;
    assert!(loaded.dtb.0 >= image_end && loaded.dtb.0.is_multiple_of(2 * MIB));
    let (start, end) = loaded.initrd.unwrap();
    assert!(start.0 >= loaded.dtb.0 + DTB_MAX_LEN);
    assert_eq!(bytes_at(&ram, start, usize::try_from(end.0 - start.0).unwrap()), b"initrd");
}

#[test]
fn packed_images_are_unpacked_whatever_their_wrapping() {
    let file = image(8192, 0, 8192, 0b1010);
    for packed in [gzip(&file), zboot(&gzip(&file), b"gzip")] {
        let ram = ram(16);
        let loaded = load(&ram, &packed, None).unwrap();
        assert_eq!(bytes_at(&ram, loaded.entry, file.len()), file);
    }
}

#[test]
fn damaged_packing_is_named() {
    let file = image(8192, 0, 8192, 0b1010);
    let packed = gzip(&file);
    for len in [2, 9, packed.len() / 2, packed.len() - 1] {
        let result = load(&ram(16), &packed[..len], None);
        assert!(matches!(result, Err(LoadError::Compressed { .. })), "cut at {len}: {result:?}");
    }
    let unknown = zboot(&packed, b"xz");
    assert!(matches!(load(&ram(16), &unknown, None), Err(LoadError::Compressed { .. })));
    let mut outside = zboot(&packed, b"gzip");
    outside.truncate(80);
    assert!(matches!(load(&ram(16), &outside, None), Err(LoadError::Compressed { .. })));
}

#[test]
fn elf_segments_go_to_their_physical_addresses() {
    let ram = ram(16);
    let at = RAM_BASE.0 + 4 * MIB;
    let loaded = load(&ram, &elf(183, at, b"program!", 0x2000), None).unwrap();
    assert_eq!(loaded.entry, Gpa(at + 4));
    assert_eq!(bytes_at(&ram, Gpa(at), 8), b"program!");
    assert_eq!(loaded.dtb, RAM_BASE, "bare-metal programs look for it at the start of RAM");
}

#[test]
fn bad_elf_files_are_refused_with_the_reason() {
    let at = RAM_BASE.0 + 4 * MIB;
    let cases: [(&str, Vec<u8>); 4] = [
        ("another architecture", elf(62, at, b"x86!", 8)),
        ("segment outside RAM", elf(183, 0x1000, b"low!", 8)),
        ("segment past the end", elf(183, RAM_BASE.0 + 16 * MIB - 4, b"8 bytes!", 8)),
        ("memsz too small", elf(183, at, b"8 bytes!", 4)),
    ];
    for (what, file) in cases {
        assert!(load(&ram(16), &file, None).is_err(), "{what}");
    }
    let whole = elf(183, at, &[7; 4096], 4096);
    for len in [5, 30, 63, 100, 200, whole.len() - 1] {
        assert!(load(&ram(16), &whole[..len], None).is_err(), "cut at {len}");
    }
}

#[test]
fn files_without_header_go_where_qemu_puts_them() {
    let ram = ram(16);
    let code = [0x20, 0x00, 0x80, 0xd2, 0xc0, 0x03, 0x5f, 0xd6];
    let loaded = load(&ram, &code, None).unwrap();
    assert_eq!(loaded.entry, Gpa(RAM_BASE.0 + 0x8_0000));
    assert_eq!(bytes_at(&ram, loaded.entry, 8), code);
}

#[test]
fn kernels_of_other_machines_are_named() {
    let mut bzimage = vec![0x90; 4096];
    bzimage[0x202..0x206].copy_from_slice(b"HdrS");
    let mut zimage = vec![0; 4096];
    zimage[36..40].copy_from_slice(&0x016f_2818u32.to_le_bytes());
    for (file, name) in [
        (bzimage, "bzImage"),
        (zimage, "zImage"),
        (b"#!/bin/sh\n".to_vec(), "text file"),
        (b"\x7fELF\x01\x01\x01".to_vec(), "32-bit ELF"),
    ] {
        let error = load(&ram(16), &file, None).unwrap_err();
        assert!(matches!(error, LoadError::Foreign { .. }), "{error:?}");
        assert!(error.to_string().contains(name), "{error}");
    }
    assert!(matches!(load(&ram(16), b"", None), Err(LoadError::Empty)));
}

#[test]
fn images_for_other_cpus_or_cut_short_are_refused() {
    let big = image(4096, 0, 4096, 1);
    assert!(matches!(load(&ram(16), &big, None), Err(LoadError::BigEndian)));
    let pages = image(4096, 0, 4096, 3 << 1);
    assert!(matches!(load(&ram(16), &pages, None), Err(LoadError::PageSize { found_kib: 64 })));
    let small = image(8192, 0, 4096, 0b1010);
    assert!(matches!(load(&ram(16), &small, None), Err(LoadError::ImageSize { .. })));
}

#[test]
fn an_image_that_ends_before_its_sections_is_truncated() {
    let mut file = image(4096, 0, 8192, 0b1010);
    file[..2].copy_from_slice(b"MZ");
    file[60..64].copy_from_slice(&64u32.to_le_bytes());
    file[64..68].copy_from_slice(b"PE\0\0");
    file[70..72].copy_from_slice(&1u16.to_le_bytes());
    file[84..86].copy_from_slice(&0u16.to_le_bytes());
    // The one section: 0x800 bytes at file offset 0x800.
    file[64 + 24 + 16..64 + 24 + 20].copy_from_slice(&0x800u32.to_le_bytes());
    file[64 + 24 + 20..64 + 24 + 24].copy_from_slice(&0x800u32.to_le_bytes());
    load(&ram(16), &file, None).unwrap();
    let cut = load(&ram(16), &file[..4095], None);
    assert!(matches!(cut, Err(LoadError::TruncatedImage { found: 4095, needed: 4096 })), "{cut:?}");
    // However early it is cut, also within the table that tells so.
    for len in 65..4096 {
        let cut = load(&ram(16), &file[..len], None);
        assert!(matches!(cut, Err(LoadError::TruncatedImage { .. })), "{len}: {cut:?}");
    }
}

#[test]
fn what_does_not_fit_says_how_much_would() {
    let file = image(4096, 0, 15 * MIB, 0b1010);
    let kernel = load(&ram(16), &file, None).unwrap_err();
    assert!(kernel.to_string().contains("--memory 17M"), "{kernel}");
    let file = image(4096, 0, 4096, 0b1010);
    let initrd = load(&ram(16), &file, Some(&vec![1; 13 << 20])).unwrap_err();
    assert!(matches!(initrd, LoadError::TooLittleMemory { .. }), "{initrd}");
}

#[test]
fn whatever_the_bytes_loading_ends() {
    let seeds =
        [image(256, 0, 4096, 0b1010), gzip(&image(256, 0, 256, 0)), elf(183, RAM_BASE.0, b"x", 8)];
    for seed in &seeds {
        for at in 0..seed.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut file = seed.clone();
                file[at] ^= flip;
                fuzz_load(&file);
            }
        }
    }
}
