//! Advanced SIMD shifts by an immediate.
//!
//! [DDI0487 C4.1 Data Processing -- Scalar Floating-Point and Advanced SIMD], the classes "Advanced
//! SIMD shift by immediate".

use super::cube::Cube;
use super::entry::entries;

/// No element size.
const IMMH_0: &[Cube] = &[Cube::parse("xxxxxxxxx 0000 xxxxxxxxxxxxxxxxxxx")];

/// No element size; and `1D`.
const SHIFT_1D: &[Cube] = &[
    Cube::parse("xxxxxxxxx 0000 xxxxxxxxxxxxxxxxxxx"),
    Cube::parse("x0xxxxxxx 1xxx xxxxxxxxxxxxxxxxxxx"),
];

entries! {
    "Advanced SIMD shift by immediate" {
        "0x 0 011110 xxxx xxx 00000 1 xxxxx xxxxx" except SHIFT_1D => Simd(Sshr) "sshr";
        "0x 0 011110 xxxx xxx 00010 1 xxxxx xxxxx" except SHIFT_1D => Simd(Ssra) "ssra";
        "0x 0 011110 xxxx xxx 00100 1 xxxxx xxxxx" except SHIFT_1D => Simd(Srshr) "srshr";
        "0x 0 011110 xxxx xxx 00110 1 xxxxx xxxxx" except SHIFT_1D => Simd(Srsra) "srsra";
        "0x 0 011110 xxxx xxx 01010 1 xxxxx xxxxx" except SHIFT_1D => Simd(Shl) "shl";
        "0x 0 011110 xxxx xxx 01110 1 xxxxx xxxxx" except SHIFT_1D => Simd(SqshlImmediate) "sqshl";
        "0x 0 011110 0xxx xxx 10000 1 xxxxx xxxxx" except IMMH_0 => Simd(Shrn) "shrn";
        "0x 0 011110 0xxx xxx 10001 1 xxxxx xxxxx" except IMMH_0 => Simd(Rshrn) "rshrn";
        "0x 0 011110 0xxx xxx 10010 1 xxxxx xxxxx" except IMMH_0 => Simd(Sqshrn) "sqshrn";
        "0x 0 011110 0xxx xxx 10011 1 xxxxx xxxxx" except IMMH_0 => Simd(Sqrshrn) "sqrshrn";
        "0x 0 011110 0xxx xxx 10100 1 xxxxx xxxxx" except IMMH_0 => Simd(Sshll) "sshll";
        "0x 0 011110 001x xxx 11100 1 xxxxx xxxxx" => SimdFp(ScvtfVectorFixedPoint) "scvtf";
        "0x 0 011110 01xx xxx 11100 1 xxxxx xxxxx" => SimdFp(ScvtfVectorFixedPoint) "scvtf";
        "01 0 011110 1xxx xxx 11100 1 xxxxx xxxxx" => SimdFp(ScvtfVectorFixedPoint) "scvtf";
        "0x 0 011110 001x xxx 11111 1 xxxxx xxxxx" => SimdFp(FcvtzsVectorFixedPoint) "fcvtzs";
        "0x 0 011110 01xx xxx 11111 1 xxxxx xxxxx" => SimdFp(FcvtzsVectorFixedPoint) "fcvtzs";
        "01 0 011110 1xxx xxx 11111 1 xxxxx xxxxx" => SimdFp(FcvtzsVectorFixedPoint) "fcvtzs";
        "0x 1 011110 xxxx xxx 00000 1 xxxxx xxxxx" except SHIFT_1D => Simd(Ushr) "ushr";
        "0x 1 011110 xxxx xxx 00010 1 xxxxx xxxxx" except SHIFT_1D => Simd(Usra) "usra";
        "0x 1 011110 xxxx xxx 00100 1 xxxxx xxxxx" except SHIFT_1D => Simd(Urshr) "urshr";
        "0x 1 011110 xxxx xxx 00110 1 xxxxx xxxxx" except SHIFT_1D => Simd(Ursra) "ursra";
        "0x 1 011110 xxxx xxx 01000 1 xxxxx xxxxx" except SHIFT_1D => Simd(Sri) "sri";
        "0x 1 011110 xxxx xxx 01010 1 xxxxx xxxxx" except SHIFT_1D => Simd(Sli) "sli";
        "0x 1 011110 xxxx xxx 01100 1 xxxxx xxxxx" except SHIFT_1D => Simd(Sqshlu) "sqshlu";
        "0x 1 011110 xxxx xxx 01110 1 xxxxx xxxxx" except SHIFT_1D => Simd(UqshlImmediate) "uqshl";
        "0x 1 011110 0xxx xxx 10000 1 xxxxx xxxxx" except IMMH_0 => Simd(Sqshrun) "sqshrun";
        "0x 1 011110 0xxx xxx 10001 1 xxxxx xxxxx" except IMMH_0 => Simd(Sqrshrun) "sqrshrun";
        "0x 1 011110 0xxx xxx 10010 1 xxxxx xxxxx" except IMMH_0 => Simd(Uqshrn) "uqshrn";
        "0x 1 011110 0xxx xxx 10011 1 xxxxx xxxxx" except IMMH_0 => Simd(Uqrshrn) "uqrshrn";
        "0x 1 011110 0xxx xxx 10100 1 xxxxx xxxxx" except IMMH_0 => Simd(Ushll) "ushll";
        "0x 1 011110 001x xxx 11100 1 xxxxx xxxxx" => SimdFp(UcvtfVectorFixedPoint) "ucvtf";
        "0x 1 011110 01xx xxx 11100 1 xxxxx xxxxx" => SimdFp(UcvtfVectorFixedPoint) "ucvtf";
        "01 1 011110 1xxx xxx 11100 1 xxxxx xxxxx" => SimdFp(UcvtfVectorFixedPoint) "ucvtf";
        "0x 1 011110 001x xxx 11111 1 xxxxx xxxxx" => SimdFp(FcvtzuVectorFixedPoint) "fcvtzu";
        "0x 1 011110 01xx xxx 11111 1 xxxxx xxxxx" => SimdFp(FcvtzuVectorFixedPoint) "fcvtzu";
        "01 1 011110 1xxx xxx 11111 1 xxxxx xxxxx" => SimdFp(FcvtzuVectorFixedPoint) "fcvtzu";
        "0x x 011110 0001 xxx 0xxx1 1 xxxxx xxxxx" => Unallocated;
        "0x 0 011110 0001 xxx 01x00 1 xxxxx xxxxx" => Unallocated;
        "0x x 011110 0001 xxx 101x1 1 xxxxx xxxxx" => Unallocated;
        "0x x 011110 0001 xxx 10110 1 xxxxx xxxxx" => Unallocated;
        "0x x 011110 0001 xxx 11xxx 1 xxxxx xxxxx" => Unallocated;
        "0x x 011110 001x xxx 0xxx1 1 xxxxx xxxxx" => Unallocated;
        "0x 0 011110 001x xxx 01x00 1 xxxxx xxxxx" => Unallocated;
        "0x x 011110 001x xxx 1x101 1 xxxxx xxxxx" => Unallocated;
        "0x x 011110 001x xxx 1x110 1 xxxxx xxxxx" => Unallocated;
        "0x x 011110 001x xxx 10111 1 xxxxx xxxxx" => Unallocated;
        "0x x 011110 001x xxx 110xx 1 xxxxx xxxxx" => Unallocated;
        "0x x 011110 01xx xxx 0xxx1 1 xxxxx xxxxx" => Unallocated;
        "0x 0 011110 01xx xxx 01x00 1 xxxxx xxxxx" => Unallocated;
        "0x x 011110 01xx xxx 1x101 1 xxxxx xxxxx" => Unallocated;
        "0x x 011110 01xx xxx 1x110 1 xxxxx xxxxx" => Unallocated;
        "0x x 011110 01xx xxx 10111 1 xxxxx xxxxx" => Unallocated;
        "0x x 011110 01xx xxx 110xx 1 xxxxx xxxxx" => Unallocated;
        "00 x 011110 1xxx xxx xxxxx 1 xxxxx xxxxx" => Unallocated;
        "01 x 011110 1xxx xxx 0xxx1 1 xxxxx xxxxx" => Unallocated;
        "01 0 011110 1xxx xxx 01x00 1 xxxxx xxxxx" => Unallocated;
        "01 x 011110 1xxx xxx 10xxx 1 xxxxx xxxxx" => Unallocated;
        "01 x 011110 1xxx xxx 110xx 1 xxxxx xxxxx" => Unallocated;
        "01 x 011110 1xxx xxx 11101 1 xxxxx xxxxx" => Unallocated;
        "01 x 011110 1xxx xxx 11110 1 xxxxx xxxxx" => Unallocated;
    }
    "Data Processing -- Scalar Floating-Point and Advanced SIMD" {
        "0x x 01111 1 xxxx xxx xxxxx 1 xxxxx xxxxx" => Unallocated;
    }
}
