//! The TCP stack's end of the cable.

use crate::frame::UNTAGGED_MAX_LEN;
use crate::link::WAITING_MAX;
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use std::collections::VecDeque;

/// Frames on their way into the stack, and out of the gateway.
#[derive(Debug, Default)]
pub(super) struct Cable {
    pub(super) into_stack: VecDeque<Vec<u8>>,
    pub(super) to_guest: VecDeque<Vec<u8>>,
}

impl Cable {
    /// Whether the stack may send more; else it does when there is room again.
    pub(super) fn has_room(&self) -> bool {
        self.to_guest.len() < WAITING_MAX
    }

    /// Sends what is no part of a connection. Without room it is lost, as on any cable.
    pub(super) fn send(&mut self, frame: Vec<u8>) {
        if self.has_room() {
            self.to_guest.push_back(frame);
        }
    }
}

pub(super) struct Incoming(Vec<u8>);

impl RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

pub(super) struct Outgoing<'a>(&'a mut VecDeque<Vec<u8>>);

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.push_back(frame);
        result
    }
}

impl Device for Cable {
    type RxToken<'a> = Incoming;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Incoming, Outgoing<'_>)> {
        // Every frame may be answered by one.
        if !self.has_room() {
            return None;
        }
        let frame = self.into_stack.pop_front()?;
        Some((Incoming(frame), Outgoing(&mut self.to_guest)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Outgoing<'_>> {
        self.has_room().then_some(Outgoing(&mut self.to_guest))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = UNTAGGED_MAX_LEN;
        capabilities
    }
}
