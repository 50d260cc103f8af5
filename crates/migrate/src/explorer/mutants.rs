//! Bugs planted in the tables, to see that the walk notices them.
//!
//! One for each thing that must never be done, by name; and then every table that differs from the
//! product's in one place: a rule left out, an action left out, two neighbours exchanged. What the
//! walk does not notice of these is listed with the reason why it does no harm.

use super::walk::walk;
use super::world::{DestinationRules, Rules, SourceRules};
use crate::handoff::{
    DestinationAction as DA, DestinationEvent as DE, DestinationState as DS, Rule,
    SourceAction as SA, SourceEvent as SE, SourceState as SS,
};
use crate::message::Standing;
use crate::ownership::Ownership as O;
use std::fmt::Debug;

const FAULTS: u8 = 2;

/// With another rule in place of the source's.
fn source(from: SS, on: SE, does: &'static [SA], to: SS) -> Rules {
    let mut rules = Rules::of_the_product();
    let rule = rules.source.iter_mut().find(|rule| rule.from == from && rule.on == on);
    let rule = rule.expect("the product has such a rule");
    (rule.does, rule.to) = (does, to);
    rules
}

/// With another rule in place of the destination's.
fn destination(from: DS, on: DE, does: &'static [DA], to: DS) -> Rules {
    let mut rules = Rules::of_the_product();
    let rule = rules.destination.iter_mut().find(|rule| rule.from == from && rule.on == on);
    let rule = rule.expect("the product has such a rule");
    (rule.does, rule.to) = (does, to);
    rules
}

fn found(rules: &Rules) -> Option<&'static str> {
    walk(rules, FAULTS).err().map(|found| found.what)
}

#[test]
fn what_must_never_be_done_is_noticed() {
    use {DS as D, SS as S};
    let old = "a state runs that the guest had gone on from";
    let discard = &[DA::Discard, DA::Record(O::Discarded)];
    for (bug, rules, what) in [
        (
            "the source runs on when the link is lost after the commit",
            source(S::Committing, SE::Failed, &[SA::Resume, SA::Close], S::Running),
            "the source runs an epoch that it gave away",
        ),
        (
            "the source commits before its disk has the record",
            source(
                S::AwaitingPrepared,
                SE::Prepared,
                &[SA::Release, SA::SendCommit, SA::Record(O::GivenAway)],
                S::GivingAway,
            ),
            "the source runs an epoch that it gave away",
        ),
        (
            "the source goes on before its disk says so",
            source(S::AwaitingPrepared, SE::Failed, &[SA::Resume, SA::Close], S::Running),
            old,
        ),
        (
            "the source stops the guest without a word on its disk",
            source(S::Copying, SE::Converged, &[SA::Freeze], S::Freezing),
            "the guest is lost, and nobody knows why",
        ),
        (
            "the source reclaims in its old epoch",
            source(S::Committing, SE::Discarded, &[SA::Record(O::Running)], S::Reclaiming),
            "the source runs an epoch that it gave away",
        ),
        (
            "the source takes `unknown` for `discarded`",
            source(
                S::Rejoining,
                SE::Welcomed(Standing::Unknown),
                &[SA::RecordReclaimed],
                S::Reclaiming,
            ),
            "a guest goes on that is gone",
        ),
        (
            "the source drops the guest when it has sent the commit",
            source(S::Committing, SE::Failed, &[SA::Close, SA::End], S::Ended),
            "the source drops a guest that nobody else has",
        ),
        (
            "the source keeps the locks",
            source(S::GivingAway, SE::Recorded, &[SA::SendCommit], S::Committing),
            "the destination cannot lock what the source holds",
        ),
        (
            "the destination runs when it is prepared",
            destination(D::Vouching, DE::Recorded, &[DA::Run, DA::SendPrepared], D::Running),
            "the destination cannot lock what the source holds",
        ),
        (
            "the destination runs when the link is lost",
            destination(D::Prepared, DE::Failed, &[DA::Close, DA::Run], D::Starting),
            "it never comes to an end",
        ),
        (
            "the destination runs before its disk says so",
            destination(D::Prepared, DE::Commit, &[DA::Run], D::Starting),
            "the source drops a guest that nobody else has",
        ),
        (
            "the destination discards what is prepared when the link is lost",
            destination(D::Prepared, DE::Failed, discard, D::Discarding),
            "the guest is lost, and nobody knows why",
        ),
        (
            "the destination says `discarded`, and keeps it",
            destination(
                D::Starting,
                DE::StartFailed,
                &[DA::SendDiscarded, DA::Close],
                D::PreparedAlone,
            ),
            "nobody runs what is prepared",
        ),
        (
            "the destination keeps an old guest beside a new attempt",
            destination(
                D::PreparedGreeting,
                DE::BeginAnew,
                &[DA::SendWelcome(Standing::Prepared)],
                D::Prepared,
            ),
            "another try does not succeed",
        ),
    ] {
        assert_eq!(found(&rules), Some(what), "{bug}");
    }
}

