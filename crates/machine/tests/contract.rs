//! Contracts kept at birth, and plans executed by restores, on engines that answer as hosts do.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/profiles.rs"]
mod profiles;
mod support;

use abide_arm64::kvm;
use abide_contract::codec::MAX_REGISTERS;
use abide_contract::{Contract, Guest, Pinned, Whose, baseline, plan, rules};
use abide_engine_soft::SoftEngine;
use abide_firmware::Firmware;
use abide_firmware::spec::{
    IMPL_CPU_DEFS, REG_IMPL_COUNT, REG_PSCI_VERSION, REG_VENDOR_HYP_BMAP_2,
};
use abide_machine::board::BoardConfig;
use abide_machine::error::{ContractError, MachineError, RestoreError};
use abide_machine::lifecycle::{Intent, Prepared};
use abide_machine::{BirthConfig, GuestContract, Kept, Machine, TimeSource};
use abide_reg::{Class, Entry, RegId, Scope, Value};
use abide_snapshot::{
    Architecture, Compression, Digest, Header, Reader, Record, Snapshot, UnitRecord,
};
use profiles::{Host, KERNELS, contract, profile};
use std::collections::{BTreeMap, BTreeSet};
use support::{KERNEL, refusal, restore};

const N1: &str = "neoverse-n1";
const VCPUS: u32 = 4;

const fn sysreg(number: u64) -> RegId {
    RegId::Kvm(0x6030_0000_0013_0000 | number)
}

const MIDR: RegId = sysreg(0xc000);
const PFR0: RegId = sysreg(0xc020);
const ISAR0: RegId = sysreg(0xc030);
const PMCR: RegId = sysreg(0xdce0);
const PMCNTENSET: RegId = sysreg(0xdce1);

fn birth() -> BirthConfig<'static> {
    BirthConfig {
        board: BoardConfig { ram_len: 6 << 20, vcpu_count: VCPUS, ..BoardConfig::DEFAULT },
        virtio: &[],
        time: TimeSource::Host,
        firmware: Firmware::default(),
        kernel: KERNEL,
        initrd: None,
        bootargs: "",
        console: Box::new(std::io::sink()),
        memory_file: None,
    }
}

fn born_under(host: &Host, contract: &GuestContract) -> (Machine, Kept) {
    Machine::create_under(host, birth(), contract).unwrap_or_else(|error| panic!("{error}"))
}

fn refused_birth(host: &Host, contract: &GuestContract) -> ContractError {
    match Machine::create_under(host, birth(), contract) {
        Err(MachineError::Contract(error)) => error,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was born"),
    }
}

fn header(machine: &Machine) -> Header {
    let contract = machine.contract().map(GuestContract::digest).unwrap_or_default();
    Header { contract, ..Header::new(Architecture::AARCH64) }
}

/// A file of the machine, with its records and header changed.
fn file_with(machine: &Machine, change: impl FnOnce(&mut Header, &mut Vec<Record>)) -> Vec<u8> {
    let mut records = machine.state().unwrap().into_iter().map(Record::Unit).collect();
    let mut header = header(machine);
    change(&mut header, &mut records);
    let mut file = Vec::new();
    let snapshot = Snapshot { header, records };
    abide_snapshot::write_to(&mut file, &snapshot, &[machine.ram()], Compression::None).unwrap();
    file
}

fn file(machine: &Machine) -> Vec<u8> {
    file_with(machine, |_, _| {})
}

fn prepared(host: &Host, file: Vec<u8>) -> Prepared {
    restore(host, file).unwrap_or_else(|error| panic!("{}: {error}", host.profile().name))
}

fn moved(machine: &Machine, to: &Host) -> Machine {
    prepared(to, file(machine)).commit(Intent::Move).unwrap()
}

