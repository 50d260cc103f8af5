//! Cryptography, and what is reserved beyond Advanced SIMD.
//!
//! [DDI0487 C4.1 Data Processing -- Scalar Floating-Point and Advanced SIMD], the encodings with
//! bits 31:30 = 11, and the cryptographic classes.

use super::entry::entries;

entries! {
    "Cryptographic AES" {
        "01001110 00 10100 00100 10 xxxxx xxxxx" => Crypto(Aese) "aese";
        "01001110 00 10100 00101 10 xxxxx xxxxx" => Crypto(Aesd) "aesd";
        "01001110 00 10100 00110 10 xxxxx xxxxx" => Crypto(Aesmc) "aesmc";
        "01001110 00 10100 00111 10 xxxxx xxxxx" => Crypto(Aesimc) "aesimc";
        "01001110 xx 10100 xx0xx 10 xxxxx xxxxx" => Unallocated;
        "01001110 xx 10100 x11xx 10 xxxxx xxxxx" => Unallocated;
        "01001110 xx 10100 101xx 10 xxxxx xxxxx" => Unallocated;
        "01001110 x1 10100 001xx 10 xxxxx xxxxx" => Unallocated;
        "01001110 10 10100 001xx 10 xxxxx xxxxx" => Unallocated;
    }
    "Cryptographic three-register SHA" {
        "01011110 00 0 xxxxx 0 000 00 xxxxx xxxxx" => Crypto(Sha1c) "sha1c";
        "01011110 00 0 xxxxx 0 001 00 xxxxx xxxxx" => Crypto(Sha1p) "sha1p";
        "01011110 00 0 xxxxx 0 010 00 xxxxx xxxxx" => Crypto(Sha1m) "sha1m";
        "01011110 00 0 xxxxx 0 011 00 xxxxx xxxxx" => Crypto(Sha1su0) "sha1su0";
        "01011110 00 0 xxxxx 0 100 00 xxxxx xxxxx" => Crypto(Sha256h) "sha256h";
        "01011110 00 0 xxxxx 0 101 00 xxxxx xxxxx" => Crypto(Sha256h2) "sha256h2";
        "01011110 00 0 xxxxx 0 110 00 xxxxx xxxxx" => Crypto(Sha256su1) "sha256su1";
        "01011110 00 0 xxxxx 0 111 00 xxxxx xxxxx" => Unallocated;
        "01011110 01 0 xxxxx 0 xxx 00 xxxxx xxxxx" => Unallocated;
        "01011110 1x 0 xxxxx 0 xxx 00 xxxxx xxxxx" => Unallocated;
    }
    "Cryptographic two-register SHA" {
        "01011110 00 10100 00000 10 xxxxx xxxxx" => Crypto(Sha1h) "sha1h";
        "01011110 00 10100 00001 10 xxxxx xxxxx" => Crypto(Sha1su1) "sha1su1";
        "01011110 00 10100 00010 10 xxxxx xxxxx" => Crypto(Sha256su0) "sha256su0";
        "01011110 00 10100 00011 10 xxxxx xxxxx" => Unallocated;
        "01011110 00 10100 001xx 10 xxxxx xxxxx" => Unallocated;
        "01011110 00 10100 01xxx 10 xxxxx xxxxx" => Unallocated;
        "01011110 00 10100 1xxxx 10 xxxxx xxxxx" => Unallocated;
        "01011110 01 10100 xxxxx 10 xxxxx xxxxx" => Unallocated;
        "01011110 1x 10100 xxxxx 10 xxxxx xxxxx" => Unallocated;
    }
    "Cryptographic four-register" {
        "110011100 00 xxxxx 0 xxxxx xxxxx xxxxx" => Unimplemented(Sha3);
        "110011100 01 xxxxx 0 xxxxx xxxxx xxxxx" => Unimplemented(Sha3);
        "110011100 10 xxxxx 0 xxxxx xxxxx xxxxx" => Unimplemented(Sm3);
        "110011100 11 xxxxx 0 xxxxx xxxxx xxxxx" => Unallocated;
    }
    "Cryptographic three-register, imm2" {
        "11001110010 xxxxx 10 xx xx xxxxx xxxxx" => Unimplemented(Sm3);
    }
    "Cryptographic three-register SHA 512" {
        "11001110011 xxxxx 1 0 00 0x xxxxx xxxxx" => Unimplemented(Sha512);
        "11001110011 xxxxx 1 0 00 10 xxxxx xxxxx" => Unimplemented(Sha512);
        "11001110011 xxxxx 1 0 00 11 xxxxx xxxxx" => Unimplemented(Sha3);
        "11001110011 xxxxx 1 1 00 0x xxxxx xxxxx" => Unimplemented(Sm3);
        "11001110011 xxxxx 1 1 00 10 xxxxx xxxxx" => Unimplemented(Sm4);
        "11001110011 xxxxx 1 1 00 11 xxxxx xxxxx" => Unallocated;
    }
    "XAR" {
        "11001110100 xxxxx xxxxxx xxxxx xxxxx" => Unimplemented(Sha3);
    }
    "Cryptographic two-register SHA 512" {
        "11001110110 000001000 00 xxxxx xxxxx" => Unimplemented(Sha512);
        "11001110110 000001000 01 xxxxx xxxxx" => Unimplemented(Sm4);
        "11001110110 000001000 1x xxxxx xxxxx" => Unallocated;
    }
    "Data Processing -- Scalar Floating-Point and Advanced SIMD" {
        "11001110 00x xxxxx 1 xxxxx xxxxx xxxxx" => Unallocated;
        "11001110 010 xxxxx 1 1xxxx xxxxx xxxxx" => Unallocated;
        "11001110 011 xxxxx 1 x01xx xxxxx xxxxx" => Unallocated;
        "11001110 011 xxxxx 1 x1xxx xxxxx xxxxx" => Unallocated;
        "11001110 1x1 xxxxx x xxxxx xxxxx xxxxx" => Unallocated;
        "11001110 110 00000 0 xxxxx xxxxx xxxxx" => Unallocated;
        "11001110 110 00000 1 001xx xxxxx xxxxx" => Unallocated;
        "11001110 110 00000 1 01xxx xxxxx xxxxx" => Unallocated;
        "11001110 110 00000 1 1xxxx xxxxx xxxxx" => Unallocated;
        "11001110 110 00001 x xxxxx xxxxx xxxxx" => Unallocated;
        "11001110 110 0001x x xxxxx xxxxx xxxxx" => Unallocated;
        "11001110 110 001xx x xxxxx xxxxx xxxxx" => Unallocated;
        "11001110 110 01xxx x xxxxx xxxxx xxxxx" => Unallocated;
        "11001110 110 1xxxx x xxxxx xxxxx xxxxx" => Unallocated;
        "11001111 xxxxxxx xxxxxxxxxxxxxxxxx"    => Unallocated;
        "101 0 111 x xxxxxxx xxxxxxxxxxxxxxxxx" => Unallocated;
        "100 0 111 x xxxxxxx xxxxxxxxxxxxxxxxx" => Unallocated;
        "111 0 111 x xxxxxxx xxxxxxxxxxxxxxxxx" => Unallocated;
        "11x 1 111 x xxxxxxx xxxxxxxxxxxxxxxxx" => Unallocated;
    }
}
