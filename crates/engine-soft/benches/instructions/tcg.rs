//! The same loops under QEMU's user-mode emulation.

use abide_testkit::guest::{Program, asm};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where the program has its code, and 1 MiB for data behind it.
pub const CODE: u64 = 0x40_0000 + HEADERS;
pub const DATA: u64 = 0x80_0000;
const HEADERS: u64 = 64 + 56;
const DATA_END: u64 = 0x90_0000;

/// The unit of CPU times in `/proc` `[linux Documentation/filesystems/proc.rst 1.1]`.
const TICK_NS: f64 = 1e7;

/// `qemu-aarch64`, and a place for programs.
pub struct Tcg {
    path: PathBuf,
}

impl Drop for Tcg {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Tcg {
    pub fn found() -> Option<Self> {
        let version = Command::new("qemu-aarch64").arg("--version").stdout(Stdio::null()).status();
        version.ok().filter(|status| status.success())?;
        let name = format!("abide-bench-{}", std::process::id());
        Some(Self { path: std::env::temp_dir().join(name) })
    }

    /// Runs the program; the user CPU time that takes.
    pub fn user_ns(&self, program: &mut Program) -> f64 {
        // exit_group(0)
        asm!(program.assembler(); mov x0, 0; mov x8, 94; svc 0);
        let words = std::mem::replace(program, Program::new(abide_reg::Gpa(CODE)));
        let words = words.finish().expect("the loop can be assembled");
        fs::write(&self.path, executable(&words)).expect("the temporary folder can be written");
        let mode = fs::Permissions::from_mode(0o700);
        fs::set_permissions(&self.path, mode).expect("the program is ours");
        let before = children_user_ns();
        let status = Command::new("qemu-aarch64").args(["-cpu", "max"]).arg(&self.path).status();
        assert!(status.is_ok_and(|status| status.success()), "qemu-aarch64 runs the loop");
        children_user_ns() - before
    }
}

/// An ELF file of one segment that may be read, written and executed
/// `[linux include/uapi/linux/elf.h]`.
fn executable(words: &[u8]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let mut half = |value: u16| file.extend_from_slice(&value.to_le_bytes());
    [2, 183].into_iter().for_each(&mut half);
    file.extend_from_slice(&1_u32.to_le_bytes());
    for field in [CODE, 64, 0] {
        file.extend_from_slice(&field.to_le_bytes());
    }
    file.extend_from_slice(&0_u32.to_le_bytes());
    for field in [64_u16, 56, 1, 0, 0, 0] {
        file.extend_from_slice(&field.to_le_bytes());
    }
    // PT_LOAD, to be read, written and executed.
    for field in [1_u32, 7] {
        file.extend_from_slice(&field.to_le_bytes());
    }
    let start = CODE - HEADERS;
    for field in [0, start, start, HEADERS + words.len() as u64, DATA_END - start, 0x1000] {
        file.extend_from_slice(&field.to_le_bytes());
    }
    file.extend_from_slice(words);
    file
}

/// Field 16 of the process's line, counted after the name, which may hold spaces.
fn children_user_ns() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: Option<f64> = fields.split_whitespace().nth(13).and_then(|ticks| ticks.parse().ok());
    ticks.map_or(f64::NAN, |ticks| ticks * TICK_NS)
}
