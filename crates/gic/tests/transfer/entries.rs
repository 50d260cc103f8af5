//! The saved form and its intake.

use crate::{CPU0, CPU1, CPUS, VM, busy, entry_mut, id_of, number, saved};
use abide_gic::{Affinity, GicConfig, GicError, GicState, GicV3, Sections, Taken, reg_defs};
use abide_reg::{Class, Entry, IntakeError, RegId, Scope, Value, VcpuId, codec};

fn refusal(sections: Sections) -> GicError {
    GicState::from_entries(sections).unwrap_err()
}

#[test]
fn state_goes_through_entries_and_bytes_unchanged() {
    let state = busy().state();
    let bytes: Vec<_> = state
        .to_entries()
        .unwrap()
        .into_iter()
        .map(|(scope, entries)| (scope, codec::encode(&entries).unwrap()))
        .collect();
    let sections =
        bytes.into_iter().map(|(scope, bytes)| (scope, codec::decode(&bytes).unwrap())).collect();
    let taken = GicState::from_entries(sections).unwrap();
    assert_eq!(taken.state, state);
    assert_eq!((taken.carried, taken.dropped), (vec![], vec![]));
}

#[test]
fn values_are_those_kvm_gives_for_the_same_accesses() {
    let sections = saved();
    let value = |scope, name: &str| {
        let mut sections = sections.clone();
        number(&entry_mut(&mut sections, scope, id_of(scope, name)).value)
    };
    for (scope, name, expected) in [
        (VM, "NR_IRQS", 96),
        (VM, "GICD_IIDR", 0x4b00_343b),
        (VM, "GICD_TYPER", 0x0048_0002),
        (VM, "GICD_TYPER2", 0),
        (VM, "GICD_CTLR", 0x52),
        (VM, "GICR_PROPBASER.low", 0x4010_078f),
        (VM, "GICD_IGROUPR1", 0xfeed_0ff0),
        (VM, "GICD_ISENABLER1", 0xffff),
        // The latch alone: 33 by its edge, 34 and 44 by a write, 40 not by its line.
        (VM, "GICD_ISPENDR1", 0x1006),
        (VM, "GICD_ISACTIVER1", 0x18),
        (VM, "LEVEL_INFO1", 0x102),
        (VM, "LEVEL_INFO2", 0),
        (VM, "GICD_ICFGR2", 0xaa00_00aa),
        (VM, "GICD_IPRIORITYR8", 0x9800),
        (VM, "GICD_IROUTER33", 1),
        (VM, "GICD_IROUTER34", 0),
        (CPU0, "GICR_ISENABLER0", 0xf_ffff),
        (CPU0, "GICR_CTLR", 6),
        (CPU1, "GICR_TYPER.low", 0x110),
        (CPU1, "GICR_TYPER.high", 1),
        (CPU1, "GICR_PENDBASER.low", 0x4012_0180),
        (CPU1, "GICR_PENDBASER.high", 3),
        (CPU1, "LEVEL_INFO0", 1 << 27),
        (CPU1, "GICR_ICFGR1", 0),
        (CPU1, "GICR_IPRIORITYR6", 0xa000_0000),
        (CPU1, "ICC_CTLR_EL1", 0x8403),
        (CPU1, "ICC_BPR0_EL1", 4),
        // What hides behind CBPR.
        (CPU1, "ICC_BPR1_EL1", 6),
        (CPU1, "ICC_PMR_EL1", 0xf0),
        (CPU1, "ICC_SRE_EL1", 7),
        (CPU1, "ICC_AP0R0_EL1", 0x8000_0001),
        (CPU1, "ICC_AP1R0_EL1", 1 << 20),
    ] {
        assert_eq!(value(scope, name), expected, "{scope} {name}");
    }
}

#[test]
fn saved_form_is_small() {
    let state = GicState::at_reset(&GicConfig::new([Affinity(0)], 288)).unwrap();
    let lists = state.to_entries().unwrap().into_iter();
    let len: usize = lists.map(|(_, list)| codec::encode(&list).unwrap().len()).sum();
    assert!(len <= 9 * 1024, "{len} bytes");
}

#[test]
fn definitions_and_saved_form_are_one_list() {
    let defs = reg_defs(96, &CPUS).unwrap();
    let sections = saved();
    assert_eq!(defs.len(), sections.len());
    for ((scope, defs), (at, entries)) in defs.iter().zip(&sections) {
        assert_eq!(scope, at);
        let of_defs: Vec<_> = defs.iter().map(|def| (def.id, def.width, def.class)).collect();
        let of_entries: Vec<_> =
            entries.iter().map(|entry| (entry.id, entry.value.width(), entry.class)).collect();
        assert_eq!(of_defs, of_entries);
    }
}

