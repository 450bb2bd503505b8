//! Probes watch: one attempt each time, as a client would make it. They record and never judge.
//!
//! [`HttpProbe`] speaks HTTP/1.1 over plain TCP, [`TcpProbe`] only connects. What a broken attempt means is
//! written down in one place, [`policy`].

mod http;
pub mod policy;
mod socket;
mod target;
mod tcp;

pub use http::HttpProbe;
pub use target::TargetError;
pub use tcp::TcpProbe;
