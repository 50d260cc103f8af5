//! Bytes written by earlier versions, which must be read for ever, and written alike.

use crate::{CPU0, CPU1, VM, busy};
use abide_gic::GicState;
use abide_reg::{Scope, codec};

/// What [`busy`] was saved as, by the first version.
const V1: [(Scope, &[u8]); 3] = [
    (VM, include_bytes!("golden/v1-vm.bin")),
    (CPU0, include_bytes!("golden/v1-vcpu0.bin")),
    (CPU1, include_bytes!("golden/v1-vcpu1.bin")),
];

#[test]
fn first_version_is_read_and_written_alike() {
    let sections = V1.iter().map(|(scope, bytes)| (*scope, codec::decode(bytes).unwrap()));
    let taken = GicState::from_entries(sections.collect()).unwrap();
    assert_eq!(taken.state, busy().state());
    for ((_, entries), (scope, bytes)) in busy().state().to_entries().unwrap().iter().zip(V1) {
        assert_eq!(codec::encode(entries).unwrap(), bytes, "{scope}");
    }
}
