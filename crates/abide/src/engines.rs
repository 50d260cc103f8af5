//! Engines by their names on the command line.

use crate::cli::{CpuName, EngineName, FeatureName, RunArgs, StolenTimeArgs};
use abide_arm64::features::{CpuFeatures, Feature};
use abide_contract::Exceptions;
use abide_engine::{Engine, EngineError};
use abide_engine_kvm::KvmEngine;
use abide_engine_kvm::trial::Kind;
use abide_engine_soft::SoftEngine;
use abide_engine_soft::cpu_model::{CpuModel, INT, N1_LIKE, PORTABLE, V8_0};
use abide_firmware::Firmware;
use abide_firmware::spec::{REG_ARCH_WORKAROUND_1, REG_ARCH_WORKAROUND_2, REG_ARCH_WORKAROUND_3};
use abide_machine::board::BoardConfig;
use abide_reg::{Registers, Value};
use anyhow::{Result, bail};

/// The CPU features that a guest is born with.
pub enum Cpus {
    /// Of every vCPU; the engine's own if not told.
    All(Option<CpuName>),
    /// Of each vCPU, in their order.
    Each(Vec<CpuName>),
}

impl Cpus {
    /// What the command line asks for.
    pub fn of(args: &RunArgs) -> Result<Self> {
        let (each, vcpus) = (&args.asymmetric, args.vcpus);
        if each.is_empty() {
            return Ok(Self::All(args.cpu));
        }
        if u32::try_from(each.len()) != Ok(vcpus) {
            let found = each.len();
            bail!("--asymmetric names {found} CPUs for --vcpus {vcpus}; name one for each");
        }
        Ok(Self::Each(each.clone()))
    }

    /// Whether only the software engine can show them.
    pub const fn is_for_soft(&self) -> bool {
        !matches!(self, Self::All(None))
    }

    /// Why KVM cannot, which is asked before there is one.
    pub const fn not_on_kvm(&self) -> &'static str {
        match self {
            // KVM shows the host's CPU; a chosen one comes with contracts.
            Self::All(_) => {
                "--engine kvm shows the guest the host's CPU; --cpu names a model of --engine soft"
            }
            Self::Each(_) => {
                "--engine kvm gives all vCPUs the same ID registers; --asymmetric is for \
                 --engine soft"
            }
        }
    }

    /// The engine for the guest.
    pub fn open(&self, found: Found, stolen_time: &StolenTimeArgs) -> Result<Box<dyn Engine>> {
        match (found, self) {
            (Found::Soft { .. }, Self::All(cpu)) => {
                let soft = SoftEngine::with_model(model(cpu.unwrap_or(CpuName::V80)));
                Ok(Box::new(stolen_time.told(soft)))
            }
            (Found::Soft { .. }, Self::Each(cpus)) => {
                let models = cpus.iter().map(|&cpu| model(cpu)).collect();
                Ok(Box::new(stolen_time.told(SoftEngine::with_models(models))))
            }
            (Found::Kvm(engine), Self::All(None)) => Ok(Box::new(stolen_time.told_kvm(engine))),
            (Found::Kvm(_), _) => bail!(self.not_on_kvm()),
        }
    }

    /// The firmware that goes with them: the VM's, as is what its first vCPU shows.
    pub fn firmware(&self) -> Result<Firmware> {
        let first = match self {
            Self::All(cpu) => *cpu,
            Self::Each(cpus) => cpus.first().copied(),
        };
        let mut firmware = Firmware::default();
        if first == Some(CpuName::Portable) {
            // A Cortex-A57 host offers no workarounds to its guests, and KVM takes no better answer
            // than the host's own.
            for register in [REG_ARCH_WORKAROUND_1, REG_ARCH_WORKAROUND_2, REG_ARCH_WORKAROUND_3] {
                firmware.store(register, &Value::u64(0))?;
            }
        }
        Ok(firmware)
    }
}

/// The features with which the vCPUs of a guest are made.
pub fn features(names: &[FeatureName]) -> Result<CpuFeatures> {
    let mut features = Vec::new();
    for name in names {
        features.push(match name {
            FeatureName::Pmu => Feature::Pmu,
            FeatureName::Sve => Feature::Sve,
            FeatureName::Pauth => Feature::Pauth,
            FeatureName::Mte => bail!(
                "--features mte: abide does not save memory tags, so it gives no guest any \
                 (KVM_CAP_ARM_MTE)"
            ),
            FeatureName::Sme => bail!("--features sme: no host's KVM has it for guests"),
            FeatureName::Nested => bail!(
                "--features nested: abide does not save the state of EL2, so it gives it to no \
                 guest (KVM_CAP_ARM_EL2)"
            ),
            FeatureName::Protected => bail!(
                "--features protected: a guest whose memory and registers the host cannot read \
                 cannot be saved (KVM_VM_TYPE_ARM_PROTECTED)"
            ),
        });
    }
    Ok(CpuFeatures::of(&features))
}

