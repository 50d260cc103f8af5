//! What a birth or a restore did to registers, in a plan's words.

use crate::out::say;
use abide_contract::rules;
use abide_contract::{Extra, Step, runs};
use abide_reg::{RegId, Scope};
use std::collections::BTreeMap;

/// A line for each register that was hidden.
pub fn announce_hidden(name: &str, hidden: &[Extra]) {
    for extra in hidden {
        let register = rules::name(extra.id);
        say(&format!("{name}: {} {register}: hidden: {}", extra.scope.word(), extra.reason()));
    }
}

/// A line for each register, those of several vCPUs and those numbered one after another together.
pub fn announce_steps<'a>(name: &str, steps: impl Iterator<Item = &'a Step>) {
    for line in lines(steps) {
        say(&format!("{name}: {line}"));
    }
}

fn lines<'a>(steps: impl Iterator<Item = &'a Step>) -> Vec<String> {
    let mut alike: BTreeMap<(RegId, String, &str, String), Vec<Scope>> = BTreeMap::new();
    for run in runs(steps) {
        let step = &run.step;
        let key = (step.id, run.name(), step.verdict.word(), step.reason());
        alike.entry(key).or_default().push(step.scope);
    }
    let mut lines = Vec::new();
    for ((_, register, verdict, reason), scopes) in alike {
        let more = match scopes.as_slice() {
            [_, more @ ..] if !more.is_empty() => format!(" and {} more", more.len()),
            _ => String::new(),
        };
        let Some(first) = scopes.first() else { continue };
        lines.push(format!("{first}{more} {register}: {verdict}: {reason}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use abide_contract::{Dropped, Verdict};
    use abide_reg::{Value, VcpuId};

    #[test]
    fn vcpus_and_numbers_that_have_the_same_to_say_share_a_line() {
        let steps = (0..2).flat_map(|vcpu| {
            (3..14).map(move |n| Step {
                scope: Scope::Vcpu(VcpuId(vcpu)),
                id: RegId::Kvm(0x6020_0000_0011_0000 | n),
                value: Some(Value::u32(2)),
                verdict: Verdict::Drop(Dropped::Value(2)),
                how: None,
            })
        });
        let steps: Vec<Step> = steps.collect();
        let [line] = &lines(steps.iter())[..] else { panic!("one line") };
        let reason = "the host has none, and behaves as with 0x2 in it";
        assert_eq!(*line, format!("vcpu0 and 1 more CCSIDR_EL1[3..13]: drop: {reason}"));
    }
}
