//! The conformance kit must pass a right unit and catch every way of being wrong that it names.

use abide_reg::{
    Class, Entry, Intake, IntakeError, Leftover, Readback, RegDef, RegId, Rule, Value,
};
use abide_testkit::conformance::{
    Damage, Difference, Fault, Plan, Report, Subject, assert_conforms, check,
};
use std::cell::Cell;

/// What is wrong with a [`Gadget`].
mod bug {
    pub const NONE: u8 = 0;
    pub const TABLE_TWICE: u8 = 1;
    pub const TABLE_WIDTH: u8 = 2;
    pub const TABLE_NAME: u8 = 3;
    pub const NOT_SAVED: u8 = 4;
    pub const NOT_IN_TABLE: u8 = 5;
    pub const SAVED_TWICE: u8 = 6;
    pub const SAVED_WIDTH: u8 = 7;
    pub const SAVED_CLASS: u8 = 8;
    pub const FIELD_FORGOTTEN: u8 = 9;
    pub const FIELD_NOT_RESTORED: u8 = 10;
    pub const DERIVED_NOT_RECOMPUTED: u8 = 11;
    pub const SAVE_UNSTABLE: u8 = 12;
    pub const SAVE_DISTURBS: u8 = 13;
    pub const OWN_STATE_REFUSED: u8 = 14;
    pub const BY_POSITION: u8 = 15;
    pub const INERT: u8 = 16;
    pub const MISSING_ACCEPTED: u8 = 17;
    pub const MISSING_NAMED_WRONG: u8 = 18;
    pub const TWICE_ACCEPTED: u8 = 19;
    pub const WIDTH_ACCEPTED: u8 = 20;
    pub const UNKNOWN_ACCEPTED: u8 = 21;
    pub const STATIC_LOST: u8 = 22;
    pub const STATIC_REFUSED: u8 = 23;
    pub const VOLATILE_CARRIED: u8 = 24;
    pub const VALUE_MASKED: u8 = 25;
    pub const VALUE_PANICS: u8 = 26;
    pub const VALUE_PANICS_LATER: u8 = 27;
    pub const VALUE_CHANGES_OTHER: u8 = 28;
    pub const UNTYPED_ERROR: u8 = 29;
    pub const OPTIONAL_DEMANDED: u8 = 30;
    pub const RESTORE_UNREPEATABLE: u8 = 31;
}

const FIFO_LEN: usize = 8;

const IDENT: RegDef = RegDef::state(RegId::named("gadget.ident"), "IDENT", 4).rule(Rule::IDENTITY);
const CTRL: RegDef = RegDef::state(RegId::named("gadget.ctrl"), "CTRL", 4);
const COUNT: RegDef = RegDef::state(RegId::Kvm(0x6030_0000_0013_df1a), "COUNT", 8);
const FIFO: RegDef = RegDef::state(RegId::named("gadget.fifo"), "FIFO", FIFO_LEN);
const HEAD: RegDef = RegDef::state(RegId::gic(1, 4), "HEAD", 1);
const LEN: RegDef = RegDef::state(RegId::gic(1, 8), "LEN", 1);
const SINCE: RegDef = RegDef::state(RegId::named("gadget.since"), "SINCE", 8).class(Class::Static);

const IDENT_VALUE: u32 = 0x0014_1011;
const CTRL_ENABLE: u32 = 1;
const CTRL_IRQ: u32 = 2;

/// A FIFO with an interrupt line and a counter. `BUG` is one of [`bug`].
struct Gadget<const BUG: u8> {
    ctrl: u32,
    count: u64,
    fifo: [u8; FIFO_LEN],
    head: u8,
    len: u8,
    since: u64,
    /// Follows from `ctrl` and `len`, so it is not saved.
    line: bool,
    /// Where a bug needs something to go wrong with.
    hidden: Cell<u8>,
}

impl<const BUG: u8> Gadget<BUG> {
    fn update_line(&mut self) {
        self.line = self.ctrl & CTRL_IRQ != 0 && self.len > 0;
    }

    fn slot(&self, offset: u8) -> usize {
        usize::from(self.head + offset) % FIFO_LEN
    }

    fn push(&mut self, byte: u8) {
        if self.ctrl & CTRL_ENABLE != 0 && usize::from(self.len) < FIFO_LEN {
            self.fifo[self.slot(self.len)] = byte;
            self.len += 1;
        }
    }

