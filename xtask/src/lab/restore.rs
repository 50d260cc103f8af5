//! What a restore on KVM costs: how many ioctls, as the host's own kernel counts them, and how long
//! each share takes.

use super::cells::told;
use super::host::{Errand, File, Finished, Host, tail};
use crate::tasks::guests;
use crate::{abide, paths};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::time::Duration;

/// How many vCPUs the guests have.
const VCPUS: [usize; 3] = [1, 8, 64];
/// The hosts' kernels where times are taken.
const KERNELS: [&str; 3] = ["6.1", "6.12", "7.2"];
/// Rounds of each way.
const ROUNDS: usize = 15;
const LIMIT: Duration = Duration::from_secs(1500);

/// `KVM_CREATE_VM`, and the ioctls that write registers of a vCPU: `KVM_SET_ONE_REG`,
/// `KVM_SET_MP_STATE`, `KVM_SET_VCPU_EVENTS` `[linux include/uapi/linux/kvm.h]`. As the kernel's
/// trace shows them.
const CREATE_VM: &str = "ae01";
const SETS: [&str; 3] = ["4010aeac", "4004ae99", "4040aea0"];

/// Begins a guest that looks and waits, and saves it.
const BORN: &str = "\
born() {
    /abide run g$1 --engine kvm --kernel /abi.img --memory 8M --vcpus $1 --state-dir /state \
</dev/null >/console.$1 2>/words.$1 &
    run=$!
    until grep -q ' interrupts ' /console.$1; do
        kill -0 $run || { cat /words.$1; return 1; }
        sleep 0.2
    done
    /abide save g$1 /g$1.abide --state-dir /state 2>>/words.$1 || { cat /words.$1; return 1; }
    wait $run
    true
}
";

/// Restores it while the kernel takes down the ioctls that count, and ends it.
const COUNTED: &str = "\
mount -t tracefs tracefs /sys/kernel/tracing || exit 1
cd /sys/kernel/tracing || exit 1
echo 0 >tracing_on
echo 8192 >buffer_size_kb
echo \"$FILTER\" >events/syscalls/sys_enter_ioctl/filter || exit 1
echo 1 >events/syscalls/sys_enter_ioctl/enable || exit 1
counted() {
    echo >trace
    echo 1 >tracing_on
    /abide restore /g$1.abide --engine kvm --eager --report /out/report.$1 --state-dir /state \
</dev/null >>/console.$1 2>/words.$1 &
    run=$!
    until grep -q 'runs on engine' /words.$1; do
        kill -0 $run || { cat /words.$1; return 1; }
        sleep 0.2
    done
    echo 0 >tracing_on
    /abide stop g$1 --state-dir /state
    wait $run
    grep -o 'cmd: [0-9a-f]*' trace | cut -c6- >/out/ioctls.$1
}
";

/// The host's kernel counts the ioctls of restores: V + N·P, as the report says.
///
/// # Errors
/// If it counts others.
pub fn counted(host: &Host, show: bool) -> Result<String> {
    let files = [
        File::program("abide", fs::read(abide::build_for_arm()?)?),
        File::data("abi.img", guests::abi()?),
    ];
    let filter: Vec<String> = std::iter::once(CREATE_VM)
        .chain(SETS)
        .map(|command| format!("cmd == 0x{command}"))
        .collect();
    let mut script = format!("FILTER='{}'\n{BORN}{COUNTED}", filter.join(" || "));
    for vcpus in VCPUS {
        let _ = writeln!(script, "born {vcpus} && counted {vcpus} || exit 1");
    }
    let finished = run(host, &files, &script, show)?;
    let mut said = Vec::new();
    for vcpus in VCPUS {
        let words = one_count(&finished, vcpus).with_context(|| format!("{vcpus} vCPUs"))?;
        said.push(words);
    }
    Ok(told(said.join("; "), &finished))
}

