//! A server that behaves as Toxiproxy 2.12 does, in this process or as a process of its own.
//!
//! ```text
//! api  -> proxies -> proxy -> toxic        what is wanted, and the answers
//!                      |        |
//!                      v        v
//! client <-> plane::Connection, toxics     what happens to the bytes      <-> upstream
//! ```
//!
//! It differs from the original on purpose in these points:
//!
//! - A client may close its sending side and still receive; the original closes both sides.
//! - `reset_peer` resets connections that were there before the toxic; the original closes them.
//! - Toxics follow each other: time spent in one does not count in the next.
//! - Chances come from a seed, so that a run can be repeated; a connection is struck or spared once, when it
//!   starts or the toxic is added or changed.
//! - There are no metrics.

mod api;
mod go;
mod plane;
mod proxies;
mod proxy;
mod running;
mod toxic;
mod toxics;

pub use running::{Server, ServerError, serve};
