//! The list of CPU implementations that a guest may come to run on: state that the kernel does not
//! keep, told by calls that it hands out `[linux Documentation/virt/kvm/arm/hypercalls.rst]`.

use abide_firmware::spec::{self, IMPL_CPU_DEFS, REG_IMPL_COUNT, REG_VENDOR_HYP_BMAP_2};
use abide_firmware::{Caller, Environment, Firmware, PtpCounter, PtpSample};
use abide_reg::{RegError, RegId, Registers, Value, VcpuId};

/// The first of the calls that are answered here, and how many there are: DISCOVER_IMPL_VER and
/// DISCOVER_IMPL_CPUS.
pub(crate) const FORWARDED: (u32, u32) = (spec::VENDOR_HYP_KVM_DISCOVER_IMPL_VER, 2);

/// The registers `firmware.impl-count` and `firmware.impl-cpu-NN` of one VM, and the answers that
/// follow from them.
///
/// A guest that was never given a list has no such registers.
#[derive(Debug, Default)]
pub(crate) struct Implementations {
    firmware: Firmware,
    is_there: bool,
    /// Whether the kernel hands the calls out. That cannot be undone, and need not be.
    is_forwarded: bool,
}

impl Implementations {
    /// Whether the register is one of them.
    pub(crate) fn has(id: RegId) -> bool {
        id == REG_IMPL_COUNT || IMPL_CPU_DEFS.iter().any(|def| def.id == id)
    }

    /// All that there may be, with their widths in bytes.
    pub(crate) fn all() -> Vec<(RegId, usize)> {
        let cpus = IMPL_CPU_DEFS.iter().map(|def| (def.id, def.width));
        std::iter::once((REG_IMPL_COUNT, 8)).chain(cpus).collect()
    }

    /// Those that there are.
    pub(crate) fn reg_ids(&self) -> Vec<RegId> {
        let known = self.firmware.reg_ids();
        known.into_iter().filter(|id| self.is_there && Self::has(*id)).collect()
    }

    pub(crate) fn load(&self, id: RegId) -> Result<Value, RegError> {
        if self.is_there { self.firmware.load(id) } else { Err(RegError::Unknown { id }) }
    }

    /// Stores one. Before there is the first to tell of, `forward` has the kernel hand the calls
    /// out; it fails with the kernel's errno.
    pub(crate) fn store(
        &mut self,
        id: RegId,
        value: &Value,
        forward: impl FnOnce() -> Result<(), i32>,
    ) -> Result<(), RegError> {
        let is_first = id == REG_IMPL_COUNT && value.to_u64() != Some(0) && !self.is_forwarded;
        if is_first {
            forward().map_err(|_| RegError::Refused {
                id,
                found: value.clone(),
                allowed: "0: this KVM hands no calls to its VMM (KVM_ARM_VM_SMCCC_FILTER)",
            })?;
            self.is_forwarded = true;
        }
        self.firmware.store(id, value)?;
        self.is_there = true;
        Ok(())
    }

    /// Takes note of what the guest is told that there is.
    pub(crate) fn note_bitmap(&mut self, value: &Value) {
        // What the kernel took and this version does not know, nobody answers.
        let known = spec::VENDOR_HYP_2_BIT_IMPL_VER | spec::VENDOR_HYP_2_BIT_IMPL_CPUS;
        let bits = value.to_u64().unwrap_or(0) & known;
        if let Err(error) = self.firmware.store(REG_VENDOR_HYP_BMAP_2, &Value::u64(bits)) {
            tracing::error!(%error, "a bitmap of two known bits was refused");
        }
    }

    /// Answers a call with these x0 to x3.
    pub(crate) fn answer(&self, vcpu: VcpuId, x: &[u64; 4]) -> [u64; 4] {
        let reply = self.firmware.call(Caller::aarch64(vcpu), x, &mut Nothing);
        // Nobody else's calls are handed out [DEN0028 5.2].
        reply.map_or([u64::MAX, 0, 0, 0], |reply| reply.regs)
    }
}

/// What calls that only tell need of a machine.
struct Nothing;

impl Environment for Nothing {
    fn vcpu_count(&self) -> u32 {
        0
    }

