//! The host as it shows itself to a VM that has not run: what there is, before anything is written.

use crate::bus::lock;
use crate::error::MachineError;
use crate::machine::Machine;
use crate::stolen_time::{self, Records};
use abide_arm64::kvm;
use abide_contract::{Accepts, Offer, Profile, Whose, rules};
use abide_engine::Provider;
use abide_firmware::spec::IMPL_CPU_DEFS;
use abide_gic::spec::{GRP_CPU_SYSREGS, ICC_CTLR_EL1, priority_bits};
use abide_pvtime::NO_VERSION;
use abide_reg::{RegError, RegId, Registers, Value};

/// A register of which nothing is known but that it is there: a write will tell. KVM's ids tell the
/// width; the others are abide's own, and none of them is promised.
fn there(id: RegId, scope: Whose) -> Offer {
    let width = if let RegId::Kvm(number) = id { 1 << (number >> 52 & 0xf).min(8) } else { 8 };
    Offer::state(scope, width)
}

/// A register that shows this; what else it takes a write will tell.
fn showing(value: Value) -> Offer {
    Offer::taking(Whose::Vm, value, Accepts::Any)
}

impl Machine {
    /// What the host has, with what it shows in the VM's own registers. Which values it takes is
    /// not known: that is found out by writing.
    pub(crate) fn shown(&self) -> Result<Profile, MachineError> {
        let mut host = Profile { name: self.engine.to_owned(), ..Profile::default() };
        let vcpu = self.vcpus[0].as_ref();
        for &id in &self.known {
            let is_vms = kvm::is_vm_scoped(id);
            let mut offer = there(id, if is_vms { Whose::Vm } else { Whose::Vcpu });
            if is_vms && rules::is_pinned(id) {
                offer = showing(vcpu.load(id).map_err(unreadable)?);
            }
            offer.class = vcpu.class_of(id);
            host.offers.insert(id, offer);
        }
        for (id, width) in vcpu.takes_too() {
            host.offers.entry(id).or_insert(Offer::state(Whose::Vm, width));
        }
        if self.firmware_provider == Provider::Machine {
            let firmware = lock(&self.bus.firmware);
            for id in firmware.reg_ids() {
                host.offers.insert(id, showing(firmware.load(id).map_err(unreadable)?));
            }
            // The list is as long as its number, which comes first, says.
            for def in &IMPL_CPU_DEFS {
                host.offers.entry(def.id).or_insert(Offer::state(Whose::Vm, def.width));
            }
        }
        Ok(host)
    }

    /// What follows from how the VM was made.
    pub(crate) fn facts(&self) -> Result<Vec<(RegId, Offer)>, MachineError> {
        let fixed = |value| Offer::fixed(Whose::Vm, value);
        let gic = |id| self.irqchip.load(id).map_err(unreadable);
        let control = gic(RegId::gic(GRP_CPU_SYSREGS, ICC_CTLR_EL1.into()))?;
        let bits = priority_bits(control.to_number().unwrap_or(0));
        let page_size = rustix::param::page_size() as u64;
        let sized = |value| Offer::taking(Whose::Vm, value, Accepts::Rule);
        Ok(vec![
            (rules::CNTFRQ, fixed(Value::u64(self.board.cntfrq_hz))),
            // Their bounds the board was held to when it was made, and the host by making it.
            (rules::IPA_BITS, showing(Value::u8(0))),
            (rules::VCPUS, showing(Value::u32(self.board.vcpu_count))),
            (rules::PAGE_SIZE, sized(Value::u64(page_size))),
            (rules::PVTIME, self.stolen_time_offer()),
            (rules::GIC_VERSION, fixed(Value::u8(3))),
            (rules::PRIORITY_BITS, fixed(Value::u8(bits))),
            (rules::NR_IRQS, fixed(Value::u32(self.gic_intids))),
            (rules::GICD_IIDR, showing(gic(rules::GICD_IIDR)?)),
            (rules::GICD_TYPER, sized(gic(rules::GICD_TYPER)?)),
        ])
    }

    /// Of which versions of stolen time this host keeps records; the guest has those it was made
    /// with.
    fn stolen_time_offer(&self) -> Offer {
        let own = self.bus.stolen_time.as_ref().map_or(NO_VERSION, Records::version);
        stolen_time::offer(&self.offered_stolen_time, own)
    }

    /// Whether the register is one of the firmware that the machine brings.
    pub(crate) fn is_machine_firmware(&self, id: RegId) -> bool {
        self.firmware_provider == Provider::Machine && lock(&self.bus.firmware).has(id)
    }
}

fn unreadable(error: RegError) -> MachineError {
    MachineError::Engine(error.into())
}
