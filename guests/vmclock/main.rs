//! The first and only program of a Linux guest that looks at the page with the time: static,
//! without a library, integers only. It loads the modules that it was packed with, opens
//! /dev/vmclock0, maps it and compares, asks the PTP clocks, if there are any, and then sleeps in
//! `poll` until the page has changed; what it says then is what it found there, and what the PTP
//! clocks say now. Then it switches the machine off.
//!
//! Beside what a PTP clock says stands between which times that was by the page itself, read by
//! the CPU's counter before and after, with the largest error that the page tells.
#![no_std]
#![no_main]

use core::arch::asm;
use core::ffi::CStr;
use core::fmt;
use linux::file::{File, O_RDONLY, O_RDWR};
use linux::sys::{Errno, call};
use linux::{Failure, file, of, program, say};

program!("abide-vmclock", work);

/// How often the guest is told of something before it ends.
const TURNS: u32 = 4;
/// How long it waits for each, in seconds.
const PATIENCE_S: u64 = 300;

/// `[linux include/uapi/linux/ptp_clock.h]`: 64 bytes, the device's time first.
const PTP_SYS_OFFSET_PRECISE: u64 = 0xc040_3d08;

const SYS_IOCTL: u64 = 29;
const SYS_PPOLL: u64 = 73;
const SYS_CLOCK_GETTIME: u64 = 113;
const SYS_MMAP: u64 = 222;
const PROT_READ: u64 = 1;
const PROT_WRITE: u64 = 2;
const MAP_SHARED: u64 = 1;
const POLLIN: u16 = 1;
const ENOENT: u64 = 2;

/// The structure's length, and where its fields are `[linux include/uapi/linux/vmclock-abi.h]`.
const LEN: usize = 0x70;
const MAGIC: u64 = 0x4b4c_4356;

/// What stands in the page.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Page([u8; LEN]);

impl Page {
    fn read(device: &File) -> Result<Self, Failure> {
        let mut bytes = [0; LEN];
        device.read_at(Some(0), &mut bytes).map_err(of("read /dev/vmclock0"))?;
        Ok(Self(bytes))
    }

    fn field(&self, at: usize, len: usize) -> u64 {
        let mut word = [0; 8];
        word[..len].copy_from_slice(&self.0[at..at + len]);
        u64::from_le_bytes(word)
    }

    fn seq(&self) -> u64 {
        self.field(0x0c, 4)
    }

    /// The earliest time that it may have been at one value of the counter, and the latest that it
    /// may have been at a later one; nothing where the page tells no time.
    fn between(&self, counters: [u64; 2]) -> Option<[Seconds; 2]> {
        if !matches!(self.field(0x22, 1), SYNCHRONIZED | FREERUNNING) {
            return None;
        }
        let [(earlier, early_error), (later, late_error)] = counters.map(|it| self.at(it));
        Some([Seconds(earlier.saturating_sub(early_error)), Seconds(later + late_error)])
    }

    /// The time at this value of the counter, and its largest error, in 2^-64 s.
    fn at(&self, counter: u64) -> (u128, u128) {
        let ticks = u128::from(counter.wrapping_sub(self.field(0x28, 8)));
        let shift = self.field(0x27, 1) & 63;
        let passed = |at| (ticks * u128::from(self.field(at, 8))) >> shift;
        let time = u128::from(self.field(0x48, 8)) << 64 | u128::from(self.field(0x50, 8));
        let error = (u128::from(self.field(0x60, 8)) << 64) / 1_000_000_000;
        // Neither product nor quotient is whole.
        (time + passed(0x30), error + passed(0x40) + 2)
    }
}

/// `[linux include/uapi/linux/vmclock-abi.h]`.
const SYNCHRONIZED: u64 = 2;
const FREERUNNING: u64 = 3;

/// A time in 2^-64 s, printed to the nanosecond that it is in.
struct Seconds(u128);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frac = self.0 & u128::from(u64::MAX);
        write!(f, "{}.{:09}", self.0 >> 64, (frac * 1_000_000_000) >> 64)
    }
}

/// CNTVCT_EL0, in the order of the program.
fn counter() -> u64 {
    let ticks;
    // SAFETY: reads a register that Linux lets every process read, and touches no memory.
    unsafe { asm!("isb", "mrs {}, cntvct_el0", "isb", out(reg) ticks, options(nostack)) };
    ticks
}

fn tell(what: &str, page: &Page) {
    let (status, marker) = (page.field(0x22, 1), page.field(0x10, 8));
    let generation = page.field(0x68, 8);
    say(format_args!("{what}: status {status}, marker {marker}, generation {generation}"));
}

fn work() -> Result<(), Failure> {
    let modules = file::load_modules().map_err(of("finit_module"))?;
    say(format_args!("{modules} modules"));
    file::mount(c"dev", c"/dev", c"devtmpfs").map_err(of("mount /dev"))?;
    let device = File::open(c"/dev/vmclock0", O_RDONLY).map_err(of("open /dev/vmclock0"))?;
    let page = Page::read(&device)?;
    if page.field(0, 4) != MAGIC {
        return Err(Failure::Wrong("no magic number"));
    }
    let (size, flags, seq) = (page.field(4, 4), page.field(0x18, 8), page.seq());
    say(format_args!("size {size}, flags {flags:#x}, sequence count {}", seq & 1));
    compare_mapped(&device, &page)?;
    refuse_writing()?;
    file::mount(c"sys", c"/sys", c"sysfs").map_err(of("mount /sys"))?;
    ask_ptp(&device)?;
    tell("before", &page);
    wait(&device)
}

