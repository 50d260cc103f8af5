//! The contract that a guest lives under: as it travels with the guest, and kept at birth.

use crate::board::{BoardConfig, GIC_INTIDS, GIC_INTIDS_MIN, RAM_BASE, fits_devices};
use crate::error::{ContractError, MachineError, Refusals};
use crate::machine::Machine;
use crate::save::cpu_unit;
use crate::units::Unit;
use abide_arm64::features::{CpuFeatures, vector_lengths};
use abide_arm64::kvm::{PMU_EVENTS, SVE_VLS};
use abide_arm64::order;
use abide_contract::codec::{canonical_contract, read_contract};
use abide_contract::{Contract, Extra, Guest, Profile, Refused, Step, Verdict, plan, rules};
use abide_engine::EngineError;
use abide_pvtime::Revision;
use abide_reg::{Class, Entry, Intake, Leftover, Name, RegError, RegId, Scope, Value, VcpuId};
use abide_snapshot::{Digest, Snapshot, UnitRecord};

/// The longest part of a contract's text in one register, in bytes.
const PART_LEN: usize = 32 << 10;
/// The most parts: what a text of the longest contract needs.
const PARTS_MAX: usize = abide_contract::codec::MAX_TEXT_LEN / PART_LEN;

/// A contract, and the bytes by which it travels. These never change, whatever a later version
/// would write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestContract {
    contract: Contract,
    text: String,
}

/// What keeping a contract did at a guest's birth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many registers were written and read back, each vCPU's of its own.
    pub written: usize,
    /// What the host answers by itself: the original is kept for the next host.
    pub originals: Vec<Step>,
    /// What the host would have shown of its own, and the guest sees otherwise.
    pub masked: Vec<Step>,
    /// What only the host has and was hidden.
    pub hidden: Vec<Extra>,
}

impl GuestContract {
    /// A contract for a guest that is to be born.
    #[must_use]
    pub fn new(contract: Contract) -> Self {
        let text = canonical_contract(&contract);
        Self { contract, text }
    }

    /// What is promised.
    #[must_use]
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// The digest of its bytes, as a file's header tells it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }

    pub(crate) fn save(&self) -> Vec<Entry> {
        let parts = self.text.as_bytes().chunks(PART_LEN).enumerate();
        let parts = parts.filter_map(|(n, part)| Some((part_id(n)?, part)));
        parts.map(|(id, part)| Entry::new(id, Class::Static, Value::bytes(part))).collect()
    }

    /// The contract in a saved record.
    ///
    /// # Errors
    /// [`ContractError`].
    pub fn restore(mut entries: Vec<Entry>) -> Result<(Self, Leftover), ContractError> {
        let mut bytes = Vec::new();
        for (n, id) in (0..PARTS_MAX).map_while(part_id).enumerate() {
            let Some(at) = entries.iter().position(|entry| entry.id == id) else { break };
            let part = entries.remove(at).value;
            // Each part but the last is full.
            if bytes.len() != n * PART_LEN || !(1..=PART_LEN).contains(&part.width()) {
                return Err(ContractError::Cut);
            }
            bytes.extend_from_slice(part.as_bytes());
        }
        let text = String::from_utf8(bytes).map_err(|_| ContractError::NotText)?;
        let contract = read_contract(&text).map_err(ContractError::Text)?;
        let leftover = Intake::new(entries).and_then(Intake::finish);
        Ok((Self { contract, text }, leftover.map_err(ContractError::Record)?))
    }

    /// The contract in a snapshot, if it has one, held against all else that the file says.
    ///
    /// # Errors
    /// [`ContractError`].
    pub fn of_snapshot(snapshot: &Snapshot) -> Result<Option<Self>, ContractError> {
        let told = snapshot.header.contract;
        let of_contract = |unit: &&UnitRecord| unit.unit == Unit::Contract.name();
        let Some(record) = snapshot.units().find(of_contract) else {
            return Self::none(told).map(|()| None);
        };
        let (contract, _) = Self::restore(record.entries.clone())?;
        contract.check_told(told)?;
        for record in snapshot.units() {
            record.entries.iter().try_for_each(|it| contract.check_saved(record.scope, it))?;
        }
        Ok(Some(contract))
    }

    /// A file without a record of one, whose header tells of `told`.
    pub(crate) fn none(told: Digest) -> Result<(), ContractError> {
        if told == Digest::default() { Ok(()) } else { Err(ContractError::Missing { told }) }
    }

