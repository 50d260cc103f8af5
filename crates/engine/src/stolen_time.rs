//! Where records of stolen time may be, and which an engine keeps: asked by every engine when a
//! vCPU gets its own.

use crate::EngineError;
use abide_memory::{CpuPlace, GuestRam, PageAccess, RamOffset};
use abide_pvtime::{RECORD_LEN, Revision, Revisions, StolenTime};
use abide_reg::Gpa;

/// Checks that an engine that keeps records of these revisions can keep one of `revision` at
/// `table_gpa`; returns its place in `ram`.
///
/// # Errors
/// [`EngineError::StolenTime`], with what stands against it and what to do.
pub fn place_of_record(
    engine: &'static str,
    offered: &Revisions,
    ram: &GuestRam,
    table_gpa: Gpa,
    revision: Revision,
) -> Result<RamOffset, EngineError> {
    let refused = |reason, next| EngineError::StolenTime { engine, table_gpa, reason, next };
    if !offered.offers(revision) {
        return Err(refused(
            format!("revision {revision} is asked for, revisions kept here: {offered}"),
            "choose a host that keeps the guest's revision",
        ));
    }
    StolenTime::new(table_gpa, revision)
        .map_err(|misplaced| refused(misplaced.to_string(), "use the file that abide wrote"))?;
    match ram.place_of(table_gpa, RECORD_LEN as u64) {
        Some(CpuPlace::Page(place, PageAccess::ReadWrite)) => Ok(place),
        place => Err(refused(
            match place {
                None => "there is no memory".to_owned(),
                Some(CpuPlace::Ram(_)) => "that is RAM, which guests use as they like".to_owned(),
                Some(CpuPlace::Page(..)) => "that page is only for reading".to_owned(),
            },
            "give it a page of its own that is not RAM",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abide_memory::AbiPages;
    use abide_pvtime::REVISION_1_0;
    use std::sync::Arc;

    const PAGE: u64 = 0x090a_0000;
    const READ_ONLY: u64 = 0x090b_0000;
    const RAM: u64 = 0x4000_0000;

    fn refusal(offered: &Revisions, gpa: u64, revision: u32) -> Option<String> {
        let page = |gpa, access| Arc::new(AbiPages::new(Gpa(gpa), access).unwrap());
        let pages = vec![page(PAGE, PageAccess::ReadWrite), page(READ_ONLY, PageAccess::ReadOnly)];
        let ram = GuestRam::new(Gpa(RAM), 1 << 20).unwrap().with_pages(pages).unwrap();
        place_of_record("soft", offered, &ram, Gpa(gpa), Revision(revision))
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn a_record_has_its_place_or_a_reason() {
        let offered = Revisions::of([REVISION_1_0]);
        for gpa in [PAGE, PAGE + 64, PAGE + AbiPages::LEN - 64] {
            assert_eq!(refusal(&offered, gpa, 0), None, "{gpa:#x}");
        }
        for (gpa, reason) in [
            (PAGE + 32, "aligned to 64 bytes"),
            (PAGE + 1, "aligned to 64 bytes"),
            (u64::MAX - 63, "64 bytes behind it"),
            (PAGE - 64, "there is no memory"),
            (0, "there is no memory"),
            (READ_ONLY, "only for reading"),
            (RAM, "that is RAM"),
            (RAM + (1 << 20) - 64, "that is RAM"),
        ] {
            let text = refusal(&offered, gpa, 0).unwrap();
            assert!(text.contains(reason) && text.contains(&format!("{:#x}", gpa)), "{text}");
        }
    }

    #[test]
    fn revisions_are_judged_again_where_the_address_is_given() {
        let sets = [vec![], vec![0], vec![1], vec![0, 1]];
        for offered in sets.map(|set| Revisions::of(set.into_iter().map(Revision))) {
            for revision in 0..3 {
                let refusal = refusal(&offered, PAGE, revision);
                assert_eq!(refusal.is_none(), offered.offers(Revision(revision)), "{refusal:?}");
                let names = |text: String| {
                    text.contains(&format!("revision {revision}"))
                        && text.contains(&format!("kept here: {offered}"))
                };
                assert!(refusal.is_none_or(names));
            }
        }
    }
}
