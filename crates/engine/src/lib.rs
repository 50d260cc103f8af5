//! # abide-engine: what executes a guest
//!
//! The traits between the machine and whatever runs the guest's instructions; nothing else. The
//! software engine and KVM stand behind the same ones, so what the machine does to a guest (run
//! it, stop it, save it) is written once.
//!
//! * [`Engine`] makes a [`Vm`]; a [`Vm`] makes [`Vcpu`]s and, where the engine brings one, an
//!   [`Irqchip`].
//! * A [`Vcpu`] runs until a [`Stop`]. All that the guest does to the outside is a call on the
//!   [`Bus`]. When `run` returns, every such call is completed: **each stop is at an instruction
//!   boundary and the registers are the whole state.**
//! * State crosses only as ([`RegId`](abide_reg::RegId), [`Value`](abide_reg::Value)).
//! * Per guest ABI an engine is [`Provider::Native`], or it leaves it to the machine.
//! * Time comes from outside: [`Clock`].
//! * A vCPU that has nothing to do returns; its thread waits in the [`Parking`] of its
//!   [`InterruptLines`], and whatever concerns the vCPU ends that wait.

mod bus;
mod clock;
mod error;
mod irqchip;
mod lines;
mod parking;
mod stolen_time;
mod traits;

pub use bus::{AfterCall, Bus, SMCCC_REGISTERS};
pub use clock::Clock;
pub use error::EngineError;
pub use irqchip::Irqchip;
pub use lines::InterruptLines;
pub use parking::Parking;
pub use stolen_time::place_of_record;
pub use traits::{
    Abi, Engine, GuestCounter, Kick, PMU_INTID, PowerState, Provider, Stop, SystemEvent,
    Unimplemented, Vcpu, Vm, VmConfig,
};
