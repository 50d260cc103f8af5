//! The body of a fuzz target: a guest and programs of the host that do what nobody expects.

use super::connection::TO_GUEST_MAX;
use super::mux::{Id, Mux};
use super::packet::{HEADER_LEN, HOST_CID, Header, Op, STREAM};

const GUEST_CID: u32 = 3;

/// What is done, as six bytes say it.
struct Step {
    kind: u8,
    /// Which connection or port is meant.
    which: u8,
    op: u8,
    flags: u8,
    /// A length or a number of 16 bits.
    size: u16,
}

fn steps(data: &[u8]) -> impl Iterator<Item = Step> {
    let (pieces, _) = data.as_chunks::<6>();
    pieces.iter().map(|&[kind, which, op, flags, low, high]| Step {
        kind,
        which,
        op,
        flags,
        size: u16::from_le_bytes([low, high]),
    })
}

/// A packet of the guest: mostly of the right kind and length, for few ports.
fn packet(step: &Step) -> Vec<u8> {
    let size = u32::from(step.size);
    let is_data = step.op & 15 == 5;
    let len = if is_data { size << (step.which >> 6) } else { 0 };
    let lies = step.flags & 0x80 != 0;
    let header = Header {
        src_cid: if step.flags & 0x40 != 0 { 4 } else { GUEST_CID.into() },
        dst_cid: if step.flags & 0x20 != 0 { 1 } else { HOST_CID },
        src_port: (step.which >> 3 & 7).into(),
        dst_port: u32::from(step.which & 7) | u32::from(step.op & 0x10) << 26,
        len: if lies { size } else { len },
        kind: if step.flags & 0x10 != 0 { 2 } else { STREAM },
        op: Op((step.op & 15).into()),
        flags: (step.flags & 3).into(),
        buf_alloc: if step.op & 0x20 != 0 { size } else { 1 << 16 },
        fwd_cnt: if step.op & 0x40 != 0 { size } else { 0 },
    };
    let mut bytes = header.to_bytes();
    bytes.resize(HEADER_LEN + usize::try_from(len).unwrap_or(0), step.which);
    bytes
}

/// What a program of the host does.
fn host(mux: &mut Mux, id: Id, step: &Step) {
    let len = usize::from(step.size);
    if step.op & 7 == 0 {
        mux.drop_from_host(id);
        return;
    }
    mux.with(id, |connection| match step.op & 7 {
        1 => connection.host_is_done(),
        2 => connection.host_is_deaf(),
        3 | 4 => {
            let len = connection.for_host().len().min(len);
            connection.host_took(len);
        }
        _ => {
            let len = connection.room_for_guest().min(len);
            connection.host_sent(&vec![step.which; len]);
        }
    });
}

fn check(bytes: &[u8], room: usize) {
    assert!(bytes.len() <= room && bytes.len() <= HEADER_LEN + TO_GUEST_MAX);
    let Some((header, payload)) = Header::parse(bytes) else { panic!("no header: {bytes:?}") };
    assert_eq!(usize::try_from(header.len), Ok(payload.len()));
    assert_eq!(header.dst_cid, GUEST_CID.into());
    let is_data = header.op == Op::RW;
    assert_eq!(is_data, !payload.is_empty(), "{header:?}");
}

/// Lets a guest and programs of its host do what `data` says.
///
/// # Panics
/// If more is held than allowed, or a packet for the guest is none.
pub fn fuzz_vsock(data: &[u8]) {
    let mut mux = Mux::new(GUEST_CID);
    let mut known: Vec<Id> = Vec::new();
    for step in steps(data) {
        match step.kind & 7 {
            0..=2 => {
                let had = mux.has_packet();
                let is_reset = step.op & 15 == 3;
                let _ = mux.send(&packet(&step));
                assert!(had || !(is_reset && mux.has_packet()), "an RST was answered");
            }
            3 => {
                let room = usize::from(step.size);
                if let Some(bytes) = mux.receive(room) {
                    check(&bytes, room);
                }
            }
            4 => known.extend(mux.ask((step.which & 7).into())),
            5 => {
                for (id, _) in mux.take_wanted() {
                    if step.op & 1 == 0 && mux.reached(id) {
                        known.push(id);
                    } else {
                        mux.drop_from_host(id);
                    }
                }
            }
            6 => {
                if let Some(&id) = known.get(usize::from(step.which)) {
                    host(&mut mux, id, &step);
                }
            }
            _ if step.op == 0xff => mux.reset(),
            _ => {}
        }
        known.retain(|&id| mux.get(id).is_some());
        mux.assert_bounds();
    }
}
