//! The first thing that a guest reads of its clock where it goes on, held against the host's.
//!
//! The guest writes a mark to a port that traps, reads its page and its counter, and writes what it
//! read there. The host knows the time of each byte: the reading lies between the mark's last and
//! the record's first, or behind the moment in which the guest was let go. The time that the page
//! gives must lie there too, but for the largest error that it tells itself.

use crate::image::{self, DATA, PAGE_VA, UART_VA};
use crate::port::Port;
use crate::{Chosen, Failure};
use abide_firmware::Firmware;
use abide_host_time::{HostClock, HostTime, KernelClock, Kind, SimulatedClock, Utc};
use abide_machine::host_time::HostTimeOfDay;
use abide_machine::lifecycle::Intent;
use abide_machine::runner::{Command, Control, Outcome, Reply, RunConfig, control};
use abide_machine::{BirthConfig, Machine, TimeSource, restore};
use abide_memory::{Order, RamOffset};
use abide_snapshot::Reader;
use abide_testkit::guest::{Program, asm, x};
use abide_vmclock::{Body, Time, spec};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is to be done.
pub struct Errand {
    pub chosen: Chosen,
    /// What the host's clock is ahead of its kernel's.
    pub offset_ns: i64,
    /// Restores, clones and moves, of each so many.
    pub rounds: u32,
    /// The file that the guest is in; `None`: it is born.
    pub from: Option<PathBuf>,
    /// The file that it is left in.
    pub to: PathBuf,
}

/// What stands before each record. No field of a page looks like it.
const MARK: u64 = u64::from_le_bytes(*b"abide: >");
const MARK_LEN: usize = 8;
/// The body's twelve words and the counter.
const WORDS: usize = spec::BODY_WORDS + 1;
const RECORD_LEN: usize = 8 * WORDS;
/// Where in a record the counter is.
const COUNTER_AT: u32 = 96;
const _: () = assert!(COUNTER_AT as usize == 8 * spec::BODY_WORDS);
/// What the host's clock says that it may be wrong.
const MAXERROR_US: i64 = 60;
/// So many records are held against the host's time in each life.
const RECORDS: usize = 3;
/// What TAI is ahead of UTC.
const TAI_S: i64 = 37;
/// A life that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// MRS x3, CNTVCT_EL0; DMB ISHLD `[DDI0487 C6.2]`.
const MRS_X3_CNTVCT: u32 = 0xd53b_e043;
const DMB_ISHLD: u32 = 0xd503_39bf;

/// Marks, reads under the sequence count, writes, for ever.
fn reading_guest() -> Result<Vec<u8>, Failure> {
    image::of(|program| {
        program.mov64(x(24), PAGE_VA);
        program.mov64(x(25), UART_VA);
        program.mov64(x(20), DATA.0);
        program.mov64(x(8), MARK);
        let (next, again) = (program.label(), program.label());
        program.bind(next);
        asm!(program.assembler(); str x8, [x20]);
        send(program, MARK_LEN);
        program.bind(again);
        asm!(program.assembler(); ldr w4, [x24, 0xc]; tbnz w4, 0, =>again);
        program.word(DMB_ISHLD);
        for to in (0..COUNTER_AT).step_by(8) {
            let from = 0x10 + to;
            asm!(program.assembler(); ldr x1, [x24, from]; str x1, [x20, to]);
        }
        asm!(program.assembler(); isb);
        program.word(MRS_X3_CNTVCT);
        asm!(program.assembler(); str x3, [x20, COUNTER_AT]);
        program.word(DMB_ISHLD);
        asm!(program.assembler(); ldr w5, [x24, 0xc]; cmp w4, w5; b.ne =>again);
        send(program, RECORD_LEN);
        program.branch(next);
    })
}

/// Writes so many bytes from x20 on to the port.
fn send(program: &mut Program, len: usize) {
    let more = program.label();
    asm!(program.assembler(); mov x0, x20; mov x6, len as u64);
    program.bind(more);
    asm!(program.assembler(); ldrb w7, [x0], 1; str w7, [x25]; sub x6, x6, 1; cbnz x6, =>more);
}

/// The host's clock, as it is described in a file.
struct Host {
    offset_ns: i64,
    description: PathBuf,
}

impl Host {
    fn new(offset_ns: i64, folder: &Path) -> Result<Self, Failure> {
        let description = folder.join("clock");
        let text = format!("offset-ns {offset_ns}\nmaxerror-us {MAXERROR_US}\ntai-s {TAI_S}\n");
        std::fs::write(&description, text)?;
        Ok(Self { offset_ns, description })
    }

