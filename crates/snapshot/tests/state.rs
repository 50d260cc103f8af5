//! The same state has the same hash and no differences; another state has others.

mod common;

use abide_memory::{GuestRam, PAGE_SIZE};
use abide_reg::{Class, Entry, Gpa, Name, RegId, Scope, Value, VcpuId};
use abide_snapshot::{
    Architecture, CHUNK_SIZE, Compression, Container, Difference, Digest, ForeignRecord, Header,
    Reader, Record, RecordKind, Side, Snapshot, UnitRecord, diff, inspect, state_hash, verify,
    write_to,
};
use common::sample;
use proptest::prelude::*;

fn write(snapshot: &Snapshot, rams: &[&GuestRam], compression: Compression) -> Vec<u8> {
    let mut file = Vec::new();
    write_to(&mut file, snapshot, rams, compression).expect("a sink in memory");
    file
}

fn container(snapshot: &Snapshot, rams: &[&GuestRam]) -> Container {
    Container::from_bytes(write(snapshot, rams, Compression::None)).expect("just written")
}

#[test]
fn order_class_header_and_present_zeros_do_not_change_the_hash() {
    let snapshot = sample::snapshot();
    let [low, high] = sample::large_rams();
    let expected = state_hash(snapshot.units(), &[&low, &high]).unwrap();
    let mut units: Vec<_> = snapshot.units().cloned().collect();
    units.reverse();
    for unit in &mut units {
        unit.class = Class::Static;
        unit.entries.reverse();
        unit.entries.iter_mut().for_each(|entry| entry.class = Class::Volatile);
    }
    // A whole chunk, and a page of another.
    low.write(Gpa(0x4000_0000 + CHUNK_SIZE), &vec![0; 2 << 20]).unwrap();
    low.write(Gpa(0x4060_1000), &[0; 4096]).unwrap();
    assert_eq!(state_hash(&units, &[&high, &low]).unwrap(), expected);
    for compression in [Compression::None, Compression::Lz4] {
        let records = units.iter().cloned().map(Record::from).collect();
        let snapshot = Snapshot { header: Header::new(Architecture::X86_64), records };
        let reader = Reader::from_bytes(write(&snapshot, &[&low, &high], compression)).unwrap();
        assert_eq!(reader.state_hash().unwrap(), expected);
    }
}

#[test]
fn any_change_of_state_changes_the_hash() {
    let ram = sample::small_ram();
    let units: Vec<_> = sample::snapshot().units().cloned().collect();
    let mut seen = vec![state_hash(&units, &[&ram]).unwrap()];
    let mut add = |units: &[UnitRecord], rams: &[&GuestRam]| {
        let hash = state_hash(units, rams).unwrap();
        assert!(!seen.contains(&hash), "{} hashes differ so far", seen.len());
        seen.push(hash);
    };
    let mut changed = units.clone();
    changed[0].entries[0].value = Value::u32(0x0001_043c);
    add(&changed, &[&ram]);
    changed[0].entries.remove(0);
    add(&changed, &[&ram]);
    let mut changed = units.clone();
    changed[1].scope = Scope::Vcpu(VcpuId(7));
    add(&changed, &[&ram]);
    changed[1].unit = Name::new("vcpv");
    add(&changed, &[&ram]);
    add(&units[1..], &[&ram]);
    add(&units, &[]);
    let longer = GuestRam::new(sample::RAM_BASE, 20 << 10).unwrap();
    let mut content = vec![0; 16 << 10];
    ram.read(sample::RAM_BASE, &mut content).unwrap();
    longer.write(sample::RAM_BASE, &content).unwrap();
    add(&units, &[&longer]);
    let moved = GuestRam::new(Gpa(0), 16 << 10).unwrap();
    moved.write(Gpa(0), &content).unwrap();
    add(&units, &[&moved]);
    ram.write(Gpa(0x4000_3fff), &[1]).unwrap();
    add(&units, &[&ram]);
}

#[test]
fn hashing_a_large_empty_guest_reads_none_of_it() {
    let ram = GuestRam::new(sample::RAM_BASE, 1 << 40).unwrap();
    ram.write(Gpa(0x4000_0000 + (1 << 39)), b"one page").unwrap();
    let hash = state_hash([], &[&ram]).unwrap();
    assert_ne!(hash, state_hash([], &[]).unwrap());
    let present = ram.next_present(abide_memory::RamOffset(0)).unwrap().unwrap();
    assert_eq!((present.0.0, present.1.0), (1 << 39, (1 << 39) + PAGE_SIZE));
    assert_eq!(ram.next_present(present.1).unwrap(), None, "hashing made no page present");
}

