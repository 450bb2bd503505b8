//! Connections that tell whether packets pass.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use drdrill_core::action::ActionError;
use drdrill_core::network::{NetworkNode, NetworkPlace};
use futures_util::future::try_join_all;

use crate::namespace::Namespace;

/// Time a canary connection may take: less than the second after which the kernel repeats a lost request, so that one
/// lost packet is one failed canary.
pub const CANARY_TIMEOUT: Duration = Duration::from_millis(400);

/// A way that a canary takes.
#[derive(Clone, Debug)]
pub struct Path {
    /// Who sends it, for people.
    pub sender: String,
    /// Where it starts.
    pub from: NetworkPlace,
    /// Whom it is sent to, for people.
    pub node: String,
    /// The network in which it ends.
    pub at: NetworkPlace,
    /// The address at which it ends.
    pub to: SocketAddr,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} at {}", self.sender, self.node, self.to)
    }
}

/// What became of a canary.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// It was answered: packets pass both ways. A refusal is an answer too.
    Answered,
    /// Nobody answered in time, or the network said that there is no way.
    Lost(String),
}

impl Path {
    /// The way from a peer to a node.
    pub(super) fn from_peer(peer: &NetworkNode, node: &NetworkNode) -> Result<Self, ActionError> {
        Self::new(peer.node.clone(), peer.place.clone(), node)
    }

    /// The way from drdrill itself to a node.
    pub(super) fn from_us(node: &NetworkNode) -> Result<Self, ActionError> {
        Self::new("drdrill".to_owned(), NetworkPlace::Own, node)
    }

    fn new(sender: String, from: NetworkPlace, node: &NetworkNode) -> Result<Self, ActionError> {
        let to = node.canary.parse();
        let to = to.map_err(|error| ActionError::new("read the canary of", &*node.node, error))?;
        Ok(Self { sender, from, node: node.node.clone(), at: node.place.clone(), to })
    }

    /// Sends one canary.
    ///
    /// # Errors
    /// When it could not be sent, which says nothing about the way.
    pub async fn send(&self) -> Result<Arrival, ActionError> {
        Ok(self.time(CANARY_TIMEOUT).await?.0)
    }

    /// Sends one canary, waits so long for the answer, and tells how long that took.
    ///
    /// # Errors
    /// See [`Path::send`].
    pub(super) async fn time(
        &self,
        patience: Duration,
    ) -> Result<(Arrival, Duration), ActionError> {
        let path = self.clone();
        let sent = tokio::task::spawn_blocking(move || {
            Namespace::open(&path.from)?.run(|| {
                let start = Instant::now();
                let connected = TcpStream::connect_timeout(&path.to, patience);
                (connected.map(drop), start.elapsed())
            })
        });
        let error = |error: &dyn fmt::Display| {
            ActionError::new("send a canary from", self.sender.clone(), error)
        };
        let (connected, took) =
            sent.await.map_err(|panic| error(&panic))?.map_err(|cause| error(&cause))?;
        let arrival = match connected {
            Ok(()) => Arrival::Answered,
            Err(cause) => judge(&cause, patience).ok_or_else(|| error(&cause))?,
        };
        Ok((arrival, took))
    }
}

/// Sends one canary along each way, all at once.
///
/// # Errors
/// When one could not be sent.
pub(super) async fn send_all(paths: &[Path]) -> Result<Vec<Arrival>, ActionError> {
    try_join_all(paths.iter().map(Path::send)).await
}

/// What an error says about the way; `None` when it says something about this machine only.
fn judge(error: &io::Error, patience: Duration) -> Option<Arrival> {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
            Some(Arrival::Answered)
        }
        io::ErrorKind::TimedOut => Some(Arrival::Lost(format!("no answer within {patience:?}"))),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Some(Arrival::Lost(error.to_string()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_answer_is_an_answer_and_a_refusal_too() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let path = Path {
            sender: "me".to_owned(),
            from: NetworkPlace::Own,
            node: "me".to_owned(),
            at: NetworkPlace::Own,
            to: listener.local_addr().unwrap(),
        };
        assert_eq!(path.send().await.unwrap(), Arrival::Answered);
        drop(listener);
        assert_eq!(path.send().await.unwrap(), Arrival::Answered);
    }

    #[tokio::test]
    async fn where_it_cannot_be_sent_nothing_is_said() {
        let path = Path {
            sender: "nobody".to_owned(),
            from: NetworkPlace::Netns("drdrill-no-such-namespace".to_owned()),
            node: "me".to_owned(),
            at: NetworkPlace::Own,
            to: ([127, 0, 0, 1], 9).into(),
        };
        assert!(path.send().await.is_err());
    }

    #[test]
    fn our_own_trouble_is_no_lost_packet() {
        let too_many_open_files = io::Error::from_raw_os_error(24);
        assert_eq!(judge(&too_many_open_files, CANARY_TIMEOUT), None);
        assert!(matches!(
            judge(&io::ErrorKind::TimedOut.into(), CANARY_TIMEOUT),
            Some(Arrival::Lost(_))
        ));
    }
}