    fn mpidr(&self, _vcpu: VcpuId) -> u64 {
        0
    }

    fn is_on(&self, _vcpu: VcpuId) -> bool {
        true
    }

    fn entropy(&mut self) -> Option<u64> {
        None
    }

    fn ptp(&self, _counter: PtpCounter) -> Option<PtpSample> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VER: [u64; 4] = [0xc600_0040, 0, 0, 0];
    const NOT_SUPPORTED: [u64; 4] = [u64::MAX, 0, 0, 0];

    fn cpu(midr: u64) -> Value {
        Value::bytes([midr, 7, 9].map(u64::to_le_bytes).as_flattened())
    }

    #[test]
    fn answers_are_those_of_the_registers() {
        let mut list = Implementations::default();
        let mut forwarded = 0;
        list.note_bitmap(&Value::u64(3));
        assert_eq!(list.answer(VcpuId(0), &VER), NOT_SUPPORTED, "nothing to tell of");
        let mut store = |list: &mut Implementations, id, value: &Value| {
            list.store(id, value, || {
                forwarded += 1;
                Ok(())
            })
        };
        store(&mut list, REG_IMPL_COUNT, &Value::u64(2)).unwrap();
        store(&mut list, IMPL_CPU_DEFS[0].id, &cpu(0x410f_d0c0)).unwrap();
        store(&mut list, IMPL_CPU_DEFS[1].id, &cpu(0x410f_d400)).unwrap();
        store(&mut list, REG_IMPL_COUNT, &Value::u64(2)).unwrap();
        assert_eq!(forwarded, 1, "the kernel takes a range once");
        assert_eq!(list.reg_ids().len(), 3);
        assert_eq!(list.answer(VcpuId(1), &VER), [0, 0x1_0000, 2, 0]);
        assert_eq!(list.answer(VcpuId(0), &[0xc600_0041, 1, 5, 5]), [0, 0x410f_d400, 7, 9]);
        let beyond = list.answer(VcpuId(0), &[0xc600_0041, 2, 0, 0]);
        assert_eq!(beyond[0], (-3i64).cast_unsigned());
        let (first, count) = FORWARDED;
        for function in first..first + count {
            let answer = list.answer(VcpuId(0), &[function.into(), 0, 0, 0]);
            assert_eq!(answer[0], 0, "{function:#x} is handed out");
        }
        assert_eq!(list.answer(VcpuId(0), &[0xc600_0042, 0, 0, 0]), NOT_SUPPORTED);
        // Not told of, not answered.
        list.note_bitmap(&Value::u64(0));
        assert_eq!(list.answer(VcpuId(0), &VER), NOT_SUPPORTED);
    }

    #[test]
    fn a_guest_without_a_list_has_no_such_registers() {
        let mut list = Implementations::default();
        assert!(list.reg_ids().is_empty());
        assert_eq!(list.load(REG_IMPL_COUNT), Err(RegError::Unknown { id: REG_IMPL_COUNT }));
        let never = || panic!("an empty list needs no filter");
        list.store(REG_IMPL_COUNT, &Value::u64(0), never).unwrap();
        assert_eq!(list.reg_ids(), [REG_IMPL_COUNT], "what was written is there");
        assert_eq!(list.load(REG_IMPL_COUNT), Ok(Value::u64(0)));
        let id = IMPL_CPU_DEFS[0].id;
        assert_eq!(list.store(id, &cpu(1), never), Err(RegError::Unknown { id }));
    }

    #[test]
    fn a_kernel_without_a_filter_is_named() {
        let mut list = Implementations::default();
        let error = list.store(REG_IMPL_COUNT, &Value::u64(1), || Err(22)).unwrap_err();
        assert!(error.to_string().contains("KVM_ARM_VM_SMCCC_FILTER"), "{error}");
        assert!(list.reg_ids().is_empty());
    }

    #[test]
    fn registers_are_told_with_their_widths() {
        let all = Implementations::all();
        assert_eq!((all.len(), all[0], all[1].1), (65, (REG_IMPL_COUNT, 8), 24));
        assert!(all.iter().all(|(id, _)| Implementations::has(*id)));
        assert!(!Implementations::has(REG_VENDOR_HYP_BMAP_2));
    }
}
