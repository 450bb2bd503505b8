//! Why a program of the lab cannot start or go on.

use std::io;
use std::net::SocketAddr;

use crate::backup::BackupError;
use crate::store::StoreError;

/// Why a program of the lab cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// No program has this name.
    #[error("unknown lab program `{program}` (known: {})", super::PROGRAMS.join(", "))]
    UnknownProgram {
        /// The name as given.
        program: String,
    },
    /// The configuration is not the JSON that the program takes.
    #[error("read the configuration of {program}: {source}")]
    Config {
        /// The program.
        program: String,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// A configured value cannot work.
    #[error("configuration: {reason}")]
    Setting {
        /// Which one, and what it must be.
        reason: String,
    },
    /// Another process listens on the address.
    #[error("listen on {address}: the address is busy (another process listens there)")]
    Busy {
        /// The address as configured.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("listen on {address}: {source}")]
    Listen {
        /// The address as configured.
        address: SocketAddr,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A file, a pipe or a process could not be used.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried, and on what.
        doing: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The database could not be used.
    #[error("use the database: {0}")]
    Store(#[from] StoreError),
    /// Backups could not be taken.
    #[error("back up: {0}")]
    Backup(#[from] BackupError),
}

impl LabError {
    /// An I/O error together with what was tried.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}