#[test]
fn restoring_makes_only_pages_present_that_hold_something() {
    let ram = GuestRam::new(sample::RAM_BASE, 8 << 20).unwrap();
    ram.write(Gpa(0x4000_5000), &[1; 8192]).unwrap();
    let file = write(&sample::snapshot(), &[&ram], Compression::None);
    let reader = Reader::from_bytes(file).unwrap();
    let used = GuestRam::new(sample::RAM_BASE, 8 << 20).unwrap();
    used.write(Gpa(0x4000_0000), &[9; 4096]).unwrap();
    used.write(Gpa(0x4040_0000), &[9; 70_000]).unwrap();
    let fresh = GuestRam::new(sample::RAM_BASE, 8 << 20).unwrap();
    for target in [&fresh, &used] {
        reader.restore_memory(target).unwrap();
        assert_eq!(state_hash([], &[target]).unwrap(), state_hash([], &[&ram]).unwrap());
    }
    let present = fresh.next_present(abide_memory::RamOffset(0)).unwrap().unwrap();
    assert_eq!((present.0.0, present.1.0), (0x5000, 0x7000));
    assert_eq!(fresh.next_present(present.1).unwrap(), None);
}

#[test]
fn a_file_does_not_differ_from_itself_however_it_is_written() {
    let [low, high] = sample::large_rams();
    let mut snapshot = sample::snapshot();
    let a = container(&snapshot, &[&low, &high]);
    snapshot.records.reverse();
    snapshot.header.kernel = "7.2.0".into();
    snapshot.header.producer = "abide 0.2.0".into();
    snapshot.header.created_unix_ns = 0;
    let file = write(&snapshot, &[&low, &high], Compression::Lz4);
    let b = Container::from_bytes(file).unwrap();
    assert_eq!(diff(&a, &b, &|_| None), []);
}

#[test]
fn differences_name_record_register_and_page() {
    let [low, high] = sample::large_rams();
    let before = sample::snapshot();
    let mut after = before.clone();
    after.header.contract = Digest([1; 32]);
    let foreign = |payload: &[u8]| {
        let (kind, name) = (RecordKind(60), Name::new("novel"));
        Record::Foreign(ForeignRecord::new(kind, Class::Static, name, Scope::Vm, payload))
    };
    let mut before = before;
    before.records.push(foreign(b"one"));
    after.records.push(foreign(b"two"));
    let Record::Unit(gic) = &mut after.records[0] else { panic!("the GIC comes first") };
    gic.entries[0].value = Value::u32(1);
    gic.entries[1].id = RegId::gic(1, 0x4);
    after.records.remove(2);
    let a = container(&before, &[&low, &high]);
    low.write(Gpa(0x4020_1234), &[1]).unwrap();
    low.write(Gpa(0x4060_1fff), &[2]).unwrap();
    let b = container(&after, &[&low]);

    let namer = |id: RegId| (id == RegId::gic(1, 8)).then(|| "GICD_IIDR".to_owned());
    let found = diff(&a, &b, &namer);
    let text: Vec<_> = found.iter().map(ToString::to_string).collect();
    let c0 = "c0".repeat(32);
    let expected = [
        &format!("header: contract {c0} / {}", "01".repeat(32)),
        "unit record `gic` (vm): GICD_IIDR (gic:1:0x8) 0x0001043b / 0x00000001",
        "unit record `gic` (vm): gic:1:0x0 = 0x00000053, not in the second file",
        "unit record `gic` (vm): gic:1:0x4 = 0x00000053, not in the first file",
        "unit record `vcpu` (vcpu1): not in the second file",
        "type 60 record `novel` (vm): another payload",
        "0x200000 bytes of RAM at 0x100000000: not in the second file",
        "RAM chunk at 0x40200000: differs first in the page at 0x40201000",
        "RAM chunk at 0x40600000: differs first in the page at 0x40601000",
    ];
    for line in expected {
        assert!(text.iter().any(|found| found == line), "{line} not in {text:#?}");
    }
    let chunk = |gpa, page| Difference::Chunk { gpa: Gpa(gpa), first_page: Some(Gpa(page)) };
    assert!(found.contains(&chunk(0x4020_0000, 0x4020_1000)), "{text:#?}");
    assert!(found.contains(&chunk(0x4060_0000, 0x4060_1000)), "{text:#?}");
    assert_eq!(found.len(), 9, "{text:#?}");

    let back = diff(&b, &a, &namer);
    assert_eq!(back.len(), 9);
    let gone = |found: &[Difference], side| {
        let is_lost = |difference: &&Difference| match difference {
            Difference::RecordMissing { missing_in, .. } => *missing_in == side,
            _ => false,
        };
        found.iter().filter(is_lost).count()
    };
    assert_eq!((gone(&found, Side::B), gone(&back, Side::A)), (1, 1));
}

