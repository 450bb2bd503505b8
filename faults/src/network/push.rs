//! Bytes pushed from one network to another, to count how many of them get through in a second.
//!
//! Both ends are sockets of drdrill's own, in the networks of a node and of its peer: nothing of the node's has to take
//! part. Datagrams, because a connection would adapt itself to the limit that is to be measured.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use drdrill_core::action::ActionError;
use drdrill_core::network::Way;
use drdrill_core::units::Rate;
use futures_util::future::try_join_all;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};

use super::canary::Path;
use crate::namespace::Namespace;

/// Bytes of an IP packet: small enough that a second of the slowest rate has 50 of them, and no fragments.
const PACKET_BYTES: Range<u64> = 200..1400;
/// Bytes of the headers of IP and UDP.
const HEADERS: (usize, usize) = (28, 48);
/// Datagrams that the reader may be late by.
const BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// Datagrams that are sent before the clock is looked at again.
const AT_ONCE: usize = 32;
/// Time between two looks at the clock.
const TICK: Duration = Duration::from_millis(1);

/// How long is pushed: first without counting, then counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Time before anything is counted.
    pub(super) warm_up: Duration,
    /// Time in which is counted.
    pub(super) counted: Duration,
}

/// Bytes to be pushed along a path.
#[derive(Clone, Debug)]
pub(super) struct Push {
    /// Between whom.
    pub(super) path: Path,
    /// One direction, as the node at the end of the path sees it.
    pub(super) way: Way,
    /// Port of the node; any free one when it is 0.
    pub(super) port: u16,
    /// How many bytes of IP packets a second.
    pub(super) pace: Rate,
}

/// What became of what was pushed, in bytes of IP packets a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    /// So much was sent.
    pub(super) sent: u64,
    /// So much arrived.
    pub(super) arrived: u64,
}

impl fmt::Display for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sender, node, ip) = (&self.path.sender, &self.path.node, self.path.to.ip());
        match self.way {
            Way::Out => write!(f, "{node} at {ip} to {sender}"),
            Way::In | Way::Both => write!(f, "{sender} to {node} at {ip}"),
        }
    }
}

/// Pushes all of them at once.
///
/// # Errors
/// When bytes cannot be pushed, which says nothing about the network.
pub(super) async fn push_all(pushes: &[Push], times: Times) -> Result<Vec<Flow>, ActionError> {
    try_join_all(pushes.iter().map(|push| push.push(times))).await
}

