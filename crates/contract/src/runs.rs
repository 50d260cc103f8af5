//! Registers with numbers one after another, of which one line tells.

use crate::plan::{Dropped, Step, Verdict};
use crate::rules;
use abide_reg::RegId;

/// Steps of registers with numbers one after another (`CCSIDR_EL1[3]`, `CCSIDR_EL1[4]`, …), with
/// one verdict and one value, for reasons that can be told together. At least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first; its verdict and reason are those of all.
    pub step: Step,
    /// The number of the last register, if there is more than one.
    last: Option<u32>,
}

impl Run {
    /// The name of the register, or of all: `CCSIDR_EL1[3..13]`, the last one included.
    #[must_use]
    pub fn name(&self) -> String {
        match (numbered(self.step.id), self.last) {
            (Some((stem, first)), Some(last)) => format!("{stem}[{first}..{last}]"),
            _ => rules::name(self.step.id),
        }
    }

    /// Takes the next step into it, if it continues it.
    fn join(&mut self, step: &Step) -> bool {
        let (Some((stem, first)), Some((other, next))) =
            (numbered(self.step.id), numbered(step.id))
        else {
            return false;
        };
        let continues = stem == other && next == self.last.unwrap_or(first) + 1;
        let alike = self.step.scope == step.scope
            && self.step.value == step.value
            && self.step.how == step.how;
        if !(continues && alike) {
            return false;
        }
        let Some(verdict) = both(&self.step.verdict, &step.verdict) else { return false };
        self.step.verdict = verdict;
        self.last = Some(next);
        true
    }
}

/// Puts steps together, in their order.
#[must_use]
pub fn runs<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for step in steps {
        if !runs.last_mut().is_some_and(|run| run.join(step)) {
            runs.push(Run { step: step.clone(), last: None });
        }
    }
    runs
}

/// What is said of two, if it can be said together.
fn both(one: &Verdict, other: &Verdict) -> Option<Verdict> {
    match (one, other) {
        (Verdict::Drop(Dropped::Off(a)), Verdict::Drop(Dropped::Off(b))) => {
            let more = b.iter().filter(|field| !a.contains(field));
            Some(Verdict::Drop(Dropped::Off(a.iter().chain(more).copied().collect())))
        }
        (Verdict::Drop(Dropped::WhileOff(a)), Verdict::Drop(Dropped::WhileOff(b))) => {
            let more = b.iter().filter(|field| !a.contains(field));
            Some(Verdict::Drop(Dropped::WhileOff(a.iter().chain(more).copied().collect())))
        }
        _ => (one == other).then(|| one.clone()),
    }
}

/// The name before the number, and the number, of a register `NAME[N]`.
fn numbered(id: RegId) -> Option<(String, u32)> {
    let name = rules::name(id);
    let (stem, number) = name.strip_suffix(']')?.split_once('[')?;
    Some((stem.to_owned(), number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use abide_reg::{Scope, Value, VcpuId};

    const CLIDR: RegId = RegId::Kvm(0x6030_0000_0013_c801);

    fn dropped(n: u64, vcpu: u32, field: &'static str, value: u64) -> Step {
        Step {
            scope: Scope::Vcpu(VcpuId(vcpu)),
            id: RegId::Kvm(0x6020_0000_0011_0000 | n),
            value: Some(Value::u64(value)),
            verdict: Verdict::Drop(Dropped::Off(vec![(CLIDR, field)])),
            how: None,
        }
    }

    #[test]
    fn numbers_one_after_another_are_told_together_with_all_their_reasons() {
        let steps = [(3, "Ctype2"), (4, "Ctype3"), (5, "Ctype3")];
        let steps = steps.map(|(n, field)| dropped(n, 0, field, 2));
        let [run] = &runs(&steps)[..] else { panic!("one") };
        assert_eq!(run.name(), "CCSIDR_EL1[3..5]");
        assert_eq!(
            run.step.reason(),
            "the host has none, and the guest does not use it: CLIDR_EL1.Ctype2, \
             CLIDR_EL1.Ctype3 are 0"
        );
    }

    #[test]
    fn what_differs_is_told_apart() {
        let base = dropped(3, 0, "Ctype2", 2);
        let original = Step { verdict: Verdict::Carry, ..dropped(4, 0, "Ctype2", 2) };
        for other in
            [dropped(5, 0, "Ctype2", 2), dropped(4, 1, "Ctype2", 2), dropped(4, 0, "Ctype2", 3)]
        {
            assert_eq!(runs([&base, &other]).len(), 2);
        }
        let two = runs([&base, &original]);
        assert_eq!(
            two.iter().map(Run::name).collect::<Vec<_>>(),
            ["CCSIDR_EL1[3]", "CCSIDR_EL1[4]"]
        );
        assert_eq!(runs([]), []);
    }
}
