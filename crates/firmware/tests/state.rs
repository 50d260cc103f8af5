//! Saving, restoring and refusing.

use abide_firmware::{Firmware, ImplementationCpu, spec};
use abide_reg::{Absent, Class, Entry, Fit, IntakeError, Readback, RegError, RegId, Registers};
use abide_reg::{Value, codec};
use proptest::prelude::*;

fn full() -> Firmware {
    let mut firmware = Firmware::newest();
    let cpu = ImplementationCpu { midr: 0x413f_d0c1, revidr: 2, aidr: 3 };
    firmware.set_impl_cpus(&[cpu; spec::IMPL_CPUS_MAX]).expect("as many as there may be");
    firmware
}

#[test]
fn defaults_are_those_of_a_6_12_host() {
    let saved: Vec<_> = Firmware::default()
        .save()
        .into_iter()
        .map(|entry| (entry.id, entry.value.to_u64().unwrap()))
        .collect();
    #[rustfmt::skip]
    let expected = [
        (RegId::Kvm(0x6030_0000_0014_0000), 0x1_0001),
        (RegId::Kvm(0x6030_0000_0014_0001), 2),
        (RegId::Kvm(0x6030_0000_0014_0002), 0),
        (RegId::Kvm(0x6030_0000_0014_0003), 2),
        (RegId::Kvm(0x6030_0000_0016_0000), 1),
        (RegId::Kvm(0x6030_0000_0016_0001), 1),
        (RegId::Kvm(0x6030_0000_0016_0002), 3),
        (RegId::Kvm(0x6030_0000_0016_0003), 0),
        (RegId::named("firmware.impl-count"), 0),
    ];
    assert_eq!(saved, expected);
}

#[test]
fn rules_say_what_a_host_may_do() {
    let rule = |id| spec::DEFS.iter().find(|def| def.id == id).unwrap().rule;
    assert_eq!(rule(spec::REG_PSCI_VERSION).fit, Fit::AtMost);
    assert_eq!(rule(spec::REG_ARCH_WORKAROUND_1).readback, Readback::Original);
    assert_eq!(rule(spec::REG_ARCH_WORKAROUND_1).absent, Absent::Refuse);
    assert_eq!(rule(spec::REG_ARCH_WORKAROUND_3).absent, Absent::DropIfValue(0));
    assert_eq!(rule(spec::REG_STD_BMAP).fit, Fit::Subset);
    assert_eq!(rule(spec::REG_STD_BMAP).absent, Absent::Refuse);
    assert_eq!(rule(spec::REG_VENDOR_HYP_BMAP_2).absent, Absent::DropIfValue(0));
}

#[test]
fn save_restore_save_is_the_same() {
    for firmware in [Firmware::default(), Firmware::newest(), full()] {
        let saved = firmware.save();
        let bytes = codec::encode(&saved).unwrap();
        let (restored, leftover) = Firmware::restore(codec::decode(&bytes).unwrap()).unwrap();
        assert_eq!(restored, firmware);
        assert_eq!(restored.save(), saved);
        assert!(leftover.carried.is_empty() && leftover.dropped.is_empty());
    }
}

#[test]
fn store_of_every_register_in_order_copies_the_firmware() {
    let source = full();
    let mut copy = Firmware::default();
    for id in source.reg_ids() {
        copy.store(id, &source.load(id).unwrap()).unwrap();
    }
    assert_eq!(copy, source);
}

#[test]
fn values_that_kvm_refuses_are_refused_by_name() {
    let bad = [
        (spec::REG_PSCI_VERSION, vec![0, 1, 3, 0xffff, 0x1_0004, 1 << 32 | 0x1_0001]),
        (spec::REG_ARCH_WORKAROUND_1, vec![3, 4, 0x10]),
        (spec::REG_ARCH_WORKAROUND_2, vec![1, 2, 4, 0x13]),
        (spec::REG_ARCH_WORKAROUND_3, vec![3, u64::MAX]),
        (spec::REG_STD_BMAP, vec![2, 1 << 63]),
        (spec::REG_STD_HYP_BMAP, vec![2, 3]),
        (spec::REG_VENDOR_HYP_BMAP, vec![4, 7]),
        (spec::REG_VENDOR_HYP_BMAP_2, vec![4, 1 << 32]),
        (spec::REG_IMPL_COUNT, vec![65, u64::MAX]),
    ];
    for (id, values) in bad {
        for number in values {
            let value = Value::u64(number);
            let mut firmware = Firmware::default();
            let stored = firmware.store(id, &value);
            assert!(
                matches!(&stored, Err(RegError::Refused { id: named, found, .. })
                    if *named == id && *found == value),
                "{id} = {number:#x}: {stored:?}"
            );
            assert_eq!(firmware, Firmware::default());

            let mut saved = Firmware::default().save();
            saved.iter_mut().find(|entry| entry.id == id).unwrap().value = value.clone();
            let restored = Firmware::restore(saved);
            assert!(
                matches!(&restored, Err(IntakeError::Value { id: named, found, .. })
                    if *named == id && *found == value),
                "{id} = {number:#x}: {restored:?}"
            );
        }
    }
}

