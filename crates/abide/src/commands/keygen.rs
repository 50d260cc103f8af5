//! `abide keygen`: a key, and whose it is.

use crate::cli::KeygenArgs;
use crate::exit::Exit;
use crate::handoff::read_key;
use crate::out::print;
use abide_migrate::transport::tls::Key;
use anyhow::{Context, Result};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

/// Makes a key, or shows whose one is.
pub fn run(args: &KeygenArgs) -> Result<Exit> {
    let context = || format!("key {}", args.file.display());
    let key = if args.show {
        read_key(&args.file)?
    } else {
        let key = Key::generate()?;
        let mut options = OpenOptions::new();
        // Nobody else may read it, not even for a moment.
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&args.file)
            .with_context(context)?;
        file.write_all(key.text().as_bytes()).with_context(context)?;
        file.sync_all().with_context(context)?;
        key
    };
    print(&key.identity().to_string())?;
    Ok(Exit::Fine)
}
