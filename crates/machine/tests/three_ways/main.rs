//! Three ways to tell a guest of a disruption, on one guest, and the guide's table of them: nothing
//! but a page, a page and interrupts, a copy for each vCPU.
//!
//! ```sh
//! cargo test -p abide-machine --test three_ways -- --nocapture    # prints the table
//! ```

mod feed;
mod guest;
mod host;

use host::{Counts, measure};
use std::fmt::Write;
use std::path::Path;

/// How a guest is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A page.
    Page,
    /// A page, and an interrupt that goes to one vCPU: what drivers know today.
    One,
    /// A page, then an interrupt to each vCPU.
    Each,
    /// The same, and none goes back to its program before all came.
    All,
    /// The same again; readers are kept out from before the first interrupt until behind the last.
    Closed,
    /// A copy for each vCPU, by a queue with one buffer.
    Queues,
}

/// What happens meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    /// All is done before any vCPU executes, as when a guest arrives.
    Arriving,
    /// The guest executes, and the host halts after each thing that it does.
    Halting,
    /// As in the first, and one vCPU's kernel works for long with interrupts masked.
    Busy,
}

const WAYS: [(Way, &str); 6] = [
    (Way::Page, "a: the page alone"),
    (Way::One, "a page, an interrupt to one vCPU"),
    (Way::Each, "a page, then interrupts to all"),
    (Way::All, "b: a page, then interrupts to all, rendezvous"),
    (Way::Closed, "b: the page closed until all are interrupted"),
    (Way::Queues, "c: a copy for each vCPU, by its queue"),
];
const SCENES: [(Scene, &str); 3] = [
    (Scene::Arriving, "guest arrives"),
    (Scene::Halting, "host halts between"),
    (Scene::Busy, "one vCPU busy"),
];

/// The table, as it stands in the guide.
fn table(found: &[(Scene, Way, Counts)]) -> String {
    let mut text = String::from(
        "| when | way | old, at EL0 | beside new | interrupts | bytes | kernel | a second |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let names = SCENES.iter().flat_map(|scene| WAYS.map(|way| (scene.1, way.1)));
    for ((scene, way), (_, _, counts)) in names.zip(found) {
        let each = [counts.old, counts.beside, counts.interrupts, counts.written, counts.telling];
        let [old, beside, interrupts, written, telling] = each.map(Counts::of_one);
        let rate = counts.updates_per_second();
        writeln!(
            text,
            "| {scene} | {way} | {old} | {beside} | {interrupts} | {written} | {telling} | {rate} |"
        )
        .expect("memory");
    }
    text
}

fn all() -> Vec<(Scene, Way, Counts)> {
    let ways = |scene| WAYS.map(|(way, _)| (scene, way, measure(way, scene)));
    SCENES.into_iter().flat_map(|(scene, _)| ways(scene)).collect()
}

#[test]
fn each_way_keeps_what_it_promises_and_the_guide_has_the_table() {
    let found = all();
    let text = table(&found);
    println!("{text}");
    let of = |scene, way| {
        found.iter().find(|it| (it.0, it.1) == (scene, way)).map(|it| it.2).expect("measured")
    };
    let vcpus = u64::from(guest::VCPUS);
    for (scene, way, counts) in &found {
        let each = Counts::of_one(counts.interrupts);
        let expected = match way {
            Way::Page => 0,
            Way::One => 1,
            Way::Each | Way::All | Way::Closed | Way::Queues => vcpus,
        };
        assert_eq!(each, expected, "{scene:?}, {way:?}");
    }
    for scene in [Scene::Arriving, Scene::Busy] {
        // Whoever goes by reading alone works with the old until it looks again.
        assert!(of(scene, Way::Page).old > 0 && of(scene, Way::One).old > 0);
        for way in [Way::Each, Way::All, Way::Closed, Way::Queues] {
            assert_eq!((of(scene, way).old, of(scene, way).beside), (0, 0), "{scene:?}, {way:?}");
        }
    }
    // A host that is halted in the middle: only who is kept out until all came is never beside.
    let halting = |way| of(Scene::Halting, way);
    assert!(WAYS.iter().all(|&(way, _)| halting(way).old > 0));
    assert_eq!(halting(Way::Closed).beside, 0);
    assert!(halting(Way::Each).beside > 2 * halting(Way::All).beside);
    assert!(halting(Way::All).beside > 0 && halting(Way::Queues).beside > 0);
    // One vCPU that cannot be interrupted holds all others up, or only itself.
    assert!(of(Scene::Busy, Way::All).telling > 10 * of(Scene::Busy, Way::Queues).telling);
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/time.md");
    let guide = std::fs::read_to_string(guide).expect("the guide");
    assert!(guide.contains(&text), "docs/guide/time.md has another table than this:\n{text}");
}

#[test]
fn a_second_time_it_is_the_same_to_the_last_instruction() {
    let once = |way| measure(way, Scene::Halting);
    for (way, _) in WAYS {
        assert_eq!(once(way), once(way), "{way:?}");
    }
}
