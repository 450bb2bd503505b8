//! A site's database: one writer with group commit, many readers, the change log.

mod change;
mod consistency;
mod error;
mod gate;
mod merge;
mod readers;
mod rows;
mod schema;
mod session;
mod snapshot;
mod state;
mod writer;

pub(crate) use change::Change;
pub use consistency::Consistency;
pub(crate) use consistency::consistency;
pub(crate) use error::StoreError;
pub(crate) use gate::ShipGate;
pub(crate) use merge::{Peer, Versioned, between as versioned_between, conflicts, made_here};
pub(crate) use readers::Readers;
pub(crate) use rows::{Entry, Job, JobState, Kind, Moved, Posting, Register, Row, User};
pub use schema::database_path;
pub(crate) use schema::{open_reader, open_writer};
pub(crate) use session::Session;
pub(crate) use snapshot::copy_to;
pub use state::Role;
pub(crate) use state::{SiteState, last_change};
pub(crate) use writer::{Writer, WriterConfig};
