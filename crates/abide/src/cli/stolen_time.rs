//! What an engine may offer of stolen time.

use abide_pvtime::{Revision, Revisions};
use clap::Args;
use std::ffi::OsString;

/// Of which revisions records of stolen time are kept.
#[derive(Clone, Debug, Default, Args)]
pub struct StolenTimeArgs {
    /// Of which revisions the engine offers records of stolen time: none, or numbers with commas
    ///
    /// Every engine keeps revision 0, the only one that is published, and a new guest gets the
    /// oldest that its contract or the engine has. With none a new guest has no stolen time, ever,
    /// and a saved one that has it is refused. Engine soft can be told of others, to try what fits.
    #[arg(long = "stolen-time", value_name = "REVISIONS", value_parser = parse_revisions)]
    pub stolen_time: Option<Revisions>,
}

impl StolenTimeArgs {
    /// As they were given, for another process of this host.
    pub fn words(&self) -> Vec<OsString> {
        let words = |revisions: &Revisions| ["--stolen-time".into(), revisions.to_string().into()];
        self.stolen_time.iter().flat_map(words).collect()
    }
}

fn parse_revisions(text: &str) -> Result<Revisions, String> {
    if text == "none" {
        return Ok(Revisions::NONE);
    }
    let number = |part: &str| {
        let number = part.parse().map_err(|_| format!("{part:?} is no revision"))?;
        // One that no version of the interface could tell of.
        Revision(number).version().ok_or(format!("there is no version for revision {number}"))?;
        Ok(Revision(number))
    };
    text.split(',').map(number).collect::<Result<Vec<_>, String>>().map(Revisions::of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_none_or_numbers() {
        let of = |numbers: &[u32]| Ok(Revisions::of(numbers.iter().copied().map(Revision)));
        assert_eq!(parse_revisions("none"), Ok(Revisions::NONE));
        assert_eq!(parse_revisions("0"), of(&[0]));
        assert_eq!(parse_revisions("1,0"), of(&[0, 1]));
        for wrong in ["", ",", "0,", "-1", "x", "None", "4294967295", "0x1"] {
            assert!(parse_revisions(wrong).is_err(), "{wrong}");
        }
    }
}
