//! The vocabulary of drdrill: traits and data. No I/O, no clock, no async runtime.
//!
//! Read in this order:
//!
//! 1. [`time`] — instants of a drill and intervals with hard bounds.
//! 2. [`verdict`] — pass, unknown, fail, and how they combine.
//! 3. [`scenario`] and [`inventory`] — the two file formats people write.
//!    [`address`] says where probes may go, [`secret`] keeps what must not be shown.
//! 4. [`action`] — faults, their undo as data, and the reverters that take them back.
//! 5. [`environment`] — what a place must offer so that a drill can run on it; [`network`] — its nodes; [`links`] — the
//!    ways between its sites; [`process`], [`directory`], [`data`] and [`backup`] — its processes, directories, data and
//!    backups; [`intruder`] — who must not be let in.
//! 6. [`parts`] — what the engine is put together from.
//! 7. [`sample`] and [`event`] — the one history everything writes to and everything is judged from.
//! 8. [`runbook`] and [`tabletop`] — what people do, and exercises in which they walk through it; [`people`] — who is
//!    asked to do it in a drill; [`notice`] — what they are told meanwhile; [`backup_plan`] — what is backed up, and where to.
//! 9. [`checker`], [`record`] and [`reporter`] — judging and telling; [`program`] — what has to be drilled how often.

pub mod action;
pub mod address;
pub mod backup;
pub mod backup_plan;
pub mod checker;
pub mod data;
pub mod directory;
pub mod environment;
pub mod event;
pub mod intruder;
pub mod inventory;
pub mod links;
pub mod names;
pub mod network;
pub mod notice;
pub mod parts;
pub mod people;
pub mod probe;
pub mod process;
pub mod program;
pub mod ranges;
pub mod record;
pub mod reporter;
pub mod runbook;
pub mod sample;
pub mod scenario;
pub mod secret;
pub mod tabletop;
pub mod time;
pub mod units;
pub mod verdict;
mod written;
