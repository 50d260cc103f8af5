//! What guests rely on, with numbers typed from the manual.

use super::{PL011_TABLE, Pl011};
use abide_reg::{Class, Entry, IntakeError, RegId, Value, codec};
use proptest::prelude::*;

const DR: u64 = 0x00;
const RSR: u64 = 0x04;
const FR: u64 = 0x18;
const LCR_H: u64 = 0x2c;
const CR: u64 = 0x30;
const IFLS: u64 = 0x34;
const IMSC: u64 = 0x38;
const RIS: u64 = 0x3c;
const MIS: u64 = 0x40;
const ICR: u64 = 0x44;

const RX: u64 = 1 << 4;
const TX: u64 = 1 << 5;
const RT: u64 = 1 << 6;
const BE: u64 = 1 << 9;
const OE: u64 = 1 << 10;
const FIFOS: u64 = 0x70;
const LOOPBACK: u64 = 0x381;

fn get(uart: &mut Pl011, offset: u64) -> u64 {
    uart.read(offset, 4)
}

fn set(uart: &mut Pl011, offset: u64, value: u64) {
    assert_eq!(uart.write(offset, 4, value), None);
}

/// FIFOs on, UART on, as a driver leaves it.
fn running() -> Pl011 {
    let mut uart = Pl011::new();
    set(&mut uart, LCR_H, FIFOS);
    set(&mut uart, CR, 0x301);
    uart
}

fn restored(uart: &Pl011) -> Pl011 {
    let bytes = codec::encode(&uart.save()).unwrap();
    let (copy, leftover) = Pl011::restore(codec::decode(&bytes).unwrap()).unwrap();
    assert!(leftover.carried.is_empty() && leftover.dropped.is_empty());
    assert_eq!(&copy, uart);
    copy
}

#[test]
fn reset_values_are_those_of_the_manual() {
    let mut uart = Pl011::new();
    let nonzero = [(FR, 0x90), (CR, 0x300), (IFLS, 0x12)];
    for offset in (0..0xfe0).step_by(4) {
        let expected = nonzero.iter().find(|(at, _)| *at == offset).map_or(0, |(_, value)| *value);
        assert_eq!(get(&mut uart, offset), expected, "{offset:#x}");
    }
    let ids: Vec<_> = (0xfe0..0x1000).step_by(4).map(|at| get(&mut uart, at)).collect();
    assert_eq!(ids, [0x11, 0x10, 0x14, 0, 0x0d, 0xf0, 0x05, 0xb1]);
    assert!(!uart.irq_level());
}

#[test]
fn registers_keep_the_bits_they_have() {
    let widths = [
        (0x20, 0xff),
        (0x24, 0xffff),
        (0x28, 0x3f),
        (LCR_H, 0xff),
        (CR, 0xff87),
        (IFLS, 0x3f),
        (IMSC, 0x7ff),
        (0x48, 7),
        // Read-only or write-only.
        (RSR, 0),
        (FR, 0x90),
        (RIS, 0),
        (MIS, 0),
        (ICR, 0),
        (0xfe0, 0x11),
        (0x80, 0),
    ];
    for (offset, expected) in widths {
        let mut uart = Pl011::new();
        set(&mut uart, offset, u64::MAX);
        assert_eq!(get(&mut uart, offset), expected, "{offset:#x}");
    }
}

#[test]
fn narrow_accesses_see_the_low_bytes_and_odd_ones_nothing() {
    let mut uart = Pl011::new();
    assert_eq!(uart.write(0x24, 2, 0xabcd), None);
    assert_eq!(
        [uart.read(0x24, 1), uart.read(0x24, 2), uart.read(0x24, 4)],
        [0xcd, 0xabcd, 0xabcd]
    );
    assert_eq!(uart.write(0x24, 1, 0xffff), None);
    assert_eq!(get(&mut uart, 0x24), 0xff);
    for (offset, size) in [(0x25, 1), (0x26, 2), (0x24, 8), (0x24, 3), (0x24, 0), (0x1000, 4)] {
        assert_eq!(uart.write(offset, size, 0x55), None);
        assert_eq!(uart.read(offset, size), 0, "{offset:#x} {size}");
    }
    assert_eq!(get(&mut uart, 0x24), 0xff);
    assert_eq!([uart.write(1, 1, 0x41), uart.write(0, 8, 0x41)], [None, None]);
}

