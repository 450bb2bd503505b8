//! Whether a process is there for its clients: a connection to it is accepted.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

/// Time a connection to a process of this machine may take.
const CANARY_TIMEOUT: Duration = Duration::from_millis(400);

/// Connects to `address`; returns why the connection was not accepted, `None` when it was.
///
/// # Errors
/// When the connection failed for a reason of our own, which says nothing about the process.
pub(super) async fn refused(address: &str) -> io::Result<Option<String>> {
    let to: SocketAddr =
        address.parse().map_err(|error| io::Error::other(format!("{address}: {error}")))?;
    let Ok(connected) = timeout(CANARY_TIMEOUT, TcpStream::connect(to)).await else {
        return Ok(Some(format!("no answer within {CANARY_TIMEOUT:?}")));
    };
    match connected {
        // A port of ours that happened to be the very one that we called: nobody listens there.
        Ok(stream) if stream.local_addr()? == stream.peer_addr()? => {
            Ok(Some("nobody listens".to_owned()))
        }
        Ok(stream) => {
            // Closed without waiting, so that no half-closed connection stays behind.
            let _ = stream.set_zero_linger();
            Ok(None)
        }
        Err(error) if is_theirs(&error) => Ok(Some(error.to_string())),
        Err(error) => Err(error),
    }
}

/// Whether an error says something about the process, and not about this one.
fn is_theirs(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_listener_accepts_and_a_closed_port_does_not() {
        let listener = TcpListener::bind("127.9.8.7:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert_eq!(refused(&address).await.unwrap(), None);
        drop(listener);
        assert!(refused(&address).await.unwrap().is_some());
        assert!(!is_theirs(&io::Error::from_raw_os_error(24)), "too many open files are ours");
    }
}
