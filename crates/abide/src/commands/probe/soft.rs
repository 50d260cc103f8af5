//! What the software engine offers.

use super::{Fresh, Wish, info, range};
use crate::cli::{CpuName, StolenTimeArgs};
use crate::engines::{self, Cpus, Found};
use abide_arm64::features::CpuFeatures;
use abide_contract::measure::measure;
use abide_contract::{Accepts, FieldValues, Offer, Profile, Whose, rules};
use abide_engine_soft::SoftEngine;
use abide_gic::Revision;
use abide_gic::spec::{GICD_TYPER_ID_BITS_10, PRI_BITS};
use abide_machine::board::{BoardConfig, GIC_INTIDS, GIC_INTIDS_MAX, GIC_INTIDS_MIN, VCPU_MAX};
use abide_pvtime::Revisions;
use abide_reg::{RegId, Value};
use anyhow::Result;
use std::collections::BTreeSet;

/// Its profile, for guests that are born with these CPU features.
pub fn probe(cpu: CpuName, stolen_time: &StolenTimeArgs) -> Result<Profile> {
    let cpus = Cpus::All(Some(cpu));
    let engine = cpus.open(Found::Soft { instead: None }, stolen_time)?;
    let cpu_name = engines::model_name(cpu);
    let mut profile = Profile {
        name: format!("soft-{cpu_name}"),
        info: info(&[("engine", engine.name()), ("cpu", cpu_name)]),
        ..Profile::default()
    };
    let wish = Wish {
        cntfrq_hz: BoardConfig::DEFAULT.cntfrq_hz,
        vcpus: 1,
        gic_intids: GIC_INTIDS,
        features: CpuFeatures::NONE,
    };
    let mut fresh = Fresh::new(engine.as_ref(), &wish)?;
    let vcpu = &mut fresh.vcpus[0];
    measure(vcpu.as_mut(), &mut profile)?;
    let mut showing = Profile::default();
    let showing_engine = SoftEngine::with_model(engines::model(cpu)).showing_unimplemented();
    measure(Fresh::new(&showing_engine, &wish)?.vcpus[0].as_mut(), &mut showing)?;
    for (id, offer) in &mut profile.offers {
        offer.advertised = only_in(showing.offer(*id), offer);
    }
    for (id, offer) in &mut profile.offers {
        offer.class = vcpu.class_of(*id);
    }
    measure(&mut cpus.firmware()?, &mut profile)?;
    profile.offers.extend(facts(&engine.stolen_time()));
    Ok(profile)
}

/// The fields' numbers that the same register takes only where it may show what is not done.
fn only_in(showing: Option<&Offer>, offer: &Offer) -> Vec<FieldValues> {
    let fields = |offer: &Offer| match &offer.accepts {
        Accepts::Fields(fields) => fields.clone(),
        _ => Vec::new(),
    };
    let taken = fields(offer);
    let mut more = showing.map(fields).unwrap_or_default();
    for field in &mut more {
        let taken = taken.iter().find(|it| (it.shift, it.width) == (field.shift, field.width));
        field.values.retain(|number| taken.is_none_or(|taken| !taken.values.contains(number)));
        let own = offer.default.as_ref().and_then(Value::to_number).unwrap_or(0);
        field.values.remove(&field.bits_of(own));
    }
    more.retain(|field| !field.values.is_empty());
    more
}

/// What a VM of the software engine can be made with.
fn facts(stolen_time: &Revisions) -> Vec<(RegId, Offer)> {
    let cntfrq_hz = BoardConfig::DEFAULT.cntfrq_hz;
    let vm = |value, accepts| Offer::taking(Whose::Vm, value, accepts);
    let revisions: BTreeSet<u64> =
        [Revision::R2, Revision::R3].iter().map(|revision| revision.gicd_iidr().into()).collect();
    let typer = GICD_TYPER_ID_BITS_10 | (GIC_INTIDS / 32 - 1);
    vec![
        (
            rules::CNTFRQ,
            Offer { scope: Whose::Vcpu, ..range(Value::u64(cntfrq_hz), 1_000_000, 1_000_000_000) },
        ),
        // What addresses the board's largest memory.
        (rules::IPA_BITS, range(Value::u8(40), 0, 40)),
        (rules::VCPUS, range(Value::u32(VCPU_MAX), 1, VCPU_MAX.into())),
        (rules::PAGE_SIZE, vm(Value::u64(4096), Accepts::Rule)),
        (rules::PVTIME, super::stolen_time(stolen_time)),
        (rules::GIC_VERSION, Offer::fixed(Whose::Vm, Value::u8(3))),
        (rules::PRIORITY_BITS, Offer::fixed(Whose::Vm, Value::u8(PRI_BITS))),
        (
            rules::NR_IRQS,
            range(Value::u32(GIC_INTIDS), GIC_INTIDS_MIN.into(), GIC_INTIDS_MAX.into()),
        ),
        (
            rules::GICD_IIDR,
            vm(Value::u32(Revision::default().gicd_iidr()), Accepts::Values(revisions)),
        ),
        (rules::GICD_TYPER, vm(Value::u32(typer), Accepts::Rule)),
    ]
}