    fn pop(&mut self) -> u8 {
        if self.len == 0 {
            return 0;
        }
        let byte = self.fifo[self.slot(0)];
        self.head = (self.head + 1) % 8;
        self.len -= 1;
        byte
    }

    fn entries(&self) -> Vec<Entry> {
        vec![
            Entry::of(&IDENT, Value::u32(IDENT_VALUE)),
            Entry::of(&CTRL, Value::u32(self.ctrl)),
            Entry::of(&COUNT, Value::u64(self.count)),
            Entry::of(&FIFO, Value::bytes(&self.fifo)),
            Entry::of(&HEAD, Value::u8(self.head)),
            Entry::of(&LEN, Value::u8(self.len)),
            Entry::of(&SINCE, Value::u64(self.since)),
        ]
    }

    /// Refuses what the unit can never hold.
    fn legal(def: &RegDef, value: Value, is_legal: bool) -> Result<Value, IntakeError> {
        let allowed = "what the unit can hold";
        if is_legal {
            Ok(value)
        } else {
            Err(IntakeError::Value { id: def.id, found: value, allowed })
        }
    }

    fn right_restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        let mut intake = Intake::new(entries)?;
        let ident = intake.u32(&IDENT)?;
        Self::legal(&IDENT, Value::u32(ident), ident == IDENT_VALUE)?;
        let ctrl = intake.u32(&CTRL)?;
        Self::legal(&CTRL, Value::u32(ctrl), ctrl <= 3)?;
        let count = intake.u64(&COUNT)?;
        let fifo = intake.take(&FIFO)?;
        let head = intake.take(&HEAD)?.to_u8().unwrap_or(0);
        Self::legal(&HEAD, Value::u8(head), usize::from(head) < FIFO_LEN)?;
        let len = intake.take(&LEN)?.to_u8().unwrap_or(0);
        Self::legal(&LEN, Value::u8(len), usize::from(len) <= FIFO_LEN)?;
        let since = match intake.take_optional(&SINCE)? {
            Some(since) => since.to_u64().unwrap_or(0),
            None => 0,
        };
        let leftover = intake.finish()?;
        let fifo = fifo.as_bytes().try_into().unwrap_or_default();
        let hidden = Cell::new(0);
        let mut unit = Self { ctrl, count, fifo, head, len, since, line: false, hidden };
        unit.update_line();
        Ok((unit, leftover))
    }
}

/// Keeps what `keep` tells and gives the rest of the unit's own registers their saved form of a
/// fresh unit: what a restore does that is not strict.
fn filled_up(mut entries: Vec<Entry>) -> Vec<Entry> {
    for fresh in Gadget::<{ bug::NONE }>::fresh().entries() {
        if !entries.iter().any(|entry| entry.id == fresh.id) {
            entries.push(fresh);
        }
    }
    entries
}

fn set(entries: &mut [Entry], def: &RegDef, change: impl Fn(&Value) -> Value) {
    for entry in entries.iter_mut().filter(|entry| entry.id == def.id) {
        entry.value = change(&entry.value);
    }
}

fn value_of(entries: &[Entry], def: &RegDef) -> Option<Value> {
    entries.iter().find(|entry| entry.id == def.id).map(|entry| entry.value.clone())
}

fn is_own(entry: &Entry) -> bool {
    Gadget::<{ bug::NONE }>::table().iter().any(|def| def.id == entry.id)
}

/// Changes the list as a careless restore would see it.
fn careless<const BUG: u8>(mut entries: Vec<Entry>) -> Vec<Entry> {
    match BUG {
        bug::FIELD_NOT_RESTORED => set(&mut entries, &HEAD, |_| Value::u8(0)),
        bug::MISSING_ACCEPTED => return filled_up(entries),
        bug::TWICE_ACCEPTED => {
            let mut seen = Vec::new();
            entries.retain(|entry| {
                let is_new = !seen.contains(&entry.id);
                seen.push(entry.id);
                is_new
            });
        }
        bug::WIDTH_ACCEPTED => set(&mut entries, &COUNT, |value| {
            let mut bytes = value.as_bytes().to_vec();
            bytes.resize(8, 0);
            Value::bytes(&bytes)
        }),
        bug::UNKNOWN_ACCEPTED => entries.retain(|e| is_own(e) || e.class != Class::Mandatory),
        bug::STATIC_LOST => entries.retain(|e| is_own(e) || e.class != Class::Static),
        bug::STATIC_REFUSED => entries
            .iter_mut()
            .filter(|e| !is_own(e) && e.class == Class::Static)
            .for_each(|e| e.class = Class::Mandatory),
        bug::VALUE_MASKED => {
            set(&mut entries, &CTRL, |value| match value.to_u32() {
                Some(ctrl) => Value::u32(ctrl & 3),
                None => value.clone(),
            });
        }
        bug::BY_POSITION => {
            let ids: Vec<RegId> =
                Gadget::<{ bug::NONE }>::table().iter().map(|def| def.id).collect();
            if entries.len() == ids.len() && entries.iter().all(is_own) {
                entries.iter_mut().zip(ids).for_each(|(entry, id)| entry.id = id);
            }
        }
        _ => {}
    }
    entries
}

