//! Atomic operations on memory.
//!
//! [DDI0487 C4.1 Loads and Stores], compare and swap, and atomic memory operations; what else
//! stands in the latter class is in `loads_stores`.

use super::entry::entries;

entries! {
    "Compare and swap pair" {
        "0x 001000 0 0 1 xxxx0 0 11111 xxxxx xxxx0" => Atomic(Casp) "casp";
        "0x 001000 0 1 1 xxxx0 0 11111 xxxxx xxxx0" => Atomic(Casp) "caspa";
        "0x 001000 0 1 1 xxxx0 1 11111 xxxxx xxxx0" => Atomic(Casp) "caspal";
        "0x 001000 0 0 1 xxxx0 1 11111 xxxxx xxxx0" => Atomic(Casp) "caspl";
        "0x 001000 0 x 1 xxxx1 x 11111 xxxxx xxxxx" => Unallocated;
        "0x 001000 0 x 1 xxxx0 x 11111 xxxxx xxxx1" => Unallocated;
        "0x 001000 0 x 1 xxxxx x xxxxx xxxxx xxxxx" except [
            "0x 001000 0 x 1 xxxxx x 11111 xxxxx xxxxx",
        ] => Unallocated;
    }
    "Compare and swap" {
        "00 001000 1 0 1 xxxxx 0 11111 xxxxx xxxxx" => Atomic(Cas) "casb";
        "00 001000 1 1 1 xxxxx 0 11111 xxxxx xxxxx" => Atomic(Cas) "casab";
        "00 001000 1 1 1 xxxxx 1 11111 xxxxx xxxxx" => Atomic(Cas) "casalb";
        "00 001000 1 0 1 xxxxx 1 11111 xxxxx xxxxx" => Atomic(Cas) "caslb";
        "01 001000 1 0 1 xxxxx 0 11111 xxxxx xxxxx" => Atomic(Cas) "cash";
        "01 001000 1 1 1 xxxxx 0 11111 xxxxx xxxxx" => Atomic(Cas) "casah";
        "01 001000 1 1 1 xxxxx 1 11111 xxxxx xxxxx" => Atomic(Cas) "casalh";
        "01 001000 1 0 1 xxxxx 1 11111 xxxxx xxxxx" => Atomic(Cas) "caslh";
        "1x 001000 1 0 1 xxxxx 0 11111 xxxxx xxxxx" => Atomic(Cas) "cas";
        "1x 001000 1 1 1 xxxxx 0 11111 xxxxx xxxxx" => Atomic(Cas) "casa";
        "1x 001000 1 1 1 xxxxx 1 11111 xxxxx xxxxx" => Atomic(Cas) "casal";
        "1x 001000 1 0 1 xxxxx 1 11111 xxxxx xxxxx" => Atomic(Cas) "casl";
        "xx 001000 1 x 1 xxxxx x xxxxx xxxxx xxxxx" except [
            "xx 001000 1 x 1 xxxxx x 11111 xxxxx xxxxx",
        ] => Unallocated;
    }
    "Atomic memory operations" {
        "00 111 0 00 0 0 1 xxxxx 0 000 00 xxxxx xxxxx" => Atomic(Ldadd) "ldaddb";
        "00 111 0 00 1 0 1 xxxxx 0 000 00 xxxxx xxxxx" => Atomic(Ldadd) "ldaddab";
        "00 111 0 00 1 1 1 xxxxx 0 000 00 xxxxx xxxxx" => Atomic(Ldadd) "ldaddalb";
        "00 111 0 00 0 1 1 xxxxx 0 000 00 xxxxx xxxxx" => Atomic(Ldadd) "ldaddlb";
        "01 111 0 00 0 0 1 xxxxx 0 000 00 xxxxx xxxxx" => Atomic(Ldadd) "ldaddh";
        "01 111 0 00 1 0 1 xxxxx 0 000 00 xxxxx xxxxx" => Atomic(Ldadd) "ldaddah";
        "01 111 0 00 1 1 1 xxxxx 0 000 00 xxxxx xxxxx" => Atomic(Ldadd) "ldaddalh";
        "01 111 0 00 0 1 1 xxxxx 0 000 00 xxxxx xxxxx" => Atomic(Ldadd) "ldaddlh";
        "1x 111 0 00 0 0 1 xxxxx 0 000 00 xxxxx xxxxx" => Atomic(Ldadd) "ldadd";
        "1x 111 0 00 1 0 1 xxxxx 0 000 00 xxxxx xxxxx" => Atomic(Ldadd) "ldadda";
        "1x 111 0 00 1 1 1 xxxxx 0 000 00 xxxxx xxxxx" => Atomic(Ldadd) "ldaddal";
        "1x 111 0 00 0 1 1 xxxxx 0 000 00 xxxxx xxxxx" => Atomic(Ldadd) "ldaddl";
        "00 111 0 00 0 0 1 xxxxx 0 001 00 xxxxx xxxxx" => Atomic(Ldclr) "ldclrb";
        "00 111 0 00 1 0 1 xxxxx 0 001 00 xxxxx xxxxx" => Atomic(Ldclr) "ldclrab";
        "00 111 0 00 1 1 1 xxxxx 0 001 00 xxxxx xxxxx" => Atomic(Ldclr) "ldclralb";
        "00 111 0 00 0 1 1 xxxxx 0 001 00 xxxxx xxxxx" => Atomic(Ldclr) "ldclrlb";
        "01 111 0 00 0 0 1 xxxxx 0 001 00 xxxxx xxxxx" => Atomic(Ldclr) "ldclrh";
        "01 111 0 00 1 0 1 xxxxx 0 001 00 xxxxx xxxxx" => Atomic(Ldclr) "ldclrah";
        "01 111 0 00 1 1 1 xxxxx 0 001 00 xxxxx xxxxx" => Atomic(Ldclr) "ldclralh";
        "01 111 0 00 0 1 1 xxxxx 0 001 00 xxxxx xxxxx" => Atomic(Ldclr) "ldclrlh";
        "1x 111 0 00 0 0 1 xxxxx 0 001 00 xxxxx xxxxx" => Atomic(Ldclr) "ldclr";
        "1x 111 0 00 1 0 1 xxxxx 0 001 00 xxxxx xxxxx" => Atomic(Ldclr) "ldclra";
        "1x 111 0 00 1 1 1 xxxxx 0 001 00 xxxxx xxxxx" => Atomic(Ldclr) "ldclral";
        "1x 111 0 00 0 1 1 xxxxx 0 001 00 xxxxx xxxxx" => Atomic(Ldclr) "ldclrl";
        "00 111 0 00 0 0 1 xxxxx 0 010 00 xxxxx xxxxx" => Atomic(Ldeor) "ldeorb";
        "00 111 0 00 1 0 1 xxxxx 0 010 00 xxxxx xxxxx" => Atomic(Ldeor) "ldeorab";
        "00 111 0 00 1 1 1 xxxxx 0 010 00 xxxxx xxxxx" => Atomic(Ldeor) "ldeoralb";
        "00 111 0 00 0 1 1 xxxxx 0 010 00 xxxxx xxxxx" => Atomic(Ldeor) "ldeorlb";
        "01 111 0 00 0 0 1 xxxxx 0 010 00 xxxxx xxxxx" => Atomic(Ldeor) "ldeorh";
        "01 111 0 00 1 0 1 xxxxx 0 010 00 xxxxx xxxxx" => Atomic(Ldeor) "ldeorah";
        "01 111 0 00 1 1 1 xxxxx 0 010 00 xxxxx xxxxx" => Atomic(Ldeor) "ldeoralh";
        "01 111 0 00 0 1 1 xxxxx 0 010 00 xxxxx xxxxx" => Atomic(Ldeor) "ldeorlh";
        "1x 111 0 00 0 0 1 xxxxx 0 010 00 xxxxx xxxxx" => Atomic(Ldeor) "ldeor";
        "1x 111 0 00 1 0 1 xxxxx 0 010 00 xxxxx xxxxx" => Atomic(Ldeor) "ldeora";
        "1x 111 0 00 1 1 1 xxxxx 0 010 00 xxxxx xxxxx" => Atomic(Ldeor) "ldeoral";
        "1x 111 0 00 0 1 1 xxxxx 0 010 00 xxxxx xxxxx" => Atomic(Ldeor) "ldeorl";
        "00 111 0 00 0 0 1 xxxxx 0 011 00 xxxxx xxxxx" => Atomic(Ldset) "ldsetb";
        "00 111 0 00 1 0 1 xxxxx 0 011 00 xxxxx xxxxx" => Atomic(Ldset) "ldsetab";
        "00 111 0 00 1 1 1 xxxxx 0 011 00 xxxxx xxxxx" => Atomic(Ldset) "ldsetalb";
        "00 111 0 00 0 1 1 xxxxx 0 011 00 xxxxx xxxxx" => Atomic(Ldset) "ldsetlb";
        "01 111 0 00 0 0 1 xxxxx 0 011 00 xxxxx xxxxx" => Atomic(Ldset) "ldseth";
        "01 111 0 00 1 0 1 xxxxx 0 011 00 xxxxx xxxxx" => Atomic(Ldset) "ldsetah";
        "01 111 0 00 1 1 1 xxxxx 0 011 00 xxxxx xxxxx" => Atomic(Ldset) "ldsetalh";
        "01 111 0 00 0 1 1 xxxxx 0 011 00 xxxxx xxxxx" => Atomic(Ldset) "ldsetlh";
        "1x 111 0 00 0 0 1 xxxxx 0 011 00 xxxxx xxxxx" => Atomic(Ldset) "ldset";
        "1x 111 0 00 1 0 1 xxxxx 0 011 00 xxxxx xxxxx" => Atomic(Ldset) "ldseta";
        "1x 111 0 00 1 1 1 xxxxx 0 011 00 xxxxx xxxxx" => Atomic(Ldset) "ldsetal";
        "1x 111 0 00 0 1 1 xxxxx 0 011 00 xxxxx xxxxx" => Atomic(Ldset) "ldsetl";
        "00 111 0 00 0 0 1 xxxxx 0 100 00 xxxxx xxxxx" => Atomic(Ldsmax) "ldsmaxb";
        "00 111 0 00 1 0 1 xxxxx 0 100 00 xxxxx xxxxx" => Atomic(Ldsmax) "ldsmaxab";
        "00 111 0 00 1 1 1 xxxxx 0 100 00 xxxxx xxxxx" => Atomic(Ldsmax) "ldsmaxalb";
        "00 111 0 00 0 1 1 xxxxx 0 100 00 xxxxx xxxxx" => Atomic(Ldsmax) "ldsmaxlb";
        "01 111 0 00 0 0 1 xxxxx 0 100 00 xxxxx xxxxx" => Atomic(Ldsmax) "ldsmaxh";
        "01 111 0 00 1 0 1 xxxxx 0 100 00 xxxxx xxxxx" => Atomic(Ldsmax) "ldsmaxah";
        "01 111 0 00 1 1 1 xxxxx 0 100 00 xxxxx xxxxx" => Atomic(Ldsmax) "ldsmaxalh";
        "01 111 0 00 0 1 1 xxxxx 0 100 00 xxxxx xxxxx" => Atomic(Ldsmax) "ldsmaxlh";
        "1x 111 0 00 0 0 1 xxxxx 0 100 00 xxxxx xxxxx" => Atomic(Ldsmax) "ldsmax";
        "1x 111 0 00 1 0 1 xxxxx 0 100 00 xxxxx xxxxx" => Atomic(Ldsmax) "ldsmaxa";
        "1x 111 0 00 1 1 1 xxxxx 0 100 00 xxxxx xxxxx" => Atomic(Ldsmax) "ldsmaxal";
        "1x 111 0 00 0 1 1 xxxxx 0 100 00 xxxxx xxxxx" => Atomic(Ldsmax) "ldsmaxl";
        "00 111 0 00 0 0 1 xxxxx 0 101 00 xxxxx xxxxx" => Atomic(Ldsmin) "ldsminb";
        "00 111 0 00 1 0 1 xxxxx 0 101 00 xxxxx xxxxx" => Atomic(Ldsmin) "ldsminab";
        "00 111 0 00 1 1 1 xxxxx 0 101 00 xxxxx xxxxx" => Atomic(Ldsmin) "ldsminalb";
        "00 111 0 00 0 1 1 xxxxx 0 101 00 xxxxx xxxxx" => Atomic(Ldsmin) "ldsminlb";
        "01 111 0 00 0 0 1 xxxxx 0 101 00 xxxxx xxxxx" => Atomic(Ldsmin) "ldsminh";
        "01 111 0 00 1 0 1 xxxxx 0 101 00 xxxxx xxxxx" => Atomic(Ldsmin) "ldsminah";
        "01 111 0 00 1 1 1 xxxxx 0 101 00 xxxxx xxxxx" => Atomic(Ldsmin) "ldsminalh";
        "01 111 0 00 0 1 1 xxxxx 0 101 00 xxxxx xxxxx" => Atomic(Ldsmin) "ldsminlh";
        "1x 111 0 00 0 0 1 xxxxx 0 101 00 xxxxx xxxxx" => Atomic(Ldsmin) "ldsmin";
        "1x 111 0 00 1 0 1 xxxxx 0 101 00 xxxxx xxxxx" => Atomic(Ldsmin) "ldsmina";
        "1x 111 0 00 1 1 1 xxxxx 0 101 00 xxxxx xxxxx" => Atomic(Ldsmin) "ldsminal";
        "1x 111 0 00 0 1 1 xxxxx 0 101 00 xxxxx xxxxx" => Atomic(Ldsmin) "ldsminl";
        "00 111 0 00 0 0 1 xxxxx 0 110 00 xxxxx xxxxx" => Atomic(Ldumax) "ldumaxb";
        "00 111 0 00 1 0 1 xxxxx 0 110 00 xxxxx xxxxx" => Atomic(Ldumax) "ldumaxab";
        "00 111 0 00 1 1 1 xxxxx 0 110 00 xxxxx xxxxx" => Atomic(Ldumax) "ldumaxalb";
        "00 111 0 00 0 1 1 xxxxx 0 110 00 xxxxx xxxxx" => Atomic(Ldumax) "ldumaxlb";
        "01 111 0 00 0 0 1 xxxxx 0 110 00 xxxxx xxxxx" => Atomic(Ldumax) "ldumaxh";
        "01 111 0 00 1 0 1 xxxxx 0 110 00 xxxxx xxxxx" => Atomic(Ldumax) "ldumaxah";
        "01 111 0 00 1 1 1 xxxxx 0 110 00 xxxxx xxxxx" => Atomic(Ldumax) "ldumaxalh";
        "01 111 0 00 0 1 1 xxxxx 0 110 00 xxxxx xxxxx" => Atomic(Ldumax) "ldumaxlh";
        "1x 111 0 00 0 0 1 xxxxx 0 110 00 xxxxx xxxxx" => Atomic(Ldumax) "ldumax";
        "1x 111 0 00 1 0 1 xxxxx 0 110 00 xxxxx xxxxx" => Atomic(Ldumax) "ldumaxa";
        "1x 111 0 00 1 1 1 xxxxx 0 110 00 xxxxx xxxxx" => Atomic(Ldumax) "ldumaxal";
        "1x 111 0 00 0 1 1 xxxxx 0 110 00 xxxxx xxxxx" => Atomic(Ldumax) "ldumaxl";
        "00 111 0 00 0 0 1 xxxxx 0 111 00 xxxxx xxxxx" => Atomic(Ldumin) "lduminb";
        "00 111 0 00 1 0 1 xxxxx 0 111 00 xxxxx xxxxx" => Atomic(Ldumin) "lduminab";
        "00 111 0 00 1 1 1 xxxxx 0 111 00 xxxxx xxxxx" => Atomic(Ldumin) "lduminalb";
        "00 111 0 00 0 1 1 xxxxx 0 111 00 xxxxx xxxxx" => Atomic(Ldumin) "lduminlb";
        "01 111 0 00 0 0 1 xxxxx 0 111 00 xxxxx xxxxx" => Atomic(Ldumin) "lduminh";
        "01 111 0 00 1 0 1 xxxxx 0 111 00 xxxxx xxxxx" => Atomic(Ldumin) "lduminah";
        "01 111 0 00 1 1 1 xxxxx 0 111 00 xxxxx xxxxx" => Atomic(Ldumin) "lduminalh";
        "01 111 0 00 0 1 1 xxxxx 0 111 00 xxxxx xxxxx" => Atomic(Ldumin) "lduminlh";
        "1x 111 0 00 0 0 1 xxxxx 0 111 00 xxxxx xxxxx" => Atomic(Ldumin) "ldumin";
        "1x 111 0 00 1 0 1 xxxxx 0 111 00 xxxxx xxxxx" => Atomic(Ldumin) "ldumina";
        "1x 111 0 00 1 1 1 xxxxx 0 111 00 xxxxx xxxxx" => Atomic(Ldumin) "lduminal";
        "1x 111 0 00 0 1 1 xxxxx 0 111 00 xxxxx xxxxx" => Atomic(Ldumin) "lduminl";
        "00 111 0 00 0 0 1 xxxxx 1 000 00 xxxxx xxxxx" => Atomic(Swp) "swpb";
        "00 111 0 00 1 0 1 xxxxx 1 000 00 xxxxx xxxxx" => Atomic(Swp) "swpab";
        "00 111 0 00 1 1 1 xxxxx 1 000 00 xxxxx xxxxx" => Atomic(Swp) "swpalb";
        "00 111 0 00 0 1 1 xxxxx 1 000 00 xxxxx xxxxx" => Atomic(Swp) "swplb";
        "01 111 0 00 0 0 1 xxxxx 1 000 00 xxxxx xxxxx" => Atomic(Swp) "swph";
        "01 111 0 00 1 0 1 xxxxx 1 000 00 xxxxx xxxxx" => Atomic(Swp) "swpah";
        "01 111 0 00 1 1 1 xxxxx 1 000 00 xxxxx xxxxx" => Atomic(Swp) "swpalh";
        "01 111 0 00 0 1 1 xxxxx 1 000 00 xxxxx xxxxx" => Atomic(Swp) "swplh";
        "1x 111 0 00 0 0 1 xxxxx 1 000 00 xxxxx xxxxx" => Atomic(Swp) "swp";
        "1x 111 0 00 1 0 1 xxxxx 1 000 00 xxxxx xxxxx" => Atomic(Swp) "swpa";
        "1x 111 0 00 1 1 1 xxxxx 1 000 00 xxxxx xxxxx" => Atomic(Swp) "swpal";
        "1x 111 0 00 0 1 1 xxxxx 1 000 00 xxxxx xxxxx" => Atomic(Swp) "swpl";
        "00 111 0 00 1 0 1 11111 1 100 00 xxxxx xxxxx" => Atomic(Ldapr) "ldaprb";
        "01 111 0 00 1 0 1 11111 1 100 00 xxxxx xxxxx" => Atomic(Ldapr) "ldaprh";
        "1x 111 0 00 1 0 1 11111 1 100 00 xxxxx xxxxx" => Atomic(Ldapr) "ldapr";
    }
}
