//! Addresses as the original takes them: `host:port`, `:port`, or nothing at all.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket, lookup_host};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// Finds the address to listen at. An address without a host stands for all of this machine.
pub(crate) async fn resolve(address: &str) -> Result<SocketAddr, String> {
    if let Ok(found) = address.parse() {
        return Ok(found);
    }
    if address.is_empty() {
        return Ok(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)));
    }
    let (host, port) = split(address)?;
    let port = parse_port(port)?;
    if host.is_empty() {
        return Ok(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    }
    let found = lookup_host((host, port)).await;
    let mut found: Vec<_> = found.into_iter().flatten().collect();
    // Stable, so that the resolver's order decides among equals.
    found.sort_by_key(SocketAddr::is_ipv6);
    let first = found.first().copied();
    first.ok_or_else(|| format!("lookup {host}: no such host"))
}

/// The address to connect to: without a host, this machine.
pub(crate) fn dialable(address: &str) -> String {
    match address.strip_prefix(':') {
        Some(port) => format!("localhost:{port}"),
        None => address.to_owned(),
    }
}

/// Listens at `address`.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    let bound = bind(address).or_else(|error| match address {
        // No version 6 on this machine: all of it is all of version 4.
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, v6.port()))).map_err(|_| error)
        }
        _ => Err(error),
    });
    bound.map_err(|error| format!("listen tcp {address}: bind: {}", reason(&error)))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The system's words for an error, in the original's case and without the number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

fn split(address: &str) -> Result<(&str, &str), String> {
    let complain = |what: &str| format!("address {address}: {what}");
    let (host, port) =
        address.rsplit_once(':').ok_or_else(|| complain("missing port in address"))?;
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']');
        return Ok((inner.ok_or_else(|| complain("missing ']' in address"))?, port));
    }
    if host.contains(':') {
        return Err(complain("too many colons in address"));
    }
    Ok((host, port))
}

fn parse_port(port: &str) -> Result<u16, String> {
    match port {
        "" => Ok(0),
        "http" => Ok(80),
        "https" => Ok(443),
        _ if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            let parsed = port.parse();
            parsed.map_err(|_| format!("address {port}: invalid port"))
        }
        _ => Err(format!("lookup tcp/{port}: unknown port")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_way_to_write_an_address_is_understood() {
        for (written, meant) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:80", "[::1]:80"),
            (":80", "[::]:80"),
            ("", "[::]:0"),
            ("localhost:80", "127.0.0.1:80"),
        ] {
            assert_eq!(resolve(written).await.unwrap().to_string(), meant);
        }
    }

    #[tokio::test]
    async fn a_bad_address_is_explained() {
        for (written, complaint) in [
            ("localhost", "address localhost: missing port in address"),
            ("::1:80", "address ::1:80: too many colons in address"),
            ("[::1:80", "address [::1:80: missing ']' in address"),
            ("localhost:many", "lookup tcp/many: unknown port"),
        ] {
            assert_eq!(resolve(written).await.unwrap_err(), complaint);
        }
    }

    #[tokio::test]
    async fn a_busy_port_is_reported_in_the_words_of_the_original() {
        let first = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = first.local_addr().unwrap();
        let complaint = listen(address).unwrap_err();
        let expected = format!("listen tcp {address}: bind: address already in use");
        assert_eq!(complaint, expected);
    }
}
