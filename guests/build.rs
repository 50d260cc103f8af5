//! How each guest is linked. The linker writes the images directly, so the build needs no tool
//! besides the pinned toolchain.

/// Memory besides code, data and stack that each bare-metal guest gets, in bytes. It follows the
/// image and is counted in the `image_size` of its header.
const ARENAS: [(&str, u32); 4] =
    [("shell", 2 << 20), ("demo", 16 << 20), ("abi", 2 << 20), ("pmu", 2 << 20)];

fn main() {
    println!("cargo::rerun-if-changed=image.ld");
    for (guest, arena_bytes) in ARENAS {
        for arg in [
            // Position independent: the boot protocol allows any 2 MiB-aligned place
            // [linux Documentation/arch/arm64/booting.rst].
            "-pie",
            "--no-dynamic-linker",
            // Constants hold addresses too, and are relocated before they are made read-only.
            "-z",
            "notext",
            "-z",
            "norelro",
            "--script=image.ld",
            "--oformat=binary",
            "--build-id=none",
        ] {
            println!("cargo::rustc-link-arg-bin={guest}={arg}");
        }
        println!("cargo::rustc-link-arg-bin={guest}=--defsym=ARENA_BYTES={arena_bytes}");
    }
    for guest in ["init", "disk", "net", "vsock", "vmclock", "load"] {
        for arg in ["--image-base=0x400000", "--build-id=none", "-z", "norelro"] {
            println!("cargo::rustc-link-arg-bin={guest}={arg}");
        }
    }
}
