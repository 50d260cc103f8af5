//! Registers that an engine holds, written as the plan says: the VM's once, and those of each vCPU
//! by a thread of their own.

use super::{Pending, RestoreError, register_error};
use crate::error::Refusals;
use crate::machine::Machine;
use crate::save::cpu_unit;
use crate::units::Unit;
use abide_arm64::order;
use abide_contract::{Dropped, Guest, Held, Profile, Refused, Step, Verdict, extras, rules, step};
use abide_engine::Vcpu;
use abide_reg::{Entry, RegError, RegId, Scope, VcpuId};
use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// How many registers were written to the engine. The counter's frequency is not among them, nor
/// which events performance monitors count: a vCPU is made with these, and the file's are only
/// compared with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Of the VM, each once.
    pub of_vm: usize,
    /// Of single vCPUs that do not show the VM's identity.
    pub of_own: usize,
    /// Of each vCPU.
    pub of_vcpus: Vec<usize>,
}

impl Written {
    /// All of them; on KVM each is an ioctl.
    #[must_use]
    pub fn total(&self) -> usize {
        self.of_vm + self.of_own + self.of_vcpus.iter().sum::<usize>()
    }
}

impl fmt::Display for Written {
    /// `V + N × P = total` in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of_vm, of_own, of_vcpus } = self;
        write!(f, "{of_vm} of the VM once, ")?;
        match of_vcpus.as_slice() {
            [first, rest @ ..] if rest.iter().all(|count| count == first) => {
                write!(f, "{first} of each of {} vCPUs", of_vcpus.len())?;
            }
            _ => write!(f, "{} of {} vCPUs", of_vcpus.iter().sum::<usize>(), of_vcpus.len())?,
        }
        if *of_own != 0 {
            write!(f, ", {of_own} of vCPUs unlike the first")?;
        }
        write!(f, ": {} in all", self.total())
    }
}

/// What storing a list of registers came to: those that the host's kernel refused.
type Stored = Result<Vec<(Entry, RegError)>, (RegId, RegError)>;

/// Writes registers in their order. What the host's kernel refuses is noted, and what an engine
/// does not implement; what cannot be any vCPU's ends it.
fn store_all(vcpu: &mut dyn Vcpu, entries: Vec<Entry>) -> Stored {
    let mut refused = Vec::new();
    for entry in entries {
        match vcpu.store(entry.id, &entry.value) {
            Ok(()) => {}
            Err(error @ RegError::Host { .. }) => refused.push((entry, error)),
            Err(error @ RegError::Refused { .. }) if cpu_unit(entry.id) == Unit::Identity => {
                refused.push((entry, error));
            }
            Err(error) => return Err((entry.id, error)),
        }
    }
    Ok(refused)
}

/// Does `work` for each vCPU, with as many threads as the host has CPUs for: what one vCPU's calls
/// wait for does not hold up another's.
pub(crate) fn on_each<I: Send, T: Send>(
    vcpus: &mut [Box<dyn Vcpu>],
    inputs: Vec<I>,
    work: impl Fn(&mut dyn Vcpu, I) -> T + Sync,
) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(vcpus.len());
    let queue = Mutex::new(vcpus.iter_mut().zip(inputs).enumerate());
    let worker = || {
        let mut done = Vec::new();
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((n, (vcpu, input))) = next else { return done };
            done.push((n, work(vcpu.as_mut(), input)));
        }
    };
    let mut done = thread::scope(|scope| {
        // A host that gives no more threads makes it slower, and that is all.
        let start = |_| thread::Builder::new().spawn_scoped(scope, worker).ok();
        let helpers: Vec<_> = (1..threads).filter_map(start).collect();
        let mut done = worker();
        for helper in helpers {
            match helper.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, result)| result).collect()
}

/// What is to become of the registers of one record.
#[derive(Default)]
struct Planned {
    /// To be written, in this order.
    entries: Vec<Entry>,
    dropped: Vec<RegId>,
    carried: Vec<Entry>,
    /// They stand against the guest.
    refused: Vec<Step>,
    /// To be told.
    steps: Vec<Step>,
}

