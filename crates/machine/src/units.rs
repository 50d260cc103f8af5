//! Everything that has state, and the order in which it comes back.

use abide_reg::{Class, Name};

/// A part of the machine that owns registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// What the guest was promised.
    Contract,
    /// Memory size, number of vCPUs, counter frequency.
    Board,
    /// The machine's clock.
    Clock,
    /// The source of random bits.
    Entropy,
    /// How much was printed.
    Console,
    /// The UART.
    Uart,
    /// The real-time clock.
    Rtc,
    /// The page with the time.
    Vmclock,
    /// The page with the generation.
    Vmgenid,
    /// Where each disk's content is on the host.
    Disk,
    /// Each virtio disk.
    VirtioBlock,
    /// Each virtio source of random bits.
    VirtioRng,
    /// Each virtio clock.
    VirtioRtc,
    /// Each virtio console.
    VirtioConsole,
    /// What each network card is plugged into on the host.
    Cable,
    /// Each virtio network card.
    VirtioNet,
    /// Where programs of the host find a guest's sockets.
    Sockets,
    /// Each virtio device with sockets.
    VirtioVsock,
    /// CPU identification: one set for the VM, and what single vCPUs show instead.
    Identity,
    /// PSCI and SMCCC.
    Firmware,
    /// Each vCPU's own registers.
    Cpu,
    /// Each vCPU's record of stolen time.
    PvTime,
    /// The interrupt controller.
    Gic,
    /// The guest's view of the system counter.
    Counter,
}

/// How a unit crosses a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migration {
    /// By its registers.
    Saved,
    /// It has none: it is the same in every machine.
    Stateless,
    /// It cannot; a VM that has it is not saved.
    NotMigratable(&'static str),
}

/// A place in the order.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The unit.
    pub unit: Unit,
    /// How it crosses a save.
    pub migration: Migration,
    /// Why it stands here.
    pub reason: &'static str,
}

const fn saved(unit: Unit, reason: &'static str) -> Place {
    Place { unit, migration: Migration::Saved, reason }
}

/// The one order of restoring. Saving and reading back go through it as well, so that a file lists
/// its records in the order in which they will be needed.
pub const ORDER: &[Place] = &[
    saved(Unit::Contract, "all that follows is judged by it"),
    saved(Unit::Board, "all else is made to its measure"),
    saved(Unit::Clock, "devices and timers are made with the clock they will read"),
    saved(Unit::Entropy, "firmware answers from it"),
    saved(Unit::Console, "the UART prints through it"),
    saved(Unit::Uart, "devices exist before the interrupt controller listens to their lines"),
    saved(Unit::Rtc, "as the UART"),
    saved(Unit::Vmclock, "its page is memory, and memory is there before what looks at it"),
    saved(Unit::Vmgenid, "as the clock, whose copies it names"),
    saved(Unit::Disk, "a disk is open, locked and measured before its device"),
    saved(Unit::VirtioBlock, "as the UART"),
    saved(Unit::VirtioRng, "as the UART"),
    saved(Unit::VirtioRtc, "as the UART"),
    saved(Unit::VirtioConsole, "as the UART"),
    saved(Unit::Cable, "where it leads is known before its card is plugged in"),
    saved(Unit::VirtioNet, "as the UART"),
    saved(Unit::Sockets, "where they are is known before their device is made"),
    saved(Unit::VirtioVsock, "as the UART"),
    saved(Unit::Identity, "KVM fixes ID registers at the first run and checks others against them"),
    saved(Unit::Firmware, "KVM judges workaround registers by the ID registers"),
    saved(Unit::Cpu, "its registers may depend on identity; its timers raise no interrupt yet"),
    saved(Unit::PvTime, "a vCPU gets its record once, behind memory and before it first runs"),
    saved(Unit::Gic, "its CPU interfaces belong to vCPUs that exist; lines are then as saved"),
    saved(Unit::Counter, "last: on KVM each write moves time for the whole VM"),
];

impl Unit {
    /// Its name in files and reports.
    #[must_use]
    pub const fn name(self) -> Name {
        Name::new(match self {
            Self::Contract => "contract",
            Self::Board => "board",
            Self::Clock => "clock",
            Self::Entropy => "entropy",
            Self::Console => "console",
            Self::Uart => "uart",
            Self::Rtc => "rtc",
            Self::Vmclock => "vmclock",
            Self::Vmgenid => "vmgenid",
            Self::Disk => "disk",
            Self::VirtioBlock => "virtio-blk",
            Self::VirtioRng => "virtio-rng",
            Self::VirtioRtc => "virtio-rtc",
            Self::VirtioConsole => "virtio-console",
            Self::Cable => "cable",
            Self::VirtioNet => "virtio-net",
            Self::Sockets => "sockets",
            Self::VirtioVsock => "virtio-vsock",
            Self::Identity => "identity",
            Self::Firmware => "firmware",
            Self::Cpu => "cpu",
            Self::PvTime => "pvtime",
            Self::Gic => "gic",
            Self::Counter => "counter",
        })
    }

    /// The class of its records. What a host knows, not the guest, is volatile: it is no part of
    /// the guest's state hash either.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::Disk | Self::Cable | Self::Sockets => Class::Volatile,
            // A version without contracts passes it on: what was promised stays so.
            Self::Contract => Class::Static,
            _ => Class::Mandatory,
        }
    }

    /// The unit of this name.
    #[must_use]
    pub fn by_name(name: Name) -> Option<Self> {
        ORDER.iter().map(|place| place.unit).find(|unit| unit.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_has_one_place_and_its_own_name() {
        for (n, place) in ORDER.iter().enumerate() {
            assert_eq!(Unit::by_name(place.unit.name()), Some(place.unit));
            assert!(ORDER[n + 1..].iter().all(|other| other.unit != place.unit));
        }
    }

    #[test]
    fn identity_comes_before_what_depends_on_it_and_time_last() {
        let at = |unit| ORDER.iter().position(|place| place.unit == unit);
        assert!(at(Unit::Identity) < at(Unit::Firmware));
        assert!(at(Unit::Firmware) < at(Unit::Cpu));
        assert!(at(Unit::Cpu) < at(Unit::Gic));
        assert_eq!(at(Unit::Counter), Some(ORDER.len() - 1));
    }
}
