//! The fuzz targets' bodies, library functions so that ordinary tests replay their corpora.

use super::{Pl011, Pl031};

/// Accesses of one guest: kind, offset, size and value from 12 bytes each.
fn accesses(data: &[u8]) -> impl Iterator<Item = (u8, u64, usize, u64)> {
    let (chunks, _) = data.as_chunks::<12>();
    chunks.iter().map(|&[kind, page, place, size, value @ ..]| {
        // Half of the accesses are in the first registers.
        let page = if kind & 0x80 == 0 { 0 } else { u64::from(page) << 8 };
        (kind & 3, page | u64::from(place), usize::from(size & 0xf), u64::from_le_bytes(value))
    })
}

/// Makes a UART go through what `data` says.
///
/// # Panics
/// If it takes more input than there was, or does not restore to what it was.
pub fn fuzz_pl011(data: &[u8]) {
    let mut uart = Pl011::new();
    for (kind, offset, size, value) in accesses(data) {
        match kind {
            0 | 1 => {
                uart.write(offset, size, value);
            }
            2 => {
                uart.read(offset, size);
            }
            _ => assert!(uart.receive(&data[..size.min(data.len())]) <= size),
        }
    }
    let restored = Pl011::restore(uart.save()).map(|(restored, _)| restored);
    assert_eq!(restored.as_ref(), Ok(&uart));
}

/// Makes a real-time clock go through what `data` says, the time included.
///
/// # Panics
/// If its interrupt rises while masked, or it does not restore to what it was.
pub fn fuzz_pl031(data: &[u8]) {
    let mut rtc = Pl031::new();
    let mut now_s = 0;
    for (kind, offset, size, value) in accesses(data) {
        match kind {
            0 | 1 => rtc.write(offset, size, value, now_s),
            2 => now_s = value >> (size * 4),
            _ => rtc.tick(now_s),
        }
        assert!(!rtc.irq_level() || rtc.read(0x10, 4, now_s) == 1);
    }
    let restored = Pl031::restore(rtc.save()).map(|(restored, _)| restored);
    assert_eq!(restored.as_ref(), Ok(&rtc));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn random_bytes_keep_every_rule(data in proptest::collection::vec(any::<u8>(), 0..1200)) {
            fuzz_pl011(&data);
            fuzz_pl031(&data);
        }
    }
}
