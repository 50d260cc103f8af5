//! A VM: its memory slots, its vCPUs, its interrupt controller.

use super::forward::Calls;
use super::irqchip::KvmGicV3;
use super::pmu::Pmu;
use super::rings::{LogBy, Rings};
use super::vcpu::KvmVcpu;
use crate::host;
use crate::trial::Seen;
use abide_arm64::features::{Feature, PmuEvents};
use abide_engine::{Abi, EngineError, InterruptLines, Irqchip, Provider, Vcpu, Vm, VmConfig};
use abide_memory::{AbiPages, GuestRam, PageAccess};
use abide_pvtime::Revisions;
use abide_reg::VcpuId;
use kvm_bindings::{
    KVM_CAP_ARM_NISV_TO_USER, KVM_CAP_ARM_WRITABLE_IMP_ID_REGS, KVM_MEM_LOG_DIRTY_PAGES,
    KVM_MEM_READONLY, kvm_enable_cap, kvm_userspace_memory_region,
};
use kvm_ioctls::VmFd;
use std::os::raw::c_ulong;
use std::sync::Arc;

/// The memory slot of RAM. Those of pages of guest ABIs follow.
const RAM_SLOT: u32 = 0;

/// A VM of the host's kernel.
pub(super) struct KvmVm {
    fd: Arc<VmFd>,
    config: VmConfig,
    vcpus_made: u32,
    has_irqchip: bool,
    kernel_logs: bool,
    /// What vCPUs wrote, where not all of it is in the bitmap.
    rings: Option<Arc<Rings>>,
    /// The performance monitors of vCPUs, which wait for the interrupt controller.
    pmus: Vec<Pmu>,
    calls: Arc<Calls>,
    /// What guests of this host read, where one was asked.
    seen: Option<Seen>,
    /// Of which revisions records of stolen time are kept.
    stolen_time: Revisions,
}

impl KvmVm {
    pub(super) fn new(
        fd: VmFd,
        config: VmConfig,
        seen: Option<Seen>,
        log_by: LogBy,
        stolen_time: Revisions,
    ) -> Result<Self, EngineError> {
        let fd = Arc::new(fd);
        let rings = match log_by {
            LogBy::Rings => Some(Rings::enable(&fd, &config.ram, RAM_SLOT)?),
            LogBy::Bitmap => None,
        };
        let mut vm = Self {
            rings,
            calls: Calls::of(&fd),
            fd,
            config,
            vcpus_made: 0,
            has_irqchip: false,
            kernel_logs: false,
            pmus: Vec::new(),
            seen,
            stolen_time,
        };
        vm.report_accesses_without_syndrome()?;
        vm.let_names_be_written()?;
        vm.set_memory(false)?;
        vm.set_pages()?;
        Ok(vm)
    }

    /// Asks for an exit where the guest reaches for a device with an instruction whose syndrome
    /// the CPU does not give (LDP, writeback, vectors). Without, `KVM_RUN` fails with ENOSYS, and a
    /// guest could end its VMM's work.
    fn report_accesses_without_syndrome(&self) -> Result<(), EngineError> {
        let cap = kvm_enable_cap { cap: KVM_CAP_ARM_NISV_TO_USER, ..Default::default() };
        self.fd
            .enable_cap(&cap)
            .map_err(|error| host::refused("KVM_CAP_ARM_NISV_TO_USER", error.errno()))
    }

    /// Lets the guest see another CPU's name than the host's, where the kernel can: before any vCPU
    /// is made `[linux Documentation/virt/kvm/api.rst 7.42]`.
    fn let_names_be_written(&self) -> Result<(), EngineError> {
        let number = KVM_CAP_ARM_WRITABLE_IMP_ID_REGS;
        if self.fd.check_extension_raw(c_ulong::from(number)) <= 0 {
            return Ok(());
        }
        let cap = kvm_enable_cap { cap: number, ..Default::default() };
        self.fd
            .enable_cap(&cap)
            .map_err(|error| host::refused("KVM_CAP_ARM_WRITABLE_IMP_ID_REGS", error.errno()))
    }

    /// Makes the next vCPU.
    pub(super) fn make_vcpu(&mut self, id: VcpuId) -> Result<KvmVcpu, EngineError> {
        if id.0 != self.vcpus_made || id.0 >= self.config.vcpu_count {
            return Err(host::unsupported(
                "this vCPU number: vCPUs are made in the order of their numbers, as many as the \
                 machine was set up with",
            ));
        }
        if self.has_irqchip {
            return Err(host::unsupported("vCPUs after the interrupt controller"));
        }
        let calls = Arc::clone(&self.calls);
        let rings = self.rings.clone();
        let mut vcpu = KvmVcpu::new(&self.fd, &self.config, id, calls, self.seen, rings)?;
        vcpu.offer_stolen_time(self.stolen_time.clone());
        if self.config.features.contains(Feature::Pmu) {
            self.pmus.push(vcpu.pmu()?);
        }
        self.vcpus_made += 1;
        Ok(vcpu)
    }

    /// The events of performance monitors that the host has and the guest is not told of.
    fn hidden_events(&self) -> PmuEvents {
        let host = self.seen.and_then(|seen| seen.pmu_events);
        match host.zip(self.config.features.pmu_events) {
            Some((host, told)) => [host[0] & !told[0], host[1] & !told[1]],
            None => [0; 2],
        }
    }

