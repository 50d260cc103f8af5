//! Walks both state machines through every order of events with every fault at every step, and
//! looks whether what must never happen can.
//!
//! [`world`] is the two processes, their disks and the connection between them; [`faults`] what
//! may befall them. The machines and the judgement of hellos are the product's own.
//!
//! **Checked in every state that can be reached:**
//! - never do two run, nor one in an epoch that another ran in;
//! - the source never runs the epoch that it sent a commit for;
//! - the destination never runs a state that the guest went on from elsewhere;
//! - if nothing more goes wrong, it comes to an end: one of them runs; or nobody does, because the
//!   process that had the guest was killed and no other could run it, and the journals say so.

mod faults;
mod mutants;
mod walk;
mod world;