/// What a restore knows of a guest and of the host that it comes to.
#[derive(Clone, Copy)]
struct Planner<'a> {
    guest: &'a Guest,
    host: &'a Profile,
}

impl Planner<'_> {
    fn plan(self, scope: Scope, entries: Vec<Entry>) -> Planned {
        let mut planned = Planned::default();
        for entry in entries {
            let Entry { id, class, ref value } = entry;
            let held = Held { scope, id, class, value: Some(value.clone()), of_machine: false };
            let mut step = step(self.guest, &held, self.host);
            let is_there = self.host.offer(id).is_some();
            match &step.verdict {
                Verdict::Drop(Dropped::Volatile) => planned.dropped.push(id),
                Verdict::Drop(Dropped::Kept) => planned.carried.push(entry),
                // What is not known is not taken for off.
                Verdict::Drop(Dropped::WhileOff(_)) => {
                    step.verdict = Verdict::Refuse(Refused::Absent);
                    planned.refused.push(step);
                }
                // Kept all the same: the next host may have it again.
                Verdict::Drop(_) => {
                    planned.steps.push(step);
                    planned.carried.push(entry);
                }
                Verdict::Refuse(_) if !is_there => planned.refused.push(step),
                Verdict::Mask { .. } => {
                    planned.steps.push(step);
                    planned.entries.push(entry);
                }
                // What a host takes, the write tells.
                _ => planned.entries.push(entry),
            }
        }
        planned.entries = order::in_order(planned.entries);
        planned
    }

    /// Plans a record and writes to the vCPU what is to be written.
    fn write(self, vcpu: &mut dyn Vcpu, scope: Scope, entries: Vec<Entry>) -> Done {
        let mut planned = self.plan(scope, entries);
        let entries = std::mem::take(&mut planned.entries);
        let written = entries.iter().map(|entry| entry.id).collect();
        Done { planned, written, stored: store_all(vcpu, entries) }
    }
}

/// A record that was written.
struct Done {
    /// What became of what was not to be written.
    planned: Planned,
    written: BTreeSet<RegId>,
    stored: Stored,
}

impl Pending {
    fn planner(&self) -> Planner<'_> {
        Planner { guest: &self.guest, host: &self.host }
    }

    /// Takes down what was not written: dropped, carried along, or against the guest.
    fn note_planned(&mut self, unit: Unit, scope: Scope, planned: Planned) {
        let name = unit.name();
        let Planned { entries: _, dropped, carried, refused, steps } = planned;
        for id in dropped {
            self.drop_entry(name, scope, id);
        }
        self.carry(name, scope, carried);
        self.refused.extend(refused.into_iter().map(|step| (name, step)));
        self.report.steps.extend(steps.into_iter().map(|step| (name, step)));
    }

    /// Ends it if there is anything against the guest.
    pub(super) fn refuse(&mut self, engine: &'static str) -> Result<(), RestoreError> {
        if self.refused.is_empty() {
            return Ok(());
        }
        let steps = Refusals(std::mem::take(&mut self.refused));
        Err(RestoreError::Plan { engine, steps })
    }
}

fn missing_register(unit: Unit, scope: Scope, id: RegId) -> RestoreError {
    let (unit, name) = (unit.name(), crate::names::register_name(id));
    RestoreError::MissingRegister { unit, scope, name, id }
}

impl Machine {
    /// Writes the registers of the VM's record of a unit through the first vCPU.
    pub(super) fn restore_vm(
        &mut self,
        unit: Unit,
        pending: &mut Pending,
    ) -> Result<(), RestoreError> {
        let written = self.store_record(VcpuId(0), unit, Scope::Vm, pending)?;
        let compared = written.iter().filter(|id| rules::is_made_with(**id)).count();
        pending.report.written.of_vm += written.len() - compared;
        self.check_required(unit, Scope::Vm, &written)
    }

