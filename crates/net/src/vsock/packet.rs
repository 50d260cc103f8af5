//! Packets, as guest and host exchange them `[VIRTIO 5.10.6]`.

/// Length of `struct virtio_vsock_hdr`, in bytes.
pub(super) const HEADER_LEN: usize = 44;
/// The host's number `[VIRTIO 5.10.4]`.
pub(super) const HOST_CID: u64 = 2;
/// `VIRTIO_VSOCK_TYPE_STREAM`.
pub(super) const STREAM: u16 = 1;
/// The port that means any.
pub(super) const PORT_ANY: u32 = u32::MAX;

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Op(pub(super) u16);

impl Op {
    pub(super) const REQUEST: Self = Self(1);
    pub(super) const RESPONSE: Self = Self(2);
    pub(super) const RST: Self = Self(3);
    pub(super) const SHUTDOWN: Self = Self(4);
    pub(super) const RW: Self = Self(5);
    pub(super) const CREDIT_UPDATE: Self = Self(6);
    pub(super) const CREDIT_REQUEST: Self = Self(7);
}

/// Flags of a SHUTDOWN `[VIRTIO 5.10.6.5]`.
pub(super) mod shutdown {
    /// Its sender receives no more.
    pub(in crate::vsock) const RECEIVE: u32 = 1;
    /// Its sender sends no more.
    pub(in crate::vsock) const SEND: u32 = 2;
    /// Neither.
    pub(in crate::vsock) const BOTH: u32 = RECEIVE | SEND;
}

/// `struct virtio_vsock_hdr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) src_cid: u64,
    pub(super) dst_cid: u64,
    pub(super) src_port: u32,
    pub(super) dst_port: u32,
    /// Bytes that follow.
    pub(super) len: u32,
    pub(super) kind: u16,
    pub(super) op: Op,
    pub(super) flags: u32,
    /// Bytes that the sender can hold for the connection.
    pub(super) buf_alloc: u32,
    /// Bytes that it has passed on, modulo 2^32.
    pub(super) fwd_cnt: u32,
}

impl Header {
    /// The header of a packet, and what follows it.
    pub(super) fn parse(packet: &[u8]) -> Option<(Self, &[u8])> {
        let (header, payload) = packet.split_first_chunk::<HEADER_LEN>()?;
        let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let word = |at: usize| u32::from(short(at)) | (u32::from(short(at + 2)) << 16);
        let long = |at: usize| u64::from(word(at)) | (u64::from(word(at + 4)) << 32);
        let header = Self {
            src_cid: long(0),
            dst_cid: long(8),
            src_port: word(16),
            dst_port: word(20),
            len: word(24),
            kind: short(28),
            op: Op(short(30)),
            flags: word(32),
            buf_alloc: word(36),
            fwd_cnt: word(40),
        };
        Some((header, payload))
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        for cid in [self.src_cid, self.dst_cid] {
            bytes.extend(cid.to_le_bytes());
        }
        for word in [self.src_port, self.dst_port, self.len] {
            bytes.extend(word.to_le_bytes());
        }
        for half in [self.kind, self.op.0] {
            bytes.extend(half.to_le_bytes());
        }
        for word in [self.flags, self.buf_alloc, self.fwd_cnt] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }

    /// The RST that answers it.
    pub(super) fn reset(self) -> Self {
        let (from, to) = ((self.dst_cid, self.dst_port), (self.src_cid, self.src_port));
        Self::rst(from, to, self.kind)
    }

    /// An RST from one CID and port to another.
    pub(super) fn rst(from: (u64, u32), to: (u64, u32), kind: u16) -> Self {
        Self {
            src_cid: from.0,
            dst_cid: to.0,
            src_port: from.1,
            dst_port: to.1,
            len: 0,
            kind,
            op: Op::RST,
            flags: 0,
            buf_alloc: 0,
            fwd_cnt: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_where_the_specification_puts_them() {
        let bytes: Vec<u8> = (0..50).collect();
        let (header, payload) = Header::parse(&bytes).unwrap();
        assert_eq!(header.src_cid, 0x0706_0504_0302_0100);
        assert_eq!(header.dst_cid, 0x0f0e_0d0c_0b0a_0908);
        assert_eq!((header.src_port, header.dst_port), (0x1312_1110, 0x1716_1514));
        assert_eq!((header.len, header.kind, header.op), (0x1b1a_1918, 0x1d1c, Op(0x1f1e)));
        assert_eq!(header.flags, 0x2322_2120);
        assert_eq!((header.buf_alloc, header.fwd_cnt), (0x2726_2524, 0x2b2a_2928));
        assert_eq!(payload, [44, 45, 46, 47, 48, 49]);
        assert_eq!(header.to_bytes(), bytes[..44]);
        assert_eq!(Header::parse(&bytes[..43]), None);
    }
}
