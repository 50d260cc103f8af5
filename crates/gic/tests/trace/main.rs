//! Random traces of what guests and devices do, run against the controller, a naive model of the
//! specification, and copies restored from saved state.

mod action;
mod model;
mod properties;