    fn time_of_day(&self) -> Result<Box<HostTimeOfDay>, Failure> {
        let clock = Box::new(SimulatedClock::open(&self.description)?);
        // The clock knows TAI; there is no table.
        let no_table = self.description.with_file_name("none");
        Ok(Box::new(HostTimeOfDay::new(HostTime::new(clock, Kind::Unstated, no_table))))
    }

    /// Its TAI when its kernel had this UTC.
    fn tai(&self, Utc { sec, ns }: Utc) -> Result<Time, Failure> {
        let ns = i128::from(sec + TAI_S) * 1_000_000_000 + i128::from(ns);
        let ns = u64::try_from(ns + i128::from(self.offset_ns))?;
        let whole = Time::from_parts(ns / 1_000_000_000, 0);
        Ok(whole + Time::from_ns(ns % 1_000_000_000))
    }
}

/// A reading as the guest wrote it, and between which times it was made.
struct Record {
    body: Body,
    counter: u64,
    /// `None`: the mark was written in an earlier life.
    marked: Option<Utc>,
    written: Utc,
}

/// The whole records among what was written in one life.
fn records(written: &[(u8, Utc)]) -> Vec<Record> {
    let mark = MARK.to_le_bytes();
    let bytes: Vec<u8> = written.iter().map(|&(byte, _)| byte).collect();
    let Some(first) = bytes.windows(MARK_LEN).position(|at| at == mark) else { return Vec::new() };
    // One before it may be whole, with its mark or without.
    let before = first.checked_sub(RECORD_LEN);
    let behind = (first + MARK_LEN..).step_by(MARK_LEN + RECORD_LEN);
    let starts = before.into_iter().chain(behind);
    let whole = starts.map_while(|start| Some((start, written.get(start..start + RECORD_LEN)?)));
    let record = |(start, record): (usize, &[(u8, Utc)])| {
        let word = |index: usize| {
            let bytes = record.iter().skip(8 * index).take(8).rev();
            bytes.fold(0, |word, &(byte, _)| word << 8 | u64::from(byte))
        };
        let body = Body::from_words(&std::array::from_fn(word));
        let marked = start.checked_sub(1).map(|last| written[last].1);
        Record { body, counter: word(spec::BODY_WORDS), marked, written: record[0].1 }
    };
    whole.map(record).collect()
}

/// What was found, over all lives.
#[derive(Default)]
struct Found {
    lives: u32,
    readings: usize,
    /// Between how wide bounds of the host's the first readings lay.
    widest: Time,
    tightest: Option<Time>,
    /// The largest error that was published for a first reading, in nanoseconds.
    error_ns_max: u64,
}

impl Found {
    /// Holds every record of one life against the host's time; it was let go at `began`.
    fn hold(&mut self, host: &Host, records: &[Record], began: Time) -> Result<(), Failure> {
        if records.len() < RECORDS {
            return Err(format!("{} readings in one life", records.len()).into());
        }
        for (number, record) in records.iter().enumerate() {
            let Record { body, counter, marked, written } = record;
            if body.clock_status != spec::STATUS_SYNCHRONIZED {
                return Err(format!("reading {number} has status {}", body.clock_status).into());
            }
            let marked = marked.map(|utc| host.tai(utc)).transpose()?;
            let (before, after) = (marked.map_or(began, |at| at.max(began)), host.tai(*written)?);
            let (time, error) = (body.line.time_at(*counter), body.line.maxerror_at(*counter));
            if time + error < before || time - error > after {
                let line = body.line;
                return Err(format!(
                    "reading {number} is {time} ± {error}, and was made between {before} and \
                     {after}; counter {counter}, {line:?}"
                )
                .into());
            }
            if number == 0 {
                let width = after - before;
                self.widest = self.widest.max(width);
                self.tightest = Some(self.tightest.map_or(width, |least| least.min(width)));
                self.error_ns_max = self.error_ns_max.max(error.to_ns_up());
            }
        }
        self.lives += 1;
        self.readings += records.len();
        Ok(())
    }
}