    /// Makes the slot, or changes whether its writes are logged.
    fn set_memory(&mut self, logged: bool) -> Result<(), EngineError> {
        let ram = &self.config.ram;
        let region = kvm_userspace_memory_region {
            slot: RAM_SLOT,
            flags: if logged { KVM_MEM_LOG_DIRTY_PAGES } else { 0 },
            guest_phys_addr: ram.base().0,
            memory_size: ram.size(),
            userspace_addr: ram.host_address(),
        };
        #[expect(unsafe_code, reason = "the kernel gives the guest what the request points to")]
        // SAFETY: the range is the whole mapping of `ram`, shared memory that is only ever reached
        // atomically. This VM and each of its vCPUs, which keep the kernel's VM alive, hold an Arc
        // of it, so it stays mapped as long as the guest can run.
        let result = unsafe { self.fd.set_user_memory_region(region) };
        result.map_err(|error| host::refused("KVM_SET_USER_MEMORY_REGION", error.errno()))?;
        self.kernel_logs = logged;
        Ok(())
    }

    /// Makes a slot for each page of a guest ABI. Their writes are not logged: they are no RAM.
    fn set_pages(&self) -> Result<(), EngineError> {
        let ram = &self.config.ram;
        for ((page, number), slot) in ram.pages().iter().zip(0..).zip(RAM_SLOT + 1..) {
            let Some(userspace_addr) = ram.page_host_address(number) else { break };
            let flags = match page.access() {
                PageAccess::ReadOnly => KVM_MEM_READONLY,
                PageAccess::ReadWrite => 0,
            };
            let region = kvm_userspace_memory_region {
                slot,
                flags,
                guest_phys_addr: page.gpa().0,
                memory_size: AbiPages::LEN,
                userspace_addr,
            };
            #[expect(unsafe_code, reason = "the kernel gives the guest what the request points to")]
            // SAFETY: the range is mapped by `ram` behind its own memory and reached atomically
            // only; it stays mapped for as long as the guest can run, as in `set_memory`.
            let result = unsafe { self.fd.set_user_memory_region(region) };
            result.map_err(|error| {
                host::refused("KVM_SET_USER_MEMORY_REGION (a page of a guest ABI)", error.errno())
            })?;
        }
        Ok(())
    }
}

impl Vm for KvmVm {
    /// All of them are the kernel's.
    fn provider(&self, _abi: Abi) -> Provider {
        Provider::Native
    }

    fn create_vcpu(
        &mut self,
        id: VcpuId,
        _lines: Arc<InterruptLines>,
    ) -> Result<Box<dyn Vcpu>, EngineError> {
        Ok(Box::new(self.make_vcpu(id)?))
    }

    fn create_irqchip(&mut self) -> Result<Option<Arc<dyn Irqchip>>, EngineError> {
        if self.vcpus_made != self.config.vcpu_count {
            return Err(host::unsupported("an interrupt controller before all vCPUs are made"));
        }
        if self.has_irqchip {
            return Err(host::unsupported("a second interrupt controller"));
        }
        let VmConfig { gicd, gicr, gic_intids, .. } = self.config;
        let gic = KvmGicV3::new(Arc::clone(&self.fd), gicd, gicr, gic_intids)?;
        self.has_irqchip = true;
        if let Some(pmu) = self.pmus.first() {
            // For all of them, and before any is started.
            pmu.hide(self.hidden_events())?;
        }
        for pmu in self.pmus.drain(..) {
            pmu.start()?;
        }
        Ok(Some(Arc::new(gic)))
    }

    /// The host's CPUs do not count for it.
    fn counts_instructions(&self) -> bool {
        false
    }

    /// Asks the kernel for the pages its guest wrote, and has it watch them again: by the rings of
    /// its vCPUs and, where these all rest or there are no rings, by the bitmap.
    ///
    /// The kernel logs from the first call after
    /// [`DirtyLog::start`](abide_memory::DirtyLog::start) on. It cannot say what was written
    /// before, so that call marks all of RAM: whenever it comes, no page is missed. To copy
    /// nothing twice, start, call this, harvest, and only then begin to copy. The first call after
    /// [`DirtyLog::stop`](abide_memory::DirtyLog::stop) ends the kernel's logging.
    fn sync_dirty_log(&mut self) -> Result<(), EngineError> {
        let wanted = self.config.ram.dirty().is_enabled();
        if wanted != self.kernel_logs {
            self.set_memory(wanted)?;
            self.config.ram.dirty().mark(0, self.config.ram.size());
            return Ok(());
        }
        if !wanted {
            return Ok(());
        }
        if let Some(rings) = &self.rings {
            rings.empty()?;
            if !rings.all_rest() {
                return Ok(());
            }
        }
        let size = usize::try_from(self.config.ram.size())
            .map_err(|_| host::unsupported("RAM of this size"))?;
        let bitmap = self
            .fd
            .get_dirty_log(RAM_SLOT, size)
            .map_err(|error| host::refused("KVM_GET_DIRTY_LOG", error.errno()))?;
        mark_dirty(&self.config.ram, &bitmap, rustix::param::page_size() as u64);
        Ok(())
    }
}

/// Marks what the kernel's bitmap, one bit for each page of the host, says.
fn mark_dirty(ram: &GuestRam, bitmap: &[u64], page_size: u64) {
    for (&word, first) in bitmap.iter().zip((0u64..).step_by(64)) {
        let mut left = word;
        while left != 0 {
            let page = first + u64::from(left.trailing_zeros());
            ram.dirty().mark(page * page_size, page_size);
            left &= left - 1;
        }
    }
}
