//! Bodies of fuzz targets, run by ordinary tests too.

use crate::echo::Echo;
use crate::frame::FRAME_MAX_LEN;
use crate::user;

/// Cuts the input into frames: a length of two bytes, little-endian, then so many bytes.
fn frames(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, rest) = data.split_first_chunk::<2>()?;
        let len = usize::from(u16::from_le_bytes(*len)).min(rest.len()).min(FRAME_MAX_LEN);
        let (frame, rest) = rest.split_at(len);
        data = rest;
        Some(frame)
    })
}

/// Shows the frames in `data` to the network that answers by itself.
///
/// # Panics
/// If an answer is no frame, or another the second time.
pub fn fuzz_echo(data: &[u8]) {
    for frame in frames(data) {
        let answer = Echo.answer(frame);
        assert_eq!(answer, Echo.answer(frame));
        assert!(answer.is_none_or(|answer| (14..=FRAME_MAX_LEN).contains(&answer.len())));
    }
}

/// Shows the frames in `data` to a gateway that reaches nothing outside: every destination but the
/// gateway's own services leads nowhere.
///
/// # Panics
/// If it holds more than it may.
pub fn fuzz_user(data: &[u8]) {
    user::fuzz(frames(data));
}
