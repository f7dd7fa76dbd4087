//! What a supervisor hears of the receiver, by systemd's protocol (sd_notify(3)): a datagram of lines `NAME=VALUE`, sent to the
//! socket that the environment names. Without one nobody is told.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Tells `state`, such as `READY=1`. A supervisor that does not hear it ends nothing: devices deliver all the same.
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
