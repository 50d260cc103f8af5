//! The guest that is handed over: it counts on its console.

use crate::abide::live::{Abide, Process};
use anyhow::{Result, bail};

/// The numbers on a console, of those lines that are nothing else.
pub fn numbers(console: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(console);
    // The last line may not be whole.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

/// Whether they are each the one before plus one, from 1: what lives twice says one twice, what
/// was lost is missing, and what was put back in time says one again. `lost` of them may have been
/// lost with a process that was killed.
pub fn check_numbers(numbers: &[u64], mut lost: u64) -> Result<()> {
    let mut before = 0;
    for &number in numbers {
        let missing = number.checked_sub(before + 1);
        let Some(missing) = missing.filter(|missing| *missing <= lost) else {
            bail!("the guest counted {before}, and then {number}");
        };
        lost -= missing;
        before = number;
    }
    Ok(())
}

/// The guest that comes with abide, with a pattern in its memory, counting.
pub fn counting_guest(abide: &Abide, name: &str) -> Result<Process> {
    let command = abide.command(&["run", name, "--engine", "soft", "--memory", "32M"]);
    let mut guest = Process::start(name, command, abide.words_of(name))?;
    guest.await_text(0, "abide> ")?;
    guest.type_in("mem\n")?;
    guest.await_text(0, "KiB, hash")?;
    guest.type_in("count 1000000\n")?;
    guest.await_text(0, "\n2\r\n")?;
    Ok(guest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_that_are_numbers_count() {
        assert_eq!(numbers(b"abide> count 9\r\n1\r\n2\r\nx 3\r\n4"), [1, 2]);
    }

    #[test]
    fn second_life_lost_number_and_step_back_are_noticed() {
        assert!(check_numbers(&[1, 2, 3], 0).is_ok());
        assert!(check_numbers(&[1, 2, 2, 3], 9).is_err());
        assert!(check_numbers(&[1, 2, 1], 9).is_err());
        assert!(check_numbers(&[1, 3], 0).is_err());
        assert!(check_numbers(&[1, 3], 1).is_ok());
        assert!(check_numbers(&[1, 3, 5], 1).is_err());
    }
}
