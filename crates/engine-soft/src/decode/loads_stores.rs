//! Loads and stores of general-purpose registers.
//!
//! [DDI0487 C4.1 Loads and Stores], the encodings with V = 0, and the classes shared by
//! both; `atomic` has compare and swap, and the atomic memory operations.

use super::entry::entries;

entries! {
    "Load/store exclusive register" {
        "00 001000 0 0 0 xxxxx 0 xxxxx xxxxx xxxxx" => Stxrb "stxrb";
        "01 001000 0 0 0 xxxxx 0 xxxxx xxxxx xxxxx" => Stxrh "stxrh";
        "1x 001000 0 0 0 xxxxx 0 xxxxx xxxxx xxxxx" => Stxr "stxr";
        "00 001000 0 0 0 xxxxx 1 xxxxx xxxxx xxxxx" => Stlxrb "stlxrb";
        "01 001000 0 0 0 xxxxx 1 xxxxx xxxxx xxxxx" => Stlxrh "stlxrh";
        "1x 001000 0 0 0 xxxxx 1 xxxxx xxxxx xxxxx" => Stlxr "stlxr";
        "00 001000 0 1 0 xxxxx 0 xxxxx xxxxx xxxxx" => Ldxrb "ldxrb";
        "01 001000 0 1 0 xxxxx 0 xxxxx xxxxx xxxxx" => Ldxrh "ldxrh";
        "1x 001000 0 1 0 xxxxx 0 xxxxx xxxxx xxxxx" => Ldxr "ldxr";
        "00 001000 0 1 0 xxxxx 1 xxxxx xxxxx xxxxx" => Ldaxrb "ldaxrb";
        "01 001000 0 1 0 xxxxx 1 xxxxx xxxxx xxxxx" => Ldaxrh "ldaxrh";
        "1x 001000 0 1 0 xxxxx 1 xxxxx xxxxx xxxxx" => Ldaxr "ldaxr";
    }
    "Load/store exclusive pair" {
        "1x 001000 0 0 1 xxxxx 0 xxxxx xxxxx xxxxx" => Stxp "stxp";
        "1x 001000 0 0 1 xxxxx 1 xxxxx xxxxx xxxxx" => Stlxp "stlxp";
        "1x 001000 0 1 1 xxxxx 0 xxxxx xxxxx xxxxx" => Ldxp "ldxp";
        "1x 001000 0 1 1 xxxxx 1 xxxxx xxxxx xxxxx" => Ldaxp "ldaxp";
    }
    "Load/store ordered" {
        "00 001000 1 0 0 xxxxx 0 xxxxx xxxxx xxxxx" => Stllrb "stllrb";
        "01 001000 1 0 0 xxxxx 0 xxxxx xxxxx xxxxx" => Stllrh "stllrh";
        "1x 001000 1 0 0 xxxxx 0 xxxxx xxxxx xxxxx" => Stllr "stllr";
        "00 001000 1 0 0 xxxxx 1 xxxxx xxxxx xxxxx" => Stlrb "stlrb";
        "01 001000 1 0 0 xxxxx 1 xxxxx xxxxx xxxxx" => Stlrh "stlrh";
        "1x 001000 1 0 0 xxxxx 1 xxxxx xxxxx xxxxx" => Stlr "stlr";
        "00 001000 1 1 0 xxxxx 0 xxxxx xxxxx xxxxx" => Ldlarb "ldlarb";
        "01 001000 1 1 0 xxxxx 0 xxxxx xxxxx xxxxx" => Ldlarh "ldlarh";
        "1x 001000 1 1 0 xxxxx 0 xxxxx xxxxx xxxxx" => Ldlar "ldlar";
        "00 001000 1 1 0 xxxxx 1 xxxxx xxxxx xxxxx" => Ldarb "ldarb";
        "01 001000 1 1 0 xxxxx 1 xxxxx xxxxx xxxxx" => Ldarh "ldarh";
        "1x 001000 1 1 0 xxxxx 1 xxxxx xxxxx xxxxx" => Ldar "ldar";
    }
    "Load/store exclusive, compare and swap (unprivileged)" {
        "1x 001001 0 x 0 xxxxx x 11111 xxxxx xxxxx" => Unimplemented(Lsui);
        "x1 001001 1 x 0 xxxxx x 11111 xxxxx xxxxx" => Unimplemented(Lsui);
        "xx 001001 xxxxxxxxxxxxxxxxxxxxxxxx" except [
            "1x 001001 0 x 0 xxxxx x 11111 xxxxx xxxxx",
            "x1 001001 1 x 0 xxxxx x 11111 xxxxx xxxxx",
        ] => Unallocated;
    }
    "Load register (literal)" {
        "0x 011 0 00 xxxxxxxxxxxxxxxxxxx xxxxx" => LdrLiteral "ldr";
        "10 011 0 00 xxxxxxxxxxxxxxxxxxx xxxxx" => LdrswLiteral "ldrsw";
        "11 011 0 00 xxxxxxxxxxxxxxxxxxx xxxxx" => PrfmLiteral "prfm";
    }
    "LDAPR/STLR (unscaled immediate)" {
        "0x 011001 xx 0 xxxxxxxxx 00 xxxxx xxxxx" => Unimplemented(Lrcpc2);
        "10 011001 0x 0 xxxxxxxxx 00 xxxxx xxxxx" => Unimplemented(Lrcpc2);
        "10 011001 10 0 xxxxxxxxx 00 xxxxx xxxxx" => Unimplemented(Lrcpc2);
        "11 011001 0x 0 xxxxxxxxx 00 xxxxx xxxxx" => Unimplemented(Lrcpc2);
        "10 011001 11 0 xxxxxxxxx 00 xxxxx xxxxx" => Unallocated;
        "11 011001 1x 0 xxxxxxxxx 00 xxxxx xxxxx" => Unallocated;
    }
    "Memory copy and memory set" {
        "00 011x01 xx 0 xxxxx xxxx 01 xxxxx xxxxx" => Unimplemented(Mops);
        "01 011x01 xx 0 xxxxx xxxx 01 xxxxx xxxxx" => Unallocated;
        "1x 011x01 xx 0 xxxxx xxxx 01 xxxxx xxxxx" => Unallocated;
    }
    "LDIAPP/STILP, LDAPR/STLR (writeback), LDAP/STLP" {
        "1x 011001 0x 0 xxxxx 000x 10 xxxxx xxxxx" => Unimplemented(Lrcpc3);
        "1x 011001 1x 0 00000 0000 10 xxxxx xxxxx" => Unimplemented(Lrcpc3);
        "11 011001 0x 0 xxxxx 0101 10 xxxxx xxxxx" => Unimplemented(Lscp);
        "11 011001 01 0 xxxxx 0111 10 xxxxx xxxxx" => Unimplemented(Lscp);
        "xx 011001 xx 0 xxxxx xxxx 10 xxxxx xxxxx" except [
            "1x 011001 0x 0 xxxxx 000x 10 xxxxx xxxxx",
            "1x 011001 1x 0 00000 0000 10 xxxxx xxxxx",
            "11 011001 0x 0 xxxxx 0101 10 xxxxx xxxxx",
            "11 011001 01 0 xxxxx 0111 10 xxxxx xxxxx",
        ] => Unallocated;
    }
    "GCS load/store" {
        "11 011001 00 0 11111 000x 11 xxxxx xxxxx" => Unimplemented(Gcs);
        "xx 011001 xx 0 xxxxx xxxx 11 xxxxx xxxxx" except [
            "11 011001 00 0 11111 000x 11 xxxxx xxxxx",
        ] => Unallocated;
    }
    "Load/store memory tags" {
        "11 011001 xx 1 xxxxxxxxx xx xxxxx xxxxx" => Unimplemented(Mte);
    }
    "Atomic memory operations on pairs, read-check-write, unprivileged atomics" {
        "00 011001 xx 1 xxxxx 0001 00 xxxxx xxxxx" => Unimplemented(Lse128);
        "01 011001 xx 1 xxxxx 0001 00 xxxxx xxxxx" => Unallocated;
        "00 011001 xx 1 xxxxx 0011 00 xxxxx xxxxx" => Unimplemented(Lse128);
        "01 011001 xx 1 xxxxx 0011 00 xxxxx xxxxx" => Unallocated;
        "00 011001 xx 1 xxxxx 1000 00 xxxxx xxxxx" => Unimplemented(Lse128);
        "01 011001 xx 1 xxxxx 1000 00 xxxxx xxxxx" => Unallocated;
        "0x 011001 xx 1 xxxxx 1001 00 xxxxx xxxxx" => Unimplemented(The);
        "0x 011001 xx 1 xxxxx 101x 00 xxxxx xxxxx" => Unimplemented(The);
        "0x 011001 xx 1 xxxxx 00x1 01 xxxxx xxxxx" => Unimplemented(Lsui);
        "0x 011001 xx 1 xxxxx x000 01 xxxxx xxxxx" => Unimplemented(Lsui);
        "0x 011001 xx 1 xxxxx 0000 1x xxxxx xxxxx" => Unimplemented(The);
        "0x 011001 xx 1 xxxxx 0000 00 xxxxx xxxxx" => Unallocated;
        "0x 011001 xx 1 xxxxx 0010 00 xxxxx xxxxx" => Unallocated;
        "0x 011001 xx 1 xxxxx x1xx 00 xxxxx xxxxx" => Unallocated;
        "0x 011001 xx 1 xxxxx 0010 01 xxxxx xxxxx" => Unallocated;
        "0x 011001 xx 1 xxxxx x1xx 01 xxxxx xxxxx" => Unallocated;
        "0x 011001 xx 1 xxxxx 1001 01 xxxxx xxxxx" => Unallocated;
        "0x 011001 xx 1 xxxxx 101x 01 xxxxx xxxxx" => Unallocated;
        "0x 011001 xx 1 xxxxx xxxx 1x xxxxx xxxxx" except [
            "0x 011001 xx 1 xxxxx 0000 1x xxxxx xxxxx",
        ] => Unallocated;
        "10 011001 xx 1 xxxxxxxxx xx xxxxx xxxxx"  => Unallocated;
    }
    "LDAPR/STLR (SIMD&FP unscaled immediate)" {
        "xx 011101 xx 0 xxxxxxxxx 10 xxxxx xxxxx"  => Unimplemented(Lrcpc3);
        "00 011101 11 0 11111 xxxx 00 xxxxx xxxxx" => Unimplemented(Mops);
        "xx 011101 xx 0 xxxxxxxxx 00 xxxxx xxxxx" except [
            "00 011101 11 0 11111 xxxx 00 xxxxx xxxxx",
        ] => Unallocated;
        "xx 011101 xx 0 xxxxxxxxx 11 xxxxx xxxxx"  => Unallocated;
        "xx 011101 xx 1 xxxxxxxxx xx xxxxx xxxxx"  => Unallocated;
    }
    "Load/store no-allocate pair (offset)" {
        "x0 101 0 000 0 xxxxxxx xxxxx xxxxx xxxxx" => Stnp "stnp";
        "x0 101 0 000 1 xxxxxxx xxxxx xxxxx xxxxx" => Ldnp "ldnp";
        "01 101 0 000 x xxxxxxx xxxxx xxxxx xxxxx" => Unallocated;
        "11 101 0 000 x xxxxxxx xxxxx xxxxx xxxxx" => Unimplemented(Lsui);
    }
    "Load/store register pair (post-indexed)" {
        "x0 101 0 001 0 xxxxxxx xxxxx xxxxx xxxxx" => StpPost "stp";
        "x0 101 0 001 1 xxxxxxx xxxxx xxxxx xxxxx" => LdpPost "ldp";
        "01 101 0 001 1 xxxxxxx xxxxx xxxxx xxxxx" => LdpswPost "ldpsw";
        "01 101 0 001 0 xxxxxxx xxxxx xxxxx xxxxx" => Unimplemented(Mte);
        "11 101 0 001 x xxxxxxx xxxxx xxxxx xxxxx" => Unimplemented(Lsui);
    }
    "Load/store register pair (offset)" {
        "x0 101 0 010 0 xxxxxxx xxxxx xxxxx xxxxx" => StpOffset "stp";
        "x0 101 0 010 1 xxxxxxx xxxxx xxxxx xxxxx" => LdpOffset "ldp";
        "01 101 0 010 1 xxxxxxx xxxxx xxxxx xxxxx" => LdpswOffset "ldpsw";
        "01 101 0 010 0 xxxxxxx xxxxx xxxxx xxxxx" => Unimplemented(Mte);
        "11 101 0 010 x xxxxxxx xxxxx xxxxx xxxxx" => Unimplemented(Lsui);
    }
    "Load/store register pair (pre-indexed)" {
        "x0 101 0 011 0 xxxxxxx xxxxx xxxxx xxxxx" => StpPre "stp";
        "x0 101 0 011 1 xxxxxxx xxxxx xxxxx xxxxx" => LdpPre "ldp";
        "01 101 0 011 1 xxxxxxx xxxxx xxxxx xxxxx" => LdpswPre "ldpsw";
        "01 101 0 011 0 xxxxxxx xxxxx xxxxx xxxxx" => Unimplemented(Mte);
        "11 101 0 011 x xxxxxxx xxxxx xxxxx xxxxx" => Unimplemented(Lsui);
    }
    "Load/store register (unscaled immediate)" {
        "00 111 0 00 00 0 xxxxxxxxx 00 xxxxx xxxxx" => Sturb "sturb";
        "00 111 0 00 01 0 xxxxxxxxx 00 xxxxx xxxxx" => Ldurb "ldurb";
        "00 111 0 00 1x 0 xxxxxxxxx 00 xxxxx xxxxx" => Ldursb "ldursb";
        "01 111 0 00 00 0 xxxxxxxxx 00 xxxxx xxxxx" => Sturh "sturh";
        "01 111 0 00 01 0 xxxxxxxxx 00 xxxxx xxxxx" => Ldurh "ldurh";
        "01 111 0 00 1x 0 xxxxxxxxx 00 xxxxx xxxxx" => Ldursh "ldursh";
        "1x 111 0 00 00 0 xxxxxxxxx 00 xxxxx xxxxx" => Stur "stur";
        "1x 111 0 00 01 0 xxxxxxxxx 00 xxxxx xxxxx" => Ldur "ldur";
        "10 111 0 00 10 0 xxxxxxxxx 00 xxxxx xxxxx" => Ldursw "ldursw";
        "11 111 0 00 10 0 xxxxxxxxx 00 xxxxx xxxxx" => Prfum "prfum";
        "1x 111 0 00 11 0 xxxxxxxxx 00 xxxxx xxxxx" => Unallocated;
    }
    "Load/store register (immediate post-indexed)" {
        "00 111 0 00 00 0 xxxxxxxxx 01 xxxxx xxxxx" => StrbImmediatePost "strb";
        "00 111 0 00 01 0 xxxxxxxxx 01 xxxxx xxxxx" => LdrbImmediatePost "ldrb";
        "00 111 0 00 1x 0 xxxxxxxxx 01 xxxxx xxxxx" => LdrsbImmediatePost "ldrsb";
        "01 111 0 00 00 0 xxxxxxxxx 01 xxxxx xxxxx" => StrhImmediatePost "strh";
        "01 111 0 00 01 0 xxxxxxxxx 01 xxxxx xxxxx" => LdrhImmediatePost "ldrh";
        "01 111 0 00 1x 0 xxxxxxxxx 01 xxxxx xxxxx" => LdrshImmediatePost "ldrsh";
        "1x 111 0 00 00 0 xxxxxxxxx 01 xxxxx xxxxx" => StrImmediatePost "str";
        "1x 111 0 00 01 0 xxxxxxxxx 01 xxxxx xxxxx" => LdrImmediatePost "ldr";
        "10 111 0 00 10 0 xxxxxxxxx 01 xxxxx xxxxx" => LdrswImmediatePost "ldrsw";
        "11 111 0 00 10 0 xxxxxxxxx 01 xxxxx xxxxx" => Unallocated;
        "1x 111 0 00 11 0 xxxxxxxxx 01 xxxxx xxxxx" => Unallocated;
    }
    "Load/store register (immediate pre-indexed)" {
        "00 111 0 00 00 0 xxxxxxxxx 11 xxxxx xxxxx" => StrbImmediatePre "strb";
        "00 111 0 00 01 0 xxxxxxxxx 11 xxxxx xxxxx" => LdrbImmediatePre "ldrb";
        "00 111 0 00 1x 0 xxxxxxxxx 11 xxxxx xxxxx" => LdrsbImmediatePre "ldrsb";
        "01 111 0 00 00 0 xxxxxxxxx 11 xxxxx xxxxx" => StrhImmediatePre "strh";
        "01 111 0 00 01 0 xxxxxxxxx 11 xxxxx xxxxx" => LdrhImmediatePre "ldrh";
        "01 111 0 00 1x 0 xxxxxxxxx 11 xxxxx xxxxx" => LdrshImmediatePre "ldrsh";
        "1x 111 0 00 00 0 xxxxxxxxx 11 xxxxx xxxxx" => StrImmediatePre "str";
        "1x 111 0 00 01 0 xxxxxxxxx 11 xxxxx xxxxx" => LdrImmediatePre "ldr";
        "10 111 0 00 10 0 xxxxxxxxx 11 xxxxx xxxxx" => LdrswImmediatePre "ldrsw";
        "11 111 0 00 10 0 xxxxxxxxx 11 xxxxx xxxxx" => Unallocated;
        "1x 111 0 00 11 0 xxxxxxxxx 11 xxxxx xxxxx" => Unallocated;
    }
    "Load/store register (unprivileged)" {
        "00 111 0 00 00 0 xxxxxxxxx 10 xxxxx xxxxx" => Sttrb "sttrb";
        "00 111 0 00 01 0 xxxxxxxxx 10 xxxxx xxxxx" => Ldtrb "ldtrb";
        "00 111 0 00 1x 0 xxxxxxxxx 10 xxxxx xxxxx" => Ldtrsb "ldtrsb";
        "01 111 0 00 00 0 xxxxxxxxx 10 xxxxx xxxxx" => Sttrh "sttrh";
        "01 111 0 00 01 0 xxxxxxxxx 10 xxxxx xxxxx" => Ldtrh "ldtrh";
        "01 111 0 00 1x 0 xxxxxxxxx 10 xxxxx xxxxx" => Ldtrsh "ldtrsh";
        "1x 111 0 00 00 0 xxxxxxxxx 10 xxxxx xxxxx" => Sttr "sttr";
        "1x 111 0 00 01 0 xxxxxxxxx 10 xxxxx xxxxx" => Ldtr "ldtr";
        "10 111 0 00 10 0 xxxxxxxxx 10 xxxxx xxxxx" => Ldtrsw "ldtrsw";
        "11 111 0 00 10 0 xxxxxxxxx 10 xxxxx xxxxx" => Unallocated;
        "1x 111 0 00 11 0 xxxxxxxxx 10 xxxxx xxxxx" => Unallocated;
        "xx 111 1 00 xx 0 xxxxxxxxx 10 xxxxx xxxxx" => Unallocated;
    }
    "Atomic memory operations" {
        "xx 111 0 00 x x 1 xxxxx 1 100 00 xxxxx xxxxx" except [
            "xx 111 0 00 1 0 1 11111 1 100 00 xxxxx xxxxx",
        ] => Unallocated;
        "11 111 0 00 0 0 1 xxxxx 1 001 00 xxxxx xxxxx" => Unimplemented(Ls64);
        "11 111 0 00 0 0 1 xxxxx 1 01x 00 xxxxx xxxxx" => Unimplemented(Ls64);
        "11 111 0 00 0 0 1 11111 1 101 00 xxxxx xxxxx" => Unimplemented(Ls64);
        "0x 111 0 00 x x 1 xxxxx 1 001 00 xxxxx xxxxx" => Unimplemented(The);
        "0x 111 0 00 x x 1 xxxxx 1 01x 00 xxxxx xxxxx" => Unimplemented(The);
        "xx 111 0 00 x x 1 xxxxx 1 001 00 xxxxx xxxxx" except [
            "11 111 0 00 0 0 1 xxxxx 1 001 00 xxxxx xxxxx",
            "0x 111 0 00 x x 1 xxxxx 1 001 00 xxxxx xxxxx",
        ] => Unallocated;
        "xx 111 0 00 x x 1 xxxxx 1 01x 00 xxxxx xxxxx" except [
            "11 111 0 00 0 0 1 xxxxx 1 01x 00 xxxxx xxxxx",
            "0x 111 0 00 x x 1 xxxxx 1 01x 00 xxxxx xxxxx",
        ] => Unallocated;
        "xx 111 0 00 x x 1 xxxxx 1 101 00 xxxxx xxxxx" except [
            "11 111 0 00 0 0 1 11111 1 101 00 xxxxx xxxxx",
        ] => Unallocated;
        "xx 111 0 00 x x 1 xxxxx 1 11x 00 xxxxx xxxxx" => Unallocated;
        "xx 111 1 00 xx 1 xxxxx xxxx 00 xxxxx xxxxx"   => Unimplemented(Lsfe);
    }
    "Load/store register (register offset)" {
        "00 111 0 00 00 1 xxxxx x1x x 10 xxxxx xxxxx" => StrbRegister "strb";
        "00 111 0 00 01 1 xxxxx x1x x 10 xxxxx xxxxx" => LdrbRegister "ldrb";
        "00 111 0 00 1x 1 xxxxx x1x x 10 xxxxx xxxxx" => LdrsbRegister "ldrsb";
        "01 111 0 00 00 1 xxxxx x1x x 10 xxxxx xxxxx" => StrhRegister "strh";
        "01 111 0 00 01 1 xxxxx x1x x 10 xxxxx xxxxx" => LdrhRegister "ldrh";
        "01 111 0 00 1x 1 xxxxx x1x x 10 xxxxx xxxxx" => LdrshRegister "ldrsh";
        "1x 111 0 00 00 1 xxxxx x1x x 10 xxxxx xxxxx" => StrRegister "str";
        "1x 111 0 00 01 1 xxxxx x1x x 10 xxxxx xxxxx" => LdrRegister "ldr";
        "10 111 0 00 10 1 xxxxx x1x x 10 xxxxx xxxxx" => LdrswRegister "ldrsw";
        "11 111 0 00 10 1 xxxxx x1x x 10 xxxxx xxxxx" => PrfmRegister "prfm";
        "1x 111 0 00 11 1 xxxxx x1x x 10 xxxxx xxxxx" => Unallocated;
        "xx 111 x 00 xx 1 xxxxx x0x x 10 xxxxx xxxxx" => Unallocated;
    }
    "Load/store register (pac)" {
        "11 111 0 00 x x 1 xxxxxxxxx x1 xxxxx xxxxx" => Unimplemented(Pauth);
        "0x 111 0 00 x x 1 xxxxxxxxx x1 xxxxx xxxxx" => Unallocated;
        "10 111 0 00 x x 1 xxxxxxxxx x1 xxxxx xxxxx" => Unallocated;
        "xx 111 1 00 x x 1 xxxxxxxxx x1 xxxxx xxxxx" => Unallocated;
    }
    "Load/store register (unsigned immediate)" {
        "00 111 0 01 00 xxxxxxxxxxxx xxxxx xxxxx" => StrbImmediateUnsigned "strb";
        "00 111 0 01 01 xxxxxxxxxxxx xxxxx xxxxx" => LdrbImmediateUnsigned "ldrb";
        "00 111 0 01 1x xxxxxxxxxxxx xxxxx xxxxx" => LdrsbImmediateUnsigned "ldrsb";
        "01 111 0 01 00 xxxxxxxxxxxx xxxxx xxxxx" => StrhImmediateUnsigned "strh";
        "01 111 0 01 01 xxxxxxxxxxxx xxxxx xxxxx" => LdrhImmediateUnsigned "ldrh";
        "01 111 0 01 1x xxxxxxxxxxxx xxxxx xxxxx" => LdrshImmediateUnsigned "ldrsh";
        "1x 111 0 01 00 xxxxxxxxxxxx xxxxx xxxxx" => StrImmediateUnsigned "str";
        "1x 111 0 01 01 xxxxxxxxxxxx xxxxx xxxxx" => LdrImmediateUnsigned "ldr";
        "10 111 0 01 10 xxxxxxxxxxxx xxxxx xxxxx" => LdrswImmediateUnsigned "ldrsw";
        "11 111 0 01 10 xxxxxxxxxxxx xxxxx xxxxx" => PrfmImmediate "prfm";
        "1x 111 0 01 11 xxxxxxxxxxxx xxxxx xxxxx" => Unallocated;
    }
}
