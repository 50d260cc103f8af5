//! Advanced SIMD with three registers of different arrangements.
//!
//! [DDI0487 C4.1 Data Processing -- Scalar Floating-Point and Advanced SIMD], the classes "Advanced
//! SIMD three different".

use super::cube::Cube;
use super::entry::entries;

/// There is no form for 64-bit elements.
const SIZE_11: &[Cube] = &[Cube::parse("xxxxxxxx 11 xxxxxxxxxxxxxxxxxxxxxx")];

entries! {
    "Advanced SIMD three different" {
        "0x 0 01110 xx 1 xxxxx 0000 00 xxxxx xxxxx" except SIZE_11 => Simd(Saddl) "saddl";
        "0x 0 01110 xx 1 xxxxx 0001 00 xxxxx xxxxx" except SIZE_11 => Simd(Saddw) "saddw";
        "0x 0 01110 xx 1 xxxxx 0010 00 xxxxx xxxxx" except SIZE_11 => Simd(Ssubl) "ssubl";
        "0x 0 01110 xx 1 xxxxx 0011 00 xxxxx xxxxx" except SIZE_11 => Simd(Ssubw) "ssubw";
        "0x 0 01110 xx 1 xxxxx 0100 00 xxxxx xxxxx" except SIZE_11 => Simd(Addhn) "addhn";
        "0x 0 01110 xx 1 xxxxx 0101 00 xxxxx xxxxx" except SIZE_11 => Simd(Sabal) "sabal";
        "0x 0 01110 xx 1 xxxxx 0110 00 xxxxx xxxxx" except SIZE_11 => Simd(Subhn) "subhn";
        "0x 0 01110 xx 1 xxxxx 0111 00 xxxxx xxxxx" except SIZE_11 => Simd(Sabdl) "sabdl";
        "0x 0 01110 xx 1 xxxxx 1000 00 xxxxx xxxxx" except SIZE_11 => Simd(SmlalVector) "smlal";
        "0x 0 01110 01 1 xxxxx 1001 00 xxxxx xxxxx" => Simd(SqdmlalVector) "sqdmlal";
        "0x 0 01110 10 1 xxxxx 1001 00 xxxxx xxxxx" => Simd(SqdmlalVector) "sqdmlal";
        "0x 0 01110 xx 1 xxxxx 1010 00 xxxxx xxxxx" except SIZE_11 => Simd(SmlslVector) "smlsl";
        "0x 0 01110 01 1 xxxxx 1011 00 xxxxx xxxxx" => Simd(SqdmlslVector) "sqdmlsl";
        "0x 0 01110 10 1 xxxxx 1011 00 xxxxx xxxxx" => Simd(SqdmlslVector) "sqdmlsl";
        "0x 0 01110 xx 1 xxxxx 1100 00 xxxxx xxxxx" except SIZE_11 => Simd(SmullVector) "smull";
        "0x 0 01110 01 1 xxxxx 1101 00 xxxxx xxxxx" => Simd(SqdmullVector) "sqdmull";
        "0x 0 01110 10 1 xxxxx 1101 00 xxxxx xxxxx" => Simd(SqdmullVector) "sqdmull";
        "0x 0 01110 00 1 xxxxx 1110 00 xxxxx xxxxx" => Simd(Pmull) "pmull";
        "0x 0 01110 11 1 xxxxx 1110 00 xxxxx xxxxx" => Simd(Pmull) "pmull";
        "0x 1 01110 xx 1 xxxxx 0000 00 xxxxx xxxxx" except SIZE_11 => Simd(Uaddl) "uaddl";
        "0x 1 01110 xx 1 xxxxx 0001 00 xxxxx xxxxx" except SIZE_11 => Simd(Uaddw) "uaddw";
        "0x 1 01110 xx 1 xxxxx 0010 00 xxxxx xxxxx" except SIZE_11 => Simd(Usubl) "usubl";
        "0x 1 01110 xx 1 xxxxx 0011 00 xxxxx xxxxx" except SIZE_11 => Simd(Usubw) "usubw";
        "0x 1 01110 xx 1 xxxxx 0100 00 xxxxx xxxxx" except SIZE_11 => Simd(Raddhn) "raddhn";
        "0x 1 01110 xx 1 xxxxx 0101 00 xxxxx xxxxx" except SIZE_11 => Simd(Uabal) "uabal";
        "0x 1 01110 xx 1 xxxxx 0110 00 xxxxx xxxxx" except SIZE_11 => Simd(Rsubhn) "rsubhn";
        "0x 1 01110 xx 1 xxxxx 0111 00 xxxxx xxxxx" except SIZE_11 => Simd(Uabdl) "uabdl";
        "0x 1 01110 xx 1 xxxxx 1000 00 xxxxx xxxxx" except SIZE_11 => Simd(UmlalVector) "umlal";
        "0x 1 01110 xx 1 xxxxx 1010 00 xxxxx xxxxx" except SIZE_11 => Simd(UmlslVector) "umlsl";
        "0x 1 01110 xx 1 xxxxx 1100 00 xxxxx xxxxx" except SIZE_11 => Simd(UmullVector) "umull";
        "0x 0 01110 00 1 xxxxx 1xx1 00 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 01 1 xxxxx 111x 00 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 10 1 xxxxx 111x 00 xxxxx xxxxx" => Unallocated;
        "0x x 01110 11 1 xxxxx 0xxx 00 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 11 1 xxxxx 10xx 00 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 11 1 xxxxx 1100 00 xxxxx xxxxx" => Unallocated;
        "0x 0 01110 11 1 xxxxx 11x1 00 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 xx 1 xxxxx 1xx1 00 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 0x 1 xxxxx 1110 00 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 10 1 xxxxx 1110 00 xxxxx xxxxx" => Unallocated;
        "0x 1 01110 11 1 xxxxx 1xx0 00 xxxxx xxxxx" => Unallocated;
    }
}