    /// Whether it is the one that a header tells of. A version without contracts passes the record
    /// on and writes a header that tells of none.
    pub(crate) fn check_told(&self, told: Digest) -> Result<(), ContractError> {
        let found = self.digest();
        if told == Digest::default() || told == found {
            return Ok(());
        }
        Err(ContractError::Digest { told, found })
    }

    /// Refuses a saved register that holds something else than was promised.
    pub(crate) fn check_saved(&self, scope: Scope, entry: &Entry) -> Result<(), ContractError> {
        let Some(pinned) = self.contract.pinned.get(&entry.id) else { return Ok(()) };
        // A guest may have fewer vCPUs and less memory than was promised.
        if rules::is_fact(entry.id) || pinned.value == entry.value {
            return Ok(());
        }
        Err(ContractError::Broken {
            scope,
            name: rules::name(entry.id),
            id: entry.id,
            promised: pinned.value.clone(),
            found: entry.value.clone(),
        })
    }

    /// The number that is promised of a register.
    pub(crate) fn number(&self, id: RegId) -> Option<u64> {
        self.contract.pinned.get(&id)?.value.to_number()
    }

    /// Of which revision the guest's records of stolen time are; `None` for a guest without.
    pub(crate) fn stolen_time(&self) -> Option<Revision> {
        let version = u32::try_from(self.number(rules::PVTIME)?).ok()?;
        Revision::of_version(version)
    }

    /// How many INTIDs the guest's interrupt controller has.
    pub(crate) fn intids(&self) -> Result<u32, ContractError> {
        let Some(number) = self.number(rules::NR_IRQS) else { return Ok(GIC_INTIDS) };
        let intids = u32::try_from(number).ok().filter(|&intids| fits_devices(intids));
        let next = "this board's devices need 96 to 992, in steps of 32; make the contract anew";
        let beyond = || self.beyond("INTIDs", GIC_INTIDS_MIN.into(), number, next);
        intids.ok_or_else(beyond)
    }

    /// Gives the board what is promised, and refuses what it has beyond.
    pub(crate) fn shape(&self, board: &mut BoardConfig) -> Result<(), ContractError> {
        if let Some(hz) = self.number(rules::CNTFRQ) {
            board.cntfrq_hz = hz;
        }
        board.features = self.features();
        let asked = u64::from(board.vcpu_count);
        if let Some(promised) = self.number(rules::VCPUS).filter(|&most| asked > most) {
            return Err(self.beyond("vCPUs", asked, promised, "use fewer --vcpus"));
        }
        let last = RAM_BASE.0.saturating_add(board.ram_len).saturating_sub(1);
        let bits = u64::from(u64::BITS - last.leading_zeros());
        if let Some(promised) = self.number(rules::IPA_BITS).filter(|&most| bits > most) {
            return Err(self.beyond("address bits (IPA)", bits, promised, "use less --memory"));
        }
        Ok(())
    }

    /// The features with which the guest's vCPUs are made.
    fn features(&self) -> CpuFeatures {
        let mut features = CpuFeatures::shown_by(|id| self.number(id));
        let lengths = self.contract.pinned.get(&SVE_VLS);
        let lengths = lengths.and_then(|pinned| vector_lengths(pinned.value.as_bytes()));
        features.vector_lengths = lengths;
        let [first, second] = PMU_EVENTS.map(|id| self.number(id));
        features.pmu_events = first.zip(second).map(|(first, second)| [first, second]);
        features
    }

    /// What it means that no VM can be made as the contract has it.
    pub(crate) fn not_kept(&self, error: EngineError) -> MachineError {
        let EngineError::Unsupported { engine, what } = error else { return error.into() };
        let contract = self.contract.name.clone();
        ContractError::Feature { contract, engine, what }.into()
    }

    fn beyond(
        &self,
        what: &'static str,
        asked: u64,
        promised: u64,
        next: &'static str,
    ) -> ContractError {
        let contract = self.contract.name.clone();
        ContractError::Beyond { contract, what, asked, promised, next }
    }
}

/// The register that holds part `n` of a text.
fn part_id(n: usize) -> Option<RegId> {
    Name::try_new(&format!("contract.text-{n:03}")).map(RegId::Named)
}

