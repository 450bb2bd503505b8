//! The runs of the past: what is kept of each to find and compare them.
//!
//! Everything comes from the records, which are the evidence. [`Index`] is a cache in `SQLite` over them, and can be made
//! again from them at any time.

pub mod diff;
mod filter;
mod index;
mod problem;
mod row;

pub use filter::{Ended, Filter, parse_since, parse_until};
pub use index::{Index, IndexError, SCHEMA_VERSION};
pub(crate) use problem::{BANK, FUNCTION, REGISTERS};
pub use problem::{Problem, problems};
pub use row::{Functions, NotARow, RpoRow, RunRow, ServiceRow, time_of_id};
