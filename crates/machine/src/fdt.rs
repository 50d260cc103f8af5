//! The device tree: the board as the guest is told of it
//! `[linux Documentation/devicetree/bindings]`.

use crate::board::{
    APB_CLOCK_HZ, BoardConfig, DEVICE_LEN, GICD_BASE, GICD_LEN, GICR_BASE, GICR_LEN,
    PHYSICAL_TIMER_INTID, PMU_INTID, RAM_BASE, RTC_BASE, RTC_INTID, SPI_BASE, UART_BASE,
    UART_INTID, VIRTIO_BASE, VIRTIO_INTID, VIRTIO_STRIDE, VIRTUAL_TIMER_INTID, VMCLOCK_BASE,
    VMCLOCK_INTID, VMGENID_BASE, VMGENID_INTID, mpidr,
};
use crate::devices::vmclock::VmclockConfig;
use crate::error::LoadError;
use abide_arm64::features::Feature;
use abide_reg::Gpa;
use vm_fdt::FdtWriter;

/// Node handles that other nodes refer to.
const PHANDLE_GIC: u32 = 1;
const PHANDLE_CLOCK: u32 = 2;

/// First cell of an interrupt specifier `[arm,gic-v3.yaml]`.
const GIC_SPI: u32 = 0;
const GIC_PPI: u32 = 1;
/// Third cell: active high, level triggered.
const LEVEL_HIGH: u32 = 4;

/// Third cell: edge triggered, rising.
const EDGE_RISING: u32 = 1;

/// Bytes of the page with the generation that the guest is told of.
const VMGENID_LEN: u64 = 0x1000;

/// The PPIs start at this INTID.
const PPI_BASE: u32 = 16;
/// The secure and the hypervisor's physical timer, which this board's CPUs do not have; the
/// binding wants all four, and a guest without EL2 and EL3 ignores these.
const SECURE_TIMER_INTID: u32 = 29;
const HYP_TIMER_INTID: u32 = 26;

/// What the guest is told besides the board itself.
#[derive(Clone, Debug)]
pub struct Chosen<'a> {
    /// The kernel's command line.
    pub bootargs: &'a str,
    /// The initial RAM disk: first byte and one past the last.
    pub initrd: Option<(Gpa, Gpa)>,
    /// Seed for the guest's random numbers.
    pub rng_seed: [u8; 64],
    /// The PSCI version that decides on the node's `compatible`, as PSCI_VERSION gives it.
    pub psci_version: u32,
}

/// The flattened tree.
///
/// # Errors
/// [`LoadError::CommandLine`] or [`LoadError::Fdt`].
pub fn build(board: &BoardConfig, chosen: &Chosen<'_>) -> Result<Vec<u8>, LoadError> {
    if chosen.bootargs.contains('\0') {
        return Err(LoadError::CommandLine);
    }
    let mut fdt = FdtWriter::new()?;
    let root = fdt.begin_node("")?;
    fdt.property_string("compatible", "linux,dummy-virt")?;
    fdt.property_string("model", "abide")?;
    fdt.property_u32("#address-cells", 2)?;
    fdt.property_u32("#size-cells", 2)?;
    fdt.property_u32("interrupt-parent", PHANDLE_GIC)?;
    chosen_node(&mut fdt, chosen)?;
    memory_node(&mut fdt, board)?;
    cpu_nodes(&mut fdt, board)?;
    psci_node(&mut fdt, chosen.psci_version)?;
    timer_node(&mut fdt)?;
    if board.features.contains(Feature::Pmu) {
        pmu_node(&mut fdt)?;
    }
    gic_node(&mut fdt)?;
    device_nodes(&mut fdt)?;
    if let Some(config) = board.vmclock {
        vmclock_nodes(&mut fdt, config)?;
    }
    virtio_nodes(&mut fdt, board)?;
    fdt.end_node(root)?;
    Ok(fdt.finish()?)
}

