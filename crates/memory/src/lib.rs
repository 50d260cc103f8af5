//! # abide-memory: guest RAM and the one dirty log
//!
//! Guest RAM is shared by vCPU threads, devices, the host's kernel and whoever saves it, all at
//! once. Plain loads and stores would be data races; here every access is an atomic one, so the
//! rest of the product needs no `unsafe` to touch a guest's memory.
//!
//! * [`GuestRam`]: one contiguous range of guest physical addresses over a shared memfd, which can
//!   be handed to another process or to the host's kernel by descriptor.
//! * [`RamOffset`]: a place in it. Translating a guest address to an offset is checked once; an
//!   access by offset is bounds-checked again, cheaply, so a stale offset can never reach foreign
//!   memory.
//! * [`DirtyLog`]: which pages were written since the last harvest. It has two writers: vCPUs
//!   and devices. Software vCPUs mark a page when they install a write
//!   translation for it, and drop those translations when [`DirtyLog::generation`] moves.
//!
//! * [`MissingPages`]: RAM whose content comes when it is first touched.
//! * [`AbiPages`]: memory that CPUs reach beside RAM and the host writes, such as a clock's page.
//!
//! All `unsafe` code on guest memory is in this crate, in `ram.rs`, `reservation.rs` and
//! `missing.rs`.
//!
//! ```
//! use abide_memory::{GuestRam, Order};
//! use abide_reg::Gpa;
//!
//! let ram = GuestRam::new(Gpa(0x4000_0000), 2 << 20)?;
//! let place = ram.offset_of(Gpa(0x4000_1000), 8).expect("inside");
//! ram.store::<u64>(place, 42, Order::Relaxed);
//! assert_eq!(ram.load::<u64>(place, Order::Relaxed), 42);
//! # Ok::<(), abide_memory::MemoryError>(())
//! ```

mod atom;
mod dirty;
mod error;
mod missing;
mod pages;
mod ram;
mod reservation;

pub use atom::{Atom, Order, Rmw};
pub use dirty::{DirtyLog, PageSet};
pub use error::MemoryError;
pub use missing::{MissingError, MissingPages, Reach};
pub use pages::{AbiPages, PageAccess};
pub use ram::{CpuPlace, GuestRam, PAGE_SIZE, RamOffset, RamView};
