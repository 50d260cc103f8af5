//! What the host's KVM offers: VMs are made and measured, some before and after they ran a tiny
//! guest.

use super::{Fresh, Wish, info, range};
use crate::cli::CpuName;
use abide_arm64::features::{CpuFeatures, Feature};
use abide_arm64::kvm::PMU_EVENTS;
use abide_contract::measure::measure;
use abide_contract::scope::{measure_scopes, takes_another};
use abide_contract::{Accepts, Offer, Profile, Whose, rules};
use abide_engine::{Engine, Irqchip, Vcpu};
use abide_engine_kvm::trial::{self, Kind};
use abide_engine_kvm::{HostFacts, KvmEngine};
use abide_firmware::spec::REG_IMPL_COUNT;
use abide_gic::spec::{self, GRP_CPU_SYSREGS, ICC_CTLR_EL1};
use abide_machine::board::GIC_INTIDS;
use abide_pvtime::{Revision, Revisions};
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
pub fn probe(engine: &KvmEngine, cpu: Option<CpuName>, features: CpuFeatures) -> Result<Profile> {
    if cpu.is_some() {
        bail!("--engine kvm shows the guest the host's CPU; --cpu names a model of --engine soft");
    }
    let facts = engine.facts();
    let wish = Wish { cntfrq_hz: engine.cntfrq_hz(), vcpus: 1, gic_intids: GIC_INTIDS, features };
    let mut profile = Profile {
        name: "kvm".to_owned(),
        info: info(&[("engine", engine.name()), ("vcpu_features", &names(features))]),
        capabilities: facts.capabilities.iter().map(|&(cap, found)| (cap, found.into())).collect(),
        ..Profile::default()
    };
    measure_vcpus(engine, &wish, &mut profile)?;
    if features.contains(Feature::Pmu) && engine.hides_events()? {
        for id in PMU_EVENTS {
            // Any part of them.
            profile.offers.entry(id).and_modify(|offer| offer.writable = u64::MAX);
        }
    }
    // What guests are told, one was asked.
    let told = Revision::of_version(engine.stolen_time_version()?);
    let stolen_time = engine.stolen_time().common(&Revisions::of(told));
    profile.offers.extend(of_host(&facts, &stolen_time));
    profile.offers.extend(implementations(engine, &wish)?);
    profile.offers.insert(rules::NR_IRQS, intids(engine, &wish)?);
    profile.offers.extend(of_gic(engine, &wish)?);
    Ok(profile)
}

/// The features of vCPUs by the names that KVM_ARM_VCPU_INIT gives them.
fn names(features: CpuFeatures) -> String {
    let own = features.iter().map(|feature| match feature {
        Feature::Pmu => " PMU_V3",
        Feature::Sve => " SVE",
        Feature::Pauth => " PTRAUTH_ADDRESS PTRAUTH_GENERIC",
        Feature::Mte => " MTE",
        Feature::Sme => " SME",
    });
    std::iter::once("PSCI_0_2").chain(own).collect()
}

/// The registers of vCPUs: what they take on one, and whether another sees it, before and after
/// the first run of the one.
fn measure_vcpus(engine: &KvmEngine, wish: &Wish, profile: &mut Profile) -> Result<()> {
    let mut one = Fresh::new(engine, wish)?;
    measure(one.vcpus[0].as_mut(), profile)?;
    let mut two = Fresh::new(engine, &Wish { vcpus: 2, ..*wish })?;
    let _irqchip = two.vm.create_irqchip()?;
    let (Some(second), Some(mut first)) = (two.vcpus.pop(), two.vcpus.pop()) else {
        bail!("two vCPUs were asked for")
    };
    for id in measure_scopes(first.as_mut(), second.as_ref(), profile) {
        tracing::warn!("{}: its scope here is not the usual one", rules::name(id));
    }
    let movable = taking_another(first.as_mut(), profile);
    trial::prepare(first.as_mut(), &two.ram, Kind::Born)?;
    let mut first = trial::finish(first, Kind::Born, trial::LIMIT)?;
    for id in measure_scopes(first.as_mut(), second.as_ref(), profile) {
        tracing::warn!("{}: its scope is another once a vCPU has run", rules::name(id));
    }
    let still = taking_another(first.as_mut(), profile);
    let fixed = movable.difference(&still).count();
    let names: Vec<String> = still.iter().map(|&id| rules::name(id)).collect();
    let info = [
        ("fixed_by_first_run", format!("{fixed} registers")),
        ("not_fixed_by_first_run", names.join(" ")),
    ];
    profile.info.extend(info.map(|(key, text)| (key.to_owned(), text)));
    Ok(())
}

