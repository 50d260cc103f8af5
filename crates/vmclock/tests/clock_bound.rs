//! Pages of ours, read by a reader that is not: ClockBound's, as it maps /dev/vmclock0.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use abide_vmclock::seqlock::{AtomicPage, Cells};
use abide_vmclock::{Claim, Constants, Intent, Line, NoTime, Period, Reader, Time, Vmclock, spec};
use clock_bound_vmclock::shm_reader::VMClockShmReader;
use std::io::{Seek, Write};
use std::os::unix::fs::FileExt;

const CONSTANTS: Constants = Constants {
    size_bytes: 4096,
    counter_id: spec::COUNTER_ARM_VCNT,
    time_type: spec::TIME_TAI,
    notifies: false,
};

fn claim() -> Claim {
    let period = Period::of_hz(24_000_000).unwrap();
    let line = Line {
        counter_value: 123_456,
        time: Time::from_parts(1_800_000_037, 1 << 62),
        period,
        period_maxerror: 77,
        time_maxerror_ns: 5000,
    };
    Claim {
        line,
        time_esterror_ns: 400,
        period_esterror: 33,
        tai_offset_sec: Some(-37),
        leap_indicator: spec::LEAP_PRE_POS,
        is_synchronised: true,
    }
}

/// Writes the page as a file of 4096 bytes, as the device is to a reader.
fn put(file: &mut std::fs::File, page: &AtomicPage) {
    let mut bytes = vec![0; 4096];
    let head: Vec<u8> =
        page.constants().into_iter().chain([page.seq()]).flat_map(u32::to_le_bytes).collect();
    bytes[..16].copy_from_slice(&head);
    for index in 0..spec::BODY_WORDS {
        bytes[16 + 8 * index..][..8].copy_from_slice(&page.word(index).to_le_bytes());
    }
    file.rewind().unwrap();
    file.write_all(&bytes).unwrap();
}

/// A page with the first claim in it, and a clock whose next write changes every field.
fn written() -> (AtomicPage, Vmclock) {
    let (page, mut clock) = (AtomicPage::default(), Vmclock::new(CONSTANTS, 1));
    clock.write_all(&page, |words| page.set_constants(words));
    clock.claim(claim(), 1000);
    clock.write(&page);
    (page, clock)
}

/// As a host that was stopped in the middle of an update leaves it.
fn half_written(page: &AtomicPage) -> AtomicPage {
    let half = AtomicPage::default();
    half.set_constants(page.constants());
    for index in 0..spec::BODY_WORDS {
        half.set_word(index, if index % 2 == 0 { page.word(index) } else { !page.word(index) });
    }
    half.set_seq(page.seq() | 1);
    half
}

#[test]
fn both_wait_for_the_end_of_an_update() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let (page, mut clock) = written();
    put(file.as_file_mut(), &page);
    let mut theirs = VMClockShmReader::new(file.path().to_str().unwrap()).unwrap();
    let half = half_written(&page);
    put(file.as_file_mut(), &half);
    let ours = Reader::new(CONSTANTS, CONSTANTS.counter_id, 1000);
    assert_eq!(ours.look(&half, || 0).unwrap_err(), NoTime::Busy);

    clock.arrive(Intent::Copy);
    clock.claim(claim(), 1000);
    clock.write(&page);
    let other = file.reopen().unwrap();
    let end = std::thread::spawn(move || {
        let (mut other, whole) = (other, page.seq());
        page.set_seq(whole - 1);
        put(&mut other, &page);
        page.set_seq(whole);
        other.write_all_at(&whole.to_le_bytes(), spec::OFFSET_SEQ_COUNT as u64).unwrap();
        page
    });
    // It is asked before the end, or after it: nothing of the half is ever seen.
    let body = theirs.snapshot().unwrap();
    let (marker, value, time) = (body.disruption_marker, body.counter_value, body.time_sec);
    let page = end.join().unwrap();
    let look = ours.look(&page, || 0).unwrap();
    let line = look.body.line;
    assert_eq!((marker, value), (look.body.disruption_marker, line.counter_value));
    assert_eq!(time, line.time.parts().0);
}

#[test]
fn both_give_up_on_an_update_that_never_ends() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let (page, _) = written();
    put(file.as_file_mut(), &page);
    let mut theirs = VMClockShmReader::new(file.path().to_str().unwrap()).unwrap();
    let half = half_written(&page);
    put(file.as_file_mut(), &half);
    let ours = Reader::new(CONSTANTS, CONSTANTS.counter_id, 1000);
    assert_eq!(ours.look(&half, || 0).unwrap_err(), NoTime::Busy);
    // After 2^32 - 1 looks, which takes it many seconds.
    assert!(theirs.snapshot().is_err());
}

#[test]
fn clock_bound_reads_what_was_written() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let (page, mut clock) = (AtomicPage::default(), Vmclock::new(CONSTANTS, 1));
    clock.write_all(&page, |words| page.set_constants(words));
    put(file.as_file_mut(), &page);
    let mut reader = VMClockShmReader::new(file.path().to_str().unwrap()).unwrap();
    assert_eq!(reader.snapshot().unwrap().disruption_marker, 1);

    clock.claim(claim(), 1000);
    clock.write(&page);
    put(file.as_file_mut(), &page);
    let body = reader.snapshot().unwrap();
    assert_eq!(body.disruption_marker, 1);
    assert_eq!(body.flags, 0b1_1111_1001);
    assert_eq!(body.clock_status as u8, 2);
    assert_eq!(body.leap_second_smearing_hint, 1);
    assert_eq!(body.tai_offset_sec, -37);
    assert_eq!(body.leap_indicator, 1);
    assert_eq!(body.counter_period_shift, 24);
    assert_eq!(body.counter_value, 123_456);
    assert_eq!(body.counter_period_frac_sec, 0xb2f4_fc07_9490_8cf2);
    assert_eq!(body.counter_period_esterror_rate_frac_sec, 33);
    assert_eq!(body.counter_period_maxerror_rate_frac_sec, 77);
    assert_eq!(body.time_sec, 1_800_000_037);
    assert_eq!(body.time_frac_sec, 1 << 62);
    assert_eq!(body.time_esterror_nanosec, 400);
    assert_eq!(body.time_maxerror_nanosec, 5000);

    clock.arrive(Intent::Move);
    clock.write(&page);
    put(file.as_file_mut(), &page);
    let body = reader.snapshot().unwrap();
    assert_eq!((body.disruption_marker, body.clock_status as u8), (2, 4));
}
