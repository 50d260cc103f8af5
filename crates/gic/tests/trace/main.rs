//! Random traces of what guests and devices do, run against the controller, a naive model of the
//! specification, and copies restored from saved state.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod action;
mod model;
mod properties;
