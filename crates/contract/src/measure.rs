//! Measuring what a holder of registers offers: by writing, and reading back.
//!
//! Nothing is inferred from a version. The holder must be fresh, and is used up.

use crate::host::{ones, value_of};
use crate::profile::{Accepts, FieldValues, Offer, Profile, Whose, Write};
use crate::rules;
use abide_arm64::kvm;
use abide_reg::{Field, Fit, Readback, RegError, RegId, Registers, Value};
use std::collections::BTreeSet;

/// Fields that a host may take only together, by their lowest bit and their number of bits:
/// floating point and Advanced SIMD of ID_AA64PFR0_EL1; the levels of coherence and unification of
/// CLIDR_EL1, where 0 in some of them means that data caches need no cleaning, and KVM refuses
/// that if CTR_EL0.IDC says otherwise `[linux arch/arm64/kvm/sys_regs.c set_clidr]`.
const TOGETHER: [(RegId, u8, u8); 2] =
    [(RegId::Kvm(0x6030_0000_0013_c020), 16, 8), (RegId::Kvm(0x6030_0000_0013_c801), 21, 9)];

/// Adds to `profile` what `registers`, those of one fresh vCPU, offer.
///
/// # Errors
/// [`RegError`] if a register that is listed cannot be read, or what it held cannot be put back.
pub fn measure(registers: &mut dyn Registers, profile: &mut Profile) -> Result<(), RegError> {
    for id in registers.reg_ids() {
        let value = registers.load(id)?;
        let scope = if kvm::is_vm_scoped(id) { Whose::Vm } else { Whose::Vcpu };
        let offer = if rules::is_made_with(id) {
            Offer::fixed(scope, value)
        } else if rules::is_pinned(id) {
            pinned(registers, id, scope, &value)?
        } else {
            plain(registers, id, scope, value)?
        };
        profile.offers.insert(id, offer);
    }
    Ok(())
}

/// Plain state. What a counter or a general register holds at first means nothing.
fn plain(
    registers: &mut dyn Registers,
    id: RegId,
    scope: Whose,
    value: Value,
) -> Result<Offer, RegError> {
    let rule = rules::rule(id);
    let state = Offer::state(scope, value.width());
    if rule.readback == Readback::Bound || kvm::to_sysreg(id).is_none() {
        return Ok(state);
    }
    let mut ignored = 0;
    if let (Readback::EqualBut(mask), Some(number)) = (rule.readback, value.to_number()) {
        let other = number ^ mask;
        ignored = read_after(registers, id, other, &value)?.map_or(0, |read| (read ^ other) & mask);
    }
    let write = how_writes_work(registers, id)?;
    Ok(Offer { default: Some(value), ignored, write, ..state })
}

/// Whether ones that are written to a register of the PMU set, clear or are stored.
fn how_writes_work(registers: &mut dyn Registers, id: RegId) -> Result<Write, RegError> {
    let Some(pair) = kvm::set_clear_pair(id) else { return Ok(Write::Store) };
    if pair.set != id {
        // Where ones set in the one, they clear in the other.
        return Ok(match how_writes_work(registers, pair.set)? {
            Write::Set => Write::Clear,
            Write::Store | Write::Clear => Write::Store,
        });
    }
    let before = registers.load(id)?;
    registers.store(pair.clear, &Value::u64(u64::MAX))?;
    registers.store(pair.set, &Value::u64(1))?;
    registers.store(pair.set, &Value::u64(2))?;
    let adds_up = registers.load(id)?.to_u64() == Some(3);
    registers.store(pair.clear, &Value::u64(u64::MAX))?;
    registers.store(pair.set, &before)?;
    Ok(if adds_up { Write::Set } else { Write::Store })
}

