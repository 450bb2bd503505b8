//! Probes watch: one attempt each time, as a client would make it. They record and never judge.
//!
//! [`HttpProbe`] speaks HTTP/1.1 over plain TCP, [`TcpProbe`] only connects; with the feature `postgres` there are
//! statements to `PostgreSQL` servers. What a broken attempt means is written down in one place, [`policy`].

#[cfg(feature = "dns")]
mod dns;
mod http;
pub mod policy;
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "s3")]
mod s3;
mod socket;
mod target;
mod tcp;

use std::sync::Arc;

use drdrill_core::dns::DnsCall;
use drdrill_core::inventory::Attempt;
use drdrill_core::postgres::{PostgresCall, Rows, Server, WriteTable};
use drdrill_core::probe::{Call, Connection, HeaderValue, Probe, Purpose};
use drdrill_core::redis::RedisCall;
use drdrill_core::s3::S3Call;

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
        Call::Postgres(call) => return postgres_probe(call, purpose, connection),
        Call::Redis(call) => return redis_probe(call, purpose, connection),
        Call::Dns(call) => return dns_probe(call),
        Call::S3(call) => return s3_probe(call, purpose),
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

/// Whether this drdrill was built with what an attempt of an environment file needs.
///
/// # Errors
/// When it was not; says how to build it.
pub fn is_built_with(attempt: &Attempt) -> Result<(), TargetError> {
    match attempt {
        #[cfg(not(feature = "postgres"))]
        Attempt::Postgres(_) => Err(NO_POSTGRES),
        #[cfg(not(feature = "redis"))]
        Attempt::Redis(_) => Err(TargetError::NotBuilt { what: "Redis", feature: "redis" }),
        #[cfg(not(feature = "s3"))]
        Attempt::S3(_) => Err(TargetError::NotBuilt { what: "S3", feature: "s3" }),
        #[cfg(not(feature = "dns"))]
        Attempt::Dns(_) => Err(TargetError::NotBuilt { what: "DNS", feature: "dns" }),
        _ => Ok(()),
    }
}

#[cfg(feature = "postgres")]
fn postgres_probe(
    call: &PostgresCall,
    purpose: Purpose,
    connection: Connection,
) -> Result<Arc<dyn Probe>, TargetError> {
    Ok(Arc::new(postgres::PostgresProbe::new(call, purpose, connection)?))
}

#[cfg(not(feature = "postgres"))]
fn postgres_probe(
    _: &PostgresCall,
    _: Purpose,
    _: Connection,
) -> Result<Arc<dyn Probe>, TargetError> {
    Err(NO_POSTGRES)
}

/// What is said where `PostgreSQL` is asked for and not there.
#[cfg(not(feature = "postgres"))]
const NO_POSTGRES: TargetError = TargetError::NotBuilt { what: "PostgreSQL", feature: "postgres" };

/// The table of a server into which probes write, to be read back.
///
/// # Errors
/// When the server's address or certificates are not valid, or this drdrill was built without the feature `postgres`.
#[cfg(feature = "postgres")]
pub fn write_table(server: &Server, rows: &Rows) -> Result<Arc<dyn WriteTable>, TargetError> {
    Ok(Arc::new(postgres::Table::new(server, rows)?))
}

/// The table of a server into which probes write, to be read back.
///
/// # Errors
/// Always: this drdrill was built without the feature `postgres`.
#[cfg(not(feature = "postgres"))]
pub fn write_table(_: &Server, _: &Rows) -> Result<Arc<dyn WriteTable>, TargetError> {
    Err(NO_POSTGRES)
}

#[cfg(feature = "redis")]
fn redis_probe(
    call: &RedisCall,
    purpose: Purpose,
    connection: Connection,
) -> Result<Arc<dyn Probe>, TargetError> {
    Ok(Arc::new(redis::RedisProbe::new(call, purpose, connection)?))
}

#[cfg(not(feature = "redis"))]
fn redis_probe(_: &RedisCall, _: Purpose, _: Connection) -> Result<Arc<dyn Probe>, TargetError> {
    Err(TargetError::NotBuilt { what: "Redis", feature: "redis" })
}

#[cfg(feature = "dns")]
fn dns_probe(call: &DnsCall) -> Result<Arc<dyn Probe>, TargetError> {
    Ok(Arc::new(dns::DnsProbe::new(call)?))
}

#[cfg(not(feature = "dns"))]
fn dns_probe(_: &DnsCall) -> Result<Arc<dyn Probe>, TargetError> {
    Err(TargetError::NotBuilt { what: "DNS", feature: "dns" })
}

#[cfg(feature = "s3")]
fn s3_probe(call: &S3Call, purpose: Purpose) -> Result<Arc<dyn Probe>, TargetError> {
    Ok(Arc::new(s3::S3Probe::new(call, purpose)?))
}

#[cfg(not(feature = "s3"))]
fn s3_probe(_: &S3Call, _: Purpose) -> Result<Arc<dyn Probe>, TargetError> {
    Err(TargetError::NotBuilt { what: "S3", feature: "s3" })
}
