//! abide-engine-soft
