//! Places that drills run on.
//!
//! 1. [`lab`] — the embedded two-site lab: real processes on this machine, made for one drill and gone after it.
//! 2. [`host`] — a system that is already there and that drdrill only watches.
//! 3. [`secrets`] — what environment files name and never contain.

pub mod host;
pub mod lab;
pub mod secrets;
