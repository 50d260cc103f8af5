//! Stage 1 translation of EL1&0 with the 4 KiB granule.
//!
//! [DDI0487 D8.2 Translation process], [DDI0487 D8.3 descriptor formats]

use abide_memory::{GuestRam, Order};
use abide_reg::Gpa;

/// SCTLR_EL1 bits `[DDI0487 D24.2 SCTLR_EL1]`.
pub(crate) mod sctlr {
    pub const M: u64 = 1 << 0;
    pub const A: u64 = 1 << 1;
    pub const SA: u64 = 1 << 3;
    pub const SA0: u64 = 1 << 4;
    pub const UMA: u64 = 1 << 9;
    pub const DZE: u64 = 1 << 14;
    pub const UCT: u64 = 1 << 15;
    pub const NTWI: u64 = 1 << 16;
    pub const NTWE: u64 = 1 << 18;
    pub const WXN: u64 = 1 << 19;
    pub const E0E: u64 = 1 << 24;
    pub const EE: u64 = 1 << 25;
    pub const UCI: u64 = 1 << 26;
}

/// Fault status codes, DFSC and IFSC `[DDI0487 D24.2 ESR_EL1]`. Those with a level add it.
pub(crate) mod status {
    pub const ADDRESS_SIZE: u8 = 0x00;
    pub const TRANSLATION: u8 = 0x04;
    pub const ACCESS_FLAG: u8 = 0x08;
    pub const PERMISSION: u8 = 0x0c;
    pub const EXTERNAL: u8 = 0x10;
    pub const EXTERNAL_ON_WALK: u8 = 0x14;
    pub const ALIGNMENT: u8 = 0x21;
    pub const UNSUPPORTED_EXCLUSIVE: u8 = 0x35;
}

/// What is to be done at the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    Execute,
}

/// Why there is no translation: a [`status`] code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault(pub u8);

impl Fault {
    /// A translation table is not in RAM.
    pub fn is_external_on_walk(self) -> bool {
        self.0 & !3 == status::EXTERNAL_ON_WALK
    }
}

/// A translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// The physical address.
    pub pa: u64,
    /// Reading is allowed as well.
    pub readable: bool,
    /// The size of the mapping as a power of two, if it is larger than a page; else 0.
    pub block_log2: u32,
    /// The byte of MAIR_EL1 that describes the memory.
    pub attributes: u8,
    /// The shareability field.
    pub shareability: u8,
}

impl Leaf {
    /// Device memory of any kind.
    pub fn is_device(&self) -> bool {
        self.attributes & 0xf0 == 0
    }
}

/// The registers that control translation, at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Regime {
    pub sctlr: u64,
    pub tcr: u64,
    pub ttbr0: u64,
    pub ttbr1: u64,
    pub mair: u64,
    /// Bits of a physical address, as ID_AA64MMFR0_EL1.PARange offers them.
    pub pa_bits: u32,
}

/// The bits of a physical address for a PARange or IPS value `[DDI0487 D24.2 ID_AA64MMFR0_EL1]`.
pub(crate) const fn physical_bits(range: u64) -> u32 {
    match range & 7 {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        _ => 48,
    }
}

/// Normal memory, neither inner nor outer cacheable, as a byte of MAIR_EL1.
const NON_CACHEABLE: u8 = 0x44;

/// The rights that table descriptors on the way took away.
#[derive(Clone, Copy, Default)]
struct TableLimits {
    no_el0: bool,
    read_only: bool,
    pxn: bool,
    uxn: bool,
}

const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

/// The half of the address space that one TTBR translates.
struct Half {
    base: u64,
    size_bits: u32,
    disabled: bool,
    tag_ignored: bool,
}

impl Regime {
    /// Whether the top byte of `va` is ignored `[DDI0487 D8.8]`.
    fn half(&self, va: u64) -> Half {
        let upper = va >> 55 & 1 == 1;
        let (ttbr, shift, epd, tbi) =
            if upper { (self.ttbr1, 16, 23, 38) } else { (self.ttbr0, 0, 7, 37) };
        // Without FEAT_TTST and FEAT_LVA other sizes are taken for the nearest allowed one.
        let txsz = (self.tcr >> shift & 0x3f).clamp(16, 39);
        let size_bits = 64 - txsz as u32;
        Half {
            base: ttbr & 0x0000_ffff_ffff_ffc0,
            size_bits,
            disabled: self.tcr >> epd & 1 == 1,
            tag_ignored: self.tcr >> tbi & 1 == 1,
        }
    }

    /// Where a branch to `va` goes: the tag, if it is ignored, is replaced by copies of bit 55.
    pub fn branch_address(&self, va: u64) -> u64 {
        if self.half(va).tag_ignored { ((va << 8).cast_signed() >> 8).cast_unsigned() } else { va }
    }

    /// Walks the tables for `va`. `el0` is whether EL0's rights count.
    ///
    /// # Errors
    /// [`Fault`], with the level at which it was found.
    pub fn translate(
        &self,
        ram: &GuestRam,
        va: u64,
        access: Access,
        el0: bool,
    ) -> Result<Leaf, Fault> {
        if self.sctlr & sctlr::M == 0 {
            return self.flat(va, access);
        }
        let half = self.half(va);
        let sign = (va << 8).cast_signed() >> 63;
        let expected = sign.cast_unsigned() >> half.size_bits << half.size_bits;
        let ignored = if half.tag_ignored { 0xff << 56 } else { 0 };
        let above = (u64::MAX >> half.size_bits) << half.size_bits;
        if half.disabled || (va ^ expected) & above & !ignored != 0 {
            return Err(Fault(status::TRANSLATION));
        }
        self.walk(ram, va, &half, access, el0)
    }

