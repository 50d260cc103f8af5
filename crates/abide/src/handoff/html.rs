//! A handoff as one self-contained page, the time for which the guest stood still drawn to scale.

use super::HandoffReport;
use super::report::ms;
use crate::html::escape;
use std::fmt::Write;

const STYLE: &str = "
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1c2430;background:#fff}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse}th,td{text-align:right;padding:.2rem .8rem;
border-bottom:1px solid #dde3ea}th:first-child,td:first-child{text-align:left}
code{font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}";

/// Of the shares, in their order.
const COLORS: [&str; 9] = [
    "#2f7dd1", "#0a8f6a", "#c77700", "#8a4fbf", "#5b6b7d", "#d1495b", "#2a9d9d", "#9a8c00",
    "#b3261e",
];
/// The bar's length, in pixels.
const BAR: f64 = 900.0;

/// The page.
pub fn page(name: &str, report: &HandoffReport) -> String {
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content='width=device-width'><title>abide migrate</title>\
         <style>{STYLE}</style><h1>{} was handed over</h1>\
         <p>It goes on at <code>{}</code>, in epoch {}. Its memory went by {}; its own number is \
         <code>{}</code>.",
        escape(name),
        escape(&report.to),
        report.epoch,
        escape(&report.memory),
        escape(&report.guest),
    );
    standstill(&mut page, "As its source saw it", report.blackout_ns, &report.shares());
    rounds(&mut page, report);
    page.push_str("</html>\n");
    page
}

/// For how long a guest stood still and for what: a bar to scale, and its figures.
pub fn standstill(page: &mut String, title: &str, total_ns: u64, shares: &[(&str, u64)]) {
    let scale = |ns: u64| if total_ns == 0 { 0.0 } else { ms(ns) / ms(total_ns) };
    let _ = write!(
        page,
        "<h2>{}: {:.2} ms</h2><svg role=img aria-label='shares of the standstill' width=100% \
         viewBox='0 0 {BAR} 40'>",
        escape(title),
        ms(total_ns)
    );
    let mut from = 0.0;
    for ((name, ns), color) in shares.iter().zip(COLORS.iter().cycle()) {
        let len = scale(*ns) * BAR;
        let _ = write!(
            page,
            "<rect x='{from:.2}' y='4' width='{len:.2}' height='32' fill='{color}'>\
             <title>{}: {:.2} ms</title></rect>",
            escape(name),
            ms(*ns)
        );
        from += len;
    }
    page.push_str("</svg><table><tr><th>for<th>ms<th>share");
    for ((name, ns), color) in shares.iter().zip(COLORS.iter().cycle()) {
        let _ = write!(
            page,
            "<tr><td><span style='color:{color}'>&#9632;</span> {}<td>{:.2}<td>{:.0} %",
            escape(name),
            ms(*ns),
            scale(*ns) * 100.0
        );
    }
    page.push_str("</table>");
}

/// What was copied, and when.
fn rounds(page: &mut String, report: &HandoffReport) {
    if report.copied.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Rounds of memory</h2><table><tr><th>round<th>pages<th>KiB on the connection<th>ms\
         <th>MiB/s",
    );
    for (n, round) in report.copied.iter().enumerate() {
        let while_what = if round.is_last { " (it stood still)" } else { "" };
        let _ = write!(
            page,
            "<tr><td>{n}{while_what}<td>{}<td>{}<td>{:.2}<td>{}",
            round.pages,
            round.bytes >> 10,
            ms(round.sending_ns),
            round.bytes_per_s() >> 20
        );
    }
    page.push_str("</table>");
}

#[cfg(test)]
mod tests {
    use super::super::CopiedRound;
    use super::*;

    fn report() -> HandoffReport {
        let round = |pages, is_last| CopiedRound {
            pages,
            bytes: pages * 4096,
            sending_ns: 4_000_000,
            is_last,
        };
        let mut report = HandoffReport {
            to: "tcp:<b>:1".to_owned(),
            epoch: 2,
            pause_ns: 1_000_000,
            prepare_ns: 3_000_000,
            copied: vec![round(512, false), round(7, true)],
            ..HandoffReport::default()
        };
        report.sum_up();
        report
    }

    #[test]
    fn shares_are_drawn_to_scale() {
        let page = page("web", &report());
        assert!(page.contains("4.00 ms</h2>"), "{page}");
        assert!(page.contains("<rect x='0.00' y='4' width='225.00'"), "{page}");
        assert!(page.contains("<rect x='225.00' y='4' width='675.00'"), "{page}");
        assert!(page.contains("prepare there<td>3.00<td>75 %"), "{page}");
        assert!(page.contains("<td>512<td>2048<td>4.00<td>500"), "{page}");
        assert!(page.contains("1 (it stood still)<td>7"), "{page}");
    }

    #[test]
    fn nothing_at_all_is_drawn_too() {
        let page = page("web", &HandoffReport::default());
        assert!(!page.contains("NaN") && !page.contains("Rounds"), "{page}");
    }

    #[test]
    fn hostile_names_cannot_become_markup() {
        let page = page("<script>'", &report());
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;&#39; was"), "{page}");
        assert!(!page.contains("<b>") && page.contains("tcp:&lt;b&gt;:1"), "{page}");
    }
}
