//! Waiting and waking by several threads.

use abide_engine::Parking;

#[test]
fn every_wake_ends_a_wait() {
    let (there, back) = (Parking::default(), Parking::default());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..10_000 {
                there.wait(None);
                back.wake();
            }
        });
        for _ in 0..10_000 {
            there.wake();
            back.wait(None);
        }
    });
}
