//! How the kernel numbers and measures things; no system call is made here.

use abide_arm64::features::PmuEvents;
use abide_gic::spec::{
    GICR_STATUSR, GRP_CPU_SYSREGS, GRP_DIST_REGS, GRP_LEVEL_INFO, GRP_NR_IRQS, GRP_REDIST_REGS,
    PRIVATE_COUNT, SPECIAL_FIRST, WORD_INTIDS,
};
use abide_gic::{NR_IRQS_MAX, NR_IRQS_MIN};
use abide_reg::{RegError, RegId};

/// Bits 63:52 of a ONE_REG id of an arm64 register: architecture, bits 59:56 reserved, and
/// log2 of the length in bytes `[linux include/uapi/linux/kvm.h KVM_REG_ARCH_MASK]`.
const ARCH_MASK: u64 = 0xff00_0000_0000_0000;
const ARCH_ARM64: u64 = 0x6000_0000_0000_0000;
const SIZE_SHIFT: u32 = 52;
const SIZE_MASK: u64 = 15;
/// The longest register there is: a full SVE vector of 256 bytes.
const SIZE_LOG2_MAX: u64 = 8;

/// `ENOENT`: the kernel knows no such register.
const ENOENT: i32 = 2;
/// `ENXIO`: the device knows no such attribute.
const ENXIO: i32 = 6;

/// Length in bytes of the register with this ONE_REG id, or `None` where it is no register of an
/// arm64 vCPU.
pub(crate) fn one_reg_width(number: u64) -> Option<usize> {
    let log2 = number >> SIZE_SHIFT & SIZE_MASK;
    (number & ARCH_MASK == ARCH_ARM64 && log2 <= SIZE_LOG2_MAX).then(|| 1 << log2)
}

/// What the kernel's refusal of a vCPU register means.
pub(crate) fn one_reg_error(id: RegId, errno: i32) -> RegError {
    match errno {
        ENOENT => RegError::Unknown { id },
        errno => RegError::Host { id, errno },
    }
}

/// What the kernel's refusal of an interrupt-controller attribute means. It says ENXIO for places
/// that are none, and ENOENT for CPU interface registers that are none.
pub(crate) fn gic_error(id: RegId, errno: i32) -> RegError {
    match errno {
        ENOENT | ENXIO => RegError::Unknown { id },
        errno => RegError::Host { id, errno },
    }
}

/// `KVM_DEV_ARM_VGIC_GRP_ADDR`: base addresses.
pub(crate) const GRP_ADDR: u32 = 0;
/// `KVM_DEV_ARM_VGIC_GRP_CTRL`: commands.
pub(crate) const GRP_CTRL: u32 = 4;

/// Length in bytes of the data of an attribute in this group; `None` for groups that hold no
/// register of the controller `[linux Documentation/virt/kvm/devices/arm-vgic-v3.rst]`.
///
/// The kernel reads and writes 8 bytes in CPU_SYSREGS whatever the caller's buffer holds: too
/// short a one is overrun.
pub(crate) fn gic_width(group: u32) -> Option<usize> {
    match group {
        GRP_DIST_REGS | GRP_REDIST_REGS | GRP_LEVEL_INFO | GRP_NR_IRQS => Some(4),
        GRP_CPU_SYSREGS => Some(8),
        _ => None,
    }
}

/// Whether `KVM_HAS_DEVICE_ATTR` answers for this register. For `GICR_STATUSR` it says no although
/// the register can be read and written: the kernel's table is not sorted for its search there.
pub(crate) fn has_attr_is_reliable(group: u32, attr: u64) -> bool {
    !(group == GRP_REDIST_REGS && attr & 0xffff_ffff == u64::from(GICR_STATUSR))
}

/// The `irq` field of `KVM_IRQ_LINE` for a shared peripheral interrupt: type 1 in bits 27:24, the
/// INTID in bits 15:0 `[linux Documentation/virt/kvm/api.rst 4.25]`; `None` for other INTIDs.
pub(crate) fn spi_line(intid: u32) -> Option<u32> {
    const TYPE_SPI: u32 = 1 << 24;
    (PRIVATE_COUNT..SPECIAL_FIRST).contains(&intid).then_some(TYPE_SPI | intid)
}

/// Whether the kernel takes this number of INTIDs.
pub(crate) fn nr_irqs_is_legal(intids: u32) -> bool {
    (NR_IRQS_MIN..=NR_IRQS_MAX).contains(&intids) && intids.is_multiple_of(WORD_INTIDS)
}

