//! Ops that often stand behind one another.
//!
//! The op of a pair has the operands of its first instruction; execution reads those of the second
//! from the second's own place, so that whoever jumps there finds an op of its own. What a pair
//! saves is one dispatch. The pairs are those that Linux boots execute most.

use super::Code;

/// First, second, both.
const PAIRS: &[(Code, Code, Code)] = &[
    (Code::LdrXI, Code::LdrXI, Code::LdrXILdrXI),
    (Code::OrrX, Code::OrrX, Code::OrrXOrrX),
    (Code::Nop, Code::Nop, Code::NopNop),
    (Code::Nop, Code::Br, Code::NopBr),
    (Code::AddImmX, Code::SubsImmX, Code::AddImmXSubsImmX),
    (Code::EorX, Code::EorX, Code::EorXEorX),
    (Code::LdrbU, Code::CbzW, Code::LdrbUCbzW),
    (Code::AndImm, Code::CcmpW, Code::AndImmCcmpW),
    (Code::LdrbE, Code::TstImmNeX, Code::LdrbETstImmNeX),
    (Code::LdpXI, Code::LdpXI, Code::LdpXILdpXI),
    (Code::BNe, Code::LdrXR, Code::BNeLdrXR),
    (Code::EorX, Code::MaddX, Code::EorXMaddX),
    (Code::StpXU, Code::AddImmX, Code::StpXUAddImmX),
    (Code::SubsW, Code::BCs, Code::SubsWBCs),
    (Code::LdrbU, Code::SubsImmW, Code::LdrbUSubsImmW),
    (Code::StpXI, Code::LdpXI, Code::StpXILdpXI),
    (Code::SubsImmW, Code::BLs, Code::SubsImmWBLs),
    (Code::StpXI, Code::OrrX, Code::StpXIOrrX),
    (Code::AddImmX, Code::CbzW, Code::AddImmXCbzW),
    (Code::LdrWI, Code::SubW, Code::LdrWISubW),
    (Code::StpXI, Code::StpXI, Code::StpXIStpXI),
    (Code::LdrbE, Code::SubsImmW, Code::LdrbESubsImmW),
    (Code::LdrXI, Code::AddImmX, Code::LdrXIAddImmX),
    (Code::OrrX, Code::BlFar, Code::OrrXBlFar),
    (Code::MovImm, Code::MovImm, Code::MovImmMovImm),
    (Code::AddX, Code::SubsX, Code::AddXSubsX),
    (Code::CbnzW, Code::AddImmW, Code::CbnzWAddImmW),
    (Code::SubX, Code::OrrX, Code::SubXOrrX),
    (Code::LdrWI, Code::AddImmW, Code::LdrWIAddImmW),
    (Code::OrrX, Code::Nop, Code::OrrXNop),
    (Code::RevX, Code::RevX, Code::RevXRevX),
    (Code::ExtrX, Code::EorX, Code::ExtrXEorX),
    (Code::SubsImmW, Code::BHi, Code::SubsImmWBHi),
    (Code::StpXI, Code::AddImmX, Code::StpXIAddImmX),
    (Code::BEq, Code::OrrX, Code::BEqOrrX),
    (Code::CcmpW, Code::BNe, Code::CcmpWBNe),
    (Code::MaddX, Code::OrrX, Code::MaddXOrrX),
    (Code::CbzX, Code::LdrXI, Code::CbzXLdrXI),
    (Code::StrXR, Code::BNe, Code::StrXRBNe),
    (Code::LdrXI, Code::StrXI, Code::LdrXIStrXI),
    (Code::OrrX, Code::OrrW, Code::OrrXOrrW),
    (Code::AddX, Code::AddX, Code::AddXAddX),
    (Code::SubsW, Code::BLs, Code::SubsWBLs),
    (Code::LdrXI, Code::LdrXE, Code::LdrXILdrXE),
    (Code::AddImmX, Code::AddImmX, Code::AddImmXAddImmX),
    (Code::EorW, Code::EorW, Code::EorWEorW),
    (Code::LdrbI, Code::AndImm, Code::LdrbIAndImm),
    (Code::LdrXI, Code::SubsX, Code::LdrXISubsX),
    (Code::LdrXI, Code::LdrWI, Code::LdrXILdrWI),
    (Code::LdrXI, Code::Blr, Code::LdrXIBlr),
    (Code::SubsImmW, Code::BCondFar, Code::SubsImmWBCondFar),
    (Code::LdrXI, Code::AndX, Code::LdrXIAndX),
    (Code::EorX, Code::StrXI, Code::EorXStrXI),
    (Code::LdpXI, Code::LdpXU, Code::LdpXILdpXU),
    (Code::CcmpX, Code::BEq, Code::CcmpXBEq),
    (Code::BicX, Code::BicX, Code::BicXBicX),
    (Code::MovImm, Code::AndImm, Code::MovImmAndImm),
    (Code::AddW, Code::AddW, Code::AddWAddW),
    (Code::BEq, Code::LdrbU, Code::BEqLdrbU),
    (Code::SubsX, Code::BLs, Code::SubsXBLs),
    (Code::AddX, Code::TstImmNeX, Code::AddXTstImmNeX),
    (Code::LdpXU, Code::Nop, Code::LdpXUNop),
];

/// Whether any pair begins with `code`.
pub(super) fn begins(code: Code) -> bool {
    PAIRS.iter().any(|pair| pair.0 == code)
}

/// The code for `first` and `second` in one.
pub(super) fn pair(first: Code, second: Code) -> Option<Code> {
    PAIRS.iter().find(|pair| (pair.0, pair.1) == (first, second)).map(|pair| pair.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_named_after_their_parts() {
        for (first, second, both) in PAIRS {
            assert_eq!(format!("{first:?}{second:?}"), format!("{both:?}"));
        }
    }
}
