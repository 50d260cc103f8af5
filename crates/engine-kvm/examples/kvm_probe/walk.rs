//! A guest whose page tables only the host ever wrote, as those of every restored guest are.
//!
//! Its first instruction makes the CPU walk a table that stage 2 does not map yet. KVM has to map
//! it and go on. Where Cortex-A57 erratum 834220 is worked around, kernels from 2025 on do not:
//! they take the address of such a fault for unreliable, look it up by walking the same table,
//! fail, and enter the guest again, for ever
//! `[linux arch/arm64/kvm/hyp/include/hyp/fault.h __hpfar_valid]`.

use crate::machine::{Devices, Machine, RAM_BASE};
use abide_arm64::{SysReg, kvm};
use abide_engine::{Stop, SystemEvent};
use abide_engine_kvm::KvmEngine;
use abide_reg::{Gpa, Value};
use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

/// PSCI SYSTEM_OFF: `movz w0, #0x8400, lsl #16; movk w0, #8; hvc #0; b .`
const PROGRAM: [u32; 4] = [0x52b0_8000, 0x7280_0100, 0xd400_0002, 0x1400_0000];
/// The one table: level 1, 512 entries of 1 GiB.
const TABLE: u64 = RAM_BASE.0 + 0x10_0000;
/// RAM's gigabyte at its own address: block, AF, inner shareable, attribute 0 `[DDI0487 D8.3]`.
const BLOCK: u64 = RAM_BASE.0 | 1 << 10 | 3 << 8 | 1;
/// 39-bit addresses, 4 KiB granule, cached walks, nothing in the upper half, 40-bit output.
const TCR: u64 = 2 << 32 | 1 << 23 | 3 << 12 | 1 << 10 | 1 << 8 | 25;
/// As after a reset, with MMU and caches on.
const SCTLR: u64 = 0x00c5_0078 | 1 << 12 | 1 << 2 | 1;
/// Attribute 0: normal memory, write-back.
const MAIR: u64 = 0xff;
/// Thousands of times what the guest needs.
const LIMIT: Duration = Duration::from_secs(5);

pub fn run(engine: &KvmEngine) -> Result<(), Box<dyn Error>> {
    let mut machine = Machine::new(engine)?;
    let program: Vec<u8> = PROGRAM.iter().flat_map(|word| word.to_le_bytes()).collect();
    machine.ram.write(RAM_BASE, &program)?;
    machine.ram.write(Gpa(TABLE + 8), &BLOCK.to_le_bytes())?;
    let sysreg = |crn, crm, op2| kvm::sysreg(SysReg::new(3, 0, crn, crm, op2));
    for (id, value) in [
        (sysreg(10, 2, 0), MAIR),
        (sysreg(2, 0, 2), TCR),
        (sysreg(2, 0, 0), TABLE),
        (sysreg(1, 0, 0), SCTLR),
        (kvm::PC, RAM_BASE.0),
    ] {
        machine.vcpu.store(id, &Value::u64(value))?;
    }
    let kick = machine.vcpu.kicker();
    let (done, finished) = mpsc::channel::<()>();
    let stop = std::thread::scope(|scope| {
        scope.spawn(move || {
            if finished.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                kick.kick();
            }
        });
        let stop = machine.vcpu.run(0, &Devices(|_: Gpa, _, _: Option<u64>| None));
        drop(done);
        stop
    })?;
    if stop == Stop::System(SystemEvent::Off) {
        println!("ok   walked a table that only the host wrote");
        return Ok(());
    }
    let pc = machine.vcpu.load(kvm::PC)?;
    Err(format!("the guest does not get past its first page walk: {stop:?} at {pc}").into())
}
