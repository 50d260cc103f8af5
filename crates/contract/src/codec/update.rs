//! Bringing a contract's text up to date without losing what people wrote into it.

use super::contract::read_contract;
use super::read::{ReadError, ReadProblem, parse_id};
use super::write::{SECTIONS, comment, value_text};
use crate::contract::{Contract, Pinned};
use abide_reg::RegId;
use std::collections::BTreeSet;
use toml_edit::{Array, DocumentMut, Item, TableLike, Value};

/// Brings the text of a contract up to date, and keeps its comments. Registers that are promised no
/// more go with theirs; new ones are added at the end of their section.
///
/// # Errors
/// [`ReadError`] if `old` is no contract.
pub fn update_contract(old: &str, contract: &Contract) -> Result<String, ReadError> {
    read_contract(old)?;
    let mut document: DocumentMut = old.parse().map_err(|error: toml_edit::TomlError| {
        let problem = ReadProblem::Syntax(error.message().chars().take(200).collect());
        ReadError { line: None, place: String::new(), problem }
    })?;
    let root: &mut dyn TableLike = document.as_table_mut();
    put(root, "name", contract.name.as_str().into());
    let from: Array = contract.derived_from.iter().map(String::as_str).collect();
    put(root, "derived_from", from.into());
    for scope in SECTIONS {
        let of_scope = contract.pinned.iter().filter(|(_, pinned)| pinned.scope == scope);
        if let Some(section) = section(root, scope.word()) {
            update_pinned(section, of_scope);
        }
    }
    if let Some(state) = section(root, "state") {
        for scope in SECTIONS {
            let of_scope = contract.state.iter().filter(|(_, of)| **of == scope);
            let ids = of_scope.map(|(id, _)| *id).collect();
            let list = state.entry(scope.word()).or_insert(Item::Value(Array::new().into()));
            if let Some(list) = list.as_array_mut() {
                update_state(list, ids);
            }
        }
    }
    Ok(document.to_string())
}

/// The table of this name, made if it is not there; `None` if something else is, which a contract
/// that was read has not.
fn section<'a>(parent: &'a mut dyn TableLike, name: &str) -> Option<&'a mut dyn TableLike> {
    parent.entry(name).or_insert_with(toml_edit::table).as_table_like_mut()
}

/// Sets a value in the place of the old one, with the comments and spaces around it.
fn put(table: &mut dyn TableLike, key: &str, mut value: Value) {
    if let Some(old) = table.get(key).and_then(Item::as_value) {
        *value.decor_mut() = old.decor().clone();
    }
    match table.get_mut(key) {
        Some(item) => *item = Item::Value(value),
        None => {
            table.insert(key, Item::Value(value));
        }
    }
}

fn update_pinned<'a>(
    section: &mut dyn TableLike,
    pinned: impl Iterator<Item = (&'a RegId, &'a Pinned)>,
) {
    let mut gone: BTreeSet<String> = section.iter().map(|(key, _)| key.to_owned()).collect();
    for (id, Pinned { value, .. }) in pinned {
        // The key may be spelled in another way than it would be written.
        let known = gone.iter().find(|key| parse_id(key) == Some(*id)).cloned();
        let text = value_text(value);
        let mut value = Value::from(text.trim_matches('"'));
        match known {
            Some(key) => {
                gone.remove(&key);
                put(section, &key, value);
            }
            None => {
                value.decor_mut().set_prefix(" ");
                value.decor_mut().set_suffix(comment(*id));
                put(section, &id.to_string(), value);
            }
        }
    }
    for key in gone {
        section.remove(&key);
    }
}

fn update_state(list: &mut Array, mut ids: BTreeSet<RegId>) {
    let in_list = |value: &Value| value.as_str().and_then(parse_id);
    list.retain(|value| in_list(value).is_some_and(|id| ids.contains(&id)));
    for value in list.iter() {
        if let Some(id) = in_list(value) {
            ids.remove(&id);
        }
    }
    for id in ids {
        let mut value = Value::from(id.to_string());
        value.decor_mut().set_prefix("\n    ");
        list.push_formatted(value);
    }
    list.set_trailing_comma(true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::write_contract;
    use crate::profile::Whose;
    use abide_reg::Value as RegValue;

    const PSCI: RegId = RegId::Kvm(0x6030_0000_0014_0000);
    const CLIDR: RegId = RegId::Kvm(0x6030_0000_0013_c801);
    const SCTLR: RegId = RegId::Kvm(0x6030_0000_0013_c080);
    const TTBR0: RegId = RegId::Kvm(0x6030_0000_0013_c100);

    fn contract(pinned: &[(RegId, u64)], state: &[RegId]) -> Contract {
        let pin = |&(id, value): &(RegId, u64)| {
            (id, Pinned { scope: Whose::Vm, value: RegValue::u64(value) })
        };
        Contract {
            name: "fleet".to_owned(),
            derived_from: vec!["a".to_owned()],
            pinned: pinned.iter().map(pin).collect(),
            state: state.iter().map(|id| (*id, Whose::Vcpu)).collect(),
        }
    }

    #[test]
    fn comments_stay_and_the_rest_is_as_if_written_anew() {
        let old = write_contract(&contract(&[(PSCI, 0x1_0003)], &[SCTLR]));
        let old = old.replace("[vm]", "# Agreed on with everybody.\n[vm]");
        let old = old.replace("# PSCI_VERSION", "# PSCI_VERSION, until the last 6.1 is gone");
        let new = contract(&[(PSCI, 0x1_0001), (CLIDR, 3)], &[TTBR0, SCTLR]);
        let text = update_contract(&old, &new).unwrap();
        assert_eq!(read_contract(&text).unwrap(), new);
        assert!(text.contains("# Agreed on with everybody.\n[vm]"), "{text}");
        let line = text.lines().find(|line| line.contains("0000140000")).unwrap();
        assert!(
            line.ends_with("\"0x0000000000010001\" # PSCI_VERSION, until the last 6.1 is gone")
        );
        assert!(text.contains("= \"0x0000000000000003\" # CLIDR_EL1\n"), "{text}");
        // And back again: what is promised no more goes.
        let again = update_contract(&text, &contract(&[(PSCI, 0x1_0003)], &[SCTLR])).unwrap();
        assert_eq!(again, old);
    }

    #[test]
    fn what_is_no_contract_is_not_written_into() {
        assert!(update_contract("name = 3", &contract(&[], &[])).is_err());
        let bare =
            "format = \"abide-contract\"\nversion = 1\narchitecture = \"aarch64\"\nname = \"x\"\n";
        let new = contract(&[(PSCI, 2)], &[SCTLR]);
        assert_eq!(read_contract(&update_contract(bare, &new).unwrap()).unwrap(), new);
    }
}
