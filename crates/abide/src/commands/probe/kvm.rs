//! What the host's KVM offers: a VM is made, measured, and dropped without having run.

use super::{Fresh, info, range};
use crate::cli::CpuName;
use abide_contract::measure::measure;
use abide_contract::scope::measure_scopes;
use abide_contract::{Accepts, Offer, Profile, Whose, rules};
use abide_engine::{Engine, Irqchip};
use abide_engine_kvm::{HostFacts, KvmEngine};
use abide_gic::spec::{GRP_CPU_SYSREGS, ICC_CTLR_EL1, ICC_CTLR_PRIBITS_SHIFT};
use abide_machine::board::GIC_INTIDS;
use abide_reg::{RegId, Value};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The fewest and the most INTIDs that a GICv3 of KVM can have
/// `[linux Documentation/virt/kvm/devices/arm-vgic-v3.rst]`.
const INTIDS: [u32; 2] = [64, 992];
/// `GICD_IIDR.Revision` `[IHI0069 12.9.19]`, with which KVM chooses what its distributor does.
const REVISION_SHIFT: u32 = 12;

/// Its profile.
pub fn probe(cpu: Option<CpuName>) -> Result<Profile> {
    if cpu.is_some() {
        bail!("--engine kvm shows the guest the host's CPU; --cpu names a model of --engine soft");
    }
    let engine = KvmEngine::open()?;
    let facts = engine.facts();
    let mut profile = Profile {
        name: "kvm".to_owned(),
        info: info(&[("engine", engine.name()), ("vcpu_features", "PSCI_0_2")]),
        capabilities: facts.capabilities.iter().map(|&(cap, found)| (cap, found.into())).collect(),
        ..Profile::default()
    };
    measure_vcpus(&engine, &mut profile)?;
    profile.offers.extend(of_host(&facts));
    profile.offers.insert(rules::NR_IRQS, intids(&engine)?);
    profile.offers.extend(of_gic(&engine)?);
    Ok(profile)
}

/// The registers of vCPUs: what they take on one, and whether another sees it.
fn measure_vcpus(engine: &KvmEngine, profile: &mut Profile) -> Result<()> {
    let hz = engine.cntfrq_hz();
    let mut one = Fresh::new(engine, hz, 1, GIC_INTIDS)?;
    measure(one.vcpus[0].as_mut(), profile)?;
    let mut two = Fresh::new(engine, hz, 2, GIC_INTIDS)?;
    let [first, second] = two.vcpus.as_mut_slice() else { bail!("two vCPUs were asked for") };
    for id in measure_scopes(first.as_mut(), second.as_ref(), profile) {
        tracing::warn!("{}: its scope here is not the usual one", rules::name(id));
    }
    Ok(())
}

fn of_host(facts: &HostFacts) -> Vec<(RegId, Offer)> {
    let stolen: BTreeSet<u64> =
        if facts.has_stolen_time { [0, 0x1_0000].into() } else { [0].into() };
    let vm = |value, accepts| Offer::taking(Whose::Vm, value, accepts);
    vec![
        (rules::IPA_BITS, range(Value::u8(facts.ipa_bits), 0, facts.ipa_bits.into())),
        (rules::VCPUS, range(Value::u32(facts.vcpus_max), 1, facts.vcpus_max.into())),
        (rules::PAGE_SIZE, vm(Value::u64(facts.page_size), Accepts::Rule)),
        (rules::PVTIME, vm(Value::u32(0), Accepts::Values(stolen))),
        (rules::GIC_VERSION, Offer::fixed(Whose::Vm, Value::u8(3))),
    ]
}

/// How many INTIDs an interrupt controller can have: both ends are tried.
fn intids(engine: &KvmEngine) -> Result<Offer> {
    let makes = |intids| gic_of(engine, intids).is_ok();
    let [least, most] = INTIDS.map(|end| if makes(end) { end } else { GIC_INTIDS });
    Ok(range(Value::u32(GIC_INTIDS), least.into(), most.into()))
}

/// A fresh VM with an interrupt controller.
fn gic_of(engine: &KvmEngine, intids: u32) -> Result<(Fresh, Arc<dyn Irqchip>)> {
    let mut fresh = Fresh::new(engine, engine.cntfrq_hz(), 1, intids)?;
    let gic = fresh.vm.create_irqchip()?.context("the engine brings no interrupt controller")?;
    Ok((fresh, gic))
}

/// The width of priorities, and the distributor's identity: every revision is written, and counts
/// if it is read back.
fn of_gic(engine: &KvmEngine) -> Result<Vec<(RegId, Offer)>> {
    let (_fresh, gic) = gic_of(engine, GIC_INTIDS)?;
    let number = |value: &Value| value.to_u32().context("a distributor register has 32 bits");
    let own = number(&gic.load(rules::GICD_IIDR)?)?;
    let mut taken = BTreeSet::from([own.into()]);
    for revision in 0..16 {
        let other = own & !(0xf << REVISION_SHIFT) | revision << REVISION_SHIFT;
        let is_stored = gic.store(rules::GICD_IIDR, &Value::u32(other)).is_ok();
        if is_stored && number(&gic.load(rules::GICD_IIDR)?)? == other {
            taken.insert(other.into());
        }
    }
    let control = gic.load(RegId::gic(GRP_CPU_SYSREGS, ICC_CTLR_EL1.into()))?;
    let control = control.to_u64().context("a CPU interface register has 64 bits")?;
    let priority_bits = u8::try_from(control >> ICC_CTLR_PRIBITS_SHIFT & 7)? + 1;
    let vm = |value, accepts| Offer::taking(Whose::Vm, value, accepts);
    Ok(vec![
        (rules::PRIORITY_BITS, Offer::fixed(Whose::Vm, Value::u8(priority_bits))),
        (rules::GICD_IIDR, vm(Value::u32(own), Accepts::Values(taken))),
        (rules::GICD_TYPER, vm(gic.load(rules::GICD_TYPER)?, Accepts::Rule)),
    ])
}
