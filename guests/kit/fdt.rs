//! Reading the device tree, as much as a small guest wants to know `[Devicetree Specification 5]`.

const MAGIC: u32 = 0xd00d_feed;
/// The boot protocol's limit, in bytes.
const MAX_BYTES: usize = 2 << 20;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const NOP: u32 = 4;

/// A flattened device tree.
#[derive(Clone, Copy)]
pub struct Fdt {
    bytes: &'static [u8],
}

impl Fdt {
    /// The tree at `address`, if one is there.
    ///
    /// # Safety
    /// [`MAX_BYTES`] from `address` on are mapped and never written.
    pub(crate) unsafe fn at(address: usize) -> Option<Self> {
        // SAFETY: the caller's promise.
        let bytes = unsafe { core::slice::from_raw_parts(address as *const u8, MAX_BYTES) };
        let total = be32(bytes, 4)? as usize;
        (be32(bytes, 0)? == MAGIC).then_some(Self { bytes: bytes.get(..total)? })
    }

    /// The property `name` of the first node directly below the root whose name begins with
    /// `node`; of the root itself if `node` is empty.
    #[must_use]
    pub fn property(&self, node: &str, name: &str) -> Option<&'static [u8]> {
        let strings = be32(self.bytes, 12)? as usize;
        let mut at = be32(self.bytes, 8)? as usize;
        let (mut depth, mut inside) = (0, false);
        loop {
            let token = be32(self.bytes, at)?;
            at += 4;
            match token {
                BEGIN_NODE => {
                    let found = text(self.bytes, at)?;
                    depth += 1;
                    inside = match depth {
                        1 => node.is_empty(),
                        2 => !node.is_empty() && found.starts_with(node),
                        _ => false,
                    };
                    at = (at + found.len() + 1).next_multiple_of(4);
                }
                // Properties stand before child nodes, so a left node does not come back.
                END_NODE => {
                    depth -= 1;
                    inside = false;
                }
                PROP => {
                    let len = be32(self.bytes, at)? as usize;
                    let key = text(self.bytes, strings + be32(self.bytes, at + 4)? as usize)?;
                    if inside && key == name {
                        return self.bytes.get(at + 8..at + 8 + len);
                    }
                    at = (at + 8 + len).next_multiple_of(4);
                }
                NOP => {}
                _ => return None,
            }
        }
    }

    /// A property as text, without its final 0.
    #[must_use]
    pub fn text(&self, node: &str, name: &str) -> Option<&'static str> {
        text(self.property(node, name)?, 0)
    }

    /// How much memory there is, in bytes, if the root counts addresses and sizes in two cells.
    #[must_use]
    pub fn memory_bytes(&self) -> Option<u64> {
        let reg = self.property("memory", "reg")?;
        Some(u64::from(be32(reg, 8)?) << 32 | u64::from(be32(reg, 12)?))
    }
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn text(bytes: &'static [u8], at: usize) -> Option<&'static str> {
    let rest = bytes.get(at..)?;
    let len = rest.iter().position(|&byte| byte == 0)?;
    core::str::from_utf8(&rest[..len]).ok()
}
