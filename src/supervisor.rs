//! What a supervisor hears of the service, by systemd's protocol (sd_notify(3)): a datagram of lines `NAME=VALUE`, sent to the socket that
//! the environment names. Without one nobody is told.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Tells `state`, such as `READY=1`. A supervisor that cannot be told ends nothing: the service is there for others.
pub(crate) fn tell(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&socket, state) {
        tracing::warn!(%error, "the supervisor (NOTIFY_SOCKET) cannot be told: {state}");
    }
}

/// Never waits: a supervisor that reads nothing would hold up the start.
fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    let address = address(socket)?;
    let sender = UnixDatagram::unbound()?;
    sender.set_nonblocking(true)?;
    sender.send_to_addr(state.as_bytes(), &address).map(drop)
}

/// A path, or behind a `@` a name in the abstract namespace (unix(7)). systemd also has vsock, from a virtual machine to its host.
fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(socket),
        _ => Err(io::Error::new(ErrorKind::Unsupported, "it names neither a path nor an abstract socket")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supervisor_is_told_at_a_path_and_at_an_abstract_name() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("notify");
        let name = format!("@wardein-supervisor-{}", std::process::id());
        for (supervisor, socket) in [
            (UnixDatagram::bind(&path).unwrap(), path.as_os_str()),
            (UnixDatagram::bind_addr(&address(name.as_ref()).unwrap()).unwrap(), name.as_ref()),
        ] {
            send(socket, "READY=1").unwrap();
            let mut said = [0; 16];
            let length = supervisor.recv(&mut said).unwrap();
            assert_eq!(&said[..length], b"READY=1");
        }
        for nobody in ["", "notify", "vsock:2:1", "/nowhere/notify", "@nobody"] {
            send(nobody.as_ref(), "READY=1").unwrap_err();
        }
    }

    #[test]
    fn one_that_reads_nothing_is_not_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("notify");
        let _supervisor = UnixDatagram::bind(&path).unwrap();
        // The kernel holds net.unix.max_dgram_qlen of them, 10 or some hundred.
        let refused = (0..100_000).find_map(|_| send(path.as_os_str(), "STATUS=still there").err());
        assert_eq!(refused.map(|error| error.kind()), Some(ErrorKind::WouldBlock));
    }
}
