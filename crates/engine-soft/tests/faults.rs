//! Faults, traps, address translation and exception returns against a recorded Cortex-A57.
//!
//! A bare-metal program runs a script of some thousand accesses and system instructions, each under
//! its own translation regime, and prints for each: its number, the vector, ESR_EL1, FAR_EL1 (0
//! where it is UNKNOWN), ELR_EL1, SPSR_EL1, x0, x1, x2. `faults/expected.txt` is what QEMU printed:
//!
//! ```text
//! cargo xtask vectors --check --group base # builds the recorder
//! cd crates/engine-soft/recorder
//! qemu-aarch64 target/aarch64-unknown-linux-gnu/release/abide-vector-recorder image faults.bin
//! qemu-system-aarch64 -M virt -cpu cortex-a57,pmu=off -m 512 -nic none -display none \
//!   -serial stdio -device loader,file=faults.bin,addr=0x40400000,force-raw=on \
//!   -device loader,addr=0x40400000,cpu-num=0 | sed 's/ *$//' > ../tests/faults/expected.txt
//! ```

#[path = "faults/monitor.rs"]
mod monitor;
#[path = "faults/script.rs"]
mod script;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use abide_arm64::{SysReg, kvm};
use abide_engine::{AfterCall, Bus, Engine, SMCCC_REGISTERS, Stop, SystemEvent, VmConfig};
use abide_engine_soft::{SoftEngine, cpu_model};
use abide_memory::GuestRam;
use abide_reg::{Gpa, Value, VcpuId};
use abide_testkit::outside::Still;

const EXPECTED: &str = include_str!("faults/expected.txt");

/// What the manual says where QEMU does something else: the entries' names, each with the line that
/// is right but for its number, under headings that say why.
const STRICTER: &str = include_str!("faults/stricter.txt");

#[test]
fn faults_are_those_of_a_cortex_a57() {
    let (image, names) = script::image();
    let printed = run(&image);
    assert_eq!(EXPECTED.lines().count(), names.len(), "expected.txt is of another script");
    assert_eq!(printed.lines().count(), names.len(), "it did not come to its end");
    let mut stricter: BTreeMap<&str, &str> =
        STRICTER.lines().filter_map(|line| line.split_once(" => ")).collect();
    let mut wrong = Vec::new();
    for ((name, recorded), found) in names.iter().zip(EXPECTED.lines()).zip(printed.lines()) {
        let (number, result) = recorded.split_once(' ').expect("a number first");
        let result = match stricter.remove(name.as_str()) {
            Some(right) if right == result.trim_end() => panic!("{name}: QEMU says the same"),
            Some(right) => right,
            None => result.trim_end(),
        };
        let expected = without_par_ns(name, &format!("{number} {result}"));
        let found = without_par_ns(name, found.trim_end());
        if expected != found {
            wrong.push(format!("{name}\n expected {expected}\n found    {found}"));
        }
    }
    assert!(stricter.is_empty(), "no such entries: {stricter:?}");
    assert!(wrong.is_empty(), "{} entries differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// PAR_EL1.NS is UNKNOWN after a successful translation outside of Secure state
/// [DDI0487 D24.2 PAR_EL1].
fn without_par_ns(name: &str, line: &str) -> String {
    const X1: usize = 7;
    let mut fields: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let par = fields.get(X1).and_then(|text| u64::from_str_radix(text, 16).ok());
    if let Some(par) = par.filter(|par| name.starts_with("at ") && par & 1 == 0) {
        fields[X1] = format!("{:x}", par & !0x200);
    }
    fields.join(" ")
}

/// Runs the image until it switches the machine off, and returns what it printed.
fn run(image: &[u8]) -> String {
    let ram = Arc::new(GuestRam::new(Gpa(0x4000_0000), 512 << 20).expect("memory for a guest"));
    ram.write(Gpa(script::IMAGE), image).expect("the image is in RAM");
    let config = VmConfig {
        vcpu_count: 1,
        cntfrq_hz: 62_500_000,
        ram,
        clock: Arc::new(Still),
        gicd: Gpa(0x0800_0000),
        gicr: Gpa(0x080a_0000),
        gic_intids: 64,
        features: abide_arm64::features::CpuFeatures::NONE,
    };
    let engine = SoftEngine::with_model(&cpu_model::PORTABLE);
    let mut vm = engine.create_vm(config).expect("a VM");
    let mut vcpu = vm.create_vcpu(VcpuId(0), Arc::default()).expect("a vCPU");
    vcpu.store(kvm::PC, &Value::u64(script::IMAGE)).expect("PC can be written");
    let serial = Serial::default();
    // Far more than the script has instructions.
    let stop = vcpu.run(50_000_000, &serial).expect("the engine runs");
    assert_eq!(stop, Stop::System(SystemEvent::Noted), "{}", serial.text());
    serial.text()
}

/// A serial port and nothing else.
#[derive(Default)]
struct Serial(Mutex<Vec<u8>>);

impl Serial {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("nothing panics with it")).into_owned()
    }
}

impl Bus for Serial {
    fn mmio_read(&self, _: VcpuId, _: Gpa, _: usize) -> Option<u64> {
        None
    }

    fn mmio_write(&self, _: VcpuId, gpa: Gpa, _: usize, value: u64) -> Option<()> {
        let byte = value.to_le_bytes()[0];
        (gpa == Gpa(script::UART)).then(|| {
            self.0.lock().expect("nothing panics with it").push(byte);
        })
    }

    fn sysreg_read(&self, _: VcpuId, _: SysReg) -> Option<u64> {
        None
    }

    fn sysreg_write(&self, _: VcpuId, _: SysReg, _: u64) -> Option<()> {
        None
    }

    fn smccc(&self, _: VcpuId, _: &mut [u64; SMCCC_REGISTERS]) -> AfterCall {
        AfterCall::Leave
    }

    fn set_ppi(&self, _: VcpuId, _: u32, _: bool) {}
}