fn named_at(name: &str, base: Gpa) -> String {
    format!("{name}@{:x}", base.0)
}

fn chosen_node(fdt: &mut FdtWriter, chosen: &Chosen<'_>) -> Result<(), LoadError> {
    let node = fdt.begin_node("chosen")?;
    fdt.property_string("bootargs", chosen.bootargs)?;
    fdt.property_string("stdout-path", &format!("/{}", named_at("pl011", UART_BASE)))?;
    fdt.property("rng-seed", &chosen.rng_seed)?;
    if let Some((start, end)) = chosen.initrd {
        fdt.property_u64("linux,initrd-start", start.0)?;
        fdt.property_u64("linux,initrd-end", end.0)?;
    }
    fdt.end_node(node)?;
    Ok(())
}

fn memory_node(fdt: &mut FdtWriter, board: &BoardConfig) -> Result<(), LoadError> {
    let node = fdt.begin_node(&named_at("memory", RAM_BASE))?;
    fdt.property_string("device_type", "memory")?;
    fdt.property_array_u64("reg", &[RAM_BASE.0, board.ram_len])?;
    fdt.end_node(node)?;
    Ok(())
}

fn cpu_nodes(fdt: &mut FdtWriter, board: &BoardConfig) -> Result<(), LoadError> {
    let cpus = fdt.begin_node("cpus")?;
    fdt.property_u32("#address-cells", 2)?;
    fdt.property_u32("#size-cells", 0)?;
    for n in 0..board.vcpu_count {
        let cpu = fdt.begin_node(&format!("cpu@{:x}", mpidr(n)))?;
        fdt.property_string("device_type", "cpu")?;
        fdt.property_string("compatible", "arm,armv8")?;
        fdt.property_string("enable-method", "psci")?;
        fdt.property_u64("reg", mpidr(n))?;
        fdt.end_node(cpu)?;
    }
    fdt.end_node(cpus)?;
    Ok(())
}

fn psci_node(fdt: &mut FdtWriter, version: u32) -> Result<(), LoadError> {
    let node = fdt.begin_node("psci")?;
    let compatible: &[&str] =
        if version >= 0x1_0000 { &["arm,psci-1.0", "arm,psci-0.2"] } else { &["arm,psci-0.2"] };
    fdt.property_string_list(
        "compatible",
        compatible.iter().map(|&text| String::from(text)).collect(),
    )?;
    fdt.property_string("method", "hvc")?;
    fdt.end_node(node)?;
    Ok(())
}

fn timer_node(fdt: &mut FdtWriter) -> Result<(), LoadError> {
    let node = fdt.begin_node("timer")?;
    fdt.property_string("compatible", "arm,armv8-timer")?;
    let ppis = [SECURE_TIMER_INTID, PHYSICAL_TIMER_INTID, VIRTUAL_TIMER_INTID, HYP_TIMER_INTID];
    let cells: Vec<u32> =
        ppis.iter().flat_map(|intid| [GIC_PPI, intid - PPI_BASE, LEVEL_HIGH]).collect();
    fdt.property_array_u32("interrupts", &cells)?;
    fdt.property_null("always-on")?;
    fdt.end_node(node)?;
    Ok(())
}

fn pmu_node(fdt: &mut FdtWriter) -> Result<(), LoadError> {
    let node = fdt.begin_node("pmu")?;
    fdt.property_string("compatible", "arm,armv8-pmuv3")?;
    fdt.property_array_u32("interrupts", &[GIC_PPI, PMU_INTID - PPI_BASE, LEVEL_HIGH])?;
    fdt.end_node(node)?;
    Ok(())
}

fn gic_node(fdt: &mut FdtWriter) -> Result<(), LoadError> {
    let node = fdt.begin_node(&named_at("intc", GICD_BASE))?;
    fdt.property_string("compatible", "arm,gic-v3")?;
    fdt.property_null("interrupt-controller")?;
    fdt.property_u32("#interrupt-cells", 3)?;
    fdt.property_u32("#address-cells", 2)?;
    fdt.property_u32("#size-cells", 2)?;
    fdt.property_null("ranges")?;
    fdt.property_array_u64("reg", &[GICD_BASE.0, GICD_LEN, GICR_BASE.0, GICR_LEN])?;
    fdt.property_phandle(PHANDLE_GIC)?;
    fdt.end_node(node)?;
    Ok(())
}

