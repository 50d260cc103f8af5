//! Contracts as text.

use super::read::{self, Node, ReadError, ReadProblem};
use super::write::{SECTIONS, comment, key, quoted, value_text};
use super::{Kind, MAX_REGISTERS};
use crate::contract::{Contract, Pinned};
use crate::profile::Whose;
use crate::rules;
use std::fmt::Write as _;

/// Reads a contract.
///
/// # Errors
/// [`ReadError`], with the line and what is allowed.
pub fn read_contract(text: &str) -> Result<Contract, ReadError> {
    let document = read::parse(text)?;
    let root = Node::root(&document, text);
    let name = root.head(Kind::Contract)?;
    root.only(
        &["format", "version", "architecture", "name", "derived_from", "vm", "vcpu", "state"],
        "format, version, architecture, name, derived_from, vm, vcpu, state",
    )?;
    let mut contract = Contract { name, ..Contract::default() };
    if let Some(list) = root.optional("derived_from") {
        contract.derived_from = read::texts(&list)?.into_iter().map(str::to_owned).collect();
    }
    for scope in SECTIONS {
        if let Some(section) = root.optional(scope.word()) {
            read_pinned(&section, scope, &mut contract)?;
        }
    }
    if let Some(state) = root.optional("state") {
        state.only(&["vm", "vcpu"], "vm, vcpu")?;
        for scope in SECTIONS {
            if let Some(list) = state.optional(scope.word()) {
                read_state(&list, scope, &mut contract)?;
            }
        }
    }
    Ok(contract)
}

fn read_pinned(section: &Node, scope: Whose, contract: &mut Contract) -> Result<(), ReadError> {
    for (key, node) in section.entries()? {
        let id = read::id_at(key, &node)?;
        let value = node.value()?;
        if read::width_in(id).is_some_and(|width| width != value.width()) {
            let text = "its identity and its value tell different sizes".to_owned();
            return Err(node.problem(ReadProblem::Contradiction(text)));
        }
        if !rules::can_be_promised(id) {
            let text = "a register of plain state has no value that could be promised; list it \
                        under [state]";
            return Err(node.problem(ReadProblem::Contradiction(text.to_owned())));
        }
        if contract.pinned.insert(id, Pinned { scope, value }).is_some() {
            return Err(node.problem(ReadProblem::Twice));
        }
        limit(section, contract)?;
    }
    Ok(())
}

fn read_state(list: &Node, scope: Whose, contract: &mut Contract) -> Result<(), ReadError> {
    for text in read::texts(list)? {
        let id = read::id_at(text, list)?;
        if contract.pinned.contains_key(&id) || contract.state.insert(id, scope).is_some() {
            let text = format!("{id} stands there twice");
            return Err(list.problem(ReadProblem::Contradiction(text)));
        }
        limit(list, contract)?;
    }
    Ok(())
}

fn limit(node: &Node, contract: &Contract) -> Result<(), ReadError> {
    if contract.pinned.len() + contract.state.len() > MAX_REGISTERS {
        return Err(node.problem(ReadProblem::TooMany));
    }
    Ok(())
}

/// A contract as the bytes that travel with its guest: as [`write_contract`] makes them, without
/// comments and padding, which may change from version to version.
#[must_use]
pub fn canonical_contract(contract: &Contract) -> String {
    let mut out = head(contract);
    for scope in SECTIONS {
        let _ = writeln!(out, "[{}]", scope.word());
        for (id, pinned) in contract.pinned.iter().filter(|(_, pinned)| pinned.scope == scope) {
            let _ = writeln!(out, "\"{id}\" = {}", value_text(&pinned.value));
        }
    }
    out += "[state]\n";
    for scope in SECTIONS {
        let ids = contract.state.iter().filter(|(_, of)| **of == scope);
        let ids: Vec<String> = ids.map(|(id, _)| format!("\"{id}\"")).collect();
        let _ = writeln!(out, "{} = [{}]", scope.word(), ids.join(", "));
    }
    out
}

fn head(contract: &Contract) -> String {
    let from: Vec<String> = contract.derived_from.iter().map(|name| quoted(name)).collect();
    format!(
        "format = \"{}\"\nversion = {}\narchitecture = \"{}\"\nname = {}\nderived_from = [{}]\n",
        Kind::Contract.word(),
        read::VERSION,
        read::ARCHITECTURE,
        quoted(&contract.name),
        from.join(", ")
    )
}

/// Writes a contract, with the registers' names as comments.
#[must_use]
pub fn write_contract(contract: &Contract) -> String {
    let mut out = String::from(
        "# What a guest was promised at birth; see docs/profile-format.md. It never changes while \
         the\n# guest lives.\n",
    );
    out += &head(contract);
    for scope in SECTIONS {
        let about = match scope {
            Whose::Vm => "\n# What the guest reads on every host, one for the VM.\n[vm]\n",
            Whose::Vcpu => "\n# The same, one for each vCPU.\n[vcpu]\n",
        };
        out += about;
        for (id, pinned) in contract.pinned.iter().filter(|(_, pinned)| pinned.scope == scope) {
            let _ = writeln!(out, "{} = {}{}", key(*id), value_text(&pinned.value), comment(*id));
        }
    }
    out += "\n# What is there to read and write, with whatever the guest put there.\n[state]\n";
    for scope in SECTIONS {
        let _ = writeln!(out, "{} = [", scope.word());
        for id in contract.state.iter().filter(|(_, of)| **of == scope).map(|(id, _)| *id) {
            let _ = writeln!(out, "    \"{id}\",{}", comment(id));
        }
        out += "]\n";
    }
    out
}
