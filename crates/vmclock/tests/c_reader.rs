//! The reader for C programs against the one for Rust programs: both say the same of every page.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use abide_testkit::rng::Rng;
use abide_vmclock::seqlock::{AtomicPage, Cells};
use abide_vmclock::{Body, Constants, Line, NoTime, Period, Reader, Time, spec, to_bytes};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const LEN: u32 = 4096;

/// The example program, built with the machine's C compiler.
fn build(folder: &Path) -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = folder.join("vmclock");
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-I"]);
    compiler.arg(own.join("include")).arg(own.join("examples/vmclock.c"));
    let built = compiler.arg("-o").arg(&program).status().unwrap();
    assert!(built.success(), "{built}");
    program
}

/// What the program says of a page at this counter, and how it ends.
fn ask(program: &Path, folder: &Path, page: &[u8], counter: u64) -> (String, i32) {
    let file = folder.join("page");
    let mut bytes = page.to_vec();
    bytes.resize(LEN as usize, 0);
    std::fs::write(&file, bytes).unwrap();
    let said = Command::new(program).arg(&file).arg(counter.to_string()).output().unwrap();
    let text = if said.status.code() == Some(2) { &said.stderr } else { &said.stdout };
    (String::from_utf8_lossy(text).into_owned(), said.status.code().unwrap())
}

/// The same, by the library.
fn expected(constants: Constants, seq_count: u32, body: &Body, counter: u64) -> (String, i32) {
    let page = AtomicPage::default();
    page.set_seq(seq_count);
    for (index, word) in body.to_words().into_iter().enumerate() {
        page.set_word(index, word);
    }
    let reader = Reader::new(constants, constants.counter_id, 10);
    let Ok(look) = reader.look(&page, || counter) else { return ("time=busy\n".into(), 1) };
    let seen = &look.body;
    let mut text = format!(
        "time_type={}\nseq_count={}\ndisruption_marker={}\nvm_generation_counter={}\n\
         flags={:#x}\nclock_status={}\nleap_indicator={}\n",
        constants.time_type,
        look.seq_count,
        seen.disruption_marker,
        seen.vm_generation_counter,
        seen.flags,
        seen.clock_status,
        seen.leap_indicator,
    );
    // C prints a plain 0.
    text = text.replace("flags=0x0\n", "flags=0\n");
    if seen.has(spec::FLAG_TAI_OFFSET_VALID) {
        writeln!(text, "tai_offset_sec={}", seen.tai_offset_sec).unwrap();
    }
    writeln!(text, "counter={counter}").unwrap();
    let code = match reader.time(&look) {
        Ok(reading) => {
            // The program's seconds have 64 bits and no sign.
            let (sec, frac_sec) = reading.time.parts();
            let ns = (u128::from(frac_sec) * 1_000_000_000) >> 64;
            writeln!(text, "time={sec}.{ns:09}").unwrap();
            0
        }
        Err(NoTime::NoClock { .. }) => {
            text += "time=no clock for this CPU\n";
            1
        }
        Err(NoTime::Shift { .. }) => {
            text += "time=a shift that cannot be\n";
            1
        }
        Err(_) => {
            text += "time=unreliable\n";
            1
        }
    };
    (text, code)
}

/// A page of any content, more often one with a time than not.
fn random(rng: &mut Rng) -> (Constants, u32, Body, u64) {
    let mut any = || rng.next_u64();
    let constants = Constants {
        size_bytes: if any() & 7 == 0 { 0x68 } else { LEN },
        counter_id: if any() & 7 == 0 { 0xff } else { 0 },
        time_type: 1,
        notifies: false,
    };
    let mut words = [0; spec::BODY_WORDS];
    words.fill_with(&mut any);
    let mut body = Body::from_words(&words);
    body.clock_status = [2, 2, 2, 3, 3, 0, 4, 9][(any() & 7) as usize];
    body.line.period.shift = (any() & 63) as u8 | if any() & 15 == 0 { 0x40 } else { 0 };
    // Nothing that takes more than 64 bits of seconds.
    body.line.time = Time::from_parts(any() >> 8, any());
    let counter = body.line.counter_value.wrapping_add(any() >> (any() & 63));
    // An odd count now and then.
    let seq_count = u32::try_from(any() >> 33).unwrap() << 1 | u32::from(any() & 15 == 0);
    (constants, seq_count, body, counter)
}