/// The registers of the machine's vCPUs and VM that are the engine's.
fn of_engine(machine: &Machine) -> BTreeMap<(Scope, RegId), Value> {
    let units = machine.state().unwrap().into_iter();
    let units = units
        .filter(|unit| ["identity", "firmware", "cpu", "counter"].contains(&unit.unit.as_str()));
    units
        .flat_map(|unit| {
            let scope = unit.scope;
            unit.entries.into_iter().map(move |entry| ((scope, entry.id), entry.value))
        })
        .collect()
}

/// The registers of `before` that hold something else now, but for ISTATUS of timers, which
/// follows from the count and the comparator.
fn differences(
    machine: &Machine,
    before: &BTreeMap<(Scope, RegId), Value>,
) -> Vec<(String, Value, Option<Value>)> {
    let found = of_engine(machine);
    let state = |id: RegId, value: &Value| match id {
        kvm::TIMER_CTL | kvm::PTIMER_CTL => value.to_u64().map(|ctl| Value::u64(ctl & !4)),
        _ => Some(value.clone()),
    };
    let differ = before.iter().filter(|((scope, id), value)| {
        found.get(&(*scope, *id)).and_then(|found| state(*id, found)) != state(*id, value)
    });
    differ
        .map(|(key, value)| (rules::name(key.1), value.clone(), found.get(key).cloned()))
        .collect()
}

#[test]
fn a_guest_of_an_old_kernel_comes_home_from_newer_ones_with_every_register() {
    for way in [["6.12", "7.2"], ["7.2", "6.12"]] {
        let home = Host::new("6.1", N1).lived();
        let mut machine = Machine::create(&home, birth()).unwrap();
        let before = of_engine(&machine);
        let of_one = before.keys().filter(|(scope, id)| {
            matches!(id, RegId::Kvm(_))
                && [Scope::Vm, Scope::Vcpu(abide_reg::VcpuId(0))].contains(scope)
        });
        assert_eq!(of_one.count(), 316);
        assert_eq!(
            before[&(Scope::Vcpu(abide_reg::VcpuId(2)), PMCNTENSET)],
            Value::u64(0x8000_0001)
        );
        for kernel in way {
            machine = moved(&machine, &Host::new(kernel, N1));
            assert_eq!(differences(&machine, &before), [], "on {kernel}");
            let home = moved(&machine, &Host::new("6.1", N1));
            assert_eq!(differences(&home, &before), [], "home from {kernel}");
        }
    }
}

#[test]
fn under_a_contract_every_kernel_is_reached_from_every_other_and_nothing_changes() {
    let promised = contract("debian-neoverse-n1");
    for from in KERNELS {
        let (machine, kept) = born_under(&Host::new(from, N1), &promised);
        assert!(kept.written >= promised.contract().pinned.len() - 10, "{}", kept.written);
        for (id, pinned) in
            promised.contract().pinned.iter().filter(|(id, _)| !rules::is_fact(**id))
        {
            let shown = machine.state().unwrap().into_iter().flat_map(|unit| unit.entries);
            let shown: BTreeSet<Value> =
                shown.filter(|entry| entry.id == *id).map(|entry| entry.value).collect();
            // Kernels before 6.15 have none, and behave as with 0 in it.
            if from != "7.2" && *id == REG_VENDOR_HYP_BMAP_2 {
                assert!(shown.is_empty() && pinned.value == Value::u64(0));
                continue;
            }
            assert_eq!(shown, [pinned.value.clone()].into(), "{} on {from}", rules::name(*id));
        }
        let before = of_engine(&machine);
        for to in KERNELS {
            let there = moved(&machine, &Host::new(to, N1));
            assert_eq!(differences(&there, &before), [], "{from} to {to}");
            assert_eq!(there.contract(), Some(&promised));
        }
    }
}

