//! Devices, clock, console and entropy under the checks that every unit with saved state must pass.

use abide_engine::Clock;
use abide_machine::clock::{self, MachineClock};
use abide_machine::console::{self, Console};
use abide_machine::devices::{PL011_TABLE, PL031_TABLE, Pl011, Pl031};
use abide_machine::entropy::{self, Entropy};
use abide_reg::{Entry, IntakeError, Leftover, RegDef, RegId, Value};
use abide_testkit::conformance::{Plan, Report, Subject, check};

/// Every subject's restore refuses by what its intake says.
macro_rules! refuses_by_intake {
    () => {
        type Error = IntakeError;

        fn cause(error: &IntakeError) -> Option<&IntakeError> {
            Some(error)
        }
    };
}

fn conforms<S: Subject>(steps: usize) -> Report {
    let mut last = Report::default();
    for seed in 1..=3 {
        let plan = Plan { seed, steps, ..Plan::default() };
        last = check::<S>(&plan).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(last.round_trips > steps && last.refused > 20, "{last:?}");
    }
    last
}

/// `random`'s bits from `shift` on, below `1 << bits`.
fn field(random: u64, shift: u32, bits: u32) -> u64 {
    random >> shift & ((1 << bits) - 1)
}

fn len(random: u64) -> usize {
    usize::try_from(random).unwrap_or(0)
}

// ---- UART ----

struct Uart(Pl011);

impl Subject for Uart {
    const NAME: &'static str = "uart";
    refuses_by_intake!();

    fn table() -> Vec<RegDef> {
        PL011_TABLE.to_vec()
    }

    fn fresh() -> Self {
        Self(Pl011::new())
    }

    fn drive(&mut self, random: u64) -> Vec<u8> {
        // Registers end at 0x48; some accesses miss them.
        let offset = 4 * field(random, 8, 5);
        let size = 1 << field(random, 16, 2);
        let mut seen = match random & 7 {
            0..=2 => self.0.read(offset, size).to_le_bytes().to_vec(),
            // With loopback a write to the data register fills the FIFO.
            3 => self
                .0
                .write(0x30, 4, 0x301 | random & 0x80 | field(random, 20, 6) << 10)
                .into_iter()
                .collect(),
            4 => vec![u8::try_from(self.0.receive(&random.to_le_bytes())).unwrap_or(0)],
            5 => self.0.write(0, 1, field(random, 20, 8)).into_iter().collect(),
            _ => self.0.write(offset, size, field(random, 20, 32)).into_iter().collect(),
        };
        seen.push(u8::from(self.0.irq_level()));
        seen
    }

    fn save(&self) -> Vec<Entry> {
        self.0.save()
    }

    fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        Pl011::restore(entries).map(|(uart, leftover)| (Self(uart), leftover))
    }
}

#[test]
fn uart_conforms() {
    assert!(conforms::<Uart>(600).accepted > 100);
}

// ---- Real-time clock ----

struct Rtc(Pl031);

/// What the machine's clock shows: an hour around one second, so that matches are met.
fn now_s(random: u64) -> u64 {
    1_767_225_600 + field(random, 52, 12)
}

impl Subject for Rtc {
    const NAME: &'static str = "rtc";
    refuses_by_intake!();

    fn table() -> Vec<RegDef> {
        PL031_TABLE.to_vec()
    }

    fn fresh() -> Self {
        Self(Pl031::new())
    }

    fn drive(&mut self, random: u64) -> Vec<u8> {
        let now_s = now_s(random);
        let offset = 4 * field(random, 8, 3);
        let size = 1 << field(random, 16, 2);
        let mut seen = Vec::new();
        match random & 7 {
            0 => self.0.tick(now_s),
            1 => self.0.write(4, 4, now_s + field(random, 20, 8), now_s),
            2 => self.0.write(8, 4, now_s + field(random, 20, 8), now_s),
            3 => self.0.write(offset, size, random.rotate_left(17), now_s),
            4 => self.0.write(0x10 + 4 * field(random, 8, 2), 4, field(random, 20, 1), now_s),
            _ => seen.extend(self.0.read(offset, size, now_s).to_le_bytes()),
        }
        seen.push(u8::from(self.0.irq_level()));
        seen.extend(format!("{:?}", self.0.wake_s()).into_bytes());
        seen
    }

    fn save(&self) -> Vec<Entry> {
        self.0.save()
    }

    fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        Pl031::restore(entries).map(|(rtc, leftover)| (Self(rtc), leftover))
    }
}

#[test]
fn rtc_conforms() {
    assert!(conforms::<Rtc>(400).accepted > 100);
}

// ---- Clock ----

const CNTFRQ_HZ: u64 = 62_500_000;

fn is_virtual() -> RegId {
    clock::TABLE[0].id
}

/// A clock that is driven by instructions.
struct VirtualClock(MachineClock);

impl Subject for VirtualClock {
    const NAME: &'static str = "clock (virtual)";
    refuses_by_intake!();

    fn table() -> Vec<RegDef> {
        clock::TABLE.to_vec()
    }