fn device_nodes(fdt: &mut FdtWriter) -> Result<(), LoadError> {
    let clock = fdt.begin_node("apb-pclk")?;
    fdt.property_string("compatible", "fixed-clock")?;
    fdt.property_u32("#clock-cells", 0)?;
    fdt.property_u32("clock-frequency", APB_CLOCK_HZ)?;
    fdt.property_string("clock-output-names", "clk24mhz")?;
    fdt.property_phandle(PHANDLE_CLOCK)?;
    fdt.end_node(clock)?;

    let uart = Device { name: "pl011", base: UART_BASE, intid: UART_INTID };
    uart.node(fdt, "arm,pl011", &["uartclk", "apb_pclk"])?;
    let rtc = Device { name: "pl031", base: RTC_BASE, intid: RTC_INTID };
    rtc.node(fdt, "arm,pl031", &["apb_pclk"])
}

/// Neither page is in a memory node, so no kernel takes it for RAM: nothing needs to be reserved
/// `[linux Documentation/devicetree/bindings/ptp/amazon,vmclock.yaml]`,
/// `[linux Documentation/devicetree/bindings/rng/microsoft,vmgenid.yaml]`.
fn vmclock_nodes(fdt: &mut FdtWriter, config: VmclockConfig) -> Result<(), LoadError> {
    for (name, compatible, base, len, intid) in [
        ("ptp", "amazon,vmclock", VMCLOCK_BASE, config.size_bytes.into(), VMCLOCK_INTID),
        ("vmgenid", "microsoft,vmgenid", VMGENID_BASE, VMGENID_LEN, VMGENID_INTID),
    ] {
        let node = fdt.begin_node(&named_at(name, base))?;
        fdt.property_string("compatible", compatible)?;
        fdt.property_array_u64("reg", &[base.0, len])?;
        fdt.property_array_u32("interrupts", &[GIC_SPI, intid - SPI_BASE, EDGE_RISING])?;
        fdt.end_node(node)?;
    }
    Ok(())
}

/// One node for each slot that has a device; which one, the device's own registers say.
fn virtio_nodes(fdt: &mut FdtWriter, board: &BoardConfig) -> Result<(), LoadError> {
    for (slot, _) in (0u32..).zip(&board.virtio) {
        let base = Gpa(VIRTIO_BASE.0 + u64::from(slot) * VIRTIO_STRIDE);
        let node = fdt.begin_node(&named_at("virtio_mmio", base))?;
        fdt.property_string("compatible", "virtio,mmio")?;
        fdt.property_array_u64("reg", &[base.0, VIRTIO_STRIDE])?;
        let spi = VIRTIO_INTID + slot - SPI_BASE;
        fdt.property_array_u32("interrupts", &[GIC_SPI, spi, LEVEL_HIGH])?;
        fdt.property_null("dma-coherent")?;
        fdt.end_node(node)?;
    }
    Ok(())
}

struct Device {
    name: &'static str,
    base: Gpa,
    intid: u32,
}

impl Device {
    fn node(
        &self,
        fdt: &mut FdtWriter,
        compatible: &str,
        clock_names: &[&str],
    ) -> Result<(), LoadError> {
        let list = |items: &[&str]| items.iter().map(|&text| String::from(text)).collect();
        let node = fdt.begin_node(&named_at(self.name, self.base))?;
        fdt.property_string_list("compatible", list(&[compatible, "arm,primecell"]))?;
        fdt.property_array_u64("reg", &[self.base.0, DEVICE_LEN])?;
        fdt.property_array_u32("interrupts", &[GIC_SPI, self.intid - SPI_BASE, LEVEL_HIGH])?;
        fdt.property_array_u32("clocks", &vec![PHANDLE_CLOCK; clock_names.len()])?;
        fdt.property_string_list("clock-names", list(clock_names))?;
        fdt.end_node(node)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(bootargs: &str) -> Chosen<'_> {
        Chosen { bootargs, initrd: None, rng_seed: [7; 64], psci_version: 0x1_0001 }
    }