#[test]
fn a_birth_under_a_contract_tells_what_it_masked_and_hides_names_that_others_lack() {
    let promised = contract("debian-neoverse-n1");
    for (from, name) in [("6.1", 0x410c_0000), ("6.12", 0), ("7.2", 0)] {
        let host = Host::new(from, N1);
        let free = of_engine(&Machine::create(&host, birth()).unwrap());
        let (machine, kept) = born_under(&host, &promised);
        let masked: BTreeSet<(Scope, RegId)> =
            kept.masked.iter().map(|step| (step.scope, step.id)).collect();
        let held = of_engine(&machine);
        let vcpu = |n| Scope::Vcpu(abide_reg::VcpuId(n));
        for n in 0..VCPUS {
            let key = (vcpu(n), PMCR);
            let (free, held) = (free[&key].to_u64().unwrap(), held[&key].to_u64().unwrap());
            assert_eq!((free & 0xffff_0000, held), (name, free & 0xffff), "{from}");
            assert_eq!(masked.contains(&key), name != 0, "{from}");
        }
        let predicted = plan(&Guest::promised(promised.contract()), host.profile());
        let predicted = predicted.steps.into_iter().filter(|it| it.verdict.word() == "mask");
        let predicted: BTreeSet<RegId> =
            predicted.map(|step| step.id).filter(|id| !rules::is_fact(*id)).collect();
        let named = (name != 0).then_some(PMCR);
        let told: BTreeSet<RegId> = masked.iter().map(|(_, id)| *id).collect();
        assert_eq!(told, predicted.into_iter().chain(named).collect(), "{from}");
        assert!(!told.is_empty(), "{from}");
        for to in KERNELS {
            let there = prepared(&Host::new(to, N1), file(&machine));
            let told = there.report().steps.iter().any(|(_, step)| step.id == PMCR);
            assert!(!told, "{from} to {to}: PMCR_EL0 is the same everywhere");
        }
    }
}

#[test]
fn each_register_of_the_vm_is_written_once_and_of_a_vcpu_once_each() {
    let machine = Machine::create(&Host::new("6.1", N1).lived(), birth()).unwrap();
    let file = file(&machine);
    for kernel in KERNELS {
        let host = Host::new(kernel, N1);
        let written = prepared(&host, file.clone()).report().written.clone();
        let (stores, loads) = host.counts.take();
        assert_eq!(written.of_vcpus, vec![written.of_vcpus[0]; VCPUS as usize]);
        assert_eq!(written.total(), written.of_vm + VCPUS as usize * written.of_vcpus[0]);
        // The counter's frequency of each vCPU is compared, and the VM's two registers of events.
        assert_eq!(stores, written.total() + VCPUS as usize + 2, "{kernel}: {written}");
        // 316 of KVM's, and two of abide's own.
        assert_eq!(written.of_vm + written.of_vcpus[0], 318, "{kernel}: {written}");
        // What the VM shows is read once before, and all that the host has once after.
        let offers =
            host.profile().offers.iter().filter(|(id, _)| {
                matches!(id, RegId::Kvm(_)) || id.to_string().starts_with("cpu.")
            });
        let expected: usize = offers
            .map(|(&id, offer)| match offer.scope {
                Whose::Vm => 1 + usize::from(rules::is_pinned(id)),
                Whose::Vcpu => VCPUS as usize,
            })
            .sum();
        assert_eq!(loads, expected, "{kernel}");
    }
}

#[test]
fn a_restore_tells_what_it_dropped_kept_and_masked_with_the_reason() {
    let machine = Machine::create(&Host::new("6.12", N1).lived(), birth()).unwrap();
    // TCR2_EL1 and its like hold something, but the guest's CPU has no such feature.
    let prepared = prepared(&Host::new("7.2", N1), file(&machine));
    let steps = &prepared.report().steps;
    let of = |word: &str| -> BTreeSet<String> {
        let of = steps.iter().filter(|(_, step)| step.verdict.word() == word);
        of.map(|(_, step)| rules::name(step.id)).collect()
    };
    assert_eq!(of("drop"), ["PIRE0_EL1", "PIR_EL1", "TCR2_EL1"].map(str::to_owned).into());
    assert!(of("mask").contains("PSCI_VERSION"), "{:?}", of("mask"));
    let machine = Machine::create(&Host::new("6.1", N1).lived(), birth()).unwrap();
    let prepared = self::prepared(&Host::new("7.2", N1), file(&machine));
    let original = prepared.report().steps.iter().find(|(_, step)| step.id == PMCR).unwrap();
    assert_eq!(original.1.verdict.word(), "original");
}

