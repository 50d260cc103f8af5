//! The transport and its device as registers.

use super::Mmio;
use crate::registers::{
    CONFIG_GENERATION, DEVICE_FEATURES, DEVICE_FEATURES_SEL, DEVICE_ID, DRIVER_FEATURES,
    DRIVER_FEATURES_SEL, INTERRUPT_STATUS, QUEUE_SEL, QUEUES, QueueDefs, SHM_SEL, STATUS, UNSERVED,
    transport_table,
};
use crate::spec::{feature, interrupt, status};
use crate::{Device, QUEUE_SIZE_MAX, Virtqueue};
use abide_memory::GuestRam;
use abide_reg::{Entry, Gpa, Intake, IntakeError, Leftover, RegDef, Value};

impl<D: Device> Mmio<D> {
    /// Every register of the unit, in the order in which it is saved.
    #[must_use]
    pub fn table() -> Vec<RegDef> {
        let mut table = transport_table(D::QUEUE_SIZES.len());
        if D::SHARES_MEMORY {
            table.push(SHM_SEL);
        }
        table.extend_from_slice(D::TABLE);
        table
    }

    /// Every register with its content.
    #[must_use]
    pub fn save(&self) -> Vec<Entry> {
        let Self {
            device,
            device_features,
            device_features_sel,
            driver_features,
            driver_features_sel,
            queue_sel,
            shm_sel,
            status,
            interrupt_status,
            config_generation,
            queues,
            unserved,
        } = self;
        let mut entries = vec![
            Entry::of(&DEVICE_ID, Value::u32(D::ID.0)),
            Entry::of(&DEVICE_FEATURES, Value::u64(*device_features)),
            Entry::of(&DEVICE_FEATURES_SEL, Value::u32(*device_features_sel)),
            Entry::of(&DRIVER_FEATURES, Value::u64(*driver_features)),
            Entry::of(&DRIVER_FEATURES_SEL, Value::u32(*driver_features_sel)),
            Entry::of(&QUEUE_SEL, Value::u32(*queue_sel)),
            Entry::of(&STATUS, Value::u8(*status)),
            Entry::of(&INTERRUPT_STATUS, Value::u8(*interrupt_status)),
            Entry::of(&CONFIG_GENERATION, Value::u32(*config_generation)),
            Entry::of(&UNSERVED, Value::u8(*unserved)),
        ];
        entries.extend(queues.iter().zip(&QUEUES).flat_map(|(queue, defs)| queue.save(defs)));
        if D::SHARES_MEMORY {
            entries.push(Entry::of(&SHM_SEL, Value::u32(*shm_sel)));
        }
        entries.extend(device.save());
        entries
    }

    /// The device with these registers in a guest with this RAM, and what was there beyond them.
    ///
    /// # Errors
    /// [`IntakeError`]: a register is missing, doubled, misshapen, mandatory and unknown, or holds
    /// what this device cannot hold; an address outside RAM and a feature that this version does
    /// not have are such values.
    pub fn restore(entries: Vec<Entry>, ram: &GuestRam) -> Result<(Self, Leftover), IntakeError> {
        let mut intake = Intake::new(entries)?;
        let intake_ref = &mut intake;
        take(intake_ref, &DEVICE_ID, "this device's number", |&id: &u32| id == D::ID.0)?;
        let known = D::FEATURES_KNOWN | feature::OF_TRANSPORT;
        let allowed = "VIRTIO_F_VERSION_1, and nothing that this version does not have";
        let offered = |offered: &u64| offered & !known == 0 && offered & feature::VERSION_1 != 0;
        let device_features: u64 = take(intake_ref, &DEVICE_FEATURES, allowed, offered)?;
        let device_features_sel = intake_ref.u32(&DEVICE_FEATURES_SEL)?;
        let driver_features = intake_ref.u64(&DRIVER_FEATURES)?;
        let driver_features_sel = intake_ref.u32(&DRIVER_FEATURES_SEL)?;
        let queue_sel = intake_ref.u32(&QUEUE_SEL)?;
        let status = take_status(intake_ref, driver_features, device_features)?;
        let is_interrupt =
            |&bits: &u8| bits & !(interrupt::USED_BUFFER | interrupt::CONFIG_CHANGE) == 0;
        let interrupt_status = take(intake_ref, &INTERRUPT_STATUS, "bits 1:0", is_interrupt)?;
        let config_generation = intake_ref.u32(&CONFIG_GENERATION)?;
        let count = D::QUEUE_SIZES.len();
        let is_queue = |&bits: &u8| usize::from(bits) >> count == 0;
        let unserved = take(intake_ref, &UNSERVED, "a bit for each queue", is_queue)?;
        let queues = QUEUES
            .iter()
            .take(count)
            .map(|defs| Virtqueue::restore(defs, intake_ref, ram))
            .collect::<Result<_, _>>()?;
        let shm_sel = if D::SHARES_MEMORY { intake_ref.u32(&SHM_SEL)? } else { 0 };
        let device = D::restore(device_features & !feature::OF_TRANSPORT, intake_ref)?;
        let restored = Self {
            device,
            device_features,
            device_features_sel,
            driver_features,
            driver_features_sel,
            queue_sel,
            shm_sel,
            status,
            interrupt_status,
            config_generation,
            queues,
            unserved,
        };
        Ok((restored, intake.finish()?))
    }
}

