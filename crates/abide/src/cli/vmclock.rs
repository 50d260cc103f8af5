//! Options about the page that tells a guest the time.

use abide_machine::devices::vmclock::VmclockConfig;
use clap::Args;

/// The page with the time, at a guest's birth.
#[derive(Clone, Copy, Debug, Args)]
pub struct VmclockArgs {
    /// Leave out the page that tells the guest the time and of moves and copies (vmclock), and the
    /// one that names its generation (vmgenid). Version 0.1.0 restores only guests without them
    #[arg(long)]
    pub no_vmclock: bool,
    /// How much of the page with the time the guest is told of: 4K, 8K, 16K, 32K or 64K
    ///
    /// Linux makes /dev/vmclock0 only where that is a page of the guest's kernel at least: take 16K
    /// or 64K for a kernel with such pages. Some programs, ClockBound for one, fail where it is
    /// more than a page.
    #[arg(long, value_name = "SIZE", default_value = "4K", value_parser = parse_vmclock_size)]
    #[arg(conflicts_with = "no_vmclock")]
    pub vmclock_size: u32,
}

impl VmclockArgs {
    /// What the board is to have.
    pub fn config(&self) -> Option<VmclockConfig> {
        let size_bytes = self.vmclock_size;
        (!self.no_vmclock).then_some(VmclockConfig { size_bytes })
    }
}

fn parse_vmclock_size(text: &str) -> Result<u32, String> {
    let found = super::parse_size(text)?;
    let size_bytes = u32::try_from(found).unwrap_or(u32::MAX);
    let is_possible = VmclockConfig { size_bytes }.is_possible();
    is_possible.then_some(size_bytes).ok_or("4K, 8K, 16K, 32K or 64K are allowed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_pages_of_some_kernel() {
        assert_eq!(parse_vmclock_size("4K"), Ok(4096));
        assert_eq!(parse_vmclock_size("65536"), Ok(65536));
        for wrong in ["0", "2K", "12K", "128K", "8G", "x", ""] {
            assert!(parse_vmclock_size(wrong).is_err(), "{wrong}");
        }
    }
}