#[test]
fn what_stands_against_a_restore_is_what_the_plan_says() {
    for (from, to, cpu) in [("7.2", "6.1", N1), ("7.2", "6.12", N1), ("6.1", "7.2", "neoverse-v1")]
    {
        let source = Host::new(from, cpu);
        let predicted = plan(&Guest::fresh(source.profile()), &profile(to, cpu));
        let predicted: BTreeSet<RegId> = predicted.refusals().map(|step| step.id).collect();
        let machine = Machine::create(&source, birth()).unwrap();
        let error = refusal(&Host::new(to, cpu), file(&machine));
        let RestoreError::Plan { steps, .. } = &error else { panic!("{error}") };
        let found: BTreeSet<RegId> = steps.0.iter().map(|(_, step)| step.id).collect();
        assert_eq!(found, predicted, "{from} to {to} on {cpu}: {error}");
        let text = error.to_string();
        assert!(found.iter().all(|id| text.contains(&rules::name(*id))), "{text}");
    }
    let machine = Machine::create(&Host::new("7.2", N1), birth()).unwrap();
    let text = refusal(&Host::new("6.1", N1), file(&machine)).to_string();
    assert!(text.contains("PSCI_VERSION") && text.contains("0x10001"), "{text}");
    assert!(text.contains("give guests that are to go there a contract at birth"), "{text}");
}

#[test]
fn a_contract_that_the_host_cannot_keep_leaves_no_vm_and_names_each_register() {
    let promised = GuestContract::new(baseline("new", &[profile("7.2", N1)]).unwrap());
    let host = Host::new("6.1", N1);
    let error = refused_birth(&host, &promised);
    let ContractError::NotKept { steps, .. } = &error else { panic!("{error}") };
    let found: BTreeSet<RegId> = steps.0.iter().map(|(_, step)| step.id).collect();
    let predicted = plan(&Guest::promised(promised.contract()), host.profile());
    let predicted: BTreeSet<RegId> = predicted.refusals().map(|step| step.id).collect();
    assert_eq!(found, predicted, "{error}");
    assert!(found.contains(&REG_PSCI_VERSION) && found.len() > 3, "{error}");
    let text = error.to_string();
    assert!(text.contains("PSCI_VERSION") && text.contains("0x0000000000010003"), "{text}");
    // Four vCPUs have the same to say: it is said once.
    assert!(text.contains("cpu vcpu0 and 3 more: CLIDR_EL1"), "{text}");
}

#[test]
fn a_host_that_takes_a_value_and_shows_another_is_found_out() {
    let host = Host::new("7.2", N1).altering(MIDR);
    let text = refused_birth(&host, &contract("debian-neoverse-n1")).to_string();
    assert!(text.contains("for 1 registers"), "{text}");
    assert!(
        text.contains("MIDR_EL1") && text.contains("the host takes it and then shows"),
        "{text}"
    );
}