/// Whether a register is written to keep a contract. The others follow from how the VM was made,
/// and were judged before.
fn is_written(id: RegId) -> bool {
    !rules::is_fact(id) && id != rules::NR_IRQS && id != rules::GICD_TYPER
}

/// The unit that a register would be saved by.
fn unit_of(id: RegId) -> Unit {
    match id {
        RegId::Gic { .. } | rules::GIC_VERSION | rules::PRIORITY_BITS => Unit::Gic,
        rules::IPA_BITS | rules::VCPUS | rules::PAGE_SIZE => Unit::Board,
        rules::PVTIME => Unit::PvTime,
        _ => cpu_unit(id),
    }
}

impl Machine {
    /// Gives every promised register its value before the first instruction, and hides what only
    /// the host has.
    ///
    /// # Errors
    /// [`ContractError::NotKept`] with every register that stands against it.
    pub(crate) fn keep(&mut self, contract: &GuestContract) -> Result<Kept, MachineError> {
        let mut host = self.shown()?;
        host.offers.extend(self.facts()?);
        let plan = plan(&Guest::promised(&contract.contract), &host);
        let mut refused: Vec<Step> = plan.refusals().cloned().collect();
        let mut kept = Kept::default();
        let pinned = contract.contract.pinned.iter();
        let known = pinned.filter(|(id, _)| is_written(**id) && host.offers.contains_key(id));
        let entries =
            known.map(|(&id, pinned)| Entry::new(id, Class::Static, pinned.value.clone()));
        for Entry { id, value, .. } in order::in_order(entries.collect()) {
            for target in self.holders(id) {
                self.promise(target.unwrap_or(Scope::Vm), id, &value, &mut kept, &mut refused);
            }
        }
        let is_mask = |step: &Step| matches!(step.verdict, Verdict::Mask { .. });
        kept.masked =
            plan.steps.into_iter().filter(|it| is_mask(it) && is_written(it.id)).collect();
        self.hide_names(&host, &mut kept, &mut refused);
        for extra in plan.extras.into_iter().filter(|extra| extra.write.is_some()) {
            kept.written += self.hide(&extra, &mut refused);
            kept.hidden.push(extra);
        }
        if refused.is_empty() {
            return Ok(kept);
        }
        let contract = contract.contract.name.clone();
        let steps = refused.into_iter().map(|step| (unit_of(step.id).name(), step));
        let steps = Refusals(steps.collect());
        Err(ContractError::NotKept { contract, engine: self.engine, steps }.into())
    }

    /// Writes a promised value, and takes down what came of it.
    fn promise(
        &mut self,
        scope: Scope,
        id: RegId,
        value: &Value,
        kept: &mut Kept,
        refused: &mut Vec<Step>,
    ) {
        kept.written += 1;
        let verdict = match self.pin(scope, id, value) {
            Ok(None) => return,
            Ok(Some(reads)) => Verdict::Original { reads },
            Err(refused) => Verdict::Refuse(refused),
        };
        let is_refused = matches!(verdict, Verdict::Refuse(_));
        let step = Step { scope, id, value: Some(value.clone()), verdict, how: None };
        if is_refused { refused } else { &mut kept.originals }.push(step);
    }

    /// Hides what a host tells of itself in registers of state and others do not: a guest must not
    /// see it vanish.
    fn hide_names(&mut self, host: &Profile, kept: &mut Kept, refused: &mut Vec<Step>) {
        let named = host.offers.keys().map(|&id| (id, rules::name_bits(id)));
        for (id, bits) in named.filter(|(_, bits)| *bits != 0) {
            for scope in self.holders(id).into_iter().map(|it| it.unwrap_or(Scope::Vm)) {
                let Ok(shown) = self.load_at(scope, id) else { continue };
                let Some(number) = shown.to_u64().filter(|number| number & bits != 0) else {
                    continue;
                };
                let value = Value::u64(number & !bits);
                let originals = kept.originals.len();
                self.promise(scope, id, &value, kept, refused);
                // Only a host that keeps it hides anything.
                if kept.originals.len() == originals {
                    let verdict = Verdict::Mask { host: shown };
                    kept.masked.push(Step { scope, id, value: Some(value), verdict, how: None });
                }
            }
        }
    }

