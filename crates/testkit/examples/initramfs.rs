//! Packs the shipped Linux guest's initramfs: `initramfs INIT OUTPUT`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [init, output] = arguments.as_slice() else {
        eprintln!("usage: initramfs INIT OUTPUT");
        return ExitCode::from(2);
    };
    match pack(init, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("initramfs: {error}");
            ExitCode::FAILURE
        }
    }
}

fn pack(init: &str, output: &str) -> Result<(), Box<dyn std::error::Error>> {
    let program = std::fs::read(init).map_err(|error| format!("{init}: {error}"))?;
    let archive = abide_testkit::cpio::initramfs(&program)?;
    std::fs::write(output, archive).map_err(|error| format!("{output}: {error}"))?;
    Ok(())
}
