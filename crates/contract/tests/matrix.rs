//! What profiles predict, against what real kernels did: every register of a fresh vCPU, written to
//! a fresh vCPU of another kernel in the order of its list.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/dump.rs"]
mod dump;

use abide_contract::measure::measure;
use abide_contract::{Answer, FreshVm, Profile};
use abide_reg::{Direction, Field, Fit, Readback, RegError, RegId, Registers, Value};
use dump::{Dump, KERNELS};
use std::collections::{BTreeMap, BTreeSet};

/// CPU models.
const CPUS: [&str; 3] = ["max", "neoverse-n1", "neoverse-v1"];

type State = BTreeMap<RegId, Value>;

/// How a restore went that writes all it has and goes on whatever happens.
#[derive(Debug, PartialEq, Eq)]
struct Naive {
    registers: usize,
    absent: Vec<RegId>,
    refused: Vec<RegId>,
    silent: Vec<RegId>,
    state: State,
}

impl Naive {
    fn counts(&self) -> [usize; 4] {
        [self.registers, self.absent.len(), self.refused.len(), self.silent.len()]
    }
}

/// Only what the kernel lists: facts are no registers of KVM's.
fn listed(values: &State) -> State {
    let listed = values.iter().filter(|(id, _)| matches!(id, RegId::Kvm(_)));
    listed.map(|(id, value)| (*id, value.clone())).collect()
}

fn restore_naively(source: &State, host: &Profile, fresh: &State) -> Naive {
    let mut vm = FreshVm::new(host);
    let (mut absent, mut refused, mut written) = (Vec::new(), Vec::new(), Vec::new());
    for (&id, value) in source {
        match vm.write(id, value) {
            None => absent.push(id),
            Some(Answer::Refused(_)) => refused.push(id),
            Some(_) => written.push(id),
        }
    }
    let runs = |id: RegId| abide_arm64::rules::rule(id).readback == Readback::Bound;
    let silent = written.iter().copied().filter(|id| !runs(*id) && vm.read(*id) != source.get(id));
    let silent = silent.collect();
    let mut state = fresh.clone();
    state.extend(listed(vm.values()));
    Naive { registers: source.len(), absent, refused, silent, state }
}

fn host(kernel: &'static str, cpu: &'static str) -> (Profile, State) {
    let dump = Dump::read(kernel, cpu);
    (dump.profile(), dump.fresh)
}

/// From, to, and for each CPU: registers, absent, refused, silently changed. As measured. Linux
/// 6.18 answered as 7.2 does, but was not dumped.
const MATRIX: [(&str, &str, [[usize; 4]; 3]); 9] = [
    ("6.1", "6.1", [[335, 0, 0, 0], [316, 0, 0, 0], [345, 0, 0, 0]]),
    ("6.12", "6.12", [[352, 0, 0, 4], [333, 0, 0, 4], [362, 0, 0, 4]]),
    ("7.2", "7.2", [[350, 0, 0, 0], [331, 0, 0, 0], [360, 0, 0, 0]]),
    ("6.1", "6.12", [[335, 0, 1, 5], [316, 0, 0, 5], [345, 0, 2, 5]]),
    ("6.1", "7.2", [[335, 0, 0, 3], [316, 0, 0, 2], [345, 0, 2, 2]]),
    ("6.12", "7.2", [[352, 3, 0, 3], [333, 3, 0, 2], [362, 3, 0, 3]]),
    ("6.12", "6.1", [[352, 17, 9, 0], [333, 17, 5, 0], [362, 17, 7, 0]]),
    ("7.2", "6.12", [[350, 1, 2, 6], [331, 1, 1, 6], [360, 1, 2, 6]]),
    ("7.2", "6.1", [[350, 15, 11, 1], [331, 15, 6, 1], [360, 15, 8, 1]]),
];

#[test]
fn every_count_of_the_measured_matrix_is_predicted() {
    predicted(|profile| profile);
}

/// A vCPU that answers as a profile says, for who would measure it.
struct Vcpu<'a>(FreshVm<'a>, &'a Profile);

