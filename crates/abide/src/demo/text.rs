//! The demo's report for the terminal.

use super::{DemoReport, Ending, Travel};
use std::fmt::Write;
use std::path::Path;

/// Columns of the drawn timeline.
const WIDTH: u64 = 50;

/// The report as text.
pub fn render(report: &DemoReport, html: &Path) -> String {
    let mut out = String::new();
    let total = report.untouched.instructions.max(1);
    let line = |out: &mut String, text: &str| {
        let _ = writeln!(out, "{text}");
    };
    line(&mut out, &format!("\n{} ran {} instructions", capital(&report.guest), grouped(total)));
    line(&mut out, &format!("and ended in the state {}.\n", report.untouched.state_hash));
    let saves = marked(report.restores.iter().map(|restore| restore.saved_at), 'S', total);
    line(&mut out, &format!("  untouched       |{}|", "=".repeat(usize_of(WIDTH))));
    line(&mut out, &format!("  saved on the way|{saves}| {}", word(&report.saved_on_the_way)));
    for (n, restore) in report.restores.iter().enumerate() {
        let before = (restore.saved_at * WIDTH / total).min(WIDTH);
        let bar =
            format!("{}{}", " ".repeat(usize_of(before)), "=".repeat(usize_of(WIDTH - before)));
        line(&mut out, &format!("  restored {:<7}|{bar}| {}", n + 1, word(&restore.ending)));
    }
    if let Some(travel) = &report.travel {
        let (bar, word) =
            (marked(travel.moves.iter().map(|moved| moved.at), 'M', total), word(&travel.ending));
        line(&mut out, &format!("  there and back  |{bar}| {word}"));
    }
    line(&mut out, "\n  save  at instruction     file      output before   state at the end");
    for (n, restore) in report.restores.iter().enumerate() {
        line(
            &mut out,
            &format!(
                "  {:>4}  {:>14}  {:>9}  {:>10} bytes   {}…  {}",
                n + 1,
                grouped(restore.saved_at),
                size(restore.file_bytes),
                restore.console_bytes_before,
                restore.ending.state_hash.get(..16).unwrap_or(""),
                word(&restore.ending),
            ),
        );
    }
    travelled(&mut out, report.travel.as_ref());
    let named = if report.flipped.is_named() { "named and refused" } else { "NOT NAMED" };
    line(
        &mut out,
        &format!("\n  one byte flipped at {} of a file: {named}", report.flipped.offset),
    );
    for said in report.flipped.verify_says.lines() {
        line(&mut out, &format!("    {said}"));
    }
    let runs = report.restores.len() + 1 + usize::from(report.travel.is_some());
    let verdict = if report.holds() {
        format!("Every one of {runs} runs ended as if nothing had happened, to the last bit.")
    } else {
        "NOT the same. This is a defect of abide; please report it with the report file.".to_owned()
    };
    line(&mut out, &format!("\n{verdict}\nReport: {}", html.display()));
    out
}

/// A run that something was done to at each of `points`, in instructions.
fn marked(points: impl Iterator<Item = u64>, mark: char, total: u64) -> String {
    let mut bar = vec!['='; usize_of(WIDTH)];
    for point in points {
        bar[usize_of((point * WIDTH / total).min(WIDTH - 1))] = mark;
    }
    bar.into_iter().collect()
}

fn travelled(out: &mut String, travel: Option<&Travel>) {
    let Some(travel) = travel else {
        out.push_str("\n  never handed over: it ended before that\n");
        return;
    };
    for (way, moved) in ["there", "back"].iter().zip(&travel.moves) {
        let (at, stood) = (grouped(moved.at), moved.handoff.text());
        let _ = write!(out, "\n  handed {way} at instruction {at}, stood still for {stood}");
    }
    out.push('\n');
}

fn word(ending: &Ending) -> &'static str {
    match (ending.same_state, ending.same_instructions, ending.same_console) {
        (true, true, true) => "same",
        (false, ..) => "DIFFERENT STATE",
        (_, false, _) => "DIFFERENT LENGTH",
        (.., false) => "DIFFERENT OUTPUT",
    }
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// With a capital first letter.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `1234567` as `1 234 567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// Bytes in the largest unit that leaves a whole part.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(123), "123");
        assert_eq!(grouped(1_234_567), "1 234 567");
        assert_eq!(size(3 * 1024 * 1024 / 2), "1.5 MiB");
    }
}
