//! `abide probe`: what an engine on this host offers, measured.

use super::fleet;
use crate::cli::{CpuName, EngineName, ProbeArgs};
use crate::engines::{self, Cpus};
use crate::exit::Exit;
use crate::out::{print, say};
use abide_contract::codec::write_profile;
use abide_contract::measure::measure;
use abide_contract::rules;
use abide_contract::{Accepts, Offer, Profile, Whose};
use abide_engine::{Engine, InterruptLines, VmConfig};
use abide_gic::Revision;
use abide_gic::spec::{GICD_TYPER_ID_BITS_10, PRI_BITS};
use abide_machine::board::{BoardConfig, GIC_INTIDS, GICD_BASE, GICR_BASE, RAM_BASE, VCPU_MAX};
use abide_machine::clock::MachineClock;
use abide_memory::GuestRam;
use abide_reg::{RegId, Value, VcpuId};
use anyhow::{Result, bail};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Measures an engine, and prints or writes its profile.
pub fn run(args: &ProbeArgs) -> Result<Exit> {
    let mut profile = probe(args.engine, args.cpu)?;
    if let Some(name) = &args.name {
        profile.name.clone_from(name);
    }
    let text = write_profile(&profile);
    match &args.output {
        Some(path) => {
            fleet::write(path, &text, args.overwrite)?;
            say(&format!("{}: {} registers", path.display(), profile.offers.len()));
        }
        None => print(text.trim_end())?,
    }
    Ok(Exit::Fine)
}

/// The profile of an engine on this host, for guests that are born with these CPU features.
fn probe(engine: EngineName, cpu: Option<CpuName>) -> Result<Profile> {
    match engine {
        EngineName::Soft => soft(cpu.unwrap_or(CpuName::V80)),
        EngineName::Kvm => bail!(
            "this abide measures the software engine only; profiles of KVM hosts come with it \
             (see `abide plan --help`)"
        ),
    }
}

fn soft(cpu: CpuName) -> Result<Profile> {
    let cpus = Cpus::All(Some(cpu));
    let engine = cpus.open(EngineName::Soft)?;
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let cpu_name = engines::model_name(cpu);
    let info = [
        ("engine", engine.name().to_owned()),
        ("cpu", cpu_name.to_owned()),
        ("abide", env!("CARGO_PKG_VERSION").to_owned()),
        ("kernel", kernel),
    ];
    let mut profile = Profile {
        name: format!("soft-{cpu_name}"),
        info: info.map(|(key, text)| (key.to_owned(), text)).into(),
        ..Profile::default()
    };
    measure_vcpu(engine.as_ref(), &mut profile)?;
    measure(&mut cpus.firmware()?, &mut profile)?;
    profile.offers.extend(soft_facts());
    Ok(profile)
}

/// The registers of one vCPU.
fn measure_vcpu(engine: &dyn Engine, profile: &mut Profile) -> Result<()> {
    let board = BoardConfig::DEFAULT;
    let ram = Arc::new(GuestRam::new(RAM_BASE, abide_machine::board::RAM_MIN_LEN)?);
    let mut vm = engine.create_vm(VmConfig {
        vcpu_count: 1,
        cntfrq_hz: board.cntfrq_hz,
        ram,
        clock: Arc::new(MachineClock::new_virtual(board.cntfrq_hz)),
        gicd: GICD_BASE,
        gicr: GICR_BASE,
        gic_intids: GIC_INTIDS,
    })?;
    let mut vcpu = vm.create_vcpu(VcpuId(0), Arc::new(InterruptLines::default()))?;
    measure(vcpu.as_mut(), profile)?;
    for (id, offer) in &mut profile.offers {
        offer.class = vcpu.class_of(*id);
    }
    Ok(())
}

/// What a VM of the software engine can be made with.
fn soft_facts() -> Vec<(RegId, Offer)> {
    let board = BoardConfig::DEFAULT;
    let range = |least, most| Accepts::Range { least, most };
    let vm = |value, accepts| Offer::taking(Whose::Vm, value, accepts);
    let revisions: BTreeSet<u64> =
        [Revision::R2, Revision::R3].iter().map(|revision| revision.gicd_iidr().into()).collect();
    let typer = GICD_TYPER_ID_BITS_10 | (GIC_INTIDS / 32 - 1);
    vec![
        (
            rules::CNTFRQ,
            Offer {
                scope: Whose::Vcpu,
                ..vm(Value::u64(board.cntfrq_hz), range(1_000_000, 1_000_000_000))
            },
        ),
        // What addresses the board's largest memory.
        (rules::IPA_BITS, vm(Value::u8(40), range(0, 40))),
        (rules::VCPUS, vm(Value::u32(VCPU_MAX), range(1, VCPU_MAX.into()))),
        (rules::PAGE_SIZE, vm(Value::u64(4096), Accepts::Rule)),
        (rules::PVTIME, Offer::fixed(Whose::Vm, Value::u32(0))),
        (rules::GIC_VERSION, Offer::fixed(Whose::Vm, Value::u8(3))),
        (rules::PRIORITY_BITS, Offer::fixed(Whose::Vm, Value::u8(PRI_BITS))),
        (rules::NR_IRQS, Offer::fixed(Whose::Vm, Value::u32(GIC_INTIDS))),
        (
            rules::GICD_IIDR,
            vm(Value::u32(Revision::default().gicd_iidr()), Accepts::Values(revisions)),
        ),
        (RegId::gic(1, 4), vm(Value::u32(typer), Accepts::Rule)),
    ]
}