#[test]
fn missing_misshapen_and_surplus_registers_are_named() {
    let saved = full().save();
    for at in 0..saved.len() {
        let mut without = saved.clone();
        let id = without.remove(at).id;
        let restored = Firmware::restore(without);
        // Not every kernel has the second bitmap.
        let may_be_absent = id == spec::REG_VENDOR_HYP_BMAP_2 && restored.is_ok();
        assert!(
            may_be_absent
                || matches!(restored, Err(IntakeError::Missing { id: named, .. }) if named == id),
            "{id}"
        );
        let mut narrow = saved.clone();
        narrow[at].value = Value::u32(0);
        let restored = Firmware::restore(narrow);
        assert!(
            matches!(restored, Err(IntakeError::Width { id: named, found: 4, .. }) if named == id),
            "{id}"
        );
    }
    // One CPU more than the count says is an unknown register.
    let mut surplus = Firmware::default().save();
    surplus.push(saved.last().unwrap().clone());
    let id = RegId::named("firmware.impl-cpu-63");
    assert_eq!(Firmware::restore(surplus), Err(IntakeError::Unknown { id }));
}

#[test]
fn unknown_static_registers_come_back_to_the_caller() {
    let newer = Entry::new(RegId::named("firmware.newer"), Class::Static, Value::u8(1));
    let mut saved = Firmware::default().save();
    saved.push(newer.clone());
    let (_, leftover) = Firmware::restore(saved).unwrap();
    assert_eq!(leftover.carried, [newer]);
}

#[test]
fn access_to_no_register_is_an_error() {
    let mut firmware = Firmware::default();
    let nothing = RegId::Kvm(0x6030_0000_0016_0004);
    assert_eq!(firmware.load(nothing), Err(RegError::Unknown { id: nothing }));
    assert_eq!(firmware.store(nothing, &Value::u64(0)), Err(RegError::Unknown { id: nothing }));
    let beyond = RegId::named("firmware.impl-cpu-00");
    assert_eq!(
        firmware.store(beyond, &Value::bytes(&[0; 24])),
        Err(RegError::Unknown { id: beyond })
    );
    assert_eq!(
        firmware.store(spec::REG_STD_BMAP, &Value::u32(0)),
        Err(RegError::Width { id: spec::REG_STD_BMAP, found: 4, allowed: 8 })
    );
}

proptest! {
    #[test]
    fn any_accepted_state_restores_to_itself(
        values in proptest::collection::vec((0usize..9, 0u64..0x1_0004), 0..20),
        midr in any::<u64>(),
    ) {
        let mut firmware = Firmware::default();
        for (at, number) in values {
            let number = if at == 0 { 0x1_0000 | number & 7 } else { number & 0x47 };
            let _ = firmware.store(spec::DEFS[at].id, &Value::u64(number));
        }
        if let Some(id) = firmware.reg_ids().get(9) {
            let words = [midr, 0, !midr].map(u64::to_le_bytes);
            firmware.store(*id, &Value::bytes(words.as_flattened())).unwrap();
        }
        let (restored, _) = Firmware::restore(firmware.save()).unwrap();
        prop_assert_eq!(restored, firmware);
    }

    #[test]
    fn hostile_entries_never_panic(
        entries in proptest::collection::vec(
            (0usize..12, proptest::collection::vec(any::<u8>(), 0..30)), 0..14),
    ) {
        let entries = entries
            .into_iter()
            .map(|(at, bytes)| {
                let def = spec::DEFS.iter().chain(&spec::IMPL_CPU_DEFS).nth(at).unwrap();
                Entry::new(def.id, def.class, Value::bytes(&bytes))
            })
            .collect();
        if let Ok((firmware, _)) = Firmware::restore(entries) {
            prop_assert!(Firmware::restore(firmware.save()).is_ok());
        }
    }
}