    fn fresh() -> Self {
        Self(MachineClock::new_virtual(CNTFRQ_HZ))
    }

    fn drive(&mut self, random: u64) -> Vec<u8> {
        let clock = &self.0;
        if random & 1 == 0 {
            clock.retire(field(random, 8, 17));
        } else {
            clock.warp_to(clock.now_ticks().saturating_add(field(random, 8, 24)));
        }
        let mut seen = format!("{:?}", clock.instructions_until(field(random, 32, 32)));
        seen.push_str(&format!(" {} {}", clock.now_ticks(), clock.host_wait(0).is_some()));
        // A clock that a damaged file made follow the host shows another second each time.
        if clock.is_virtual() {
            seen.push_str(&format!(" {}", clock.wall_ns()));
        }
        seen.into_bytes()
    }

    fn save(&self) -> Vec<Entry> {
        self.0.save()
    }

    fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        let (clock, leftover) = MachineClock::restore(CNTFRQ_HZ, entries)?;
        Ok((Self(clock), leftover))
    }

    fn constant() -> Vec<RegId> {
        vec![is_virtual()]
    }
}

#[test]
fn virtual_clock_conforms() {
    assert!(conforms::<VirtualClock>(300).accepted > 50);
}

/// A clock that follows the host's, paused, as it is whenever it is saved.
struct HostClock(MachineClock);

impl Subject for HostClock {
    const NAME: &'static str = "clock (host)";
    refuses_by_intake!();

    fn table() -> Vec<RegDef> {
        clock::TABLE.to_vec()
    }

    fn fresh() -> Self {
        Self(MachineClock::new_host(CNTFRQ_HZ))
    }

    fn drive(&mut self, random: u64) -> Vec<u8> {
        self.0.retire(field(random, 8, 17));
        self.0.pause();
        format!("{} {}", self.0.now_ticks(), self.0.instructions()).into_bytes()
    }

    fn save(&self) -> Vec<Entry> {
        self.0.save()
    }

    fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        let (clock, leftover) = MachineClock::restore(CNTFRQ_HZ, entries)?;
        Ok((Self(clock), leftover))
    }

    /// Its ticks move only while it runs, which no test can wait for.
    fn constant() -> Vec<RegId> {
        vec![is_virtual(), clock::TABLE[1].id]
    }
}

#[test]
fn host_clock_conforms() {
    assert!(conforms::<HostClock>(100).accepted > 50);
}

// ---- Console ----

struct Output(Console);

impl Subject for Output {
    const NAME: &'static str = "console";
    refuses_by_intake!();

    fn table() -> Vec<RegDef> {
        console::TABLE.to_vec()
    }

    fn fresh() -> Self {
        Self(Console::new(Box::new(std::io::sink())))
    }

    fn drive(&mut self, random: u64) -> Vec<u8> {
        let bytes = random.to_le_bytes();
        if field(random, 3, 1) == 0 {
            self.0.transmit(&bytes[..len(field(random, 0, 3))]);
        } else {
            // More or less of what a panic ends with.
            let text = b"-----[ end Kernel panic";
            self.0.transmit(&text[len(field(random, 4, 2))..len(field(random, 8, 4)) + 4]);
        }
        let mut seen = self.0.tx_bytes().to_le_bytes().to_vec();
        seen.push(u8::from(self.0.has_panicked()));
        seen
    }

    fn save(&self) -> Vec<Entry> {
        self.0.save()
    }

    fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        let (console, leftover) = Console::restore(Box::new(std::io::sink()), entries)?;
        Ok((Self(console), leftover))
    }
}

#[test]
fn console_conforms() {
    assert!(conforms::<Output>(100).accepted > 50);
}

#[test]
fn console_that_printed_all_it_can_count_goes_on() {
    let mut entries = Console::new(Box::new(std::io::sink())).save();
    entries[0].value = Value::u64(u64::MAX - 1);
    let (mut console, _) =
        Console::restore(Box::new(std::io::sink()), entries).expect("any count is possible");
    console.transmit(b"more than that");
    assert!(console.tx_bytes() >= u64::MAX - 1 || console.tx_bytes() < 16);
}

// ---- Entropy ----

struct Seeded(Entropy);

impl Subject for Seeded {
    const NAME: &'static str = "entropy";
    refuses_by_intake!();

    fn table() -> Vec<RegDef> {
        entropy::TABLE.to_vec()
    }

    fn fresh() -> Self {
        Self(Entropy::Seeded { state: 1 })
    }

    fn drive(&mut self, random: u64) -> Vec<u8> {
        if random & 7 == 0 {
            return self.0.seed().to_vec();
        }
        self.0.next_u64().map_or(Vec::new(), |bits| bits.to_le_bytes().to_vec())
    }

    fn save(&self) -> Vec<Entry> {
        self.0.save()
    }

    fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        Entropy::restore(entries).map(|(entropy, leftover)| (Self(entropy), leftover))
    }

    fn constant() -> Vec<RegId> {
        vec![entropy::TABLE[0].id]
    }
}

#[test]
fn entropy_conforms() {
    assert!(conforms::<Seeded>(100).accepted > 50);
}
