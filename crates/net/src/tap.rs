//! A network interface of the host, at whose other end the guest sits.

use crate::NetError;
use crate::frame::{FRAME_MAX_LEN, FRAME_MIN_LEN};
use crate::link::{Link, Port, Ready, link};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io::ErrorKind;
use std::path::Path;
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

/// Plugs a card into the interface `name`, which exists already: abide changes nothing about it.
///
/// # Errors
/// [`NetError`], with what to do.
pub fn open(name: &str, ready: Ready) -> Result<Port, NetError> {
    let device = attach(name)?;
    let (port, link) = link(ready)?;
    let thread = std::thread::Builder::new().name("abide-tap".into());
    let thread = thread
        .spawn(move || serve(&device, &link))
        .map_err(|source| NetError::Host { what: "starting a thread", source })?;
    Ok(port.served_by(thread))
}

fn attach(name: &str) -> Result<SyncDevice, NetError> {
    let name = name.to_owned();
    // The library would make both, with rights that few have; what it says without them helps
    // nobody.
    if !Path::new("/dev/net/tun").exists() {
        return Err(NetError::NoTunDriver { name });
    }
    let interface = Path::new("/sys/class/net").join(&name);
    if !interface.exists() {
        return Err(NetError::NoTap { name });
    }
    if !interface.join("tun_flags").exists() {
        return Err(NetError::NotTap { name });
    }
    let device =
        DeviceBuilder::new().name(&name).layer(Layer::L2).inherit_enable_state().build_sync();
    let device = device.map_err(|source| match source.kind() {
        ErrorKind::PermissionDenied => NetError::TapNotAllowed { name: name.clone() },
        ErrorKind::ResourceBusy => NetError::TapBusy { name: name.clone() },
        ErrorKind::InvalidInput => NetError::NotTap { name: name.clone() },
        _ => NetError::Host { what: "opening a tap", source },
    })?;
    device
        .set_nonblocking(true)
        .map_err(|source| NetError::Host { what: "opening a tap", source })?;
    Ok(device)
}

/// Carries frames until the card is gone or the interface fails.
fn serve(device: &SyncDevice, link: &Link) {
    let mut buffer = [0; FRAME_MAX_LEN + 1];
    // A frame for which there was no room on the other side.
    let (mut for_host, mut for_guest) = (None, None);
    while !link.is_over() {
        let from_guest = carry_to_host(device, link, &mut for_host);
        let from_host = carry_to_guest(device, link, &mut for_guest, &mut buffer);
        if let Err(error) = from_guest.and(from_host) {
            tracing::error!(%error, "tap failed, the guest's cable is out");
            return;
        }
        let mut interest = PollFlags::empty();
        interest.set(PollFlags::OUT, for_host.is_some());
        interest.set(PollFlags::IN, for_guest.is_none());
        let mut fds =
            [PollFd::new(device, interest), PollFd::from_borrowed_fd(link.bell(), PollFlags::IN)];
        if let Err(error) = poll(&mut fds, None)
            && error != Errno::INTR
        {
            tracing::error!(%error, "tap failed, the guest's cable is out");
            return;
        }
        link.hush();
    }
}

fn carry_to_host(
    device: &SyncDevice,
    link: &Link,
    waiting: &mut Option<Vec<u8>>,
) -> std::io::Result<()> {
    while let Some(frame) = waiting.take().or_else(|| link.take()) {
        match device.send(&frame) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                *waiting = Some(frame);
                return Ok(());
            }
            // An interface that is down, or a frame that the host does not like: lost, as on any
            // cable.
            Err(error) if is_gone(&error) => return Err(error),
            Err(error) => tracing::debug!(%error, "frame lost"),
        }
    }
    Ok(())
}

fn carry_to_guest(
    device: &SyncDevice,
    link: &Link,
    waiting: &mut Option<Vec<u8>>,
    buffer: &mut [u8],
) -> std::io::Result<()> {
    loop {
        if let Some(frame) = waiting.take()
            && let Err(frame) = link.give(frame)
        {
            *waiting = Some(frame);
            return Ok(());
        }
        match device.recv(buffer) {
            // What is longer was cut by the read; no card would take it.
            Ok(len) if (FRAME_MIN_LEN..=FRAME_MAX_LEN).contains(&len) => {
                *waiting = Some(buffer[..len].to_vec());
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if is_gone(&error) => return Err(error),
            // Such as of an interface that is down: the poll tells when it is up again.
            Err(error) => {
                tracing::debug!(%error, "no frame from the tap");
                return Ok(());
            }
        }
    }
}

/// Whether the interface was taken away.
fn is_gone(error: &std::io::Error) -> bool {
    [Errno::BADFD, Errno::NODEV, Errno::BADF]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn interface_that_is_not_there_is_named_with_what_to_do() {
        let error = open("abide-nothere", Arc::new(|| ())).err().unwrap();
        let driver = Path::new("/dev/net/tun").exists();
        let text = error.to_string();
        assert!(text.starts_with("tap abide-nothere: "), "{text}");
        let advice = if driver { "ip tuntap add abide-nothere" } else { "modprobe tun" };
        assert!(text.contains(advice), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }

    #[test]
    fn interface_of_another_kind_is_refused() {
        let error = open("lo", Arc::new(|| ())).err();
        let driver = Path::new("/dev/net/tun").exists();
        assert!(
            matches!(error, Some(NetError::NotTap { .. })) == driver,
            "{error:?}, tun driver: {driver}"
        );
    }
}