#[test]
fn more_than_was_promised_cannot_be_asked_for() {
    let host = Host::new("7.2", N1);
    let with = |id: RegId, value: Value| {
        let mut promised = contract("debian-neoverse-n1").contract().clone();
        promised.pinned.insert(id, Pinned { scope: Whose::Vm, value });
        refused_birth(&host, &GuestContract::new(promised)).to_string()
    };
    let name = "contract debian-neoverse-n1 promises";
    assert_eq!(
        with(rules::VCPUS, Value::u32(2)),
        format!("{name} 2 vCPUs, 4 asked for: use fewer --vcpus")
    );
    assert_eq!(
        with(rules::IPA_BITS, Value::u8(30)),
        format!("{name} 30 address bits (IPA), 31 asked for: use less --memory")
    );
    for intids in [64, 100, 1024] {
        let text = with(rules::NR_IRQS, Value::u32(intids));
        assert!(text.starts_with(&format!("{name} {intids} INTIDs, 96 asked for")), "{text}");
    }
    let text = with(rules::PVTIME, Value::u32(0x1_0001));
    assert!(text.contains("stolen time") && text.contains("the host takes 0x0, 0x10000"), "{text}");
    let text = with(rules::PRIORITY_BITS, Value::u8(4));
    assert!(text.contains("GIC priority bits"), "{text}");
    let text = with(rules::GICD_IIDR, Value::u32(0x4b00_143b));
    assert!(text.contains("GICD_IIDR") && text.contains("revision 3 or 2"), "{text}");
    let text = with(rules::PAGE_SIZE, Value::u64(512));
    assert!(text.contains("page size"), "{text}");
    let text = with(RegId::named("cpu.unheard-of"), Value::u64(1));
    assert!(text.contains("cpu.unheard-of") && text.contains("no such register"), "{text}");
}

#[test]
fn a_contract_of_the_longest_kind_is_refused_with_all_its_registers() {
    let pinned = (0..MAX_REGISTERS as u64).map(|n| {
        let id = RegId::Kvm(0x6030_0000_0013_c000 | (n & 0x7f) | n >> 7 << 32);
        (id, Pinned { scope: Whose::Vm, value: Value::u64(n) })
    });
    let promised = Contract { pinned: pinned.collect(), ..Contract::default() };
    assert_eq!(promised.pinned.len(), MAX_REGISTERS);
    let ContractError::NotKept { steps, .. } =
        refused_birth(&Host::new("7.2", N1), &GuestContract::new(promised))
    else {
        panic!("another error");
    };
    assert!(steps.0.len() > MAX_REGISTERS - 200, "{}", steps.0.len());
}

#[test]
fn an_older_revision_of_the_interrupt_controller_is_kept_over_moves() {
    let mut promised = contract("debian-neoverse-n1").contract().clone();
    let old = Value::u32(0x4b00_243b);
    promised.pinned.insert(rules::GICD_IIDR, Pinned { scope: Whose::Vm, value: old.clone() });
    let (machine, _) = born_under(&Host::new("6.1", N1), &GuestContract::new(promised));
    let there = moved(&machine, &Host::new("7.2", N1));
    let entries = there.state().unwrap().into_iter().flat_map(|unit| unit.entries);
    let found = entries.into_iter().find(|entry| entry.id == rules::GICD_IIDR);
    assert_eq!(found.unwrap().value, old);
}

/// How a file of a guest under a contract is refused that was changed.
fn refused_file(change: impl FnOnce(&mut Header, &mut Vec<Record>)) -> String {
    let host = Host::new("7.2", N1);
    let (machine, _) = born_under(&host, &contract("debian-neoverse-n1"));
    let error = refusal(&host, file_with(&machine, change));
    assert!(matches!(error, RestoreError::Contract(_)), "{error}");
    error.to_string()
}

fn record(records: &mut [Record]) -> &mut UnitRecord {
    support::record(records, "contract", "vm")
}

