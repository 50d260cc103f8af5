//! Both drivers over real sockets: cut after every byte, with every step and every record failing.
#![expect(clippy::unwrap_used, reason = "what the tests themselves set up must succeed")]

mod common;
#[path = "common/ends.rs"]
mod ends;

use abide_migrate::driver::{DestinationEnd, HandoffError, SourceEnd};
use abide_migrate::{Epoch, Ownership, SourceState, StateDigest};
use common::{Cut, TOKEN};
use ends::{Ends, Outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Exactly one runs, and both say the same about it.
fn check(ends: Ends, what: &str) -> Outcome {
    let world = ends.world.clone();
    let outcome = ends.meet();
    match (&outcome.source, world.who_runs()) {
        (SourceEnd::GivenAway, (false, true)) | (SourceEnd::Kept { .. }, (true, false)) => {}
        (end, who) => panic!("{what}: {end:?}, and (source, destination) run: {who:?}"),
    }
    outcome
}

#[test]
fn a_guest_is_handed_over() {
    let outcome = check(Ends::new(), "undisturbed");
    assert!(matches!(outcome.source, SourceEnd::GivenAway));
    let DestinationEnd::Runs { token, is_settled } = outcome.destination else { panic!() };
    assert_eq!((token.epoch, is_settled), (Epoch(4), true));
    use SourceState as S;
    let steps = [S::Greeting, S::Offering, S::Copying, S::Announcing, S::Freezing];
    let at = outcome.steps.iter().position(|step| *step == S::Greeting).unwrap();
    assert_eq!(outcome.steps[at..at + 3], steps[..3]);
    let last = [S::AwaitingPrepared, S::GivingAway, S::Committing, S::Settling, S::Ended];
    assert!(outcome.steps.ends_with(&[&steps[3..], &last].concat()), "{:?}", outcome.steps);
    use Ownership as O;
    let records = [O::Running, O::Outgoing, O::GivenAway, O::Settled];
    assert_eq!(outcome.source_disk.written, records);
    assert_eq!(outcome.destination_disk.written, [O::Incoming, O::Prepared, O::Running]);
}

/// Cuts a connection, of those that `ends` make, after every byte of one direction.
fn cut_everywhere(ends: fn() -> Ends, connection: usize, cuts_writes: bool) -> (usize, usize) {
    let whole = i64::MAX;
    let cut_at = |left: &Arc<AtomicI64>| {
        let cut = Some(Cut { connection, left: Arc::clone(left), cuts_writes });
        Ends { cut, ..ends() }
    };
    let left = Arc::new(AtomicI64::new(whole));
    check(cut_at(&left), "measured");
    let len = whole - left.load(Ordering::SeqCst);
    assert!(len > 25, "{len} bytes in one direction");
    let (mut kept, mut given) = (0, 0);
    for at in 0..len {
        let ends = cut_at(&Arc::new(AtomicI64::new(at)));
        let outcome = check(ends, &format!("cut after byte {at} of {len}"));
        match outcome.source {
            SourceEnd::GivenAway => given += 1,
            _ => kept += 1,
        }
        // The source's disk agrees.
        let last = outcome.source_disk.written.last();
        let is_kept = matches!(outcome.source, SourceEnd::Kept { .. });
        assert_eq!(last == Some(&Ownership::Running), is_kept, "cut after byte {at}: {last:?}");
    }
    (kept, given)
}

fn three() -> Ends {
    let mut ends = Ends::new();
    ends.source.connections = 2;
    ends
}

#[test]
fn a_cut_of_a_further_connection_keeps_the_guest() {
    for connection in [1, 2] {
        for cuts_writes in [true, false] {
            let (kept, given) = cut_everywhere(three, connection, cuts_writes);
            assert!(kept > 25 && given == 0, "{kept} kept, {given} given away");
        }
    }
}

#[test]
fn the_first_of_three_connections_is_cut_like_a_single_one() {
    let (kept, given) = cut_everywhere(three, 0, true);
    assert!(kept > 100 && given > 40, "{kept} kept, {given} given away");
}

#[test]
fn no_more_connections_are_made_than_the_destination_takes() {
    let mut ends = Ends::new();
    ends.source.connections = 64;
    let outcome = check(ends, "64 offered, 3 taken");
    let SourceEnd::Kept { why, .. } = outcome.source else { panic!() };
    // The guest of this test insists on all that it offered.
    assert!(why.to_string().contains("4 connections"), "{why}");
}

#[test]
fn a_cut_after_any_byte_to_the_destination_leaves_exactly_one() {
    let (kept, given) = cut_everywhere(Ends::new, 0, true);
    // The commit and the farewell come after the record, so those cuts are settled.
    assert!(kept > 100 && given > 40, "{kept} kept, {given} given away");
}

#[test]
fn a_cut_after_any_byte_to_the_source_leaves_exactly_one() {
    let (kept, given) = cut_everywhere(Ends::new, 0, false);
    // So are those in the acknowledgement.
    assert!(kept > 100 && given >= 40);
}

#[test]
fn every_failing_step_of_the_source_before_the_record_keeps_the_guest() {
    for step in ["offer", "begin_copy", "round", "freeze", "last round", "state"] {
        let mut ends = Ends::new();
        ends.source.fails_at = Some(step);
        let outcome = check(ends, step);
        let SourceEnd::Kept { token, why } = outcome.source else { panic!("{step}") };
        assert_eq!(token, TOKEN);
        assert!(why.to_string().contains(&format!("{step} fails")), "{why}");
    }
}

#[test]
fn a_guest_that_cannot_go_on_is_not_called_running() {
    let mut ends = Ends::new();
    (ends.source.fails_at, ends.destination.fails_at) = (Some("resume"), Some("prepare"));
    let world = ends.world.clone();
    let outcome = ends.meet();
    assert!(matches!(outcome.source, SourceEnd::Unsettled { .. }), "{:?}", outcome.source);
    assert_eq!(world.who_runs(), (false, false));
}

#[test]
fn every_failing_step_of_the_destination_leaves_the_guest_at_the_source() {
    for step in ["check", "receive", "prepare"] {
        let mut ends = Ends::new();
        ends.destination.fails_at = Some(step);
        let outcome = check(ends, step);
        let SourceEnd::Kept { token, why } = outcome.source else { panic!("{step}") };
        assert_eq!(token, TOKEN);
        assert!(why.to_string().contains(&format!("{step} fails")), "{why}");
    }
}

#[test]
fn a_guest_that_does_not_start_goes_back_in_a_new_epoch() {
    let mut ends = Ends::new();
    ends.destination.fails_at = Some("run");
    let outcome = check(ends, "run");
    let SourceEnd::Kept { token, why } = outcome.source else { panic!() };
    assert_eq!(token.epoch, Epoch(5), "3 gave it away, 4 never ran");
    let why = why.to_string();
    assert!(why.contains("discarded the guest") && why.contains("run fails"), "{why}");
}

#[test]
fn a_destination_that_read_back_something_else_is_not_trusted() {
    let mut ends = Ends::new();
    ends.destination.digest = StateDigest([6; 32]);
    let world = ends.world.clone();
    let outcome = check(ends, "digest");
    let SourceEnd::Kept { why, .. } = outcome.source else { panic!() };
    assert!(why.to_string().contains("would not be the same there"), "{why}");
    assert_eq!(world.discards.load(Ordering::SeqCst), 1);
}

#[test]
fn every_record_may_fail_once_or_twice() {
    for first in 0..5 {
        for second in first..5 {
            for is_source in [true, false] {
                let mut fails = vec![false; 5];
                (fails[first], fails[second]) = (true, true);
                let mut ends = Ends::new();
                let disk =
                    if is_source { &mut ends.source_disk } else { &mut ends.destination_disk };
                disk.fails = fails;
                check(ends, &format!("writes {first} and {second}, source: {is_source}"));
            }
        }
    }
}

#[test]
fn a_cancel_before_the_record_keeps_the_guest() {
    let mut ends = Ends::new();
    ends.source.is_cancelled = true;
    let outcome = check(ends, "cancel");
    let SourceEnd::Kept { why, .. } = outcome.source else { panic!() };
    assert!(matches!(why, HandoffError::Cancelled), "{why}");
}

#[test]
fn a_token_that_is_over_is_refused() {
    let mut ends = Ends::new();
    let mut left = abide_migrate::Record::running(TOKEN);
    left.token.epoch = Epoch(8);
    ends.destination_disk.record = Some(left);
    let outcome = check(ends, "stale");
    let SourceEnd::Kept { why, .. } = outcome.source else { panic!() };
    let text = why.to_string();
    assert!(text.contains("epoch 3") && text.contains("epoch 8"), "{text}");
}

#[test]
fn another_guest_that_is_prepared_is_not_overwritten() {
    let mut ends = Ends::new();
    let mut left = abide_migrate::Record::running(TOKEN);
    left.token.guest.0 = [1; 16];
    left.ownership = Ownership::Prepared;
    ends.destination_disk.record = Some(left.clone());
    let outcome = check(ends, "busy");
    let SourceEnd::Kept { why, .. } = outcome.source else { panic!() };
    assert!(why.to_string().contains("prepared here"), "{why}");
    assert_eq!(outcome.destination_disk.record, Some(left));
}
