//! `abide probe`: what an engine on this host offers, measured.

mod kvm;
mod soft;

use super::fleet;
use crate::cli::{CpuName, ProbeArgs};
use crate::engines::{self, Found, Needs};
use crate::exit::Exit;
use crate::out::{print, say};
use abide_arm64::features::CpuFeatures;
use abide_contract::codec::write_profile;
use abide_contract::{Accepts, Offer, Whose};
use abide_engine::{Engine, Vcpu, Vm, VmConfig};
use abide_engine_kvm::trial::Kind;
use abide_machine::board::{GICD_BASE, GICR_BASE, RAM_BASE, RAM_MIN_LEN};
use abide_machine::clock::MachineClock;
use abide_memory::GuestRam;
use abide_pvtime::{NO_VERSION, Revision, Revisions};
use abide_reg::{Value, VcpuId};
use anyhow::Result;
use std::sync::Arc;

/// Measures an engine, and prints or writes its profile.
pub fn run(args: &ProbeArgs) -> Result<Exit> {
    let soft_only = (args.engine.is_none() && args.cpu.is_some()).then_some("--cpu");
    let features = engines::features(&args.features)?;
    let found = Found::find(args.engine, &Needs { soft_only, features }, Kind::Born)?;
    if args.engine.is_none() {
        say(&format!("probing engine {}{}", found.name().text(), found.instead()));
    }
    let mut profile = match found {
        Found::Soft { .. } => soft::probe(args.cpu.unwrap_or(CpuName::V80), &args.stolen_time),
        Found::Kvm(engine) => {
            args.stolen_time.check(&engine)?;
            kvm::probe(&engine, args.cpu, features)
        }
    }?;
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

/// What a VM is made with.
struct Wish {
    cntfrq_hz: u64,
    vcpus: u32,
    gic_intids: u32,
    features: CpuFeatures,
}

/// A VM that is made to be measured, and its vCPUs.
struct Fresh {
    vcpus: Vec<Box<dyn Vcpu>>,
    vm: Box<dyn Vm>,
    ram: Arc<GuestRam>,
}

impl Fresh {
    fn new(engine: &dyn Engine, wish: &Wish) -> Result<Self> {
        let Wish { cntfrq_hz, vcpus, gic_intids, features } = *wish;
        let ram = Arc::new(GuestRam::new(RAM_BASE, RAM_MIN_LEN)?);
        let mut vm = engine.create_vm(VmConfig {
            vcpu_count: vcpus,
            cntfrq_hz,
            ram: Arc::clone(&ram),
            clock: Arc::new(MachineClock::new_virtual(cntfrq_hz)),
            gicd: GICD_BASE,
            gicr: GICR_BASE,
            gic_intids,
            features,
        })?;
        let vcpus = (0..vcpus).map(|vcpu| vm.create_vcpu(VcpuId(vcpu), Arc::default()));
        let vcpus = vcpus.collect::<Result<_, _>>()?;
        Ok(Self { vcpus, vm, ram })
    }
}

/// A fact about the VM that can be any number from `least` to `most`.
fn range(value: Value, least: u64, most: u64) -> Offer {
    Offer::taking(Whose::Vm, value, Accepts::Range { least, most })
}

/// Of which versions of stolen time records are kept; a guest that is promised nothing has the
/// oldest.
fn stolen_time(kept: &Revisions) -> Offer {
    let version = |revision: Revision| revision.version().unwrap_or(NO_VERSION);
    let own = Value::u32(kept.choose().map_or(NO_VERSION, version));
    let versions = kept.iter().map(version).chain([NO_VERSION]).map(u64::from);
    Offer::taking(Whose::Vm, own, Accepts::Values(versions.collect()))
}

/// What a profile says for people.
fn info(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let own = [("abide", env!("CARGO_PKG_VERSION")), ("kernel", &kernel)];
    pairs.iter().chain(&own).map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
}
