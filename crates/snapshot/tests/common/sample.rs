//! The content of the golden files. It never changes: the files were written from it.

use abide_memory::GuestRam;
use abide_reg::{Class, Entry, Gpa, Name, RegId, Scope, Value, VcpuId};
use abide_snapshot::{Architecture, Digest, Header, Record, Snapshot, UnitRecord};

/// Where the guest's RAM begins.
pub const RAM_BASE: Gpa = Gpa(0x4000_0000);

/// Where its second range begins.
pub const HIGH_BASE: Gpa = Gpa(0x1_0000_0000);

/// Numbers that look random and are always the same.
pub struct Numbers(pub u64);

impl Numbers {
    /// The next one.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// As many bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        std::iter::repeat_with(|| self.next().to_le_bytes()).flatten().take(len).collect()
    }
}

/// A header with every field in use.
pub fn header() -> Header {
    Header {
        created_unix_ns: 1_767_225_600_000_000_000,
        contract: Digest([0xc0; 32]),
        producer: "abide 0.1.0".to_owned(),
        kernel: "6.12.57-arm64".to_owned(),
        ..Header::new(Architecture::AARCH64)
    }
}

/// A unit of one register.
pub fn uart() -> UnitRecord {
    UnitRecord {
        unit: Name::new("pl011"),
        scope: Scope::Device(0),
        class: Class::Mandatory,
        entries: vec![Entry::new(
            RegId::named("pl011.uartcr"),
            Class::Mandatory,
            Value::u32(0x301),
        )],
    }
}

/// Units of every scope, registers of every kind and class.
pub fn records() -> Vec<Record> {
    let gic = UnitRecord {
        unit: Name::new("gic"),
        scope: Scope::Vm,
        class: Class::Mandatory,
        entries: vec![
            Entry::new(RegId::gic(1, 0x8), Class::Mandatory, Value::u32(0x0001_043b)),
            Entry::new(RegId::gic(1, 0x0), Class::Static, Value::u32(0x53)),
        ],
    };
    let vcpu = |index: u32| UnitRecord {
        unit: Name::new("vcpu"),
        scope: Scope::Vcpu(VcpuId(index)),
        class: Class::Mandatory,
        entries: vec![
            Entry::new(
                RegId::Kvm(0x6030_0000_0010_0040),
                Class::Mandatory,
                Value::u64(0x4008_0000 + u64::from(index)),
            ),
            Entry::new(RegId::Kvm(0x6040_0000_0010_0054), Class::Mandatory, Value::u128(7 << 100)),
            Entry::new(RegId::named("vcpu.hint"), Class::Volatile, Value::bytes(&[1, 2, 3])),
        ],
    };
    let empty = UnitRecord {
        unit: Name::new("clock"),
        scope: Scope::Vm,
        class: Class::Static,
        entries: vec![],
    };
    [gic, vcpu(0), vcpu(1), uart(), empty].map(Record::from).into()
}

/// The whole snapshot.
pub fn snapshot() -> Snapshot {
    Snapshot { header: header(), records: records() }
}

/// 16 KiB of RAM in one short chunk: zeros, numbers, zeros.
pub fn small_ram() -> GuestRam {
    let ram = GuestRam::new(RAM_BASE, 16 << 10).expect("16 KiB");
    ram.write(Gpa(0x4000_1800), &Numbers(1).bytes(6000)).expect("inside");
    ram
}

/// Two ranges of RAM: whole, zero and short chunks, all of them smaller when compressed.
pub fn large_rams() -> [GuestRam; 2] {
    let low = GuestRam::new(RAM_BASE, (6 << 20) + 8192).expect("6 MiB");
    let text: Vec<u8> = Numbers(2).bytes(200).repeat(3000);
    low.write(Gpa(0x4001_2345), &text).expect("inside");
    low.write(Gpa(0x4060_0000), b"tail").expect("inside");
    let high = GuestRam::new(HIGH_BASE, 2 << 20).expect("2 MiB");
    high.write(Gpa(0x1_001f_ffff), &[0xff]).expect("inside");
    [low, high]
}

/// 8 KiB of RAM: the example in the format's document.
pub fn document_ram() -> GuestRam {
    let ram = GuestRam::new(RAM_BASE, 8192).expect("8 KiB");
    ram.write(Gpa(0x4000_1000), b"guest RAM").expect("inside");
    ram
}
