//! `abide baseline`: the richest contract that every host of a set can honour.

use super::fleet;
use crate::cli::BaselineArgs;
use crate::exit::Exit;
use crate::out::{print, say};
use abide_contract::codec::write_contract;
use abide_contract::rules::name;
use abide_contract::{NoBaseline, Profile, baseline, beyond};
use anyhow::Result;
use serde_json::json;

/// Makes the contract, or says what stands against it.
pub fn run(args: &BaselineArgs) -> Result<Exit> {
    let profiles: Vec<Profile> =
        args.profiles.iter().map(|path| fleet::profile(path)).collect::<Result<_>>()?;
    let contract = match baseline(&args.name, &profiles) {
        Ok(contract) => contract,
        Err(error) => return refused(&error, args.json),
    };
    let text = write_contract(&contract);
    for (id, hosts) in beyond(&contract, &profiles) {
        say(&format!(
            "{} is beyond the contract: a guest that uses it cannot go to {}",
            name(id),
            hosts.join(", ")
        ));
    }
    match &args.output {
        Some(path) => {
            let text = match args.update {
                true => fleet::updated_contract(path, &contract)?,
                false => text,
            };
            fleet::write(path, &text, args.overwrite || args.update)?;
            say(&format!(
                "{}: {} values and {} registers of state promised, on {} hosts",
                path.display(),
                contract.pinned.len(),
                contract.state.len(),
                contract.derived_from.len()
            ));
        }
        None if args.json => {
            let pinned: Vec<_> = contract
                .pinned
                .iter()
                .map(|(id, pinned)| {
                    json!({
                        "id": id.to_string(),
                        "name": name(*id),
                        "scope": pinned.scope.word(),
                        "value": pinned.value.to_string(),
                    })
                })
                .collect();
            let state: Vec<String> = contract.state.keys().map(ToString::to_string).collect();
            let answer = json!({
                "name": contract.name,
                "derived_from": contract.derived_from,
                "pinned": pinned,
                "state": state,
            });
            print(&serde_json::to_string_pretty(&answer)?)?;
        }
        None => print(text.trim_end())?,
    }
    Ok(Exit::Fine)
}

fn refused(error: &NoBaseline, as_json: bool) -> Result<Exit> {
    say(&error.to_string());
    if let NoBaseline::Conflicts(conflicts) = error {
        let lines: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
        if as_json {
            print(&serde_json::to_string_pretty(&json!({ "conflicts": lines }))?)?;
        } else {
            for line in lines {
                say(&line);
            }
        }
    }
    Ok(Exit::Refused)
}
