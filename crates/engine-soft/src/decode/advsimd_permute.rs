//! Advanced SIMD that moves elements and bits: tables, permutations, copies, immediates.
//!
//! [DDI0487 C4.1 Data Processing -- Scalar Floating-Point and Advanced SIMD], the classes "Advanced
//! SIMD table lookup" to "copy", and "modified immediate".

use super::cube::Cube;
use super::entry::entries;

/// A vector of 64 bits does not hold 64-bit elements: `1D` is reserved.
const ONE_D: &[Cube] = &[Cube::parse("x0 xxxxxx 11 xxxxxxxxxxxxxxxxxxxxxx")];

entries! {
    "Advanced SIMD table lookup" {
        "0x 001110 00 0 xxxxx 0 xx 0 00 xxxxx xxxxx" => Simd(Tbl) "tbl";
        "0x 001110 00 0 xxxxx 0 xx 1 00 xxxxx xxxxx" => Simd(Tbx) "tbx";
        "01 001110 01 0 xxxxx 0 xx 1 00 xxxxx xxxxx" => Unimplemented(Lut);
        "01 001110 01 0 xxxxx 0 x1 0 00 xxxxx xxxxx" => Unimplemented(Lut);
        "01 001110 10 0 xxxxx 0 xx 1 00 xxxxx xxxxx" => Unimplemented(Lut);
        "01 001110 11 0 xxxxx 0 xx x 00 xxxxx xxxxx" => Unimplemented(Lut);
        "00 001110 01 0 xxxxx 0 xx x 00 xxxxx xxxxx" => Unallocated;
        "00 001110 1x 0 xxxxx 0 xx x 00 xxxxx xxxxx" => Unallocated;
        "01 001110 01 0 xxxxx 0 x0 0 00 xxxxx xxxxx" => Unallocated;
        "01 001110 10 0 xxxxx 0 xx 0 00 xxxxx xxxxx" => Unallocated;
    }
    "Advanced SIMD permute" {
        "0x 001110 xx 0 xxxxx 0 001 10 xxxxx xxxxx" except ONE_D => Simd(Uzp1) "uzp1";
        "0x 001110 xx 0 xxxxx 0 010 10 xxxxx xxxxx" except ONE_D => Simd(Trn1) "trn1";
        "0x 001110 xx 0 xxxxx 0 011 10 xxxxx xxxxx" except ONE_D => Simd(Zip1) "zip1";
        "0x 001110 xx 0 xxxxx 0 101 10 xxxxx xxxxx" except ONE_D => Simd(Uzp2) "uzp2";
        "0x 001110 xx 0 xxxxx 0 110 10 xxxxx xxxxx" except ONE_D => Simd(Trn2) "trn2";
        "0x 001110 xx 0 xxxxx 0 111 10 xxxxx xxxxx" except ONE_D => Simd(Zip2) "zip2";
        "0x 001110 xx 0 xxxxx 0 x00 10 xxxxx xxxxx" => Unallocated;
        "00 001110 11 0 xxxxx 0 xx1 10 xxxxx xxxxx" => Unallocated;
        "00 001110 11 0 xxxxx 0 x10 10 xxxxx xxxxx" => Unallocated;
    }
    "Advanced SIMD extract" {
        "00 101110 00 0 xxxxx 0 0xxx 0 xxxxx xxxxx" => Simd(Ext) "ext";
        "01 101110 00 0 xxxxx 0 xxxx 0 xxxxx xxxxx" => Simd(Ext) "ext";
        "00 101110 00 0 xxxxx 0 1xxx 0 xxxxx xxxxx" => Unallocated;
        "0x 101110 x1 0 xxxxx 0 xxxx 0 xxxxx xxxxx" => Unallocated;
        "0x 101110 10 0 xxxxx 0 xxxx 0 xxxxx xxxxx" => Unallocated;
    }
    "Advanced SIMD copy" {
        "0x 0 01110000 xxxx1 0 0000 1 xxxxx xxxxx" => Simd(DupElement) "dup";
        "0x 0 01110000 xxx10 0 0000 1 xxxxx xxxxx" => Simd(DupElement) "dup";
        "0x 0 01110000 xx100 0 0000 1 xxxxx xxxxx" => Simd(DupElement) "dup";
        "01 0 01110000 x1000 0 0000 1 xxxxx xxxxx" => Simd(DupElement) "dup";
        "0x 0 01110000 xxxx1 0 0001 1 xxxxx xxxxx" => Simd(DupGeneral) "dup";
        "0x 0 01110000 xxx10 0 0001 1 xxxxx xxxxx" => Simd(DupGeneral) "dup";
        "0x 0 01110000 xx100 0 0001 1 xxxxx xxxxx" => Simd(DupGeneral) "dup";
        "01 0 01110000 x1000 0 0001 1 xxxxx xxxxx" => Simd(DupGeneral) "dup";
        "0x 0 01110000 xxxx1 0 0101 1 xxxxx xxxxx" => Simd(Smov) "smov";
        "0x 0 01110000 xxx10 0 0101 1 xxxxx xxxxx" => Simd(Smov) "smov";
        "01 0 01110000 xx100 0 0101 1 xxxxx xxxxx" => Simd(Smov) "smov";
        "00 0 01110000 xxxx1 0 0111 1 xxxxx xxxxx" => Simd(Umov) "umov";
        "00 0 01110000 xxx10 0 0111 1 xxxxx xxxxx" => Simd(Umov) "umov";
        "00 0 01110000 xx100 0 0111 1 xxxxx xxxxx" => Simd(Umov) "umov";
        "01 0 01110000 x1000 0 0111 1 xxxxx xxxxx" => Simd(Umov) "umov";
        "01 0 01110000 xxxx1 0 0011 1 xxxxx xxxxx" => Simd(InsGeneral) "ins";
        "01 0 01110000 xxx10 0 0011 1 xxxxx xxxxx" => Simd(InsGeneral) "ins";
        "01 0 01110000 xx100 0 0011 1 xxxxx xxxxx" => Simd(InsGeneral) "ins";
        "01 0 01110000 x1000 0 0011 1 xxxxx xxxxx" => Simd(InsGeneral) "ins";
        "01 1 01110000 xxxx1 0 xxxx 1 xxxxx xxxxx" => Simd(InsElement) "ins";
        "01 1 01110000 xxx10 0 xxxx 1 xxxxx xxxxx" => Simd(InsElement) "ins";
        "01 1 01110000 xx100 0 xxxx 1 xxxxx xxxxx" => Simd(InsElement) "ins";
        "01 1 01110000 x1000 0 xxxx 1 xxxxx xxxxx" => Simd(InsElement) "ins";
        "00 0 01110000 xx000 0 000x 1 xxxxx xxxxx" => Unallocated;
        "00 0 01110000 xxxxx 0 001x 1 xxxxx xxxxx" => Unallocated;
        "0x 0 01110000 xxxxx 0 01x0 1 xxxxx xxxxx" => Unallocated;
        "00 0 01110000 xxx00 0 0101 1 xxxxx xxxxx" => Unallocated;
        "00 0 01110000 xx000 0 0111 1 xxxxx xxxxx" => Unallocated;
        "0x 0 01110000 xxxxx 0 1xxx 1 xxxxx xxxxx" => Unallocated;
        "00 1 01110000 xxxxx 0 xxxx 1 xxxxx xxxxx" => Unallocated;
        "01 0 01110000 x0000 0 0000 1 xxxxx xxxxx" => Unallocated;
        "01 0 01110000 x0000 0 00x1 1 xxxxx xxxxx" => Unallocated;
        "01 0 01110000 xxxxx 0 0010 1 xxxxx xxxxx" => Unallocated;
        "01 0 01110000 xx000 0 0101 1 xxxxx xxxxx" => Unallocated;
        "01 0 01110000 x0xxx 0 0111 1 xxxxx xxxxx" => Unallocated;
        "01 0 01110000 x1xx1 0 0111 1 xxxxx xxxxx" => Unallocated;
        "01 0 01110000 x1010 0 0111 1 xxxxx xxxxx" => Unallocated;
        "01 0 01110000 x11x0 0 0111 1 xxxxx xxxxx" => Unallocated;
        "01 1 01110000 x0000 0 xxxx 1 xxxxx xxxxx" => Unallocated;
    }
    "Advanced SIMD modified immediate" {
        "0x 0 0111100000 xxx 0xx0 0 1 xxxxx xxxxx" => Simd(Movi) "movi";
        "0x 0 0111100000 xxx 10x0 0 1 xxxxx xxxxx" => Simd(Movi) "movi";
        "0x 0 0111100000 xxx 110x 0 1 xxxxx xxxxx" => Simd(Movi) "movi";
        "0x 0 0111100000 xxx 0xx1 0 1 xxxxx xxxxx" => Simd(OrrVectorImmediate) "orr";
        "0x 0 0111100000 xxx 10x1 0 1 xxxxx xxxxx" => Simd(OrrVectorImmediate) "orr";
        "0x 0 0111100000 xxx 1110 0 1 xxxxx xxxxx" => Simd(Movi) "movi";
        "0x 0 0111100000 xxx 1111 0 1 xxxxx xxxxx" => SimdFp(FmovVectorImmediate) "fmov";
        "0x 0 0111100000 xxx 1111 1 1 xxxxx xxxxx" => SimdFp(FmovVectorImmediate) "fmov";
        "0x 1 0111100000 xxx 0xx0 0 1 xxxxx xxxxx" => Simd(Mvni) "mvni";
        "0x 1 0111100000 xxx 10x0 0 1 xxxxx xxxxx" => Simd(Mvni) "mvni";
        "0x 1 0111100000 xxx 110x 0 1 xxxxx xxxxx" => Simd(Mvni) "mvni";
        "0x 1 0111100000 xxx 0xx1 0 1 xxxxx xxxxx" => Simd(BicVectorImmediate) "bic";
        "0x 1 0111100000 xxx 10x1 0 1 xxxxx xxxxx" => Simd(BicVectorImmediate) "bic";
        "0x 1 0111100000 xxx 1110 0 1 xxxxx xxxxx" => Simd(Movi) "movi";
        "01 1 0111100000 xxx 1111 0 1 xxxxx xxxxx" => SimdFp(FmovVectorImmediate) "fmov";
        "0x x 0111100000 xxx xxx0 1 1 xxxxx xxxxx" => Unallocated;
        "0x x 0111100000 xxx xx01 1 1 xxxxx xxxxx" => Unallocated;
        "0x x 0111100000 xxx x011 1 1 xxxxx xxxxx" => Unallocated;
        "0x x 0111100000 xxx 0111 1 1 xxxxx xxxxx" => Unallocated;
        "00 1 0111100000 xxx 1111 0 1 xxxxx xxxxx" => Unallocated;
        "0x 1 0111100000 xxx 1111 1 1 xxxxx xxxxx" => Unallocated;
    }
    "Data Processing -- Scalar Floating-Point and Advanced SIMD" {
        "0x x 01110 xx 0 xxxxx 1 xxxx 0 xxxxx xxxxx" => Unallocated;
        "0x x 01110 x1 0 xxxxx 0 1xxx 1 xxxxx xxxxx" => Unallocated;
        "0x x 01110 10 0 xxxxx 0 xxxx 1 xxxxx xxxxx" => Unallocated;
    }
}
