//! The clock under the checks that every unit with saved state must pass.

use abide_reg::{Entry, IntakeError, Leftover, RegDef, RegId};
use abide_testkit::conformance::{Subject, assert_conforms};
use abide_vmclock::seqlock::AtomicPage;
use abide_vmclock::{Constants, Intent, Notice, Vmclock, spec, state};

struct Unit(Vmclock);

impl Subject for Unit {
    const NAME: &'static str = "vmclock";
    type Error = IntakeError;

    fn table() -> Vec<RegDef> {
        state::DEFS.to_vec()
    }

    fn fresh() -> Self {
        let constants = Constants {
            size_bytes: 0x1000,
            counter_id: spec::COUNTER_ARM_VCNT,
            time_type: spec::TIME_TAI,
            notifies: true,
        };
        Self(Vmclock::new(constants, 1))
    }

    fn drive(&mut self, random: u64) -> Vec<u8> {
        if random & 1 == 0 {
            self.0.arrive(if random & 2 == 0 { Intent::Move } else { Intent::Copy });
        }
        self.0.announce(if random & 4 == 0 { Notice::Soon } else { Notice::Imminent });
        let page = AtomicPage::default();
        self.0.write_all(&page, |words| page.set_constants(words));
        format!("{page:?}").into_bytes()
    }

    fn save(&self) -> Vec<Entry> {
        self.0.save()
    }

    fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        let (clock, leftover) = Vmclock::restore(entries)?;
        Ok((Self(clock), leftover))
    }

    fn cause(error: &IntakeError) -> Option<&IntakeError> {
        Some(error)
    }

    fn constant() -> Vec<RegId> {
        [
            state::DEF_SIZE,
            state::DEF_COUNTER_ID,
            state::DEF_TIME_TYPE,
            state::DEF_NOTIFIES,
            state::DEF_SMEARING_HINT,
        ]
        .map(|def| def.id)
        .to_vec()
    }
}

#[test]
fn vmclock_conforms() {
    assert_conforms::<Unit>();
}
