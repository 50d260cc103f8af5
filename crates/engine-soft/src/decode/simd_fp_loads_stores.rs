//! Loads and stores of SIMD&FP registers.
//!
//! [DDI0487 C4.1 Loads and Stores], the encodings with V = 1.

use super::entry::entries;

entries! {
    "Load register (literal)" {
        "0x 011 1 00 xxxxxxxxxxxxxxxxxxx xxxxx" => LdrSimdLiteral "ldr";
        "10 011 1 00 xxxxxxxxxxxxxxxxxxx xxxxx" => LdrSimdLiteral "ldr";
        "11 011 1 00 xxxxxxxxxxxxxxxxxxx xxxxx" => Unallocated;
    }
    "Load/store no-allocate pair (offset)" {
        "0x 101 1 000 0 xxxxxxx xxxxx xxxxx xxxxx" => StnpSimd "stnp";
        "10 101 1 000 0 xxxxxxx xxxxx xxxxx xxxxx" => StnpSimd "stnp";
        "0x 101 1 000 1 xxxxxxx xxxxx xxxxx xxxxx" => LdnpSimd "ldnp";
        "10 101 1 000 1 xxxxxxx xxxxx xxxxx xxxxx" => LdnpSimd "ldnp";
        "11 101 1 000 x xxxxxxx xxxxx xxxxx xxxxx" => Unimplemented(Lsui);
    }
    "Load/store register pair (post-indexed)" {
        "0x 101 1 001 0 xxxxxxx xxxxx xxxxx xxxxx" => StpSimdPost "stp";
        "10 101 1 001 0 xxxxxxx xxxxx xxxxx xxxxx" => StpSimdPost "stp";
        "0x 101 1 001 1 xxxxxxx xxxxx xxxxx xxxxx" => LdpSimdPost "ldp";
        "10 101 1 001 1 xxxxxxx xxxxx xxxxx xxxxx" => LdpSimdPost "ldp";
        "11 101 1 001 x xxxxxxx xxxxx xxxxx xxxxx" => Unimplemented(Lsui);
    }
    "Load/store register pair (offset)" {
        "0x 101 1 010 0 xxxxxxx xxxxx xxxxx xxxxx" => StpSimdOffset "stp";
        "10 101 1 010 0 xxxxxxx xxxxx xxxxx xxxxx" => StpSimdOffset "stp";
        "0x 101 1 010 1 xxxxxxx xxxxx xxxxx xxxxx" => LdpSimdOffset "ldp";
        "10 101 1 010 1 xxxxxxx xxxxx xxxxx xxxxx" => LdpSimdOffset "ldp";
        "11 101 1 010 x xxxxxxx xxxxx xxxxx xxxxx" => Unimplemented(Lsui);
    }
    "Load/store register pair (pre-indexed)" {
        "0x 101 1 011 0 xxxxxxx xxxxx xxxxx xxxxx" => StpSimdPre "stp";
        "10 101 1 011 0 xxxxxxx xxxxx xxxxx xxxxx" => StpSimdPre "stp";
        "0x 101 1 011 1 xxxxxxx xxxxx xxxxx xxxxx" => LdpSimdPre "ldp";
        "10 101 1 011 1 xxxxxxx xxxxx xxxxx xxxxx" => LdpSimdPre "ldp";
        "11 101 1 011 x xxxxxxx xxxxx xxxxx xxxxx" => Unimplemented(Lsui);
    }
    "Load/store register (unscaled immediate)" {
        "xx 111 1 00 00 0 xxxxxxxxx 00 xxxxx xxxxx" => SturSimd "stur";
        "00 111 1 00 10 0 xxxxxxxxx 00 xxxxx xxxxx" => SturSimd "stur";
        "xx 111 1 00 01 0 xxxxxxxxx 00 xxxxx xxxxx" => LdurSimd "ldur";
        "00 111 1 00 11 0 xxxxxxxxx 00 xxxxx xxxxx" => LdurSimd "ldur";
        "01 111 1 00 1x 0 xxxxxxxxx 00 xxxxx xxxxx" => Unallocated;
        "1x 111 1 00 1x 0 xxxxxxxxx 00 xxxxx xxxxx" => Unallocated;
    }
    "Load/store register (immediate post-indexed)" {
        "xx 111 1 00 00 0 xxxxxxxxx 01 xxxxx xxxxx" => StrSimdImmediatePost "str";
        "00 111 1 00 10 0 xxxxxxxxx 01 xxxxx xxxxx" => StrSimdImmediatePost "str";
        "xx 111 1 00 01 0 xxxxxxxxx 01 xxxxx xxxxx" => LdrSimdImmediatePost "ldr";
        "00 111 1 00 11 0 xxxxxxxxx 01 xxxxx xxxxx" => LdrSimdImmediatePost "ldr";
        "01 111 1 00 1x 0 xxxxxxxxx 01 xxxxx xxxxx" => Unallocated;
        "1x 111 1 00 1x 0 xxxxxxxxx 01 xxxxx xxxxx" => Unallocated;
    }
    "Load/store register (immediate pre-indexed)" {
        "xx 111 1 00 00 0 xxxxxxxxx 11 xxxxx xxxxx" => StrSimdImmediatePre "str";
        "00 111 1 00 10 0 xxxxxxxxx 11 xxxxx xxxxx" => StrSimdImmediatePre "str";
        "xx 111 1 00 01 0 xxxxxxxxx 11 xxxxx xxxxx" => LdrSimdImmediatePre "ldr";
        "00 111 1 00 11 0 xxxxxxxxx 11 xxxxx xxxxx" => LdrSimdImmediatePre "ldr";
        "01 111 1 00 1x 0 xxxxxxxxx 11 xxxxx xxxxx" => Unallocated;
        "1x 111 1 00 1x 0 xxxxxxxxx 11 xxxxx xxxxx" => Unallocated;
    }
    "Load/store register (register offset)" {
        "xx 111 1 00 00 1 xxxxx x1x x 10 xxxxx xxxxx" => StrSimdRegister "str";
        "00 111 1 00 10 1 xxxxx x1x x 10 xxxxx xxxxx" => StrSimdRegister "str";
        "xx 111 1 00 01 1 xxxxx x1x x 10 xxxxx xxxxx" => LdrSimdRegister "ldr";
        "00 111 1 00 11 1 xxxxx x1x x 10 xxxxx xxxxx" => LdrSimdRegister "ldr";
        "01 111 1 00 1x 1 xxxxx x1x x 10 xxxxx xxxxx" => Unallocated;
        "1x 111 1 00 1x 1 xxxxx x1x x 10 xxxxx xxxxx" => Unallocated;
    }
    "Load/store register (unsigned immediate)" {
        "xx 111 1 01 00 xxxxxxxxxxxx xxxxx xxxxx" => StrSimdImmediateUnsigned "str";
        "00 111 1 01 10 xxxxxxxxxxxx xxxxx xxxxx" => StrSimdImmediateUnsigned "str";
        "xx 111 1 01 01 xxxxxxxxxxxx xxxxx xxxxx" => LdrSimdImmediateUnsigned "ldr";
        "00 111 1 01 11 xxxxxxxxxxxx xxxxx xxxxx" => LdrSimdImmediateUnsigned "ldr";
        "01 111 1 01 1x xxxxxxxxxxxx xxxxx xxxxx" => Unallocated;
        "1x 111 1 01 1x xxxxxxxxxxxx xxxxx xxxxx" => Unallocated;
    }
}
