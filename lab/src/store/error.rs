//! Why the database did not do what was asked.

use std::io;

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Only a primary takes writes.
    #[error("not primary")]
    NotPrimary,
    /// This site takes no writes until it is unfenced, promoted or made to follow.
    #[error("fenced")]
    Fenced,
    /// The write contradicts what is stored.
    #[error("{0}")]
    Conflict(String),
    /// What was asked for is not there.
    #[error("{0}")]
    NotFound(String),
    /// The epoch is older than, or the same as, the one this site knows.
    #[error("epoch {offered} is not newer than the known epoch {known}")]
    StaleEpoch {
        /// The epoch that was offered.
        offered: u64,
        /// The highest epoch that this site knows.
        known: u64,
    },
    /// A stream goes on although this site follows it no longer.
    #[error("this site no longer follows that stream")]
    NotFollowing,
    /// A stream left something out.
    #[error("the stream goes on at lsn {got}, but lsn {expected} is next")]
    Gap {
        /// The next lsn of this site.
        expected: u64,
        /// The lsn that came.
        got: u64,
    },
    /// The group's COMMIT failed; the write may or may not be durable.
    #[error("commit: {0}")]
    Commit(String),
    /// The database library refused.
    #[error("{0}")]
    Sql(#[from] rusqlite::Error),
    /// A stored or streamed row is not what it should be.
    #[error("read a row: {0}")]
    Row(#[from] serde_json::Error),
    /// A file could not be used.
    #[error("{0}")]
    File(#[from] io::Error),
    /// The writer or a reader is gone.
    #[error("the database thread gave no answer")]
    Gone,
}
