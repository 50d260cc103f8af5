//! Stolen time under the checks that every unit with saved state must pass, and under the same
//! checks with faults put in: a kit that finds none of them would prove nothing.

use abide_pvtime::{
    DEF_ATTRIBUTES, DEF_REVISION, DEF_STOLEN_NS, DEF_TABLE_GPA, DEFS, REVISION_1_0, StolenTime,
    Tally,
};
use abide_reg::{Entry, Gpa, IntakeError, Leftover, RegDef, RegId, Value};
use abide_testkit::conformance::{Fault, Plan, Subject, assert_conforms, check};

/// The vCPU, and what its thread's host counts.
struct Unit {
    vcpu: StolenTime,
    waited_ns: u64,
    tally: Tally,
}

impl Unit {
    fn of(vcpu: StolenTime) -> Self {
        Self { vcpu, waited_ns: 0, tally: Tally::begin(0) }
    }

    fn restored(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        let (vcpu, leftover) = StolenTime::restore(entries)?;
        Ok((Self::of(vcpu), leftover))
    }
}

impl Subject for Unit {
    const NAME: &'static str = "pvtime";
    type Error = IntakeError;

    fn table() -> Vec<RegDef> {
        DEFS.to_vec()
    }

    fn fresh() -> Self {
        Self::of(StolenTime::new(Gpa(0x90a_0040), REVISION_1_0).expect("it is aligned"))
    }

    fn drive(&mut self, random: u64) -> Vec<u8> {
        if random.is_multiple_of(16) {
            assert_eq!(self.vcpu.begin(), self.vcpu.table_gpa());
        }
        self.waited_ns = self.waited_ns.saturating_add(random >> 40);
        self.vcpu.steal(self.tally.advance(self.waited_ns));
        self.vcpu.record.to_bytes().to_vec()
    }

    fn save(&self) -> Vec<Entry> {
        self.vcpu.save()
    }

    fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        Self::restored(entries)
    }

    fn cause(error: &IntakeError) -> Option<&IntakeError> {
        Some(error)
    }

    fn constant() -> Vec<RegId> {
        [DEF_TABLE_GPA, DEF_REVISION, DEF_ATTRIBUTES].map(|def| def.id).to_vec()
    }

    fn optional() -> Vec<RegId> {
        vec![DEF_REVISION.id]
    }
}

#[test]
fn stolen_time_conforms() {
    assert_conforms::<Unit>();
}

/// A unit with a fault in how it is saved or restored.
struct Mutant<const FAULT: u8>(Unit);

impl<const FAULT: u8> Subject for Mutant<FAULT> {
    const NAME: &'static str = "pvtime, with a fault";
    type Error = IntakeError;

    fn table() -> Vec<RegDef> {
        Unit::table()
    }

    fn fresh() -> Self {
        Self(Unit::fresh())
    }

    fn drive(&mut self, random: u64) -> Vec<u8> {
        self.0.drive(random)
    }

    fn save(&self) -> Vec<Entry> {
        let mut entries = self.0.save();
        match FAULT {
            // The count is left out, as where it is taken for the host's.
            0 => entries.retain(|entry| entry.id != DEF_STOLEN_NS.id),
            // In microseconds.
            1 => {
                let us = self.0.vcpu.record.stolen_ns / 1000;
                entries[3].value = Value::u64(us * 1000);
            }
            _ => {}
        }
        entries
    }

    fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        let (mut unit, leftover) = Unit::restored(entries)?;
        match FAULT {
            // It begins anew on every host.
            2 => drop(unit.vcpu.begin()),
            // It is charged for what the thread waited before.
            3 => unit.vcpu.steal(1),
            // Whatever was saved, it is this host's own.
            4 => unit.vcpu.record.revision = REVISION_1_0,
            _ => {}
        }
        Ok((Self(unit), leftover))
    }

    fn cause(error: &IntakeError) -> Option<&IntakeError> {
        Some(error)
    }

    fn constant() -> Vec<RegId> {
        Unit::constant()
    }

    fn optional() -> Vec<RegId> {
        Unit::optional()
    }
}

fn fault<const FAULT: u8>() -> Fault {
    match check::<Mutant<FAULT>>(&Plan::default()) {
        Ok(report) => panic!("fault {FAULT} was not found: {report:?}"),
        Err(failure) => *failure.fault,
    }
}

#[test]
fn each_fault_is_found() {
    assert!(matches!(fault::<0>(), Fault::NotSaved { .. }), "{:?}", fault::<0>());
    assert!(matches!(fault::<1>(), Fault::Behaviour { .. }), "{:?}", fault::<1>());
    assert!(matches!(fault::<2>(), Fault::RoundTrip(_)), "{:?}", fault::<2>());
    assert!(matches!(fault::<3>(), Fault::RoundTrip(_)), "{:?}", fault::<3>());
    assert!(matches!(fault::<4>(), Fault::Altered { .. }), "{:?}", fault::<4>());
}

#[test]
fn a_record_without_a_revision_is_of_revision_0() {
    let mut entries = Unit::fresh().save();
    entries.retain(|entry| entry.id != DEF_REVISION.id);
    let (vcpu, _) = StolenTime::restore(entries).expect("it may be missing");
    assert_eq!(vcpu.record.revision, REVISION_1_0);
}

#[test]
fn what_no_record_can_be_is_refused_by_name() {
    let with = |def: &RegDef, value: Value| {
        let mut entries = Unit::fresh().save();
        entries.iter_mut().filter(|it| it.id == def.id).for_each(|it| it.value = value.clone());
        StolenTime::restore(entries).expect_err("it is refused").to_string()
    };
    for gpa in [0x90a_0041, 0x90a_0020, u64::MAX, u64::MAX - 63] {
        let text = with(&DEF_TABLE_GPA, Value::u64(gpa));
        assert!(text.contains("pvtime.table-gpa") && text.contains("aligned to 64"), "{text}");
        assert!(StolenTime::new(Gpa(gpa), REVISION_1_0).is_err());
    }
    let text = with(&DEF_ATTRIBUTES, Value::u32(1));
    assert!(text.contains("pvtime.attributes") && text.contains("none is defined"), "{text}");
    let text = with(&DEF_STOLEN_NS, Value::u32(1));
    assert!(text.contains("pvtime.stolen-ns") && text.contains('8'), "{text}");
}

#[test]
fn a_count_at_its_end_does_not_fall() {
    let mut vcpu = Unit::fresh().vcpu;
    vcpu.steal(u64::MAX - 1);
    vcpu.steal(5);
    assert_eq!(vcpu.record.stolen_ns, u64::MAX);
}
