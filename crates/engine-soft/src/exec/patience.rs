//! Leaving the host's CPU to others while the guest only waits.
//!
//! In the host's time more vCPUs may execute than the host has CPUs, and whoever is waited for may
//! have none. Nothing here can be seen by the guest, nor is it saved. In virtual time each vCPU has
//! its turn anyway, and nothing of this happens.

use crate::cpu::{Cpu, Env};

/// How many YIELDs are executed for one of the host's thread.
const YIELDS: u32 = 16;

/// How often a WFE returns at once before it waits.
const QUICK_RETURNS: u32 = 8;

/// The first wait, as a part of a second, is doubled with each that follows.
const FIRST_WAIT: u64 = 1 << 14;

/// Doublings, to 2 ms, while the monitor watches a place: a store of another vCPU to it is an event
/// that is noticed only when the wait ends.
const DOUBLINGS_WATCHING: u32 = 5;

/// Doublings, to 16 ms, otherwise. No event is missed then; but guests forget SEV, and get along
/// wherever WFE sometimes returns without an event, as it may.
const DOUBLINGS: u32 = 8;

/// What a vCPU waited for lately.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    yields: u32,
    /// WFEs one soon after the other.
    waits: u32,
    /// The virtual count at the end of the last of them.
    ended: u64,
}

impl Patience {
    /// A wait in a WFE is over at the virtual count `now`, and something `has_come` or nothing.
    pub fn ended(&mut self, now: u64, has_come: bool) {
        self.ended = now;
        if has_come {
            self.waits = 0;
        }
    }
}

/// Whether instructions make time pass.
fn time_is_virtual(env: &Env) -> bool {
    env.clock.instructions_until(0).is_some()
}

/// Lets another thread have the host's CPU, if it may be that of a vCPU: threads of other programs
/// would keep it for long.
fn make_room(env: &Env) {
    if env.shared.is_crowded() {
        std::thread::yield_now();
    }
}

/// YIELD, of no effect on the guest.
pub(super) fn yield_now(cpu: &mut Cpu, env: &Env) {
    let yields = &mut cpu.patience.yields;
    *yields = yields.wrapping_add(1);
    if (*yields).is_multiple_of(YIELDS) && !time_is_virtual(env) {
        make_room(env);
    }
}

/// Up to which virtual count a WFE without an event stream waits for an event, at the count of
/// `now`; `None` if it is to return at once, as it may at any time `[DDI0487 D1.6]`.
pub(super) fn wait_until(cpu: &mut Cpu, env: &Env, now: u64) -> Option<u64> {
    if time_is_virtual(env) {
        return None;
    }
    let first = (env.shared.cntfrq_hz / FIRST_WAIT).max(1);
    let watching = cpu.monitor.size != 0;
    let patience = &mut cpu.patience;
    // What the guest did since the last wait was no more than look again.
    let soon = now.wrapping_sub(patience.ended) < first;
    let before = if soon { patience.waits } else { 0 };
    patience.waits = before.saturating_add(1);
    let Some(doublings) = before.checked_sub(QUICK_RETURNS) else {
        patience.ended = now;
        make_room(env);
        return None;
    };
    let most = if watching { DOUBLINGS_WATCHING } else { DOUBLINGS };
    Some(now.wrapping_add(first << doublings.min(most)))
}
