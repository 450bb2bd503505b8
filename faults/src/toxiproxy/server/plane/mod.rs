//! The data plane: what happens to the bytes of a connection.
//!
//! ```text
//!                   +--------- chain ---------+
//! source -> scratch -> queue > stage > queue > stage > outbox -> destination      (toxics)
//! source -> scratch ------------------------------------------> destination      (none, small)
//! source -> pipe in the kernel -------------------------------> destination      (none, bulk)
//! ```
//!
//! 1. [`item`](Item) and [`Queue`] — data on its way, and the end of a stream.
//! 2. [`Chain`] — the toxics of one direction, in order.
//! 3. [`Direction`] — reads, lets the chain act, writes; [`Pipe`] spares bulk data the way through user space.
//! 4. [`Connection`] — two directions between two sockets, and the changes to them.

mod alarm;
mod chain;
mod connection;
mod direction;
mod item;
mod pipe;

pub(crate) use chain::Chain;
pub(crate) use connection::{Connection, Way};
pub(crate) use direction::Direction;
pub(crate) use item::{Chunk, Ending, Item, Queue};
pub(crate) use pipe::Pipe;
