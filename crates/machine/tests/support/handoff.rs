//! What a handoff asks of a running guest, and the RAM that it gives away.

use abide_machine::handoff::{Frozen, Offered};
use abide_machine::runner::{Command, Control, Reply};
use abide_memory::{GuestRam, PageSet};

pub fn offer(control: &Control, logs_writes: bool) -> Offered {
    match control.ask(Command::Offer { logs_writes }) {
        Some(Reply::Offered(offered)) => *offered,
        other => panic!("{other:?}"),
    }
}

pub fn harvest(control: &Control) -> PageSet {
    match control.ask(Command::Harvest) {
        Some(Reply::Written(pages)) => pages,
        other => panic!("{other:?}"),
    }
}

pub fn freeze(control: &Control) -> Frozen {
    match control.ask(Command::Freeze) {
        Some(Reply::Frozen(frozen)) => *frozen,
        other => panic!("{other:?}"),
    }
}

pub fn done(control: &Control, command: Command) {
    let reply = control.ask(command);
    assert!(matches!(reply, Some(Reply::Done)), "{reply:?}");
}

/// The same RAM as another process would have it.
pub fn by_descriptor(ram: &GuestRam) -> GuestRam {
    let fd = ram.fd().try_clone_to_owned().expect("a descriptor");
    GuestRam::from_fd(ram.base(), ram.size(), fd).expect("the same memory")
}