#[test]
fn damaged_files_are_compared_as_far_as_they_can_be() {
    let ram = sample::small_ram();
    let good = write(&sample::snapshot(), &[&ram], Compression::None);
    let mut bad = good.clone();
    // One byte of the GIC's payload, one of RAM that another snapshot has changed as well.
    bad[256 + 64 + 4] ^= 1;
    let a = Container::from_bytes(bad).unwrap();
    ram.write(Gpa(0x4000_0000), &[1]).unwrap();
    let mut other = write(&sample::snapshot(), &[&ram], Compression::None);
    let last = other.len() - 1;
    other[last] ^= 1;
    let b = Container::from_bytes(other).unwrap();
    let found = diff(&a, &b, &|_| None);
    assert!(matches!(found[0], Difference::Payload { .. }), "{found:?}");
    let unreadable = Difference::Chunk { gpa: Gpa(0x4000_0000), first_page: None };
    assert_eq!(found[1..], [unreadable]);
    assert!(matches!(
        diff(&a, &Container::from_bytes(good).unwrap(), &|_| None)[..],
        [Difference::Payload { .. }]
    ));
}

#[test]
fn inspection_shows_records_registers_and_memory() {
    let [low, high] = sample::large_rams();
    let file = write(&sample::snapshot(), &[&low, &high], Compression::Lz4);
    let container = Container::from_bytes(file.clone()).unwrap();
    let shown = inspect(&container, &|id| Some(format!("<{id}>")));
    assert_eq!(shown.header, sample::header());
    let kinds: Vec<_> = shown.records.iter().map(|record| record.kind.0).collect();
    assert_eq!(kinds, [1, 1, 1, 1, 1, 2, 3]);
    assert!(shown.records.iter().all(|record| record.is_known));
    let iidr = &shown.records[0].entries[0];
    assert_eq!(iidr.name.as_deref(), Some("<gic:1:0x8>"));
    assert_eq!(iidr.value, Value::u32(0x0001_043b));
    let memory = shown.memory.unwrap();
    assert_eq!((memory.ranges.len(), memory.chunks, memory.packed), (2, 3, 3));
    assert_eq!(memory.filled_len, 2 * CHUNK_SIZE + 8192);
    assert!(memory.stored_len < memory.filled_len / 10);
    assert_eq!(shown.digest, Some(Reader::from_bytes(file).unwrap().digest()));
    assert_eq!(shown.findings, []);
}

#[test]
fn raw_chunks_stand_where_they_can_be_mapped_together() {
    let ram = GuestRam::new(sample::RAM_BASE, (6 << 20) + 4096).unwrap();
    for offset in (0..ram.size()).step_by(4096) {
        ram.write(Gpa(ram.base().0 + offset), &offset.to_le_bytes()).unwrap();
        ram.write(Gpa(ram.base().0 + offset + 8), &[0xaa; 4088]).unwrap();
    }
    let file = write(&sample::snapshot(), &[&ram], Compression::None);
    let reader = Reader::from_bytes(file.clone()).unwrap();
    let offsets: Vec<_> = reader.chunks().iter().map(|chunk| chunk.offset).collect();
    assert_eq!(offsets, [0x1_0000, 0x21_0000, 0x41_0000, 0x61_0000]);
    let mut content = vec![0; usize::try_from(ram.size()).unwrap()];
    ram.read(ram.base(), &mut content).unwrap();
    assert!(file[0x1_0000..] == content[..]);
}

fn any_id() -> impl Strategy<Value = RegId> {
    prop_oneof![
        any::<u64>().prop_map(RegId::Kvm),
        (any::<u32>(), any::<u64>()).prop_map(|(group, attr)| RegId::gic(group, attr)),
        "[a-z0-9_.-]{1,31}".prop_map(|name| RegId::named(&name)),
    ]
}

fn any_class() -> impl Strategy<Value = Class> {
    prop_oneof![Just(Class::Mandatory), Just(Class::Static), Just(Class::Volatile)]
}

