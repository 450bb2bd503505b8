//! Where a probe connects to.

use std::io;
use std::net::SocketAddr;

use drdrill_core::address::{AddressError, HostPort, allowed};

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
        let mut found = tokio::net::lookup_host((host.as_str(), *port)).await?;
        let address = found.next().ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"))
        })?;
        allowed(address.ip()).map_err(io::Error::other)?;
        Ok(address)
    }
}

impl From<HostPort> for Target {
    fn from(target: HostPort) -> Self {
        Self(target)
    }
}
