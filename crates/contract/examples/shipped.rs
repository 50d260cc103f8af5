//! Makes the profiles and contracts that come with abide, from register dumps of real kernels.
//!
//! `cargo run -p abide-contract --example shipped` writes them where the crate takes them from.

#![expect(clippy::unwrap_used, reason = "what fails here is to stop the making")]

#[path = "../tests/support/dump.rs"]
mod dump;
#[path = "../tests/support/making.rs"]
mod making;

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shipped");
    for (name, text) in making::files() {
        std::fs::write(folder.join(format!("{name}.toml")), text)?;
    }
    Ok(())
}
