//! What a real KVM cannot give is refused by name, in one line with what to do, before there is a
//! guest.

use super::host::{Errand, File, Finished, Host, tail};
use crate::abide::HOST_CANNOT;
use crate::tasks::guests;
use anyhow::{Context, Result, ensure};
use std::fmt::Write;
use std::fs;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(240);

/// The kernels of the hosts: the list of CPUs can be told from 6.15 on.
const KERNELS: [&str; 2] = ["6.1", "6.12"];

/// Users, the host's own contract, and what the shell does for each try.
const BEGIN: &str = "\
mkdir /etc /state
echo nobody:x:65534:65534::/:/bin/sh >/etc/passwd
echo nogroup:x:65534: >/etc/group
chown nobody /state
chmod 600 /dev/kvm
/abide probe --engine kvm --features pmu --name here -o /here.toml || exit 1
/abide baseline /here.toml -o /own.toml || exit 1
try() {
    name=$1; shift
    \"$@\" >/out/$name.said 2>&1 </dev/null
    echo $? >/out/$name.code
}
";
/// What follows `abide`: a guest that would run.
const RUN: &str = "run guest --engine kvm --kernel /abi.img --memory 8M --state-dir /state";

/// A birth that must be refused.
struct Case {
    name: &'static str,
    how: How,
    code: i32,
    /// What the one line must say.
    words: [&'static str; 2],
}

/// How a birth is asked for.
enum How {
    /// Under the host's own contract, edited so by `sed`.
    Contract(&'static str),
    /// With more arguments.
    With(&'static str),
    /// With another `/dev/kvm`: commands before and after, and who asks.
    Device { before: &'static str, program: &'static str, after: &'static str },
}

const CASES: [Case; 9] = [
    Case {
        name: "list-of-cpus",
        how: How::Contract(
            "s/^.vm.$/&\\n\"firmware.impl-count\" = \"0x0000000000000001\"\\n\
             \"firmware.impl-cpu-00\" = \"0x00000000000000000000000000000000\
             00000000414fd0c1\"/",
        ),
        code: REFUSED,
        words: ["IMPL_COUNT", "the host has no such register"],
    },
    Case {
        name: "tags",
        how: How::Contract(
            "s/\\(\"kvm:0x603000000013c021\" = \"0x[0-9a-f]\\{13\\}\\)[0-9a-f]/\\12/",
        ),
        code: REFUSED,
        words: ["memory tags", "ID_AA64PFR1_EL1.MTE"],
    },
    Case {
        name: "matrices",
        how: How::Contract(
            "s/\\(\"kvm:0x603000000013c021\" = \"0x[0-9a-f]\\{9\\}\\)[0-9a-f]/\\11/",
        ),
        code: REFUSED,
        words: ["scalable matrices", "ID_AA64PFR1_EL1.SME"],
    },
    Case {
        name: "nested",
        how: How::Contract("s/^vcpu = .$/&\\n\"kvm:0x603000000013e088\",/"),
        code: REFUSED,
        words: ["0x603000000013e088", "the host has no such register"],
    },
    Case {
        name: "tags-by-option",
        how: How::With("--features mte"),
        code: REFUSED,
        words: ["--features mte", "KVM_CAP_ARM_MTE"],
    },
    Case {
        name: "matrices-by-option",
        how: How::With("--features sme"),
        code: REFUSED,
        words: ["--features sme", "no host's KVM has it"],
    },
    Case {
        name: "nested-by-option",
        how: How::With("--features nested"),
        code: REFUSED,
        words: ["--features nested", "KVM_CAP_ARM_EL2"],
    },
    Case {
        name: "no-device",
        how: How::Device {
            before: "mv /dev/kvm /dev/kvm-away",
            program: "/abide",
            after: "mv /dev/kvm-away /dev/kvm",
        },
        code: HOST_CANNOT,
        words: ["there is no /dev/kvm", "or use --engine soft"],
    },
    Case {
        name: "not-permitted",
        how: How::Device {
            before: ":",
            program: "start-stop-daemon -S -c nobody:nogroup -x /abide --",
            after: ":",
        },
        code: HOST_CANNOT,
        words: ["may not be opened by this user", "join the group that owns /dev/kvm"],
    },
];

/// `abide`'s exit code where something was refused.
const REFUSED: i32 = 1;

impl Case {
    /// The shell's lines.
    fn script(&self) -> String {
        let name = self.name;
        match self.how {
            How::Contract(edit) => format!(
                "sed '{edit}' /own.toml >/{name}.toml\n\
                 cmp -s /own.toml /{name}.toml && echo 'abide-lab: {name}: nothing edited'\n\
                 try {name} /abide {RUN} --contract /{name}.toml\n"
            ),
            How::With(more) => format!("try {name} /abide {RUN} {more}\n"),
            How::Device { before, program, after } => {
                format!("{before}\ntry {name} {program} {RUN}\n{after}\n")
            }
        }
    }

    fn judge(&self, finished: &Finished) -> Result<()> {
        let read = |ending: &str| -> Result<String> {
            let file = finished.file(&format!("{}.{ending}", self.name))?;
            Ok(String::from_utf8_lossy(&file).trim_end().to_owned())
        };
        let (said, code) = (read("said")?, read("code")?);
        ensure!(
            code == self.code.to_string() && self.words.iter().all(|words| said.contains(words)),
            "exit code {code}, not {}; it must say {:?}\n{said}",
            self.code,
            self.words
        );
        let is_one_line = !said.contains('\n');
        let names_registers = matches!(self.how, How::Contract(_));
        ensure!(is_one_line || names_registers, "more than one line\n{said}");
        Ok(())
    }
}

/// Asks real KVMs for what they cannot give.
///
/// # Errors
/// If one gives it, or the refusal does not say what must be said.
pub fn by_name(host: &Host, show: bool) -> Result<String> {
    let files = [
        File::program("abide", fs::read(crate::abide::build_for_arm()?)?),
        File::data("abi.img", guests::abi()?),
    ];
    let mut script = BEGIN.to_owned();
    CASES.iter().for_each(|case| script += &case.script());
    let _ = writeln!(script, "try fine /abide {RUN} --contract /own.toml &");
    script += "until grep -q ' interrupts ' /out/fine.said || [ -f /out/fine.code ]; do\n\
               sleep 0.2\ndone\n/abide stop guest --state-dir /state\nwait\n";
    for kernel in KERNELS {
        let host = Host::debian(kernel, &host.cpu);
        let errand = Errand { files: &files, script: &script, brings: true, limit: LIMIT, show };
        let finished = host.run(&errand)?;
        ensure!(
            finished.code == 0 && !finished.output.contains("nothing edited"),
            "{host}: exit code {}\n{}",
            finished.code,
            tail(&finished.output)
        );
        for case in &CASES {
            case.judge(&finished).with_context(|| format!("{} on {host}", case.name))?;
        }
        // The contract from which the others were made can be kept.
        let fine = String::from_utf8_lossy(&finished.file("fine.said")?).into_owned();
        ensure!(fine.contains(" interrupts "), "no guest under {host}'s own contract\n{fine}");
    }
    Ok(format!("{} refusals by name on each of {}", CASES.len(), KERNELS.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_have_names_of_their_own() {
        for (index, case) in CASES.iter().enumerate() {
            assert!(CASES[..index].iter().all(|other| other.name != case.name), "{}", case.name);
            assert!(case.script().contains(case.name));
        }
    }
}