    /// Writes the value with which the guest sees what it would see without the register; returns
    /// how many times.
    pub(crate) fn hide(&mut self, extra: &Extra, refused: &mut Vec<Step>) -> usize {
        let Extra { id, write: Some(value), .. } = extra else { return 0 };
        let holders = self.holders(*id);
        let count = holders.len();
        for target in holders {
            let scope = target.unwrap_or(Scope::Vm);
            let verdict = match self.pin(scope, *id, value) {
                Ok(None) => continue,
                Ok(Some(reads)) => Verdict::Refuse(Refused::Silent { reads }),
                Err(refused) => Verdict::Refuse(refused),
            };
            refused.push(Step { scope, id: *id, value: Some(value.clone()), verdict, how: None });
        }
        count
    }

    /// Whose copies of a register there are: the VM's one, or each vCPU's.
    fn holders(&self, id: RegId) -> Vec<Option<Scope>> {
        let is_gic = matches!(id, RegId::Gic { .. });
        if is_gic || abide_arm64::kvm::is_vm_scoped(id) || self.is_machine_firmware(id) {
            return vec![None];
        }
        (0..self.board.vcpu_count).map(|n| Some(Scope::Vcpu(VcpuId(n)))).collect()
    }

    /// Writes one register and reads it back; what it reads if that is not what was written, and
    /// the guest's ABI allows it.
    fn pin(&mut self, scope: Scope, id: RegId, value: &Value) -> Result<Option<Value>, Refused> {
        self.store_at(scope, id, value).map_err(|error| self.refused(scope, id, value, &error))?;
        let reads = self.load_at(scope, id);
        let reads = reads.map_err(|error| self.refused(scope, id, value, &error))?;
        // What clears shows what the other sets, which is written next.
        let is_clear = abide_arm64::kvm::set_clear_pair(id).is_some_and(|pair| pair.clear == id);
        if reads == *value || is_clear {
            return Ok(None);
        }
        if !rules::rule(id).readback.tolerates(value, &reads) {
            return Err(Refused::Silent { reads });
        }
        self.keep_original(scope, id, value.clone(), reads.clone());
        Ok(Some(reads))
    }

    fn store_at(&mut self, scope: Scope, id: RegId, value: &Value) -> Result<(), RegError> {
        if matches!(id, RegId::Gic { .. }) {
            return self.irqchip.store(id, value);
        }
        if self.is_machine_firmware(id) {
            return abide_reg::Registers::store(
                &mut *crate::bus::lock(&self.bus.firmware),
                id,
                value,
            );
        }
        self.vcpus[vcpu_of(scope)].store(id, value)
    }

    fn load_at(&self, scope: Scope, id: RegId) -> Result<Value, RegError> {
        if matches!(id, RegId::Gic { .. }) {
            return self.irqchip.load(id);
        }
        if self.is_machine_firmware(id) {
            return abide_reg::Registers::load(&*crate::bus::lock(&self.bus.firmware), id);
        }
        self.vcpus[vcpu_of(scope)].load(id)
    }

    /// A host's refusal in a plan's words.
    pub(crate) fn refused(
        &self,
        scope: Scope,
        id: RegId,
        value: &Value,
        error: &RegError,
    ) -> Refused {
        refused_by(id, value, error, || self.load_at(scope, id).ok())
    }
}

/// The vCPU through which registers of a scope are reached: those of the VM through the first.
fn vcpu_of(scope: Scope) -> usize {
    if let Scope::Vcpu(vcpu) = scope { vcpu.index() } else { 0 }
}

/// The refusal of a register in a plan's words; `shown` reads what the host has in it.
pub(crate) fn refused_by(
    id: RegId,
    value: &Value,
    error: &RegError,
    shown: impl FnOnce() -> Option<Value>,
) -> Refused {
    use abide_contract::Refusal;
    match error {
        RegError::Unknown { .. } => Refused::Absent,
        RegError::Width { found, allowed, .. } => {
            Refused::Value(Refusal::Width { found: *found, allowed: *allowed })
        }
        RegError::Refused { allowed, .. } => {
            let allowed = (*allowed).to_owned();
            Refused::Value(Refusal::Value { found: value.clone(), allowed })
        }
        RegError::Host { errno, .. } => Refused::Value(match shown() {
            Some(shown) => Refusal::by_host(id, value, &shown),
            None => Refusal::Value {
                found: value.clone(),
                allowed: format!("nothing that could be read (errno {errno})"),
            },
        }),
    }
}