    fn flat(&self, va: u64, access: Access) -> Result<Leaf, Fault> {
        let tag_ignored = self.half(va).tag_ignored;
        let pa = if tag_ignored { va & 0x00ff_ffff_ffff_ffff } else { va };
        if pa >> self.pa_bits != 0 {
            return Err(Fault(status::ADDRESS_SIZE));
        }
        // Data is Device-nGnRnE, instructions are Normal memory [DDI0487 D8.2.11].
        let attributes = if access == Access::Execute { NON_CACHEABLE } else { 0 };
        Ok(Leaf { pa, readable: true, block_log2: 48, attributes, shareability: 2 })
    }

    fn walk(
        &self,
        ram: &GuestRam,
        va: u64,
        half: &Half,
        access: Access,
        el0: bool,
    ) -> Result<Leaf, Fault> {
        let mut level = 4 - (half.size_bits - 12).div_ceil(9);
        // A first table of fewer entries may stand at a multiple of its own size.
        let first_bits = half.size_bits - 12 - 9 * (3 - level);
        let mut table = half.base & !((8 << first_bits) - 1);
        let output_bits = physical_bits(self.tcr >> 32).min(self.pa_bits);
        let mut limits = TableLimits::default();
        let at_level = |kind: u8, level: u32| Fault(kind | u8::try_from(level).unwrap_or(3));
        if table >> output_bits != 0 {
            return Err(at_level(status::ADDRESS_SIZE, 0));
        }
        loop {
            let shift = 12 + 9 * (3 - level);
            // The first table may be larger or smaller than the others.
            let index_bits = (half.size_bits - shift).min(9);
            let index = va >> shift & ((1 << index_bits) - 1);
            let place = ram
                .place_of(Gpa(table + 8 * index), 8)
                .ok_or(at_level(status::EXTERNAL_ON_WALK, level))?;
            let descriptor: u64 = ram.load(place.offset(), Order::Relaxed);
            let leaf = match (descriptor & 3, level) {
                (1, 1 | 2) | (3, 3) => true,
                (3, _) => false,
                _ => return Err(at_level(status::TRANSLATION, level)),
            };
            if (descriptor & ADDRESS) >> output_bits != 0 {
                return Err(at_level(status::ADDRESS_SIZE, level));
            }
            if leaf {
                let inside = (1 << shift) - 1;
                let pa = (descriptor & ADDRESS & !inside) | (va & inside);
                let block_log2 = if level == 3 { 0 } else { shift };
                return self
                    .permit(descriptor, limits, access, el0)
                    .map(|readable| self.leaf(descriptor, pa, readable, block_log2))
                    .map_err(|kind| at_level(kind, level));
            }
            limits.no_el0 |= descriptor >> 61 & 1 == 1;
            limits.read_only |= descriptor >> 62 & 1 == 1;
            limits.pxn |= descriptor >> 59 & 1 == 1;
            limits.uxn |= descriptor >> 60 & 1 == 1;
            table = descriptor & ADDRESS;
            level += 1;
        }
    }

    fn leaf(&self, descriptor: u64, pa: u64, readable: bool, block_log2: u32) -> Leaf {
        let index = descriptor >> 2 & 7;
        #[expect(clippy::cast_possible_truncation, reason = "fields of 8 and 2 bits are meant")]
        let (attributes, sh) = ((self.mair >> (8 * index)) as u8, (descriptor >> 8) as u8 & 3);
        // Device and non-cacheable memory is outer shareable whatever the field says.
        let outer = attributes & 0xf0 == 0 || attributes == NON_CACHEABLE;
        let shareability = if outer { 2 } else { sh };
        Leaf { pa, readable, block_log2, attributes, shareability }
    }

    /// Whether the access is allowed, and reading as well; else the kind of fault
    /// `[DDI0487 D8.4]`.
    fn permit(
        &self,
        descriptor: u64,
        limits: TableLimits,
        access: Access,
        el0: bool,
    ) -> Result<bool, u8> {
        if descriptor >> 10 & 1 == 0 {
            return Err(status::ACCESS_FLAG);
        }
        let user = descriptor >> 6 & 1 == 1 && !limits.no_el0;
        let writable = descriptor >> 7 & 1 == 0 && !limits.read_only;
        let readable = user || !el0;
        let wxn = self.sctlr & sctlr::WXN != 0;
        let allowed = match access {
            Access::Read => readable,
            Access::Write => readable && writable,
            Access::Execute if el0 => {
                let uxn = descriptor >> 54 & 1 == 1 || limits.uxn;
                // Not readable is no hindrance: EL0 can have execute-only memory.
                let never = uxn || (wxn && user && writable);
                !never
            }
            Access::Execute => {
                let pxn = descriptor >> 53 & 1 == 1 || limits.pxn;
                // What EL0 can write, EL1 never executes.
                let writable_by_any = writable && (user || wxn);
                !pxn && !writable_by_any
            }
        };
        if allowed { Ok(readable) } else { Err(status::PERMISSION) }
    }
}
