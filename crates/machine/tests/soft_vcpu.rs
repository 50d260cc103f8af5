//! The software engine's vCPU, with the clock it lives by, under the checks that every unit with
//! saved state must pass.
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use abide_arm64::kvm;
use abide_engine::{AfterCall, Engine, InterruptLines, PowerState, Vcpu, VmConfig};
use abide_engine_soft::{SoftEngine, state};
use abide_machine::clock::{self, MachineClock};
use abide_memory::GuestRam;
use abide_reg::{
    Class, Entry, Gpa, Intake, IntakeError, Leftover, Readback, RegDef, RegError, RegId, Rule,
    Value, VcpuId,
};
use abide_testkit::conformance::{Plan, Subject, check};
use abide_testkit::outside::NoDevices;
use abide_testkit::rng::Rng;
use std::sync::Arc;

const RAM: Gpa = Gpa(0x4000_0000);
const CNTFRQ_HZ: u64 = 62_500_000;
/// Instructions in each step; as many as are laid into RAM for it.
const WORDS: usize = 16;

struct Unit {
    vcpu: Box<dyn Vcpu>,
    clock: Arc<MachineClock>,
    ram: Arc<GuestRam>,
}

/// How a machine's restore of a vCPU refuses.
#[derive(Debug, thiserror::Error)]
enum RestoreError {
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error(transparent)]
    Register(#[from] RegError),
    /// A counter that cannot be what the file says, or any other value that is not kept.
    #[error("{id}: {found} is read back")]
    Readback { id: RegId, found: Value },
}

impl Unit {
    fn with(clock: MachineClock) -> Self {
        let ram = Arc::new(GuestRam::new(RAM, 1 << 20).expect("a MiB"));
        let clock = Arc::new(clock);
        let config = VmConfig {
            vcpu_count: 1,
            cntfrq_hz: CNTFRQ_HZ,
            ram: Arc::clone(&ram),
            clock: Arc::clone(&clock) as Arc<dyn abide_engine::Clock>,
            gicd: Gpa(0x0800_0000),
            gicr: Gpa(0x080a_0000),
            gic_intids: 288,
            features: abide_arm64::features::CpuFeatures::NONE,
        };
        let mut vm = SoftEngine::new().create_vm(config).expect("a VM anywhere");
        let vcpu = vm.create_vcpu(VcpuId(0), Arc::new(InterruptLines::default()));
        Self { vcpu: vcpu.expect("the first vCPU"), clock, ram }
    }

    /// Gives registers other values, as restores and debuggers do.
    fn store_some(&mut self, rng: &mut Rng) -> u8 {
        // What the CPU is can be chosen only before it first runs, which a restored one has yet to.
        let stateful = state::table().iter().filter(|def| def.rule != Rule::IDENTITY);
        let ids: Vec<RegId> = stateful.map(|def| def.id).collect();
        let mut accepted = 0;
        for _ in 0..32 {
            let id = ids[rng.below(ids.len())];
            let mut bytes = self.vcpu.load(id).expect("its own").as_bytes().to_vec();
            match rng.below(3) {
                0 => bytes.fill_with(|| rng.next_u8()),
                1 => {
                    let bit = rng.below(8 * bytes.len());
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
                _ => {
                    bytes.fill(0);
                    bytes[0] = 1 << rng.below(5);
                }
            }
            accepted += u8::from(self.vcpu.store(id, &Value::bytes(&bytes)).is_ok());
        }
        accepted
    }

    /// Executes instructions that leave RAM alone, where the last ones lay: RAM is not the unit's.
    fn execute(&mut self, rng: &mut Rng) -> String {
        let program: Vec<u8> = (0..WORDS).flat_map(|_| word(rng).to_le_bytes()).collect();
        let place = Gpa(RAM.0 + 0x8000);
        self.ram.write(place, &program).expect("inside RAM");
        // A store of anything makes the vCPU look at RAM anew.
        self.vcpu.store(kvm::PC, &Value::u64(place.0)).expect("any address");
        let stop = self.vcpu.run(WORDS as u64, &NoDevices(AfterCall::Continue));
        format!("{stop:?} {:?}", self.vcpu.deadline_ticks())
    }
}

/// An instruction that reads or writes no memory.
fn word(rng: &mut Rng) -> u32 {
    let [a, b, c, d] = [(); 4].map(|()| u32::from(rng.next_u8()));
    let (rd, rn, rm) = (a & 31, b & 31, c & 31);
    match d % 8 {
        // ADD and ANDS (shifted register), MOVZ, CSEL.
        0 => 0x8b00_0000 | rm << 16 | rn << 5 | rd,
        1 => 0xea00_0000 | rm << 16 | rn << 5 | rd,
        2 => 0xd280_0000 | (b & 3) << 21 | (b << 8 | c) << 5 & 0x1f_ffe0 | rd,
        3 => 0x9a80_0000 | rm << 16 | (b & 15) << 12 | rn << 5 | rd,
        // MRS and MSR of whatever there is with op0 = 3.
        4 => 0xd530_0000 | (b << 8 | c) << 5 & 0x7_ffe0 | rd,
        5 => 0xd510_0000 | (b << 8 | c) << 5 & 0x7_ffe0 | rd,
        // A write of OSLAR_EL1, which alone changes OSLSR_EL1.
        6 if a & 1 == 0 => 0xd510_1080 | rd,
        // HVC, WFE or WFI or SEV or SEVL, CLREX.
        6 => [0xd400_0002, 0xd503_205f, 0xd503_207f, 0xd503_209f, 0xd503_20bf, 0xd503_3f5f]
            [rng.below(6)],
        // FMOV from a general register, which Advanced SIMD's absence makes UNDEFINED.
        _ => 0x9e67_0000 | rn << 5 | rd,
    }
}

impl Subject for Unit {
    const NAME: &'static str = "vcpu (soft)";
    type Error = RestoreError;

