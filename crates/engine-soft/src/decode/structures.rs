//! Loads and stores of structures: LD1 to LD4, ST1 to ST4.
//!
//! [DDI0487 C4.1 Loads and Stores], the classes of Advanced SIMD.

use super::entry::entries;

entries! {
    "Advanced SIMD load/store multiple structures" {
        "0x 0011000 0 000000 0000 xx xxxxx xxxxx" except [
            "00 0011000 0 000000 0000 11 xxxxx xxxxx",
        ] => Structures(St4Multiple) "st4";
        "0x 0011000 0 000000 0100 xx xxxxx xxxxx" except [
            "00 0011000 0 000000 0100 11 xxxxx xxxxx",
        ] => Structures(St3Multiple) "st3";
        "0x 0011000 0 000000 1000 xx xxxxx xxxxx" except [
            "00 0011000 0 000000 1000 11 xxxxx xxxxx",
        ] => Structures(St2Multiple) "st2";
        "0x 0011000 0 000000 0010 xx xxxxx xxxxx" => Structures(St1Multiple) "st1";
        "0x 0011000 0 000000 0110 xx xxxxx xxxxx" => Structures(St1Multiple) "st1";
        "0x 0011000 0 000000 0111 xx xxxxx xxxxx" => Structures(St1Multiple) "st1";
        "0x 0011000 0 000000 1010 xx xxxxx xxxxx" => Structures(St1Multiple) "st1";
        "0x 0011000 1 000000 0000 xx xxxxx xxxxx" except [
            "00 0011000 1 000000 0000 11 xxxxx xxxxx",
        ] => Structures(Ld4Multiple) "ld4";
        "0x 0011000 1 000000 0100 xx xxxxx xxxxx" except [
            "00 0011000 1 000000 0100 11 xxxxx xxxxx",
        ] => Structures(Ld3Multiple) "ld3";
        "0x 0011000 1 000000 1000 xx xxxxx xxxxx" except [
            "00 0011000 1 000000 1000 11 xxxxx xxxxx",
        ] => Structures(Ld2Multiple) "ld2";
        "0x 0011000 1 000000 0010 xx xxxxx xxxxx" => Structures(Ld1Multiple) "ld1";
        "0x 0011000 1 000000 0110 xx xxxxx xxxxx" => Structures(Ld1Multiple) "ld1";
        "0x 0011000 1 000000 0111 xx xxxxx xxxxx" => Structures(Ld1Multiple) "ld1";
        "0x 0011000 1 000000 1010 xx xxxxx xxxxx" => Structures(Ld1Multiple) "ld1";
        "00 0011000 x 000000 0x00 11 xxxxx xxxxx" => Unallocated;
        "00 0011000 x 000000 1000 11 xxxxx xxxxx" => Unallocated;
        "0x 0011000 x 000000 0x01 xx xxxxx xxxxx" => Unallocated;
        "0x 0011000 x 000000 0011 xx xxxxx xxxxx" => Unallocated;
        "0x 0011000 x 000000 1001 xx xxxxx xxxxx" => Unallocated;
        "0x 0011000 x 000000 1011 xx xxxxx xxxxx" => Unallocated;
        "0x 0011000 x 000000 11xx xx xxxxx xxxxx" => Unallocated;
        "0x 0011000 x xxxxxx xxxx xx xxxxx xxxxx" except [
            "0x 0011000 x 000000 xxxx xx xxxxx xxxxx",
        ] => Unallocated;
    }
    "Advanced SIMD load/store multiple structures (post-indexed)" {
        "0x 0011001 0 0 xxxxx 0000 xx xxxxx xxxxx" except [
            "00 0011001 0 0 xxxxx 0000 11 xxxxx xxxxx",
        ] => Structures(St4Multiple) "st4";
        "0x 0011001 0 0 xxxxx 0100 xx xxxxx xxxxx" except [
            "00 0011001 0 0 xxxxx 0100 11 xxxxx xxxxx",
        ] => Structures(St3Multiple) "st3";
        "0x 0011001 0 0 xxxxx 1000 xx xxxxx xxxxx" except [
            "00 0011001 0 0 xxxxx 1000 11 xxxxx xxxxx",
        ] => Structures(St2Multiple) "st2";
        "0x 0011001 0 0 xxxxx 0010 xx xxxxx xxxxx" => Structures(St1Multiple) "st1";
        "0x 0011001 0 0 xxxxx 0110 xx xxxxx xxxxx" => Structures(St1Multiple) "st1";
        "0x 0011001 0 0 xxxxx 0111 xx xxxxx xxxxx" => Structures(St1Multiple) "st1";
        "0x 0011001 0 0 xxxxx 1010 xx xxxxx xxxxx" => Structures(St1Multiple) "st1";
        "0x 0011001 1 0 xxxxx 0000 xx xxxxx xxxxx" except [
            "00 0011001 1 0 xxxxx 0000 11 xxxxx xxxxx",
        ] => Structures(Ld4Multiple) "ld4";
        "0x 0011001 1 0 xxxxx 0100 xx xxxxx xxxxx" except [
            "00 0011001 1 0 xxxxx 0100 11 xxxxx xxxxx",
        ] => Structures(Ld3Multiple) "ld3";
        "0x 0011001 1 0 xxxxx 1000 xx xxxxx xxxxx" except [
            "00 0011001 1 0 xxxxx 1000 11 xxxxx xxxxx",
        ] => Structures(Ld2Multiple) "ld2";
        "0x 0011001 1 0 xxxxx 0010 xx xxxxx xxxxx" => Structures(Ld1Multiple) "ld1";
        "0x 0011001 1 0 xxxxx 0110 xx xxxxx xxxxx" => Structures(Ld1Multiple) "ld1";
        "0x 0011001 1 0 xxxxx 0111 xx xxxxx xxxxx" => Structures(Ld1Multiple) "ld1";
        "0x 0011001 1 0 xxxxx 1010 xx xxxxx xxxxx" => Structures(Ld1Multiple) "ld1";
        "00 0011001 x 0 xxxxx 0x00 11 xxxxx xxxxx" => Unallocated;
        "00 0011001 x 0 xxxxx 1000 11 xxxxx xxxxx" => Unallocated;
        "0x 0011001 x 0 xxxxx 0x01 xx xxxxx xxxxx" => Unallocated;
        "0x 0011001 x 0 xxxxx 0011 xx xxxxx xxxxx" => Unallocated;
        "0x 0011001 x 0 xxxxx 1001 xx xxxxx xxxxx" => Unallocated;
        "0x 0011001 x 0 xxxxx 1011 xx xxxxx xxxxx" => Unallocated;
        "0x 0011001 x 0 xxxxx 11xx xx xxxxx xxxxx" => Unallocated;
        "0x 0011001 x 1 xxxxx xxxx xx xxxxx xxxxx" => Unallocated;
    }
    "Advanced SIMD load/store single structure" {
        "0x 0011010 0 0 00000 000 x xx xxxxx xxxxx" => Structures(St1Single) "st1";
        "0x 0011010 0 0 00000 010 x x0 xxxxx xxxxx" => Structures(St1Single) "st1";
        "0x 0011010 0 0 00000 100 x 00 xxxxx xxxxx" => Structures(St1Single) "st1";
        "0x 0011010 0 0 00000 100 0 01 xxxxx xxxxx" => Structures(St1Single) "st1";
        "0x 0011010 0 1 00000 000 x xx xxxxx xxxxx" => Structures(St2Single) "st2";
        "0x 0011010 0 1 00000 010 x x0 xxxxx xxxxx" => Structures(St2Single) "st2";
        "0x 0011010 0 1 00000 100 x 00 xxxxx xxxxx" => Structures(St2Single) "st2";
        "0x 0011010 0 1 00000 100 0 01 xxxxx xxxxx" => Structures(St2Single) "st2";
        "0x 0011010 0 0 00000 001 x xx xxxxx xxxxx" => Structures(St3Single) "st3";
        "0x 0011010 0 0 00000 011 x x0 xxxxx xxxxx" => Structures(St3Single) "st3";
        "0x 0011010 0 0 00000 101 x 00 xxxxx xxxxx" => Structures(St3Single) "st3";
        "0x 0011010 0 0 00000 101 0 01 xxxxx xxxxx" => Structures(St3Single) "st3";
        "0x 0011010 0 1 00000 001 x xx xxxxx xxxxx" => Structures(St4Single) "st4";
        "0x 0011010 0 1 00000 011 x x0 xxxxx xxxxx" => Structures(St4Single) "st4";
        "0x 0011010 0 1 00000 101 x 00 xxxxx xxxxx" => Structures(St4Single) "st4";
        "0x 0011010 0 1 00000 101 0 01 xxxxx xxxxx" => Structures(St4Single) "st4";
        "0x 0011010 1 0 00000 000 x xx xxxxx xxxxx" => Structures(Ld1Single) "ld1";
        "0x 0011010 1 0 00000 010 x x0 xxxxx xxxxx" => Structures(Ld1Single) "ld1";
        "0x 0011010 1 0 00000 100 x 00 xxxxx xxxxx" => Structures(Ld1Single) "ld1";
        "0x 0011010 1 0 00000 100 0 01 xxxxx xxxxx" => Structures(Ld1Single) "ld1";
        "0x 0011010 1 0 00000 110 0 xx xxxxx xxxxx" => Structures(Ld1r) "ld1r";
        "0x 0011010 1 1 00000 000 x xx xxxxx xxxxx" => Structures(Ld2Single) "ld2";
        "0x 0011010 1 1 00000 010 x x0 xxxxx xxxxx" => Structures(Ld2Single) "ld2";
        "0x 0011010 1 1 00000 100 x 00 xxxxx xxxxx" => Structures(Ld2Single) "ld2";
        "0x 0011010 1 1 00000 100 0 01 xxxxx xxxxx" => Structures(Ld2Single) "ld2";
        "0x 0011010 1 1 00000 110 0 xx xxxxx xxxxx" => Structures(Ld2r) "ld2r";
        "0x 0011010 1 0 00000 001 x xx xxxxx xxxxx" => Structures(Ld3Single) "ld3";
        "0x 0011010 1 0 00000 011 x x0 xxxxx xxxxx" => Structures(Ld3Single) "ld3";
        "0x 0011010 1 0 00000 101 x 00 xxxxx xxxxx" => Structures(Ld3Single) "ld3";
        "0x 0011010 1 0 00000 101 0 01 xxxxx xxxxx" => Structures(Ld3Single) "ld3";
        "0x 0011010 1 0 00000 111 0 xx xxxxx xxxxx" => Structures(Ld3r) "ld3r";
        "0x 0011010 1 1 00000 001 x xx xxxxx xxxxx" => Structures(Ld4Single) "ld4";
        "0x 0011010 1 1 00000 011 x x0 xxxxx xxxxx" => Structures(Ld4Single) "ld4";
        "0x 0011010 1 1 00000 101 x 00 xxxxx xxxxx" => Structures(Ld4Single) "ld4";
        "0x 0011010 1 1 00000 101 0 01 xxxxx xxxxx" => Structures(Ld4Single) "ld4";
        "0x 0011010 1 1 00000 111 0 xx xxxxx xxxxx" => Structures(Ld4r) "ld4r";
        "0x 0011010 x x 00000 01x x x1 xxxxx xxxxx" => Unallocated;
        "0x 0011010 x x 00000 10x 1 01 xxxxx xxxxx" => Unallocated;
        "0x 0011010 x x 00000 10x x 1x xxxxx xxxxx" => Unallocated;
        "0x 0011010 1 x 00000 11x 1 xx xxxxx xxxxx" => Unallocated;
        "0x 0011010 0 x 00000 11x x xx xxxxx xxxxx" => Unallocated;
        "0x 0011010 x 0 00001 100 0 01 xxxxx xxxxx" => Unimplemented(Lrcpc3);
        "0x 0011010 x x xxxxx xxx x xx xxxxx xxxxx" except [
            "0x 0011010 x x 00000 xxx x xx xxxxx xxxxx",
            "0x 0011010 x 0 00001 100 0 01 xxxxx xxxxx",
        ] => Unallocated;
    }
    "Advanced SIMD load/store single structure (post-indexed)" {
        "0x 0011011 0 0 xxxxx 000 x xx xxxxx xxxxx" => Structures(St1Single) "st1";
        "0x 0011011 0 0 xxxxx 010 x x0 xxxxx xxxxx" => Structures(St1Single) "st1";
        "0x 0011011 0 0 xxxxx 100 x 00 xxxxx xxxxx" => Structures(St1Single) "st1";
        "0x 0011011 0 0 xxxxx 100 0 01 xxxxx xxxxx" => Structures(St1Single) "st1";
        "0x 0011011 0 1 xxxxx 000 x xx xxxxx xxxxx" => Structures(St2Single) "st2";
        "0x 0011011 0 1 xxxxx 010 x x0 xxxxx xxxxx" => Structures(St2Single) "st2";
        "0x 0011011 0 1 xxxxx 100 x 00 xxxxx xxxxx" => Structures(St2Single) "st2";
        "0x 0011011 0 1 xxxxx 100 0 01 xxxxx xxxxx" => Structures(St2Single) "st2";
        "0x 0011011 0 0 xxxxx 001 x xx xxxxx xxxxx" => Structures(St3Single) "st3";
        "0x 0011011 0 0 xxxxx 011 x x0 xxxxx xxxxx" => Structures(St3Single) "st3";
        "0x 0011011 0 0 xxxxx 101 x 00 xxxxx xxxxx" => Structures(St3Single) "st3";
        "0x 0011011 0 0 xxxxx 101 0 01 xxxxx xxxxx" => Structures(St3Single) "st3";
        "0x 0011011 0 1 xxxxx 001 x xx xxxxx xxxxx" => Structures(St4Single) "st4";
        "0x 0011011 0 1 xxxxx 011 x x0 xxxxx xxxxx" => Structures(St4Single) "st4";
        "0x 0011011 0 1 xxxxx 101 x 00 xxxxx xxxxx" => Structures(St4Single) "st4";
        "0x 0011011 0 1 xxxxx 101 0 01 xxxxx xxxxx" => Structures(St4Single) "st4";
        "0x 0011011 1 0 xxxxx 000 x xx xxxxx xxxxx" => Structures(Ld1Single) "ld1";
        "0x 0011011 1 0 xxxxx 010 x x0 xxxxx xxxxx" => Structures(Ld1Single) "ld1";
        "0x 0011011 1 0 xxxxx 100 x 00 xxxxx xxxxx" => Structures(Ld1Single) "ld1";
        "0x 0011011 1 0 xxxxx 100 0 01 xxxxx xxxxx" => Structures(Ld1Single) "ld1";
        "0x 0011011 1 0 xxxxx 110 0 xx xxxxx xxxxx" => Structures(Ld1r) "ld1r";
        "0x 0011011 1 1 xxxxx 000 x xx xxxxx xxxxx" => Structures(Ld2Single) "ld2";
        "0x 0011011 1 1 xxxxx 010 x x0 xxxxx xxxxx" => Structures(Ld2Single) "ld2";
        "0x 0011011 1 1 xxxxx 100 x 00 xxxxx xxxxx" => Structures(Ld2Single) "ld2";
        "0x 0011011 1 1 xxxxx 100 0 01 xxxxx xxxxx" => Structures(Ld2Single) "ld2";
        "0x 0011011 1 1 xxxxx 110 0 xx xxxxx xxxxx" => Structures(Ld2r) "ld2r";
        "0x 0011011 1 0 xxxxx 001 x xx xxxxx xxxxx" => Structures(Ld3Single) "ld3";
        "0x 0011011 1 0 xxxxx 011 x x0 xxxxx xxxxx" => Structures(Ld3Single) "ld3";
        "0x 0011011 1 0 xxxxx 101 x 00 xxxxx xxxxx" => Structures(Ld3Single) "ld3";
        "0x 0011011 1 0 xxxxx 101 0 01 xxxxx xxxxx" => Structures(Ld3Single) "ld3";
        "0x 0011011 1 0 xxxxx 111 0 xx xxxxx xxxxx" => Structures(Ld3r) "ld3r";
        "0x 0011011 1 1 xxxxx 001 x xx xxxxx xxxxx" => Structures(Ld4Single) "ld4";
        "0x 0011011 1 1 xxxxx 011 x x0 xxxxx xxxxx" => Structures(Ld4Single) "ld4";
        "0x 0011011 1 1 xxxxx 101 x 00 xxxxx xxxxx" => Structures(Ld4Single) "ld4";
        "0x 0011011 1 1 xxxxx 101 0 01 xxxxx xxxxx" => Structures(Ld4Single) "ld4";
        "0x 0011011 1 1 xxxxx 111 0 xx xxxxx xxxxx" => Structures(Ld4r) "ld4r";
        "0x 0011011 x x xxxxx 01x x x1 xxxxx xxxxx" => Unallocated;
        "0x 0011011 x x xxxxx 10x 1 01 xxxxx xxxxx" => Unallocated;
        "0x 0011011 x x xxxxx 10x x 1x xxxxx xxxxx" => Unallocated;
        "0x 0011011 1 x xxxxx 11x 1 xx xxxxx xxxxx" => Unallocated;
        "0x 0011011 0 x xxxxx 11x x xx xxxxx xxxxx" => Unallocated;
    }
    "Loads and Stores" {
        "1x 00110x xxxxxxxxxxxxxxxxxxxxxxxx" => Unallocated;
    }
}
