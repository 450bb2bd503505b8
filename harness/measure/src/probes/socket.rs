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

/// Connects to the first that accepts. Where one refuses, the next is tried: nothing was sent yet. One that says nothing is
/// waited for, for as long as the attempt may take: a client has no other clock.
pub(super) async fn connect_to_any(targets: &[Target]) -> io::Result<TcpStream> {
    let Some((last, before)) = targets.split_last() else {
        return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "there is no address"));
    };
    for target in before {
        match connect(target).await {
            Err(error) if says_something_of_the_other_side(&error) => {}
            connected => return connected,
        }
    }
    connect(last).await
}

/// Whether a connection failed because of whom it was to lead to: our own trouble is not got around elsewhere.
fn says_something_of_the_other_side(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, TimedOut,
    };
    let kinds = [ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, TimedOut];
    kinds.contains(&error.kind())
}

/// Makes closing this connection leave nothing behind on this host.
///
/// Whoever closes first keeps the port for a minute; at 1000 connections a second to one address that would use
/// up all ports in half a minute. Health checkers of load balancers do the same.
pub(super) fn close_at_once(stream: &TcpStream) {
    // Refused: the port is kept for a minute, and running out of ports is recorded as our own error.
    let _ = stream.set_zero_linger();
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Two addresses: the first as the test makes it, the second accepts for as long as its listener is there.
    async fn second_of(first: &str) -> io::Result<(TcpStream, TcpListener)> {
        let second = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = second.local_addr().unwrap().to_string();
        let targets = [Target::parse(first).unwrap(), Target::parse(&address).unwrap()];
        connect_to_any(&targets).await.map(|stream| (stream, second))
    }

    #[tokio::test]
    async fn the_first_that_accepts_is_taken() {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wanted = first.local_addr().unwrap().to_string();
        let (stream, _) = second_of(&wanted).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap().to_string(), wanted);
    }

    #[tokio::test]
    async fn where_nobody_accepts_the_next_is_tried() {
        // Taken by somebody who does not listen, so that nobody else gets it.
        let taken = TcpSocket::new_v4().unwrap();
        taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let gone = taken.local_addr().unwrap();
        let (stream, second) = second_of(&gone.to_string()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), second.local_addr().unwrap());
    }
}
