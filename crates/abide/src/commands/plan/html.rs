//! Plans as one self-contained page.

use super::text::{register, summary};
use super::{Cell, Table};
use crate::html::escape;
use abide_contract::rules::name;
use abide_contract::{Plan, Step, Verdict};
use std::fmt::Write;

const STYLE: &str = "
body{font:16px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;
color:#1c2430;background:#fff}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.5rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;
padding:.3rem .6rem;border-bottom:1px solid #dde3ea}
code{font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}
.fine{background:#e5f4ec}.refused{background:#fbe4e2}a{color:inherit}
.refuse td:first-child{color:#b3261e;font-weight:600}
.drop td:first-child,.accept td:first-child{color:#8a5a00}
.mask td:first-child,.original td:first-child{color:#1f5fa8}
summary{cursor:pointer;color:#5b6b7d}.remedy{color:#5b6b7d}";

/// The page.
pub fn page(table: &Table) -> String {
    let mut out = format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content='width=device-width'><title>abide plan</title>\
         <style>{STYLE}</style><h1>Where guests can go</h1>\
         <p>Each row is a guest, each column a host. A cell leads to what becomes of every \
         register.\
         <table><tr><th>from \\ to"
    );
    for host in &table.hosts {
        let _ = write!(out, "<th>{}", escape(host));
    }
    let mut number = 0;
    for (guest, row) in table.guests.iter().zip(&table.rows) {
        let _ = write!(out, "<tr><th>{}", escape(guest));
        for cell in row {
            let class = if cell.is_fine() { "fine" } else { "refused" };
            let _ = write!(
                out,
                "<td class={class}><a href='#p{number}'>{}</a>",
                escape(&summary(cell))
            );
            number += 1;
        }
    }
    out.push_str("</table>");
    for (number, cell) in table.cells().enumerate() {
        section(&mut out, number, cell);
    }
    out.push_str("</html>\n");
    out
}

fn section(out: &mut String, number: usize, cell: &Cell) {
    let there = &cell.there;
    let _ = write!(
        out,
        "<h2 id=p{number}>{} &rarr; {}</h2>",
        escape(&there.guest),
        escape(&there.host)
    );
    plan(out, there);
    if let Some(back) = &cell.back {
        let _ =
            write!(out, "<h2>And home: {} &rarr; {}</h2>", escape(&there.host), escape(&back.host));
        plan(out, back);
    }
}

fn plan(out: &mut String, plan: &Plan) {
    let is_plain = |step: &&Step| matches!(step.verdict, Verdict::Carry | Verdict::WriteOnce);
    let (plain, special): (Vec<&Step>, Vec<&Step>) = plan.steps.iter().partition(is_plain);
    // What stands against the move comes first.
    let (refused, other): (Vec<&Step>, Vec<&Step>) =
        special.into_iter().partition(|step| matches!(step.verdict, Verdict::Refuse(_)));
    rows(out, refused.into_iter().chain(other));
    let _ = write!(
        out,
        "<details><summary>{} registers are written as they are</summary>",
        plain.len()
    );
    rows(out, plain.into_iter());
    out.push_str("</details>");
    if plan.extras.is_empty() {
        return;
    }
    let _ = write!(
        out,
        "<details><summary>{} registers are only there</summary><table><tr><th>register<th>what \
         is done",
        plan.extras.len()
    );
    for extra in &plan.extras {
        let _ = write!(out, "<tr><td>{}<td>{}", escape(&name(extra.id)), escape(&extra.reason()));
    }
    out.push_str("</table></details>");
}

fn rows<'a>(out: &mut String, steps: impl Iterator<Item = &'a Step>) {
    let mut steps = steps.peekable();
    if steps.peek().is_none() {
        return;
    }
    out.push_str("<table><tr><th>verdict<th>register<th>value<th>why");
    for step in steps {
        let word = step.verdict.word();
        let value = step.value.as_ref().map(ToString::to_string).unwrap_or_default();
        let _ = write!(
            out,
            "<tr class={word}><td>{word}<td>{}<br><code>{}</code><td><code>{}</code><td>{}",
            escape(&register(step)),
            escape(&step.id.to_string()),
            escape(&value),
            escape(&step.reason())
        );
        if let Some(remedy) = step.remedy() {
            let _ = write!(out, "<div class=remedy>{}</div>", escape(&remedy));
        }
    }
    out.push_str("</table>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_file_cannot_become_markup() {
        let plan = Plan {
            guest: "<script>alert(1)</script>".to_owned(),
            host: "'&".to_owned(),
            steps: Vec::new(),
            extras: Vec::new(),
        };
        let table = Table {
            guests: vec![plan.guest.clone()],
            hosts: vec![plan.host.clone()],
            rows: vec![vec![Cell { there: plan, back: None }]],
        };
        let page = page(&table);
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
        assert!(page.contains("<th>&#39;&amp;"));
    }
}
