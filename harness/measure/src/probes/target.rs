//! Where a probe connects to.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// A URL or an address that no probe can be made of.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The URL does not begin with `http://`.
    #[error(
        "probe `{0}`: only http:// is spoken (put a TLS proxy in front, or probe the port with tcp)"
    )]
    NotHttp(String),
    /// There is no host or no valid port.
    #[error("probe `{0}`: write the address as host:port, [v6]:port or, for HTTP, host")]
    BadAddress(String),
    /// A method, header or path would not be valid in a request.
    #[error("probe request: {what} `{text}` has characters that HTTP does not allow there")]
    BadRequest {
        /// Which part.
        what: &'static str,
        /// The text.
        text: String,
    },
}

/// A host and port. Literal addresses are resolved here and now; names are looked up for each new connection,
/// inside the timed path, because a failover by name is part of what a client waits for.
#[derive(Clone, Debug)]
pub(super) struct Target {
    host: String,
    port: u16,
    literal: Option<SocketAddr>,
}

impl Target {
    /// Reads `host:port`, `v4:port`, `[v6]:port`; the port may be missing when there is a default.
    pub(super) fn parse(text: &str, default_port: Option<u16>) -> Result<Self, TargetError> {
        let bad = || TargetError::BadAddress(text.to_owned());
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(bad)?;
                (host, rest.strip_prefix(':'))
            }
            None => match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().map_err(|_| bad())?,
            None => default_port.ok_or_else(bad)?,
        };
        let literal = host.parse::<IpAddr>().ok();
        let name_is_fine =
            host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        if host.is_empty() || (literal.is_none() && !name_is_fine) {
            return Err(bad());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            literal: literal.map(|ip| SocketAddr::new(ip, port)),
        })
    }

    /// The address to connect to now: the first that the name has.
    pub(super) async fn address(&self) -> io::Result<SocketAddr> {
        if let Some(address) = self.literal {
            return Ok(address);
        }
        let mut found = tokio::net::lookup_host((self.host.as_str(), self.port)).await?;
        found.next().ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("{} has no address", self.host))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let address = |text| Target::parse(text, None).unwrap().literal.unwrap();
        assert_eq!(address("127.0.0.1:80").to_string(), "127.0.0.1:80");
        assert_eq!(address("[::1]:81").to_string(), "[::1]:81");
        assert!(Target::parse("db-1.example:5432", None).unwrap().literal.is_none());
        assert_eq!(Target::parse("web", Some(80)).unwrap().port, 80);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "host", ":80", "host:", "host:99999", "a b:80", "[::1"] {
            assert!(Target::parse(text, None).is_err(), "{text}");
        }
    }
}
