//! Reserved space, SVE and SME.
//!
//! Words that no implemented instruction can ever be among: whole top-level groups that are
//! reserved, or that belong to extensions this engine does not have.

use super::entry::entries;

entries! {
    "Reserved" {
        "0 00 0000 0 00000000 xxxxxxxxxxxxxxxx" => Udf "udf";
        "0 xx 0000 x xxxxxxxx xxxxxxxxxxxxxxxx" except [
            "0 00 0000 0 00000000 xxxxxxxxxxxxxxxx",
        ] => Unallocated;
        "x xx 0001 x xxxxxxxx xxxxxxxxxxxxxxxx" => Unallocated;
        "x xx 0011 x xxxxxxxx xxxxxxxxxxxxxxxx" => Unallocated;
    }
    "SME encodings" {
        "1 xx 0000 x xxxxxxxx xxxxxxxxxxxxxxxx" => Unimplemented(Sme);
    }
    "SVE encodings" {
        "x xx 0010 x xxxxxxxx xxxxxxxxxxxxxxxx" => Unimplemented(Sve);
    }
}
