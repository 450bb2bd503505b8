//! Toxiproxy: a proxy that spoils TCP connections on request.
//!
//! 1. [`client`] — asks any Toxiproxy server for faults, and believes nothing it has not read back.
//! 2. [`server`] — a server of our own that answers as Toxiproxy 2.12 does, for machines that have none.
//!
//! The two share no types: each is held to the recorded behaviour of the real server on its own.

pub mod client;
pub mod server;
