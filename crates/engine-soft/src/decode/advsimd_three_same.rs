//! Advanced SIMD with three registers of one arrangement.
//!
//! [DDI0487 C4.1 Data Processing -- Scalar Floating-Point and Advanced SIMD], the encodings with
//! bit 31 = 0 and bits 28:24 = 01110, bit 10 = 1.

use super::cube::Cube;
use super::entry::entries;

/// A vector of 64 bits does not hold 64-bit elements: `1D` is reserved.
const ONE_D: &[Cube] = &[Cube::parse("x0 xxxxxx 11 xxxxxxxxxxxxxxxxxxxxxx")];

/// The same for floating point, where bit 22 alone is the size.
const ONE_D_FP: &[Cube] = &[Cube::parse("x0 xxxxxx x1 xxxxxxxxxxxxxxxxxxxxxx")];

/// There is no form for 64-bit elements.
const SIZE_11: &[Cube] = &[Cube::parse("xxxxxxxx 11 xxxxxxxxxxxxxxxxxxxxxx")];

entries! {
    "Advanced SIMD three same" {
        "0x 0 01110 xx 1 xxxxx 00000 1 xxxxx xxxxx" except SIZE_11 => Simd(Shadd) "shadd";
        "0x 0 01110 xx 1 xxxxx 00001 1 xxxxx xxxxx" except ONE_D => Simd(Sqadd) "sqadd";
        "0x 0 01110 xx 1 xxxxx 00010 1 xxxxx xxxxx" except SIZE_11 => Simd(Srhadd) "srhadd";
        "0x 0 01110 xx 1 xxxxx 00100 1 xxxxx xxxxx" except SIZE_11 => Simd(Shsub) "shsub";
        "0x 0 01110 xx 1 xxxxx 00101 1 xxxxx xxxxx" except ONE_D => Simd(Sqsub) "sqsub";
        "0x 0 01110 xx 1 xxxxx 00110 1 xxxxx xxxxx" except ONE_D => Simd(CmgtRegister) "cmgt";
        "0x 0 01110 xx 1 xxxxx 00111 1 xxxxx xxxxx" except ONE_D => Simd(CmgeRegister) "cmge";
        "0x 0 01110 xx 1 xxxxx 01000 1 xxxxx xxxxx" except ONE_D => Simd(Sshl) "sshl";
        "0x 0 01110 xx 1 xxxxx 01001 1 xxxxx xxxxx" except ONE_D => Simd(SqshlRegister) "sqshl";
        "0x 0 01110 xx 1 xxxxx 01010 1 xxxxx xxxxx" except ONE_D => Simd(Srshl) "srshl";
        "0x 0 01110 xx 1 xxxxx 01011 1 xxxxx xxxxx" except ONE_D => Simd(Sqrshl) "sqrshl";
        "0x 0 01110 xx 1 xxxxx 01100 1 xxxxx xxxxx" except SIZE_11 => Simd(Smax) "smax";
        "0x 0 01110 xx 1 xxxxx 01101 1 xxxxx xxxxx" except SIZE_11 => Simd(Smin) "smin";
        "0x 0 01110 xx 1 xxxxx 01110 1 xxxxx xxxxx" except SIZE_11 => Simd(Sabd) "sabd";
        "0x 0 01110 xx 1 xxxxx 01111 1 xxxxx xxxxx" except SIZE_11 => Simd(Saba) "saba";
        "0x 0 01110 xx 1 xxxxx 10000 1 xxxxx xxxxx" except ONE_D => Simd(AddVector) "add";
        "0x 0 01110 xx 1 xxxxx 10001 1 xxxxx xxxxx" except ONE_D => Simd(Cmtst) "cmtst";
        "0x 0 01110 xx 1 xxxxx 10010 1 xxxxx xxxxx" except SIZE_11 => Simd(MlaVector) "mla";
        "0x 0 01110 xx 1 xxxxx 10011 1 xxxxx xxxxx" except SIZE_11 => Simd(MulVector) "mul";
        "0x 0 01110 xx 1 xxxxx 10100 1 xxxxx xxxxx" except SIZE_11 => Simd(Smaxp) "smaxp";
        "0x 0 01110 xx 1 xxxxx 10101 1 xxxxx xxxxx" except SIZE_11 => Simd(Sminp) "sminp";
        "0x 0 01110 01 1 xxxxx 10110 1 xxxxx xxxxx" => Simd(SqdmulhVector) "sqdmulh";
        "0x 0 01110 10 1 xxxxx 10110 1 xxxxx xxxxx" => Simd(SqdmulhVector) "sqdmulh";
        "0x 0 01110 xx 1 xxxxx 10111 1 xxxxx xxxxx" except ONE_D => Simd(AddpVector) "addp";
        "0x 0 01110 0x 1 xxxxx 11000 1 xxxxx xxxxx" except ONE_D_FP =>
            SimdFp(FmaxnmVector) "fmaxnm";
        "0x 0 01110 0x 1 xxxxx 11001 1 xxxxx xxxxx" except ONE_D_FP => SimdFp(FmlaVector) "fmla";
        "0x 0 01110 0x 1 xxxxx 11010 1 xxxxx xxxxx" except ONE_D_FP => SimdFp(FaddVector) "fadd";
        "0x 0 01110 0x 1 xxxxx 11011 1 xxxxx xxxxx" except ONE_D_FP => SimdFp(Fmulx) "fmulx";
        "0x 0 01110 0x 1 xxxxx 11100 1 xxxxx xxxxx" except ONE_D_FP =>
            SimdFp(FcmeqRegister) "fcmeq";
        "0x 0 01110 00 1 xxxxx 11101 1 xxxxx xxxxx" => Unimplemented(Fhm);
        "0x 0 01110 0x 1 xxxxx 11110 1 xxxxx xxxxx" except ONE_D_FP => SimdFp(FmaxVector) "fmax";
        "0x 0 01110 0x 1 xxxxx 11111 1 xxxxx xxxxx" except ONE_D_FP => SimdFp(Frecps) "frecps";
        "0x 0 01110 00 1 xxxxx 00011 1 xxxxx xxxxx" => Simd(AndVector) "and";
        "0x 0 01110 01 1 xxxxx 00011 1 xxxxx xxxxx" => Simd(BicVectorRegister) "bic";
        "0x 0 01110 1x 1 xxxxx 11000 1 xxxxx xxxxx" except ONE_D_FP =>
            SimdFp(FminnmVector) "fminnm";
        "0x 0 01110 1x 1 xxxxx 11001 1 xxxxx xxxxx" except ONE_D_FP => SimdFp(FmlsVector) "fmls";
        "0x 0 01110 1x 1 xxxxx 11010 1 xxxxx xxxxx" except ONE_D_FP => SimdFp(FsubVector) "fsub";
        "0x 0 01110 1x 1 xxxxx 11011 1 xxxxx xxxxx" => Unimplemented(Faminmax);
        "0x 0 01110 10 1 xxxxx 11101 1 xxxxx xxxxx" => Unimplemented(Fhm);
        "0x 0 01110 1x 1 xxxxx 11110 1 xxxxx xxxxx" except ONE_D_FP => SimdFp(FminVector) "fmin";
        "0x 0 01110 1x 1 xxxxx 11111 1 xxxxx xxxxx" except ONE_D_FP => SimdFp(Frsqrts) "frsqrts";
        "0x 0 01110 10 1 xxxxx 00011 1 xxxxx xxxxx" => Simd(OrrVectorRegister) "orr";
        "0x 0 01110 11 1 xxxxx 00011 1 xxxxx xxxxx" => Simd(OrnVector) "orn";
        "0x 1 01110 xx 1 xxxxx 00000 1 xxxxx xxxxx" except SIZE_11 => Simd(Uhadd) "uhadd";
        "0x 1 01110 xx 1 xxxxx 00001 1 xxxxx xxxxx" except ONE_D => Simd(Uqadd) "uqadd";
        "0x 1 01110 xx 1 xxxxx 00010 1 xxxxx xxxxx" except SIZE_11 => Simd(Urhadd) "urhadd";
        "0x 1 01110 xx 1 xxxxx 00100 1 xxxxx xxxxx" except SIZE_11 => Simd(Uhsub) "uhsub";
        "0x 1 01110 xx 1 xxxxx 00101 1 xxxxx xxxxx" except ONE_D => Simd(Uqsub) "uqsub";
        "0x 1 01110 xx 1 xxxxx 00110 1 xxxxx xxxxx" except ONE_D => Simd(CmhiRegister) "cmhi";
        "0x 1 01110 xx 1 xxxxx 00111 1 xxxxx xxxxx" except ONE_D => Simd(CmhsRegister) "cmhs";
        "0x 1 01110 xx 1 xxxxx 01000 1 xxxxx xxxxx" except ONE_D => Simd(Ushl) "ushl";
        "0x 1 01110 xx 1 xxxxx 01001 1 xxxxx xxxxx" except ONE_D => Simd(UqshlRegister) "uqshl";
        "0x 1 01110 xx 1 xxxxx 01010 1 xxxxx xxxxx" except ONE_D => Simd(Urshl) "urshl";
        "0x 1 01110 xx 1 xxxxx 01011 1 xxxxx xxxxx" except ONE_D => Simd(Uqrshl) "uqrshl";
        "0x 1 01110 xx 1 xxxxx 01100 1 xxxxx xxxxx" except SIZE_11 => Simd(Umax) "umax";
        "0x 1 01110 xx 1 xxxxx 01101 1 xxxxx xxxxx" except SIZE_11 => Simd(Umin) "umin";
        "0x 1 01110 xx 1 xxxxx 01110 1 xxxxx xxxxx" except SIZE_11 => Simd(Uabd) "uabd";
        "0x 1 01110 xx 1 xxxxx 01111 1 xxxxx xxxxx" except SIZE_11 => Simd(Uaba) "uaba";
        "0x 1 01110 xx 1 xxxxx 10000 1 xxxxx xxxxx" except ONE_D => Simd(SubVector) "sub";
        "0x 1 01110 xx 1 xxxxx 10001 1 xxxxx xxxxx" except ONE_D => Simd(CmeqRegister) "cmeq";
        "0x 1 01110 xx 1 xxxxx 10010 1 xxxxx xxxxx" except SIZE_11 => Simd(MlsVector) "mls";
        "0x 1 01110 00 1 xxxxx 10011 1 xxxxx xxxxx" => Simd(Pmul) "pmul";
        "0x 1 01110 xx 1 xxxxx 10100 1 xxxxx xxxxx" except SIZE_11 => Simd(Umaxp) "umaxp";
        "0x 1 01110 xx 1 xxxxx 10101 1 xxxxx xxxxx" except SIZE_11 => Simd(Uminp) "uminp";
        "0x 1 01110 01 1 xxxxx 10110 1 xxxxx xxxxx" => Simd(SqrdmulhVector) "sqrdmulh";
        "0x 1 01110 10 1 xxxxx 10110 1 xxxxx xxxxx" => Simd(SqrdmulhVector) "sqrdmulh";
        "0x 1 01110 0x 1 xxxxx 11000 1 xxxxx xxxxx" except ONE_D_FP =>
            SimdFp(FmaxnmpVector) "fmaxnmp";
        "0x 1 01110 00 1 xxxxx 11001 1 xxxxx xxxxx" => Unimplemented(Fhm);
        "0x 1 01110 0x 1 xxxxx 11010 1 xxxxx xxxxx" except ONE_D_FP => SimdFp(FaddpVector) "faddp";
        "0x 1 01110 0x 1 xxxxx 11011 1 xxxxx xxxxx" except ONE_D_FP => SimdFp(FmulVector) "fmul";
        "0x 1 01110 0x 1 xxxxx 11100 1 xxxxx xxxxx" except ONE_D_FP =>
            SimdFp(FcmgeRegister) "fcmge";
        "0x 1 01110 0x 1 xxxxx 11101 1 xxxxx xxxxx" except ONE_D_FP => SimdFp(Facge) "facge";
        "0x 1 01110 0x 1 xxxxx 11110 1 xxxxx xxxxx" except ONE_D_FP => SimdFp(FmaxpVector) "fmaxp";
        "0x 1 01110 0x 1 xxxxx 11111 1 xxxxx xxxxx" except ONE_D_FP => SimdFp(FdivVector) "fdiv";
        "0x 1 01110 00 1 xxxxx 00011 1 xxxxx xxxxx" => Simd(EorVector) "eor";
        "0x 1 01110 01 1 xxxxx 00011 1 xxxxx xxxxx" => Simd(Bsl) "bsl";
        "0x 1 01110 1x 1 xxxxx 11000 1 xxxxx xxxxx" except ONE_D_FP =>
            SimdFp(FminnmpVector) "fminnmp";
        "0x 1 01110 10 1 xxxxx 11001 1 xxxxx xxxxx" => Unimplemented(Fhm);
        "0x 1 01110 1x 1 xxxxx 11010 1 xxxxx xxxxx" except ONE_D_FP => SimdFp(Fabd) "fabd";
        "0x 1 01110 1x 1 xxxxx 11011 1 xxxxx xxxxx" => Unimplemented(Faminmax);
        "0x 1 01110 1x 1 xxxxx 11100 1 xxxxx xxxxx" except ONE_D_FP =>
            SimdFp(FcmgtRegister) "fcmgt";
        "0x 1 01110 1x 1 xxxxx 11101 1 xxxxx xxxxx" except ONE_D_FP => SimdFp(Facgt) "facgt";
        "0x 1 01110 1x 1 xxxxx 11110 1 xxxxx xxxxx" except ONE_D_FP => SimdFp(FminpVector) "fminp";
        "0x 1 01110 1x 1 xxxxx 11111 1 xxxxx xxxxx" => Unimplemented(Fp8);
        "0x 1 01110 10 1 xxxxx 00011 1 xxxxx xxxxx" => Simd(Bit) "bit";
        "0x 1 01110 11 1 xxxxx 00011 1 xxxxx xxxxx" => Simd(Bif) "bif";
        "0x 0 01110 00 1 xxxxx 10110 1 xxxxx xxxxx" => Unallocated;
        "00 x 01110 01 1 xxxxx 11xxx 1 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 10 1 xxxxx 11100 1 xxxxx xxxxx" => Unallocated;
        "00 x 01110 11 1 xxxxx xxx0x 1 xxxxx xxxxx" => Unallocated;
        "0x x 01110 11 1 xxxxx 00010 1 xxxxx xxxxx" => Unallocated;
        "00 x 01110 11 1 xxxxx 0x11x 1 xxxxx xxxxx" => Unallocated;
        "00 x 01110 11 1 xxxxx 0101x 1 xxxxx xxxxx" => Unallocated;
        "0x x 01110 11 1 xxxxx 1001x 1 xxxxx xxxxx" => Unallocated;
        "00 0 01110 11 1 xxxxx 1x11x 1 xxxxx xxxxx" => Unallocated;
        "00 x 01110 11 1 xxxxx 11010 1 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 00 1 xxxxx 1011x 1 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 01 1 xxxxx 10x11 1 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 10 1 xxxxx 10x11 1 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 11 1 xxxxx 1011x 1 xxxxx xxxxx" => Unallocated;
        "00 1 01110 11 1 xxxxx 11110 1 xxxxx xxxxx" => Unallocated;
        "01 0 01110 01 1 xxxxx 11101 1 xxxxx xxxxx" => Unallocated;
        "01 x 01110 11 1 xxxxx 00x00 1 xxxxx xxxxx" => Unallocated;
        "01 x 01110 11 1 xxxxx 011xx 1 xxxxx xxxxx" => Unallocated;
        "01 0 01110 11 1 xxxxx 1x10x 1 xxxxx xxxxx" => Unallocated;
        "01 0 01110 11 1 xxxxx 10110 1 xxxxx xxxxx" => Unallocated;
        "01 1 01110 x1 1 xxxxx 11001 1 xxxxx xxxxx" => Unallocated;
        "01 1 01110 11 1 xxxxx 1010x 1 xxxxx xxxxx" => Unallocated;
    }
    "Advanced SIMD three same (FP16)" {
        "0x 0 01110 0 10 xxxxx 00 000 1 xxxxx xxxxx" => SimdFp(FmaxnmVector) "fmaxnm";
        "0x 0 01110 0 10 xxxxx 00 001 1 xxxxx xxxxx" => SimdFp(FmlaVector) "fmla";
        "0x 0 01110 0 10 xxxxx 00 010 1 xxxxx xxxxx" => SimdFp(FaddVector) "fadd";
        "0x 0 01110 0 10 xxxxx 00 011 1 xxxxx xxxxx" => SimdFp(Fmulx) "fmulx";
        "0x 0 01110 0 10 xxxxx 00 100 1 xxxxx xxxxx" => SimdFp(FcmeqRegister) "fcmeq";
        "0x 0 01110 0 10 xxxxx 00 110 1 xxxxx xxxxx" => SimdFp(FmaxVector) "fmax";
        "0x 0 01110 0 10 xxxxx 00 111 1 xxxxx xxxxx" => SimdFp(Frecps) "frecps";
        "0x 0 01110 1 10 xxxxx 00 000 1 xxxxx xxxxx" => SimdFp(FminnmVector) "fminnm";
        "0x 0 01110 1 10 xxxxx 00 001 1 xxxxx xxxxx" => SimdFp(FmlsVector) "fmls";
        "0x 0 01110 1 10 xxxxx 00 010 1 xxxxx xxxxx" => SimdFp(FsubVector) "fsub";
        "0x 0 01110 1 10 xxxxx 00 011 1 xxxxx xxxxx" => Unimplemented(Faminmax);
        "0x 0 01110 1 10 xxxxx 00 110 1 xxxxx xxxxx" => SimdFp(FminVector) "fmin";
        "0x 0 01110 1 10 xxxxx 00 111 1 xxxxx xxxxx" => SimdFp(Frsqrts) "frsqrts";
        "0x 1 01110 0 10 xxxxx 00 000 1 xxxxx xxxxx" => SimdFp(FmaxnmpVector) "fmaxnmp";
        "0x 1 01110 0 10 xxxxx 00 010 1 xxxxx xxxxx" => SimdFp(FaddpVector) "faddp";
        "0x 1 01110 0 10 xxxxx 00 011 1 xxxxx xxxxx" => SimdFp(FmulVector) "fmul";
        "0x 1 01110 0 10 xxxxx 00 100 1 xxxxx xxxxx" => SimdFp(FcmgeRegister) "fcmge";
        "0x 1 01110 0 10 xxxxx 00 101 1 xxxxx xxxxx" => SimdFp(Facge) "facge";
        "0x 1 01110 0 10 xxxxx 00 110 1 xxxxx xxxxx" => SimdFp(FmaxpVector) "fmaxp";
        "0x 1 01110 0 10 xxxxx 00 111 1 xxxxx xxxxx" => SimdFp(FdivVector) "fdiv";
        "0x 1 01110 1 10 xxxxx 00 000 1 xxxxx xxxxx" => SimdFp(FminnmpVector) "fminnmp";
        "0x 1 01110 1 10 xxxxx 00 010 1 xxxxx xxxxx" => SimdFp(Fabd) "fabd";
        "0x 1 01110 1 10 xxxxx 00 011 1 xxxxx xxxxx" => Unimplemented(Faminmax);
        "0x 1 01110 1 10 xxxxx 00 100 1 xxxxx xxxxx" => SimdFp(FcmgtRegister) "fcmgt";
        "0x 1 01110 1 10 xxxxx 00 101 1 xxxxx xxxxx" => SimdFp(Facgt) "facgt";
        "0x 1 01110 1 10 xxxxx 00 110 1 xxxxx xxxxx" => SimdFp(FminpVector) "fminp";
        "0x 1 01110 1 10 xxxxx 00 111 1 xxxxx xxxxx" => Unimplemented(Fp8);
        "0x 0 01110 x 10 xxxxx 00 101 1 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 1 10 xxxxx 00 100 1 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 x 10 xxxxx 00 001 1 xxxxx xxxxx" => Unallocated;
    }
    "Advanced SIMD three-register extension" {
        "0x 0 01110 0x 0 xxxxx 1 1000 1 xxxxx xxxxx" => Unimplemented(Fp8);
        "0x 0 01110 10 0 xxxxx 1 0010 1 xxxxx xxxxx" => Simd(SdotVector) "sdot";
        "0x 0 01110 10 0 xxxxx 1 0011 1 xxxxx xxxxx" => Unimplemented(I8mm);
        "0x 0 01110 0x 0 xxxxx 1 1110 1 xxxxx xxxxx" => Unimplemented(Fp8);
        "0x 0 01110 0x 0 xxxxx 1 1111 1 xxxxx xxxxx" => Unimplemented(Fp8);
        "0x 0 01110 10 0 xxxxx 1 1111 1 xxxxx xxxxx" => Unimplemented(FloatMatrix);
        "0x 0 01110 11 0 xxxxx 1 1111 1 xxxxx xxxxx" => Unimplemented(Fp8);
        "01 0 01110 10 0 xxxxx 1 0100 1 xxxxx xxxxx" => Unimplemented(I8mm);
        "01 0 01110 10 0 xxxxx 1 0101 1 xxxxx xxxxx" => Unimplemented(I8mm);
        "01 0 01110 x1 0 xxxxx 1 1101 1 xxxxx xxxxx" => Unimplemented(FloatMatrix);
        "0x 1 01110 01 0 xxxxx 1 0000 1 xxxxx xxxxx" => Simd(SqrdmlahVector) "sqrdmlah";
        "0x 1 01110 10 0 xxxxx 1 0000 1 xxxxx xxxxx" => Simd(SqrdmlahVector) "sqrdmlah";
        "0x 1 01110 01 0 xxxxx 1 0001 1 xxxxx xxxxx" => Simd(SqrdmlshVector) "sqrdmlsh";
        "0x 1 01110 10 0 xxxxx 1 0001 1 xxxxx xxxxx" => Simd(SqrdmlshVector) "sqrdmlsh";
        "0x 1 01110 10 0 xxxxx 1 0010 1 xxxxx xxxxx" => Simd(UdotVector) "udot";
        "0x 1 01110 xx 0 xxxxx 1 10xx 1 xxxxx xxxxx" => Unimplemented(Fcma);
        "0x 1 01110 xx 0 xxxxx 1 11x0 1 xxxxx xxxxx" => Unimplemented(Fcma);
        "0x 1 01110 01 0 xxxxx 1 1111 1 xxxxx xxxxx" => Unimplemented(Bf16);
        "0x 1 01110 11 0 xxxxx 1 1111 1 xxxxx xxxxx" => Unimplemented(Bf16);
        "01 1 01110 01 0 xxxxx 1 1101 1 xxxxx xxxxx" => Unimplemented(Bf16);
        "01 1 01110 x0 0 xxxxx 1 1101 1 xxxxx xxxxx" => Unimplemented(FloatMatrix);
        "01 1 01110 10 0 xxxxx 1 0100 1 xxxxx xxxxx" => Unimplemented(I8mm);
        "0x x 01110 00 0 xxxxx 1 000x 1 xxxxx xxxxx" => Unallocated;
        "0x x 01110 0x 0 xxxxx 1 0x1x 1 xxxxx xxxxx" => Unallocated;
        "0x x 01110 0x 0 xxxxx 1 010x 1 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 xx 0 xxxxx 1 10x1 1 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 0x 0 xxxxx 1 1010 1 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 0x 0 xxxxx 1 1100 1 xxxxx xxxxx" => Unallocated;
        "00 x 01110 xx 0 xxxxx 1 1101 1 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 01 0 xxxxx 1 000x 1 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 10 0 xxxxx 1 000x 1 xxxxx xxxxx" => Unallocated;
        "00 x 01110 1x 0 xxxxx 1 010x 1 xxxxx xxxxx" => Unallocated;
        "0x x 01110 1x 0 xxxxx 1 011x 1 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 1x 0 xxxxx 1 1xx0 1 xxxxx xxxxx" => Unallocated;
        "00 x 01110 11 0 xxxxx 1 000x 1 xxxxx xxxxx" => Unallocated;
        "0x x 01110 11 0 xxxxx 1 001x 1 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 x0 0 xxxxx 1 1111 1 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 10 0 xxxxx 1 0011 1 xxxxx xxxxx" => Unallocated;
        "01 0 01110 x0 0 xxxxx 1 1101 1 xxxxx xxxxx" => Unallocated;
        "01 x 01110 11 0 xxxxx 1 0x0x 1 xxxxx xxxxx" => Unallocated;
        "01 1 01110 10 0 xxxxx 1 0101 1 xxxxx xxxxx" => Unallocated;
        "01 1 01110 11 0 xxxxx 1 1101 1 xxxxx xxxxx" => Unallocated;
    }
}
