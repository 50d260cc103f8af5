//! What may happen to a register between two hosts: three independent answers.

use crate::{RegId, Value};

/// Which direction of a change cannot surprise the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A host that offers more can show less.
    LowerIsSafe,
    /// A host that offers less can show more (inverted feature fields).
    HigherIsSafe,
    /// Only the very same value will do.
    Same,
    /// Any value will do.
    Any,
}

/// A bit field of a register with a direction of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The field's name in its specification.
    pub name: &'static str,
    /// Lowest bit.
    pub shift: u8,
    /// Number of bits.
    pub width: u8,
    /// Whether the field is a signed number, as some feature fields are (0xf = not implemented).
    pub signed: bool,
    /// The change that is safe.
    pub direction: Direction,
}

/// Does a saved value fit a host that offers another?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Both must be equal.
    Exact,
    /// The saved number must not exceed the host's.
    AtMost,
    /// Each bit of the saved value must be offered by the host.
    Subset,
    /// Field by field.
    Fields(&'static [Field]),
    /// Plain state: any value fits.
    Any,
}

/// What to do where the destination has no such register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The VM cannot go there.
    Refuse,
    /// Dropping is safe while the saved value is this one.
    DropIfValue(u64),
    /// Dropping is safe while each of these fields of these registers is 0: the guest cannot use
    /// the register, or does not. Without any, no guest can ever use it.
    DropIfOff(&'static [(RegId, Field)]),
}

/// What must be read back after writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readback {
    /// What was written.
    Equal,
    /// What was written but for these bits, which some hosts answer by themselves and no guest can
    /// use: the saved original of them is passed on to the next host.
    EqualBut(u64),
    /// Anything: the saved original, not the readback, is passed on to the next host.
    Original,
    /// A number at least as large as was written: the register runs by itself.
    Bound,
}

/// The bits of a field of `width` bits whose lowest bit is `shift`, in place.
#[must_use]
pub const fn mask(shift: u8, width: u8) -> u64 {
    // A width of 64 would shift all bits out.
    let ones = if width >= 64 { u64::MAX } else { (1 << width) - 1 };
    ones << shift
}

impl Readback {
    /// Whether a host that was given `written` and shows `found` keeps the guest's ABI.
    #[must_use]
    pub fn tolerates(&self, written: &Value, found: &Value) -> bool {
        match self {
            Self::Equal => found == written,
            Self::EqualBut(mask) => match (found.to_number(), written.to_number()) {
                (Some(seen), Some(meant)) if found.width() == written.width() => {
                    seen & !mask == meant & !mask
                }
                _ => found == written,
            },
            Self::Original => true,
            Self::Bound => found.to_number().is_some() && found.to_number() >= written.to_number(),
        }
    }
}

impl Field {
    /// The field's bits, in place.
    #[must_use]
    pub const fn mask(&self) -> u64 {
        mask(self.shift, self.width)
    }

    /// The field's bits of `value`, moved down to bit 0.
    #[must_use]
    pub const fn bits_of(&self, value: u64) -> u64 {
        (value & self.mask()) >> self.shift
    }

    /// The number that the field holds in `value`.
    #[must_use]
    pub const fn number_in(&self, value: u64) -> i128 {
        let number = self.bits_of(value) as i128;
        let is_negative = self.signed && number >> (self.width - 1) & 1 == 1;
        if is_negative { number - (1 << self.width) } else { number }
    }

    /// Whether a host that offers the field as in `host` can show it as in `saved`.
    #[must_use]
    pub const fn fits(&self, saved: u64, host: u64) -> bool {
        let (saved, host) = (self.number_in(saved), self.number_in(host));
        match self.direction {
            Direction::LowerIsSafe => saved <= host,
            Direction::HigherIsSafe => saved >= host,
            Direction::Same => saved == host,
            Direction::Any => true,
        }
    }
}

/// The rule of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whether the value fits.
    pub fit: Fit,
    /// What its absence means.
    pub absent: Absent,
    /// What is to be read back.
    pub readback: Readback,
}

impl Rule {
    /// Plain state: any value, must exist, reads back as written.
    pub const STATE: Self =
        Self { fit: Fit::Any, absent: Absent::Refuse, readback: Readback::Equal };
    /// A fact about the machine that must be the same everywhere.
    pub const IDENTITY: Self =
        Self { fit: Fit::Exact, absent: Absent::Refuse, readback: Readback::Equal };
    /// A counter that goes on by itself.
    pub const COUNTER: Self =
        Self { fit: Fit::Any, absent: Absent::Refuse, readback: Readback::Bound };
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn field(signed: bool, direction: Direction) -> Field {
        Field { name: "F", shift: 16, width: 4, signed, direction }
    }

    #[test]
    fn a_signed_field_of_all_ones_is_less_than_zero() {
        let signed = field(true, Direction::LowerIsSafe);
        assert_eq!(signed.number_in(0xf_ffff), -1);
        assert_eq!(field(false, Direction::LowerIsSafe).number_in(0xf_ffff), 15);
        assert!(signed.fits(0xf_0000, 0) && !signed.fits(0, 0xf_0000));
    }

    #[test]
    fn each_direction_is_its_own() {
        let fits = |direction| {
            let field = field(false, direction);
            [field.fits(0x1_0000, 0x2_0000), field.fits(0x2_0000, 0x1_0000)]
        };
        assert_eq!(fits(Direction::LowerIsSafe), [true, false]);
        assert_eq!(fits(Direction::HigherIsSafe), [false, true]);
        assert_eq!(fits(Direction::Same), [false, false]);
        assert_eq!(fits(Direction::Any), [true, true]);
    }

    #[test]
    fn what_may_be_read_back_is_judged_by_the_rule() {
        let tolerates = |rule: Readback, written, found| {
            rule.tolerates(&Value::u64(written), &Value::u64(found))
        };
        assert!(tolerates(Readback::Equal, 5, 5) && !tolerates(Readback::Equal, 5, 4));
        assert!(tolerates(Readback::EqualBut(1), 5, 4) && !tolerates(Readback::EqualBut(1), 5, 7));
        assert!(tolerates(Readback::Original, 5, 0));
        assert!(tolerates(Readback::Bound, 5, 6) && !tolerates(Readback::Bound, 5, 4));
        // Another width is another register.
        assert!(!Readback::EqualBut(1).tolerates(&Value::u64(4), &Value::u32(4)));
        assert!(!Readback::Bound.tolerates(&Value::u64(4), &Value::bytes(&[])));
    }

    #[test]
    fn a_field_may_fill_the_register() {
        let whole = Field { shift: 0, width: 64, ..field(false, Direction::Same) };
        assert_eq!(whole.mask(), u64::MAX);
        assert_eq!(whole.number_in(u64::MAX), i128::from(u64::MAX));
    }
}
