//! Where probes may go: how an address is written, and which addresses are never probed.
//!
//! Private and loopback addresses are what drills are about, so they are allowed. What is never probed are the addresses
//! at which clouds hand out credentials to whoever asks from inside, and those that mean no single host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::secret::NOT_IN_FILES;

/// Longest name of a host. Source: RFC 1035, section 2.3.4.
const LONGEST_NAME: usize = 253;

/// An address that no probe goes to.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddressError {
    /// The URL does not begin with `http://`.
    #[error("`{0}`: only http:// is spoken (put a TLS proxy in front, or probe the port with tcp)")]
    NotHttp(String),
    /// There is no host or no valid port.
    #[error("`{0}`: write the address as host:port, [v6]:port or, for HTTP, host")]
    Malformed(String),
    /// Somebody's name or password stands in front of the host. The text is not repeated.
    #[error(
        "a user name or a password in an address: {NOT_IN_FILES}; write headers: {{ Authorization: {{ env: NAME }} }} or {{ file: PATH }}"
    )]
    Credentials,
    /// A number in another notation than four decimal ones: programs do not agree which address it is.
    #[error(
        "`{0}` is a number that programs read in different ways; write the address as 192.0.2.1"
    )]
    Ambiguous(String),
    /// An address that is never probed.
    #[error("{ip} is never probed: {why}")]
    Never {
        /// The address.
        ip: IpAddr,
        /// Why not.
        why: &'static str,
    },
}

/// A host, by name or address, and a port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostPort {
    /// The host as written, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The address, where the host is one.
    pub literal: Option<IpAddr>,
}

/// An `http://` URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpUrl<'a> {
    /// Where to connect to.
    pub target: HostPort,
    /// Host and port as written.
    pub authority: &'a str,
    /// Path and query, which begin with `/`.
    pub path: String,
}

impl HostPort {
    /// Reads `name:port`, `v4:port` or `[v6]:port`; the port may be missing when there is a default.
    ///
    /// # Errors
    /// When it is no such thing, or an address that is never probed.
    pub fn parse(text: &str, default_port: Option<u16>) -> Result<Self, AddressError> {
        if text.contains('@') {
            return Err(AddressError::Credentials);
        }
        let malformed = || AddressError::Malformed(text.to_owned());
        let (host, port, bracketed) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(malformed)?;
                let port = match rest.strip_prefix(':') {
                    None if !rest.is_empty() => return Err(malformed()),
                    port => port,
                };
                (host, port, true)
            }
            None => match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port), false),
                None => (text, None, false),
            },
        };
        let port = match port {
            // Rust reads `+80` as a number as well.
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                port.parse().map_err(|_| malformed())?
            }
            Some(_) => return Err(malformed()),
            None => default_port.ok_or_else(malformed)?,
        };
        let literal = if bracketed {
            Some(host.parse::<Ipv6Addr>().map_err(|_| malformed())?.into())
        } else {
            host.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
        };
        match literal {
            Some(ip) => allowed(ip)?,
            None => name(host).map_err(|ambiguous| {
                if ambiguous { AddressError::Ambiguous(text.to_owned()) } else { malformed() }
            })?,
        }
        if port == 0 {
            return Err(malformed());
        }
        Ok(Self { host: host.to_owned(), port, literal })
    }
}

impl<'a> HttpUrl<'a> {
    /// Reads `http://host[:port][/path]`.
    ///
    /// # Errors
    /// When it is no such thing, or its address is never probed.
    pub fn parse(url: &'a str) -> Result<Self, AddressError> {
        let rest = url.strip_prefix("http://").ok_or_else(|| {
            if url.contains('@') {
                return AddressError::Credentials;
            }
            AddressError::NotHttp(url.to_owned())
        })?;
        let split = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(split);
        let path = path.split('#').next().unwrap_or("");
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { target: HostPort::parse(authority, Some(80))?, authority, path })
    }
}

/// Whether `host` can be the name of a host; `Err(true)` when it is a number in disguise.
fn name(host: &str) -> Result<(), bool> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if host.is_empty() || host.len() > LONGEST_NAME || !host.chars().all(fine) {
        return Err(false);
    }
    // As the URL standard has it (section 3.5, "ends in a number"): whoever reads it may take it for an address.
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"));
    if hexadecimal || last.is_empty() || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(true);
    }
    Ok(())
}

/// Refuses an address that is never probed, in whatever form it comes.
///
/// # Errors
/// When it is one.
pub fn allowed(ip: IpAddr) -> Result<(), AddressError> {
    let why = match ip {
        IpAddr::V4(v4) => never_v4(v4),
        IpAddr::V6(v6) => never_v6(v6),
    };
    why.map_or(Ok(()), |why| Err(AddressError::Never { ip, why }))
}

const METADATA: &str = "clouds hand out credentials there";
const LINK_LOCAL: &str = "it is link-local, where clouds hand out credentials";
const NO_HOST: &str = "it is not the address of one host";

fn never_v4(ip: Ipv4Addr) -> Option<&'static str> {
    // Alibaba, Azure and Oracle have theirs outside of 169.254.0.0/16.
    const CLOUDS: [Ipv4Addr; 3] = [
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(168, 63, 129, 16),
        Ipv4Addr::new(192, 0, 0, 192),
    ];
    match ip.octets() {
        _ if CLOUDS.contains(&ip) => Some(METADATA),
        [169, 254, ..] => Some(LINK_LOCAL),
        // This host, multicast, reserved and broadcast.
        [0 | 224..=255, ..] => Some(NO_HOST),
        _ => None,
    }
}

fn never_v6(ip: Ipv6Addr) -> Option<&'static str> {
    // Amazon and Google.
    const CLOUDS: [Ipv6Addr; 2] = [
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
        Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    ];
    if CLOUDS.contains(&ip) {
        return Some(METADATA);
    }
    if ip.is_unspecified() || ip.is_multicast() {
        return Some(NO_HOST);
    }
    // fe80::/10, and fec0::/10, which it was called once.
    if matches!(ip.segments(), [0xfe80..=0xfeff, ..]) {
        return Some(LINK_LOCAL);
    }
    if ip.is_loopback() {
        return None;
    }
    inner_v4(ip).and_then(never_v4)
}

/// The IPv4 address that an IPv6 address is translated or tunnelled to.
fn inner_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 =
        |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match ip.segments() {
        // Mapped, and the old compatible form;
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        // "translated" (SIIT);
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        // NAT64: the well-known prefix, and what is set aside for local ones (RFC 8215);
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        // 6to4;
        | [0x2002, high, low, ..]
        // ISATAP.
        | [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => v4(high, low),
        // Teredo: the client's address, each bit turned round.
        [0x2001, 0, .., high, low] => v4(!high, !low),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
