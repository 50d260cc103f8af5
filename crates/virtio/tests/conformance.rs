//! The devices with their transport under the checks that every unit with saved state must pass.

mod common;

use abide_memory::GuestRam;
use abide_reg::{Entry, IntakeError, Leftover, RegDef, RegId};
use abide_testkit::conformance::{Plan, Subject, check};
use abide_testkit::virtio::{Desc, DriverQueue, Port, bring_up};
use abide_virtio::Vsock;
use abide_virtio::block::{IoFailed, Storage};
use abide_virtio::rtc::{CrossReading, RtcClock};
use abide_virtio::{
    Block, Cable, Clocks, Console, Device, Mmio, Net, RandomBits, Rng, Rtc, SharedMemory, Sockets,
    Terminal,
};
use common::{Wired, at, ram};

/// A disk of zeros that can be written and forgets it.
#[derive(Default)]
struct Zeros;

impl Storage for Zeros {
    fn read(&mut self, _at: u64, into: &mut [u8]) -> Result<(), IoFailed> {
        into.fill(0);
        Ok(())
    }

    fn write(&mut self, _at: u64, _from: &[u8]) -> Result<(), IoFailed> {
        Ok(())
    }

    fn flush(&mut self) -> Result<(), IoFailed> {
        Ok(())
    }

    fn zero(&mut self, _at: u64, _len: u64, _may_free: bool) -> Result<(), IoFailed> {
        Ok(())
    }
}

/// A terminal at which somebody types without end.
#[derive(Default)]
struct Typist;

impl Terminal for Typist {
    fn transmit(&mut self, _bytes: &[u8]) {}

    fn waiting(&mut self) -> &[u8] {
        b"typed"
    }

    fn accepted(&mut self, _len: usize) {}
}

/// Bits that are not random.
struct Sevens;

impl RandomBits for Sevens {
    fn next_u64(&mut self) -> Option<u64> {
        Some(7)
    }
}

/// Clocks that stand still.
struct Noon;

impl Clocks for Noon {
    fn read(&mut self, _clock: RtcClock) -> Option<CrossReading> {
        Some(CrossReading { clock_ns: 1_800_000_000_000_000_000, counter_value: 12 })
    }
}

/// A cable at whose other end somebody sends the same frame without end, and hears nothing.
struct Babbler;

impl Cable for Babbler {
    fn send(&mut self, _frame: &[u8]) -> bool {
        true
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        Some(vec![0xab; 60])
    }

    fn has_frame(&self) -> bool {
        true
    }

    fn is_up(&self) -> bool {
        true
    }
}

impl Sockets for Babbler {
    fn send(&mut self, _packet: &[u8]) -> bool {
        true
    }

    fn receive(&mut self, room: usize) -> Option<Vec<u8>> {
        Some(vec![0xab; room.min(60)])
    }

    fn reset(&mut self) {}

    fn has_packet(&self) -> bool {
        true
    }
}

/// What the checks need to know of a device.
trait Kind: Device + Clone + PartialEq + std::fmt::Debug {
    const NAME: &'static str;

    fn fresh() -> Self;

    /// What the machine around it may change.
    fn change(&mut self) {}

    /// Calls with a host that says the same each time.
    fn with_host<T>(call: impl FnOnce(&mut Self::Host) -> T) -> T;
}

impl Kind for Block {
    const NAME: &'static str = "virtio-blk";

    fn fresh() -> Self {
        Self::new(64, false, *b"twenty letters long.")
    }

    fn with_host<T>(call: impl FnOnce(&mut Self::Host) -> T) -> T {
        call(&mut Zeros)
    }
}

impl Kind for Rng {
    const NAME: &'static str = "virtio-rng";

    fn fresh() -> Self {
        Self
    }

    fn with_host<T>(call: impl FnOnce(&mut Self::Host) -> T) -> T {
        call(&mut Sevens)
    }
}

impl Kind for Rtc {
    const NAME: &'static str = "virtio-rtc";

    fn fresh() -> Self {
        Self::new(Some(SharedMemory { base: at(0x1000_0000), len: 0x1_0000 }))
    }

