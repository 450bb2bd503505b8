//! Probes watch: one attempt each time, as a client would make it. They record and never judge.
//!
//! [`HttpProbe`] speaks HTTP/1.1 over plain TCP, [`TcpProbe`] only connects. What a broken attempt means is
//! written down in one place, [`policy`].

mod http;
pub mod policy;
mod socket;
mod target;
mod tcp;

use std::sync::Arc;

use drdrill_core::probe::{Call, Connection, HeaderValue, Probe, Purpose};

pub use http::HttpProbe;
pub use target::TargetError;
pub use tcp::TcpProbe;

/// The probe that makes `call`, as evidence of `purpose`, on connections of that kind.
///
/// # Errors
/// When the call's address, method or headers are not valid.
pub fn probe(
    call: &Call,
    purpose: Purpose,
    connection: Connection,
) -> Result<Arc<dyn Probe>, TargetError> {
    let (method, url, else_at, headers, body, body_contains, deed) = match call {
        Call::Tcp { address } => return Ok(Arc::new(TcpProbe::new(address)?)),
        Call::Http { method, url, else_at, headers, body, body_contains, deed } => {
            (method, url, else_at, headers, body, body_contains, deed)
        }
    };
    let mut probe = HttpProbe::new(method, url)?.purpose(purpose).connection(connection);
    for address in else_at {
        probe = probe.else_at(address)?;
    }
    for (name, value) in headers {
        probe = match value {
            HeaderValue::Current(secret) => probe.current_header(name, Arc::clone(secret))?,
            fixed => probe.header(name, &fixed.expose())?,
        };
    }
    if let Some(body) = body {
        probe = probe.shared_body(Arc::clone(body));
    }
    if let Some(text) = body_contains {
        probe = probe.body_contains(text);
    }
    if let Some(deed) = deed {
        probe = probe.shared_deed(Arc::clone(deed));
    }
    Ok(Arc::new(probe))
}
