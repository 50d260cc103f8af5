//! Scalar floating-point data processing.
//!
//! [DDI0487 C4.1 Data Processing -- Scalar Floating-Point and Advanced SIMD], the encodings with
//! bits 28:25 = x111 and bits 31, 30 and 28 of a scalar.

use super::entry::entries;

entries! {
    "Floating-point data-processing (1 source)" {
        "00011110 0x 1 000000 10000 xxxxx xxxxx" => ScalarFp(FmovRegister) "fmov";
    }
    "Data Processing -- Scalar Floating-Point and Advanced SIMD" {
        "x0x 1 111 x xxxxxxx xxxxxxxxxxxxxxxxx" except [
            "00011110 0x 1 000000 10000 xxxxx xxxxx",
        ] => Unimplemented(ScalarFp);
    }
}