/// Linux `pl011_early_write`: nothing is set up, FR is polled around each character.
#[test]
fn earlycon_sends_before_any_setup() {
    let mut uart = Pl011::new();
    for byte in *b"[    0.000000] Booting Linux" {
        assert_eq!(get(&mut uart, FR) & 0x20, 0, "never full");
        assert_eq!(uart.write(DR, 4, u64::from(byte)), Some(byte));
        assert_eq!(get(&mut uart, FR) & 0x88, 0x80, "empty and not busy");
    }
    assert_eq!(uart.write(DR, 1, 0x141), Some(0x41));
    assert!(!uart.irq_level());
}

/// Linux `pl011_startup` and `pl011_enable_interrupts`, then typing and printing.
#[test]
fn linux_driver_sequence() {
    let mut uart = Pl011::new();
    assert_eq!(uart.receive(b"typed too early"), 1, "one holding register");
    // pl011_hwinit
    set(&mut uart, ICR, 0x7d0);
    let im = get(&mut uart, IMSC);
    set(&mut uart, IMSC, RT | RX);
    assert!(!uart.irq_level(), "what was cleared stays cleared");
    set(&mut uart, IMSC, im);
    set(&mut uart, IFLS, 0x12);
    let cr = get(&mut uart, CR) & 0xc00;
    set(&mut uart, CR, cr | 0x301);
    set(&mut uart, LCR_H, FIFOS);
    // pl011_enable_interrupts
    set(&mut uart, ICR, RT | RX);
    for _ in 0..32 {
        if get(&mut uart, FR) & 0x10 != 0 {
            break;
        }
        get(&mut uart, DR);
    }
    assert_eq!(get(&mut uart, FR), 0x90);
    set(&mut uart, IMSC, RT | RX);
    assert!(!uart.irq_level());

    // pl011_int on three typed characters: RIS & im is looked at, DR is read until RXFE.
    assert_eq!(uart.receive(b"ls\n"), 3);
    assert!(uart.irq_level());
    assert_eq!(get(&mut uart, RIS) & (RT | RX), RT);
    set(&mut uart, ICR, 0);
    let mut line = Vec::new();
    while get(&mut uart, FR) & 0x10 == 0 {
        line.push(u8::try_from(get(&mut uart, DR) & 0xff).unwrap());
    }
    assert_eq!(line, b"ls\n");
    assert_eq!(get(&mut uart, RIS), 0);
    assert!(!uart.irq_level());

    // pl011_start_tx_pio sends all that TXFF lets pass, then asks for an interrupt.
    assert_eq!(uart.write(DR, 4, 0x6f), Some(0x6f));
    set(&mut uart, IMSC, RT | RX | TX);
    assert!(uart.irq_level(), "room in the FIFO");
    assert_eq!(uart.write(DR, 4, 0x6b), Some(0x6b));
    assert!(uart.irq_level());
    // pl011_stop_tx
    set(&mut uart, IMSC, RT | RX);
    assert!(!uart.irq_level());
}

#[test]
fn transmit_interrupt_is_raised_by_writing_and_cleared_by_icr_alone() {
    let mut uart = running();
    set(&mut uart, IMSC, TX);
    assert!(!uart.irq_level(), "an empty FIFO that never held anything raises nothing");
    uart.write(DR, 4, 0);
    assert_eq!([get(&mut uart, RIS), get(&mut uart, MIS)], [TX, TX]);
    assert!(uart.irq_level());
    set(&mut uart, IMSC, RX);
    assert_eq!([get(&mut uart, RIS), get(&mut uart, MIS)], [TX, 0]);
    assert!(!uart.irq_level());
    set(&mut uart, ICR, !TX);
    assert_eq!(get(&mut uart, RIS), TX);
    set(&mut uart, ICR, TX);
    assert_eq!(get(&mut uart, RIS), 0);
    uart.write(DR, 4, 0);
    assert_eq!(get(&mut uart, RIS), TX);
}