#[test]
fn every_missing_doubled_or_misshapen_register_is_named() {
    let good = saved();
    for (section, (scope, entries)) in good.iter().enumerate() {
        for (place, entry) in entries.iter().enumerate() {
            let id = entry.id;
            let mut missing = good.clone();
            missing[section].1.remove(place);
            let refused = refusal(missing);
            let is_it = matches!(&refused, GicError::Intake {
                scope: at, source: IntakeError::Missing { id: missed, .. } }
                if at == scope && *missed == id);
            assert!(is_it, "{scope} {id}: {refused}");

            let mut doubled = good.clone();
            doubled[section].1.push(entry.clone());
            let source = IntakeError::Twice { id };
            assert_eq!(refusal(doubled), GicError::Intake { scope: *scope, source });

            let mut wide = good.clone();
            wide[section].1[place].value = Value::u128(0);
            let source = IntakeError::Width { id, found: 16, allowed: entry.value.width() };
            assert_eq!(refusal(wide), GicError::Intake { scope: *scope, source });
        }
    }
}

#[test]
fn vcpu_without_any_register_is_missed_by_its_own_affinity() {
    let mut empty = saved();
    empty[2].1.clear();
    let id = RegId::gic(5, 1 << 32 | 8);
    let source = IntakeError::Missing { id, name: "GICR_TYPER.low" };
    assert_eq!(refusal(empty), GicError::Intake { scope: CPU1, source });
}

#[test]
fn forms_that_no_cpu_interface_keeps_are_changed_and_reported() {
    let mut sections = saved();
    let foreign = [
        (CPU0, "ICC_PMR_EL1", Value::u64(0xff), Value::u64(0xf8)),
        (CPU1, "ICC_BPR0_EL1", Value::u64(0), Value::u64(2)),
        (CPU1, "ICC_BPR1_EL1", Value::u64(1), Value::u64(3)),
    ];
    for (scope, name, found, _) in &foreign {
        entry_mut(&mut sections, *scope, id_of(*scope, name)).value = found.clone();
    }
    let taken = GicState::from_entries(sections).unwrap();
    let reported: Vec<_> = taken
        .normalised
        .iter()
        .map(|n| (n.scope, n.name, n.found.clone(), n.made.clone()))
        .collect();
    for case in &foreign {
        assert!(reported.contains(case), "{case:?} is not in {reported:?}");
    }
    assert_eq!(reported.len(), foreign.len());
    // What was made of them is a form that stays.
    let again = GicState::from_entries(taken.state.to_entries().unwrap()).unwrap();
    assert_eq!(again.normalised, []);
    assert_eq!(GicState::from_entries(saved()).unwrap().normalised, []);
}

#[test]
fn every_flipped_bit_is_refused_or_makes_a_legal_state() {
    let good = saved();
    let (mut refused, mut taken) = (0, 0);
    for (section, (_, entries)) in good.iter().enumerate() {
        for (place, entry) in entries.iter().enumerate() {
            for bit in 0..8 * entry.value.width() {
                let mut bytes = entry.value.as_bytes().to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let mut flipped = good.clone();
                flipped[section].1[place].value = Value::bytes(&bytes);
                match GicState::from_entries(flipped.clone()) {
                    Err(_) => refused += 1,
                    Ok(found) => {
                        taken += 1;
                        check_taken(&found, &flipped);
                    }
                }
            }
        }
    }
    assert!(refused > 500 && taken > 1000, "{refused} refused, {taken} taken");
}

/// The state is legal, and it is the one written, but for what is reported.
fn check_taken(taken: &Taken, written: &Sections) {
    GicV3::from_state(&taken.state).unwrap();
    let again = taken.state.to_entries().unwrap();
    let mut changed = taken.normalised.iter();
    for ((scope, again), (_, written)) in again.iter().zip(written) {
        for (again, written) in again.iter().zip(written) {
            if again == written {
                continue;
            }
            let told = changed.next().unwrap_or_else(|| panic!("{}: not told", again.id));
            assert_eq!((told.scope, told.id), (*scope, again.id));
            assert_eq!((&told.found, &told.made), (&written.value, &again.value));
        }
    }
    assert_eq!(changed.next(), None);
}

