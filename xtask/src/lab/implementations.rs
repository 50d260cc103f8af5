//! A guest of hosts with different CPUs: it sees one name on both engines, and is told of all.

use super::abi::{self, Kind, Looks};
use super::host::{File, Host, tail};
use super::stay::{self, Begin, Stay, Visit};
use crate::process;
use crate::tasks::guests;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The host's own profile, that of a host whose CPU has another MIDR_EL1, and a contract for both.
const CONTRACT: &str = "\
$ABIDE probe --engine kvm --name here -o /here.toml
sed 's/\"kvm:0x603000000013c000\" = { default = \"0x0000000041[0-9a-f]*\"/\
\"kvm:0x603000000013c000\" = { default = \"0x00000000410fd490\"/; s/^name = .*/name = \"there\"/' \
/here.toml >/there.toml
$ABIDE baseline /here.toml /there.toml --name two -o /out/two.toml
";
/// The MIDR_EL1 of the host that is not there, a Neoverse-N2's, as the guest prints it.
const OTHER: &str = "=0x410fd490";
const RUN: &str = "--kernel /abi.img --memory 8M --vcpus 2 --no-vmclock --contract /out/two.toml";
/// `VENDOR_HYP_BMAP_2` in a contract that tells of no calls.
const SILENT: &str = "\"kvm:0x6030000000160003\" = \"0x0000000000000000\"";
const TELLING: &str = "\"kvm:0x6030000000160003\" = \"0x0000000000000003\"";

/// The guest that judges is born under the contract, saved and restored; on the software engine
/// it gets the same answers from the same registers.
///
/// # Errors
/// If it does not.
pub fn told(host: &Host, show: bool) -> Result<String> {
    let abide = crate::abide::build()?;
    let program = fs::read(crate::abide::build_for_arm()?)?;
    let files = vec![File::data("abi.img", guests::abi()?)];
    let born = [Stay { name: "abi", begin: Begin::Run(RUN), until: abi::UNTIL }];
    let first = CONTRACT;
    let visit = Visit { host, program: &program, files, first, stays: &born, show };
    let (finished, mut stayed) = visit.run()?;
    let born = stayed.pop().context("one stay")?;
    let mut life = born.console.clone();
    let file = born.saved()?;
    let next = Stay { name: "abi", begin: Begin::Restore(&file), until: abi::UNTIL };
    let next = stay::alone(host, &program, Vec::new(), next, show)?;
    life += &next.console;
    next.saved()?;
    let looks = Looks::of(&life, Kind { cpu: &host.cpu, is_promised: true })?;
    ensure!(looks.count >= 6, "{} looks in two stays", looks.count);
    let contract = String::from_utf8(finished.file("two.toml")?)?;
    let on_kvm = answers(&life);
    let on_soft = answers(&on_software_engine(&abide, &contract)?);
    ensure!(
        on_kvm == on_soft && on_kvm.iter().any(|line| line.ends_with(OTHER)),
        "on KVM\n{}\non the software engine\n{}\n{}",
        on_kvm.join("\n"),
        on_soft.join("\n"),
        tail(&life)
    );
    Ok(format!(
        "born, saved and restored: {} looks, {} answers of both engines the same",
        looks.count,
        on_kvm.len()
    ))
}

/// What the guest says on the software engine under a contract with the same list.
fn on_software_engine(abide: &Path, of_kvm: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let (profile, contract) = (folder.path().join("soft.toml"), folder.path().join("two.toml"));
    let mut probe = Command::new(abide);
    probe.args(["probe", "--engine", "soft", "--cpu", "portable", "-o"]).arg(&profile);
    process::capture(&mut probe)?;
    let mut baseline = Command::new(abide);
    baseline.arg("baseline").arg(&profile).arg("-o").arg(&contract);
    process::capture(&mut baseline)?;
    let list: Vec<&str> =
        of_kvm.lines().filter(|line| line.starts_with("\"firmware.impl-")).collect();
    let own = fs::read_to_string(&contract)?;
    ensure!(own.contains(SILENT) && list.len() == 3, "contracts of another form\n{own}\n{of_kvm}");
    fs::write(&contract, own.replace(SILENT, &format!("{TELLING}\n{}", list.join("\n"))))?;
    let image = folder.path().join("abi.img");
    fs::write(&image, guests::abi()?)?;
    let run = format!(
        "--kernel {} --memory 8M --vcpus 2 --no-vmclock --contract {}",
        image.display(),
        contract.display()
    );
    let stay = Stay { name: "abi", begin: Begin::Run(&run), until: abi::UNTIL };
    let stayed = stay::here(abide, &stay)?;
    let said = stayed.console.clone();
    stayed.saved()?;
    Ok(said)
}

/// What the first CPU was answered by the calls that tell of CPUs.
fn answers(console: &str) -> Vec<String> {
    let of_calls = |line: &&str| line.starts_with("abi: cpu0 DISCOVER_IMPL_");
    console.lines().map(str::trim_end).filter(of_calls).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_those_of_the_first_cpu() {
        let said = "abi: cpu0 DISCOVER_IMPL_VER[1]=0x10000\r\n\
            abi: cpu1 DISCOVER_IMPL_VER[1]=0x1\r\nabi: cpu0 MIDR_EL1=0x1\r\n";
        assert_eq!(answers(said), ["abi: cpu0 DISCOVER_IMPL_VER[1]=0x10000"]);
    }
}
