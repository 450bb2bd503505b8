//! New connections, as a client without delays makes them.

use std::io;

use tokio::net::{TcpSocket, TcpStream};

use super::target::Target;

/// Connects with `TCP_NODELAY`, so that no request waits for the acknowledgement of an earlier one.
pub(super) async fn connect(target: &Target) -> io::Result<TcpStream> {
    let address = target.address().await?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

/// Makes closing this connection leave nothing behind on this host.
///
/// Whoever closes first keeps the port for a minute; at 1000 connections a second to one address that would use
/// up all ports in half a minute. Health checkers of load balancers do the same.
pub(super) fn close_at_once(stream: &TcpStream) {
    // Refused: the port is kept for a minute, and running out of ports is recorded as our own error.
    let _ = stream.set_zero_linger();
}