#[test]
fn bytes_cut_or_flipped_anywhere_never_panic() {
    let good: Vec<_> =
        saved().iter().map(|(scope, list)| (*scope, codec::encode(list).unwrap())).collect();
    let take = |lists: &[(Scope, Vec<u8>)]| {
        let lists = lists.iter().map(|(scope, list)| Some((*scope, codec::decode(list).ok()?)));
        lists.collect::<Option<Sections>>().map(GicState::from_entries)
    };
    assert!(matches!(take(&good), Some(Ok(_))));
    for section in 0..good.len() {
        for len in (0..good[section].1.len()).step_by(4) {
            let mut cut = good.clone();
            cut[section].1.truncate(len);
            assert!(!matches!(take(&cut), Some(Ok(_))), "{section} cut at {len}");
        }
        for byte in 0..good[section].1.len() {
            let mut flipped = good.clone();
            flipped[section].1[byte] ^= 0x11;
            if let Some(Ok(taken)) = take(&flipped) {
                GicV3::from_state(&taken.state).unwrap();
            }
        }
    }
}

#[test]
fn scopes_are_the_vm_and_its_vcpus_in_turn() {
    assert_eq!(refusal(vec![]), GicError::ScopeMissing { scope: VM });
    let mut swapped = saved();
    swapped.swap(1, 2);
    assert_eq!(refusal(swapped), GicError::Scope { found: CPU1, allowed: CPU0 });
    let mut alien = saved();
    alien.push((Scope::Device(0), vec![]));
    let allowed = Scope::Vcpu(VcpuId(2));
    assert_eq!(refusal(alien), GicError::Scope { found: Scope::Device(0), allowed });
    let mut alone = saved();
    alone.truncate(1);
    assert_eq!(refusal(alone), GicError::CpuCount { found: 0 });
    let mut one_less = saved();
    one_less.truncate(2);
    assert!(matches!(refusal(one_less), GicError::Field { field: "GICR_TYPER.Last", .. }));
}

#[test]
fn registers_of_two_cpus_in_one_scope_are_not_mixed() {
    let mut mixed = saved();
    let stray = entry_mut(&mut mixed, CPU1, id_of(CPU1, "GICR_ISPENDR0")).clone();
    mixed[1].1.push(stray.clone());
    let source = IntakeError::Unknown { id: stray.id };
    assert_eq!(refusal(mixed), GicError::Intake { scope: CPU0, source });
}

#[test]
fn number_of_intids_is_checked_before_anything_is_made() {
    for bad in [0, 33, 1024, u32::MAX] {
        let mut sections = saved();
        entry_mut(&mut sections, VM, RegId::gic(3, 0)).value = Value::u32(bad);
        assert_eq!(refusal(sections), GicError::NrIrqs { found: bad });
    }
    let mut fewer = saved();
    entry_mut(&mut fewer, VM, RegId::gic(3, 0)).value = Value::u32(64);
    assert!(matches!(
        refusal(fewer),
        GicError::Intake { scope: VM, source: IntakeError::Unknown { .. } }
    ));
}

#[test]
fn registers_of_newer_versions_are_treated_by_their_class() {
    let newer = |class| Entry::new(RegId::named("gic.newer"), class, Value::u8(1));
    let with = |class| {
        let mut sections = saved();
        sections[2].1.push(newer(class));
        sections
    };
    let source = IntakeError::Unknown { id: RegId::named("gic.newer") };
    assert_eq!(refusal(with(Class::Mandatory)), GicError::Intake { scope: CPU1, source });
    let taken = GicState::from_entries(with(Class::Static)).unwrap();
    assert_eq!(taken.carried, [(CPU1, vec![newer(Class::Static)])]);
    let taken = GicState::from_entries(with(Class::Volatile)).unwrap();
    assert_eq!(taken.dropped, [(CPU1, vec![newer(Class::Volatile)])]);
    assert_eq!(taken.carried, []);
}

#[test]
fn refusals_say_register_found_and_allowed() {
    let mut sections = saved();
    entry_mut(&mut sections, CPU1, id_of(CPU1, "ICC_SRE_EL1")).value = Value::u64(0);
    let text = refusal(sections).to_string();
    assert_eq!(
        text,
        "gic: vcpu1: register gic:6:0x10000c665: found 0x0000000000000000, \
         allowed: 7 (DIB, DFB, SRE)"
    );
    let mut sections = saved();
    entry_mut(&mut sections, VM, id_of(VM, "GICD_IPRIORITYR8")).value = Value::u32(1);
    let text = refusal(sections).to_string();
    assert_eq!(
        text,
        "gic: vm INTID 32: priority is 0x1, allowed: multiples of 8 (5 priority bits)"
    );
}
