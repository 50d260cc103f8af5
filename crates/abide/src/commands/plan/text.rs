//! Plans as text.

use super::{Cell, Table};
use abide_contract::rules::name;
use abide_contract::{Plan, Step, Verdict, runs};
use std::fmt::Write;

/// Where rows and columns of a table meet.
const CORNER: &str = "from \\ to";

/// The whole answer: for one guest and one host its plan, else a table and what is refused.
pub fn table(table: &Table, all: bool) -> String {
    let mut out = String::new();
    if let [cell] = table.cells().collect::<Vec<_>>().as_slice() {
        one(&mut out, cell, all);
        return out;
    }
    overview(&mut out, table);
    for cell in table.cells() {
        let plans = [Some((&cell.there, "")), cell.back.as_ref().map(|back| (back, ", way home"))];
        for (plan, which) in plans.into_iter().flatten() {
            if all || !plan.is_fine() {
                let _ = writeln!(out, "\n{} -> {}{which}", plan.guest, plan.host);
                steps(&mut out, plan, |step| all || matches!(step.verdict, Verdict::Refuse(_)));
            }
        }
    }
    out
}

fn one(out: &mut String, cell: &Cell, all: bool) {
    let plan = &cell.there;
    let fine = |plan: &Plan| if plan.is_fine() { "can go" } else { "cannot go" };
    let _ = writeln!(out, "{} -> {}: {}", plan.guest, plan.host, fine(plan));
    details(out, plan, all);
    if let Some(back) = &cell.back {
        let _ = writeln!(out, "\nand home, {} -> {}: {}", plan.host, back.host, fine(back));
        details(out, back, all);
    }
}

fn details(out: &mut String, plan: &Plan, all: bool) {
    let counts = plan.counts();
    let accepted = match counts.accepted {
        0 => String::new(),
        accepted => format!("{accepted} accepted, "),
    };
    let _ = writeln!(
        out,
        "  {} registers: {} carried, {} written once, {} masked, {} kept as the original, \
         {accepted}{} dropped, {} refused",
        plan.steps.len(),
        counts.carried,
        counts.written_once,
        counts.masked,
        counts.original,
        counts.dropped,
        counts.refused
    );
    steps(out, plan, |step| all || !is_plain(step));
    for extra in &plan.extras {
        if all || extra.write.is_some() {
            let _ =
                writeln!(out, "  {:<10} {:<20} {}", "only there", name(extra.id), extra.reason());
        }
    }
}

/// Whether there is nothing to say about it.
fn is_plain(step: &Step) -> bool {
    matches!(step.verdict, Verdict::Carry | Verdict::WriteOnce) && step.how.is_none()
}

fn steps(out: &mut String, plan: &Plan, shown: impl Fn(&Step) -> bool) {
    for run in runs(plan.steps.iter().filter(|step| shown(step))) {
        let step = &run.step;
        let value = step.value.as_ref().map(|value| format!("{value}: ")).unwrap_or_default();
        let _ = writeln!(
            out,
            "  {:<10} {:<20} {value}{}",
            step.verdict.word(),
            of_scope(step, run.name()),
            step.reason()
        );
    }
    // One remedy helps many registers.
    let mut remedies: Vec<(String, Vec<String>)> = Vec::new();
    for step in plan.refusals() {
        let Some(remedy) = step.remedy() else { continue };
        match remedies.iter_mut().find(|(known, _)| *known == remedy) {
            Some((_, registers)) => registers.push(register(step)),
            None => remedies.push((remedy, vec![register(step)])),
        }
    }
    for (remedy, registers) in remedies {
        let more = if registers.len() > 3 {
            format!(" and {} more", registers.len() - 3)
        } else {
            String::new()
        };
        let names: Vec<&str> = registers.iter().take(3).map(String::as_str).collect();
        let _ = writeln!(out, "  for {}{more}: {remedy}", names.join(", "));
    }
}

/// The register's name, with the vCPU if it is not the first.
pub fn register(step: &Step) -> String {
    of_scope(step, name(step.id))
}

fn of_scope(step: &Step, register: String) -> String {
    match step.scope {
        abide_reg::Scope::Vcpu(vcpu) if vcpu.0 > 0 => format!("{vcpu} {register}"),
        abide_reg::Scope::Device(_) => format!("{} {register}", step.scope),
        _ => register,
    }
}

/// A cell in a few words.
pub fn summary(cell: &Cell) -> String {
    let there = words(&cell.there);
    match &cell.back {
        None => there,
        Some(back) => format!("{there}; home {}", words(back)),
    }
}

fn words(plan: &Plan) -> String {
    let counts = plan.counts();
    let mut text =
        if counts.refused > 0 { format!("REFUSED {}", counts.refused) } else { "fine".to_owned() };
    for (count, word) in [
        (counts.masked, "masked"),
        (counts.original, "original"),
        (counts.accepted, "accepted"),
        (counts.dropped, "dropped"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {word}");
        }
    }
    text
}

fn overview(out: &mut String, table: &Table) {
    let cells = table.rows.iter().map(|row| row.iter().map(summary).collect());
    let rows: Vec<Vec<String>> = cells.collect();
    let guests = table.guests.iter().map(|guest| guest.chars().count());
    let first = guests.max().unwrap_or(0).max(CORNER.len());
    let columns: Vec<usize> = (0..table.hosts.len())
        .map(|n| {
            let cells = rows.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count());
            cells.max().unwrap_or(0).max(table.hosts[n].chars().count())
        })
        .collect();
    let mut line = |head: &str, cells: &[String]| {
        let _ = write!(out, "{head:<first$}");
        for (cell, width) in cells.iter().zip(&columns) {
            let _ = write!(out, "  {cell:<width$}");
        }
        let end = out.trim_end().len();
        out.truncate(end);
        out.push('\n');
    };
    line(CORNER, &table.hosts);
    for (guest, row) in table.guests.iter().zip(&rows) {
        line(guest, row);
    }
}