fn one_count(finished: &Finished, vcpus: usize) -> Result<String> {
    let text = String::from_utf8_lossy(&finished.file(&format!("ioctls.{vcpus}"))?).into_owned();
    let counted = writes_of_last_vm(&text)?;
    let report: serde_json::Value =
        serde_json::from_slice(&finished.file(&format!("report.{vcpus}"))?)?;
    let part = &report["restored_registers"];
    let number = |value: &serde_json::Value| value.as_u64().context("no number in the report");
    let (of_vm, total) = (number(&part["vm"])?, number(&part["total"])?);
    let each = part["vcpus"].as_array().context("no vCPUs in the report")?;
    let first = number(each.first().context("no vCPU in the report")?)?;
    ensure!(
        each.len() == vcpus && each.iter().all(|count| count.as_u64() == Some(first)),
        "the report has other vCPUs: {part}"
    );
    ensure!(total == of_vm + vcpus as u64 * first, "the report's numbers do not add up: {part}");
    ensure!(total == counted, "the kernel counted {counted} writes, the report says {part}");
    let times = report["restore_times"].as_object().context("no times in the report")?;
    let shares = times.iter().filter(|(name, _)| *name != "total_ns");
    let sum: u64 = shares.filter_map(|(_, time)| time.as_u64()).sum();
    ensure!(number(&times["total_ns"])? == sum && sum > 0, "times do not add up: {times:?}");
    Ok(format!("{of_vm} + {vcpus} × {first} = {total}"))
}

/// How many ioctls wrote registers after the last VM was made: those before are the trial's.
fn writes_of_last_vm(ioctls: &str) -> Result<u64> {
    let lines: Vec<&str> = ioctls.lines().collect();
    let Some(last) = lines.iter().rposition(|line| *line == CREATE_VM) else {
        bail!("the kernel's trace has no VM that was made")
    };
    let sets = lines[last..].iter().filter(|line| SETS.contains(line));
    Ok(sets.count() as u64)
}

/// Takes the time of each share, and writes docs/lab/restore.md.
///
/// # Errors
/// If a host does not come to the end, or its numbers do not make sense.
pub fn shares(host: &Host, show: bool) -> Result<String> {
    let files = [
        File::program("abide", fs::read(abide::build_for_arm()?)?),
        File::program("shares", fs::read(abide::build_example_for_arm("restore_shares")?)?),
        File::data("abi.img", guests::abi()?),
    ];
    let mut script = BORN.to_owned();
    for vcpus in VCPUS {
        let _ = writeln!(
            script,
            "born {vcpus} && /shares kvm /g{vcpus}.abide {ROUNDS} >/out/shares.{vcpus} || exit 1"
        );
    }
    let (mut rows, mut said) = (Vec::new(), Vec::new());
    for kernel in KERNELS {
        let host = Host::debian(kernel, &host.cpu);
        let finished = run(&host, &files, &script, show)?;
        for vcpus in VCPUS {
            let text = finished.file(&format!("shares.{vcpus}"))?;
            let row = Row::parse(kernel, vcpus, &String::from_utf8_lossy(&text))?;
            said.push(row.in_words()?);
            rows.push(row);
        }
    }
    let path = paths::root().join("docs/lab/restore.md");
    fs::write(&path, page(&host.cpu, &rows)?).with_context(|| format!("writing {path:?}"))?;
    Ok(said.join("; "))
}

fn run(host: &Host, files: &[File], script: &str, show: bool) -> Result<Finished> {
    let errand = Errand { files, script, brings: true, limit: LIMIT, show };
    let finished = host.run(&errand)?;
    let (code, output) = (finished.code, tail(&finished.output));
    ensure!(code == 0, "exit code {code} on {host}\n{output}");
    Ok(finished)
}

/// One guest on one host.
struct Row {
    kernel: &'static str,
    vcpus: usize,
    numbers: BTreeMap<String, f64>,
}

impl Row {
    /// Of what the program said: lines of a key and a number.
    fn parse(kernel: &'static str, vcpus: usize, text: &str) -> Result<Self> {
        let mut numbers = BTreeMap::new();
        for line in text.lines() {
            let (key, number) = line.split_once(' ').with_context(|| format!("`{line}`"))?;
            let number = number.parse().with_context(|| format!("`{line}`"))?;
            numbers.insert(key.to_owned(), number);
        }
        let row = Self { kernel, vcpus, numbers };
        let (found, refused) = (row.get("vcpus")?, row.get("naive.refused")?);
        ensure!((found - vcpus as f64).abs() < 0.5, "{found} vCPUs, not {vcpus}");
        ensure!(refused < 0.5, "the naive order was refused {refused} times");
        Ok(row)
    }

