//! Data processing with an immediate.
//!
//! [DDI0487 C4.1 Data Processing -- Immediate]

use super::cube::Cube;
use super::entry::entries;

/// Where `DecodeBitMasks` is reserved: the element would be all ones, or have no size
/// [DDI0487 C4.1 Logical (immediate), J1 DecodeBitMasks].
const RESERVED_BIT_MASKS: &[Cube] = &[
    Cube::parse("1 xx 100100 1 xxxxxx 111111 xxxxx xxxxx"),
    Cube::parse("x xx 100100 0 xxxxxx 011111 xxxxx xxxxx"),
    Cube::parse("x xx 100100 0 xxxxxx 101111 xxxxx xxxxx"),
    Cube::parse("x xx 100100 0 xxxxxx 110111 xxxxx xxxxx"),
    Cube::parse("x xx 100100 0 xxxxxx 111011 xxxxx xxxxx"),
    Cube::parse("x xx 100100 0 xxxxxx 111101 xxxxx xxxxx"),
    Cube::parse("x xx 100100 0 xxxxxx 11111x xxxxx xxxxx"),
];

entries! {
    "PC-rel. addressing" {
        "0 xx 10000 xxxxxxxxxxxxxxxxxxx xxxxx" => Adr "adr";
        "1 xx 10000 xxxxxxxxxxxxxxxxxxx xxxxx" => Adrp "adrp";
    }
    "Add/subtract (immediate)" {
        "x 0 0 100010 x xxxxxxxxxxxx xxxxx xxxxx" => AddImmediate "add";
        "x 0 1 100010 x xxxxxxxxxxxx xxxxx xxxxx" => AddsImmediate "adds";
        "x 1 0 100010 x xxxxxxxxxxxx xxxxx xxxxx" => SubImmediate "sub";
        "x 1 1 100010 x xxxxxxxxxxxx xxxxx xxxxx" => SubsImmediate "subs";
    }
    "Add/subtract (immediate, with tags)" {
        "1 0 0 100011 0 xxxxxx xx xxxx xxxxx xxxxx" => Unimplemented(Mte);
        "1 1 0 100011 0 xxxxxx xx xxxx xxxxx xxxxx" => Unimplemented(Mte);
        "0 x x 100011 0 xxxxxx xx xxxx xxxxx xxxxx" => Unallocated;
        "1 x 1 100011 0 xxxxxx xx xxxx xxxxx xxxxx" => Unallocated;
    }
    "Min/max (immediate)" {
        "x 0 0 100011 1 00xx xxxxxxxx xxxxx xxxxx" => Unimplemented(Cssc);
        "x 0 0 100011 1 01xx xxxxxxxx xxxxx xxxxx" => Unallocated;
        "x 0 0 100011 1 1xxx xxxxxxxx xxxxx xxxxx" => Unallocated;
        "x 0 1 100011 1 xxxx xxxxxxxx xxxxx xxxxx" => Unallocated;
        "x 1 x 100011 1 xxxx xxxxxxxx xxxxx xxxxx" => Unallocated;
    }
    "Logical (immediate)" {
        "0 00 100100 0 xxxxxx xxxxxx xxxxx xxxxx" except RESERVED_BIT_MASKS
            => AndImmediate "and";
        "1 00 100100 x xxxxxx xxxxxx xxxxx xxxxx" except RESERVED_BIT_MASKS
            => AndImmediate "and";
        "0 01 100100 0 xxxxxx xxxxxx xxxxx xxxxx" except RESERVED_BIT_MASKS
            => OrrImmediate "orr";
        "1 01 100100 x xxxxxx xxxxxx xxxxx xxxxx" except RESERVED_BIT_MASKS
            => OrrImmediate "orr";
        "0 10 100100 0 xxxxxx xxxxxx xxxxx xxxxx" except RESERVED_BIT_MASKS
            => EorImmediate "eor";
        "1 10 100100 x xxxxxx xxxxxx xxxxx xxxxx" except RESERVED_BIT_MASKS
            => EorImmediate "eor";
        "0 11 100100 0 xxxxxx xxxxxx xxxxx xxxxx" except RESERVED_BIT_MASKS
            => AndsImmediate "ands";
        "1 11 100100 x xxxxxx xxxxxx xxxxx xxxxx" except RESERVED_BIT_MASKS
            => AndsImmediate "ands";
        "0 xx 100100 1 xxxxxx xxxxxx xxxxx xxxxx" => Unallocated;
        "1 xx 100100 1 xxxxxx 111111 xxxxx xxxxx" => Unallocated;
        "x xx 100100 0 xxxxxx 011111 xxxxx xxxxx" => Unallocated;
        "x xx 100100 0 xxxxxx 101111 xxxxx xxxxx" => Unallocated;
        "x xx 100100 0 xxxxxx 110111 xxxxx xxxxx" => Unallocated;
        "x xx 100100 0 xxxxxx 111011 xxxxx xxxxx" => Unallocated;
        "x xx 100100 0 xxxxxx 111101 xxxxx xxxxx" => Unallocated;
        "x xx 100100 0 xxxxxx 11111x xxxxx xxxxx" => Unallocated;
    }
    "Move wide (immediate)" {
        "0 00 100101 0x xxxxxxxxxxxxxxxx xxxxx" => Movn "movn";
        "1 00 100101 xx xxxxxxxxxxxxxxxx xxxxx" => Movn "movn";
        "0 10 100101 0x xxxxxxxxxxxxxxxx xxxxx" => Movz "movz";
        "1 10 100101 xx xxxxxxxxxxxxxxxx xxxxx" => Movz "movz";
        "0 11 100101 0x xxxxxxxxxxxxxxxx xxxxx" => Movk "movk";
        "1 11 100101 xx xxxxxxxxxxxxxxxx xxxxx" => Movk "movk";
        "x 01 100101 xx xxxxxxxxxxxxxxxx xxxxx" => Unallocated;
        "0 00 100101 1x xxxxxxxxxxxxxxxx xxxxx" => Unallocated;
        "0 1x 100101 1x xxxxxxxxxxxxxxxx xxxxx" => Unallocated;
    }
    "Bitfield" {
        "0 00 100110 0 0xxxxx 0xxxxx xxxxx xxxxx" => Sbfm "sbfm";
        "1 00 100110 1 xxxxxx xxxxxx xxxxx xxxxx" => Sbfm "sbfm";
        "0 01 100110 0 0xxxxx 0xxxxx xxxxx xxxxx" => Bfm "bfm";
        "1 01 100110 1 xxxxxx xxxxxx xxxxx xxxxx" => Bfm "bfm";
        "0 10 100110 0 0xxxxx 0xxxxx xxxxx xxxxx" => Ubfm "ubfm";
        "1 10 100110 1 xxxxxx xxxxxx xxxxx xxxxx" => Ubfm "ubfm";
        "x 11 100110 x xxxxxx xxxxxx xxxxx xxxxx" => Unallocated;
        "0 0x 100110 0 1xxxxx xxxxxx xxxxx xxxxx" => Unallocated;
        "0 0x 100110 0 0xxxxx 1xxxxx xxxxx xxxxx" => Unallocated;
        "0 0x 100110 1 xxxxxx xxxxxx xxxxx xxxxx" => Unallocated;
        "1 0x 100110 0 xxxxxx xxxxxx xxxxx xxxxx" => Unallocated;
        "0 10 100110 0 1xxxxx xxxxxx xxxxx xxxxx" => Unallocated;
        "0 10 100110 0 0xxxxx 1xxxxx xxxxx xxxxx" => Unallocated;
        "0 10 100110 1 xxxxxx xxxxxx xxxxx xxxxx" => Unallocated;
        "1 10 100110 0 xxxxxx xxxxxx xxxxx xxxxx" => Unallocated;
    }
    "Extract" {
        "0 00 100111 0 0 xxxxx 0xxxxx xxxxx xxxxx" => Extr "extr";
        "1 00 100111 1 0 xxxxx xxxxxx xxxxx xxxxx" => Extr "extr";
        "0 00 100111 0 0 xxxxx 1xxxxx xxxxx xxxxx" => Unallocated;
        "0 00 100111 1 0 xxxxx xxxxxx xxxxx xxxxx" => Unallocated;
        "1 00 100111 0 0 xxxxx xxxxxx xxxxx xxxxx" => Unallocated;
        "x 00 100111 x 1 xxxxx xxxxxx xxxxx xxxxx" => Unallocated;
        "x 01 100111 x x xxxxx xxxxxx xxxxx xxxxx" => Unallocated;
        "x 10 100111 x x xxxxx xxxxxx xxxxx xxxxx" => Unallocated;
        "0 11 100111 x x xxxxx xxxxxx xxxxx xxxxx" => Unallocated;
    }
    "Data-processing (1 source immediate)" {
        "1 11 100111 0x xxxxxxxxxxxxxxxx 11111" => Unimplemented(PauthLr);
        "1 11 100111 0x xxxxxxxxxxxxxxxx xxxxx" except [
            "1 11 100111 0x xxxxxxxxxxxxxxxx 11111",
        ] => Unallocated;
        "1 11 100111 1x xxxxxxxxxxxxxxxx xxxxx" => Unallocated;
    }
}