/// The numbers of the events that PMCEID0_EL0 and PMCEID1_EL0 tell of with these contents: the
/// low halves are the events from 0 on, the high halves those from 0x4000 on `[DDI0487 D24.5]`.
pub(crate) fn events(told: PmuEvents) -> impl Iterator<Item = u16> {
    const EXTENDED: u16 = 0x4000;
    let bits = (0u16..64).flat_map(|bit| [(bit, 0u16), (bit, 1)]);
    bits.filter(move |(bit, register)| told[usize::from(*register)] >> bit & 1 == 1).map(
        |(bit, register)| {
            let half = if bit < 32 { 0 } else { EXTENDED };
            half + 32 * register + bit % 32
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use abide_arm64::kvm;

    fn number(id: RegId) -> u64 {
        let RegId::Kvm(number) = id else { panic!("{id} is no ONE_REG id") };
        number
    }

    #[test]
    fn events_have_the_numbers_of_their_bits() {
        let mut all: Vec<u16> = events([1 << 0x1e | 1 << 32, 1 << 5 | 1 << 63]).collect();
        all.sort_unstable();
        assert_eq!(all, [0x1e, 0x25, 0x4000, 0x403f]);
        assert_eq!(events([0; 2]).count(), 0);
        assert_eq!(events([u64::MAX; 2]).count(), 128);
    }

    #[test]
    fn widths_are_those_in_the_id() {
        assert_eq!(one_reg_width(number(kvm::x(0))), Some(8));
        assert_eq!(one_reg_width(number(kvm::v(31))), Some(16));
        assert_eq!(one_reg_width(number(kvm::FPSR)), Some(4));
        assert_eq!(one_reg_width(0x6020_0000_0011_0002), Some(4), "CCSIDR of CSSELR 2");
        assert_eq!(one_reg_width(0x6080_0000_0015_0000), Some(256), "an SVE vector");
        assert_eq!(one_reg_width(0x6090_0000_0015_0000), None, "512 bytes");
        assert_eq!(one_reg_width(0x2030_0000_0000_0000), None, "an x86 register");
        assert_eq!(one_reg_width(0), None);
    }

    #[test]
    fn refusals_say_whether_the_register_exists() {
        let id = kvm::PC;
        assert_eq!(one_reg_error(id, 2), RegError::Unknown { id });
        assert_eq!(one_reg_error(id, 22), RegError::Host { id, errno: 22 });
        assert_eq!(one_reg_error(id, 6), RegError::Host { id, errno: 6 });
        let id = RegId::gic(GRP_CPU_SYSREGS, 0xc664);
        assert_eq!(gic_error(id, 2), RegError::Unknown { id });
        assert_eq!(gic_error(id, 6), RegError::Unknown { id });
        assert_eq!(gic_error(id, 16), RegError::Host { id, errno: 16 });
    }

    #[test]
    fn addresses_and_commands_are_no_registers() {
        assert_eq!([GRP_ADDR, GRP_CTRL].map(gic_width), [None; 2]);
    }

    #[test]
    fn cpu_interface_registers_alone_have_eight_bytes() {
        let widths: Vec<_> = (0..10).map(gic_width).collect();
        let (four, none) = (Some(4), None);
        assert_eq!(
            widths,
            [none, four, none, four, none, four, Some(8), four, none, none],
            "groups 0 to 9"
        );
    }

    #[test]
    fn only_statusr_is_asked_for_without_has_attr() {
        assert!(!has_attr_is_reliable(GRP_REDIST_REGS, 0x0000_0001_0000_0010));
        assert!(has_attr_is_reliable(GRP_REDIST_REGS, 0x0000_0001_0001_0010));
        assert!(has_attr_is_reliable(GRP_DIST_REGS, 0x10));
    }

    #[test]
    fn lines_of_shared_interrupts_are_encoded_and_others_refused() {
        assert_eq!(spi_line(32), Some(0x0100_0020));
        assert_eq!(spi_line(1019), Some(0x0100_03fb));
        assert_eq!([0, 15, 27, 31, 1020, u32::MAX].map(spi_line), [None; 6]);
    }

    #[test]
    fn numbers_of_intids_are_those_the_kernel_takes() {
        assert!([64, 96, 288, 992].into_iter().all(nr_irqs_is_legal));
        assert!(![0, 32, 63, 65, 1000, 1020, 1024].into_iter().any(nr_irqs_is_legal));
    }
}