    /// Writes the registers of a record to one vCPU; returns which.
    pub(super) fn store_record(
        &mut self,
        vcpu: VcpuId,
        unit: Unit,
        scope: Scope,
        pending: &mut Pending,
    ) -> Result<BTreeSet<RegId>, RestoreError> {
        let entries = pending.take(unit, scope)?;
        let vcpu = self.vcpus[vcpu.index()].as_mut();
        let done = pending.planner().write(vcpu, scope, entries);
        self.note_done(unit, scope, done, pending)
    }

    /// Plans and writes the registers of all vCPUs, each by a thread.
    pub(super) fn restore_cpus(&mut self, pending: &mut Pending) -> Result<(), RestoreError> {
        const UNIT: Unit = Unit::Cpu;
        let mut records = Vec::new();
        for scope in (0..self.board.vcpu_count).map(|n| Scope::Vcpu(VcpuId(n))) {
            records.push((scope, pending.take(UNIT, scope)?));
        }
        let planner = pending.planner();
        let required = self.required(UNIT);
        // All that can be done beside another vCPU is done there, not only the calls.
        let all_done = on_each(&mut self.vcpus, records, |vcpu, (scope, entries)| {
            let done = planner.write(vcpu, scope, entries);
            let missing = required.iter().find(|id| !done.written.contains(*id)).copied();
            (scope, done, missing)
        });
        for (scope, done, missing) in all_done {
            let noted = self.note_done(UNIT, scope, done, pending);
            let noted = noted.and_then(|written| {
                missing.map_or(Ok(written), |id| Err(missing_register(UNIT, scope, id)))
            });
            if noted.is_err() {
                // What was found before is the reason, and this may follow from it.
                pending.refuse(self.engine)?;
            }
            let written = noted?;
            let facts = usize::from(written.contains(&rules::CNTFRQ));
            pending.report.written.of_vcpus.push(written.len() - facts);
        }
        pending.refuse(self.engine)
    }

    /// Takes down what became of a record; returns which registers were written.
    fn note_done(
        &self,
        unit: Unit,
        scope: Scope,
        done: Done,
        pending: &mut Pending,
    ) -> Result<BTreeSet<RegId>, RestoreError> {
        let Done { planned, written, stored } = done;
        pending.note_planned(unit, scope, planned);
        self.note_stored(unit, scope, stored, pending)?;
        pending.report.registers += written.len();
        Ok(written)
    }

    /// Takes down what a host refused, in a plan's words.
    fn note_stored(
        &self,
        unit: Unit,
        scope: Scope,
        stored: Stored,
        pending: &mut Pending,
    ) -> Result<(), RestoreError> {
        let failed = |(id, source)| register_error(unit.name(), scope, id, source);
        for (entry, error) in stored.map_err(failed)? {
            let Entry { id, value, .. } = entry;
            let verdict = Verdict::Refuse(self.refused(scope, id, &value, &error));
            let value = Some(value);
            pending.refused.push((unit.name(), Step { scope, id, value, verdict, how: None }));
        }
        Ok(())
    }

    /// Refuses a record without a register that every vCPU has.
    fn check_required(
        &self,
        unit: Unit,
        scope: Scope,
        written: &BTreeSet<RegId>,
    ) -> Result<(), RestoreError> {
        let missing = self.required(unit).into_iter().find(|id| !written.contains(id));
        missing.map_or(Ok(()), |id| Err(missing_register(unit, scope, id)))
    }

    /// The registers that every record of a unit must have.
    fn required(&self, unit: Unit) -> Vec<RegId> {
        let vcpu = &self.vcpus[0];
        let known = self.known.iter().copied();
        known.filter(|id| cpu_unit(*id) == unit && vcpu.requires(*id)).collect()
    }

    /// Hides what only this host has.
    pub(super) fn hide_extras(&mut self, pending: &mut Pending) {
        let extras = extras(&pending.guest, &pending.host);
        for extra in extras.into_iter().filter(|extra| extra.write.is_some()) {
            let mut refused = Vec::new();
            pending.report.written.of_vm += self.hide(&extra, &mut refused);
            let unit = cpu_unit(extra.id).name();
            pending.refused.extend(refused.into_iter().map(|step| (unit, step)));
            pending.report.hidden.push(extra);
        }
    }
}
