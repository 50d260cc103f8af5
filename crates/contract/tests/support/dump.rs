//! Dumps of real KVM as profiles. `tests/data/README.md` says what they are.

use abide_arm64::{SysReg, id_fields, kvm, rules as cpu_rules};
use abide_contract::rules;
use abide_contract::{Accepts, Offer, Profile, Whose, Write};
use abide_reg::{RegId, Rule, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Host kernels, oldest first.
pub const KERNELS: [&str; 3] = ["6.1", "6.12", "7.2"];

/// What was measured on one host.
pub struct Dump {
    pub kernel: &'static str,
    pub cpu: &'static str,
    release: String,
    capabilities: BTreeMap<u32, i64>,
    /// Bits of ID registers that are writable; `None` where the kernel does not tell.
    writable: Option<BTreeMap<RegId, u64>>,
    /// Per firmware register, the values that were taken, and whether all read as written.
    firmware: BTreeMap<RegId, (BTreeSet<u64>, bool)>,
    iidr: (u64, BTreeSet<u64>),
    typer: u64,
    /// Whether the state of power and of SErrors could be read and written back.
    has_events: bool,
    /// A fresh vCPU with all its features, in the order of the kernel's list.
    pub fresh: BTreeMap<RegId, Value>,
}

fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text, 16).unwrap()
}

fn value(text: &str, id: RegId) -> Value {
    let RegId::Kvm(number) = id else { panic!("{id}") };
    let width = 1usize << (number >> 52 & 0xf);
    let digits = format!("{text:0>width$}", width = 2 * width);
    let bytes = digits.as_bytes().chunks(2).rev();
    let bytes: Vec<u8> = bytes
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    Value::bytes(&bytes)
}

fn register(line: &str) -> (RegId, Value) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let id = RegId::Kvm(hex(words[0]));
    (id, value(words[words.len() - 1], id))
}

impl Dump {
    /// Reads the dump of this kernel on this CPU.
    pub fn read(kernel: &'static str, cpu: &'static str) -> Self {
        let probe = data(&format!("probe-{kernel}-max.txt"));
        let (text, fresh) = if cpu == "neoverse-v1" {
            let section = format!("## -cpu {cpu} full-fresh");
            let lines = probe.lines().skip_while(|line| !line.starts_with(&section)).skip(1);
            let fresh = lines.take_while(|line| !line.starts_with("##")).map(register).collect();
            // Capabilities and masks are the kernel's, whatever the CPU.
            (data(&format!("registers-{kernel}-max.txt")), fresh)
        } else {
            let text = data(&format!("registers-{kernel}-{cpu}.txt"));
            let lines = text.lines().skip_while(|line| !line.starts_with("#BEGIN full-fresh"));
            let lines = lines.skip(1).take_while(|line| !line.starts_with("#END"));
            let fresh = lines.filter_map(|line| line.strip_prefix("R ")).map(register).collect();
            (text, fresh)
        };
        let mut dump = Self {
            kernel,
            cpu,
            release: String::new(),
            capabilities: BTreeMap::new(),
            writable: None,
            firmware: BTreeMap::new(),
            iidr: (0, BTreeSet::new()),
            typer: 0,
            has_events: false,
            fresh,
        };
        for line in text.lines() {
            dump.take(line);
        }
        dump
    }

    fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["KERNEL", release] => self.release = (*release).to_owned(),
            ["CAP", number, value] => {
                self.capabilities.insert(number.parse().unwrap(), value.parse().unwrap());
            }
            ["WRMASK", "OK"] => self.writable = Some(BTreeMap::new()),
            ["WM", op0, op1, crm, op2, mask] => {
                let field = |text: &str| text.split_once('=').unwrap().1.parse::<u16>().unwrap();
                let reg = SysReg::new(field(op0), field(op1), 0, field(crm), field(op2));
                self.writable.as_mut().unwrap().insert(kvm::sysreg(reg), hex(mask));
            }
            [
                "FWW",
                "before-run",
                "vcpu0",
                id,
                "was",
                _,
                "write",
                written,
                "->",
                "OK",
                read,
                number,
            ] => {
                assert_eq!(*read, "readback(vcpu0)");
                let entry =
                    self.firmware.entry(RegId::Kvm(hex(id))).or_insert((BTreeSet::new(), true));
                entry.0.insert(hex(written));
                entry.1 &= written == number;
            }
            ["GICD_IIDR", "OK", default] => self.iidr.0 = hex(default),
            ["GICD_IIDR", "write", _, written, "->", "OK", "readback", read] if written == read => {
                self.iidr.1.insert(hex(written));
            }
            ["#", "events", "OK", "serr_has_esr=1", ";", "mp_state", "OK", _] => {
                self.has_events = true;
            }
            ["GICD_TYPER", "OK", default] => self.typer = hex(default),
            _ => {}
        }
    }

    fn is_old(&self) -> bool {
        self.writable.is_none()
    }

    /// The profile of this host.
    pub fn profile(&self) -> Profile {
        let mut profile =
            Profile { name: format!("debian-{}-{}", self.kernel, self.cpu), ..Profile::default() };
        let info = [
            ("engine", "kvm"),
            ("kernel", &self.release),
            ("cpu", self.cpu),
            ("host", "QEMU 10.0.2, TCG, virtualization=on, gic-version=3"),
            (
                "vcpu_features",
                match self.cpu {
                    "max" => "PSCI_0_2 PMU_V3 SVE",
                    "neoverse-n1" => "PSCI_0_2 PMU_V3",
                    _ => "PSCI_0_2 PMU_V3 SVE PTRAUTH_ADDRESS PTRAUTH_GENERIC",
                },
            ),
        ];
        profile.info = info.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
        profile.capabilities = self.capabilities.clone();
        profile.offers =
            self.fresh.iter().map(|(&id, value)| (id, self.offer(id, value))).collect();
        profile.offers.extend(self.facts());
        if self.has_events {
            // What KVM keeps outside of its registers, under the names of abide.
            for (name, width) in [("cpu.mp_state", 1), ("cpu.serror", 9)] {
                profile.offers.insert(RegId::named(name), Offer::state(Whose::Vcpu, width));
            }
        }
        profile
    }

    fn facts(&self) -> Vec<(RegId, Offer)> {
        let hz = if self.cpu == "max" { 1_000_000_000 } else { 62_500_000 };
        let ipa_bits = u8::try_from(self.capabilities[&165]).unwrap();
        let vcpus = u32::try_from(self.capabilities[&66]).unwrap();
        let range = |least, most: u64| Accepts::Range { least, most };
        // KVM_CAP_STEAL_TIME: a new guest of abide has what its host keeps.
        let (own, pvtime): (u32, BTreeSet<u64>) = match self.capabilities.get(&187) {
            Some(1) => (0x1_0000, [0, 0x1_0000].into()),
            _ => (0, [0].into()),
        };
        let iidr = u32::try_from(self.iidr.0).unwrap();
        let typer = u32::try_from(self.typer).unwrap();
        let vm = |value, accepts| Offer::taking(Whose::Vm, value, accepts);
        vec![
            (rules::CNTFRQ, Offer::fixed(Whose::Vcpu, Value::u64(hz))),
            (rules::IPA_BITS, vm(Value::u8(ipa_bits), range(0, ipa_bits.into()))),
            (rules::VCPUS, vm(Value::u32(vcpus), range(1, vcpus.into()))),
            (rules::PAGE_SIZE, vm(Value::u64(4096), Accepts::Rule)),
            (rules::PVTIME, vm(Value::u32(own), Accepts::Values(pvtime))),
            (rules::GIC_VERSION, Offer::fixed(Whose::Vm, Value::u8(3))),
            (rules::PRIORITY_BITS, Offer::fixed(Whose::Vm, Value::u8(5))),
            (rules::NR_IRQS, vm(Value::u32(256), range(64, 992))),
            (rules::GICD_IIDR, vm(Value::u32(iidr), Accepts::Values(self.iidr.1.clone()))),
            (RegId::gic(1, 4), vm(Value::u32(typer), Accepts::Rule)),
        ]
    }

    fn offer(&self, id: RegId, value: &Value) -> Offer {
        let scope = if kvm::is_vm_scoped(id) { Whose::Vm } else { Whose::Vcpu };
        let taking = |accepts| Offer::taking(scope, value.clone(), accepts);
        let RegId::Kvm(number) = id else { panic!("{id}") };
        match number >> 16 & 0xffff {
            0x10 | 0x15 if number & 0xffff != 0xffff => Offer::state(scope, value.width()),
            0x11 if self.is_old() => Offer::fixed(scope, value.clone()),
            0x11 => taking(Accepts::Rule),
            0x14 | 0x16 => self.firmware_offer(id, taking(Accepts::Any)),
            0x13 if cpu_rules::is_feature_id(id) => self.id_offer(id, taking(Accepts::Rule)),
            _ if cpu_rules::rule(id).readback == Rule::COUNTER.readback => {
                Offer::state(scope, value.width())
            }
            0x13 => self.state_offer(id, taking(Accepts::Any)),
            _ => Offer::fixed(scope, value.clone()),
        }
    }

    fn firmware_offer(&self, id: RegId, offer: Offer) -> Offer {
        let (mut values, kept) = self.firmware[&id].clone();
        let own = offer.default.as_ref().and_then(Value::to_u64).unwrap();
        // Where another CPU was tried, levels of protection are those up to this one's own.
        if !values.contains(&own) || (self.cpu == "neoverse-v1" && !kept) {
            values = (0..=own).collect();
        }
        let ignored = if kept { 0 } else { u64::MAX };
        Offer { accepts: Accepts::Values(values), ignored, ..offer }
    }

    fn id_offer(&self, id: RegId, offer: Offer) -> Offer {
        let sysreg = |op1, crm, op2| kvm::sysreg(SysReg::new(3, op1, 0, crm, op2));
        // MIDR_EL1, REVIDR_EL1 and AIDR_EL1 are writable with a capability only.
        if [sysreg(0, 0, 0), sysreg(0, 0, 6), sysreg(1, 0, 7)].contains(&id) {
            return Offer { writable: 0, ..offer };
        }
        let writable = match &self.writable {
            Some(masks) => masks.get(&id).copied().unwrap_or(0),
            // CSV2 and CSV3.
            None if id == sysreg(0, 4, 0) => 0xff << 56,
            None => 0,
        };
        // Told to be writable, and less is refused: ID_DFR0_EL1.CopDbg, ID_PFR1_EL1.GIC.
        let kept = match self.kernel {
            "6.12" | "7.2" if id == sysreg(0, 1, 2) => 0xf,
            "7.2" if id == sysreg(0, 1, 1) => 0xf << 28,
            _ => 0,
        };
        let writable = writable & !kept;
        let is_clidr = id == sysreg(1, 0, 1);
        let accepts = if is_clidr { Accepts::Any } else { offer.accepts.clone() };
        let hides_nv = self.kernel == "7.2" && id == sysreg(0, 7, 2);
        let ignored = if hides_nv { id_fields::NV.mask() } else { 0 };
        Offer { writable, ignored, accepts, ..offer }
    }

    fn state_offer(&self, id: RegId, offer: Offer) -> Offer {
        const PMCR_EL0: RegId = RegId::Kvm(0x6030_0000_0013_dce0);
        let ignored = match id {
            kvm::TIMER_CTL | kvm::PTIMER_CTL => 1 << 2,
            PMCR_EL0 if !self.is_old() => 0xffff_0000,
            _ => 0,
        };
        let write = match kvm::set_clear_pair(id) {
            Some(pair) if self.kernel == "6.12" => {
                if pair.set == id {
                    Write::Set
                } else {
                    Write::Clear
                }
            }
            _ => Write::Store,
        };
        Offer { ignored, write, ..offer }
    }
}