/// Lets the guest live until it has written enough, then does `last`.
fn live(machine: &mut Machine, port: &Port, last: Command) -> Result<Outcome, Failure> {
    let enough = (RECORDS + 2) * (MARK_LEN + RECORD_LEN);
    let (control, queue) = control();
    std::thread::scope(|scope| {
        let asking = scope.spawn(move || {
            let until = Instant::now() + PATIENCE;
            while port.written().len() < enough && is_running(&control) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
            control.ask(last)
        });
        let outcome = machine.run(&queue, &RunConfig::default()).map(|run| run.outcome);
        drop(queue);
        let reply = asking.join().map_err(|_| "the thread that asks panicked")?;
        match reply {
            Some(Reply::Done | Reply::Saved { .. }) => Ok(outcome?),
            other => Err(format!("{other:?}; the guest's run: {outcome:?}").into()),
        }
    })
}

fn is_running(control: &Control) -> bool {
    control.ask(Command::Status).is_some()
}

fn born(chosen: &Chosen, port: &Port) -> Result<Machine, Failure> {
    let birth = BirthConfig {
        board: chosen.board(),
        virtio: &[],
        time: TimeSource::Host,
        firmware: Firmware::default(),
        kernel: &reading_guest()?,
        initrd: None,
        bootargs: "",
        console: Box::new(port.clone()),
        memory_file: None,
    };
    Ok(Machine::create(chosen.engine.as_ref(), birth)?)
}

/// What the page says in the machine's memory.
fn marker(machine: &Machine) -> Result<u64, Failure> {
    let page = machine.vmclock_page().ok_or("the machine has no page")?;
    Ok(page.host().load::<u64>(RamOffset(0x10), Order::Relaxed))
}

/// One more life of the guest in `file`, which ends with `last`.
fn go_on(
    errand: &Errand,
    host: &Host,
    (file, intent): (&Path, Intent),
    last: Command,
    found: &mut Found,
) -> Result<(), Failure> {
    let port = Port::default();
    let reader = Reader::open(file)?;
    let console = Box::new(port.clone());
    let prepared = restore::restore(errand.chosen.engine.as_ref(), &reader, console)?;
    let old = marker(prepared.machine())?;
    let mut machine = prepared.commit(intent)?;
    machine.set_time_of_day(host.time_of_day()?);
    let began = host.tai(KernelClock.utc())?;
    live(&mut machine, &port, last)?;
    let mut records = records(&port.written());
    // What was read before the save and not written yet has the old page whole.
    let read_before = records.iter().take_while(|it| it.body.disruption_marker == old).count();
    if read_before > 1
        || records.iter().skip(read_before).any(|it| it.body.disruption_marker <= old)
    {
        return Err(format!("{intent:?}: {read_before} readings of the old page").into());
    }
    records.drain(..read_before);
    found.hold(host, &records, began).map_err(|error| format!("{intent:?}: {error}").into())
}

/// Whether every first reading is true.
pub fn judge(errand: &Errand) -> Result<(), Failure> {
    let folder = errand.to.with_extension("host");
    std::fs::create_dir_all(&folder)?;
    let host = Host::new(errand.offset_ns, &folder)?;
    let file = match &errand.from {
        Some(file) => file.clone(),
        None => {
            let file = folder.join("born");
            let port = Port::default();
            let mut machine = born(&errand.chosen, &port)?;
            machine.set_time_of_day(host.time_of_day()?);
            let began = host.tai(KernelClock.utc())?;
            live(&mut machine, &port, save_to(&file))?;
            let mut found = Found::default();
            found.hold(&host, &records(&port.written()), began)?;
            told("born", &found);
            file
        }
    };
    for intent in [Intent::Restore, Intent::Clone, Intent::Move] {
        let mut found = Found::default();
        for _ in 0..errand.rounds {
            go_on(errand, &host, (&file, intent), Command::Stop, &mut found)?;
        }
        told(&format!("{intent:?}").to_lowercase(), &found);
    }
    let mut found = Found::default();
    go_on(errand, &host, (&file, Intent::Move), save_to(&errand.to), &mut found)?;
    println!("ok   left as a file");
    Ok(())
}

fn save_to(file: &Path) -> Command {
    Command::Save { path: file.into(), keep_running: false, compress: false, overwrite: true }
}

fn told(what: &str, found: &Found) {
    let Found { lives, readings, widest, tightest, error_ns_max } = found;
    let us = |time: Time| time.to_ns_up() / 1000;
    println!(
        "ok   {what}: {lives} lives, {readings} readings; the first between host times {} to {} us \
         apart, published as at most {} us wrong",
        us(tightest.unwrap_or_default()),
        us(*widest),
        error_ns_max / 1000
    );
}