/// The pinned registers of the VM that take another value than they have, which is put back.
fn taking_another(vcpu: &mut dyn Vcpu, profile: &Profile) -> BTreeSet<RegId> {
    let of_vm = profile.offers.iter().filter(|(id, offer)| {
        offer.scope == Whose::Vm && rules::is_pinned(**id) && offer.accepts != Accepts::Rule
    });
    let ids: Vec<RegId> = of_vm.map(|(id, _)| *id).collect();
    ids.into_iter().filter(|&id| takes_another(vcpu, id)).collect()
}

fn of_host(facts: &HostFacts, stolen_time: &Revisions) -> Vec<(RegId, Offer)> {
    let vm = |value, accepts| Offer::taking(Whose::Vm, value, accepts);
    vec![
        (rules::IPA_BITS, range(Value::u8(facts.ipa_bits), 0, facts.ipa_bits.into())),
        (rules::VCPUS, range(Value::u32(facts.vcpus_max), 1, facts.vcpus_max.into())),
        (rules::PAGE_SIZE, vm(Value::u64(facts.page_size), Accepts::Rule)),
        (rules::PVTIME, super::stolen_time(stolen_time)),
        (rules::GIC_VERSION, Offer::fixed(Whose::Vm, Value::u8(3))),
    ]
}

/// The list of CPU implementations that a guest can be told of: one is put in.
fn implementations(engine: &KvmEngine, wish: &Wish) -> Result<Option<(RegId, Offer)>> {
    let mut fresh = Fresh::new(engine, wish)?;
    let Some(vcpu) = fresh.vcpus.first_mut() else { bail!("a vCPU was asked for") };
    let is_taken = vcpu.takes_too().iter().any(|(id, _)| *id == REG_IMPL_COUNT)
        && vcpu.store(REG_IMPL_COUNT, &Value::u64(1)).is_ok();
    Ok(is_taken.then(|| (REG_IMPL_COUNT, Offer::state(Whose::Vm, size_of::<u64>()))))
}

/// How many INTIDs an interrupt controller can have: both ends are tried.
fn intids(engine: &KvmEngine, wish: &Wish) -> Result<Offer> {
    let makes = |gic_intids| gic_of(engine, &Wish { gic_intids, ..*wish }).is_ok();
    let [least, most] = INTIDS.map(|end| if makes(end) { end } else { GIC_INTIDS });
    Ok(range(Value::u32(GIC_INTIDS), least.into(), most.into()))
}

/// A fresh VM with an interrupt controller.
fn gic_of(engine: &KvmEngine, wish: &Wish) -> Result<(Fresh, Arc<dyn Irqchip>)> {
    let mut fresh = Fresh::new(engine, wish)?;
    let gic = fresh.vm.create_irqchip()?.context("the engine brings no interrupt controller")?;
    Ok((fresh, gic))
}

/// The width of priorities, and the distributor's identity: every revision is written, and counts
/// if it is read back.
fn of_gic(engine: &KvmEngine, wish: &Wish) -> Result<Vec<(RegId, Offer)>> {
    let (_fresh, gic) = gic_of(engine, wish)?;
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
    let priority_bits = spec::priority_bits(control);
    let vm = |value, accepts| Offer::taking(Whose::Vm, value, accepts);
    Ok(vec![
        (rules::PRIORITY_BITS, Offer::fixed(Whose::Vm, Value::u8(priority_bits))),
        (rules::GICD_IIDR, vm(Value::u32(own), Accepts::Values(taken))),
        (rules::GICD_TYPER, vm(gic.load(rules::GICD_TYPER)?, Accepts::Rule)),
    ])
}
