//! Who may run: the names that a handoff is about.

use std::fmt;

/// Sixteen random bytes that name a guest for its whole life, wherever it runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestId(pub [u8; 16]);

/// How often the right to run a guest has changed hands. The one who runs has the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch of a guest that was born here.
    pub const BIRTH: Self = Self(1);
    /// The last: far more handoffs than a guest can live through, and far from overflow.
    pub const MAX: Self = Self(1 << 62);

    /// The epoch of whoever takes the guest over.
    #[must_use]
    pub fn of_destination(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The epoch of a source that takes its guest back after it was given away. It is above that of
    /// the destination which discarded it, so that no epoch is ever held twice.
    #[must_use]
    pub fn of_reclaim(self) -> Self {
        Self(self.0.saturating_add(2))
    }

    /// Whether a guest can have it, with room for the next two.
    #[must_use]
    pub fn is_possible(self) -> bool {
        (Self::BIRTH.0..=Self::MAX.0).contains(&self.0)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The right to run: which guest, and in which epoch. Two of one guest and one epoch never run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunToken {
    /// The guest.
    pub guest: GuestId,
    /// The epoch that its holder runs it in.
    pub epoch: Epoch,
}

/// Sixteen random bytes that the source makes for one attempt to hand a guest over. What is said
/// about one attempt decides nothing about another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt(pub [u8; 16]);

/// Who is at the other end, as the transport proved it: the digest of its public key. Zeros where
/// the transport proves nothing (plain TCP), or the host does (a UNIX socket in a private folder).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 32]);

/// A digest of all registers of a guest. What is hashed is the machine's business; both ends must
/// come to the same one, the destination from what it read back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateDigest(pub [u8; 32]);

macro_rules! shown_as_hex {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    )*};
}

shown_as_hex!(GuestId, Attempt, PeerId, StateDigest);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_of_both_ends_differ() {
        let epoch = Epoch(7);
        assert_eq!((epoch.of_destination(), epoch.of_reclaim()), (Epoch(8), Epoch(9)));
        assert!(!Epoch(0).is_possible() && !Epoch(u64::MAX).is_possible());
    }

    #[test]
    fn names_are_shown_in_hexadecimal() {
        assert_eq!(GuestId([0x0a; 16]).to_string(), "0a".repeat(16));
        assert_eq!(format!("{:?}", PeerId::default()), format!("PeerId({})", "00".repeat(32)));
    }
}
