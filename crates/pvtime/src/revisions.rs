//! Which revisions of the record a host keeps, and which one a guest gets.

use alloc::collections::BTreeSet;
use core::fmt;

/// The revision of a record, as its first word tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u32);

/// The only revision that is published, and the one that is meant where none is told
/// `[DEN0057A 3.3.5]`.
pub const REVISION_1_0: Revision = Revision(0);

/// The version of the interface whose records have [`REVISION_1_0`] `[DEN0057A 3.3]`.
pub const VERSION_1_0: u32 = 0x1_0000;
/// The version that tells of no stolen time at all.
pub const NO_VERSION: u32 = 0;

impl Revision {
    /// The version of the interface that has this revision: the next minor one for each. `None`
    /// where there is no number for it.
    #[must_use]
    pub const fn version(self) -> Option<u32> {
        VERSION_1_0.checked_add(self.0)
    }

    /// The revision of a version; `None` for [`NO_VERSION`] and others below 1.0.
    #[must_use]
    pub const fn of_version(version: u32) -> Option<Self> {
        match version.checked_sub(VERSION_1_0) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The revisions that a host keeps records of. None at all is a host without stolen time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revisions(BTreeSet<Revision>);

impl Revisions {
    /// A host without stolen time.
    pub const NONE: Self = Self(BTreeSet::new());

    /// These.
    #[must_use]
    pub fn of(revisions: impl IntoIterator<Item = Revision>) -> Self {
        Self(revisions.into_iter().collect())
    }

    /// Whether records of this revision are kept.
    #[must_use]
    pub fn offers(&self, revision: Revision) -> bool {
        self.0.contains(&revision)
    }

    /// What a guest gets that was promised nothing: the oldest, which most guests can read and most
    /// hosts keep.
    #[must_use]
    pub fn choose(&self) -> Option<Revision> {
        self.0.first().copied()
    }

    /// All of them, from the oldest on.
    pub fn iter(&self) -> impl Iterator<Item = Revision> {
        self.0.iter().copied()
    }

    /// Those that `other` has as well.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).copied().collect())
    }
}

impl fmt::Display for Revisions {
    /// `none`, or the numbers with commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (n, revision) in self.iter().enumerate() {
            write!(f, "{}{revision}", if n == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn the_oldest_is_chosen_and_no_other_is_offered() {
        let both = Revisions::of([Revision(1), Revision(0), Revision(1)]);
        assert_eq!(both.choose(), Some(REVISION_1_0));
        assert!(both.offers(Revision(1)) && !both.offers(Revision(2)));
        assert_eq!(Revisions::NONE.choose(), None);
        assert_eq!(both.common(&Revisions::of([Revision(1)])).choose(), Some(Revision(1)));
        assert_eq!([both, Revisions::NONE].map(|it| it.to_string()), ["0,1", "none"]);
    }

    #[test]
    fn versions_and_revisions_are_each_others() {
        for (version, revision) in [(0x1_0000, 0), (0x1_0001, 1), (u32::MAX, 0xfffe_ffff)] {
            assert_eq!(Revision::of_version(version), Some(Revision(revision)));
            assert_eq!(Revision(revision).version(), Some(version));
        }
        assert_eq!([0, 0xffff].map(Revision::of_version), [None; 2]);
        assert_eq!(Revision(u32::MAX).version(), None);
    }
}