#[test]
fn both_readers_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let program = build(folder.path());
    let mut rng = Rng::new(0x76_6d63_6c6f_636b);
    let mut with_time = 0;
    for _ in 0..300 {
        let (constants, seq_count, body, counter) = random(&mut rng);
        let page = to_bytes(&constants, seq_count, &body);
        let (said, code) = ask(&program, folder.path(), &page, counter);
        let (expected, expected_code) = expected(constants, seq_count, &body, counter);
        let (said, maxerror) = said.split_once("maxerror_ns=").unwrap_or((&said, ""));
        assert_eq!((said, code), (&*expected, expected_code), "{body:?}");
        with_time += u32::from(code == 0);
        check_maxerror(maxerror.trim_end(), &body, counter);
    }
    assert!(with_time > 50, "{with_time} with a time");
}

/// The bound of the program is never narrower than the library's, and wider by rounding alone.
fn check_maxerror(said: &str, body: &Body, counter: u64) {
    if said.is_empty() {
        return;
    }
    if !body.has(spec::FLAG_TIME_MAXERROR_VALID | spec::FLAG_PERIOD_MAXERROR_VALID) {
        assert_eq!(said, "unknown");
        return;
    }
    let ours = body.line.maxerror_at(counter).to_ns_up();
    let theirs = said.parse().unwrap_or(u64::MAX);
    assert!(theirs >= ours && theirs - ours <= 1, "{theirs} ns, the library {ours} ns");
}

#[test]
fn what_is_no_page_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let program = build(folder.path());
    let constants = Constants { size_bytes: LEN, counter_id: 0, time_type: 1, notifies: false };
    let good = to_bytes(&constants, 2, &Body::default());
    let changed = |at: usize, byte: u8| {
        let mut page = good;
        page[at] = byte;
        ask(&program, folder.path(), &page, 0)
    };
    for ((text, code), reason) in [
        (changed(0, b'X'), "no clock page"),
        (changed(8, 2), "a version that is not 1"),
        (changed(5, 0), "a size that cannot be"),
        (changed(6, 1), "a size that cannot be"),
    ] {
        assert!(text.contains(reason) && code == 2, "{text}");
    }
    // A host that died in an update: said, after some attempts, and not waited for.
    assert_eq!(changed(0x0c, 3), ("time=busy\n".into(), 1));
}

#[test]
fn a_line_of_known_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let program = build(folder.path());
    let constants = Constants { size_bytes: LEN, counter_id: 0, time_type: 1, notifies: true };
    let period = Period::of_hz(62_500_000).unwrap();
    let body = Body {
        disruption_marker: 7,
        flags: 0b1_0101_0001,
        clock_status: 2,
        tai_offset_sec: -37,
        line: Line {
            counter_value: 1000,
            time: Time::from_parts(1_800_000_037, 1 << 63),
            period,
            period_maxerror: period.parts_per_trillion(1_000_000).frac_sec,
            time_maxerror_ns: 50,
        },
        vm_generation_counter: 9,
        ..Body::default()
    };
    // Ten seconds later, at 1 ppm.
    let page = to_bytes(&constants, 12, &body);
    let (said, code) = ask(&program, folder.path(), &page, 1000 + 625_000_000);
    assert_eq!(code, 0);
    for line in [
        "seq_count=12",
        "disruption_marker=7",
        "vm_generation_counter=9",
        "tai_offset_sec=-37",
        "time=1800000047.499999999",
        "maxerror_ns=10051",
    ] {
        assert!(said.lines().any(|said| said == line), "{line} in {said}");
    }
}