/// The page as it is mapped is the page as it is read.
fn compare_mapped(device: &File, page: &Page) -> Result<(), Failure> {
    let map = [0, 4096, PROT_READ, MAP_SHARED, device.descriptor(), 0];
    let start = call(SYS_MMAP, map).map_err(of("mmap /dev/vmclock0"))?;
    let mut mapped = [0; LEN];
    for (at, byte) in mapped.iter_mut().enumerate() {
        // SAFETY: the kernel has just mapped a page there, longer than this, for reading.
        *byte = unsafe { core::ptr::read_volatile((start as *const u8).add(at)) };
    }
    if Page(mapped) != *page {
        return Err(Failure::Wrong("the mapped page is another"));
    }
    say(format_args!("mapped"));
    Ok(())
}

fn refuse_writing() -> Result<(), Failure> {
    let Ok(device) = File::open(c"/dev/vmclock0", O_RDWR) else {
        say(format_args!("not writable"));
        return Ok(());
    };
    let map = [0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, device.descriptor(), 0];
    if call(SYS_MMAP, map).is_ok() {
        return Err(Failure::Wrong("the page can be mapped to be written"));
    }
    say(format_args!("not writable"));
    Ok(())
}

/// The PTP clocks that there may be, and where they tell their names.
const PTP_CLOCKS: [(&CStr, &CStr); 4] = [
    (c"/dev/ptp0", c"/sys/class/ptp/ptp0/clock_name"),
    (c"/dev/ptp1", c"/sys/class/ptp/ptp1/clock_name"),
    (c"/dev/ptp2", c"/sys/class/ptp/ptp2/clock_name"),
    (c"/dev/ptp3", c"/sys/class/ptp/ptp3/clock_name"),
];

/// What each PTP clock answers: nothing where its device tells no time.
fn ask_ptp(page: &File) -> Result<(), Failure> {
    for (count, (device, name)) in PTP_CLOCKS.into_iter().enumerate() {
        let clock = match File::open(device, O_RDONLY) {
            Ok(clock) => clock,
            Err(Errno(ENOENT)) => {
                say(format_args!("{count} PTP clocks"));
                return Ok(());
            }
            Err(errno) => return Err(Failure::Call("open a PTP clock", errno)),
        };
        let mut text = [0; 64];
        let name = File::open(name, O_RDONLY).map_err(of("open clock_name"))?;
        let len = name.read_some(&mut text).map_err(of("read clock_name"))?;
        let name = core::str::from_utf8(&text[..len]).unwrap_or("?").trim_end();
        tell_ptp(page, name, "", || read_ptp(&clock))?;
        tell_ptp(page, name, " with the counter", || cross_ptp(&clock))?;
    }
    Ok(())
}

/// Seconds and nanoseconds, as a PTP clock tells them.
type Answer = Result<[u64; 2], Errno>;

fn tell_ptp(device: &File, name: &str, how: &str, ask: impl Fn() -> Answer) -> Result<(), Failure> {
    let (page, counters, answer) = loop {
        let page = Page::read(device)?;
        let before = counter();
        let answer = ask();
        let after = counter();
        // Else it may be by another page that the clock answered.
        if Page::read(device)? == page {
            break (page, [before, after], answer);
        }
    };
    match (answer, page.between(counters)) {
        (Ok([sec, ns]), Some([low, high])) => {
            say(format_args!("PTP {name}{how}: {sec}.{ns:09} s, by the page {low} to {high}"));
        }
        (Ok([sec, ns]), None) => say(format_args!("PTP {name}{how}: {sec}.{ns:09} s")),
        (Err(Errno(number)), _) => say(format_args!("PTP {name}{how}: errno {number}")),
    }
    Ok(())
}

fn read_ptp(clock: &File) -> Answer {
    // FD_TO_CLOCKID [linux tools/testing/selftests/ptp/testptp.c]
    let id = !clock.descriptor() << 3 | 3;
    let mut time = [0u64; 2];
    call(SYS_CLOCK_GETTIME, [id & 0xffff_ffff, time.as_mut_ptr() as u64, 0, 0, 0, 0])?;
    Ok(time)
}

/// By PTP_SYS_OFFSET_PRECISE, for which the driver is given a counter's value too.
fn cross_ptp(clock: &File) -> Answer {
    let mut times = [0u64; 8];
    let arguments = [clock.descriptor(), PTP_SYS_OFFSET_PRECISE, times.as_mut_ptr() as u64];
    let [clock, request, to] = arguments;
    call(SYS_IOCTL, [clock, request, to, 0, 0, 0])?;
    // struct ptp_clock_time: 64 bits of seconds, 32 of nanoseconds, 32 unused.
    Ok([times[0], times[1] & 0xffff_ffff])
}

/// Sleeps until the page has changed, and says what it says then.
fn wait(device: &File) -> Result<(), Failure> {
    let mut seen = Page::read(device)?;
    for turn in 1..=TURNS {
        say(format_args!("waiting {turn}"));
        loop {
            // An interrupt more than there was something new is no harm.
            poll(device)?;
            let page = Page::read(device)?;
            let has_changed = page.field(0x10, 8) != seen.field(0x10, 8);
            seen = page;
            if has_changed {
                break;
            }
        }
        tell("woken", &seen);
        ask_ptp(device)?;
    }
    Ok(())
}

fn poll(device: &File) -> Result<(), Failure> {
    let mut events = [device.descriptor() | u64::from(POLLIN) << 32];
    let patience = [PATIENCE_S, 0];
    let arguments = [events.as_mut_ptr() as u64, 1, patience.as_ptr() as u64, 0, 0, 0];
    match call(SYS_PPOLL, arguments).map_err(of("ppoll"))? {
        0 => Err(Failure::Wrong("nobody woke it")),
        _ if (events[0] >> 48) as u16 & POLLIN != 0 => Ok(()),
        _ => Err(Failure::Wrong("poll says something else than POLLIN")),
    }
}