#[test]
fn receive_interrupt_follows_the_selected_level() {
    for (select, level) in [(0, 2), (1, 4), (2, 8), (3, 12), (4, 14), (7, 14)] {
        let mut uart = running();
        set(&mut uart, IFLS, select << 3);
        for count in 1..=16 {
            assert_eq!(uart.receive(&[0x30]), 1);
            let expected = if count >= level { RX } else { 0 };
            assert_eq!(get(&mut uart, RIS) & RX, expected, "level {level}, {count} held");
        }
        for count in (0..16).rev() {
            get(&mut uart, DR);
            let expected = if count >= level { RX } else { 0 };
            assert_eq!(get(&mut uart, RIS) & RX, expected, "level {level}, {count} left");
        }
    }
}

#[test]
fn receive_interrupt_once_cleared_waits_for_the_next_passage() {
    let mut uart = running();
    uart.receive(&[0; 9]);
    set(&mut uart, ICR, RX);
    uart.receive(&[0; 2]);
    assert_eq!(get(&mut uart, RIS) & RX, 0);
    for _ in 0..4 {
        get(&mut uart, DR);
    }
    uart.receive(&[0]);
    assert_eq!(get(&mut uart, RIS) & RX, RX);
}

#[test]
fn timeout_interrupt_lasts_until_the_fifo_is_empty_or_it_is_cleared() {
    let mut uart = running();
    uart.receive(b"ab");
    assert_eq!(get(&mut uart, RIS), RT);
    assert_eq!(get(&mut uart, DR), 0x61);
    assert_eq!(get(&mut uart, RIS), RT);
    assert_eq!(get(&mut uart, DR), 0x62);
    assert_eq!(get(&mut uart, RIS), 0);
    assert_eq!(get(&mut uart, DR), 0, "nothing left");
    uart.receive(b"c");
    set(&mut uart, ICR, RT);
    assert_eq!(uart.receive(b""), 0);
    assert_eq!(get(&mut uart, RIS), 0);
}

#[test]
fn fifo_takes_what_fits_and_flags_say_so() {
    let mut uart = running();
    assert_eq!(uart.receive(&[b'x'; 40]), 16);
    assert_eq!(get(&mut uart, FR), 0xc0);
    assert_eq!(uart.receive(b"y"), 0);
    get(&mut uart, DR);
    assert_eq!(get(&mut uart, FR), 0x80);
    assert_eq!(uart.receive(b"yz"), 1);
    // Turning FIFOs off empties them and leaves a single holding register.
    set(&mut uart, LCR_H, FIFOS & !0x10);
    assert_eq!([get(&mut uart, FR), get(&mut uart, RIS)], [0x90, 0]);
    assert_eq!(uart.receive(b"yz"), 1);
    assert_eq!([get(&mut uart, FR), get(&mut uart, RIS)], [0xc0, RX | RT]);
}

#[test]
fn loopback_returns_what_is_sent_and_tells_of_overruns() {
    let mut uart = running();
    set(&mut uart, CR, LOOPBACK);
    assert_eq!(uart.receive(b"from outside"), 0);
    for byte in 0..17 {
        uart.write(DR, 4, byte);
    }
    assert_eq!(get(&mut uart, RIS), OE | RT | TX | RX);
    assert_eq!(get(&mut uart, RSR), 8);
    assert_eq!(get(&mut uart, DR), 0);
    uart.write(DR, 4, 0xaa);
    for byte in 1..16 {
        assert_eq!([get(&mut uart, DR), get(&mut uart, RSR)], [byte, 8]);
    }
    uart.write(DR, 4, 0xbb);
    assert_eq!(get(&mut uart, DR), 0x8aa, "the overrun is told with the next that entered");
    assert_eq!(get(&mut uart, DR), 0xbb, "and told once");
    assert_eq!(get(&mut uart, RSR), 8);
    set(&mut uart, RSR, 0);
    assert_eq!(get(&mut uart, RSR), 0);
}

#[test]
fn loopback_of_a_break_is_a_break() {
    let mut uart = running();
    set(&mut uart, CR, LOOPBACK);
    set(&mut uart, LCR_H, FIFOS | 1);
    set(&mut uart, LCR_H, FIFOS | 1);
    set(&mut uart, LCR_H, FIFOS);
    assert_eq!(get(&mut uart, RIS), BE | RT);
    assert_eq!([get(&mut uart, DR), get(&mut uart, RSR)], [0x400, 4]);
    assert_eq!(get(&mut uart, FR) & 0x10, 0x10, "one break, one character");
    assert_eq!(uart.write(DR, 4, 0x41), Some(0x41));
    assert_eq!([get(&mut uart, DR), get(&mut uart, RSR)], [0x41, 0]);
}