#[test]
fn a_contract_that_is_not_the_files_own_is_refused() {
    let text = refused_file(|header, _| header.contract = Digest([7; 32]));
    assert!(text.contains("the header tells of contract 0707"), "{text}");
    let text = refused_file(|_, records| {
        records.retain(|it| !matches!(it, Record::Unit(it) if it.unit.as_str() == "contract"));
    });
    assert!(text.contains("the file has none"), "{text}");
    let text = refused_file(|_, records| {
        support::set(records, "firmware", "vm", REG_PSCI_VERSION, Value::u64(0x1_0000));
    });
    assert!(text.contains("PSCI_VERSION") && text.contains("put together of two"), "{text}");
    let text = refused_file(|header, records| {
        header.contract = Digest::default();
        record(records).entries[0].value = Value::bytes(&[0xff]);
    });
    assert!(text.contains("no text"), "{text}");
    let text = refused_file(|_, records| {
        let entries = &mut record(records).entries;
        let (first, rest) = entries[0].value.as_bytes().split_at(100);
        let id = RegId::named("contract.text-001");
        let rest = Entry::new(id, Class::Static, Value::bytes(rest));
        entries[0].value = Value::bytes(first);
        entries.push(rest);
    });
    assert!(text.contains("a part is missing"), "{text}");
    let change = |from: &str, to: &str| {
        refused_file(|header, records| {
            header.contract = Digest::default();
            let entry = &mut record(records).entries[0];
            let text = String::from_utf8(entry.value.as_bytes().to_vec()).unwrap();
            assert!(text.contains(from), "{text}");
            entry.value = Value::bytes(text.replace(from, to).as_bytes());
        })
    };
    assert!(change("aarch64", "riscv64").contains("architecture \"riscv64\" found"));
    assert!(change("version = 1", "version = 2").contains("use a newer one"));
    assert!(change("[vm]", "[rules]").contains("has no meaning here"));
    let text = refused_file(|_, records| {
        let stranger = Entry::new(RegId::named("contract.new"), Class::Mandatory, Value::u8(1));
        record(records).entries.push(stranger);
    });
    assert!(text.contains("contract.new"), "{text}");
}

#[test]
fn a_contract_passes_through_a_version_that_knows_none() {
    let host = Host::new("7.2", N1);
    let promised = contract("debian-neoverse-n1");
    let (machine, _) = born_under(&host, &promised);
    // Such a version carries the record, and writes a header that tells of none.
    let passed_on = file_with(&machine, |header, _| header.contract = Digest::default());
    let machine = prepared(&host, passed_on).commit(Intent::Move).unwrap();
    assert_eq!(machine.contract(), Some(&promised));
    let reader = Reader::from_bytes(file(&machine)).unwrap();
    assert_eq!(reader.snapshot().header.contract, promised.digest());
    assert_eq!(GuestContract::of_snapshot(reader.snapshot()).unwrap(), Some(promised));
}

#[test]
fn guests_without_a_contract_have_neither_record_nor_digest() {
    let machine = Machine::create(&Host::new("7.2", N1), birth()).unwrap();
    assert!(machine.state().unwrap().iter().all(|unit| unit.unit.as_str() != "contract"));
    let reader = Reader::from_bytes(file(&machine)).unwrap();
    assert_eq!(GuestContract::of_snapshot(reader.snapshot()).unwrap(), None);
}

