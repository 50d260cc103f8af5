//! The side that has the pages.

use super::chunk::{Head, PAGES_MAX, Packer};
use super::{PagesError, digest_of, on_all};
use crate::driver::Link;
use crate::message::{Compression, Round};
use abide_memory::{GuestRam, PageSet};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A round that is to be sent.
#[derive(Debug)]
pub struct Outgoing {
    pages: Vec<u64>,
}

impl Outgoing {
    /// Of these pages, ascending.
    #[must_use]
    pub fn of(pages: Vec<u64>) -> Self {
        Self { pages }
    }

    /// Of a harvest.
    #[must_use]
    pub fn of_set(pages: &PageSet) -> Self {
        Self::of(pages.iter().collect())
    }

    /// What is announced.
    #[must_use]
    pub fn announce(&self, number: u32, is_last: bool) -> Round {
        let digest = digest_of(self.pages.iter().copied());
        Round { number, is_last, pages: self.pages.len() as u64, digest }
    }

    /// Sends it as `round` over all of `links`, each of which takes what it can; returns the bytes.
    /// The guest may write meanwhile: what it writes is logged, and comes again.
    ///
    /// # Errors
    /// [`PagesError`]; none of the connections can be used any more.
    pub fn send(
        &self,
        round: &Round,
        ram: &GuestRam,
        links: &mut [&mut dyn Link],
        compression: Compression,
        is_cancelled: impl Fn() -> bool + Sync,
    ) -> Result<u64, PagesError> {
        let next = AtomicUsize::new(0);
        let take = || {
            let at = next.fetch_add(1, Ordering::Relaxed);
            self.pages.chunks(PAGES_MAX).nth(at)
        };
        let sent = on_all(links, |lane| {
            let seal = lane.seal();
            let (mut packer, mut sent) = (Packer::new(compression, seal), 0);
            while let Some(pages) = take() {
                if lane.is_over() {
                    return Ok(sent);
                }
                if is_cancelled() {
                    return Err(PagesError::Cancelled);
                }
                let chunk = packer.pack(ram, pages)?;
                sent += chunk.len() as u64;
                lane.write(chunk)?;
            }
            let end = Head::end(round.number, seal);
            lane.write(&end)?;
            Ok(sent + end.len() as u64)
        })?;
        Ok(sent.into_iter().sum())
    }
}
