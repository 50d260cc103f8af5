//! # abide-net: the host's end of a guest's network cable, and of its sockets
//!
//! A guest's network card sends and receives Ethernet frames; this crate is what they reach. It
//! knows nothing of the card. [`vsock`] is the same for the packets of virtio sockets.
//!
//! * [`Echo`] answers by itself, a pure function of the frames it is shown: for runs that must be
//!   repeatable to the last bit.
//! * [`user`] is a network behind a translating gateway, made of the host's ordinary sockets: no
//!   root, no set-up.
//! * [`tap`] is a network interface of the host.
//! * [`Port`] is the card's end of a cable to one of the latter two, which each run in a thread of
//!   their own; [`Link`] the backend's. Frames wait in between, up to [`WAITING_MAX`] each way.
//! * [`NetConfig`] says which of them, as users write it.
//!
//! What is on its way is not part of a guest's state: like on any Ethernet, a frame may be lost.
//! [`Connection`]s that the gateway holds for a guest end with its process; a guest that comes back
//! elsewhere is told so, see [`user::open`].
#![forbid(unsafe_code)]

mod config;
mod dhcp;
mod echo;
mod error;
mod frame;
mod fuzz;
mod link;
pub mod tap;
pub mod user;
pub mod vsock;

pub use config::{Forward, NetConfig, Resolver, UserConfig};
pub use echo::Echo;
pub use error::{ConfigError, NetError};
pub use frame::{FRAME_MAX_LEN, FRAME_MIN_LEN, MacAddress, plan};
pub use fuzz::{fuzz_echo, fuzz_user};
pub use link::{Link, Port, Ready, WAITING_MAX, link};
pub use user::Connection;
pub use vsock::fuzz_vsock;
