//! What can be typed.

use kit::fdt::Fdt;
use kit::{Arena, console, gic, hash, mrs, print, println, psci, timer};

/// What the commands remember from one to the next, and so what a save must keep.
pub struct Session {
    fdt: Option<Fdt>,
    pattern: &'static mut [u64],
    /// The seed and the hash of the pattern in memory; none before the first `mem`.
    filled: Option<(u64, u64)>,
}

/// The length of the pattern, in 64-bit words: 1 MiB.
const PATTERN_WORDS: usize = 1 << 17;
/// What `count` counts to if not told.
const COUNT_DEFAULT: u64 = 20;
const COUNT_MAX: u64 = 1_000_000;
/// How many ticks pass between two numbers of `count`.
const COUNT_TICKS: u64 = 4;

const HELP: &str = "\
help         this list
time         counter, clock and ticks
uptime       how long this guest has run
count [N]    count to N, slowly (20 if not told; ^C stops it): save me meanwhile
mem          fill 1 MiB with a new pattern and print its hash
mem check    look whether the pattern is still what it was
id           what this machine says of itself
crash        panic, which resets the machine
reboot       reset the machine
poweroff     switch the machine off";

impl Session {
    /// Begins with nothing remembered.
    pub fn new(fdt: Option<Fdt>) -> Self {
        let pattern = kit::arena().as_mut().map(|arena: &mut Arena| arena.take(PATTERN_WORDS));
        Self { fdt, pattern: pattern.unwrap_or_default(), filled: None }
    }

    /// Does what `line` says.
    pub fn execute(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        let Some(command) = words.next() else { return };
        let argument = words.next();
        if words.next().is_some() {
            println!("{command}: too many words; type help");
            return;
        }
        match (command, argument) {
            ("help", None) => println!("{HELP}"),
            ("time", None) => time(),
            ("uptime", None) => uptime(),
            ("count", _) => count(argument),
            ("mem", None) => self.fill(),
            ("mem", Some("check")) => self.check(),
            ("id", None) => self.identify(),
            ("crash", None) => panic!("crash was asked for"),
            ("reboot", None) => {
                println!("resetting");
                psci::system_reset()
            }
            ("poweroff", None) => {
                println!("good bye");
                psci::system_off()
            }
            (
                "help" | "time" | "uptime" | "mem" | "id" | "crash" | "reboot" | "poweroff",
                Some(word),
            ) => println!("{command}: what is '{word}'? type help"),
            _ => println!("no such command: {command}; type help"),
        }
    }

    fn fill(&mut self) {
        let seed = self.filled.map_or(1, |(seed, _)| seed + 1);
        // A linear congruential sequence: every word differs from its neighbours.
        let mut word = seed;
        for place in self.pattern.iter_mut() {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed);
            *place = word;
        }
        let hash = hash::of(self.pattern);
        self.filled = Some((seed, hash));
        println!("pattern {seed}: {} KiB, hash {hash:016x}", PATTERN_WORDS * 8 / 1024);
    }

    fn check(&self) {
        let Some((seed, hash)) = self.filled else {
            println!("no pattern yet; type mem");
            return;
        };
        let found = hash::of(self.pattern);
        if found == hash {
            println!("pattern {seed}: intact, hash {hash:016x}");
        } else {
            println!("pattern {seed}: CHANGED, hash {hash:016x} written, {found:016x} found");
        }
    }

    fn identify(&self) {
        let [typer, iidr, gicr_typer] = gic::identity();
        let psci = psci::ask(psci::PSCI_VERSION)[0];
        let smccc = psci::ask(psci::SMCCC_VERSION)[0];
        println!("MIDR_EL1          {:#018x}", mrs!("midr_el1"));
        println!("MPIDR_EL1         {:#018x}", mrs!("mpidr_el1"));
        println!("ID_AA64PFR0_EL1   {:#018x}", mrs!("id_aa64pfr0_el1"));
        println!("ID_AA64ISAR0_EL1  {:#018x}", mrs!("id_aa64isar0_el1"));
        println!("ID_AA64MMFR0_EL1  {:#018x}", mrs!("id_aa64mmfr0_el1"));
        println!("ID_AA64DFR0_EL1   {:#018x}", mrs!("id_aa64dfr0_el1"));
        println!("CTR_EL0           {:#018x}", mrs!("ctr_el0"));
        println!("CNTFRQ_EL0        {} Hz", timer::frequency_hz());
        println!("GICD_TYPER        {typer:#010x} ({} INTIDs)", 32 * ((typer & 31) + 1));
        println!("GICD_IIDR         {iidr:#010x}");
        println!("GICR_TYPER        {gicr_typer:#010x}");
        println!("ICC_CTLR_EL1      {:#010x}", mrs!("s3_0_c12_c12_4"));
        println!("PL011 id          {:#010x}", console::peripheral_id());
        println!("PSCI version      {}.{}", psci >> 16, psci & 0xffff);
        print_version("SMCCC version     ", smccc);
        match psci::ask(psci::VENDOR_HYP_UID) {
            [psci::NOT_SUPPORTED, ..] => println!("hypervisor UID    none"),
            [a, b, c, d] => println!("hypervisor UID    {a:08x} {b:08x} {c:08x} {d:08x}"),
        }
        let Some(fdt) = self.fdt else {
            println!("device tree       none");
            return;
        };
        println!("compatible        {}", fdt.text("", "compatible").unwrap_or("?"));
        println!("memory            {} MiB", fdt.memory_bytes().unwrap_or(0) >> 20);
        println!("bootargs          {}", fdt.text("chosen", "bootargs").unwrap_or(""));
    }
}

fn print_version(label: &str, version: u32) {
    if version == psci::NOT_SUPPORTED {
        println!("{label}1.0");
    } else {
        println!("{label}{}.{}", version >> 16, version & 0xffff);
    }
}

fn time() {
    let seconds = timer::rtc_seconds();
    println!("counter  {} at {} Hz", timer::counter(), timer::frequency_hz());
    println!("ticks    {} served, {} skipped", timer::ticks(), timer::skipped());
    print!("clock    {seconds} = ");
    print_date(seconds);
}

/// Prints seconds since 1970 as a date, in UTC.
fn print_date(seconds: u32) {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days counted from 1 March of year 0, so that the leap day comes last.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u32::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    println!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC");
}

fn uptime() {
    let ms = timer::uptime_ms();
    println!("up {}.{:03} s", ms / 1000, ms % 1000);
}

fn count(argument: Option<&str>) {
    let end = match argument.map_or(Ok(COUNT_DEFAULT), str::parse) {
        Ok(end @ 1..=COUNT_MAX) => end,
        _ => {
            println!("count: a number from 1 to {COUNT_MAX}, please");
            return;
        }
    };
    console::clear_interrupted();
    for number in 1..=end {
        println!("{number}");
        for _ in 0..COUNT_TICKS {
            if console::was_interrupted() {
                println!("^C");
                return;
            }
            timer::sleep_ticks(1);
        }
    }
}
