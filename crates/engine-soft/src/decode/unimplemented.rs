//! Reserved space, SVE, SME, and floating-point and Advanced SIMD data processing.
//!
//! Words that no implemented instruction can ever be among: whole top-level groups that are
//! reserved, or that belong to extensions this engine does not have.

use super::entry::entries;

entries! {
    "Reserved" {
        "0 00 0000 0 00000000 xxxxxxxxxxxxxxxx" => Udf "udf";
        "0 xx 0000 x xxxxxxxx xxxxxxxxxxxxxxxx" except [
            "0 00 0000 0 00000000 xxxxxxxxxxxxxxxx",
        ] => Unallocated;
        "x xx 0001 x xxxxxxxx xxxxxxxxxxxxxxxx" => Unallocated;
        "x xx 0011 x xxxxxxxx xxxxxxxxxxxxxxxx" => Unallocated;
    }
    "SME encodings" {
        "1 xx 0000 x xxxxxxxx xxxxxxxxxxxxxxxx" => Unimplemented(Sme);
    }
    "SVE encodings" {
        "x xx 0010 x xxxxxxxx xxxxxxxxxxxxxxxx" => Unimplemented(Sve);
    }
    "Data Processing -- Scalar Floating-Point and Advanced SIMD" {
        "01001110 xx10100 xxxxx 10 xxxxx xxxxx" => Unimplemented(AdvSimdCrypto);
        "0xx 0 111 x xxxxxxx xxxxxxxxxxxxxxxxx" except [
            "01001110 xx10100 xxxxx 10 xxxxx xxxxx",
        ] => Unimplemented(AdvSimd);
        "01011110 xx0 xxxxx 0xxx00 xxxxx xxxxx" => Unimplemented(AdvSimdCrypto);
        "01011110 xx10100 xxxxx 10 xxxxx xxxxx" => Unimplemented(AdvSimdCrypto);
        "01x 1 111 x xxxxxxx xxxxxxxxxxxxxxxxx" except [
            "01011110 xx0 xxxxx 0xxx00 xxxxx xxxxx",
            "01011110 xx10100 xxxxx 10 xxxxx xxxxx",
        ] => Unimplemented(AdvSimdScalar);
        "x0x 1 111 x xxxxxxx xxxxxxxxxxxxxxxxx" => Unimplemented(ScalarFp);
        "11001110 xxxxxxx xxxxxxxxxxxxxxxxx"    => Unimplemented(AdvSimdCrypto);
        "11001111 xxxxxxx xxxxxxxxxxxxxxxxx"    => Unallocated;
        "101 0 111 x xxxxxxx xxxxxxxxxxxxxxxxx" => Unallocated;
        "100 0 111 x xxxxxxx xxxxxxxxxxxxxxxxx" => Unallocated;
        "111 0 111 x xxxxxxx xxxxxxxxxxxxxxxxx" => Unallocated;
        "11x 1 111 x xxxxxxx xxxxxxxxxxxxxxxxx" => Unallocated;
    }
}
