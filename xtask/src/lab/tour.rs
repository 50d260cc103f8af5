//! One life on many hosts.

use super::abi::{self, Looks};
use super::host::{File, Host};
use super::stay::{self, Begin, Stay};
use crate::tasks::guests;
use anyhow::{Context, Result};
use std::fs;

/// The way of a guest that is born on the host it starts from: twice round.
const WAY: [&str; 6] = ["6.12", "7.2", "6.1", "6.12", "7.2", "6.1"];
/// What it is promised at birth: one of the contracts that come with abide.
const CONTRACT: &str = "debian-neoverse-n1";

/// The guest that judges goes from host to host by save and restore, and sees nothing of it.
///
/// # Errors
/// If a host refuses it, or it sees something.
pub fn of_abi(birth: &Host, show: bool) -> Result<String> {
    let program = fs::read(crate::abide::build_for_arm()?)?;
    let files = vec![File::data("abi.img", guests::abi()?)];
    let run = format!("{} --contract {CONTRACT}", abi::RUN);
    let born = Stay { name: "abi", begin: Begin::Run(&run), until: abi::UNTIL };
    let first = stay::alone(birth, &program, files, born, show)?;
    let mut life = first.console.clone();
    let mut file = first.saved()?;
    let mut hosts = vec![birth.kernel.to_string()];
    for series in WAY {
        let host = Host::debian(series, &birth.cpu);
        let next = Stay { name: "abi", begin: Begin::Restore(&file), until: abi::UNTIL };
        let next = stay::alone(&host, &program, Vec::new(), next, show)?;
        life += &next.console;
        file = next.saved().with_context(|| host.to_string())?;
        Looks::of(&life).with_context(|| host.to_string())?;
        hosts.push(series.to_owned());
    }
    let Looks { values, count, excepted } = Looks::of(&life)?;
    let excepted: Vec<String> = excepted.iter().map(ToString::to_string).collect();
    Ok(format!(
        "{} under {CONTRACT}: {count} looks at {values} values, no difference but {}",
        hosts.join(" → "),
        if excepted.is_empty() { "none".to_owned() } else { excepted.join(", ") }
    ))
}
