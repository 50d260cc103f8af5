//! The matrix: kernels, numbers of vCPUs and both kinds of time, each through files, and a table
//! of what came out.
//!
//! Rows that were not run keep what stands in the table, so that it can be made in parts.

use super::guest::{Choice, Guest, Root, Time};
use super::{CHECKS, said, short_checks};
use crate::debian::kernel;
use crate::oracle::KERNELS;
use crate::paths;
use crate::tally::Count;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Between these the table stands in its page.
const MARKS: (&str, &str) = ("<!-- table: begin -->\n", "<!-- table: end -->\n");
const HEAD: &str = "| kernel | package | vCPUs | time | checks | saves | result |\n\
                    |---|---|---|---|---|---|---|\n";

#[derive(clap::Args)]
pub struct Arguments {
    /// Only these kernel series
    #[arg(long = "kernel", value_name = "SERIES", default_values_t = KERNELS.map(String::from))]
    kernels: Vec<String>,
    /// Only these numbers of vCPUs
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 2, 4, 8])]
    vcpus: Vec<u32>,
    /// Only this kind of time
    #[arg(long, value_enum)]
    time: Option<Time>,
    /// Only these sets of checks
    #[arg(long, value_enum)]
    set: Option<Set>,
    /// How often each guest is saved and restored
    #[arg(long, default_value_t = 10)]
    saves: u32,
}

/// Which checks a guest runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Set {
    /// A few of each kind
    Short,
    /// All, with GCC, Python and Python's own tests
    All,
}

impl Set {
    const fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::All => "all",
        }
    }

    fn with(self) -> Vec<String> {
        let sets = CHECKS.iter().filter_map(|check| check.set);
        if self == Self::All { sets.map(str::to_owned).collect() } else { Vec::new() }
    }

    fn checks(self) -> Vec<String> {
        match self {
            Self::Short => short_checks(),
            Self::All => CHECKS.iter().map(|check| check.name.to_owned()).collect(),
        }
    }
}

/// A row's place in the table.
type Key = (String, u32, String, String);

pub fn run(arguments: &Arguments, count: &mut Count) -> Result<()> {
    for kernel in &arguments.kernels {
        for &vcpus in &arguments.vcpus {
            for (time, set) in cells(kernel, vcpus) {
                let is_wanted = arguments.time.is_none_or(|wanted| wanted == time)
                    && arguments.set.is_none_or(|wanted| wanted == set);
                if is_wanted {
                    cell(kernel, vcpus, time, set, arguments.saves, count)?;
                }
            }
        }
    }
    ensure!(*count != Count::default(), "no row is like that");
    Ok(())
}

/// The short set everywhere, and all of it where most guests are.
fn cells(kernel: &str, vcpus: u32) -> Vec<(Time, Set)> {
    let mut cells = vec![(Time::Lockstep, Set::Short), (Time::Threads, Set::Short)];
    if kernel == "6.12" && vcpus == 1 {
        cells.push((Time::Lockstep, Set::All));
    }
    if kernel == "6.12" && vcpus == 2 {
        cells.push((Time::Threads, Set::All));
    }
    cells
}

fn cell(
    kernel: &str,
    vcpus: u32,
    time: Time,
    set: Set,
    saves: u32,
    count: &mut Count,
) -> Result<()> {
    let (with, checks) = (set.with(), set.checks());
    let limit = Duration::from_secs(4 * 60 * 60);
    let choice =
        Choice { kernel: kernel.to_owned(), vcpus, time, root: Root::Disk, with, checks, limit };
    let checks = choice.checks.clone();
    let result = Guest::new(choice)?.abide(saves).and_then(|life| {
        let compared = said::compare(&life.console, &checks)?;
        let wrong: Vec<String> = compared
            .into_iter()
            .filter_map(|(name, difference)| Some(format!("{name}: {}", difference?)))
            .collect();
        ensure!(wrong.is_empty(), "{}", wrong.join("; "));
        Ok(life)
    });
    *count += Count::one(result.is_ok());
    let result = match result {
        Ok(life) => format!("right; {} million instructions", life.instructions / 1_000_000),
        Err(error) => format!("FAILED: {error:#}"),
    };
    println!("{kernel}, {vcpus} vCPUs, {time}, {}, {saves} saves: {result}", set.name());
    let (package, version) = kernel::origin(kernel)?;
    // One line, and no end of a cell in it.
    let result = result.lines().next().unwrap_or_default().replace('|', "/");
    let row = format!(
        "| {kernel} | {package} {version} | {vcpus} | {time} | {} | {saves} | {result} |",
        set.name()
    );
    let page = page();
    let text = fs::read_to_string(&page).with_context(|| format!("reading {page:?}"))?;
    fs::write(&page, with_row(&text, &row)?).with_context(|| format!("writing {page:?}"))
}

fn page() -> PathBuf {
    paths::root().join("docs/userland.md")
}

/// The page with this row new or in place of the one like it.
fn with_row(page: &str, row: &str) -> Result<String> {
    let (before, rest) = page.split_once(MARKS.0).context("no table begins in the page")?;
    let (table, after) = rest.split_once(MARKS.1).context("no table ends in the page")?;
    let mut rows: BTreeMap<Key, &str> =
        table.lines().filter_map(|line| Some((key(line)?, line))).collect();
    rows.insert(key(row).context("a row of the table")?, row);
    let table: String = rows.values().map(|row| format!("{row}\n")).collect();
    Ok([before, MARKS.0, HEAD, &table, MARKS.1, after].concat())
}

/// What makes a row the same as another: all that was chosen but the number of saves.
fn key(row: &str) -> Option<Key> {
    let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
    let &[kernel, _, vcpus, time, set, ..] = cells.as_slice() else { return None };
    // "6.12" is later than "6.1" in the order of text too.
    Some((kernel.to_owned(), vcpus.parse().ok()?, time.to_owned(), set.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_take_their_place() {
        let row = |vcpus: u32, result: &str| {
            format!("| 6.12 | linux 1 | {vcpus} | threads | short | 10 | {result} |")
        };
        let empty = format!("before\n{}{}after\n", MARKS.0, MARKS.1);
        let one = with_row(&empty, &row(8, "right")).expect("a page");
        let two = with_row(&one, &row(2, "FAILED")).expect("a page");
        let three = with_row(&two, &row(2, "right")).expect("a page");
        let table = format!("{HEAD}{}\n{}\n", row(2, "right"), row(8, "right"));
        assert_eq!(three, format!("before\n{}{table}{}after\n", MARKS.0, MARKS.1));
        assert!(with_row("no table", &row(1, "right")).is_err());
    }

    #[test]
    fn each_cell_of_the_matrix_is_there() {
        let all = KERNELS.iter().flat_map(|kernel| [1, 2, 4, 8].map(|vcpus| cells(kernel, vcpus)));
        assert_eq!(all.map(|cells| cells.len()).sum::<usize>(), 3 * 4 * 2 + 2);
        assert_eq!(Set::All.with(), ["gcc", "python", "python-tests"]);
    }
}