impl<const BUG: u8> Subject for Gadget<BUG> {
    const NAME: &'static str = "gadget";
    type Error = GadgetError;

    fn table() -> Vec<RegDef> {
        let mut table = vec![IDENT, CTRL, COUNT, FIFO, HEAD, LEN, SINCE];
        match BUG {
            bug::TABLE_TWICE => table.push(CTRL),
            bug::TABLE_WIDTH => table[0].width = 0,
            bug::TABLE_NAME => table[0].name = "",
            bug::FIELD_FORGOTTEN => table.retain(|def| def.id != HEAD.id),
            _ => {}
        }
        table
    }

    fn fresh() -> Self {
        Self {
            ctrl: 0,
            count: 0,
            fifo: [0; FIFO_LEN],
            head: 0,
            len: 0,
            since: 0,
            line: false,
            hidden: Cell::new(0),
        }
    }

    fn drive(&mut self, random: u64) -> Vec<u8> {
        let byte = random.to_le_bytes()[7];
        let mut seen = 0;
        match random % 8 {
            0..=2 => self.push(byte),
            3 | 4 => seen = self.pop(),
            5 => self.ctrl = u32::from(byte & 3),
            6 if BUG != bug::INERT => self.since = random >> 1,
            _ => self.count = self.count.wrapping_add(random >> 32),
        }
        if BUG == bug::VALUE_PANICS_LATER {
            assert!(self.ctrl < 4, "the controller is in a state that it can never be in");
        }
        // A line that is only moved by what touches it, as real ones are.
        if !matches!(random % 8, 6 | 7) {
            self.update_line();
        }
        let mut all = vec![seen, u8::from(self.line)];
        if BUG == bug::SAVE_DISTURBS {
            all.push(self.hidden.get());
        }
        all
    }

    fn save(&self) -> Vec<Entry> {
        let mut entries = self.entries();
        match BUG {
            bug::NOT_SAVED => entries.retain(|entry| entry.id != COUNT.id),
            bug::NOT_IN_TABLE => entries.push(Entry::new(
                RegId::named("gadget.extra"),
                Class::Mandatory,
                Value::u8(1),
            )),
            bug::SAVED_TWICE => entries.push(entries[1].clone()),
            bug::SAVED_WIDTH => entries[2].value = Value::u32(0),
            bug::SAVED_CLASS => entries[2].class = Class::Volatile,
            bug::FIELD_FORGOTTEN => entries.retain(|entry| entry.id != HEAD.id),
            bug::SAVE_UNSTABLE => {
                self.hidden.set(self.hidden.get() ^ 1);
                if self.hidden.get() == 1 {
                    entries.swap(0, 1);
                }
            }
            bug::SAVE_DISTURBS => self.hidden.set(1),
            _ => {}
        }
        entries
    }

    fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), GadgetError> {
        let mut entries = careless::<BUG>(entries);
        if BUG == bug::FIELD_FORGOTTEN {
            entries = filled_up(entries);
        }
        let ctrl = value_of(&entries, &CTRL).and_then(|value| value.to_u32()).unwrap_or(0);
        let len = value_of(&entries, &LEN).and_then(|value| value.to_u8()).unwrap_or(0);
        if BUG == bug::OWN_STATE_REFUSED && usize::from(len) == FIFO_LEN {
            return Err(GadgetError::Other);
        }
        if BUG == bug::OPTIONAL_DEMANDED && value_of(&entries, &SINCE).is_none() {
            return Err(IntakeError::Missing { id: SINCE.id, name: SINCE.name }.into());
        }
        if BUG == bug::VALUE_PANICS {
            assert!(ctrl <= 3, "no such state");
        }
        if BUG == bug::VALUE_PANICS_LATER {
            set(&mut entries, &CTRL, |value| match value.to_u32() {
                Some(ctrl) => Value::u32(ctrl & 3),
                None => value.clone(),
            });
        }
        let result = Self::right_restore(entries);
        let (mut unit, mut leftover) = match result {
            Err(IntakeError::Missing { .. }) if BUG == bug::MISSING_NAMED_WRONG => {
                return Err(IntakeError::Missing { id: IDENT.id, name: IDENT.name }.into());
            }
            Err(_) if BUG == bug::UNTYPED_ERROR => return Err(GadgetError::Other),
            result => result?,
        };
        match BUG {
            bug::VOLATILE_CARRIED => leftover.carried.append(&mut leftover.dropped),
            bug::DERIVED_NOT_RECOMPUTED => unit.line = false,
            bug::VALUE_PANICS_LATER => unit.ctrl = ctrl,
            bug::VALUE_CHANGES_OTHER if ctrl == 3 => unit.count &= 0xffff,
            _ => {}
        }
        if BUG == bug::RESTORE_UNREPEATABLE && unit.len == 0 && unit.head == 7 {
            unit.head = 0;
        }
        Ok((unit, leftover))
    }

    fn cause(error: &GadgetError) -> Option<&IntakeError> {
        match error {
            GadgetError::Intake(cause) => Some(cause),
            GadgetError::Other => None,
        }
    }

    fn constant() -> Vec<RegId> {
        vec![IDENT.id]
    }

    fn optional() -> Vec<RegId> {
        vec![SINCE.id]
    }
}

#[derive(Debug, thiserror::Error)]
enum GadgetError {
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error("no")]
    Other,
}

fn fault<const BUG: u8>() -> Fault {
    match check::<Gadget<BUG>>(&Plan::default()) {
        Err(failure) => {
            assert!(failure.to_string().starts_with("unit gadget, seed 1, step "));
            *failure.fault
        }
        Ok(report) => panic!("bug {BUG} was not caught: {report:?}"),
    }
}

macro_rules! caught {
    ($($name:ident: $bug:ident => $fault:pat $(if $guard:expr)?),* $(,)?) => {$(
        #[test]
        fn $name() {
            let found = fault::<{ bug::$bug }>();
            assert!(matches!(&found, $fault $(if $guard)?), "{found:?}");
        }
    )*};
}

