//! A guest is handed from one process of abide to another: the ends that `abide-migrate` drives,
//! bound to a machine.

mod address;
mod desk;
mod destination;
mod forecast;
pub mod html;
mod measure;
mod progress;
mod report;
mod security;
mod source;
pub mod tunnel;

pub use address::Address;
use address::word_of;
pub use desk::Desk;
pub use destination::{Arrived, Plan, receive};
pub use forecast::{Forecast, Writes, forecast};
pub use measure::measure;
pub use progress::Progress;
pub use report::{ArrivalReport, CopiedRound, HandoffReport};
pub use security::{Security, read_key};
pub use source::{ROUNDS_MAX, Wish, migrate};

use abide_machine::devices::virtio::RunEpoch;
use abide_migrate::RunToken;
use abide_migrate::driver::GuestError;
use rustix::rand::{GetRandomFlags, getrandom};

/// An error in words.
fn refuse(why: impl Into<String>) -> GuestError {
    why.into().into()
}

/// As a guest's disks are marked with it.
fn epoch_of(token: RunToken) -> RunEpoch {
    RunEpoch { guest: token.guest.0, epoch: token.epoch.0 }
}

/// Sixteen bytes that nobody else has.
fn random() -> anyhow::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    let len = getrandom(&mut bytes, GetRandomFlags::empty())?;
    anyhow::ensure!(len == bytes.len(), "the host gives no random numbers");
    Ok(bytes)
}
