//! What reading and writing the page costs, as ratios to what a program would do otherwise. Each
//! round measures all of them in turn, so that what else the host does shows in all.
//!
//! Not by criterion: the ratios of one round are the point, and it measures one thing at a time.
#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]

mod counter;

use abide_vmclock::seqlock::AtomicPage;
use abide_vmclock::{Claim, Constants, Line, Period, Reader, Time, Vmclock, spec};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

const ROUNDS: usize = 51;
const CALLS: u32 = 200_000;

/// The counter that the page is about: whichever this CPU has.
const COUNTER_ID: u8 =
    if cfg!(target_arch = "x86_64") { spec::COUNTER_X86_TSC } else { spec::COUNTER_ARM_VCNT };

/// Nanoseconds of one call.
fn time_ns(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS {
        call();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What is measured in each round.
#[derive(Default)]
struct Round {
    counter: f64,
    read: f64,
    clock_gettime: f64,
    load: f64,
    is_copy: f64,
    line: f64,
    update: f64,
}

/// 64 bytes, as they lie in a cache line.
#[repr(align(64))]
#[derive(Default)]
struct CacheLine([AtomicU64; 8]);

/// The page begins a cache line, as a page does.
#[repr(align(64))]
#[derive(Default)]
struct Aligned(AtomicPage);

fn main() {
    let Aligned(page) = &Aligned::default();
    let constants = Constants {
        size_bytes: 4096,
        counter_id: COUNTER_ID,
        time_type: spec::TIME_TAI,
        notifies: false,
    };
    let mut clock = Vmclock::new(constants, 0);
    clock.write_all(page, |words| page.set_constants(words));
    clock.claim(claim(counter::read()), 1 << 40);
    clock.write(page);
    let mut reader = Reader::new(constants, COUNTER_ID, 1000);
    let look = reader.look(page, counter::read).expect("nobody writes");
    reader.time(&look).expect("a synchronised clock");
    reader.note(&look);
    let rounds: Vec<Round> = (0..ROUNDS).map(|_| round(page, &reader, &mut clock)).collect();
    let of = |one: fn(&Round) -> f64| median(rounds.iter().map(one).collect());
    println!("{ROUNDS} rounds of {CALLS} calls; medians, in ns and as ratios of the same round");
    println!("  counter, read in order     {:7.2}", of(|round| round.counter));
    println!("  time, from the page        {:7.2}", of(|round| round.read));
    println!("  clock_gettime by the vDSO  {:7.2}", of(|round| round.clock_gettime));
    println!("  a load                     {:7.2}", of(|round| round.load));
    println!("  is this a copy?            {:7.2}", of(|round| round.is_copy));
    println!("  writing a cache line       {:7.2}", of(|round| round.line));
    println!("  updating the page          {:7.2}", of(|round| round.update));
    println!("time / counter          {:6.2}, aim 1.25", of(|round| round.read / round.counter));
    println!(
        "time / clock_gettime    {:6.2}, aim 0.85",
        of(|round| round.read / round.clock_gettime)
    );
    println!("copy? / load            {:6.2}, aim 3", of(|round| round.is_copy / round.load));
    println!("update / cache line     {:6.2}, aim 20", of(|round| round.update / round.line));
}

fn claim(counter_value: u64) -> Claim {
    let line = Line {
        counter_value,
        time: Time::from_parts(1_800_000_037, 0),
        period: Period::of_hz(2_000_000_000).expect("a frequency"),
        period_maxerror: 1 << 40,
        time_maxerror_ns: 1000,
    };
    Claim {
        line,
        time_esterror_ns: 100,
        period_esterror: 0,
        tai_offset_sec: Some(-37),
        leap_indicator: spec::LEAP_NONE,
        is_synchronised: true,
    }
}

fn round(page: &AtomicPage, reader: &Reader, clock: &mut Vmclock) -> Round {
    let word = AtomicU64::new(1);
    let line = CacheLine::default();
    let mut value = 0;
    Round {
        counter: time_ns(|| {
            black_box(counter::read());
        }),
        read: time_ns(|| {
            let look = reader.look(black_box(page), counter::read);
            let reading = look.and_then(|look| reader.time(&look));
            black_box(reading.map_or(0, |reading| reading.time.0));
        }),
        clock_gettime: time_ns(|| {
            black_box(SystemTime::now());
        }),
        load: time_ns(|| {
            black_box(black_box(&word).load(Ordering::Relaxed));
        }),
        is_copy: time_ns(|| {
            black_box(reader.is_copy(black_box(page)));
        }),
        line: time_ns(|| {
            value += 1;
            for place in &black_box(&line).0 {
                place.store(value, Ordering::Relaxed);
            }
        }),
        update: time_ns(|| clock.write(black_box(page))),
    }
}
