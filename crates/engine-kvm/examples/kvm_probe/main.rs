//! What KVM on this host offers, by trying: every register of a fresh vCPU with its value, the
//! values that each field of each ID register accepts, the interrupt controller's registers, and a
//! small guest that is run to its end.
//!
//! `kvm_probe [PART]…` with the parts `registers`, `gic`, `states`, `fields`, `scope`, `portable`,
//! `guest`, `pair`, `dirty` and `walk`; without arguments all of them.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod dirty;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod fields;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod gic;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod guest;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod machine;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod program;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod report;

use std::process::ExitCode;

#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
fn main() -> ExitCode {
    type Part = fn(&abide_engine_kvm::KvmEngine) -> Result<(), Box<dyn std::error::Error>>;
    let parts: [(&str, Part); 10] = [
        ("registers", report::registers),
        ("gic", gic::registers),
        ("states", gic::states),
        ("fields", fields::all),
        ("scope", fields::scope),
        ("portable", fields::portable),
        ("guest", guest::run),
        ("pair", guest::pair),
        ("dirty", dirty::logs),
        ("walk", walk),
    ];
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let engine = match abide_engine_kvm::KvmEngine::open() {
        Ok(engine) => engine,
        Err(error) => {
            println!("{error}");
            return ExitCode::from(4);
        }
    };
    let mut code = ExitCode::SUCCESS;
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            println!("== {name}");
            if let Err(error) = part(&engine) {
                println!("FAILED: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    println!("== end");
    code
}

/// A guest whose page tables only the host ever wrote.
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
fn walk(engine: &abide_engine_kvm::KvmEngine) -> Result<(), Box<dyn std::error::Error>> {
    engine.try_guest(abide_engine_kvm::trial::Kind::Restored)?;
    println!("ok   walked a table that only the host wrote");
    Ok(())
}

#[cfg(not(all(target_arch = "aarch64", target_os = "linux")))]
fn main() -> ExitCode {
    match abide_engine_kvm::KvmEngine::open() {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::from(4)
        }
    }
}
