//! The firmware under the checks that every unit with saved state must pass.
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use abide_firmware::{
    Caller, Environment, Firmware, ImplementationCpu, PtpCounter, PtpSample, spec,
};
use abide_reg::{Entry, IntakeError, Leftover, RegDef, RegId, Registers, Value, VcpuId};
use abide_testkit::conformance::{Plan, Subject, check};

/// How many implementations the tested VM may roam over. The registers that exist follow from it,
/// so it stays what it is.
const IMPL_CPUS: usize = 3;

struct Unit(Firmware);

/// Four vCPUs that are on or off, and a source of entropy that runs dry, as one number decides.
struct Machine(u64);

impl Environment for Machine {
    fn vcpu_count(&self) -> u32 {
        4
    }

    fn mpidr(&self, vcpu: VcpuId) -> u64 {
        0x8000_0000 | u64::from(vcpu.0)
    }

    fn is_on(&self, vcpu: VcpuId) -> bool {
        self.0 >> (vcpu.0 & 63) & 1 != 0
    }

    fn entropy(&mut self) -> Option<u64> {
        self.0 = self.0.rotate_left(7).wrapping_mul(5);
        (self.0 & 7 != 0).then_some(self.0)
    }

    fn ptp(&self, _counter: PtpCounter) -> Option<PtpSample> {
        Some(PtpSample { realtime_ns: self.0, counter_ticks: !self.0 })
    }
}

/// Functions of every service, and some that nobody has.
const FUNCTIONS: [u32; 24] = [
    0x8000_0000,
    0x8000_0001,
    0x8000_8000,
    0x8000_7fff,
    0x8000_3fff,
    0x8400_0000,
    0xc400_0001,
    0x8400_0002,
    0xc400_0003,
    0xc400_0004,
    0x8400_0006,
    0x8400_0008,
    0x8400_0009,
    0x8400_000a,
    0xc400_0012,
    0xc400_0015,
    0x8400_0050,
    0x8400_0053,
    0xc400_0053,
    0x8600_ff01,
    0x8600_0000,
    0x8600_0001,
    0xc600_0040,
    0xc600_0041,
];

impl Unit {
    /// What a contract or another VMM may do: give a register another value.
    fn store(&mut self, random: u64) -> Vec<u8> {
        let ids = self.0.reg_ids();
        let place = usize::try_from(random >> 8 & 0xff).expect("8 bits") % ids.len();
        let id = ids[place];
        let number = random >> 16 & 3;
        let value = match id {
            spec::REG_IMPL_COUNT => Value::u64(IMPL_CPUS as u64),
            spec::REG_PSCI_VERSION => Value::u64(0x1_0000 | number),
            // One bit of a bitmap more often than two, of which not every register has the second.
            RegId::Kvm(_) if random & 2 == 0 => Value::u64(number & 1),
            RegId::Kvm(_) => Value::u64(number),
            _ => Value::bytes([random, !random, random << 1].map(u64::to_le_bytes).as_flattened()),
        };
        vec![u8::from(self.0.store(id, &value).is_ok())]
    }

    fn call(&self, random: u64) -> Vec<u8> {
        let place = usize::try_from(random >> 8 & 0xff).expect("8 bits") % FUNCTIONS.len();
        let first = match random >> 16 & 3 {
            0 => u64::from(FUNCTIONS[usize::try_from(random >> 18 & 0xf).expect("4 bits")]),
            _ => random >> 18 & 7,
        };
        let args = [u64::from(FUNCTIONS[place]), first, random >> 32, random];
        let caller = Caller::aarch64(VcpuId(0));
        let reply = self.0.call(caller, &args, &mut Machine(random));
        format!("{reply:?}").into_bytes()
    }
}

impl Subject for Unit {
    const NAME: &'static str = "firmware";
    type Error = IntakeError;

    fn table() -> Vec<RegDef> {
        spec::DEFS.iter().chain(&spec::IMPL_CPU_DEFS[..IMPL_CPUS]).copied().collect()
    }

    fn fresh() -> Self {
        let mut firmware = Firmware::newest();
        let cpus = [ImplementationCpu { midr: 0x413f_d0c1, revidr: 0, aidr: 0 }; IMPL_CPUS];
        firmware.set_impl_cpus(&cpus).expect("so many may be");
        Self(firmware)
    }

    fn drive(&mut self, random: u64) -> Vec<u8> {
        if random & 5 == 0 { self.call(random) } else { self.store(random) }
    }

    fn save(&self) -> Vec<Entry> {
        self.0.save()
    }

    fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        let (firmware, leftover) = Firmware::restore(entries)?;
        Ok((Self(firmware), leftover))
    }

    fn cause(error: &IntakeError) -> Option<&IntakeError> {
        Some(error)
    }

    fn constant() -> Vec<RegId> {
        vec![spec::REG_IMPL_COUNT]
    }

    fn optional() -> Vec<RegId> {
        vec![spec::REG_VENDOR_HYP_BMAP_2]
    }
}

#[test]
fn firmware_conforms() {
    for seed in 1..=3 {
        let plan = Plan { seed, steps: 400, ..Plan::default() };
        let report = check::<Unit>(&plan).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(report.round_trips > 500, "{report:?}");
        assert!(report.refused > 100 && report.accepted > 10, "{report:?}");
    }
}

#[test]
fn what_kvm_does_not_save_is_not_there() {
    let mut firmware = Firmware::newest();
    let own = [spec::REG_VENDOR_HYP_BMAP_2, spec::REG_IMPL_COUNT];
    let without = |firmware: &Firmware| {
        let entries = firmware.save().into_iter().filter(|entry| !own.contains(&entry.id));
        Firmware::restore(entries.collect()).map(|(firmware, _)| firmware)
    };
    let restored = without(&firmware).expect("as a guest of KVM comes");
    firmware.store(own[0], &Value::u64(0)).expect("none of its services");
    assert_eq!(restored, firmware);
    // But a list has a length.
    firmware.set_impl_cpus(&[ImplementationCpu::default()]).expect("one may be");
    let error = without(&firmware).expect_err("the length is missing");
    assert!(matches!(error, IntakeError::Missing { id, .. } if id == own[1]), "{error}");
}
