//! What a birth or a restore did to registers, in a plan's words.

use crate::out::say;
use abide_contract::rules;
use abide_contract::{Extra, Step};
use abide_reg::{RegId, Scope};
use std::collections::BTreeMap;

/// A line for each register that was hidden.
pub fn announce_hidden(name: &str, hidden: &[Extra]) {
    for extra in hidden {
        let register = rules::name(extra.id);
        say(&format!("{name}: {} {register}: hidden: {}", extra.scope.word(), extra.reason()));
    }
}

/// A line for each register, those of several vCPUs together.
pub fn announce_steps<'a>(name: &str, steps: impl Iterator<Item = &'a Step>) {
    let mut alike: BTreeMap<(RegId, &str, String), Vec<Scope>> = BTreeMap::new();
    for step in steps {
        let key = (step.id, step.verdict.word(), step.reason());
        alike.entry(key).or_default().push(step.scope);
    }
    for ((id, verdict, reason), scopes) in alike {
        let more = match scopes.as_slice() {
            [_, more @ ..] if !more.is_empty() => format!(" and {} more", more.len()),
            _ => String::new(),
        };
        let Some(first) = scopes.first() else { continue };
        say(&format!("{name}: {first}{more} {}: {verdict}: {reason}", rules::name(id)));
    }
}