fn take_status(
    intake: &mut Intake,
    driver_features: u64,
    device_features: u64,
) -> Result<u8, IntakeError> {
    let agreed =
        driver_features & !device_features == 0 && driver_features & feature::VERSION_1 != 0;
    let is_status = |&bits: &u8| {
        let has = |bit| bits & bit != 0;
        bits & !(status::OF_DRIVER | status::DEVICE_NEEDS_RESET) == 0
            && (!has(status::FEATURES_OK) || agreed)
            && (!has(status::DRIVER_OK) || has(status::FEATURES_OK))
    };
    let allowed = "bits 7, 6 and 3:0; FEATURES_OK only with features that were offered, \
                   DRIVER_OK only with FEATURES_OK";
    take(intake, &STATUS, allowed, is_status)
}

impl Virtqueue {
    fn save(&self, defs: &QueueDefs) -> Vec<Entry> {
        let Self { size_max, size, is_ready, desc, driver, device, next_avail, next_used } = self;
        vec![
            Entry::of(&defs.size_max, Value::u32(u32::from(*size_max))),
            Entry::of(&defs.size, Value::u32(*size)),
            Entry::of(&defs.ready, Value::u8(u8::from(*is_ready))),
            Entry::of(&defs.desc, Value::u64(desc.0)),
            Entry::of(&defs.driver, Value::u64(driver.0)),
            Entry::of(&defs.device, Value::u64(device.0)),
            Entry::of(&defs.next_avail, Value::bytes(&next_avail.to_le_bytes())),
            Entry::of(&defs.next_used, Value::bytes(&next_used.to_le_bytes())),
        ]
    }

    fn restore(defs: &QueueDefs, intake: &mut Intake, ram: &GuestRam) -> Result<Self, IntakeError> {
        let is_size = |&size: &u32| size.is_power_of_two() && size <= QUEUE_SIZE_MAX.into();
        let size_max: u32 = take(intake, &defs.size_max, "a power of two up to 1024", is_size)?;
        let size = intake.u32(&defs.size)?;
        let is_ready = take(intake, &defs.ready, "0 or 1", |&ready: &u8| ready <= 1)? != 0;
        let queue = Self {
            size_max: u16::try_from(size_max).unwrap_or(QUEUE_SIZE_MAX),
            size,
            is_ready,
            desc: Gpa(intake.u64(&defs.desc)?),
            driver: Gpa(intake.u64(&defs.driver)?),
            device: Gpa(intake.u64(&defs.device)?),
            next_avail: take(intake, &defs.next_avail, "any", |_| true)?,
            next_used: take(intake, &defs.next_used, "any", |_| true)?,
        };
        if is_ready && queue.rings(ram).is_err() {
            let allowed = "1 only with a size up to QueueSizeMax and aligned rings inside RAM";
            return Err(IntakeError::Value { id: defs.ready.id, found: Value::u8(1), allowed });
        }
        Ok(queue)
    }
}

/// A number of the width of its register.
trait Number: Sized {
    fn of(value: &Value) -> Option<Self>;
}

impl Number for u8 {
    fn of(value: &Value) -> Option<Self> {
        value.to_u8()
    }
}

impl Number for u16 {
    fn of(value: &Value) -> Option<Self> {
        Some(Self::from_le_bytes(value.as_bytes().try_into().ok()?))
    }
}

impl Number for u32 {
    fn of(value: &Value) -> Option<Self> {
        value.to_u32()
    }
}

impl Number for u64 {
    fn of(value: &Value) -> Option<Self> {
        value.to_u64()
    }
}

/// Takes a register whose value must pass a test.
fn take<N: Number>(
    intake: &mut Intake,
    def: &RegDef,
    allowed: &'static str,
    passes: impl FnOnce(&N) -> bool,
) -> Result<N, IntakeError> {
    let value = intake.take(def)?;
    let number = N::of(&value).filter(passes);
    number.ok_or(IntakeError::Value { id: def.id, found: value, allowed })
}