    fn with_host<T>(call: impl FnOnce(&mut Self::Host) -> T) -> T {
        call(&mut Noon)
    }
}

impl Kind for Console {
    const NAME: &'static str = "virtio-console";

    fn fresh() -> Self {
        Self
    }

    fn with_host<T>(call: impl FnOnce(&mut Self::Host) -> T) -> T {
        call(&mut Typist)
    }
}

impl Kind for Net {
    const NAME: &'static str = "virtio-net";

    fn fresh() -> Self {
        Self::new([0x52, 0x54, 0, 0xab, 0x1d, 0xe0])
    }

    fn change(&mut self) {
        self.announce();
    }

    fn with_host<T>(call: impl FnOnce(&mut Self::Host) -> T) -> T {
        call(&mut Babbler)
    }
}

impl Kind for Vsock {
    const NAME: &'static str = "virtio-vsock";

    fn fresh() -> Self {
        Self::new(3)
    }

    fn change(&mut self) {
        self.reset_transport();
    }

    fn with_host<T>(call: impl FnOnce(&mut Self::Host) -> T) -> T {
        call(&mut Babbler)
    }
}

/// A device and the guest's RAM. RAM crosses a save by itself: a restored device is driven on RAM
/// that is made anew, with rings in which the driver has offered nothing yet.
struct Unit<D: Kind> {
    mmio: Mmio<D>,
    ram: GuestRam,
}

const QUEUES_AT: u64 = 0x4000;

fn rings<D: Kind>(queue: u64) -> DriverQueue {
    let size_max = D::QUEUE_SIZES.iter().min().copied().unwrap_or(1);
    DriverQueue::new(at(QUEUES_AT * queue), size_max.min(64))
}

/// One of its queues; of a device that has only one, also the one that it does not have.
fn some_queue<D: Kind>(random: u64) -> u64 {
    (random & 0xff) % D::QUEUE_SIZES.len().max(2) as u64
}

impl<D: Kind> Unit<D> {
    fn port<T>(&mut self, call: impl FnOnce(&mut Wired<'_, D>) -> T) -> T {
        let Self { mmio, ram } = self;
        D::with_host(|host| call(&mut Wired { mmio, ram, host }))
    }

    /// How many buffers the device has taken, which a driver would remember.
    fn taken(&self, queue: u64) -> u16 {
        let id = RegId::named(match queue {
            0 => "virtio.q0.next_avail",
            1 => "virtio.q1.next_avail",
            _ => "virtio.q2.next_avail",
        });
        let entry = self.mmio.save().into_iter().find(|entry| entry.id == id);
        let bytes = entry.and_then(|entry| <[u8; 2]>::try_from(entry.value.as_bytes()).ok());
        bytes.map_or(0, u16::from_le_bytes)
    }

    /// Makes RAM what it is in a guest whose driver waits, from the device's registers alone.
    fn settle(&mut self) {
        self.ram.write(at(0), &[0; 0x1_4000]).expect("in RAM");
        for queue in 0..D::QUEUE_SIZES.len() as u64 {
            rings::<D>(queue).set_avail_index(&self.ram, self.taken(queue));
        }
    }

    /// Offers a request of shapes that fit each device somewhere: a header, data, a status.
    fn offer(&mut self, random: u64) {
        let queue = some_queue::<D>(random >> 8);
        let mut driver = rings::<D>(queue);
        driver.set_avail_index(&self.ram, self.taken(queue));
        let header = [u8::try_from(random >> 16 & 1).unwrap_or(0), 0, 0, 0];
        self.ram.write(at(0x1_0000), &header).expect("in RAM");
        let data = if header[0] == 0 { Desc::writable } else { Desc::readable };
        let buffers = [Desc::readable(at(0x1_0000), 16), data(at(0x1_2000), 512)];
        driver.add(&self.ram, &[&buffers[..], &[Desc::writable(at(0x1_1000), 1)]].concat());
        if random >> 20 & 15 == 0 {
            // More than the ring holds: the device needs a reset.
            driver.set_avail_index(&self.ram, self.taken(queue).wrapping_add(65));
        }
        self.port(|port| port.write(0x50, 4, queue));
    }
}

/// Registers that a driver writes one by one.
const WRITABLE: [u64; 16] = [
    0x14, 0x20, 0x24, 0x30, 0x38, 0x44, 0x50, 0x64, 0x70, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4, 0x100,
];

impl<D: Kind> Subject for Unit<D> {
    const NAME: &'static str = D::NAME;
    type Error = IntakeError;

