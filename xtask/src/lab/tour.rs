//! One life on many hosts.

use super::Arguments;
use super::abi::{self, Kind, Looks};
use super::host::{File, Host};
use super::stay::{self, Begin, Stay};
use crate::tasks::guests;
use anyhow::{Context, Result};
use std::fs;

/// The way of a guest that is born on the host it starts from: twice round.
const WAY: [&str; 6] = ["6.12", "7.2", "6.1", "6.12", "7.2", "6.1"];
/// Once round.
const ONCE: usize = 3;
/// What it is promised at birth: one of the contracts that come with abide.
const CONTRACT: &str = "debian-neoverse-n1";

/// The guest that judges goes from host to host by save and restore, and sees nothing of it.
///
/// # Errors
/// If a host refuses it, or it sees something.
pub fn of_abi(birth: &Host, arguments: &Arguments) -> Result<String> {
    let way = &WAY[..arguments.rounds(WAY.len(), ONCE)];
    let files = vec![File::data("abi.img", guests::abi()?)];
    let run = format!("{} --contract {CONTRACT}", abi::RUN);
    let born = Stay { name: "abi", begin: Begin::Run(&run), until: abi::UNTIL };
    let guest = Kind { cpu: &birth.cpu, is_promised: true };
    let judge = |_: &str, life: &str| Looks::of(life, guest).map(drop);
    let Life { said, hosts } = live(birth, files, born, way, judge, arguments.show)?;
    let Looks { values, count, excepted } = Looks::of(&said, guest)?;
    let excepted: Vec<String> = excepted.iter().map(ToString::to_string).collect();
    Ok(format!(
        "{} under {CONTRACT}: {count} looks at {values} values, no difference but {}",
        hosts.join(" → "),
        if excepted.is_empty() { "none".to_owned() } else { excepted.join(", ") }
    ))
}

/// A life that went over many hosts.
pub struct Life {
    /// All that the guest said.
    pub said: String,
    pub hosts: Vec<String>,
}

/// A guest is born on a host and goes to others by save and restore; it stays on each as long as
/// where it was born. `judge` is given what it had said before it came, and all until it left.
///
/// # Errors
/// If a host refuses it, or `judge` does.
pub fn live(
    birth: &Host,
    files: Vec<File>,
    born: Stay,
    way: &[&str],
    judge: impl Fn(&str, &str) -> Result<()>,
    show: bool,
) -> Result<Life> {
    let program = fs::read(crate::abide::build_for_arm()?)?;
    let Stay { name, until, .. } = born;
    let first = stay::alone(birth, &program, files, born, show)?;
    let mut life = Life { said: first.console.clone(), hosts: vec![birth.kernel.to_string()] };
    let mut file = first.saved()?;
    for &series in way {
        let host = Host::debian(series, &birth.cpu);
        let next = Stay { name, begin: Begin::Restore(&file), until };
        let next = stay::alone(&host, &program, Vec::new(), next, show)?;
        let before = life.said.clone();
        life.said += &next.console;
        file = next.saved().with_context(|| host.to_string())?;
        judge(&before, &life.said).with_context(|| host.to_string())?;
        life.hosts.push(series.to_owned());
    }
    Ok(life)
}