fn any_unit() -> impl Strategy<Value = UnitRecord> {
    let scope = prop_oneof![
        Just(Scope::Vm),
        any::<u32>().prop_map(|index| Scope::Vcpu(VcpuId(index))),
        any::<u32>().prop_map(Scope::Device),
    ];
    let value = proptest::collection::vec(any::<u8>(), 0..40);
    let entries = proptest::collection::btree_map(any_id(), (any_class(), value), 0..8);
    ("[a-z0-9_.-]{1,31}", scope, any_class(), entries).prop_map(|(unit, scope, class, entries)| {
        let entry = |(id, (class, value)): (RegId, (Class, Vec<u8>))| {
            Entry::new(id, class, Value::bytes(&value))
        };
        let entries = entries.into_iter().map(entry).collect();
        UnitRecord { unit: Name::new(&unit), scope, class, entries }
    })
}

fn any_foreign() -> impl Strategy<Value = ForeignRecord> {
    let class = prop_oneof![Just(Class::Static), Just(Class::Volatile)];
    let payload = proptest::collection::vec(any::<u8>(), 0..100);
    (4..u32::MAX, class, "[a-z]{1,31}", payload).prop_map(|(kind, class, unit, payload)| {
        ForeignRecord::new(RecordKind(kind), class, Name::new(&unit), Scope::Vm, &payload)
    })
}

fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let record = prop_oneof![
        4 => any_unit().prop_map(Record::Unit),
        1 => any_foreign().prop_map(Record::Foreign),
    ];
    let texts = ("[ -~]{0,64}", "[ -~]{0,64}", any::<[u8; 32]>(), any::<u64>(), any::<u16>());
    (texts, proptest::collection::vec(record, 0..6)).prop_map(|(texts, mut records)| {
        let mut seen = std::collections::BTreeSet::new();
        records.retain(|record| seen.insert(format!("{:?}", key(record))));
        let (producer, kernel, contract, created_unix_ns, machine) = texts;
        let header = Header {
            producer,
            kernel,
            created_unix_ns,
            contract: Digest(contract),
            ..Header::new(Architecture(machine))
        };
        Snapshot { header, records }
    })
}

fn key(record: &Record) -> (RecordKind, Name, String) {
    match record {
        Record::Unit(unit) => (RecordKind::UNIT, unit.unit, unit.scope.to_string()),
        Record::Kept(_) => (RecordKind::KEPT_MEMORY, record.unit(), "vm".to_owned()),
        Record::Right(_) => (RecordKind::RIGHT, record.unit(), "vm".to_owned()),
        Record::Foreign(foreign) => (foreign.kind(), foreign.unit(), foreign.scope().to_string()),
    }
}

/// Pieces of RAM: where, how long, which byte.
fn any_pieces(size: u64) -> impl Strategy<Value = Vec<(u64, u64, u8)>> {
    let piece = (0..size, 1..200_000u64, prop_oneof![Just(0u8), any::<u8>()]);
    let cut = move |(at, len, byte): (u64, u64, u8)| (at, len.min(size - at), byte);
    proptest::collection::vec(piece.prop_map(cut), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_written_is_read(
        snapshot in any_snapshot(),
        (size, pieces) in (1..1200u64).prop_flat_map(|pages| {
            (Just(pages * PAGE_SIZE), any_pieces(pages * PAGE_SIZE))
        }),
        compress in any::<bool>(),
    ) {
        let compression = if compress { Compression::Lz4 } else { Compression::None };
        let ram = GuestRam::new(sample::RAM_BASE, size).unwrap();
        for (at, len, byte) in pieces {
            let bytes = vec![byte; usize::try_from(len).unwrap()];
            ram.write(Gpa(sample::RAM_BASE.0 + at), &bytes).unwrap();
        }
        let file = write(&snapshot, &[&ram], compression);
        let container = Container::from_bytes(file.clone()).unwrap();
        prop_assert_eq!(verify(&container), []);
        let reader = Reader::from_container(container).unwrap();
        prop_assert_eq!(reader.snapshot(), &snapshot);
        let again = GuestRam::new(sample::RAM_BASE, size).unwrap();
        reader.restore_memory(&again).unwrap();
        let content = |ram: &GuestRam| {
            let mut bytes = vec![0; usize::try_from(size).expect("small")];
            ram.read(ram.base(), &mut bytes).expect("all of it");
            bytes
        };
        prop_assert!(content(&again) == content(&ram));
        prop_assert!(write(reader.snapshot(), &[&again], compression) == file);
        let live = state_hash(snapshot.units(), &[&ram]).unwrap();
        prop_assert_eq!(reader.state_hash().unwrap(), live);
    }
}
