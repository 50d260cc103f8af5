//! abide-snapshot
