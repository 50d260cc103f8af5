//! Tables by which a guest with ACPI finds what others find in the device tree: for the x86-64
//! board to come. No board of today has ACPI.

use abide_reg::Gpa;
use acpi_tables::aml::{
    AddressSpace, AddressSpaceCacheable, Arg, Device, Equal, If, Interrupt, Method, Name, Notify,
    Package, Path, ResourceTemplate, Scope,
};
use acpi_tables::sdt::Sdt;
use acpi_tables::{Aml, AmlSink};

/// How a device says that something about it has changed `[linux drivers/ptp/ptp_vmclock.c]`,
/// `[linux drivers/virt/vmgenid.c]`.
const NOTIFY_CHANGED: u8 = 0x80;
/// Length of the header of every table, in bytes.
const HEADER_LEN: u32 = 36;
const DSDT_REVISION: u8 = 2;

/// The clock page as ACPI tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockPage {
    /// Where its region begins: outside what the memory map calls RAM, and on no page with
    /// something that is mapped uncached.
    pub gpa: Gpa,
    /// The length of its region, in bytes; not 0.
    pub len: u64,
    /// The interrupt that follows an update, edge-triggered, if there is one.
    pub gsi: Option<u32>,
}

/// The generation identifier as ACPI tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenerationId {
    /// Where its 16 bytes are.
    pub gpa: Gpa,
    /// The interrupt that follows a change, edge-triggered.
    pub gsi: u32,
}

/// A secondary table with the clock page, the generation identifier, and the device that turns
/// their interrupts into notifications, as boards without ACPI's fixed hardware do it.
///
/// The clock page is `AMZNC10C`, compatible with `VMCLOCK`: Linux 6.13 and later know the former,
/// 7.0 and later both.
#[must_use]
pub fn clock_ssdt(page: &ClockPage, generation: Option<&GenerationId>) -> Vec<u8> {
    let mut aml = Vec::new();
    page_device(page, &mut aml);
    if let Some(generation) = generation {
        generation_device(generation, &mut aml);
    }
    let notified = page.gsi.map(|gsi| (gsi, "\\_SB_.VCLK"));
    let notified = notified.into_iter().chain(generation.map(|id| (id.gsi, "\\_SB_.VGEN")));
    event_device(&notified.collect::<Vec<_>>(), &mut aml);
    let scope = Scope::raw(Path::new("\\_SB_"), aml);
    let mut table = Sdt::new(*b"SSDT", HEADER_LEN, DSDT_REVISION, *b"ABIDE ", *b"CLOCKS  ", 1);
    scope.iter().for_each(|&byte| table.byte(byte));
    table.as_slice().to_vec()
}

fn page_device(page: &ClockPage, aml: &mut Vec<u8>) {
    let last = page.gpa.0 + (page.len - 1);
    // Cacheable, and not to be written.
    let region =
        AddressSpace::new_memory(AddressSpaceCacheable::Cacheable, false, page.gpa.0, last, None);
    Device::new(
        Path::new("VCLK"),
        vec![
            &Name::new(Path::new("_HID"), &"AMZNC10C"),
            &Name::new(Path::new("_CID"), &"VMCLOCK"),
            &Name::new(Path::new("_DDN"), &"VMCLOCK"),
            &Name::new(Path::new("_UID"), &0u8),
            &Name::new(Path::new("_STA"), &0xfu8),
            &Name::new(Path::new("_CRS"), &ResourceTemplate::new(vec![&region])),
        ],
    )
    .to_aml_bytes(aml);
}

fn generation_device(generation: &GenerationId, aml: &mut Vec<u8>) {
    let halves = [generation.gpa.0 & 0xffff_ffff, generation.gpa.0 >> 32];
    Device::new(
        Path::new("VGEN"),
        vec![
            &Name::new(Path::new("_HID"), &"ABID0001"),
            &Name::new(Path::new("_CID"), &"VM_Gen_Counter"),
            &Name::new(Path::new("_DDN"), &"VM_Gen_Counter"),
            &Name::new(Path::new("_STA"), &0xfu8),
            &Name::new(Path::new("ADDR"), &Package::new(vec![&halves[0], &halves[1]])),
        ],
    )
    .to_aml_bytes(aml);
}

/// The generic event device: when one of these interrupts comes, its device is notified.
fn event_device(notified: &[(u32, &str)], aml: &mut Vec<u8>) {
    if notified.is_empty() {
        return;
    }
    // Edge, active high, not shared.
    let interrupt = |&(gsi, _): &(u32, &str)| Interrupt::new(true, true, false, false, gsi);
    let interrupts: Vec<_> = notified.iter().map(interrupt).collect();
    let resources = interrupts.iter().map(|interrupt| interrupt as &dyn Aml).collect();
    // Which one came is its argument.
    let mut steps = Vec::new();
    for (gsi, device) in notified {
        let (came, device) = (Equal::new(&Arg(0), gsi), Path::new(device));
        let notify = Notify::new(&device, &NOTIFY_CHANGED);
        If::new(&came, vec![&notify]).to_aml_bytes(&mut steps);
    }
    Device::new(
        Path::new("GED_"),
        vec![
            &Name::new(Path::new("_HID"), &"ACPI0013"),
            &Name::new(Path::new("_UID"), &0u8),
            &Name::new(Path::new("_CRS"), &ResourceTemplate::new(resources)),
            &Method::new(Path::new("_EVT"), 1, true, vec![&Bytes(steps)]),
        ],
    )
    .to_aml_bytes(aml);
}

/// What is in its final form already.
struct Bytes(Vec<u8>);

impl Aml for Bytes {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.vec(&self.0);
    }
}
