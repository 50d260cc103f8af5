//! Data processing on registers.
//!
//! [DDI0487 C4.1 Data Processing -- Register]

use super::entry::entries;

entries! {
    "Data-processing (2 source)" {
        "x 0 0 11010110 xxxxx 000010 xxxxx xxxxx" => Udiv "udiv";
        "x 0 0 11010110 xxxxx 000011 xxxxx xxxxx" => Sdiv "sdiv";
        "x 0 0 11010110 xxxxx 001000 xxxxx xxxxx" => Lslv "lslv";
        "x 0 0 11010110 xxxxx 001001 xxxxx xxxxx" => Lsrv "lsrv";
        "x 0 0 11010110 xxxxx 001010 xxxxx xxxxx" => Asrv "asrv";
        "x 0 0 11010110 xxxxx 001011 xxxxx xxxxx" => Rorv "rorv";
        "0 0 0 11010110 xxxxx 010000 xxxxx xxxxx" => Crc32b "crc32b";
        "0 0 0 11010110 xxxxx 010001 xxxxx xxxxx" => Crc32h "crc32h";
        "0 0 0 11010110 xxxxx 010010 xxxxx xxxxx" => Crc32w "crc32w";
        "1 0 0 11010110 xxxxx 010011 xxxxx xxxxx" => Crc32x "crc32x";
        "0 0 0 11010110 xxxxx 010100 xxxxx xxxxx" => Crc32cb "crc32cb";
        "0 0 0 11010110 xxxxx 010101 xxxxx xxxxx" => Crc32ch "crc32ch";
        "0 0 0 11010110 xxxxx 010110 xxxxx xxxxx" => Crc32cw "crc32cw";
        "1 0 0 11010110 xxxxx 010111 xxxxx xxxxx" => Crc32cx "crc32cx";
        "1 0 x 11010110 xxxxx 000000 xxxxx xxxxx" => Unimplemented(Mte);
        "1 0 0 11010110 xxxxx 00010x xxxxx xxxxx" => Unimplemented(Mte);
        "1 0 0 11010110 xxxxx 001100 xxxxx xxxxx" => Unimplemented(Pauth);
        "x 0 0 11010110 xxxxx 0110xx xxxxx xxxxx" => Unimplemented(Cssc);
        "0 0 x 11010110 xxxxx 000000 xxxxx xxxxx" => Unallocated;
        "0 0 1 11010110 xxxxx 00001x xxxxx xxxxx" => Unallocated;
        "1 0 1 11010110 xxxxx 00001x xxxxx xxxxx" => Unallocated;
        "x 0 x 11010110 xxxxx 000001 xxxxx xxxxx" => Unallocated;
        "0 0 0 11010110 xxxxx 00010x xxxxx xxxxx" => Unallocated;
        "x 0 1 11010110 xxxxx 00010x xxxxx xxxxx" => Unallocated;
        "x 0 x 11010110 xxxxx 00011x xxxxx xxxxx" => Unallocated;
        "x 0 1 11010110 xxxxx 0010xx xxxxx xxxxx" => Unallocated;
        "0 0 0 11010110 xxxxx 001100 xxxxx xxxxx" => Unallocated;
        "x 0 1 11010110 xxxxx 001100 xxxxx xxxxx" => Unallocated;
        "x 0 x 11010110 xxxxx 001101 xxxxx xxxxx" => Unallocated;
        "x 0 x 11010110 xxxxx 00111x xxxxx xxxxx" => Unallocated;
        "0 0 0 11010110 xxxxx 010x11 xxxxx xxxxx" => Unallocated;
        "1 0 0 11010110 xxxxx 010x0x xxxxx xxxxx" => Unallocated;
        "1 0 0 11010110 xxxxx 010x10 xxxxx xxxxx" => Unallocated;
        "x 0 1 11010110 xxxxx 010xxx xxxxx xxxxx" => Unallocated;
        "x 0 1 11010110 xxxxx 0110xx xxxxx xxxxx" => Unallocated;
        "x 0 x 11010110 xxxxx 0111xx xxxxx xxxxx" => Unallocated;
        "x 0 x 11010110 xxxxx 1xxxxx xxxxx xxxxx" => Unallocated;
    }
    "Data-processing (1 source)" {
        "x 1 0 11010110 00000 000000 xxxxx xxxxx" => Rbit "rbit";
        "x 1 0 11010110 00000 000001 xxxxx xxxxx" => Rev16 "rev16";
        "0 1 0 11010110 00000 000010 xxxxx xxxxx" => Rev "rev";
        "1 1 0 11010110 00000 000010 xxxxx xxxxx" => Rev32 "rev32";
        "1 1 0 11010110 00000 000011 xxxxx xxxxx" => Rev "rev";
        "x 1 0 11010110 00000 000100 xxxxx xxxxx" => Clz "clz";
        "x 1 0 11010110 00000 000101 xxxxx xxxxx" => Cls "cls";
        "x 1 0 11010110 00000 00011x xxxxx xxxxx" => Unimplemented(Cssc);
        "x 1 0 11010110 00000 001000 xxxxx xxxxx" => Unimplemented(Cssc);
        "0 1 0 11010110 00000 000011 xxxxx xxxxx" => Unallocated;
        "x 1 0 11010110 00000 001001 xxxxx xxxxx" => Unallocated;
        "x 1 0 11010110 00000 00101x xxxxx xxxxx" => Unallocated;
        "x 1 0 11010110 00000 0011xx xxxxx xxxxx" => Unallocated;
        "x 1 0 11010110 00000 01xxxx xxxxx xxxxx" => Unallocated;
        "x 1 0 11010110 00000 1xxxxx xxxxx xxxxx" => Unallocated;
        "1 1 0 11010110 00001 000xxx xxxxx xxxxx" => Unimplemented(Pauth);
        "1 1 0 11010110 00001 001xxx 11111 xxxxx" => Unimplemented(Pauth);
        "1 1 0 11010110 00001 01000x 11111 xxxxx" => Unimplemented(Pauth);
        "1 1 0 11010110 00001 10xxxx 11111 xxxxx" => Unimplemented(PauthLr);
        "1 1 0 11010110 00001 001xxx xxxxx xxxxx" except [
            "1 1 0 11010110 00001 001xxx 11111 xxxxx",
        ] => Unallocated;
        "1 1 0 11010110 00001 01000x xxxxx xxxxx" except [
            "1 1 0 11010110 00001 01000x 11111 xxxxx",
        ] => Unallocated;
        "1 1 0 11010110 00001 01001x xxxxx xxxxx" => Unallocated;
        "1 1 0 11010110 00001 0101xx xxxxx xxxxx" => Unallocated;
        "1 1 0 11010110 00001 011xxx xxxxx xxxxx" => Unallocated;
        "1 1 0 11010110 00001 10xxxx xxxxx xxxxx" except [
            "1 1 0 11010110 00001 10xxxx 11111 xxxxx",
        ] => Unallocated;
        "1 1 0 11010110 00001 11xxxx xxxxx xxxxx" => Unallocated;
        "0 1 0 11010110 00001 xxxxxx xxxxx xxxxx" => Unallocated;
        "x 1 0 11010110 0001x xxxxxx xxxxx xxxxx" => Unallocated;
        "x 1 0 11010110 001xx xxxxxx xxxxx xxxxx" => Unallocated;
        "x 1 0 11010110 01xxx xxxxxx xxxxx xxxxx" => Unallocated;
        "x 1 0 11010110 1xxxx xxxxxx xxxxx xxxxx" => Unallocated;
        "x 1 1 11010110 xxxxx xxxxxx xxxxx xxxxx" => Unallocated;
    }
    "Logical (shifted register)" {
        "0 00 01010 xx 0 xxxxx 0xxxxx xxxxx xxxxx" => AndShiftedRegister "and";
        "1 00 01010 xx 0 xxxxx xxxxxx xxxxx xxxxx" => AndShiftedRegister "and";
        "0 00 01010 xx 1 xxxxx 0xxxxx xxxxx xxxxx" => BicShiftedRegister "bic";
        "1 00 01010 xx 1 xxxxx xxxxxx xxxxx xxxxx" => BicShiftedRegister "bic";
        "0 01 01010 xx 0 xxxxx 0xxxxx xxxxx xxxxx" => OrrShiftedRegister "orr";
        "1 01 01010 xx 0 xxxxx xxxxxx xxxxx xxxxx" => OrrShiftedRegister "orr";
        "0 01 01010 xx 1 xxxxx 0xxxxx xxxxx xxxxx" => OrnShiftedRegister "orn";
        "1 01 01010 xx 1 xxxxx xxxxxx xxxxx xxxxx" => OrnShiftedRegister "orn";
        "0 10 01010 xx 0 xxxxx 0xxxxx xxxxx xxxxx" => EorShiftedRegister "eor";
        "1 10 01010 xx 0 xxxxx xxxxxx xxxxx xxxxx" => EorShiftedRegister "eor";
        "0 10 01010 xx 1 xxxxx 0xxxxx xxxxx xxxxx" => EonShiftedRegister "eon";
        "1 10 01010 xx 1 xxxxx xxxxxx xxxxx xxxxx" => EonShiftedRegister "eon";
        "0 11 01010 xx 0 xxxxx 0xxxxx xxxxx xxxxx" => AndsShiftedRegister "ands";
        "1 11 01010 xx 0 xxxxx xxxxxx xxxxx xxxxx" => AndsShiftedRegister "ands";
        "0 11 01010 xx 1 xxxxx 0xxxxx xxxxx xxxxx" => BicsShiftedRegister "bics";
        "1 11 01010 xx 1 xxxxx xxxxxx xxxxx xxxxx" => BicsShiftedRegister "bics";
        "0 xx 01010 xx x xxxxx 1xxxxx xxxxx xxxxx" => Unallocated;
    }
    "Add/subtract (shifted register)" {
        "0 0 0 01011 0x 0 xxxxx 0xxxxx xxxxx xxxxx" => AddShiftedRegister "add";
        "1 0 0 01011 0x 0 xxxxx xxxxxx xxxxx xxxxx" => AddShiftedRegister "add";
        "0 0 0 01011 10 0 xxxxx 0xxxxx xxxxx xxxxx" => AddShiftedRegister "add";
        "1 0 0 01011 10 0 xxxxx xxxxxx xxxxx xxxxx" => AddShiftedRegister "add";
        "0 0 1 01011 0x 0 xxxxx 0xxxxx xxxxx xxxxx" => AddsShiftedRegister "adds";
        "1 0 1 01011 0x 0 xxxxx xxxxxx xxxxx xxxxx" => AddsShiftedRegister "adds";
        "0 0 1 01011 10 0 xxxxx 0xxxxx xxxxx xxxxx" => AddsShiftedRegister "adds";
        "1 0 1 01011 10 0 xxxxx xxxxxx xxxxx xxxxx" => AddsShiftedRegister "adds";
        "0 1 0 01011 0x 0 xxxxx 0xxxxx xxxxx xxxxx" => SubShiftedRegister "sub";
        "1 1 0 01011 0x 0 xxxxx xxxxxx xxxxx xxxxx" => SubShiftedRegister "sub";
        "0 1 0 01011 10 0 xxxxx 0xxxxx xxxxx xxxxx" => SubShiftedRegister "sub";
        "1 1 0 01011 10 0 xxxxx xxxxxx xxxxx xxxxx" => SubShiftedRegister "sub";
        "0 1 1 01011 0x 0 xxxxx 0xxxxx xxxxx xxxxx" => SubsShiftedRegister "subs";
        "1 1 1 01011 0x 0 xxxxx xxxxxx xxxxx xxxxx" => SubsShiftedRegister "subs";
        "0 1 1 01011 10 0 xxxxx 0xxxxx xxxxx xxxxx" => SubsShiftedRegister "subs";
        "1 1 1 01011 10 0 xxxxx xxxxxx xxxxx xxxxx" => SubsShiftedRegister "subs";
        "x x x 01011 11 0 xxxxx xxxxxx xxxxx xxxxx" => Unallocated;
        "0 x x 01011 0x 0 xxxxx 1xxxxx xxxxx xxxxx" => Unallocated;
        "0 x x 01011 10 0 xxxxx 1xxxxx xxxxx xxxxx" => Unallocated;
    }
    "Add/subtract (extended register)" {
        "x 0 0 01011 00 1 xxxxx xxx 0xx xxxxx xxxxx" => AddExtendedRegister "add";
        "x 0 0 01011 00 1 xxxxx xxx 100 xxxxx xxxxx" => AddExtendedRegister "add";
        "x 0 1 01011 00 1 xxxxx xxx 0xx xxxxx xxxxx" => AddsExtendedRegister "adds";
        "x 0 1 01011 00 1 xxxxx xxx 100 xxxxx xxxxx" => AddsExtendedRegister "adds";
        "x 1 0 01011 00 1 xxxxx xxx 0xx xxxxx xxxxx" => SubExtendedRegister "sub";
        "x 1 0 01011 00 1 xxxxx xxx 100 xxxxx xxxxx" => SubExtendedRegister "sub";
        "x 1 1 01011 00 1 xxxxx xxx 0xx xxxxx xxxxx" => SubsExtendedRegister "subs";
        "x 1 1 01011 00 1 xxxxx xxx 100 xxxxx xxxxx" => SubsExtendedRegister "subs";
        "x x x 01011 00 1 xxxxx xxx 101 xxxxx xxxxx" => Unallocated;
        "x x x 01011 00 1 xxxxx xxx 11x xxxxx xxxxx" => Unallocated;
        "x x x 01011 01 1 xxxxx xxx xxx xxxxx xxxxx" => Unallocated;
        "x x x 01011 1x 1 xxxxx xxx xxx xxxxx xxxxx" => Unallocated;
    }
    "Add/subtract (with carry)" {
        "x 0 0 11010000 xxxxx 000000 xxxxx xxxxx" => Adc "adc";
        "x 0 1 11010000 xxxxx 000000 xxxxx xxxxx" => Adcs "adcs";
        "x 1 0 11010000 xxxxx 000000 xxxxx xxxxx" => Sbc "sbc";
        "x 1 1 11010000 xxxxx 000000 xxxxx xxxxx" => Sbcs "sbcs";
    }
    "Add/subtract (checked pointer), rotate right into flags, evaluate into flags" {
        "1 x 0 11010000 xxxxx 001xxx xxxxx xxxxx" => Unimplemented(Cpa);
        "1 0 1 11010000 xxxxx x00001 xxxxx 0xxxx" => Unimplemented(FlagM);
        "0 0 1 11010000 00000 0x0010 xxxxx 01101" => Unimplemented(FlagM);
        "x x x 11010000 xxxxx xxxxxx xxxxx xxxxx" except [
            "1 x 0 11010000 xxxxx 001xxx xxxxx xxxxx",
            "1 0 1 11010000 xxxxx x00001 xxxxx 0xxxx",
            "0 0 1 11010000 00000 0x0010 xxxxx 01101",
            "x x x 11010000 xxxxx 000000 xxxxx xxxxx",
        ] => Unallocated;
    }
    "Conditional compare (register)" {
        "x 0 1 11010010 xxxxx xxxx 0 0 xxxxx 0 xxxx" => CcmnRegister "ccmn";
        "x 1 1 11010010 xxxxx xxxx 0 0 xxxxx 0 xxxx" => CcmpRegister "ccmp";
    }
    "Conditional compare (immediate)" {
        "x 0 1 11010010 xxxxx xxxx 1 0 xxxxx 0 xxxx" => CcmnImmediate "ccmn";
        "x 1 1 11010010 xxxxx xxxx 1 0 xxxxx 0 xxxx" => CcmpImmediate "ccmp";
        "x x 0 11010010 xxxxx xxxx x x xxxxx x xxxx" => Unallocated;
        "x x 1 11010010 xxxxx xxxx x 1 xxxxx x xxxx" => Unallocated;
        "x x 1 11010010 xxxxx xxxx x 0 xxxxx 1 xxxx" => Unallocated;
    }
    "Conditional select" {
        "x 0 0 11010100 xxxxx xxxx 00 xxxxx xxxxx" => Csel "csel";
        "x 0 0 11010100 xxxxx xxxx 01 xxxxx xxxxx" => Csinc "csinc";
        "x 1 0 11010100 xxxxx xxxx 00 xxxxx xxxxx" => Csinv "csinv";
        "x 1 0 11010100 xxxxx xxxx 01 xxxxx xxxxx" => Csneg "csneg";
        "x x 0 11010100 xxxxx xxxx 1x xxxxx xxxxx" => Unallocated;
        "x x 1 11010100 xxxxx xxxx xx xxxxx xxxxx" => Unallocated;
        "x x x 11010 xx1 xxxxxxxxxxxxxxxxxxxxx"    => Unallocated;
    }
    "Data-processing (3 source)" {
        "x 00 11011 000 xxxxx 0 xxxxx xxxxx xxxxx" => Madd "madd";
        "x 00 11011 000 xxxxx 1 xxxxx xxxxx xxxxx" => Msub "msub";
        "1 00 11011 001 xxxxx 0 xxxxx xxxxx xxxxx" => Smaddl "smaddl";
        "1 00 11011 001 xxxxx 1 xxxxx xxxxx xxxxx" => Smsubl "smsubl";
        "1 00 11011 010 xxxxx 0 xxxxx xxxxx xxxxx" => Smulh "smulh";
        "1 00 11011 101 xxxxx 0 xxxxx xxxxx xxxxx" => Umaddl "umaddl";
        "1 00 11011 101 xxxxx 1 xxxxx xxxxx xxxxx" => Umsubl "umsubl";
        "1 00 11011 110 xxxxx 0 xxxxx xxxxx xxxxx" => Umulh "umulh";
        "1 00 11011 011 xxxxx x xxxxx xxxxx xxxxx" => Unimplemented(Cpa);
        "0 00 11011 001 xxxxx x xxxxx xxxxx xxxxx" => Unallocated;
        "0 00 11011 01x xxxxx x xxxxx xxxxx xxxxx" => Unallocated;
        "0 00 11011 101 xxxxx x xxxxx xxxxx xxxxx" => Unallocated;
        "1 00 11011 010 xxxxx 1 xxxxx xxxxx xxxxx" => Unallocated;
        "x 00 11011 100 xxxxx x xxxxx xxxxx xxxxx" => Unallocated;
        "0 00 11011 110 xxxxx x xxxxx xxxxx xxxxx" => Unallocated;
        "1 00 11011 110 xxxxx 1 xxxxx xxxxx xxxxx" => Unallocated;
        "x 00 11011 111 xxxxx x xxxxx xxxxx xxxxx" => Unallocated;
        "x 01 11011 xxx xxxxx x xxxxx xxxxx xxxxx" => Unallocated;
        "x 1x 11011 xxx xxxxx x xxxxx xxxxx xxxxx" => Unallocated;
    }
}
