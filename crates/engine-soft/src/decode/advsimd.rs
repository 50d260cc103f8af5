//! Advanced SIMD data processing.
//!
//! [DDI0487 C4.1 Data Processing -- Scalar Floating-Point and Advanced SIMD], the encodings with
//! bit 31 = 0 of a vector or of one element.

use super::entry::entries;

entries! {
    "Advanced SIMD copy" {
        "0x 0 01110000 xxxx1 0 0001 1 xxxxx xxxxx" => Simd(DupGeneral) "dup";
    }
    "Data Processing -- Scalar Floating-Point and Advanced SIMD" {
        "01001110 xx10100 xxxxx 10 xxxxx xxxxx" => Unimplemented(AdvSimdCrypto);
        "0xx 0 111 x xxxxxxx xxxxxxxxxxxxxxxxx" except [
            "01001110 xx10100 xxxxx 10 xxxxx xxxxx",
            "0x 0 01110000 xxxx1 0 0001 1 xxxxx xxxxx",
        ] => Unimplemented(AdvSimd);
        "01011110 xx0 xxxxx 0xxx00 xxxxx xxxxx" => Unimplemented(AdvSimdCrypto);
        "01011110 xx10100 xxxxx 10 xxxxx xxxxx" => Unimplemented(AdvSimdCrypto);
        "01x 1 111 x xxxxxxx xxxxxxxxxxxxxxxxx" except [
            "01011110 xx0 xxxxx 0xxx00 xxxxx xxxxx",
            "01011110 xx10100 xxxxx 10 xxxxx xxxxx",
        ] => Unimplemented(AdvSimdScalar);
        "11001110 xxxxxxx xxxxxxxxxxxxxxxxx"    => Unimplemented(AdvSimdCrypto);
        "11001111 xxxxxxx xxxxxxxxxxxxxxxxx"    => Unallocated;
        "101 0 111 x xxxxxxx xxxxxxxxxxxxxxxxx" => Unallocated;
        "100 0 111 x xxxxxxx xxxxxxxxxxxxxxxxx" => Unallocated;
        "111 0 111 x xxxxxxx xxxxxxxxxxxxxxxxx" => Unallocated;
        "11x 1 111 x xxxxxxx xxxxxxxxxxxxxxxxx" => Unallocated;
    }
}