fn pinned(
    registers: &mut dyn Registers,
    id: RegId,
    scope: Whose,
    value: &Value,
) -> Result<Offer, RegError> {
    let fixed = Offer::fixed(scope, value.clone());
    let Some(number) = value.to_number() else { return Ok(fixed) };
    let all = ones(value.width());
    let taking =
        |accepts, ignored| Ok(Offer { ignored, ..Offer::taking(scope, value.clone(), accepts) });
    let fit = rules::rule(id).fit;
    // Where each bit can be turned alone, and all of them together, they are free. Of numbers and
    // fields that is no evidence, unless it is every bit.
    let mut free = 0;
    for bit in (0..u64::BITS).map(|bit| 1 << bit).filter(|bit| all & bit != 0) {
        let other = number ^ bit;
        free |= if read_after(registers, id, other, value)? == Some(other) { bit } else { 0 };
    }
    let could_be_free = free == all || (free != 0 && fit == Fit::Exact);
    if could_be_free && is_free(registers, id, value, free)? {
        let is_all = free == all;
        let offer = Offer::taking(scope, value.clone(), Accepts::Any);
        return Ok(Offer { writable: if is_all { u64::MAX } else { free }, ..offer });
    }
    let in_parts: Option<&[Field]> = match fit {
        Fit::Fields(fields) => Some(fields),
        // Bits of which some can be turned alone, and not all together.
        Fit::Exact | Fit::Any if free != 0 => Some(&[]),
        Fit::Exact | Fit::Any => return Ok(fixed),
        Fit::AtMost | Fit::Subset => None,
    };
    if let Some(fields) = in_parts {
        let Measured { fields, ignored } = measure_fields(registers, id, value, fields)?;
        if fields.is_empty() && ignored == 0 {
            return Ok(fixed);
        }
        let is_known = matches!(fit, Fit::Fields(_));
        let accepts = if is_known || together(registers, id, value, &fields)? {
            Accepts::Fields(fields)
        } else {
            // What each part takes is known only while the others are as they were.
            Accepts::Values(one_at_a_time(number, &fields))
        };
        return taking(accepts, ignored);
    }
    // Levels, bits, and versions of PSCI.
    let tried = (0..=0x1f).chain(0x1_0000..=0x1_0010);
    let (mut values, mut ignored): (BTreeSet<u64>, u64) = ([number].into(), 0);
    for other in tried.filter(|other| other & !all == 0) {
        if let Some(read) = read_after(registers, id, other, value)? {
            values.insert(other);
            // A level that is checked and not stored.
            ignored |= if read == other { 0 } else { all };
        }
    }
    if values.len() > 1 { taking(Accepts::Values(values), ignored) } else { Ok(fixed) }
}

/// What was found in the fields of a register.
struct Measured {
    /// Those in which more than the default's number is taken.
    fields: Vec<FieldValues>,
    /// The bits of those that are taken and not kept.
    ignored: u64,
}

fn measure_fields(
    registers: &mut dyn Registers,
    id: RegId,
    value: &Value,
    fields: &[Field],
) -> Result<Measured, RegError> {
    let mut found = Measured { fields: Vec::new(), ignored: 0 };
    let number = value.to_number().unwrap_or(0);
    let all = ones(value.width());
    for (shift, width) in places(id, fields) {
        let mut field = FieldValues { shift, width, values: BTreeSet::new() };
        if field.mask() & !all != 0 {
            continue;
        }
        for bits in 0..1u64 << width {
            let with = number & !field.mask() | bits << shift;
            match read_after(registers, id, with, value)? {
                Some(read) if read == with => {
                    field.values.insert(bits);
                }
                Some(read) if read == number => found.ignored |= field.mask(),
                _ => {}
            }
        }
        if field.values.len() > 1 {
            found.fields.push(field);
        }
    }
    Ok(found)
}