    fn table() -> Vec<RegDef> {
        clock::TABLE.iter().chain(state::table()).copied().collect()
    }

    fn fresh() -> Self {
        Self::with(MachineClock::new_virtual(CNTFRQ_HZ))
    }

    fn drive(&mut self, random: u64) -> Vec<u8> {
        let mut rng = Rng::new(random);
        // PSCI's CPU_OFF, and CPU_ON soon after.
        match (random >> 1 & 0xf, self.vcpu.power()) {
            (0, PowerState::On) => self.vcpu.power_off().expect("it is on"),
            (0..8, PowerState::Off) => self.vcpu.power_on(RAM, random).expect("it is off"),
            _ => {}
        }
        let accepted = self.store_some(&mut rng);
        let executed = if random & 1 == 0 { self.execute(&mut rng) } else { String::new() };
        let pc = self.vcpu.load(kvm::PC).expect("its own");
        format!("{accepted} {executed} {pc} {:?}", self.vcpu.power() == PowerState::On).into_bytes()
    }

    fn save(&self) -> Vec<Entry> {
        let mut entries = self.clock.save();
        entries.extend(
            state::table()
                .iter()
                .map(|def| Entry::new(def.id, def.class, self.vcpu.load(def.id).expect("its own"))),
        );
        entries
    }

    fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), RestoreError> {
        let mut intake = Intake::new(entries)?;
        let mut values = Vec::new();
        for def in Self::table() {
            values.push((def, intake.take(&def)?));
        }
        let leftover = intake.finish()?;
        let of_cpu = values.split_off(clock::TABLE.len());
        let of_clock = values.into_iter();
        let of_clock = of_clock.map(|(def, value)| Entry::new(def.id, def.class, value)).collect();
        let (clock, _) = MachineClock::restore(CNTFRQ_HZ, of_clock)?;
        let mut unit = Self::with(clock);
        for (def, value) in &of_cpu {
            unit.vcpu.store(def.id, value)?;
        }
        for (def, value) in of_cpu {
            let found = unit.vcpu.load(def.id)?;
            if def.rule.readback == Readback::Equal && found != value {
                return Err(RestoreError::Readback { id: def.id, found });
            }
        }
        Ok((unit, leftover))
    }

    fn cause(error: &RestoreError) -> Option<&IntakeError> {
        match error {
            RestoreError::Intake(source) => Some(source),
            _ => None,
        }
    }

    /// What the CPU is, and what makes its time pass.
    fn constant() -> Vec<RegId> {
        let identity = |def: &&RegDef| def.rule == Rule::IDENTITY;
        let of_cpu = state::table().iter().filter(identity).map(|def| def.id);
        of_cpu.chain([clock::TABLE[0].id]).collect()
    }
}

#[test]
fn vcpu_conforms() {
    for seed in 1..=2 {
        let plan = Plan { seed, steps: 200, tail: 24, moments: 2, values: 1000 };
        let report = check::<Unit>(&plan).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(report.round_trips > 400, "{report:?}");
        assert!(report.refused > 500 && report.accepted > 200, "{report:?}");
    }
}

#[test]
fn table_and_vcpu_agree() {
    let unit = Unit::fresh();
    let ids: Vec<RegId> = state::table().iter().map(|def| def.id).collect();
    assert_eq!(unit.vcpu.reg_ids(), ids, "in the order in which they are written back");
    for def in state::table() {
        assert_eq!(unit.vcpu.class_of(def.id), def.class, "{}", def.name);
        assert_eq!(unit.vcpu.load(def.id).expect("its own").width(), def.width, "{}", def.name);
    }
    assert!(state::table().iter().any(|def| def.class == Class::Volatile));
}
