//! abide-abide
fn main() {}
