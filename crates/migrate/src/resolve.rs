//! Who may run, decided from what the two sides' disks say.
//!
//! For when the two processes cannot settle it themselves: one of them is gone, or its machine is.

use crate::ownership::{Ownership, Record};
use std::fmt;

/// What is known of one side.
#[derive(Clone, Copy, Debug)]
pub enum View<'a> {
    /// Its journal was read.
    Journal {
        /// What it says, if it says anything. A living process is asked itself: what it failed to
        /// write may stand on its disk all the same.
        record: Option<&'a Record>,
        /// Whether the process that wrote it lives, and so has the guest's memory. One that was
        /// started after it does not.
        is_alive: bool,
    },
    /// An operator states that this side is gone with its journal, or cut off from power, network
    /// and disks for good: **that nothing of it runs, nor ever will again**.
    Fenced,
    /// Nothing is known.
    Unknown,
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who had the guest.
    Source,
    /// Who was to have it.
    Destination,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The source has the guest, and the destination may discard what it has.
    Source,
    /// Both processes live: they settle it themselves as soon as they are connected.
    Underway,
    /// The destination may run what it has prepared, once the source's journal (if there is one)
    /// says `given away`.
    GiveToDestination {
        /// It rests on a statement alone: if the source went on after the handoff was cut off,
        /// the guest is put back in time.
        by_statement: bool,
    },
    /// The destination has taken the guest.
    Destination,
    /// The source may have the guest back, in a new epoch.
    Reclaim {
        /// It rests on a statement alone: if the destination ran the guest, it is put back in time.
        by_statement: bool,
    },
    /// It crashed there: no process has it any more.
    Crashed(Side),
    /// Nothing can be decided before this side was looked at, or is stated to be fenced.
    Ask(Side),
    /// The two journals are not about the same handoff.
    Unrelated,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Destination => "destination",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source => f.write_str("the source has it"),
            Self::Underway => f.write_str("both live and settle it"),
            Self::GiveToDestination { by_statement: false } => {
                f.write_str("the destination may run it")
            }
            Self::GiveToDestination { by_statement: true } => {
                f.write_str("the destination may run it, by the statement")
            }
            Self::Destination => f.write_str("the destination has it"),
            Self::Reclaim { by_statement: false } => f.write_str("the source may have it back"),
            Self::Reclaim { by_statement: true } => {
                f.write_str("the source may have it back, by the statement")
            }
            Self::Crashed(side) => write!(f, "it crashed at the {side}"),
            Self::Ask(side) => write!(f, "look at the {side}, or state that it is fenced"),
            Self::Unrelated => f.write_str("these are not the two sides of one handoff"),
        }
    }
}

/// Decides.
#[must_use]
pub fn resolve(source: View<'_>, destination: View<'_>) -> Verdict {
    match (source, destination) {
        (View::Journal { record: Some(ours), is_alive }, theirs) => {
            by_source(ours, is_alive, theirs)
        }
        (View::Journal { record: None, .. }, _) => Verdict::Unrelated,
        (View::Fenced | View::Unknown, View::Journal { record: Some(theirs), is_alive }) => {
            let is_fenced = matches!(source, View::Fenced);
            by_destination(theirs, is_alive, is_fenced)
        }
        (View::Fenced | View::Unknown, View::Journal { record: None, .. }) => Verdict::Unrelated,
        (View::Unknown, _) => Verdict::Ask(Side::Source),
        (View::Fenced, View::Unknown) => Verdict::Ask(Side::Destination),
        (View::Fenced, View::Fenced) => Verdict::Crashed(Side::Source),
    }
}

fn by_source(ours: &Record, is_alive: bool, destination: View<'_>) -> Verdict {
    let theirs = match destination {
        View::Journal { record, is_alive } => record.map(|record| (record, is_alive)),
        View::Fenced | View::Unknown => None,
    };
    if theirs.is_some_and(|(theirs, _)| theirs.token.guest != ours.token.guest) {
        return Verdict::Unrelated;
    }
    // Whoever was in the next epoch has taken it, whatever the source says.
    if let Some((theirs, lives)) = theirs.filter(|(theirs, _)| has_taken(ours, theirs)) {
        let runs = lives || theirs.ownership != Ownership::Running;
        return if runs { Verdict::Destination } else { Verdict::Crashed(Side::Destination) };
    }
    let same = theirs.filter(|(theirs, _)| theirs.attempt == ours.attempt);
    let is_prepared =
        same.is_some_and(|(theirs, lives)| lives && theirs.ownership == Ownership::Prepared);
    match ours.ownership {
        Ownership::Running if is_alive => Verdict::Source,
        Ownership::Running | Ownership::Crashed => Verdict::Crashed(Side::Source),
        // A source that lives takes it back, or gives it away, by itself.
        Ownership::Outgoing if is_alive => Verdict::Underway,
        Ownership::Outgoing | Ownership::GivenAway if is_prepared && !is_alive => {
            Verdict::GiveToDestination { by_statement: false }
        }
        Ownership::GivenAway if is_prepared => Verdict::Underway,
        Ownership::Outgoing | Ownership::GivenAway => match (destination, same) {
            (View::Unknown, _) => Verdict::Ask(Side::Destination),
            (View::Fenced, _) if is_alive => Verdict::Reclaim { by_statement: true },
            (_, Some(_)) if is_alive => Verdict::Reclaim { by_statement: false },
            (View::Fenced, _) | (_, Some(_)) => Verdict::Crashed(Side::Source),
            (View::Journal { .. }, None) => Verdict::Unrelated,
        },
        Ownership::Settled if matches!(destination, View::Fenced) => {
            Verdict::Crashed(Side::Destination)
        }
        Ownership::Settled => Verdict::Destination,
        Ownership::Incoming | Ownership::Prepared | Ownership::Discarded => Verdict::Unrelated,
    }
}

