//! Where a probe connects to.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use drdrill_core::address::{AddressError, HostPort, allowed};
use tokio::sync::Semaphore;

/// Name lookups under way at once. A lookup cannot be abandoned: behind a name server that says nothing each keeps a
/// thread, also when its attempt was cut off long ago. There are 512 threads; with fewer lookups than that none ever
/// waits behind a stale one, and what it is told is what the name server says now.
const LOOKUPS_AT_ONCE: usize = 128;

/// Room for lookups.
static LOOKUPS: Semaphore = Semaphore::const_new(LOOKUPS_AT_ONCE);

/// A URL or an address that no probe can be made of.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The address is none, or one that is never probed.
    #[error("probe {0}")]
    Address(#[from] AddressError),
    /// A method, header or path would not be valid in a request. What the value of a header is, is not said.
    #[error("probe request: {what} `{text}` has characters that HTTP does not allow there")]
    BadRequest {
        /// Which part.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// This drdrill was built without it.
    #[error(
        "this drdrill was built without {what}: build it with `cargo build --release --features {feature}`"
    )]
    NotBuilt {
        /// What is missing.
        what: &'static str,
        /// The feature that brings it.
        feature: &'static str,
    },
    /// Certificates that are to be trusted cannot be read.
    #[error("probe certificates: {0}")]
    Certificates(String),
}

/// A host and port. Literal addresses are resolved here and now; names are looked up for each new connection,
/// inside the timed path, because a failover by name is part of what a client waits for.
#[derive(Clone, Debug)]
pub(super) struct Target(HostPort);

impl Target {
    /// Reads `host:port`, `v4:port`, `[v6]:port`.
    pub(super) fn parse(text: &str) -> Result<Self, TargetError> {
        Ok(Self(HostPort::parse(text, None)?))
    }

    /// The host as it was written, for whoever looks at certificates.
    #[cfg(feature = "postgres")]
    pub(super) fn host(&self) -> &str {
        &self.0.host
    }

    /// The address to connect to now: the first that the name has. It is looked at after the lookup and connected to
    /// without another one, so that a name that changes its mind leads nowhere else.
    pub(super) async fn address(&self) -> io::Result<SocketAddr> {
        let HostPort { host, port, literal } = &self.0;
        if let Some(ip) = literal {
            // Checked when it was read.
            return Ok(SocketAddr::new(*ip, *port));
        }
        let name = (host.clone(), *port);
        let mut found = look_up(&LOOKUPS, move || name.to_socket_addrs()).await?;
        let address = found.next().ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"))
        })?;
        allowed(address.ip()).map_err(io::Error::other)?;
        Ok(address)
    }
}

/// All threads for name lookups are taken by some that hang: nothing is learnt of the service.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the name was not looked up: as many lookups as there may be at once are not answered")]
pub(super) struct LookupsHang;

/// Looks a name up on a thread of its own. The slot is given back when the lookup has really ended.
async fn look_up<T: Send + 'static>(
    slots: &'static Semaphore,
    resolve: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let slot = slots.try_acquire().map_err(|_| io::Error::other(LookupsHang))?;
    let lookup = tokio::task::spawn_blocking(move || {
        let found = resolve();
        drop(slot);
        found
    });
    lookup.await.map_err(io::Error::other)?
}

impl From<HostPort> for Target {
    fn from(target: HostPort) -> Self {
        Self(target)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::time::{Duration, Instant};

    use drdrill_core::probe::Purpose;
    use drdrill_core::sample::Outcome;

    use super::super::policy::Broken;
    use super::*;

    /// A lookup that hangs until its sender is gone.
    fn hangs(until: Receiver<()>) -> impl FnOnce() -> io::Result<u8> {
        move || {
            let _ = until.recv();
            Ok(0)
        }
    }

    #[tokio::test]
    async fn an_attempt_without_room_for_its_lookup_says_nothing_of_the_service() {
        static SLOTS: Semaphore = Semaphore::const_new(2);
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| channel()).unzip();
        for until in receivers {
            let attempt = tokio::spawn(look_up(&SLOTS, hangs(until)));
            while !attempt.is_finished() && SLOTS.available_permits() > 1 {
                tokio::task::yield_now().await;
            }
            // The attempt is cut off, and its lookup goes on.
            tokio::time::timeout(Duration::from_millis(50), attempt).await.unwrap_err();
        }
        assert_eq!(SLOTS.available_permits(), 0);
        let error = look_up(&SLOTS, || Ok(1)).await.unwrap_err();
        let outcome = Broken::Connecting(error).outcome(Purpose::Write);
        assert!(matches!(&outcome, Outcome::ProberError(text) if text.contains("lookups")));
        drop(senders);
        let give_up = Instant::now() + Duration::from_secs(20);
        while SLOTS.available_permits() < 2 {
            assert!(Instant::now() < give_up, "the slots were not given back");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(look_up(&SLOTS, || Ok(1)).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_name_is_looked_up() {
        let target = Target::parse("localhost:7").unwrap();
        let address = target.address().await.unwrap();
        assert!(address.ip().is_loopback() && address.port() == 7, "{address}");
    }
}