caught! {
    table_with_a_double_is_caught: TABLE_TWICE => Fault::Table { id, .. } if *id == CTRL.id,
    table_without_a_width_is_caught: TABLE_WIDTH => Fault::Table { id, .. } if *id == IDENT.id,
    table_without_a_name_is_caught: TABLE_NAME => Fault::Table { id, .. } if *id == IDENT.id,
    register_not_saved_is_caught: NOT_SAVED => Fault::NotSaved { id } if *id == COUNT.id,
    register_not_in_the_table_is_caught: NOT_IN_TABLE => Fault::SavedUnknown { .. },
    register_saved_twice_is_caught: SAVED_TWICE => Fault::SavedTwice { id } if *id == CTRL.id,
    register_saved_in_wrong_width_is_caught:
        SAVED_WIDTH => Fault::SavedWidth { found: 4, allowed: 8, .. },
    register_saved_in_wrong_class_is_caught:
        SAVED_CLASS => Fault::SavedClass { found: Class::Volatile, .. },
    field_forgotten_everywhere_is_caught_by_behaviour:
        FIELD_FORGOTTEN => Fault::Behaviour { difference: Difference::Seen { .. }, .. },
    field_saved_and_not_restored_is_caught:
        FIELD_NOT_RESTORED => Fault::RoundTrip(Difference::Register { id }) if *id == HEAD.id,
    derived_state_not_recomputed_is_caught: DERIVED_NOT_RECOMPUTED => Fault::Behaviour { .. },
    save_in_changing_order_is_caught: SAVE_UNSTABLE => Fault::SaveUnstable(Difference::List),
    save_with_side_effect_is_caught: SAVE_DISTURBS => Fault::SaveDisturbs(_),
    unit_refusing_its_own_state_is_caught: OWN_STATE_REFUSED => Fault::OwnStateRefused { .. },
    restore_by_position_is_caught:
        BY_POSITION => Fault::OwnStateRefused { .. } | Fault::RoundTrip(_),
    life_that_reaches_too_little_is_caught: INERT => Fault::NeverChanged { id } if *id == SINCE.id,
    missing_register_accepted_is_caught:
        MISSING_ACCEPTED => Fault::Accepted { damage: Damage::Missing { .. } },
    missing_register_named_wrong_is_caught:
        MISSING_NAMED_WRONG => Fault::WrongError { damage: Damage::Missing { id }, .. }
        if *id != IDENT.id,
    doubled_register_accepted_is_caught:
        TWICE_ACCEPTED => Fault::Accepted { damage: Damage::Twice { .. } },
    wrong_width_accepted_is_caught:
        WIDTH_ACCEPTED => Fault::Accepted { damage: Damage::Width { id, .. } } if *id == COUNT.id,
    unknown_mandatory_accepted_is_caught:
        UNKNOWN_ACCEPTED =>
        Fault::Accepted { damage: Damage::Unknown { class: Class::Mandatory, .. } },
    unknown_static_lost_is_caught:
        STATIC_LOST =>
        Fault::Leftover { damage: Damage::Unknown { class: Class::Static, .. }, .. },
    unknown_static_refused_is_caught:
        STATIC_REFUSED =>
        Fault::Refused { damage: Damage::Unknown { class: Class::Static, .. }, .. },
    unknown_volatile_carried_is_caught:
        VOLATILE_CARRIED =>
        Fault::Leftover { damage: Damage::Unknown { class: Class::Volatile, .. }, .. },
    value_silently_masked_is_caught:
        VALUE_MASKED => Fault::Altered { damage: Damage::Value { id, .. }, .. } if *id == CTRL.id,
    panic_on_a_value_is_caught:
        VALUE_PANICS => Fault::Panicked { message, .. } if message == "no such state",
    panic_after_a_value_is_caught:
        VALUE_PANICS_LATER => Fault::Panicked { message, .. } if message.contains("never be in"),
    value_that_changes_another_register_is_caught:
        VALUE_CHANGES_OTHER => Fault::RoundTrip(Difference::Register { id }) if *id == COUNT.id,
    error_without_its_cause_is_caught: UNTYPED_ERROR => Fault::WrongError { error, .. }
        if error == "no",
    optional_register_demanded_is_caught:
        OPTIONAL_DEMANDED => Fault::Refused { damage: Damage::Missing { id }, .. }
        if *id == SINCE.id,
    rare_state_not_kept_is_caught: RESTORE_UNREPEATABLE => Fault::RoundTrip(_),
}

#[test]
fn right_unit_passes() {
    assert_conforms::<Gadget<{ bug::NONE }>>();
}

#[test]
fn report_counts_what_was_tried() {
    let plan = Plan { steps: 100, ..Plan::default() };
    let report = check::<Gadget<{ bug::NONE }>>(&plan).unwrap();
    let Report { round_trips, refused, accepted } = report;
    // Two orders at each of 101 moments.
    assert_eq!(round_trips, 202);
    // At the last moment alone: 6 missing, 7 doubled, 28 misshapen, 4 unknown.
    assert!(refused > 45 && accepted > 100, "{report:?}");
}

#[test]
fn registers_that_run_by_themselves_may_read_back_otherwise() {
    assert_eq!(Rule::COUNTER.readback, Readback::Bound);
    assert_conforms::<Running>();
}

/// A counter that reads back in steps of 256, as its rule says it may.
struct Running(u64);

const RUNNING: RegDef =
    RegDef::state(RegId::named("running.count"), "RUNNING", 8).rule(Rule::COUNTER);

impl Subject for Running {
    const NAME: &'static str = "running";
    type Error = IntakeError;

    fn table() -> Vec<RegDef> {
        vec![RUNNING]
    }

    fn fresh() -> Self {
        Self(0)
    }

    fn drive(&mut self, random: u64) -> Vec<u8> {
        self.0 = self.0.wrapping_add(random) & !0xff;
        self.0.to_le_bytes().to_vec()
    }

    fn save(&self) -> Vec<Entry> {
        vec![Entry::of(&RUNNING, Value::u64(self.0))]
    }

    fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        let mut intake = Intake::new(entries)?;
        let count = intake.u64(&RUNNING)?;
        Ok((Self(count & !0xff), intake.finish()?))
    }

    fn cause(error: &IntakeError) -> Option<&IntakeError> {
        Some(error)
    }
}
