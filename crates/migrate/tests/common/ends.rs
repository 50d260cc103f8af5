//! Both ends at once.

use crate::common::{
    ATTEMPT, Cut, Dialer, Door, FakeDestination, FakeSource, Memory, PATIENCE, TOKEN, World,
};
use abide_migrate::SourceState;
use abide_migrate::driver::{DestinationEnd, DestinationHandoff, SourceEnd, SourceHandoff};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;

/// Both ends, before they meet.
pub struct Ends {
    pub world: Arc<World>,
    pub source: FakeSource,
    pub destination: FakeDestination,
    pub source_disk: Memory,
    pub destination_disk: Memory,
    pub cut: Option<Cut>,
}

/// What became of them.
pub struct Outcome {
    pub source: SourceEnd,
    pub destination: DestinationEnd,
    pub source_disk: Memory,
    pub destination_disk: Memory,
    pub steps: Vec<SourceState>,
}

impl Ends {
    pub fn new() -> Self {
        let world = Arc::new(World::default());
        Self {
            source: FakeSource::new(&world),
            destination: FakeDestination::new(&world),
            source_disk: Memory::default(),
            destination_disk: Memory::default(),
            cut: None,
            world,
        }
    }

    /// Lets them hand the guest over, until both have come to an end.
    pub fn meet(self) -> Outcome {
        let Self { world, mut source, mut destination, .. } = self;
        let (mut source_disk, mut destination_disk) = (self.source_disk, self.destination_disk);
        let (door, inside) = channel();
        let is_over = destination.is_over.clone();
        let over = is_over.clone();
        let receiver = std::thread::spawn(move || {
            let mut listen = Door(inside);
            let mut handoff = DestinationHandoff::new(
                &mut destination,
                &mut listen,
                &mut destination_disk,
                PATIENCE,
            );
            let mut is_told = false;
            // Whoever was refused or cut off is waited for again.
            let end = loop {
                match handoff.run() {
                    DestinationEnd::Nothing { .. } if !over.load(Ordering::SeqCst) => {}
                    DestinationEnd::Unsettled { .. } if !over.load(Ordering::SeqCst) => {}
                    DestinationEnd::Runs { is_settled: false, .. }
                        if !std::mem::replace(&mut is_told, true) => {}
                    end => break end,
                }
            };
            (end, destination_disk)
        });
        let mut dial = Dialer { door, cut: self.cut, dials: 0 };
        let mut handoff = SourceHandoff::new(
            &mut source,
            &mut dial,
            &mut source_disk,
            (TOKEN, ATTEMPT),
            PATIENCE,
        );
        let source_end = handoff.run();
        is_over.store(true, Ordering::SeqCst);
        let (destination, destination_disk) = receiver.join().unwrap();
        world.check();
        assert_eq!(*world.wrong.lock().unwrap(), [""; 0]);
        Outcome {
            source: source_end,
            destination,
            source_disk,
            destination_disk,
            steps: source.steps,
        }
    }
}
