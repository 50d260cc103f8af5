//! Advanced SIMD with two registers: miscellaneous, and across lanes.
//!
//! [DDI0487 C4.1 Data Processing -- Scalar Floating-Point and Advanced SIMD], the encodings with
//! bit 31 = 0, bits 28:24 = 01110, bit 21 = 1 and bits 11:10 = 10.

use super::cube::Cube;
use super::entry::entries;

/// A vector of 64 bits does not hold 64-bit elements: `1D` is reserved.
const ONE_D: &[Cube] = &[Cube::parse("x0 xxxxxx 11 xxxxxxxxxxxxxxxxxxxxxx")];

/// The same for floating point, where bit 22 alone is the size.
const ONE_D_FP: &[Cube] = &[Cube::parse("x0 xxxxxx x1 xxxxxxxxxxxxxxxxxxxxxx")];

/// There is no form for 64-bit elements.
const SIZE_11: &[Cube] = &[Cube::parse("xxxxxxxx 11 xxxxxxxxxxxxxxxxxxxxxx")];

entries! {
    "Advanced SIMD two-register miscellaneous" {
        "0x 0 01110 xx 10000 00000 10 xxxxx xxxxx" except SIZE_11 => Simd(Rev64) "rev64";
        "0x 0 01110 00 10000 00001 10 xxxxx xxxxx" => Simd(Rev16Vector) "rev16";
        "0x 0 01110 xx 10000 00010 10 xxxxx xxxxx" except SIZE_11 => Simd(Saddlp) "saddlp";
        "0x 0 01110 xx 10000 00011 10 xxxxx xxxxx" except ONE_D => Simd(Suqadd) "suqadd";
        "0x 0 01110 xx 10000 00100 10 xxxxx xxxxx" except SIZE_11 => Simd(ClsVector) "cls";
        "0x 0 01110 00 10000 00101 10 xxxxx xxxxx" => Simd(Cnt) "cnt";
        "0x 0 01110 xx 10000 00110 10 xxxxx xxxxx" except SIZE_11 => Simd(Sadalp) "sadalp";
        "0x 0 01110 xx 10000 00111 10 xxxxx xxxxx" except ONE_D => Simd(Sqabs) "sqabs";
        "0x 0 01110 xx 10000 01000 10 xxxxx xxxxx" except ONE_D => Simd(CmgtZero) "cmgt";
        "0x 0 01110 xx 10000 01001 10 xxxxx xxxxx" except ONE_D => Simd(CmeqZero) "cmeq";
        "0x 0 01110 xx 10000 01010 10 xxxxx xxxxx" except ONE_D => Simd(CmltZero) "cmlt";
        "0x 0 01110 xx 10000 01011 10 xxxxx xxxxx" except ONE_D => Simd(Abs) "abs";
        "0x 0 01110 xx 10000 10010 10 xxxxx xxxxx" except SIZE_11 => Simd(Xtn) "xtn";
        "0x 0 01110 xx 10000 10100 10 xxxxx xxxxx" except SIZE_11 => Simd(Sqxtn) "sqxtn";
        "0x 0 01110 0x 10000 10110 10 xxxxx xxxxx" => SimdFp(Fcvtn) "fcvtn";
        "0x 0 01110 0x 10000 10111 10 xxxxx xxxxx" => SimdFp(Fcvtl) "fcvtl";
        "0x 0 01110 0x 10000 11000 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FrintnVector) "frintn";
        "0x 0 01110 0x 10000 11001 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FrintmVector) "frintm";
        "0x 0 01110 0x 10000 11010 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FcvtnsVector) "fcvtns";
        "0x 0 01110 0x 10000 11011 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FcvtmsVector) "fcvtms";
        "0x 0 01110 0x 10000 11100 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FcvtasVector) "fcvtas";
        "0x 0 01110 0x 10000 11101 10 xxxxx xxxxx" except ONE_D_FP =>
            SimdFp(ScvtfVectorInteger) "scvtf";
        "0x 0 01110 0x 10000 11110 10 xxxxx xxxxx" => Unimplemented(Frintts);
        "0x 0 01110 0x 10000 11111 10 xxxxx xxxxx" => Unimplemented(Frintts);
        "0x 0 01110 1x 10000 01100 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FcmgtZero) "fcmgt";
        "0x 0 01110 1x 10000 01101 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FcmeqZero) "fcmeq";
        "0x 0 01110 1x 10000 01110 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FcmltZero) "fcmlt";
        "0x 0 01110 1x 10000 01111 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FabsVector) "fabs";
        "0x 0 01110 10 10000 10110 10 xxxxx xxxxx" => Unimplemented(Bf16);
        "0x 0 01110 1x 10000 11000 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FrintpVector) "frintp";
        "0x 0 01110 1x 10000 11001 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FrintzVector) "frintz";
        "0x 0 01110 1x 10000 11010 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FcvtpsVector) "fcvtps";
        "0x 0 01110 1x 10000 11011 10 xxxxx xxxxx" except ONE_D_FP =>
            SimdFp(FcvtzsVectorInteger) "fcvtzs";
        "0x 0 01110 10 10000 11100 10 xxxxx xxxxx" => Simd(Urecpe) "urecpe";
        "0x 0 01110 1x 10000 11101 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(Frecpe) "frecpe";
        "0x 1 01110 0x 10000 00000 10 xxxxx xxxxx" => Simd(Rev32Vector) "rev32";
        "0x 1 01110 xx 10000 00010 10 xxxxx xxxxx" except SIZE_11 => Simd(Uaddlp) "uaddlp";
        "0x 1 01110 xx 10000 00011 10 xxxxx xxxxx" except ONE_D => Simd(Usqadd) "usqadd";
        "0x 1 01110 xx 10000 00100 10 xxxxx xxxxx" except SIZE_11 => Simd(ClzVector) "clz";
        "0x 1 01110 00 10000 00101 10 xxxxx xxxxx" => Simd(Not) "not";
        "0x 1 01110 01 10000 00101 10 xxxxx xxxxx" => Simd(RbitVector) "rbit";
        "0x 1 01110 xx 10000 00110 10 xxxxx xxxxx" except SIZE_11 => Simd(Uadalp) "uadalp";
        "0x 1 01110 xx 10000 00111 10 xxxxx xxxxx" except ONE_D => Simd(Sqneg) "sqneg";
        "0x 1 01110 xx 10000 01000 10 xxxxx xxxxx" except ONE_D => Simd(CmgeZero) "cmge";
        "0x 1 01110 xx 10000 01001 10 xxxxx xxxxx" except ONE_D => Simd(CmleZero) "cmle";
        "0x 1 01110 xx 10000 01011 10 xxxxx xxxxx" except ONE_D => Simd(NegVector) "neg";
        "0x 1 01110 xx 10000 10010 10 xxxxx xxxxx" except SIZE_11 => Simd(Sqxtun) "sqxtun";
        "0x 1 01110 xx 10000 10011 10 xxxxx xxxxx" except SIZE_11 => Simd(Shll) "shll";
        "0x 1 01110 xx 10000 10100 10 xxxxx xxxxx" except SIZE_11 => Simd(Uqxtn) "uqxtn";
        "0x 1 01110 01 10000 10110 10 xxxxx xxxxx" => SimdFp(Fcvtxn) "fcvtxn";
        "0x 1 01110 xx 10000 10111 10 xxxxx xxxxx" => Unimplemented(Fp8);
        "0x 1 01110 0x 10000 11000 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FrintaVector) "frinta";
        "0x 1 01110 0x 10000 11001 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FrintxVector) "frintx";
        "0x 1 01110 0x 10000 11010 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FcvtnuVector) "fcvtnu";
        "0x 1 01110 0x 10000 11011 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FcvtmuVector) "fcvtmu";
        "0x 1 01110 0x 10000 11100 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FcvtauVector) "fcvtau";
        "0x 1 01110 0x 10000 11101 10 xxxxx xxxxx" except ONE_D_FP =>
            SimdFp(UcvtfVectorInteger) "ucvtf";
        "0x 1 01110 0x 10000 11110 10 xxxxx xxxxx" => Unimplemented(Frintts);
        "0x 1 01110 0x 10000 11111 10 xxxxx xxxxx" => Unimplemented(Frintts);
        "0x 1 01110 1x 10000 01100 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FcmgeZero) "fcmge";
        "0x 1 01110 1x 10000 01101 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FcmleZero) "fcmle";
        "0x 1 01110 1x 10000 01111 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FnegVector) "fneg";
        "0x 1 01110 1x 10000 11001 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FrintiVector) "frinti";
        "0x 1 01110 1x 10000 11010 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FcvtpuVector) "fcvtpu";
        "0x 1 01110 1x 10000 11011 10 xxxxx xxxxx" except ONE_D_FP =>
            SimdFp(FcvtzuVectorInteger) "fcvtzu";
        "0x 1 01110 10 10000 11100 10 xxxxx xxxxx" => Simd(Ursqrte) "ursqrte";
        "0x 1 01110 1x 10000 11101 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(Frsqrte) "frsqrte";
        "0x 1 01110 1x 10000 11111 10 xxxxx xxxxx" except ONE_D_FP => SimdFp(FsqrtVector) "fsqrt";
        "0x x 01110 0x 10000 011xx 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 0x 10000 10000 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 xx 10000 10x01 10 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 0x 10000 10011 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 01 10000 00001 10 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 01 10000 00101 10 xxxxx xxxxx" => Unallocated;
        "00 x 01110 01 10000 11x0x 10 xxxxx xxxxx" => Unallocated;
        "00 x 01110 01 10000 1101x 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 1x 10000 00x01 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 10 10000 10000 10 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 10 10000 10x11 10 xxxxx xxxxx" => Unallocated;
        "00 x 01110 10 10000 11110 10 xxxxx xxxxx" => Unallocated;
        "00 0 01110 10 10000 11111 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 11 10000 x0xx0 10 xxxxx xxxxx" => Unallocated;
        "00 x 01110 11 10000 00x11 10 xxxxx xxxxx" => Unallocated;
        "00 x 01110 11 10000 x1xxx 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 11 10000 10011 10 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 11 10000 10111 10 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 00 10000 00001 10 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 0x 10000 01010 10 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 x0 10000 10110 10 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 10 10000 00000 10 xxxxx xxxxx" => Unallocated;
        "00 1 01110 10 10000 01x10 10 xxxxx xxxxx" => Unallocated;
        "00 1 01110 10 10000 11000 10 xxxxx xxxxx" => Unallocated;
        "01 x 01110 1x 10000 11110 10 xxxxx xxxxx" => Unallocated;
        "01 0 01110 1x 10000 11111 10 xxxxx xxxxx" => Unallocated;
        "01 x 01110 11 10000 11100 10 xxxxx xxxxx" => Unallocated;
        "01 1 01110 1x 10000 01x10 10 xxxxx xxxxx" => Unallocated;
        "01 1 01110 1x 10000 11000 10 xxxxx xxxxx" => Unallocated;
    }
    "Advanced SIMD two-register miscellaneous (FP16)" {
        "0x 0 01110 0 111100 11000 10 xxxxx xxxxx" => SimdFp(FrintnVector) "frintn";
        "0x 0 01110 0 111100 11001 10 xxxxx xxxxx" => SimdFp(FrintmVector) "frintm";
        "0x 0 01110 0 111100 11010 10 xxxxx xxxxx" => SimdFp(FcvtnsVector) "fcvtns";
        "0x 0 01110 0 111100 11011 10 xxxxx xxxxx" => SimdFp(FcvtmsVector) "fcvtms";
        "0x 0 01110 0 111100 11100 10 xxxxx xxxxx" => SimdFp(FcvtasVector) "fcvtas";
        "0x 0 01110 0 111100 11101 10 xxxxx xxxxx" => SimdFp(ScvtfVectorInteger) "scvtf";
        "0x 0 01110 1 111100 01100 10 xxxxx xxxxx" => SimdFp(FcmgtZero) "fcmgt";
        "0x 0 01110 1 111100 01101 10 xxxxx xxxxx" => SimdFp(FcmeqZero) "fcmeq";
        "0x 0 01110 1 111100 01110 10 xxxxx xxxxx" => SimdFp(FcmltZero) "fcmlt";
        "0x 0 01110 1 111100 01111 10 xxxxx xxxxx" => SimdFp(FabsVector) "fabs";
        "0x 0 01110 1 111100 11000 10 xxxxx xxxxx" => SimdFp(FrintpVector) "frintp";
        "0x 0 01110 1 111100 11001 10 xxxxx xxxxx" => SimdFp(FrintzVector) "frintz";
        "0x 0 01110 1 111100 11010 10 xxxxx xxxxx" => SimdFp(FcvtpsVector) "fcvtps";
        "0x 0 01110 1 111100 11011 10 xxxxx xxxxx" => SimdFp(FcvtzsVectorInteger) "fcvtzs";
        "0x 0 01110 1 111100 11101 10 xxxxx xxxxx" => SimdFp(Frecpe) "frecpe";
        "0x 1 01110 0 111100 11000 10 xxxxx xxxxx" => SimdFp(FrintaVector) "frinta";
        "0x 1 01110 0 111100 11001 10 xxxxx xxxxx" => SimdFp(FrintxVector) "frintx";
        "0x 1 01110 0 111100 11010 10 xxxxx xxxxx" => SimdFp(FcvtnuVector) "fcvtnu";
        "0x 1 01110 0 111100 11011 10 xxxxx xxxxx" => SimdFp(FcvtmuVector) "fcvtmu";
        "0x 1 01110 0 111100 11100 10 xxxxx xxxxx" => SimdFp(FcvtauVector) "fcvtau";
        "0x 1 01110 0 111100 11101 10 xxxxx xxxxx" => SimdFp(UcvtfVectorInteger) "ucvtf";
        "0x 1 01110 1 111100 01100 10 xxxxx xxxxx" => SimdFp(FcmgeZero) "fcmge";
        "0x 1 01110 1 111100 01101 10 xxxxx xxxxx" => SimdFp(FcmleZero) "fcmle";
        "0x 1 01110 1 111100 01111 10 xxxxx xxxxx" => SimdFp(FnegVector) "fneg";
        "0x 1 01110 1 111100 11001 10 xxxxx xxxxx" => SimdFp(FrintiVector) "frinti";
        "0x 1 01110 1 111100 11010 10 xxxxx xxxxx" => SimdFp(FcvtpuVector) "fcvtpu";
        "0x 1 01110 1 111100 11011 10 xxxxx xxxxx" => SimdFp(FcvtzuVectorInteger) "fcvtzu";
        "0x 1 01110 1 111100 11101 10 xxxxx xxxxx" => SimdFp(Frsqrte) "frsqrte";
        "0x 1 01110 1 111100 11111 10 xxxxx xxxxx" => SimdFp(FsqrtVector) "fsqrt";
        "0x x 01110 x 111100 x0xxx 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 0 111100 01xxx 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 0 111100 1111x 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 1 111100 010xx 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 1 111100 111x0 10 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 1 111100 11111 10 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 1 111100 01110 10 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 1 111100 11000 10 xxxxx xxxxx" => Unallocated;
    }
    "Advanced SIMD across lanes" {
        "0x 0 01110 0x 11000 00011 10 xxxxx xxxxx" => Simd(Saddlv) "saddlv";
        "01 0 01110 10 11000 00011 10 xxxxx xxxxx" => Simd(Saddlv) "saddlv";
        "0x 0 01110 0x 11000 01010 10 xxxxx xxxxx" => Simd(Smaxv) "smaxv";
        "01 0 01110 10 11000 01010 10 xxxxx xxxxx" => Simd(Smaxv) "smaxv";
        "0x 0 01110 0x 11000 11010 10 xxxxx xxxxx" => Simd(Sminv) "sminv";
        "01 0 01110 10 11000 11010 10 xxxxx xxxxx" => Simd(Sminv) "sminv";
        "0x 0 01110 0x 11000 11011 10 xxxxx xxxxx" => Simd(Addv) "addv";
        "01 0 01110 10 11000 11011 10 xxxxx xxxxx" => Simd(Addv) "addv";
        "0x 0 01110 00 11000 01100 10 xxxxx xxxxx" => SimdFp(Fmaxnmv) "fmaxnmv";
        "0x 0 01110 00 11000 01111 10 xxxxx xxxxx" => SimdFp(Fmaxv) "fmaxv";
        "0x 0 01110 10 11000 01100 10 xxxxx xxxxx" => SimdFp(Fminnmv) "fminnmv";
        "0x 0 01110 10 11000 01111 10 xxxxx xxxxx" => SimdFp(Fminv) "fminv";
        "0x 1 01110 0x 11000 00011 10 xxxxx xxxxx" => Simd(Uaddlv) "uaddlv";
        "01 1 01110 10 11000 00011 10 xxxxx xxxxx" => Simd(Uaddlv) "uaddlv";
        "0x 1 01110 0x 11000 01010 10 xxxxx xxxxx" => Simd(Umaxv) "umaxv";
        "01 1 01110 10 11000 01010 10 xxxxx xxxxx" => Simd(Umaxv) "umaxv";
        "0x 1 01110 0x 11000 11010 10 xxxxx xxxxx" => Simd(Uminv) "uminv";
        "01 1 01110 10 11000 11010 10 xxxxx xxxxx" => Simd(Uminv) "uminv";
        "01 1 01110 00 11000 01100 10 xxxxx xxxxx" => SimdFp(Fmaxnmv) "fmaxnmv";
        "01 1 01110 00 11000 01111 10 xxxxx xxxxx" => SimdFp(Fmaxv) "fmaxv";
        "01 1 01110 10 11000 01100 10 xxxxx xxxxx" => SimdFp(Fminnmv) "fminnmv";
        "01 1 01110 10 11000 01111 10 xxxxx xxxxx" => SimdFp(Fminv) "fminv";
        "0x x 01110 xx 11000 xx00x 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 xx 11000 x0010 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 x0 11000 x01xx 10 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 xx 11000 01011 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 x0 11000 x1101 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 x0 11000 x1110 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 xx 11000 10011 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 x0 11000 11100 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 x0 11000 11111 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 x1 11000 xx1xx 10 xxxxx xxxxx" => Unallocated;
        "00 x 01110 10 11000 00011 10 xxxxx xxxxx" => Unallocated;
        "00 x 01110 10 11000 x1010 10 xxxxx xxxxx" => Unallocated;
        "00 0 01110 10 11000 11011 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 11 11000 00011 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 11 11000 x1010 10 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 11 11000 11011 10 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 xx 11000 x1011 10 xxxxx xxxxx" => Unallocated;
        "00 1 01110 x0 11000 01100 10 xxxxx xxxxx" => Unallocated;
        "00 1 01110 x0 11000 01111 10 xxxxx xxxxx" => Unallocated;
    }
    "Data Processing -- Scalar Floating-Point and Advanced SIMD" {
        "0x x 01110 xx 1xxx1 xxxxx 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 xx 1xx10 xxxxx 10 xxxxx xxxxx" => Unallocated;
        "00 0 01110 xx 10100 xxxxx 10 xxxxx xxxxx" => Unallocated;
        "0x x 01110 x0 11100 xxxxx 10 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 xx 10100 xxxxx 10 xxxxx xxxxx" => Unallocated;
    }
}
