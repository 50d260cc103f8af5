//! Branches, exception generation and system instructions.
//!
//! [DDI0487 C4.1 Branches, Exception Generating and System instructions]

use super::entry::entries;

entries! {
    "Conditional branch (immediate)" {
        "0101010 0 xxxxxxxxxxxxxxxxxxx 0 xxxx" => BCond "b";
        "0101010 0 xxxxxxxxxxxxxxxxxxx 1 xxxx" => Unimplemented(Hbc);
    }
    "Miscellaneous branch (immediate)" {
        "0101010 1 00x xxxxxxxxxxxxxxxx 11111" => Unimplemented(PauthLr);
        "0101010 1 xxx xxxxxxxxxxxxxxxx xxxxx" except [
            "0101010 1 00x xxxxxxxxxxxxxxxx 11111",
        ] => Unallocated;
        "0101011 x xxx xxxxxxxxxxxxxxxx xxxxx" => Unallocated;
    }
    "Exception generation" {
        "11010100 000 xxxxxxxxxxxxxxxx 000 01" => Svc "svc";
        "11010100 000 xxxxxxxxxxxxxxxx 000 10" => Hvc "hvc";
        "11010100 000 xxxxxxxxxxxxxxxx 000 11" => Smc "smc";
        "11010100 001 xxxxxxxxxxxxxxxx 000 00" => Brk "brk";
        "11010100 010 xxxxxxxxxxxxxxxx 000 00" => Hlt "hlt";
        "11010100 101 xxxxxxxxxxxxxxxx 000 01" => Dcps1 "dcps1";
        "11010100 101 xxxxxxxxxxxxxxxx 000 10" => Dcps2 "dcps2";
        "11010100 101 xxxxxxxxxxxxxxxx 000 11" => Dcps3 "dcps3";
        "11010100 011 xxxxxxxxxxxxxxxx 000 00" => Unimplemented(Tme);
        "11010100 000 xxxxxxxxxxxxxxxx 000 00" => Unallocated;
        "11010100 101 xxxxxxxxxxxxxxxx 000 00" => Unallocated;
        "11010100 001 xxxxxxxxxxxxxxxx 000 01" => Unallocated;
        "11010100 001 xxxxxxxxxxxxxxxx 000 1x" => Unallocated;
        "11010100 01x xxxxxxxxxxxxxxxx 000 01" => Unallocated;
        "11010100 01x xxxxxxxxxxxxxxxx 000 1x" => Unallocated;
        "11010100 111 000x00000xxxxxxx 00000"  => Unimplemented(Tev);
        "11010100 111 xxxxxxxxxxxxxxxx 000 xx" except [
            "11010100 111 000x00000xxxxxxx 00000",
        ] => Unallocated;
        "11010100 100 xxxxxxxxxxxxxxxx 000 xx" => Unallocated;
        "11010100 110 xxxxxxxxxxxxxxxx 000 xx" => Unallocated;
        "11010100 xxx xxxxxxxxxxxxxxxx 001 xx" => Unallocated;
        "11010100 xxx xxxxxxxxxxxxxxxx 01x xx" => Unallocated;
        "11010100 xxx xxxxxxxxxxxxxxxx 1xx xx" => Unallocated;
    }
    "System instructions with register argument" {
        "1101010100 0 00 011 0001 0000 00x xxxxx" => Unimplemented(Wfxt);
        "1101010100 0 00 011 0001 xxxx xxx xxxxx" except [
            "1101010100 0 00 011 0001 0000 00x xxxxx",
        ] => Unallocated;
    }
    "Hints" {
        "1101010100 0 00 011 0010 0000 000 11111" => Nop "nop";
        "1101010100 0 00 011 0010 0000 001 11111" => Yield "yield";
        "1101010100 0 00 011 0010 0000 010 11111" => Wfe "wfe";
        "1101010100 0 00 011 0010 0000 011 11111" => Wfi "wfi";
        "1101010100 0 00 011 0010 0000 100 11111" => Sev "sev";
        "1101010100 0 00 011 0010 0000 101 11111" => Sevl "sevl";
        "1101010100 0 00 011 0010 xxxx xxx 11111" except [
            "1101010100 0 00 011 0010 0000 0xx 11111",
            "1101010100 0 00 011 0010 0000 10x 11111",
        ] => Hint "hint";
        "1101010100 0 00 011 0010 xxxx xxx xxxxx" except [
            "1101010100 0 00 011 0010 xxxx xxx 11111",
        ] => Unallocated;
    }
    "Barriers" {
        "1101010100 0 00 011 0011 xxxx 010 11111" => Clrex "clrex";
        "1101010100 0 00 011 0011 xxxx 100 11111" => Dsb "dsb";
        "1101010100 0 00 011 0011 xxxx 101 11111" => Dmb "dmb";
        "1101010100 0 00 011 0011 xxxx 110 11111" => Isb "isb";
        "1101010100 0 00 011 0011 0000 111 11111" => Sb "sb";
        "1101010100 0 00 011 0011 xx10 001 11111" => Unimplemented(Xs);
        "1101010100 0 00 011 0011 0000 011 11111" => Unimplemented(Tme);
        "1101010100 0 00 011 0011 xxxx 000 11111" => Unallocated;
        "1101010100 0 00 011 0011 xx0x 001 11111" => Unallocated;
        "1101010100 0 00 011 0011 xx11 001 11111" => Unallocated;
        "1101010100 0 00 011 0011 xxxx 011 11111" except [
            "1101010100 0 00 011 0011 0000 011 11111",
        ] => Unallocated;
        "1101010100 0 00 011 0011 xxxx 111 11111" except [
            "1101010100 0 00 011 0011 0000 111 11111",
        ] => Unallocated;
        "1101010100 0 00 011 0011 xxxx xxx xxxxx" except [
            "1101010100 0 00 011 0011 xxxx xxx 11111",
        ] => Unallocated;
    }
    "PSTATE" {
        "1101010100 0 00 000 0100 xxxx 011 11111" => MsrImmediate "msr";
        "1101010100 0 00 000 0100 xxxx 10x 11111" => MsrImmediate "msr";
        "1101010100 0 00 001 0100 00xx 000 11111" => MsrImmediate "msr";
        "1101010100 0 00 011 0100 xxxx 001 11111" => MsrImmediate "msr";
        "1101010100 0 00 011 0100 xxxx 010 11111" => MsrImmediate "msr";
        "1101010100 0 00 011 0100 xxxx 100 11111" => MsrImmediate "msr";
        "1101010100 0 00 011 0100 xxxx 11x 11111" => MsrImmediate "msr";
        "1101010100 0 00 000 0100 xxxx 000 11111" => Unimplemented(FlagM);
        "1101010100 0 00 000 0100 xxxx 001 11111" => Unimplemented(FlagM);
        "1101010100 0 00 000 0100 xxxx 010 11111" => Unimplemented(FlagM);
        "1101010100 0 00 011 0100 001x 011 11111" => Unimplemented(Sme);
        "1101010100 0 00 011 0100 01xx 011 11111" => Unimplemented(Sme);
        "1101010100 0 00 011 0100 000x 011 11111" => Unallocated;
        "1101010100 0 00 011 0100 1xxx 011 11111" => Unallocated;
        "1101010100 0 00 000 0100 xxxx 11x 11111" => Unallocated;
        "1101010100 0 00 001 0100 01xx 000 11111" => Unallocated;
        "1101010100 0 00 001 0100 1xxx 000 11111" => Unallocated;
        "1101010100 0 00 001 0100 xxxx xxx 11111" except [
            "1101010100 0 00 001 0100 xxxx 000 11111",
        ] => Unallocated;
        "1101010100 0 00 010 0100 xxxx xxx 11111" => Unallocated;
        "1101010100 0 00 011 0100 xxxx 000 11111" => Unallocated;
        "1101010100 0 00 011 0100 xxxx 101 11111" => Unallocated;
        "1101010100 0 00 1xx 0100 xxxx xxx 11111" => Unallocated;
        "1101010100 0 00 xxx 0100 xxxx xxx xxxxx" except [
            "1101010100 0 00 xxx 0100 xxxx xxx 11111",
        ] => Unallocated;
        "1101010100 0 00 xxx 0000 xxxx xxx xxxxx" => Unallocated;
        "1101010100 0 00 0x0 0001 xxxx xxx xxxxx" => Unallocated;
        "1101010100 0 00 001 0001 xxxx xxx xxxxx" => Unallocated;
        "1101010100 0 00 1xx 0001 xxxx xxx xxxxx" => Unallocated;
        "1101010100 0 00 0x0 001x xxxx xxx xxxxx" => Unallocated;
        "1101010100 0 00 001 001x xxxx xxx xxxxx" => Unallocated;
        "1101010100 0 00 1xx 001x xxxx xxx xxxxx" => Unallocated;
        "1101010100 0 00 xxx 0101 xxxx xxx xxxxx" => Unallocated;
        "1101010100 0 00 xxx 011x xxxx xxx xxxxx" => Unallocated;
        "1101010100 0 00 xxx 1xxx xxxx xxx xxxxx" => Unallocated;
    }
    "System with result" {
        "1101010100 1 00 011 0011 0000 011 xxxxx" => Unimplemented(Tme);
        "1101010100 1 00 011 0011 0001 011 xxxxx" => Unimplemented(Tme);
        "1101010100 1 00 xxx xxxx xxxx xxx xxxxx" except [
            "1101010100 1 00 011 0011 000x 011 xxxxx",
        ] => Unallocated;
    }
    "System instructions" {
        "1101010100 0 01 xxx xxxx xxxx xxx xxxxx" => Sys "sys";
        "1101010100 1 01 xxx xxxx xxxx xxx xxxxx" => Sysl "sysl";
    }
    "System register move" {
        "1101010100 0 1x xxx xxxx xxxx xxx xxxxx" => MsrRegister "msr";
        "1101010100 1 1x xxx xxxx xxxx xxx xxxxx" => Mrs "mrs";
    }
    "System pair instructions, system register pair move" {
        "1101010101 0 01 xxx xxxx xxxx xxx xxxxx"  => Unimplemented(D128);
        "1101010101 x 1x xxx xxxx xxxx xxx xxxxx"  => Unimplemented(D128);
        "1101010101 x 00 xxx xxxx xxxx xxx xxxxx"  => Unallocated;
        "1101010101 1 01 xxx xxxx xxxx xxx xxxxx"  => Unallocated;
        "1101010110 00 0xx0 0000 00 xxxxx xxxxx"   => Unimplemented(Poe2);
        "1101010110 01 0xx0 0000 xxxxxxx xxxxx"    => Unimplemented(Poe2);
        "110101011 x x xx xxx xxxx xxxx xxx xxxxx" except [
            "1101010110 00 0xx0 0000 00 xxxxx xxxxx",
            "1101010110 01 0xx0 0000 xxxxxxx xxxxx",
        ] => Unallocated;
    }
    "Unconditional branch (register)" {
        "1101011 0000 11111 000000 xxxxx 00000" => Br "br";
        "1101011 0001 11111 000000 xxxxx 00000" => Blr "blr";
        "1101011 0010 11111 000000 xxxxx 00000" => Ret "ret";
        "1101011 0100 11111 000000 11111 00000" => Eret "eret";
        "1101011 0101 11111 000000 11111 00000" => Drps "drps";
        "1101011 000x 11111 00001x xxxxx 11111" => Unimplemented(Pauth);
        "1101011 0010 11111 00001x 11111 xxxxx" => Unimplemented(Pauth);
        "1101011 0100 11111 00001x 11111 11111" => Unimplemented(Pauth);
        "1101011 100x 11111 00001x xxxxx xxxxx" => Unimplemented(Pauth);
        "1101011 xxxx xxxxx xxxxxx xxxxx xxxxx" except [
            "1101011 xxxx 11111 0000xx xxxxx xxxxx",
        ] => Unallocated;
        "1101011 xxxx 11111 000001 xxxxx xxxxx" except [
            "1101011 0111 11111 000001 xxxxx xxxxx",
        ] => Unallocated;
        "1101011 0000 11111 000000 xxxxx xxxxx" except [
            "1101011 0000 11111 000000 xxxxx 00000",
        ] => Unallocated;
        "1101011 0001 11111 000000 xxxxx xxxxx" except [
            "1101011 0001 11111 000000 xxxxx 00000",
        ] => Unallocated;
        "1101011 0010 11111 000000 xxxxx xxxxx" except [
            "1101011 0010 11111 000000 xxxxx 00000",
        ] => Unallocated;
        "1101011 010x 11111 000000 xxxxx xxxxx" except [
            "1101011 010x 11111 000000 11111 00000",
        ] => Unallocated;
        "1101011 000x 11111 00001x xxxxx xxxxx" except [
            "1101011 000x 11111 00001x xxxxx 11111",
        ] => Unallocated;
        "1101011 0010 11111 00001x xxxxx xxxxx" except [
            "1101011 0010 11111 00001x 11111 xxxxx",
        ] => Unallocated;
        "1101011 0100 11111 00001x xxxxx xxxxx" except [
            "1101011 0100 11111 00001x 11111 11111",
        ] => Unallocated;
        "1101011 0101 11111 00001x xxxxx xxxxx" => Unallocated;
        "1101011 100x 11111 000000 xxxxx xxxxx" => Unallocated;
        "1101011 0111 11111 00000x 11111 00000" => Unimplemented(Tev);
        "1101011 0111 11111 0000xx xxxxx xxxxx" except [
            "1101011 0111 11111 00000x 11111 00000",
        ] => Unallocated;
        "1101011 0011 11111 000000 xxxxx xxxxx" => Unallocated;
        "1101011 0011 11111 00001x xxxxx xxxxx" => Unallocated;
        "1101011 0110 11111 000000 xxxxx xxxxx" => Unallocated;
        "1101011 0110 11111 00001x xxxxx xxxxx" => Unallocated;
        "1101011 101x 11111 000000 xxxxx xxxxx" => Unallocated;
        "1101011 101x 11111 00001x xxxxx xxxxx" => Unallocated;
        "1101011 11xx 11111 000000 xxxxx xxxxx" => Unallocated;
        "1101011 11xx 11111 00001x xxxxx xxxxx" => Unallocated;
    }
    "Unconditional branch (immediate)" {
        "0 00101 xxxxxxxxxxxxxxxxxxxxxxxxxx" => B "b";
        "1 00101 xxxxxxxxxxxxxxxxxxxxxxxxxx" => Bl "bl";
    }
    "Compare and branch (immediate)" {
        "x 011010 0 xxxxxxxxxxxxxxxxxxx xxxxx" => Cbz "cbz";
        "x 011010 1 xxxxxxxxxxxxxxxxxxx xxxxx" => Cbnz "cbnz";
    }
    "Test and branch (immediate)" {
        "x 011011 0 xxxxx xxxxxxxxxxxxxx xxxxx" => Tbz "tbz";
        "x 011011 1 xxxxx xxxxxxxxxxxxxx xxxxx" => Tbnz "tbnz";
    }
    "Compare registers and branch, compare bytes or halfwords and branch" {
        "x 1110100 0xx xxxxx 00 xxxxxxxxx xxxxx" => Unimplemented(Cmpbr);
        "0 1110100 0xx xxxxx 1x xxxxxxxxx xxxxx" => Unimplemented(Cmpbr);
        "x 1110100 0xx xxxxx 01 xxxxxxxxx xxxxx" => Unallocated;
        "1 1110100 0xx xxxxx 1x xxxxxxxxx xxxxx" => Unallocated;
        "x 1110100 11x xxxxx 00 xxxxxxxxx xxxxx" => Unimplemented(Cmpbr);
        "0 1110100 11x xxxxx 1x xxxxxxxxx xxxxx" => Unimplemented(Cmpbr);
        "x 1110100 11x xxxxx 01 xxxxxxxxx xxxxx" => Unallocated;
        "1 1110100 11x xxxxx 1x xxxxxxxxx xxxxx" => Unallocated;
        "x 1110100 10x xxxxx xx xxxxxxxxx xxxxx" => Unallocated;
    }
    "Compare register with immediate and branch" {
        "x 1110101 0xx xxxxxx 0 xxxxxxxxx xxxxx"  => Unimplemented(Cmpbr);
        "x 1110101 0xx xxxxxx 1 xxxxxxxxx xxxxx"  => Unallocated;
        "x 1110101 11x xxxxxx 0 xxxxxxxxx xxxxx"  => Unimplemented(Cmpbr);
        "x 1110101 11x xxxxxx 1 xxxxxxxxx xxxxx"  => Unallocated;
        "x 1110101 10x xxxxxx x xxxxxxxxx xxxxx"  => Unallocated;
        "x 111011 x xxx xxxxxx x xxxxxxxxx xxxxx" => Unallocated;
    }
}