/// Whether these bits, of which each can be turned alone, can be turned all together, and no other
/// bit with them.
fn is_free(
    registers: &mut dyn Registers,
    id: RegId,
    value: &Value,
    free: u64,
) -> Result<bool, RegError> {
    let turned = value.to_number().unwrap_or(0) ^ free;
    if read_after(registers, id, turned, value)? != Some(turned) {
        return Ok(false);
    }
    let fixed = ones(value.width()) & !free;
    for bit in (0..u64::BITS).map(|bit| 1 << bit).filter(|bit| fixed & bit != 0) {
        if read_after(registers, id, turned ^ bit, value)? == Some(turned ^ bit) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether parts of a register of which each takes other numbers take them all together.
fn together(
    registers: &mut dyn Registers,
    id: RegId,
    value: &Value,
    fields: &[FieldValues],
) -> Result<bool, RegError> {
    let number = value.to_number().unwrap_or(0);
    let mut turned = number;
    for field in fields {
        let own = (number & field.mask()) >> field.shift;
        // The one that is least like the host's own.
        let other = field.values.iter().max_by_key(|bits| (*bits ^ own).count_ones());
        turned = turned & !field.mask() | other.map_or(own, |bits| *bits) << field.shift;
    }
    Ok(read_after(registers, id, turned, value)? == Some(turned))
}

/// The values that differ from `number` in one part at most.
fn one_at_a_time(number: u64, fields: &[FieldValues]) -> BTreeSet<u64> {
    let of = |field: &FieldValues| {
        let (rest, shift) = (number & !field.mask(), field.shift);
        field.values.iter().map(move |bits| rest | bits << shift).collect::<Vec<u64>>()
    };
    fields.iter().flat_map(of).collect()
}

/// All 64 bits in parts that are tried one at a time: known fields, and the rest in runs that do
/// not cross four bits.
fn places(id: RegId, fields: &[Field]) -> Vec<(u8, u8)> {
    let known = fields.iter().filter(|field| field.width <= 8);
    let joint = TOGETHER.iter().filter(|(reg, _, _)| *reg == id);
    let mut places: Vec<(u8, u8)> = joint.map(|&(_, shift, width)| (shift, width)).collect();
    for field in known {
        let is_free = |(shift, width): &(u8, u8)| !(*shift..shift + width).contains(&field.shift);
        if places.iter().all(is_free) {
            places.push((field.shift, field.width));
        }
    }
    let mut bit = 0;
    while bit < 64 {
        let covers = |(shift, width): &(u8, u8)| (*shift..shift + width).contains(&bit);
        if places.iter().any(covers) {
            bit += 1;
            continue;
        }
        let first = bit;
        while bit < 64 && bit / 4 == first / 4 {
            let covers = |(shift, width): &(u8, u8)| (*shift..shift + width).contains(&bit);
            if places.iter().any(covers) {
                break;
            }
            bit += 1;
        }
        places.push((first, bit - first));
    }
    places.sort_unstable();
    places
}

/// What the register shows after `value` was written, `None` if it was not taken; puts `before`
/// back.
fn read_after(
    registers: &mut dyn Registers,
    id: RegId,
    value: u64,
    before: &Value,
) -> Result<Option<u64>, RegError> {
    if registers.store(id, &value_of(value, before.width())).is_err() {
        return Ok(None);
    }
    let read = registers.load(id)?.to_number();
    registers.store(id, before)?;
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Answer;

    const ISAR0: RegId = RegId::Kvm(0x6030_0000_0013_c030);
    const PFR0: RegId = RegId::Kvm(0x6030_0000_0013_c020);
    const PSCI: RegId = RegId::Kvm(0x6030_0000_0014_0000);
    const CLIDR: RegId = RegId::Kvm(0x6030_0000_0013_c801);
    const MMFR2: RegId = RegId::Kvm(0x6030_0000_0013_c03a);
    const PMCR: RegId = RegId::Kvm(0x6030_0000_0013_dce0);
    const PMCNTENSET: RegId = RegId::Kvm(0x6030_0000_0013_dce1);
    const PMCNTENCLR: RegId = RegId::Kvm(0x6030_0000_0013_dce2);
    const WORKAROUND_1: RegId = RegId::Kvm(0x6030_0000_0014_0001);

    /// A register, what it holds, and what it holds after a write, if that is taken.
    type Held = (RegId, u64, fn(u64) -> Option<u64>);

    /// A vCPU that takes what functions let it.
    struct Picky(Vec<Held>);

    impl Registers for Picky {
        fn reg_ids(&self) -> Vec<RegId> {
            self.0.iter().map(|(id, _, _)| *id).collect()
        }

        fn load(&self, id: RegId) -> Result<Value, RegError> {
            let found = self.0.iter().find(|(known, _, _)| *known == id);
            found.map(|(_, value, _)| Value::u64(*value)).ok_or(RegError::Unknown { id })
        }

        fn store(&mut self, id: RegId, value: &Value) -> Result<(), RegError> {
            let found = self.0.iter_mut().find(|(known, _, _)| *known == id);
            let (_, held, takes) = found.ok_or(RegError::Unknown { id })?;
            let written = value.to_u64().and_then(*takes);
            *held = written.ok_or(RegError::Host { id, errno: 22 })?;
            Ok(())
        }
    }

    fn measured(id: RegId, value: u64, takes: fn(u64) -> Option<u64>) -> Offer {
        let mut profile = Profile::default();
        measure(&mut Picky(vec![(id, value, takes)]), &mut profile).unwrap();
        profile.offers.remove(&id).unwrap()
    }

    fn keeps(offer: &Offer, id: RegId, value: u64) -> bool {
        offer.answer(id, &Value::u64(value)) == Answer::Kept
    }

    #[test]
    fn what_is_measured_is_what_is_taken() {
        // AES up to 2, CRC32 0 or 1; all else fixed.
        let aes = |value: u64| {
            (value & !0xf_00f0 == 0x1000 && value >> 4 & 0xf <= 2 && value >> 16 & 0xf <= 1)
                .then_some(value)
        };
        let offer = measured(ISAR0, 0x1_1020, aes);
        for value in [0x1_1020, 0x1_1010, 0x1000, 0x1020] {
            assert!(keeps(&offer, ISAR0, value), "{value:#x}");
        }
        for value in [0x1_1030, 0x2_1020, 0x1_0020, 0x1_1021, 1 << 63 | 0x1_1020] {
            assert!(!keeps(&offer, ISAR0, value), "{value:#x}");
        }
    }

    #[test]
    fn fields_that_go_together_are_measured_together() {
        let both = |value: u64| {
            let number = value >> 16 & 0xff;
            (value & !0xff_0000 == 0x11 && matches!(number, 0x00 | 0x11 | 0xff)).then_some(value)
        };
        let offer = measured(PFR0, 0x11, both);
        assert!(keeps(&offer, PFR0, 0xff_0011) && keeps(&offer, PFR0, 0x11_0011));
        assert!(!keeps(&offer, PFR0, 0x0f_0011) && !keeps(&offer, PFR0, 0x12));
    }

    #[test]
    fn versions_and_free_registers_are_recognised() {
        let versions = |value| matches!(value, 2 | 0x1_0000 | 0x1_0001).then_some(value);
        let offer = measured(PSCI, 0x1_0001, versions);
        assert_eq!(offer.accepts, Accepts::Values([2, 0x1_0000, 0x1_0001].into()));
        assert_eq!(measured(CLIDR, 3, Some).accepts, Accepts::Any);
        assert_eq!(measured(CLIDR, 3, |value| (value == 3).then_some(3)).writable, 0);
    }

    /// As KVM on a CPU whose data caches need cleaning (CTR_EL0.IDC is 0).
    fn clidr_without_idc(value: u64) -> Option<u64> {
        let level = |shift: u32| value >> shift & 7;
        let (louis, loc, louu) = (level(21), level(24), level(27));
        let needs_no_cleaning = loc == 0 || (louis == 0 && louu == 0);
        (value >> 47 == 0 && !needs_no_cleaning).then_some(value)
    }

    #[test]
    fn levels_that_are_judged_together_are_measured_together() {
        let offer = measured(CLIDR, 0x0920_0003, clidr_without_idc);
        // Another host's, which differs in six bits.
        assert!(keeps(&offer, CLIDR, 0x0a20_0023));
        for value in [0x0a20_0123, 0x0220_0023, 0x0a00_0023] {
            assert!(keeps(&offer, CLIDR, value), "{value:#x}");
        }
        // It can be told in a profile's text.
        let offers = [(CLIDR, offer.clone())].into();
        let profile = Profile { name: "a".into(), offers, ..Profile::default() };
        let text = crate::codec::write_profile(&profile);
        assert_eq!(crate::codec::read_profile(&text).unwrap(), profile);
        // No level of coherence; no level of unification.
        for value in [0x0820_0023, 0x0200_0023, 1 << 47 | 0x0920_0003] {
            assert!(!keeps(&offer, CLIDR, value), "{value:#x}");
        }
    }

    #[test]
    fn parts_that_depend_on_each_other_are_told_one_at_a_time() {
        // At most two bits besides the lowest.
        let offer = measured(CLIDR, 1, |value| (value.count_ones() <= 3).then_some(value));
        assert!(keeps(&offer, CLIDR, 0x3) && keeps(&offer, CLIDR, 0x31));
        assert!(!keeps(&offer, CLIDR, 0x110), "two parts were not tried");
        assert!(!keeps(&offer, CLIDR, 0x17));
    }

    #[test]
    fn what_is_taken_and_not_kept_is_told_apart() {
        // As KVM: a lower level is checked, and its own kept.
        let offer = measured(WORKAROUND_1, 2, |value| (value <= 2).then_some(2));
        let answer = |value| offer.answer(WORKAROUND_1, &Value::u64(value));
        assert_eq!(answer(1), Answer::Changed(Value::u64(2)));
        assert!(matches!(answer(3), Answer::Refused(_)));
        // As Linux 7.2: NV is taken, and reads as 0.
        let nv = 0xf << 24;
        let offer = measured(MMFR2, 0x11, |value| {
            (value & !(0xf << 24) == 0x11).then_some(value & !(0xf << 24))
        });
        assert_eq!(offer.ignored, nv);
        assert_eq!(
            offer.answer(MMFR2, &Value::u64(0x0200_0011)),
            Answer::Changed(Value::u64(0x11))
        );
        // As Linux 6.12: whose PMU it is, is not told.
        let offer = measured(PMCR, 0x3000, |value| Some(value & 0xffff));
        assert_eq!(offer.ignored, 0xffff_0000);
    }

    /// A PMU whose registers set and clear, as those of Linux 6.12.
    struct Setting(u64);

    impl Registers for Setting {
        fn reg_ids(&self) -> Vec<RegId> {
            vec![PMCNTENSET, PMCNTENCLR]
        }

        fn load(&self, _: RegId) -> Result<Value, RegError> {
            Ok(Value::u64(self.0))
        }

        fn store(&mut self, id: RegId, value: &Value) -> Result<(), RegError> {
            let bits = value.to_u64().unwrap_or(0);
            self.0 = if id == PMCNTENSET { self.0 | bits } else { self.0 & !bits };
            Ok(())
        }
    }

    #[test]
    fn writes_that_set_and_clear_are_recognised_and_undone() {
        let (mut profile, mut pmu) = (Profile::default(), Setting(0x1e));
        measure(&mut pmu, &mut profile).unwrap();
        assert_eq!(profile.offers[&PMCNTENSET].write, Write::Set);
        assert_eq!(profile.offers[&PMCNTENCLR].write, Write::Clear);
        assert_eq!(pmu.0, 0x1e);
    }
}
