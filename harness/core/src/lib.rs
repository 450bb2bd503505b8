//! The vocabulary of drdrill: traits and data. No I/O, no clock, no async runtime.
//!
//! Read in this order:
//!
//! 1. [`time`] — instants of a drill and intervals with hard bounds.
//! 2. [`verdict`] — pass, unknown, fail, and how they combine.
//! 3. [`scenario`] and [`inventory`] — the two file formats people write.
//! 4. [`action`] — faults, their undo as data, and the reverters that take them back.
//! 5. [`environment`] — what a place must offer so that a drill can run on it.
//! 6. [`parts`] — what the engine is put together from.
//! 7. [`sample`] and [`event`] — the one history everything writes to and everything is judged from.
//! 8. [`checker`], [`record`] and [`reporter`] — judging and telling.

pub mod action;
pub mod checker;
pub mod environment;
pub mod event;
pub mod inventory;
pub mod names;
pub mod parts;
pub mod probe;
pub mod ranges;
pub mod record;
pub mod reporter;
pub mod sample;
pub mod scenario;
pub mod time;
pub mod units;
pub mod verdict;
