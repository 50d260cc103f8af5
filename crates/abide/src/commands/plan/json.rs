//! Plans for machines to read.

use super::{Cell, Table};
use abide_contract::rules::name;
use abide_contract::{Extra, Plan, Step};
use serde_json::{Value, json};

/// The whole answer.
pub fn table(table: &Table) -> Value {
    json!({
        "fine": table.is_fine(),
        "plans": table.cells().map(cell).collect::<Vec<_>>(),
    })
}

fn cell(cell: &Cell) -> Value {
    let mut value = plan(&cell.there);
    if let (Some(back), Some(object)) = (&cell.back, value.as_object_mut()) {
        object.insert("back".to_owned(), plan(back));
    }
    value
}

fn plan(plan: &Plan) -> Value {
    let counts = plan.counts();
    json!({
        "guest": plan.guest,
        "host": plan.host,
        "fine": plan.is_fine(),
        "counts": {
            "carry": counts.carried,
            "write-once": counts.written_once,
            "mask": counts.masked,
            "original": counts.original,
            "accept": counts.accepted,
            "drop": counts.dropped,
            "refuse": counts.refused,
        },
        "registers": plan.steps.iter().map(step).collect::<Vec<_>>(),
        "only_there": plan.extras.iter().map(extra).collect::<Vec<_>>(),
    })
}

fn step(step: &Step) -> Value {
    json!({
        "scope": step.scope.to_string(),
        "id": step.id.to_string(),
        "name": name(step.id),
        "value": step.value.as_ref().map(ToString::to_string),
        "verdict": step.verdict.word(),
        "reason": step.reason(),
        "remedy": step.remedy(),
    })
}

fn extra(extra: &Extra) -> Value {
    json!({
        "scope": extra.scope.word(),
        "id": extra.id.to_string(),
        "name": name(extra.id),
        "host": extra.host.as_ref().map(ToString::to_string),
        "write": extra.write.as_ref().map(ToString::to_string),
        "reason": extra.reason(),
    })
}
