//! abide-gic
