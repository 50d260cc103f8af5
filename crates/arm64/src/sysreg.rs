//! System registers, by the encoding that MRS and MSR use.

use core::fmt;

/// A system register: `op0 << 14 | op1 << 11 | CRn << 7 | CRm << 3 | op2`.
///
/// These are the 16 bits that stand in bits 20:5 of an MRS or MSR instruction `[DDI0487 C5.1]`
/// and, unchanged, the low half of the register's KVM ONE_REG id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SysReg(pub u16);

impl SysReg {
    /// The register with these encoding fields; each is cut to its width.
    #[must_use]
    pub const fn new(op0: u16, op1: u16, crn: u16, crm: u16, op2: u16) -> Self {
        Self((op0 & 3) << 14 | (op1 & 7) << 11 | (crn & 15) << 7 | (crm & 15) << 3 | op2 & 7)
    }

    /// The register that an MRS or MSR (register) instruction names.
    #[must_use]
    pub const fn from_instruction(word: u32) -> Self {
        Self((word >> 5 & 0xffff) as u16)
    }
}

impl fmt::Display for SysReg {
    /// As assemblers accept it: `s3_0_c1_c0_0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = |shift: u16, bits: u16| self.0 >> shift & ((1 << bits) - 1);
        let (op0, op1, crn) = (field(14, 2), field(11, 3), field(7, 4));
        write!(f, "s{op0}_{op1}_c{crn}_c{}_{}", field(3, 4), field(0, 3))
    }
}

impl fmt::Debug for SysReg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn encoding_is_that_of_the_instruction() {
        // mrs x0, sctlr_el1
        let sctlr = SysReg::from_instruction(0xd538_1000);
        assert_eq!(sctlr, SysReg::new(3, 0, 1, 0, 0));
        assert_eq!(sctlr.to_string(), "s3_0_c1_c0_0");
    }
}