/// The lists of actions with one left out, or two exchanged.
fn changed_lists<A: Copy + Debug>(does: &'static [A]) -> Vec<(String, &'static [A])> {
    let mut lists = Vec::new();
    for at in 0..does.len() {
        let mut less = does.to_vec();
        let action = less.remove(at);
        lists.push((format!("without {action:?}"), &*less.leak()));
    }
    for at in 1..does.len() {
        let mut swapped = does.to_vec();
        swapped.swap(at - 1, at);
        let name = format!("{:?} after {:?}", does[at - 1], does[at]);
        lists.push((name, &*swapped.leak()));
    }
    lists
}

/// What `rules` differs in, and the rules that do. `is_same` tells of a rule that its absence is
/// no change: it does what the state does about any failure.
fn changed<S, E, A>(
    rules: &[Rule<S, E, A>],
    is_same: impl Fn(&Rule<S, E, A>) -> bool,
) -> impl Iterator<Item = (String, Vec<Rule<S, E, A>>)>
where
    S: Copy + Debug,
    E: Copy + Debug,
    A: Copy + Debug,
{
    let mut tables = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let place = format!("{:?} on {:?}", rule.from, rule.on);
        if !is_same(rule) {
            let mut less = rules.to_vec();
            less.remove(index);
            tables.push((format!("{place}: no rule"), less));
        }
        for (name, does) in changed_lists(rule.does) {
            let mut table = rules.to_vec();
            table[index].does = does;
            tables.push((format!("{place}: {name}"), table));
        }
    }
    tables.into_iter()
}

fn changed_source(rules: &SourceRules) -> impl Iterator<Item = (String, SourceRules)> {
    changed(rules, |rule| {
        rule.on.is_message()
            && rules.iter().any(|it| {
                it.on == SE::Failed && (it.from, it.does, it.to) == (rule.from, rule.does, rule.to)
            })
    })
}

fn changed_destination(
    rules: &DestinationRules,
) -> impl Iterator<Item = (String, DestinationRules)> {
    changed(rules, |rule| {
        rule.on.is_message()
            && rules.iter().any(|it| {
                it.on == DE::Failed && (it.from, it.does, it.to) == (rule.from, rule.does, rule.to)
            })
    })
}

/// What the walk need not notice: a part of the change's name, how many there are, and why.
const HARMLESS: &[(&str, usize, &str)] = &[
    (
        "SendWithdraw",
        20,
        "the destination sees the end of the connection, or hears at the next try",
    ),
    ("SendFarewell", 8, "the destination sees the end of the connection"),
    ("SendRefuse", 24, "the source sees the end of the connection"),
    ("SendDiscarded", 4, "the source asks again"),
    ("SendAcknowledged", 1, "the source asks again"),
    ("SendWelcome(Unknown)", 6, "the source sees the end of the connection"),
    ("Acknowledged: no rule", 1, "the source asks again"),
    ("Discarded: no rule", 1, "the source asks again"),
    ("Commit: no rule", 1, "the source asks again"),
    ("OrphanGreeting on Welcomed(Taken)", 2, "`outgoing` stands, and leads here again"),
    ("without Record(Running)", 7, "what takes a guest back writes until it is written"),
    ("without RecordReclaimed", 3, "what reclaims a guest writes until it is written"),
    ("on RecordFailed: no rule", 2, "the state is the same, and is tried again"),
    ("Cancel: no rule", 5, "who cannot cancel waits for the end"),
    ("without End", 2, "its guest was gone before"),
    ("Close", 18, "the other side closes, or nothing more is sent"),
    ("RoundArrived", 2, "how many rounds there are is not looked at here"),
    ("Unwelcome: no rule", 3, "a failure closes the connection too, without a reason"),
    ("Refused: no rule", 3, "a failure does the same, and says why to the destination"),
    ("Unknown: no rule", 3, "a failure closes the connection too, without a word"),
    ("Begin: no rule", 2, "a failure closes the connection too, without a reason"),
    ("Withdrawn: no rule", 2, "it is discarded all the same: at once, or at the next try"),
];

#[test]
fn every_change_of_a_rule_is_noticed_or_harmless() {
    let product = Rules::of_the_product();
    let sources = changed_source(&product.source).map(|(name, source)| {
        let destination = product.destination.clone();
        (format!("source, {name}"), Rules { source, destination })
    });
    let destinations = changed_destination(&product.destination).map(|(name, destination)| {
        let source = product.source.clone();
        (format!("destination, {name}"), Rules { source, destination })
    });
    let mut counts = vec![0; HARMLESS.len()];
    let (mut noticed, mut unexplained) = (0, Vec::new());
    for (name, rules) in sources.chain(destinations) {
        if found(&rules).is_some() {
            noticed += 1;
            continue;
        }
        match HARMLESS.iter().position(|(part, ..)| name.contains(part)) {
            Some(index) => counts[index] += 1,
            // Some take one fault more to show.
            None if walk(&rules, FAULTS + 1).is_err() => noticed += 1,
            None => unexplained.push(name),
        }
    }
    println!("{noticed} changes noticed, {} harmless", counts.iter().sum::<usize>());
    assert!(unexplained.is_empty(), "not noticed: {unexplained:#?}");
    for ((part, count, _), found) in HARMLESS.iter().zip(counts) {
        assert_eq!(found, *count, "changes with {part:?}");
    }
}