    fn get(&self, key: &str) -> Result<f64> {
        let found = self.numbers.get(key).copied().filter(|number| number.is_finite());
        found.with_context(|| format!("no `{key}` of {} vCPUs on {}", self.vcpus, self.kernel))
    }

    fn in_words(&self) -> Result<String> {
        Ok(format!(
            "{}, {} vCPUs: naive / parallel {:.2}, serial / parallel {:.2}",
            self.kernel,
            self.vcpus,
            self.get("ratio.naive_by_parallel")?,
            self.get("ratio.of_vcpus_serial_by_parallel")?
        ))
    }

    fn counts(&self) -> Result<String> {
        let (of_vm, each) = (self.get("of_vm")?, self.get("of_vcpu.0")?);
        let total = of_vm + self.vcpus as f64 * each;
        Ok(format!(
            "| {} | {} | {of_vm} + {} × {each} = {total} | {} | {:.2} | {:.2} | {:.2} | {:.2} |\n",
            self.kernel,
            self.vcpus,
            self.vcpus,
            self.get("naive.stores")?,
            self.get("ratio.naive_by_serial")?,
            self.get("ratio.naive_by_parallel")?,
            self.get("ratio.of_vcpus_serial_by_parallel")?,
            self.get("ratio.total_serial_by_parallel")?,
        ))
    }

    /// Each share of the restore, in hundredths of the naive order's writes.
    fn shares(&self) -> Result<String> {
        let mut line = format!("| {} | {}", self.kernel, self.vcpus);
        let naive = self.get("naive.registers_ns")?;
        for share in SHARES {
            let [serial, parallel] =
                ["serial", "parallel"].map(|way| self.get(&format!("{way}.{share}_ns")));
            let _ = write!(
                line,
                " | {:.0} · {:.0}",
                100.0 * serial? / naive,
                100.0 * parallel? / naive
            );
        }
        Ok(line + " |\n")
    }
}

const SHARES: [&str; 8] =
    ["of_vm", "of_vcpus", "gic", "readback", "memory", "vm_made", "devices", "total"];

fn page(cpu: &str, rows: &[Row]) -> Result<String> {
    let mut text = format!(
        "# What a restore costs\n\n\
         Written by `cargo xtask lab --only restore-shares`: restores of a guest with 8 MiB of RAM \
         on the KVM of emulated `{cpu}` hosts with two CPUs, medians of {ROUNDS} rounds in \
         turns. An emulated \
         host makes some instructions dearer than others, so only ratios are told.\n\n\
         - **naive**: every register, the VM's too, to every vCPU, by ascending id, one vCPU after \
         another; the writes alone.\n\
         - **serial**: abide's restore on one of the two CPUs. **parallel**: on both.\n\n\
         | host | vCPUs | writes: V + N × P | naive writes | naive / serial | naive / parallel | \
         vCPUs: serial / parallel | whole restore: serial / parallel |\n\
         |---|---|---|---|---|---|---|---|\n"
    );
    for row in rows {
        text += &row.counts()?;
    }
    text += "\nEach share, serial · parallel, where the writes of the naive order are 100:\n\n\
        | host | vCPUs | VM's registers | vCPUs' registers | interrupt controller | reading back | \
        memory | making the VM | devices | whole restore |\n\
        |---|---|---|---|---|---|---|---|---|---|\n";
    for row in rows {
        text += &row.shares()?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_counted_from_the_last_vm_on() {
        let trace = "ae01\n4010aeac\nae01\n4010aeac\n4010aeac\n4004ae99\n4040aea0\n4018aee1\n";
        assert_eq!(writes_of_last_vm(trace).expect("a VM"), 4);
        assert!(writes_of_last_vm("4010aeac\n").is_err());
    }

    #[test]
    fn numbers_that_are_missing_or_of_another_guest_are_refused() {
        let text = "vcpus 8\nnaive.refused 0.000\nof_vm 60\n";
        let row = Row::parse("6.12", 8, text).expect("a row");
        assert_eq!(row.get("of_vm").expect("it is there"), 60.0);
        assert!(row.get("of_vcpu.0").is_err());
        assert!(Row::parse("6.12", 1, text).is_err());
        assert!(Row::parse("6.12", 8, "vcpus 8\nnaive.refused 2\n").is_err());
        assert!(Row::parse("6.12", 8, "vcpus\n").is_err());
    }
}
