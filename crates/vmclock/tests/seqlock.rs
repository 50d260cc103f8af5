//! The page under a model checker, which tries the orders that the memory model allows, and under
//! real threads.

use abide_vmclock::seqlock::{AtomicPage, Cells, try_read, update};
use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Two words: a mixture needs no more, and each further one makes the search longer.
struct Model {
    seq: AtomicU32,
    words: [AtomicU64; 2],
    /// Fences that are left out, to see that the checker finds it.
    without: Option<Ordering>,
}

impl Model {
    fn new(without: Option<Ordering>) -> Self {
        Self { seq: AtomicU32::new(2), words: [AtomicU64::new(0), AtomicU64::new(0)], without }
    }
}

impl Cells for Model {
    fn seq(&self) -> u32 {
        self.seq.load(Ordering::Relaxed)
    }

    fn set_seq(&self, seq: u32) {
        self.seq.store(seq, Ordering::Relaxed);
    }

    fn word(&self, index: usize) -> u64 {
        self.words[index].load(Ordering::Relaxed)
    }

    fn set_word(&self, index: usize, word: u64) {
        self.words[index].store(word, Ordering::Relaxed);
    }

    fn fence(&self, order: Ordering) {
        if self.without != Some(order) {
            fence(order);
        }
    }
}

/// One update against one reading, in every order.
fn explore(without: Option<Ordering>) {
    loom::model(move || {
        let page = loom::sync::Arc::new(Model::new(without));
        let writers = page.clone();
        let writer = loom::thread::spawn(move || update(&*writers, 2, || [7, 7]));
        if let Some((seq, words, ())) = try_read::<_, _, 2>(&*page, || ()) {
            let expected = if seq == 2 { [0, 0] } else { [7, 7] };
            assert_eq!(words, expected, "torn at {seq}");
        }
        assert_eq!(writer.join().ok(), Some(4));
    });
}

#[test]
fn no_order_of_memory_tears_a_reading() {
    explore(None);
}

#[test]
fn without_any_of_the_fences_one_is_torn() {
    for without in [Ordering::SeqCst, Ordering::Release, Ordering::Acquire] {
        let torn = std::panic::catch_unwind(|| explore(Some(without)));
        assert!(torn.is_err(), "{without:?} is not needed, or the checker does not look");
    }
}

/// What the host samples within an update is not older than what any reader of the old state has
/// computed: a reader that saw the old state knows nothing that came after the sample.
#[test]
fn a_sample_is_taken_when_readers_are_warned() {
    loom::model(|| {
        let page = loom::sync::Arc::new(Model::new(None));
        let clock = loom::sync::Arc::new(AtomicU64::new(0));
        let (writers, sampled) = (page.clone(), clock.clone());
        let writer = loom::thread::spawn(move || {
            let mut sample = 0;
            update(&*writers, 2, || {
                sample = sampled.fetch_add(1, Ordering::SeqCst);
                [sample, sample]
            });
        });
        let read = try_read::<_, _, 2>(&*page, || clock.load(Ordering::SeqCst));
        if let Some((2, _, counter)) = read {
            // 1 is what the clock shows behind the sample.
            assert_eq!(counter, 0, "the old state with a counter from behind the sample");
        }
        assert!(writer.join().is_ok());
    });
}

#[test]
fn millions_of_updates_and_no_torn_reading() {
    const UPDATES: u64 = 2_000_000;
    let (page, is_over) = (Arc::new(AtomicPage::default()), Arc::new(AtomicBool::new(false)));
    let (shared, over) = (page.clone(), is_over.clone());
    let reader = std::thread::spawn(move || {
        let (mut readings, mut last) = (0_u64, 0);
        while !over.load(Ordering::Relaxed) || readings == 0 {
            let Some((_, words, ())) = try_read::<_, _, 12>(&*shared, || ()) else {
                continue;
            };
            assert_eq!(words, [words[0]; 12]);
            assert!(words[0] >= last);
            last = words[0];
            readings += 1;
        }
        readings
    });
    let mut seq = 2;
    for number in 1..=UPDATES {
        seq = update(&*page, seq, || [number; 12]);
    }
    is_over.store(true, Ordering::Relaxed);
    assert!(reader.join().is_ok_and(|readings| readings > 0));
}