/// Whether `theirs` was written by somebody who has held the epoch after `ours`.
fn has_taken(ours: &Record, theirs: &Record) -> bool {
    theirs.ownership.has_run() && theirs.token.epoch >= ours.token.epoch.of_destination()
}

fn by_destination(theirs: &Record, is_alive: bool, is_fenced: bool) -> Verdict {
    match theirs.ownership {
        Ownership::Prepared if is_alive && is_fenced => {
            Verdict::GiveToDestination { by_statement: true }
        }
        Ownership::Incoming | Ownership::Prepared | Ownership::Discarded if is_fenced => {
            Verdict::Crashed(Side::Source)
        }
        Ownership::Incoming | Ownership::Prepared | Ownership::Discarded => {
            Verdict::Ask(Side::Source)
        }
        Ownership::Running | Ownership::Outgoing if !is_alive => {
            Verdict::Crashed(Side::Destination)
        }
        Ownership::Running | Ownership::Outgoing | Ownership::GivenAway | Ownership::Settled => {
            Verdict::Destination
        }
        Ownership::Crashed => Verdict::Crashed(Side::Destination),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Attempt, Epoch, GuestId, RunToken};
    use Ownership as O;
    use Verdict as V;

    fn record(ownership: O, epoch: u64, attempt: u8) -> Record {
        let token = RunToken { guest: GuestId([1; 16]), epoch: Epoch(epoch) };
        Record { ownership, attempt: Attempt([attempt; 16]), ..Record::running(token) }
    }

    /// With the source in epoch 1 and attempt 1, what the destination says in epoch 2.
    fn both(source: (O, bool), destination: (O, u8, bool)) -> Verdict {
        let (ours, theirs) = (record(source.0, 1, 1), record(destination.0, 2, destination.1));
        resolve(
            View::Journal { record: Some(&ours), is_alive: source.1 },
            View::Journal { record: Some(&theirs), is_alive: destination.2 },
        )
    }

    #[test]
    fn two_journals_decide() {
        let give = V::GiveToDestination { by_statement: false };
        let reclaim = V::Reclaim { by_statement: false };
        let crashed = V::Crashed(Side::Source);
        for (source, destination, verdict) in [
            ((O::Running, true), (O::Prepared, 1, true), V::Source),
            ((O::Running, false), (O::Prepared, 1, true), crashed),
            ((O::Outgoing, true), (O::Prepared, 1, true), V::Underway),
            ((O::Outgoing, false), (O::Prepared, 1, true), give),
            ((O::Outgoing, false), (O::Prepared, 1, false), crashed),
            ((O::Outgoing, false), (O::Incoming, 1, true), crashed),
            ((O::Outgoing, false), (O::Running, 1, true), V::Destination),
            ((O::GivenAway, true), (O::Prepared, 1, true), V::Underway),
            ((O::GivenAway, false), (O::Prepared, 1, true), give),
            ((O::GivenAway, true), (O::Prepared, 1, false), reclaim),
            ((O::GivenAway, true), (O::Discarded, 1, true), reclaim),
            ((O::GivenAway, false), (O::Discarded, 1, true), crashed),
            ((O::GivenAway, true), (O::Running, 1, true), V::Destination),
            ((O::GivenAway, true), (O::Running, 1, false), V::Crashed(Side::Destination)),
            // Another attempt says nothing about this one.
            ((O::Outgoing, false), (O::Prepared, 2, true), V::Unrelated),
            ((O::GivenAway, true), (O::Discarded, 2, true), V::Unrelated),
            ((O::Settled, false), (O::Running, 1, true), V::Destination),
            ((O::Crashed, false), (O::Discarded, 1, true), crashed),
        ] {
            assert_eq!(both(source, destination), verdict, "{source:?} {destination:?}");
        }
    }

    #[test]
    fn a_later_epoch_shows_that_the_guest_was_taken() {
        let (ours, theirs) = (record(O::GivenAway, 1, 1), record(O::Settled, 2, 9));
        let alive = |record| View::Journal { record: Some(record), is_alive: true };
        assert_eq!(resolve(alive(&ours), alive(&theirs)), V::Destination);
    }

    #[test]
    fn a_lost_side_needs_a_statement() {
        let prepared = record(O::Prepared, 2, 1);
        let given = record(O::GivenAway, 1, 1);
        let alive = |record| View::Journal { record: Some(record), is_alive: true };
        assert_eq!(resolve(View::Unknown, alive(&prepared)), V::Ask(Side::Source));
        let give = V::GiveToDestination { by_statement: true };
        assert_eq!(resolve(View::Fenced, alive(&prepared)), give);
        assert_eq!(resolve(alive(&given), View::Unknown), V::Ask(Side::Destination));
        let reclaim = V::Reclaim { by_statement: true };
        assert_eq!(resolve(alive(&given), View::Fenced), reclaim);
        assert_eq!(resolve(View::Fenced, View::Fenced), V::Crashed(Side::Source));
    }
}
