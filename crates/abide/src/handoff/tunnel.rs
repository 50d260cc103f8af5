//! A connection that is made by whoever asks for a handoff, and goes to the guest's process.

use super::Address;
use crate::descriptors::Pair;
use abide_migrate::transport::tunnel::TunnelLink;
use anyhow::{Context, Result};
use rustix::stdio;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

/// The tunnel to `address`, if that is one: what is read from, and what is written to.
pub fn open(address: &Address) -> Result<Option<Pair>> {
    Ok(match address {
        Address::Stdio => {
            let (from, to) = (stdio::stdin(), stdio::stdout());
            Some([from.try_clone_to_owned()?, to.try_clone_to_owned()?])
        }
        Address::Exec(command) => Some(start(command)?),
        Address::Unix(_) | Address::Tcp(_) => None,
    })
}

/// Starts a command of the shell, which goes on after this process: the guest may run in it.
fn start(command: &str) -> Result<Pair> {
    let (near, far) = UnixStream::pair()?;
    let far = OwnedFd::from(far);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).stdin(Stdio::from(far.try_clone()?)).stdout(Stdio::from(far));
    shell.spawn().with_context(|| format!("exec:{command}"))?;
    Ok([near.try_clone()?.into(), near.into()])
}

/// The tunnel that this process was started with. Its standard output is its standard error from
/// here on, and its standard input is empty: a guest that prints must not print into it.
pub fn of_this_process() -> Result<TunnelLink> {
    let [from, to] = open(&Address::Stdio)?.context("no tunnel")?;
    let link = TunnelLink::new(from, to).context("standard input and output")?;
    stdio::dup2_stdin(File::open("/dev/null")?)?;
    stdio::dup2_stdout(stdio::stderr())?;
    Ok(link)
}

/// The tunnel that somebody made for this process.
pub fn link([from, to]: Pair) -> Result<TunnelLink> {
    TunnelLink::new(from, to).context("standard input and output")
}
