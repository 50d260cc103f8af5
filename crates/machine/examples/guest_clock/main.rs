//! What a guest's clock must be on every engine, tried on this host. For `cargo xtask lab --only
//! guest-clock`, where the host is a real KVM.
//!
//! ```sh
//! cargo run --release -p abide-machine --example guest_clock -- page ENGINE…
//! cargo run --release -p abide-machine --example guest_clock -- \
//!     time ENGINE OFFSET_NS ROUNDS FROM TO
//! ```
//!
//! `page` has guests write to the page with every kind of instruction, on each of the engines, and
//! compares what becomes of it. `time` holds the first reading of a guest against the host's clock,
//! which is its kernel's and `OFFSET_NS` more, after ROUNDS restores, as many clones and as many
//! moves of the file FROM, and leaves the guest in TO; where FROM is `-` the guest is born here.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod image;
mod page;
mod port;
mod time;

use abide_engine::Engine;
use abide_engine_kvm::KvmEngine;
use abide_engine_kvm::trial::Kind;
use abide_engine_soft::SoftEngine;
use abide_engine_soft::cpu_model::N1_LIKE;
use abide_machine::board::BoardConfig;
use abide_machine::devices::vmclock::VmclockConfig;
use std::error::Error;

/// Why it did not come out right.
pub type Failure = Box<dyn Error>;

/// An engine, and the frequency of its guests' counters in Hz.
pub struct Chosen {
    /// It.
    pub engine: Box<dyn Engine>,
    /// KVM cannot show another than the host's.
    pub cntfrq_hz: u64,
}

impl Chosen {
    fn named(name: &str) -> Result<Self, Failure> {
        match name {
            "kvm" => {
                let kvm = KvmEngine::open()?;
                kvm.try_guest(Kind::Restored)?;
                Ok(Self { cntfrq_hz: kvm.cntfrq_hz(), engine: Box::new(kvm) })
            }
            "soft" => Ok(Self {
                engine: Box::new(SoftEngine::with_model(&N1_LIKE)),
                cntfrq_hz: BoardConfig::DEFAULT.cntfrq_hz,
            }),
            other => Err(format!("no engine `{other}`: soft or kvm").into()),
        }
    }

    /// One vCPU, and the page.
    pub fn board(&self) -> BoardConfig {
        BoardConfig {
            ram_len: image::RAM_LEN,
            cntfrq_hz: self.cntfrq_hz,
            vmclock: Some(VmclockConfig::DEFAULT),
            ..BoardConfig::DEFAULT
        }
    }
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["page", engines @ ..] if !engines.is_empty() => {
            let chosen = engines.iter().map(|&name| Ok((name, Chosen::named(name)?)));
            page::judge(&chosen.collect::<Result<Vec<_>, Failure>>()?)
        }
        ["time", engine, offset_ns, rounds, from, to] => time::judge(&time::Errand {
            chosen: Chosen::named(engine)?,
            offset_ns: offset_ns.parse()?,
            rounds: rounds.parse()?,
            from: (*from != "-").then(|| from.into()),
            to: to.into(),
        }),
        _ => Err("`page ENGINE…` or `time ENGINE OFFSET_NS ROUNDS FROM TO` is needed".into()),
    }
}