impl Registers for Vcpu<'_> {
    fn reg_ids(&self) -> Vec<RegId> {
        self.1.offers.keys().copied().filter(|id| matches!(id, RegId::Kvm(_))).collect()
    }

    fn load(&self, id: RegId) -> Result<Value, RegError> {
        let offer = self.1.offer(id).ok_or(RegError::Unknown { id })?;
        Ok(self.0.read(id).cloned().unwrap_or_else(|| Value::bytes(&vec![0; offer.width])))
    }

    fn store(&mut self, id: RegId, value: &Value) -> Result<(), RegError> {
        match self.0.write(id, value) {
            None => Err(RegError::Unknown { id }),
            Some(Answer::Refused(_)) => Err(RegError::Host { id, errno: 22 }),
            Some(_) => Ok(()),
        }
    }
}

/// What is found out by writing and reading alone predicts as well as what the kernel tells of its
/// writable bits.
#[test]
fn a_measured_profile_predicts_as_well() {
    predicted(|profile| {
        let mut vcpu = Vcpu(FreshVm::new(&profile), &profile);
        let mut measured = Profile { name: profile.name.clone(), ..Profile::default() };
        measure(&mut vcpu, &mut measured).unwrap();
        for id in vcpu.reg_ids() {
            let before = profile.offers[&id].default.as_ref();
            assert!(before.is_none_or(|before| vcpu.0.read(id) == Some(before)), "{id}");
        }
        measured
    });
}

fn predicted(seen: impl Fn(Profile) -> Profile) {
    for (from, to, expected) in MATRIX {
        for (cpu, expected) in CPUS.into_iter().zip(expected) {
            let (_, source) = host(from, cpu);
            let (profile, fresh) = host(to, cpu);
            let profile = seen(profile);
            let naive = restore_naively(&source, &profile, &fresh);
            let names = |ids: &[RegId]| {
                ids.iter().map(|id| abide_contract::rules::name(*id)).collect::<Vec<_>>()
            };
            assert_eq!(
                naive.counts(),
                expected,
                "{from} -> {to} on {cpu}: refused {:?}, silent {:?}",
                names(&naive.refused),
                names(&naive.silent)
            );
        }
    }
}

/// Which registers are refused, where the counts alone could hide a mistake.
#[test]
fn the_registers_that_are_refused_are_those_that_were() {
    let refused = |from, to, cpu| {
        let (_, source) = host(from, cpu);
        let (profile, fresh) = host(to, cpu);
        let naive = restore_naively(&source, &profile, &fresh);
        naive.refused.iter().map(|id| abide_contract::rules::name(*id)).collect::<Vec<_>>()
    };
    assert_eq!(refused("6.1", "6.12", "max"), ["ID_AA64MMFR1_EL1"]);
    assert_eq!(refused("6.1", "7.2", "neoverse-v1"), ["ID_MMFR4_EL1", "ID_AA64MMFR2_EL1"]);
    assert_eq!(
        refused("7.2", "6.1", "neoverse-n1"),
        [
            "CCSIDR_EL1[0]",
            "CCSIDR_EL1[1]",
            "CCSIDR_EL1[2]",
            "ID_AA64DFR0_EL1",
            "CLIDR_EL1",
            "PSCI_VERSION"
        ]
    );
    assert_eq!(refused("7.2", "6.12", "max"), ["ID_AA64MMFR2_EL1", "PSCI_VERSION"]);
}

/// Born on, visited, and for each CPU: absent and refused on the way back. As measured.
const ROLLBACK: [(&str, &str, [[usize; 2]; 3]); 5] = [
    ("6.1", "6.12", [[17, 1], [17, 0], [17, 2]]),
    ("6.1", "7.2", [[15, 1], [15, 0], [15, 2]]),
    ("6.12", "7.2", [[1, 1], [1, 0], [1, 1]]),
    ("7.2", "6.12", [[3, 0], [3, 0], [3, 0]]),
    ("7.2", "6.1", [[0, 0], [0, 0], [0, 2]]),
];