#[test]
fn loopback_connects_modem_outputs_to_inputs() {
    for (output, flag, interrupt) in
        [(1 << 10, 2, 8), (1 << 11, 1, 2), (1 << 12, 4, 4), (1 << 13, 0x100, 1)]
    {
        let mut uart = running();
        set(&mut uart, CR, 0x301 | output);
        assert_eq!([get(&mut uart, FR) & 0x107, get(&mut uart, RIS)], [0, 0]);
        set(&mut uart, CR, LOOPBACK | output);
        assert_eq!([get(&mut uart, FR) & 0x107, get(&mut uart, RIS)], [flag, interrupt]);
        set(&mut uart, ICR, 0xf);
        set(&mut uart, CR, LOOPBACK | output);
        assert_eq!(get(&mut uart, RIS), 0, "no change, no interrupt");
        set(&mut uart, CR, LOOPBACK);
        assert_eq!([get(&mut uart, FR) & 0x107, get(&mut uart, RIS)], [0, interrupt]);
    }
}

#[test]
fn saved_registers_are_those_of_the_table() {
    let mut uart = running();
    uart.receive(b"ab");
    let saved = uart.save();
    let ids: Vec<_> = saved.iter().map(|entry| (entry.id, entry.value.width())).collect();
    let table: Vec<_> = PL011_TABLE.iter().map(|def| (def.id, def.width)).collect();
    assert_eq!(ids, table);
    let value = |name: &str| {
        let id = RegId::named(name);
        saved.iter().find(|entry| entry.id == id).unwrap().value.clone()
    };
    assert_eq!(value("pl011.uartcr"), Value::u32(0x301));
    assert_eq!(value("pl011.rx-count"), Value::u32(2));
    assert_eq!(value("pl011.rx-fifo").as_bytes()[..6], [0x61, 0, 0x62, 0, 0, 0]);
    restored(&uart);
}

/// The saved registers of a running UART with `name` replaced.
fn with(name: &str, value: &Value) -> Vec<Entry> {
    let mut uart = running();
    uart.receive(b"ab");
    let mut saved = uart.save();
    let entry = saved.iter_mut().find(|entry| entry.id == RegId::named(name));
    entry.expect("a register of the table").value = value.clone();
    saved
}

#[test]
fn values_that_no_uart_holds_are_refused_by_name() {
    let mut late = [0; 32];
    late[4] = 1;
    let mut wide = [0; 32];
    wide[1] = 0x10;
    let bad = [
        ("pl011.uartrsr", Value::u32(0x10)),
        ("pl011.uartilpr", Value::u32(0x100)),
        ("pl011.uartibrd", Value::u32(0x1_0000)),
        ("pl011.uartfbrd", Value::u32(0x40)),
        ("pl011.uartlcr_h", Value::u32(0x170)),
        ("pl011.uartcr", Value::u32(8)),
        ("pl011.uartifls", Value::u32(0x40)),
        ("pl011.uartimsc", Value::u32(0x800)),
        ("pl011.uartris", Value::u32(u32::MAX)),
        ("pl011.uartdmacr", Value::u32(8)),
        ("pl011.rx-overrun", Value::u32(2)),
        ("pl011.rx-count", Value::u32(17)),
        ("pl011.rx-count", Value::u32(u32::MAX)),
        ("pl011.rx-fifo", Value::bytes(&late)),
        ("pl011.rx-fifo", Value::bytes(&wide)),
    ];
    for (name, value) in bad {
        let refused = Pl011::restore(with(name, &value));
        assert!(
            matches!(&refused, Err(IntakeError::Value { id, found, .. })
                if *id == RegId::named(name) && *found == value),
            "{name}: {refused:?}"
        );
    }
}

#[test]
fn contradictions_between_registers_are_refused() {
    // Two characters without FIFOs; a timeout without characters.
    let refused = Pl011::restore(with("pl011.uartlcr_h", &Value::u32(0x60)));
    assert!(matches!(refused, Err(IntakeError::Value { id, .. })
        if id == RegId::named("pl011.rx-count")));
    let mut empty = running().save();
    let ris = empty.iter_mut().find(|entry| entry.id == RegId::named("pl011.uartris")).unwrap();
    ris.value = Value::u32(0x40);
    assert!(matches!(Pl011::restore(empty), Err(IntakeError::Value { id, .. })
        if id == RegId::named("pl011.uartris")));
}