impl Push {
    async fn push(&self, times: Times) -> Result<Flow, ActionError> {
        let error =
            |error: String| ActionError::new("push bytes along", self.path.to_string(), error);
        let push = self.clone();
        let pushed = tokio::task::spawn_blocking(move || push.push_here(times));
        let pushed = pushed.await.map_err(|panic| error(panic.to_string()))?;
        pushed.or_else(|cause| match cause.kind() {
            // There is no way: so nothing arrives.
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                Ok(Flow { sent: 0, arrived: 0 })
            }
            io::ErrorKind::AddrNotAvailable => Err(error(format!(
                "{} is no address in the {}: a limit is only proved where addresses are not translated",
                self.path.to.ip(),
                self.path.at
            ))),
            io::ErrorKind::AddrInUse => {
                Err(error(format!("UDP port {} is taken there", self.port)))
            }
            _ => Err(error(cause.to_string())),
        })
    }

    fn push_here(&self, times: Times) -> io::Result<Flow> {
        let (node, peer) = self.sockets()?;
        let (from, to) = if self.way == Way::Out { (node, peer) } else { (peer, node) };
        let all = set_socket_recv_buffer_size_force(&to, BUFFER_BYTES);
        // Without the right to have more than others some have to do.
        all.or_else(|_| set_socket_recv_buffer_size(&to, BUFFER_BYTES))?;
        to.set_read_timeout(Some(TICK))?;
        let headers = if self.path.to.is_ipv4() { HEADERS.0 } else { HEADERS.1 };
        let start = Instant::now();
        let counted = start + times.warm_up..start + times.warm_up + times.counted;
        thread::scope(|scope| {
            let reader = scope.spawn(|| count(&to, headers, &counted));
            let sent = self.send(&from, headers, start, counted.end);
            let arrived = reader.join().map_err(|_| io::Error::other("the reader panicked"))?;
            let all = times.warm_up + times.counted;
            Ok(Flow { sent: a_second(sent, all), arrived: a_second(arrived, times.counted) })
        })
    }

    /// The socket of the node and that of its peer, connected with each other.
    fn sockets(&self) -> io::Result<(UdpSocket, UdpSocket)> {
        let ip = self.path.to.ip();
        let any: IpAddr =
            if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let bind =
            |at: &_, address: SocketAddr| Namespace::open(at)?.run(|| UdpSocket::bind(address))?;
        let node = bind(&self.path.at, SocketAddr::new(ip, self.port))?;
        let peer = bind(&self.path.from, SocketAddr::new(any, 0))?;
        peer.connect(node.local_addr()?)?;
        node.connect(peer.local_addr()?)?;
        Ok((node, peer))
    }

    /// Sends at the pace, until then; returns how many bytes.
    fn send(&self, from: &UdpSocket, headers: usize, start: Instant, until: Instant) -> u64 {
        let packet = self.packet_bytes();
        let datagram = vec![0; usize::try_from(packet).unwrap_or_default().saturating_sub(headers)];
        let mut sent = 0;
        while Instant::now() < until {
            let due = due(self.pace, start.elapsed());
            for _ in 0..AT_ONCE {
                if sent >= due {
                    thread::sleep(TICK);
                    break;
                }
                // What the network says of a datagram that it lost is told by what arrives.
                let _ = from.send(&datagram);
                sent += packet;
            }
        }
        sent
    }

    fn packet_bytes(&self) -> u64 {
        (self.pace.bytes_per_second / 150).clamp(PACKET_BYTES.start, PACKET_BYTES.end)
    }
}

/// Bytes of IP packets that arrive within that time.
fn count(to: &UdpSocket, headers: usize, counted: &Range<Instant>) -> u64 {
    let mut datagram = [0; 2048];
    let mut bytes = 0_u64;
    while Instant::now() < counted.end {
        let Ok(length) = to.recv(&mut datagram) else { continue };
        if counted.contains(&Instant::now()) {
            bytes = bytes.saturating_add(u64::try_from(length + headers).unwrap_or_default());
        }
    }
    bytes
}

fn due(pace: Rate, elapsed: Duration) -> u64 {
    let due = u128::from(pace.bytes_per_second) * elapsed.as_micros() / 1_000_000;
    u64::try_from(due).unwrap_or(u64::MAX)
}

fn a_second(bytes: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(bytes) * 1_000_000 / time.as_micros().max(1)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use drdrill_core::network::NetworkPlace;

    use super::*;

    #[tokio::test]
    async fn what_is_pushed_arrives_at_its_pace() {
        let path = Path {
            sender: "me".to_owned(),
            from: NetworkPlace::Own,
            node: "me".to_owned(),
            at: NetworkPlace::Own,
            to: ([127, 0, 0, 1], 9).into(),
        };
        let pace = Rate { bytes_per_second: 300_000 };
        let push = |way| Push { path: path.clone(), way, port: 0, pace };
        let times =
            Times { warm_up: Duration::from_millis(100), counted: Duration::from_millis(500) };
        for flow in push_all(&[push(Way::In), push(Way::Out)], times).await.unwrap() {
            assert!((200_000..=320_000).contains(&flow.arrived), "{flow:?}");
            assert!(flow.sent >= 200_000, "{flow:?}");
        }
        let elsewhere =
            Push { path: Path { to: ([192, 0, 2, 1], 9).into(), ..path.clone() }, ..push(Way::In) };
        let error = push_all(&[elsewhere], times).await.unwrap_err().to_string();
        assert!(error.contains("192.0.2.1 is no address in"), "{error}");
    }
}