    fn table() -> Vec<RegDef> {
        Mmio::<D>::table()
    }

    fn fresh() -> Self {
        Self { mmio: Mmio::new(D::fresh()), ram: ram() }
    }

    fn drive(&mut self, random: u64) -> Vec<u8> {
        let offset = WRITABLE[usize::try_from(random >> 8 & 15).expect("4 bits")];
        // Nobody writes the configuration of a device that shares memory.
        let offset = if D::SHARES_MEMORY && offset == 0x100 { 0xac } else { offset };
        let value = random >> 24;
        self.settle();
        match random & 7 {
            0 | 1 => self.port(|port| port.write(offset, 4, value)),
            2 => {
                let features = 1 << 32 | value & 3 << 28;
                let queues: Vec<_> = (0..D::QUEUE_SIZES.len() as u64).map(rings::<D>).collect();
                self.port(|port| bring_up(port, features, &queues));
            }
            3 => {
                // A queue that is set up in part.
                self.port(|port| {
                    port.write(0x70, 4, 0);
                    port.write(0x30, 4, some_queue::<D>(random >> 12));
                    port.write(0x38, 4, value & 0x1f);
                    port.write(offset, 4, value);
                });
            }
            4 => self.port(|port| port.write(0x64, 4, value & 3)),
            5 => self.mmio.reconfigure(D::change),
            _ => self.offer(random),
        }
        let mut seen: Vec<u8> = (0..0x140u64)
            .step_by(4)
            .flat_map(|offset| self.mmio.read(offset, 4).to_le_bytes())
            .collect();
        seen.push(u8::from(self.mmio.irq_level()));
        seen
    }

    fn save(&self) -> Vec<Entry> {
        self.mmio.save()
    }

    fn restore(entries: Vec<Entry>) -> Result<(Self, Leftover), IntakeError> {
        let ram = ram();
        let (mmio, leftover) = Mmio::restore(entries, &ram)?;
        Ok((Self { mmio, ram }, leftover))
    }

    fn cause(error: &IntakeError) -> Option<&IntakeError> {
        Some(error)
    }

    fn constant() -> Vec<RegId> {
        // What the device is, and what no request here is long enough for.
        let fixed = ["virtio.device_id", "virtio.device_features", "virtio.unserved"];
        let of_queues = ["virtio.q0.size_max", "virtio.q1.size_max", "virtio.q2.size_max"];
        let of_devices = ["virtio.blk.capacity", "virtio.blk.id", "virtio.net.mac"];
        let of_others = ["virtio.vsock.cid", "virtio.rtc.page_gpa", "virtio.rtc.page_len"];
        let of_devices = of_devices.iter().chain(&of_others);
        let all = fixed.iter().chain(&of_queues).chain(of_devices).map(|name| RegId::named(name));
        let table = Self::table();
        all.filter(|id| table.iter().any(|def| def.id == *id)).collect()
    }
}

fn conforms<D: Kind>() {
    for seed in 1..=3 {
        let plan = Plan { seed, steps: 400, ..Plan::default() };
        let report = check::<Unit<D>>(&plan).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(report.round_trips > 400 && report.refused > 20, "{report:?}");
        assert!(report.accepted > 100, "{report:?}");
    }
}

#[test]
fn block_conforms() {
    conforms::<Block>();
}

#[test]
fn rng_conforms() {
    conforms::<Rng>();
}

#[test]
fn rtc_conforms() {
    conforms::<Rtc>();
}

#[test]
fn console_conforms() {
    conforms::<Console>();
}

#[test]
fn net_conforms() {
    conforms::<Net>();
}

#[test]
fn vsock_conforms() {
    conforms::<Vsock>();
}
