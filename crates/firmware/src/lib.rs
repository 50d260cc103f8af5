//! abide-firmware