#[test]
fn a_promised_list_of_cpus_is_kept_and_restored_as_long_as_its_number_says() {
    let cpu = |midr: u64| Value::bytes([midr, 7, 9].map(u64::to_le_bytes).as_flattened());
    let mut list = BTreeMap::from([
        (REG_VENDOR_HYP_BMAP_2, Value::u64(3)),
        (REG_IMPL_COUNT, Value::u64(2)),
        (IMPL_CPU_DEFS[0].id, cpu(0x411f_d402)),
        (IMPL_CPU_DEFS[1].id, cpu(0x414f_d0c1)),
    ]);
    let born = |list: &BTreeMap<RegId, Value>| {
        let machine = Machine::create(&SoftEngine::new(), birth()).unwrap();
        let shown = machine.state().unwrap().into_iter();
        let shown = shown.filter(|it| it.unit.as_str() == "firmware").flat_map(|it| it.entries);
        let shown = shown.map(|entry| (entry.id, entry.value));
        let pinned = shown.chain(list.clone());
        let pinned = pinned.map(|(id, value)| (id, Pinned { scope: Whose::Vm, value }));
        let promised = Contract { pinned: pinned.collect(), ..Contract::default() };
        let promised = GuestContract::new(promised);
        Machine::create_under(&SoftEngine::new(), birth(), &promised).map(|(machine, _)| machine)
    };
    let machine = born(&list).unwrap();
    let there = restore(&SoftEngine::new(), file(&machine)).unwrap_or_else(|e| panic!("{e}"));
    for machine in [&machine, there.machine()] {
        let found = of_engine(machine);
        for (id, value) in &list {
            assert_eq!(found.get(&(Scope::Vm, *id)), Some(value), "{}", rules::name(*id));
        }
    }
    // One that the number does not count is not lost silently.
    list.insert(IMPL_CPU_DEFS[2].id, cpu(1));
    let Err(MachineError::Contract(error)) = born(&list) else { panic!("it was born") };
    assert!(error.to_string().contains("firmware.impl-cpu-02"), "{error}");
}

#[test]
fn the_software_engine_keeps_a_contract_of_what_it_implements() {
    let machine = Machine::create(&SoftEngine::new(), birth()).unwrap();
    // All that it shows, with a name and a firmware of another host.
    let mut pinned = BTreeMap::new();
    for unit in machine.state().unwrap() {
        let own = ["identity", "firmware"].contains(&unit.unit.as_str());
        for entry in unit.entries.into_iter().filter(|it| own && rules::is_pinned(it.id)) {
            pinned.insert(entry.id, Pinned { scope: Whose::Vm, value: entry.value });
        }
    }
    let pin = |pinned: &mut BTreeMap<_, _>, id, value| {
        pinned.insert(id, Pinned { scope: Whose::Vm, value: Value::u64(value) });
    };
    pin(&mut pinned, MIDR, 0x414f_d0c1);
    pin(&mut pinned, REG_PSCI_VERSION, 0x1_0000);
    let promised = Contract { name: "soft".to_owned(), pinned, ..Contract::default() };
    let promised = GuestContract::new(promised);
    let (machine, _) = Machine::create_under(&SoftEngine::new(), birth(), &promised).unwrap();
    let found = of_engine(&machine);
    assert_eq!(found[&(Scope::Vm, MIDR)], Value::u64(0x414f_d0c1));
    assert_eq!(found[&(Scope::Vm, REG_PSCI_VERSION)], Value::u64(0x1_0000));
    let there = restore(&SoftEngine::new(), file(&machine)).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(there.machine().contract(), Some(&promised));
    assert_eq!(of_engine(there.machine()), found);
    // What it does not implement is named, all of it.
    let mut more = promised.contract().clone();
    pin(&mut more.pinned, PFR0, 0x0000_0000_0000_0012);
    pin(&mut more.pinned, ISAR0, 0x2000);
    let unheard_of = RegId::named("cpu.unheard-of");
    more.state.insert(unheard_of, Whose::Vcpu);
    let error = Machine::create_under(&SoftEngine::new(), birth(), &GuestContract::new(more));
    let Err(MachineError::Contract(error)) = error else { panic!("it was born") };
    let ContractError::NotKept { steps, .. } = &error else { panic!("{error}") };
    let found: Vec<RegId> = steps.0.iter().map(|(_, step)| step.id).collect();
    assert_eq!(found, [unheard_of, PFR0, ISAR0], "{error}");
    assert!(error.to_string().contains("features that the software engine implements"), "{error}");
    // A feature that it has not is refused before there is a vCPU.
    let n1 = contract("debian-neoverse-n1");
    let error = Machine::create_under(&SoftEngine::new(), birth(), &n1).err().unwrap();
    assert!(error.to_string().contains("ID_AA64DFR0_EL1.PMUVer"), "{error}");
}
