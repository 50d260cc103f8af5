//! The handoff as two state machines, without clock, file or socket.
//!
//! Each is a table of [`Rule`]s: in this state, on this event, do this, and be in that state. The
//! tables are the truth: `docs/migration.md` draws them and a test compares; the explorer walks
//! them with every fault at every step, and changes each of their rules to see that it notices.

mod destination;
mod greet;
mod source;

pub use destination::{
    DESTINATION_RULES, Destination, DestinationAction, DestinationEvent, DestinationState,
};
pub use greet::{Greeting, greet};
pub use source::{SOURCE_RULES, Source, SourceAction, SourceEvent, SourceState};

/// In state `from`, on event `on`, do `does` one after another, and be in state `to`.
///
/// `to` is entered at once; what `does` leads to (a record written, a guest prepared) comes back as
/// an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule<S: 'static, E: 'static, A: 'static> {
    /// The state it holds in.
    pub from: S,
    /// What happened.
    pub on: E,
    /// What is done, in this order.
    pub does: &'static [A],
    /// The state afterwards.
    pub to: S,
}
