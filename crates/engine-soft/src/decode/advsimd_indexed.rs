//! Advanced SIMD with one element of a vector.
//!
//! [DDI0487 C4.1 Data Processing -- Scalar Floating-Point and Advanced SIMD], the classes "Advanced
//! SIMD vector x indexed element".

use super::entry::entries;

entries! {
    "Advanced SIMD vector x indexed element" {
        "0x 0 01111 0x x x xxxx 0000 x 0 xxxxx xxxxx" => Unimplemented(Fp8);
        "0x 0 01111 10 x x xxxx 0000 x 0 xxxxx xxxxx" => Unimplemented(Fhm);
        "0x 0 01111 11 x x xxxx 0000 x 0 xxxxx xxxxx" => Unimplemented(Fp8);
        "0x 0 01111 00 x x xxxx 0001 x 0 xxxxx xxxxx" => SimdFp(FmlaByElement) "fmla";
        "0x 0 01111 10 x x xxxx 0001 x 0 xxxxx xxxxx" => SimdFp(FmlaByElement) "fmla";
        "01 0 01111 11 0 x xxxx 0001 x 0 xxxxx xxxxx" => SimdFp(FmlaByElement) "fmla";
        "0x 0 01111 01 x x xxxx 0010 x 0 xxxxx xxxxx" => Simd(SmlalByElement) "smlal";
        "0x 0 01111 10 x x xxxx 0010 x 0 xxxxx xxxxx" => Simd(SmlalByElement) "smlal";
        "0x 0 01111 01 x x xxxx 0011 x 0 xxxxx xxxxx" => Simd(SqdmlalByElement) "sqdmlal";
        "0x 0 01111 10 x x xxxx 0011 x 0 xxxxx xxxxx" => Simd(SqdmlalByElement) "sqdmlal";
        "0x 0 01111 10 x x xxxx 0100 x 0 xxxxx xxxxx" => Unimplemented(Fhm);
        "0x 0 01111 00 x x xxxx 0101 x 0 xxxxx xxxxx" => SimdFp(FmlsByElement) "fmls";
        "0x 0 01111 10 x x xxxx 0101 x 0 xxxxx xxxxx" => SimdFp(FmlsByElement) "fmls";
        "01 0 01111 11 0 x xxxx 0101 x 0 xxxxx xxxxx" => SimdFp(FmlsByElement) "fmls";
        "0x 0 01111 01 x x xxxx 0110 x 0 xxxxx xxxxx" => Simd(SmlslByElement) "smlsl";
        "0x 0 01111 10 x x xxxx 0110 x 0 xxxxx xxxxx" => Simd(SmlslByElement) "smlsl";
        "0x 0 01111 01 x x xxxx 0111 x 0 xxxxx xxxxx" => Simd(SqdmlslByElement) "sqdmlsl";
        "0x 0 01111 10 x x xxxx 0111 x 0 xxxxx xxxxx" => Simd(SqdmlslByElement) "sqdmlsl";
        "0x 0 01111 01 x x xxxx 1000 x 0 xxxxx xxxxx" => Simd(MulByElement) "mul";
        "0x 0 01111 10 x x xxxx 1000 x 0 xxxxx xxxxx" => Simd(MulByElement) "mul";
        "0x 0 01111 00 x x xxxx 1001 x 0 xxxxx xxxxx" => SimdFp(FmulByElement) "fmul";
        "0x 0 01111 10 x x xxxx 1001 x 0 xxxxx xxxxx" => SimdFp(FmulByElement) "fmul";
        "01 0 01111 11 0 x xxxx 1001 x 0 xxxxx xxxxx" => SimdFp(FmulByElement) "fmul";
        "0x 0 01111 01 x x xxxx 1001 x 0 xxxxx xxxxx" => Unimplemented(FloatMatrix);
        "0x 0 01111 01 x x xxxx 1010 x 0 xxxxx xxxxx" => Simd(SmullByElement) "smull";
        "0x 0 01111 10 x x xxxx 1010 x 0 xxxxx xxxxx" => Simd(SmullByElement) "smull";
        "0x 0 01111 01 x x xxxx 1011 x 0 xxxxx xxxxx" => Simd(SqdmullByElement) "sqdmull";
        "0x 0 01111 10 x x xxxx 1011 x 0 xxxxx xxxxx" => Simd(SqdmullByElement) "sqdmull";
        "0x 0 01111 01 x x xxxx 1100 x 0 xxxxx xxxxx" => Simd(SqdmulhByElement) "sqdmulh";
        "0x 0 01111 10 x x xxxx 1100 x 0 xxxxx xxxxx" => Simd(SqdmulhByElement) "sqdmulh";
        "0x 0 01111 01 x x xxxx 1101 x 0 xxxxx xxxxx" => Simd(SqrdmulhByElement) "sqrdmulh";
        "0x 0 01111 10 x x xxxx 1101 x 0 xxxxx xxxxx" => Simd(SqrdmulhByElement) "sqrdmulh";
        "0x 0 01111 10 x x xxxx 1110 x 0 xxxxx xxxxx" => Simd(SdotByElement) "sdot";
        "0x 0 01111 x0 x x xxxx 1111 x 0 xxxxx xxxxx" => Unimplemented(I8mm);
        "0x 0 01111 x1 x x xxxx 1111 x 0 xxxxx xxxxx" => Unimplemented(Bf16);
        "0x 1 01111 01 x x xxxx 0000 x 0 xxxxx xxxxx" => Simd(MlaByElement) "mla";
        "0x 1 01111 10 x x xxxx 0000 x 0 xxxxx xxxxx" => Simd(MlaByElement) "mla";
        "0x 1 01111 xx x x xxxx 0xx1 x 0 xxxxx xxxxx" => Unimplemented(Fcma);
        "0x 1 01111 01 x x xxxx 0010 x 0 xxxxx xxxxx" => Simd(UmlalByElement) "umlal";
        "0x 1 01111 10 x x xxxx 0010 x 0 xxxxx xxxxx" => Simd(UmlalByElement) "umlal";
        "0x 1 01111 01 x x xxxx 0100 x 0 xxxxx xxxxx" => Simd(MlsByElement) "mls";
        "0x 1 01111 10 x x xxxx 0100 x 0 xxxxx xxxxx" => Simd(MlsByElement) "mls";
        "0x 1 01111 01 x x xxxx 0110 x 0 xxxxx xxxxx" => Simd(UmlslByElement) "umlsl";
        "0x 1 01111 10 x x xxxx 0110 x 0 xxxxx xxxxx" => Simd(UmlslByElement) "umlsl";
        "0x 1 01111 0x x x xxxx 1000 x 0 xxxxx xxxxx" => Unimplemented(Fp8);
        "0x 1 01111 10 x x xxxx 1000 x 0 xxxxx xxxxx" => Unimplemented(Fhm);
        "0x 1 01111 00 x x xxxx 1001 x 0 xxxxx xxxxx" => SimdFp(FmulxByElement) "fmulx";
        "0x 1 01111 10 x x xxxx 1001 x 0 xxxxx xxxxx" => SimdFp(FmulxByElement) "fmulx";
        "01 1 01111 11 0 x xxxx 1001 x 0 xxxxx xxxxx" => SimdFp(FmulxByElement) "fmulx";
        "0x 1 01111 01 x x xxxx 1010 x 0 xxxxx xxxxx" => Simd(UmullByElement) "umull";
        "0x 1 01111 10 x x xxxx 1010 x 0 xxxxx xxxxx" => Simd(UmullByElement) "umull";
        "0x 1 01111 10 x x xxxx 1100 x 0 xxxxx xxxxx" => Unimplemented(Fhm);
        "0x 1 01111 01 x x xxxx 1101 x 0 xxxxx xxxxx" => Simd(SqrdmlahByElement) "sqrdmlah";
        "0x 1 01111 10 x x xxxx 1101 x 0 xxxxx xxxxx" => Simd(SqrdmlahByElement) "sqrdmlah";
        "0x 1 01111 10 x x xxxx 1110 x 0 xxxxx xxxxx" => Simd(UdotByElement) "udot";
        "0x 1 01111 01 x x xxxx 1111 x 0 xxxxx xxxxx" => Simd(SqrdmlshByElement) "sqrdmlsh";
        "0x 1 01111 10 x x xxxx 1111 x 0 xxxxx xxxxx" => Simd(SqrdmlshByElement) "sqrdmlsh";
        "0x 0 01111 00 x x xxxx 0x1x x 0 xxxxx xxxxx" => Unallocated;
        "0x 0 01111 00 x x xxxx 0100 x 0 xxxxx xxxxx" => Unallocated;
        "0x 0 01111 00 x x xxxx 1xx0 x 0 xxxxx xxxxx" => Unallocated;
        "0x 0 01111 00 x x xxxx 1011 x 0 xxxxx xxxxx" => Unallocated;
        "0x 0 01111 00 x x xxxx 1101 x 0 xxxxx xxxxx" => Unallocated;
        "0x 0 01111 01 0 x xxxx 0x01 x 0 xxxxx xxxxx" => Unallocated;
        "0x 0 01111 x1 x x xxxx 0100 x 0 xxxxx xxxxx" => Unallocated;
        "0x x 01111 01 x x xxxx 1110 x 0 xxxxx xxxxx" => Unallocated;
        "0x 0 01111 x1 1 x xxxx 0x01 x 0 xxxxx xxxxx" => Unallocated;
        "00 0 01111 11 0 x xxxx 0x01 x 0 xxxxx xxxxx" => Unallocated;
        "0x 0 01111 11 x x xxxx 0x1x x 0 xxxxx xxxxx" => Unallocated;
        "0x x 01111 11 0 x xxxx 1x00 x 0 xxxxx xxxxx" => Unallocated;
        "00 x 01111 11 0 x xxxx 1001 x 0 xxxxx xxxxx" => Unallocated;
        "0x 0 01111 11 x x xxxx 1x10 x 0 xxxxx xxxxx" => Unallocated;
        "0x 0 01111 11 x x xxxx 1011 x 0 xxxxx xxxxx" => Unallocated;
        "0x x 01111 11 0 x xxxx 1101 x 0 xxxxx xxxxx" => Unallocated;
        "0x x 01111 11 1 x xxxx 1x0x x 0 xxxxx xxxxx" => Unallocated;
        "0x 1 01111 00 x x xxxx 0xx0 x 0 xxxxx xxxxx" => Unallocated;
        "0x 1 01111 00 x x xxxx 1x1x x 0 xxxxx xxxxx" => Unallocated;
        "0x 1 01111 00 x x xxxx 110x x 0 xxxxx xxxxx" => Unallocated;
        "0x 1 01111 01 x x xxxx 10x1 x 0 xxxxx xxxxx" => Unallocated;
        "0x 1 01111 01 x x xxxx 1100 x 0 xxxxx xxxxx" => Unallocated;
        "0x 1 01111 10 x x xxxx 1011 x 0 xxxxx xxxxx" => Unallocated;
        "0x 1 01111 11 x x xxxx 0xx0 x 0 xxxxx xxxxx" => Unallocated;
        "0x 1 01111 11 x x xxxx 1x1x x 0 xxxxx xxxxx" => Unallocated;
    }
}