#[test]
fn every_count_of_the_measured_ways_back_is_predicted() {
    for (home, away, expected) in ROLLBACK {
        for (cpu, expected) in CPUS.into_iter().zip(expected) {
            let (home_profile, home_fresh) = host(home, cpu);
            let (away_profile, away_fresh) = host(away, cpu);
            let there = restore_naively(&home_fresh, &away_profile, &away_fresh);
            let back = restore_naively(&there.state, &home_profile, &home_fresh);
            let counts = [back.absent.len(), back.refused.len()];
            assert_eq!(counts, expected, "{home} -> {away} -> {home} on {cpu}");
        }
    }
}

#[test]
fn dumps_have_the_registers_that_were_counted() {
    for (kernel, counts) in
        KERNELS.into_iter().zip([[335, 316, 345], [352, 333, 362], [350, 331, 360]])
    {
        for (cpu, count) in CPUS.into_iter().zip(counts) {
            assert_eq!(Dump::read(kernel, cpu).fresh.len(), count, "{kernel} {cpu}");
        }
    }
}

/// Which directions of feature fields the measured data tells: where a real kernel took a value
/// that was not its own. A field whose direction is turned would have been refused there.
#[test]
fn turned_directions_would_contradict_what_was_measured() {
    let mut told = BTreeSet::new();
    for (from, to, _) in MATRIX {
        for cpu in CPUS {
            let (_, source) = host(from, cpu);
            let (profile, fresh) = host(to, cpu);
            let naive = restore_naively(&source, &profile, &fresh);
            let taken = source
                .iter()
                .filter(|(id, _)| !naive.absent.contains(id) && !naive.refused.contains(id));
            for (id, value) in taken {
                let offer = profile.offer(*id).unwrap();
                let Fit::Fields(fields) = abide_arm64::rules::rule(*id).fit else { continue };
                let own = offer.default.as_ref().and_then(Value::to_u64);
                let Some((value, own)) = value.to_u64().zip(own) else { continue };
                let judged = fields.iter().filter(|field| {
                    field.mask() & offer.ignored == 0 && field.direction != Direction::Any
                });
                for field in judged {
                    if field.bits_of(value) != field.bits_of(own) {
                        let name = format!("{}.{}", abide_contract::rules::name(*id), field.name);
                        let turned = Field { direction: Direction::HigherIsSafe, ..*field };
                        assert!(field.fits(value, own) && !turned.fits(value, own), "{name}");
                        told.insert(name);
                    }
                }
            }
        }
    }
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    assert_eq!(
        told,
        [
            "ID_AA64DFR0_EL1.DebugVer",
            "ID_AA64DFR0_EL1.PMUVer",
            "ID_AA64ISAR1_EL1.XS",
            "ID_AA64ISAR2_EL1.MOPS",
            "ID_AA64MMFR1_EL1.HCX",
            "ID_DFR0_EL1.PerfMon"
        ]
    );
}

/// Tests of single registers on all three kernels, as the dumps have them under `T2`.
#[test]
fn single_writes_are_answered_as_they_were() {
    const ISAR0: RegId = RegId::Kvm(0x6030_0000_0013_c030);
    const MIDR: RegId = RegId::Kvm(0x6030_0000_0013_c000);
    const MPIDR: RegId = RegId::Kvm(0x6030_0000_0013_c005);
    for kernel in KERNELS {
        let (profile, _) = host(kernel, "max");
        let is_taken = |id: RegId, value: u64| {
            profile.offer(id).unwrap().answer(id, &Value::u64(value)) == Answer::Kept
        };
        assert_eq!(is_taken(ISAR0, 0x1221_1111_1021_2100), kernel != "6.1", "AES hidden");
        assert!(is_taken(ISAR0, 0x1221_1111_1021_2120));
        assert!(!is_taken(ISAR0, 0xf221_1111_1021_2120), "more RNDR than there is");
        assert!(is_taken(MIDR, 0xf_0510) && !is_taken(MIDR, 0xf_0511));
        assert!(is_taken(MPIDR, 0x8000_0100));
    }
}
