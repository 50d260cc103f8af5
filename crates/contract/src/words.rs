//! Verdicts in words: the reason, and what can be done.

use crate::host::{Part, Refusal, Why};
use crate::plan::{Dropped, Extra, How, Refused, Step, Verdict};
use crate::rules::{self, name};
use abide_reg::RegId;

impl Step {
    /// Why this becomes of the register, as one line.
    #[must_use]
    pub fn reason(&self) -> String {
        let mut text = self.verdict_reason();
        match self.how {
            Some(How::ClearThenSet) => {
                text += "; the register that clears is written first, with ones: here a write sets";
            }
            Some(How::ByPartner) => text += "; written through the register that sets",
            None => {}
        }
        text
    }

    fn verdict_reason(&self) -> String {
        match &self.verdict {
            Verdict::Carry => "written as it is".to_owned(),
            Verdict::WriteOnce => "written once for the VM".to_owned(),
            Verdict::Mask { host } => {
                format!("the host's own is {host}, and hidden: the guest goes on seeing this")
            }
            Verdict::Original { reads } => {
                format!(
                    "the host answers {reads} by itself; the original is kept for the next host"
                )
            }
            Verdict::Accept(parts) => format!(
                "{}; accepted: the guest goes on seeing this, and what needs it is UNDEFINED",
                list(parts)
            ),
            Verdict::Drop(dropped) => dropped_reason(dropped),
            Verdict::Refuse(refused) => refused_reason(refused),
        }
    }

    /// What could be done about a refusal.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        let Verdict::Refuse(refused) = &self.verdict else { return None };
        Some(remedy(self.id, refused))
    }
}

impl Extra {
    /// What is done with a register that only the host has.
    #[must_use]
    pub fn reason(&self) -> String {
        match (&self.write, &self.host) {
            (Some(value), _) => format!("{value} is written: the guest sees what it saw before"),
            (None, Some(host)) => format!("stays {host}, as the host makes it"),
            (None, None) => "stays as the host makes it".to_owned(),
        }
    }
}

fn list(parts: &[Part]) -> String {
    parts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn fields(list: &[(RegId, &str)]) -> String {
    let names: Vec<String> =
        list.iter().map(|(id, field)| format!("{}.{field}", name(*id))).collect();
    names.join(", ")
}

fn dropped_reason(dropped: &Dropped) -> String {
    let (are, list) = match dropped {
        Dropped::Value(value) => {
            return format!("the host has none, and behaves as with {value:#x} in it");
        }
        Dropped::Volatile => return "the host has none; it is true only for a moment".to_owned(),
        Dropped::Kept => return "the host has none; kept for the next host that has".to_owned(),
        Dropped::Off(list) if list.is_empty() => {
            return "the host has none, and no guest can reach it".to_owned();
        }
        Dropped::Off(list) => (if list.len() == 1 { "is" } else { "are" }, list),
        Dropped::WhileOff(list) => {
            return format!("the host has none: only while the guest has {} at 0", fields(list));
        }
    };
    format!("the host has none, and the guest does not use it: {} {are} 0", fields(list))
}

fn refused_reason(refused: &Refused) -> String {
    match refused {
        Refused::Absent => "the host has no such register".to_owned(),
        Refused::InUse { only: Some(only), .. } => {
            format!("the host has no such register; only {only:#x} in it could be dropped")
        }
        Refused::InUse { only: None, on } => {
            let on: Vec<String> = on
                .iter()
                .map(|(id, field, value)| format!("{}.{field} is {value:#x}", name(*id)))
                .collect();
            format!("the host has no such register, and the guest uses it: {}", on.join(", "))
        }
        Refused::OtherWidth { other } => {
            format!("the host has it in another width, as {other}")
        }
        Refused::Value(refusal) => refusal.to_string(),
        Refused::Advertised(parts) => list(parts),
        Refused::Silent { reads } => {
            format!("the host takes it and then shows {reads} to the guest")
        }
        Refused::Scope { host } => {
            format!("the host has one for each {}, the guest does not", host.word())
        }
    }
}

fn remedy(id: RegId, refused: &Refused) -> String {
    let birth = "give guests that are to go there a contract at birth, made by `abide baseline` \
                 over both hosts";
    let hosts = match id {
        rules::CNTFRQ => Some("move between hosts of one counter frequency only"),
        rules::IPA_BITS => Some("give the guest less memory, or take a host with a wider bus"),
        rules::VCPUS => Some("give the guest fewer vCPUs, or take another host"),
        rules::GICD_IIDR => Some("pin a revision that both kernels take, at birth"),
        _ => None,
    };
    if let Some(text) = hosts {
        return text.to_owned();
    }
    match refused {
        Refused::Absent | Refused::OtherWidth { .. } => {
            "take a host whose kernel has it; or make the profile anew, if it is older than the \
             kernel"
                .to_owned()
        }
        Refused::Advertised(_) => format!(
            "--accept advertised-not-implemented lets it go all the same: it goes on seeing this, \
             and what needs it is UNDEFINED or an illegal exception return; or {birth}"
        ),
        Refused::InUse { only: None, .. } => {
            "let the guest switch the feature off, or take a host that has it".to_owned()
        }
        Refused::Value(Refusal::Parts(parts)) if parts.iter().all(|p| p.why == Why::Fixed) => {
            format!(
                "the host lets nobody write these bits: take a newer kernel or equal CPUs, or \
                 {birth}"
            )
        }
        Refused::Scope { .. } => "take a host that has it as the guest's host had".to_owned(),
        Refused::InUse { .. } | Refused::Value(_) | Refused::Silent { .. } => birth.to_owned(),
    }
}