#[test]
fn missing_misshapen_and_unknown_registers_are_named() {
    let saved = running().save();
    for at in 0..saved.len() {
        let mut missing = saved.clone();
        let id = missing.remove(at).id;
        let refused = Pl011::restore(missing);
        assert!(matches!(refused, Err(IntakeError::Missing { id: named, .. }) if named == id));
        let mut narrow = saved.clone();
        narrow[at].value = Value::u8(0);
        let refused = Pl011::restore(narrow);
        assert!(matches!(refused, Err(IntakeError::Width { id: named, .. }) if named == id));
    }
    let newer = |class| Entry::new(RegId::named("pl011.newer"), class, Value::u8(0));
    let mut unknown = saved.clone();
    unknown.push(newer(Class::Mandatory));
    let refused = Pl011::restore(unknown);
    assert_eq!(refused, Err(IntakeError::Unknown { id: RegId::named("pl011.newer") }));
    let mut carried = saved;
    carried.push(newer(Class::Static));
    let (_, leftover) = Pl011::restore(carried).unwrap();
    assert_eq!(leftover.carried, [newer(Class::Static)]);
}

/// One thing that can happen to the UART.
#[derive(Clone, Debug)]
enum Event {
    Read(u64, usize),
    Write(u64, usize, u64),
    Receive(Vec<u8>),
}

fn event() -> impl Strategy<Value = Event> {
    let size = prop_oneof![8 => Just(4usize), 1 => Just(2), 1 => Just(1), 1 => any::<usize>()];
    // Registers most of the time, any address now and then.
    let offset = prop_oneof![8 => (0u64..0x14).prop_map(|n| n * 4), 1 => any::<u64>()];
    let value = prop_oneof![any::<u64>(), 0u64..0x800];
    prop_oneof![
        (offset.clone(), size.clone()).prop_map(|(offset, size)| Event::Read(offset, size)),
        (offset, size, value).prop_map(|(offset, size, value)| Event::Write(offset, size, value)),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Event::Receive),
    ]
}

fn apply(uart: &mut Pl011, event: &Event) -> (u64, bool) {
    let result = match event {
        Event::Read(offset, size) => uart.read(*offset, *size),
        Event::Write(offset, size, value) => {
            uart.write(*offset, *size, *value).map_or(0x100, u64::from)
        }
        Event::Receive(bytes) => uart.receive(bytes) as u64,
    };
    (result, uart.irq_level())
}

proptest! {
    #[test]
    fn a_copy_restored_at_every_step_behaves_the_same(
        events in proptest::collection::vec(event(), 0..120),
    ) {
        let mut untouched = Pl011::new();
        let mut moved = Pl011::new();
        for event in &events {
            moved = restored(&moved);
            prop_assert_eq!(apply(&mut untouched, event), apply(&mut moved, event), "{:?}", event);
        }
        prop_assert_eq!(untouched.save(), moved.save());
    }

    #[test]
    fn hostile_state_never_panics(
        numbers in proptest::collection::vec(prop_oneof![0u32..0x20, any::<u32>()], 12),
        fifo in proptest::collection::vec(0u8..16, 32),
        events in proptest::collection::vec(event(), 0..40),
    ) {
        let entries =
            PL011_TABLE.iter().zip(&numbers).map(|(def, n)| Entry::of(def, Value::u32(*n)));
        let fifo = Entry::of(&PL011_TABLE[12], Value::bytes(&fifo));
        if let Ok((mut uart, _)) = Pl011::restore(entries.chain([fifo]).collect()) {
            for event in &events {
                apply(&mut uart, event);
            }
            restored(&uart);
        }
    }

    #[test]
    fn whatever_fits_is_read_back_in_order(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut uart = running();
        let mut waiting = bytes.as_slice();
        let mut read = Vec::new();
        while read.len() < bytes.len() {
            let taken = uart.receive(waiting);
            waiting = &waiting[taken..];
            prop_assert_eq!(get(&mut uart, FR) & 0x10, 0);
            read.push(u8::try_from(get(&mut uart, DR)).unwrap());
        }
        prop_assert_eq!(read, bytes);
        prop_assert_eq!(get(&mut uart, RIS), 0);
    }
}
