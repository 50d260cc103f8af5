//! The demo's report as one self-contained page.

use super::text::{capital, grouped, size};
use super::{DemoReport, Ending, Travel};
use crate::handoff::html::standstill;
use crate::html::escape;
use std::fmt::Write;

const STYLE: &str = "
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1c2430;background:#fff}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2rem}
.good{color:#0a6b3d}.bad{color:#b3261e;font-weight:600}
table{border-collapse:collapse;width:100%}
th,td{text-align:right;padding:.3rem .6rem;border-bottom:1px solid #dde3ea}
th:first-child,td:first-child{text-align:left}code,pre{font:13px/1.4 ui-monospace,monospace}
pre{background:#f4f6f8;padding:.8rem;white-space:pre-wrap;overflow-wrap:anywhere;
border-radius:4px;max-height:18rem;overflow-y:auto}
svg text{font:12px system-ui,sans-serif;fill:#1c2430}";

/// Geometry of the timeline, in pixels.
const LEFT: u64 = 130;
const BAR: u64 = 620;
const ROW: u64 = 30;

/// The page.
pub fn render(report: &DemoReport) -> String {
    let mut page = String::new();
    let verdict = if report.holds() {
        "<p class=good>Every run ended in the same state, to the last bit of memory and of every \
         register.</p>"
    } else {
        "<p class=bad>The runs did not end in the same state. This is a defect of abide.</p>"
    };
    let _ = write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content='width=device-width'><title>abide demo</title>\
         <style>{STYLE}</style><h1>A guest that never noticed</h1>{verdict}\
         <p>{} ran {} instructions with {} of memory. It ran again and was saved on the way; each \
         file was restored in a new process and ran to its own end.{}</p>",
        escape(&capital(&report.guest)),
        grouped(report.untouched.instructions),
        size(report.memory_bytes),
        if report.travel.is_some() {
            " Once more it ran, and was handed to another process and back meanwhile."
        } else {
            ""
        }
    );
    timeline(&mut page, report);
    table(&mut page, report);
    if let Some(travel) = &report.travel {
        travelled(&mut page, travel);
    }
    let _ = writeln!(
        page,
        "<h2>One byte flipped</h2><p>Byte {} of a file was changed. <code>abide verify</code> \
         ended with code {} and <code>abide restore</code> with code {}:</p><pre>{}</pre>\
         <h2>What the guest printed</h2><pre>{}</pre>\
         <h2>How to repeat this</h2><p>Time in these runs is made of executed instructions, so \
         every run is the same: <code>abide run --deterministic</code>. The hash is BLAKE3 over \
         every register and all of memory.</p></html>",
        report.flipped.offset,
        report.flipped.verify_exit,
        report.flipped.restore_exit,
        escape(&report.flipped.verify_says),
        escape(&report.console),
    );
    page
}

/// For how long it stood still on its ways, and for what.
fn travelled(page: &mut String, travel: &Travel) {
    for (way, moved) in ["there", "back"].iter().zip(&travel.moves) {
        let (handoff, arrival) = (&moved.handoff, &moved.arrival);
        let stood = |what| format!("Handed {way} while it ran, {what}");
        standstill(page, &stood("by the one"), handoff.blackout_ns, &handoff.shares());
        let shares = arrival.shares();
        let sum = shares.iter().map(|(_, ns)| ns).sum();
        standstill(page, &stood("what the other did of that"), sum, &shares);
    }
}

fn timeline(page: &mut String, report: &DemoReport) {
    let total = report.untouched.instructions.max(1);
    let travels = report.travel.iter().count() as u64;
    let rows = report.restores.len() as u64 + 2 + travels;
    let at = |instructions: u64| LEFT + (instructions * BAR / total).min(BAR);
    let _ = write!(
        page,
        "<h2>Timeline</h2><svg role=img aria-label='timeline of all runs' width=100% \
         viewBox='0 0 {} {}'>",
        LEFT + BAR + 70,
        rows * ROW + 30
    );
    row(page, 0, "untouched", LEFT, "#5b6b7d", "");
    row(page, 1, "saved on the way", LEFT, "#5b6b7d", mark(&report.saved_on_the_way));
    for (n, restore) in (0u64..).zip(&report.restores) {
        let x = at(restore.saved_at);
        row(page, n + 2, &format!("restored {}", n + 1), x, "#2f7dd1", mark(&restore.ending));
        let _ = write!(
            page,
            "<line x1={x} x2={x} y1={} y2={} stroke=#c77700 stroke-dasharray='3 3'/>\
             <circle cx={x} cy={} r=5 fill=#c77700 />",
            ROW + 12,
            (n + 2) * ROW + 12,
            ROW + 12
        );
    }
    if let Some(travel) = &report.travel {
        let n = rows - 1;
        row(page, n, "there and back", LEFT, "#5b6b7d", mark(&travel.ending));
        for moved in &travel.moves {
            let (x, y) = (at(moved.at), n * ROW + 12);
            let _ = write!(page, "<circle cx={x} cy={y} r=5 fill=#8a4fbf />");
        }
    }
    let axis = rows * ROW + 16;
    let _ = write!(
        page,
        "<text x={LEFT} y={axis}>first instruction</text>\
         <text x={} y={axis} text-anchor=end>{} instructions</text></svg>",
        LEFT + BAR,
        grouped(total)
    );
}

fn row(page: &mut String, n: u64, label: &str, from: u64, color: &str, mark: &str) {
    let y = n * ROW;
    let _ = write!(
        page,
        "<text x=0 y={}>{label}</text><rect x={from} y={} width={} height=10 rx=3 fill='{color}'/>\
         <text x={} y={}>{mark}</text>",
        y + 16,
        y + 7,
        LEFT + BAR - from,
        LEFT + BAR + 8,
        y + 16
    );
}

fn mark(ending: &Ending) -> &'static str {
    if ending.is_same() { "same" } else { "differs" }
}

fn table(page: &mut String, report: &DemoReport) {
    page.push_str(
        "<h2>Every end</h2><table><tr><th>run<th>saved at<th>file<th>instructions at the end\
         <th>state at the end<th>",
    );
    let mut line = |name: &str, saved_at: &str, file: &str, instructions: u64, hash: &str, end| {
        let (class, word) = match end {
            None => ("", ""),
            Some(true) => ("good", "same"),
            Some(false) => ("bad", "differs"),
        };
        let _ = write!(
            page,
            "<tr><td>{name}<td>{saved_at}<td>{file}<td>{}<td><code>{}…</code>\
             <td class={class:?}>{word}",
            grouped(instructions),
            hash.get(..16).unwrap_or("")
        );
    };
    let untouched = &report.untouched;
    line("untouched", "", "", untouched.instructions, &untouched.state_hash, None);
    let saved = &report.saved_on_the_way;
    line("saved on the way", "", "", saved.instructions, &saved.state_hash, Some(saved.is_same()));
    for (n, restore) in report.restores.iter().enumerate() {
        let ending = &restore.ending;
        line(
            &format!("restored {}", n + 1),
            &grouped(restore.saved_at),
            &size(restore.file_bytes),
            ending.instructions,
            &ending.state_hash,
            Some(ending.is_same()),
        );
    }
    if let Some(Travel { ending, .. }) = &report.travel {
        let (instructions, hash) = (ending.instructions, &ending.state_hash);
        line("there and back", "", "", instructions, hash, Some(ending.is_same()));
    }
    let _ = write!(page, "</table>");
}