    #[test]
    fn tree_begins_with_its_magic_and_is_the_same_every_time() {
        let tree = build(&BoardConfig::DEFAULT, &chosen("quiet")).unwrap();
        assert_eq!(tree[..4], [0xd0, 0x0d, 0xfe, 0xed]);
        assert_eq!(build(&BoardConfig::DEFAULT, &chosen("quiet")).unwrap(), tree);
    }

    #[test]
    fn each_slot_with_a_device_has_a_node() {
        let virtio = vec![abide_virtio::DeviceId::BLOCK, abide_virtio::DeviceId::ENTROPY];
        let board = BoardConfig { virtio, ..BoardConfig::DEFAULT };
        let tree = build(&board, &chosen("")).unwrap();
        let has = |text: &str| tree.windows(text.len()).any(|bytes| bytes == text.as_bytes());
        assert!(has("virtio_mmio@a000000\0") && has("virtio_mmio@a000200\0"));
        assert!(has("virtio,mmio\0") && has("dma-coherent\0"));
        assert!(!has("virtio_mmio@a000400\0"));
        // SPI 17, level high, of the second.
        assert!(has("\0\0\0\0\0\0\0\x11\0\0\0\x04"));
    }

    #[test]
    fn performance_monitors_have_a_node_where_vcpus_have_them() {
        let features = abide_arm64::features::CpuFeatures::of(&[Feature::Pmu]);
        let tree_of = |board: &BoardConfig| build(board, &chosen("")).unwrap();
        let has = |tree: &[u8], text: &[u8]| tree.windows(text.len()).any(|bytes| bytes == text);
        let tree = tree_of(&BoardConfig { features, ..BoardConfig::DEFAULT });
        assert!(has(&tree, b"arm,armv8-pmuv3\0"));
        // PPI 7, level high.
        assert!(has(&tree, b"\0\0\0\x01\0\0\0\x07\0\0\0\x04"));
        assert!(!has(&tree_of(&BoardConfig::DEFAULT), b"pmu"));
    }

    #[test]
    fn pages_have_nodes_where_the_board_has_them() {
        let vmclock = Some(VmclockConfig { size_bytes: 0x1_0000 });
        let tree_of = |board: &BoardConfig| build(board, &chosen("")).unwrap();
        let has = |tree: &[u8], text: &[u8]| tree.windows(text.len()).any(|bytes| bytes == text);
        let tree = tree_of(&BoardConfig { vmclock, ..BoardConfig::DEFAULT });
        assert!(has(&tree, b"ptp@9100000\0") && has(&tree, b"amazon,vmclock\0"));
        assert!(has(&tree, b"vmgenid@9110000\0") && has(&tree, b"microsoft,vmgenid\0"));
        // 64 KiB at their place; SPI 10 and 11, edge.
        assert!(has(&tree, b"\x09\x10\0\0\0\0\0\0\0\x01\0\0"));
        assert!(has(&tree, b"\0\0\0\0\0\0\0\x0a\0\0\0\x01"));
        assert!(has(&tree, b"\0\0\0\0\0\0\0\x0b\0\0\0\x01"));
        let without = tree_of(&BoardConfig::DEFAULT);
        assert!(!has(&without, b"vmclock") && !has(&without, b"vmgenid"));
    }

    #[test]
    fn command_line_with_nul_is_refused() {
        let result = build(&BoardConfig::DEFAULT, &chosen("a\0b"));
        assert!(matches!(result, Err(LoadError::CommandLine)));
    }
}
