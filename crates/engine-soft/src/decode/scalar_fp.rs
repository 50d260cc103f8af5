//! Scalar floating-point data processing.
//!
//! [DDI0487 C4.1 Data Processing -- Scalar Floating-Point and Advanced SIMD], the encodings with
//! bits 28:25 = x111 and bits 31, 30 and 28 of a scalar. Half precision, `ftype` = 11, has lines
//! of its own, because it is an extension.

use super::cube::Cube;
use super::entry::entries;

/// `ftype` = 10 is no format.
const TYPE: &[Cube] = &[Cube::parse("x0x 1111x 10 xxxxxxxxxxxxxxxxxxxxxx")];

/// W registers have at most 32 binary places.
const SCALE: &[Cube] = &[Cube::parse("000 11110 xx 0 xx xxx 0xxxxx xxxxx xxxxx")];

const SCALE_AND_TYPE: &[Cube] = &[SCALE[0], TYPE[0]];

const FJCVTZS: &[Cube] = &[Cube::parse("000 11110 01 1 11 110 000000 xxxxx xxxxx")];

entries! {
    "Conversion between floating-point and fixed-point" {
        "x 0 0 11110 0x 0 00 010 xxxxxx xxxxx xxxxx" except SCALE => ScalarFp(ScvtfFixed) "scvtf";
        "x 0 0 11110 11 0 00 010 xxxxxx xxxxx xxxxx" except SCALE => ScalarFp(ScvtfFixed) "scvtf";
        "x 0 0 11110 0x 0 00 011 xxxxxx xxxxx xxxxx" except SCALE => ScalarFp(UcvtfFixed) "ucvtf";
        "x 0 0 11110 11 0 00 011 xxxxxx xxxxx xxxxx" except SCALE => ScalarFp(UcvtfFixed) "ucvtf";
        "x 0 0 11110 0x 0 11 000 xxxxxx xxxxx xxxxx" except SCALE => ScalarFp(FcvtzsFixed) "fcvtzs";
        "x 0 0 11110 11 0 11 000 xxxxxx xxxxx xxxxx" except SCALE => ScalarFp(FcvtzsFixed) "fcvtzs";
        "x 0 0 11110 0x 0 11 001 xxxxxx xxxxx xxxxx" except SCALE => ScalarFp(FcvtzuFixed) "fcvtzu";
        "x 0 0 11110 11 0 11 001 xxxxxx xxxxx xxxxx" except SCALE => ScalarFp(FcvtzuFixed) "fcvtzu";
        "x 0 0 11110 10 0 xx xxx xxxxxx xxxxx xxxxx" => Unallocated;
        "0 0 0 11110 xx 0 xx xxx 0xxxxx xxxxx xxxxx" except TYPE => Unallocated;
        "x 0 0 11110 xx 0 00 00x xxxxxx xxxxx xxxxx" except SCALE_AND_TYPE => Unallocated;
        "x 0 0 11110 xx 0 11 01x xxxxxx xxxxx xxxxx" except SCALE_AND_TYPE => Unallocated;
        "x 0 0 11110 xx 0 01 0xx xxxxxx xxxxx xxxxx" except SCALE_AND_TYPE => Unallocated;
        "x 0 0 11110 xx 0 10 0xx xxxxxx xxxxx xxxxx" except SCALE_AND_TYPE => Unallocated;
        "x 0 0 11110 xx 0 xx 1xx xxxxxx xxxxx xxxxx" except SCALE_AND_TYPE => Unallocated;
    }
    "Conversion between floating-point and integer" {
        "x 0 0 11110 0x 1 00 000 000000 xxxxx xxxxx" => ScalarFp(Fcvtns) "fcvtns";
        "x 0 0 11110 11 1 00 000 000000 xxxxx xxxxx" => ScalarFp(Fcvtns) "fcvtns";
        "x 0 0 11110 0x 1 00 001 000000 xxxxx xxxxx" => ScalarFp(Fcvtnu) "fcvtnu";
        "x 0 0 11110 11 1 00 001 000000 xxxxx xxxxx" => ScalarFp(Fcvtnu) "fcvtnu";
        "x 0 0 11110 0x 1 00 010 000000 xxxxx xxxxx" => ScalarFp(ScvtfInteger) "scvtf";
        "x 0 0 11110 11 1 00 010 000000 xxxxx xxxxx" => ScalarFp(ScvtfInteger) "scvtf";
        "x 0 0 11110 0x 1 00 011 000000 xxxxx xxxxx" => ScalarFp(UcvtfInteger) "ucvtf";
        "x 0 0 11110 11 1 00 011 000000 xxxxx xxxxx" => ScalarFp(UcvtfInteger) "ucvtf";
        "x 0 0 11110 0x 1 00 100 000000 xxxxx xxxxx" => ScalarFp(Fcvtas) "fcvtas";
        "x 0 0 11110 11 1 00 100 000000 xxxxx xxxxx" => ScalarFp(Fcvtas) "fcvtas";
        "x 0 0 11110 0x 1 00 101 000000 xxxxx xxxxx" => ScalarFp(Fcvtau) "fcvtau";
        "x 0 0 11110 11 1 00 101 000000 xxxxx xxxxx" => ScalarFp(Fcvtau) "fcvtau";
        "x 0 0 11110 0x 1 01 000 000000 xxxxx xxxxx" => ScalarFp(Fcvtps) "fcvtps";
        "x 0 0 11110 11 1 01 000 000000 xxxxx xxxxx" => ScalarFp(Fcvtps) "fcvtps";
        "x 0 0 11110 0x 1 01 001 000000 xxxxx xxxxx" => ScalarFp(Fcvtpu) "fcvtpu";
        "x 0 0 11110 11 1 01 001 000000 xxxxx xxxxx" => ScalarFp(Fcvtpu) "fcvtpu";
        "x 0 0 11110 0x 1 10 000 000000 xxxxx xxxxx" => ScalarFp(Fcvtms) "fcvtms";
        "x 0 0 11110 11 1 10 000 000000 xxxxx xxxxx" => ScalarFp(Fcvtms) "fcvtms";
        "x 0 0 11110 0x 1 10 001 000000 xxxxx xxxxx" => ScalarFp(Fcvtmu) "fcvtmu";
        "x 0 0 11110 11 1 10 001 000000 xxxxx xxxxx" => ScalarFp(Fcvtmu) "fcvtmu";
        "x 0 0 11110 0x 1 11 000 000000 xxxxx xxxxx" => ScalarFp(FcvtzsInteger) "fcvtzs";
        "x 0 0 11110 11 1 11 000 000000 xxxxx xxxxx" => ScalarFp(FcvtzsInteger) "fcvtzs";
        "x 0 0 11110 0x 1 11 001 000000 xxxxx xxxxx" => ScalarFp(FcvtzuInteger) "fcvtzu";
        "x 0 0 11110 11 1 11 001 000000 xxxxx xxxxx" => ScalarFp(FcvtzuInteger) "fcvtzu";
        "0 0 0 11110 00 1 00 11x 000000 xxxxx xxxxx" => ScalarFp(FmovGeneral) "fmov";
        "1 0 0 11110 01 1 00 11x 000000 xxxxx xxxxx" => ScalarFp(FmovGeneral) "fmov";
        "1 0 0 11110 10 1 01 11x 000000 xxxxx xxxxx" => ScalarFp(FmovGeneral) "fmov";
        "x 0 0 11110 11 1 00 11x 000000 xxxxx xxxxx" => ScalarFp(FmovGeneral) "fmov";
        "0 0 0 11110 01 1 11 110 000000 xxxxx xxxxx" => Unimplemented(Jscvt);
        "x 0 0 11110 0x 1 01 01x 000000 xxxxx xxxxx" => Unimplemented(Fprcvt);
        "x 0 0 11110 0x 1 10 01x 000000 xxxxx xxxxx" => Unimplemented(Fprcvt);
        "x 0 0 11110 0x 1 10 1xx 000000 xxxxx xxxxx" => Unimplemented(Fprcvt);
        "x 0 0 11110 0x 1 11 01x 000000 xxxxx xxxxx" => Unimplemented(Fprcvt);
        "x 0 0 11110 0x 1 11 10x 000000 xxxxx xxxxx" => Unimplemented(Fprcvt);
        "x 0 0 11110 11 1 01 01x 000000 xxxxx xxxxx" => Unimplemented(Fprcvt);
        "x 0 0 11110 11 1 10 01x 000000 xxxxx xxxxx" => Unimplemented(Fprcvt);
        "x 0 0 11110 11 1 10 1xx 000000 xxxxx xxxxx" => Unimplemented(Fprcvt);
        "x 0 0 11110 11 1 11 01x 000000 xxxxx xxxxx" => Unimplemented(Fprcvt);
        "x 0 0 11110 11 1 11 10x 000000 xxxxx xxxxx" => Unimplemented(Fprcvt);
        "1 0 0 11110 00 1 00 11x 000000 xxxxx xxxxx" => Unallocated;
        "0 0 0 11110 01 1 00 11x 000000 xxxxx xxxxx" => Unallocated;
        "x 0 0 11110 10 1 00 11x 000000 xxxxx xxxxx" => Unallocated;
        "0 0 0 11110 10 1 01 11x 000000 xxxxx xxxxx" => Unallocated;
        "x 0 0 11110 0x 1 01 11x 000000 xxxxx xxxxx" => Unallocated;
        "x 0 0 11110 11 1 01 11x 000000 xxxxx xxxxx" => Unallocated;
        "x 0 0 11110 xx 1 11 11x 000000 xxxxx xxxxx" except FJCVTZS => Unallocated;
        "x 0 0 11110 xx 1 01 10x 000000 xxxxx xxxxx" => Unallocated;
        "x 0 0 11110 10 1 00 0xx 000000 xxxxx xxxxx" => Unallocated;
        "x 0 0 11110 10 1 00 10x 000000 xxxxx xxxxx" => Unallocated;
        "x 0 0 11110 10 1 01 0xx 000000 xxxxx xxxxx" => Unallocated;
        "x 0 0 11110 10 1 10 xxx 000000 xxxxx xxxxx" => Unallocated;
        "x 0 0 11110 10 1 11 0xx 000000 xxxxx xxxxx" => Unallocated;
        "x 0 0 11110 10 1 11 10x 000000 xxxxx xxxxx" => Unallocated;
        "x 0 0 11110 xx 1 xx xxx 100000 xxxxx xxxxx" => Unallocated;
    }
    "Floating-point data-processing (1 source)" {
        "0 0 0 11110 0x 1 000000 10000 xxxxx xxxxx" => ScalarFp(FmovRegister) "fmov";
        "0 0 0 11110 11 1 000000 10000 xxxxx xxxxx" => ScalarFp(FmovRegister) "fmov";
        "0 0 0 11110 0x 1 000001 10000 xxxxx xxxxx" => ScalarFp(Fabs) "fabs";
        "0 0 0 11110 11 1 000001 10000 xxxxx xxxxx" => ScalarFp(Fabs) "fabs";
        "0 0 0 11110 0x 1 000010 10000 xxxxx xxxxx" => ScalarFp(Fneg) "fneg";
        "0 0 0 11110 11 1 000010 10000 xxxxx xxxxx" => ScalarFp(Fneg) "fneg";
        "0 0 0 11110 0x 1 000011 10000 xxxxx xxxxx" => ScalarFp(Fsqrt) "fsqrt";
        "0 0 0 11110 11 1 000011 10000 xxxxx xxxxx" => ScalarFp(Fsqrt) "fsqrt";
        "0 0 0 11110 00 1 000101 10000 xxxxx xxxxx" => ScalarFp(Fcvt) "fcvt";
        "0 0 0 11110 00 1 000111 10000 xxxxx xxxxx" => ScalarFp(Fcvt) "fcvt";
        "0 0 0 11110 01 1 000100 10000 xxxxx xxxxx" => ScalarFp(Fcvt) "fcvt";
        "0 0 0 11110 01 1 000111 10000 xxxxx xxxxx" => ScalarFp(Fcvt) "fcvt";
        "0 0 0 11110 11 1 00010x 10000 xxxxx xxxxx" => ScalarFp(Fcvt) "fcvt";
        "0 0 0 11110 0x 1 001000 10000 xxxxx xxxxx" => ScalarFp(Frintn) "frintn";
        "0 0 0 11110 11 1 001000 10000 xxxxx xxxxx" => ScalarFp(Frintn) "frintn";
        "0 0 0 11110 0x 1 001001 10000 xxxxx xxxxx" => ScalarFp(Frintp) "frintp";
        "0 0 0 11110 11 1 001001 10000 xxxxx xxxxx" => ScalarFp(Frintp) "frintp";
        "0 0 0 11110 0x 1 001010 10000 xxxxx xxxxx" => ScalarFp(Frintm) "frintm";
        "0 0 0 11110 11 1 001010 10000 xxxxx xxxxx" => ScalarFp(Frintm) "frintm";
        "0 0 0 11110 0x 1 001011 10000 xxxxx xxxxx" => ScalarFp(Frintz) "frintz";
        "0 0 0 11110 11 1 001011 10000 xxxxx xxxxx" => ScalarFp(Frintz) "frintz";
        "0 0 0 11110 0x 1 001100 10000 xxxxx xxxxx" => ScalarFp(Frinta) "frinta";
        "0 0 0 11110 11 1 001100 10000 xxxxx xxxxx" => ScalarFp(Frinta) "frinta";
        "0 0 0 11110 0x 1 001110 10000 xxxxx xxxxx" => ScalarFp(Frintx) "frintx";
        "0 0 0 11110 11 1 001110 10000 xxxxx xxxxx" => ScalarFp(Frintx) "frintx";
        "0 0 0 11110 0x 1 001111 10000 xxxxx xxxxx" => ScalarFp(Frinti) "frinti";
        "0 0 0 11110 11 1 001111 10000 xxxxx xxxxx" => ScalarFp(Frinti) "frinti";
        "0 0 0 11110 01 1 000110 10000 xxxxx xxxxx" => Unimplemented(Bf16);
        "0 0 0 11110 0x 1 0100xx 10000 xxxxx xxxxx" => Unimplemented(Frintts);
        "0 0 0 11110 00 1 0001x0 10000 xxxxx xxxxx" => Unallocated;
        "0 0 0 11110 01 1 000101 10000 xxxxx xxxxx" => Unallocated;
        "0 0 0 11110 11 1 00011x 10000 xxxxx xxxxx" => Unallocated;
        "0 0 0 11110 11 1 0100xx 10000 xxxxx xxxxx" => Unallocated;
        "0 0 0 11110 0x 1 001101 10000 xxxxx xxxxx" => Unallocated;
        "0 0 0 11110 11 1 001101 10000 xxxxx xxxxx" => Unallocated;
        "0 0 0 11110 xx 1 0101xx 10000 xxxxx xxxxx" except TYPE => Unallocated;
        "0 0 0 11110 xx 1 011xxx 10000 xxxxx xxxxx" except TYPE => Unallocated;
        "0 0 0 11110 xx 1 1xxxxx 10000 xxxxx xxxxx" except TYPE => Unallocated;
        "0 0 0 11110 10 1 xxxxxx 10000 xxxxx xxxxx" => Unallocated;
        "1 0 0 11110 xx 1 xxxxxx 10000 xxxxx xxxxx" => Unallocated;
    }
    "Floating-point compare" {
        "0 0 0 11110 0x 1 xxxxx 00 1000 xxxxx 0x000" => ScalarFp(Fcmp) "fcmp";
        "0 0 0 11110 0x 1 xxxxx 00 1000 xxxxx 1x000" => ScalarFp(Fcmpe) "fcmpe";
        "0 0 0 11110 11 1 xxxxx 00 1000 xxxxx 0x000" => ScalarFp(Fcmp) "fcmp";
        "0 0 0 11110 11 1 xxxxx 00 1000 xxxxx 1x000" => ScalarFp(Fcmpe) "fcmpe";
        "0 0 0 11110 10 1 xxxxx 00 1000 xxxxx xx000" => Unallocated;
        "0 0 0 11110 xx 1 xxxxx 00 1000 xxxxx xxxx1" => Unallocated;
        "0 0 0 11110 xx 1 xxxxx 00 1000 xxxxx xxx10" => Unallocated;
        "0 0 0 11110 xx 1 xxxxx 00 1000 xxxxx xx100" => Unallocated;
        "0 0 0 11110 xx 1 xxxxx 01 1000 xxxxx xxxxx" => Unallocated;
        "0 0 0 11110 xx 1 xxxxx 1x 1000 xxxxx xxxxx" => Unallocated;
        "1 0 0 11110 xx 1 xxxxx xx 1000 xxxxx xxxxx" => Unallocated;
    }
    "Floating-point immediate" {
        "0 0 0 11110 0x 1 xxxxxxxx 100 00000 xxxxx" => ScalarFp(FmovImmediate) "fmov";
        "0 0 0 11110 11 1 xxxxxxxx 100 00000 xxxxx" => ScalarFp(FmovImmediate) "fmov";
        "0 0 0 11110 10 1 xxxxxxxx 100 00000 xxxxx" => Unallocated;
        "0 0 0 11110 xx 1 xxxxxxxx 100 xxxx1 xxxxx" => Unallocated;
        "0 0 0 11110 xx 1 xxxxxxxx 100 xxx10 xxxxx" => Unallocated;
        "0 0 0 11110 xx 1 xxxxxxxx 100 xx100 xxxxx" => Unallocated;
        "0 0 0 11110 xx 1 xxxxxxxx 100 x1000 xxxxx" => Unallocated;
        "0 0 0 11110 xx 1 xxxxxxxx 100 10000 xxxxx" => Unallocated;
        "1 0 0 11110 xx 1 xxxxxxxx 100 xxxxx xxxxx" => Unallocated;
    }
    "Floating-point conditional compare" {
        "0 0 0 11110 0x 1 xxxxx xxxx 01 xxxxx 0 xxxx" => ScalarFp(Fccmp) "fccmp";
        "0 0 0 11110 11 1 xxxxx xxxx 01 xxxxx 0 xxxx" => ScalarFp(Fccmp) "fccmp";
        "0 0 0 11110 0x 1 xxxxx xxxx 01 xxxxx 1 xxxx" => ScalarFp(Fccmpe) "fccmpe";
        "0 0 0 11110 11 1 xxxxx xxxx 01 xxxxx 1 xxxx" => ScalarFp(Fccmpe) "fccmpe";
        "0 0 0 11110 10 1 xxxxx xxxx 01 xxxxx x xxxx" => Unallocated;
        "1 0 0 11110 xx 1 xxxxx xxxx 01 xxxxx x xxxx" => Unallocated;
    }
    "Floating-point data-processing (2 source)" {
        "0 0 0 11110 0x 1 xxxxx 0000 10 xxxxx xxxxx" => ScalarFp(Fmul) "fmul";
        "0 0 0 11110 11 1 xxxxx 0000 10 xxxxx xxxxx" => ScalarFp(Fmul) "fmul";
        "0 0 0 11110 0x 1 xxxxx 0001 10 xxxxx xxxxx" => ScalarFp(Fdiv) "fdiv";
        "0 0 0 11110 11 1 xxxxx 0001 10 xxxxx xxxxx" => ScalarFp(Fdiv) "fdiv";
        "0 0 0 11110 0x 1 xxxxx 0010 10 xxxxx xxxxx" => ScalarFp(Fadd) "fadd";
        "0 0 0 11110 11 1 xxxxx 0010 10 xxxxx xxxxx" => ScalarFp(Fadd) "fadd";
        "0 0 0 11110 0x 1 xxxxx 0011 10 xxxxx xxxxx" => ScalarFp(Fsub) "fsub";
        "0 0 0 11110 11 1 xxxxx 0011 10 xxxxx xxxxx" => ScalarFp(Fsub) "fsub";
        "0 0 0 11110 0x 1 xxxxx 0100 10 xxxxx xxxxx" => ScalarFp(Fmax) "fmax";
        "0 0 0 11110 11 1 xxxxx 0100 10 xxxxx xxxxx" => ScalarFp(Fmax) "fmax";
        "0 0 0 11110 0x 1 xxxxx 0101 10 xxxxx xxxxx" => ScalarFp(Fmin) "fmin";
        "0 0 0 11110 11 1 xxxxx 0101 10 xxxxx xxxxx" => ScalarFp(Fmin) "fmin";
        "0 0 0 11110 0x 1 xxxxx 0110 10 xxxxx xxxxx" => ScalarFp(Fmaxnm) "fmaxnm";
        "0 0 0 11110 11 1 xxxxx 0110 10 xxxxx xxxxx" => ScalarFp(Fmaxnm) "fmaxnm";
        "0 0 0 11110 0x 1 xxxxx 0111 10 xxxxx xxxxx" => ScalarFp(Fminnm) "fminnm";
        "0 0 0 11110 11 1 xxxxx 0111 10 xxxxx xxxxx" => ScalarFp(Fminnm) "fminnm";
        "0 0 0 11110 0x 1 xxxxx 1000 10 xxxxx xxxxx" => ScalarFp(Fnmul) "fnmul";
        "0 0 0 11110 11 1 xxxxx 1000 10 xxxxx xxxxx" => ScalarFp(Fnmul) "fnmul";
        "0 0 0 11110 xx 1 xxxxx 1xx1 10 xxxxx xxxxx" except TYPE => Unallocated;
        "0 0 0 11110 xx 1 xxxxx 1x10 10 xxxxx xxxxx" except TYPE => Unallocated;
        "0 0 0 11110 xx 1 xxxxx 1100 10 xxxxx xxxxx" except TYPE => Unallocated;
        "0 0 0 11110 10 1 xxxxx xxxx 10 xxxxx xxxxx" => Unallocated;
        "1 0 0 11110 xx 1 xxxxx xxxx 10 xxxxx xxxxx" => Unallocated;
    }
    "Floating-point conditional select" {
        "0 0 0 11110 0x 1 xxxxx xxxx 11 xxxxx xxxxx" => ScalarFp(Fcsel) "fcsel";
        "0 0 0 11110 11 1 xxxxx xxxx 11 xxxxx xxxxx" => ScalarFp(Fcsel) "fcsel";
        "0 0 0 11110 10 1 xxxxx xxxx 11 xxxxx xxxxx" => Unallocated;
        "1 0 0 11110 xx 1 xxxxx xxxx 11 xxxxx xxxxx" => Unallocated;
    }
    "Floating-point data-processing (3 source)" {
        "0 0 0 11111 0x 0 xxxxx 0 xxxxx xxxxx xxxxx" => ScalarFp(Fmadd) "fmadd";
        "0 0 0 11111 11 0 xxxxx 0 xxxxx xxxxx xxxxx" => ScalarFp(Fmadd) "fmadd";
        "0 0 0 11111 0x 0 xxxxx 1 xxxxx xxxxx xxxxx" => ScalarFp(Fmsub) "fmsub";
        "0 0 0 11111 11 0 xxxxx 1 xxxxx xxxxx xxxxx" => ScalarFp(Fmsub) "fmsub";
        "0 0 0 11111 0x 1 xxxxx 0 xxxxx xxxxx xxxxx" => ScalarFp(Fnmadd) "fnmadd";
        "0 0 0 11111 11 1 xxxxx 0 xxxxx xxxxx xxxxx" => ScalarFp(Fnmadd) "fnmadd";
        "0 0 0 11111 0x 1 xxxxx 1 xxxxx xxxxx xxxxx" => ScalarFp(Fnmsub) "fnmsub";
        "0 0 0 11111 11 1 xxxxx 1 xxxxx xxxxx xxxxx" => ScalarFp(Fnmsub) "fnmsub";
        "0 0 0 11111 10 x xxxxx x xxxxx xxxxx xxxxx" => Unallocated;
        "1 0 0 11111 xx x xxxxx x xxxxx xxxxx xxxxx" => Unallocated;
        "x 0 1 1111x xx x xxxxx x xxxxx xxxxx xxxxx" => Unallocated;
    }
}
