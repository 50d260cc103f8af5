//! Writes a small guest as an arm64 Image: `hello_guest OUTPUT`. It prints what some registers
//! hold and switches the machine off; any hypervisor with a `virt` board runs it.

use abide_testkit::guest::{IMAGE_HEADER_BYTES, PSCI_VERSION, Program, RAM, asm, sysreg, x};
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(output) = std::env::args().nth(1) else {
        eprintln!("usage: hello_guest OUTPUT");
        return ExitCode::from(2);
    };
    match write(&output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hello_guest: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(output: &str) -> Result<(), Box<dyn std::error::Error>> {
    let base = RAM.checked_add(IMAGE_HEADER_BYTES as u64).ok_or("no room for the header")?;
    let mut program = Program::new(base);
    program.print("hello, MIDR_EL1 ");
    program.mrs(x(20), sysreg::MIDR_EL1);
    program.print_hex(x(20));
    program.call(PSCI_VERSION, &[]);
    asm!(program.assembler(); mov x20, x0);
    program.print(" PSCI ");
    program.print_hex(x(20));
    program.print("\r\n");
    program.system_off();
    std::fs::write(output, program.finish_image(0x1_0000)?)?;
    Ok(())
}