/// The CPU model of this name.
pub const fn model(cpu: CpuName) -> &'static CpuModel {
    match cpu {
        CpuName::Int => &INT,
        CpuName::V80 => &V8_0,
        CpuName::N1Like => &N1_LIKE,
        CpuName::Portable => &PORTABLE,
    }
}

/// The name of the CPU model, as reports say it.
pub const fn model_name(cpu: CpuName) -> &'static str {
    model(cpu).name
}

/// What a guest needs that not every engine has.
#[derive(Default)]
pub struct Needs {
    /// What only the software engine can do, in words.
    pub soft_only: Option<&'static str>,
    /// With what its vCPUs are made.
    pub features: CpuFeatures,
}

/// An engine that works on this host.
pub enum Found {
    /// abide's own.
    Soft {
        /// Why it is not KVM, where nobody chose.
        instead: Option<String>,
    },
    /// The host's.
    Kvm(KvmEngine),
}

impl Found {
    /// The engine that was asked for, or else the best that works here: the host's KVM if it runs
    /// a tiny guest of this kind.
    pub fn find(asked: Option<EngineName>, needs: &Needs, kind: Kind) -> Result<Self> {
        let feature = needs.features.iter().next();
        match (asked, needs.soft_only, feature) {
            (Some(EngineName::Soft), _, None) | (None, Some(_), None) => {
                Ok(Self::Soft { instead: None })
            }
            (Some(EngineName::Soft), _, Some(feature)) | (None, Some(_), Some(feature)) => bail!(
                "--features {}: --engine soft has no {}; it is for --engine kvm",
                feature.name(),
                feature.description()
            ),
            (Some(EngineName::Kvm), Some(what), _) => {
                bail!("{what}: --engine kvm does not count instructions; use --engine soft")
            }
            (Some(EngineName::Kvm), None, _) | (None, None, Some(_)) => {
                Ok(Self::Kvm(open_kvm(kind)?))
            }
            (None, None, None) => Ok(match open_kvm(kind) {
                Ok(engine) => Self::Kvm(engine),
                Err(EngineError::Unavailable { reason, .. }) => {
                    Self::Soft { instead: Some(reason) }
                }
                Err(error) => Self::Soft { instead: Some(error.to_string()) },
            }),
        }
    }

    /// Its name on the command line.
    pub const fn name(&self) -> EngineName {
        match self {
            Self::Soft { .. } => EngineName::Soft,
            Self::Kvm(_) => EngineName::Kvm,
        }
    }

    /// The frequency of a new guest's counter, in Hz: KVM cannot show another than the host's.
    pub fn cntfrq_hz(&self) -> u64 {
        match self {
            Self::Soft { .. } => BoardConfig::DEFAULT.cntfrq_hz,
            Self::Kvm(engine) => engine.cntfrq_hz(),
        }
    }

    /// Why it is not KVM, where nobody chose.
    pub fn not_taken(&self) -> Option<String> {
        if let Self::Soft { instead } = self { instead.clone() } else { None }
    }

    /// The same for the end of a line.
    pub fn instead(&self) -> String {
        self.not_taken().map_or_else(String::new, |reason| format!(" (engine kvm: {reason})"))
    }

    /// The engine for a guest whose CPU features come from its file. Only the software engine can
    /// be told what to take: KVM asks nobody.
    pub fn any_cpu(self, exceptions: Exceptions, stolen_time: &StolenTimeArgs) -> Box<dyn Engine> {
        let soft = stolen_time.told(SoftEngine::with_model(&INT));
        match self {
            Self::Soft { .. } if exceptions.advertised_not_implemented => {
                Box::new(soft.showing_unimplemented())
            }
            Self::Soft { .. } => Box::new(soft),
            Self::Kvm(engine) => Box::new(stolen_time.told_kvm(engine)),
        }
    }
}

impl StolenTimeArgs {
    /// The engine that offers what was asked for.
    pub fn told(&self, engine: SoftEngine) -> SoftEngine {
        match &self.stolen_time {
            Some(revisions) => engine.with_stolen_time(revisions.clone()),
            None => engine,
        }
    }

    /// The same of KVM, which has no more than the host's kernel keeps.
    fn told_kvm(&self, engine: KvmEngine) -> KvmEngine {
        match &self.stolen_time {
            Some(revisions) => engine.with_stolen_time(revisions.clone()),
            None => engine,
        }
    }

    /// Refuses what an engine does not have.
    pub fn check(&self, engine: &dyn Engine) -> Result<()> {
        let kept = engine.stolen_time();
        match &self.stolen_time {
            Some(asked) if *asked != kept => bail!(
                "--stolen-time {asked}: engine {} keeps records of revisions: {kept}; other \
                 revisions are for --engine soft",
                engine.name()
            ),
            _ => Ok(()),
        }
    }
}

/// KVM, if it runs a tiny guest.
fn open_kvm(kind: Kind) -> Result<KvmEngine, EngineError> {
    let engine = KvmEngine::open()?;
    engine.try_guest(kind)?;
    Ok(engine)
}
