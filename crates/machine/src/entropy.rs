//! Random bits for the guest.

use crate::error::MachineError;
use abide_reg::{Entry, Intake, IntakeError, Leftover, RegDef, RegId, Value};
use abide_snapshot::MemoryId;

const SEEDED: RegDef = RegDef::state(RegId::named("entropy.seeded"), "seeded", 1);
const STATE: RegDef = RegDef::state(RegId::named("entropy.state"), "state", 8);
/// Every register of the source.
pub const TABLE: &[RegDef] = &[SEEDED, STATE];

/// Where random bits come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entropy {
    /// The host's random number generator.
    Host,
    /// A sequence that a seed decides, for runs that can be repeated. Not for secrets.
    Seeded {
        /// Position in the sequence.
        state: u64,
    },
}

impl Entropy {
    /// The next 64 bits; `None` where the host has none.
    pub fn next_u64(&mut self) -> Option<u64> {
        let mut bytes = [0; 8];
        match self {
            Self::Host => {
                let flags = rustix::rand::GetRandomFlags::empty();
                let got = rustix::rand::getrandom(&mut bytes, flags).ok()?;
                (got == bytes.len()).then(|| u64::from_le_bytes(bytes))
            }
            Self::Seeded { state } => {
                // SplitMix64 [Steele, Lea, Flood 2014].
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = *state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                Some(z ^ (z >> 31))
            }
        }
    }

    /// A seed for the guest's own generator.
    pub fn seed(&mut self) -> [u8; 64] {
        let mut seed = [0; 64];
        for chunk in seed.chunks_mut(8) {
            if let Some(bits) = self.next_u64() {
                chunk.copy_from_slice(&bits.to_le_bytes());
            }
        }
        seed
    }

    /// What names a guest, and nobody else's copy of it.
    ///
    /// # Errors
    /// [`MachineError::Random`] where the host has no random bits.
    pub fn generation(&mut self) -> Result<[u8; 16], MachineError> {
        let mut word = || self.next_u64().ok_or(std::io::ErrorKind::UnexpectedEof);
        let both = word().and_then(|low| Ok([low, word()?]));
        let [low, high] = both.map_err(|kind| MachineError::Random { source: kind.into() })?;
        Ok((u128::from(high) << 64 | u128::from(low)).to_le_bytes())
    }

    /// The source's registers.
    #[must_use]
    pub fn save(&self) -> Vec<Entry> {
        let (seeded, state) = match *self {
            Self::Host => (0, 0),
            Self::Seeded { state } => (1, state),
        };
        vec![Entry::of(&SEEDED, Value::u8(seeded)), Entry::of(&STATE, Value::u64(state))]
    }

    /// The source that [`Self::save`] saved.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        let mut intake = Intake::new(entries)?;
        let (seeded, state) = (intake.take(&SEEDED)?, intake.u64(&STATE)?);
        let source = match (seeded.to_u8(), state) {
            (Some(0), 0) => Self::Host,
            (Some(1), state) => Self::Seeded { state },
            _ => {
                let allowed = "0 (then entropy.state is 0) or 1";
                return Err(IntakeError::Value { id: SEEDED.id, found: seeded, allowed });
            }
        };
        Ok((source, intake.finish()?))
    }
}

/// A number for a guest or a save that no other has, from the host's random number generator.
///
/// # Errors
/// [`MachineError::Random`].
pub(crate) fn memory_id() -> Result<MemoryId, MachineError> {
    let mut bytes = [0; 16];
    let flags = rustix::rand::GetRandomFlags::empty();
    let got = rustix::io::retry_on_intr(|| rustix::rand::getrandom(&mut bytes, flags));
    let got = got.map_err(|errno| MachineError::Random { source: errno.into() })?;
    if got == bytes.len() && bytes != [0; 16] {
        return Ok(MemoryId(bytes));
    }
    Err(MachineError::Random { source: std::io::ErrorKind::UnexpectedEof.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_sequence_goes_on() {
        let mut source = Entropy::Seeded { state: 1 };
        source.next_u64();
        let (mut restored, _) = Entropy::restore(source.save()).unwrap();
        assert_eq!(restored.next_u64(), source.next_u64());
        assert_ne!(source.next_u64(), source.next_u64());
    }

    #[test]
    fn host_source_gives_bits_and_saves_none() {
        let mut source = Entropy::Host;
        assert_ne!(source.next_u64(), source.next_u64());
        assert_eq!(Entropy::restore(source.save()).unwrap().0, Entropy::Host);
    }
}
