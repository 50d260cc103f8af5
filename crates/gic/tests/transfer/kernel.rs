//! A stand-in for a controller in the kernel: the software one behind the manners of KVM's device
//! attributes. It shows that what is promised for any engine does not lean on this crate's own.

use abide_gic::{GicConfig, GicV3};
use abide_reg::{RegError, RegId, Registers, Value};
use std::collections::BTreeMap;

const EINVAL: i32 = 22;
const ICC_CTLR_EL1: u64 = 0xc664;
const A3V: u64 = 1 << 15;

pub struct Kernel {
    pub gic: GicV3,
    /// Read instead of what the controller holds, until written: values before the vCPU first runs.
    pub raw: BTreeMap<RegId, Value>,
    /// Writes that are lost without a word.
    pub lost: Vec<RegId>,
    /// Reads that fail.
    pub failing: Vec<RegId>,
    pub writes: Vec<RegId>,
}

impl Kernel {
    /// As the kernel makes it: binary points not yet clamped, no table attributes.
    pub fn new(config: GicConfig) -> Self {
        let mut raw = BTreeMap::new();
        for cpu in &config.cpus {
            for encoding in [0xc643, 0xc663] {
                raw.insert(RegId::gic(6, u64::from(cpu.0) << 32 | encoding), Value::u64(0));
            }
            raw.insert(RegId::gic(5, u64::from(cpu.0) << 32 | 0x70), Value::u32(0));
        }
        Self::holding(GicV3::new(config).unwrap(), raw)
    }

    pub fn of(gic: GicV3) -> Self {
        Self::holding(gic, BTreeMap::new())
    }

    fn holding(gic: GicV3, raw: BTreeMap<RegId, Value>) -> Self {
        Self { gic, raw, lost: Vec::new(), failing: Vec::new(), writes: Vec::new() }
    }

    /// Inputs of 32 INTIDs that are level-triggered.
    fn levels(&self, first: u64) -> u32 {
        if first == 0 {
            return 0xffff_0000;
        }
        let config = |n: u64| {
            let value = self.gic.load(RegId::gic(1, 0xc00 + 4 * n)).unwrap();
            value.to_u32().unwrap()
        };
        let (low, high) = (config(first / 16), config(first / 16 + 1));
        (0..32).fold(0, |mask, place| {
            let word = if place < 16 { low } else { high };
            mask | u32::from(word >> (2 * (place % 16) + 1) & 1 == 0) << place
        })
    }
}

impl Registers for Kernel {
    fn reg_ids(&self) -> Vec<RegId> {
        self.gic.reg_ids()
    }

    fn load(&self, id: RegId) -> Result<Value, RegError> {
        if self.failing.contains(&id) {
            return Err(RegError::Host { id, errno: EINVAL });
        }
        if let Some(value) = self.raw.get(&id) {
            return Ok(value.clone());
        }
        let RegId::Gic { group, attr } = id else { return Err(RegError::Unknown { id }) };
        match self.gic.load(id) {
            Ok(lines) if group == 7 => {
                Ok(Value::u32(lines.to_u32().unwrap() & self.levels(attr & 0x3ff)))
            }
            // Places that are no register read as zero.
            Err(RegError::Unknown { .. }) => Ok(Value::u32(0)),
            other => other,
        }
    }

    fn store(&mut self, id: RegId, value: &Value) -> Result<(), RegError> {
        self.writes.push(id);
        self.raw.remove(&id);
        let RegId::Gic { group, attr } = id else { return Err(RegError::Unknown { id }) };
        if group == 6 && attr & 0xffff == ICC_CTLR_EL1 {
            let own = self.gic.load(id)?.to_u64().unwrap();
            if (own ^ value.to_u64().unwrap()) & A3V != 0 {
                return Err(RegError::Host { id, errno: EINVAL });
            }
        }
        if self.lost.contains(&id) {
            return Ok(());
        }
        match self.gic.store(id, value) {
            // Identities and places that are no register take anything.
            Err(RegError::Unknown { .. } | RegError::Refused { .. }) => Ok(()),
            other => other,
        }
    }
}
