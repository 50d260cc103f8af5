//! Registers of which KVM tells its user something else than a guest reads.

/// A register whose reads KVM does not trap as long as nothing was written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Untrapped {
    /// What a guest reads.
    seen: u64,
    /// What KVM tells meanwhile.
    told: u64,
}

impl Untrapped {
    /// `None` where KVM tells what a guest reads.
    pub(crate) fn new(seen: u64, told: u64) -> Option<Self> {
        (seen != told).then_some(Self { seen, told })
    }

    /// What a guest reads where KVM tells this.
    pub(crate) const fn shown(self, found: u64) -> u64 {
        if found == self.told { self.seen } else { found }
    }

    /// What to write so that a guest reads this; nothing would make it read what KVM tells.
    pub(crate) fn to_write(self, wanted: u64) -> Option<u64> {
        match wanted {
            wanted if wanted == self.seen => Some(self.told),
            wanted if wanted == self.told => None,
            _ => Some(wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untrapped_register_is_what_the_guest_reads() {
        let (seen, told, other) = (0x8444_c004, 0x9444_c004, 0x8444_c003);
        let ctr = Untrapped::new(seen, told).unwrap();
        assert_eq!((ctr.shown(told), ctr.shown(other)), (seen, other));
        assert_eq!(ctr.to_write(seen), Some(told));
        assert_eq!(ctr.to_write(told), None, "no guest would read that");
        assert_eq!(ctr.to_write(other), Some(other));
        assert!(Untrapped::new(seen, seen).is_none());
    }
}
