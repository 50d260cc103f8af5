//! abide-testkit
