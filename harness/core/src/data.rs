//! Data of a system under drill: the tables that drdrill may damage, and how a client reads them.

use std::fmt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::action::ActionError;

/// A server of `PostgreSQL` in a container of this machine.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresPlace {
    /// The engine's name for the container.
    pub container: String,
    /// Where its volume is in there: another volume has other data.
    pub volume: String,
    /// The directory of its socket, where its superuser is known by being that user.
    pub sockets: String,
    /// The database.
    pub database: String,
}

/// What a table is in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DataPlace {
    /// A file of `SQLite`.
    File(PathBuf),
    /// A server, and those that replicate from it.
    Postgres {
        /// The server.
        server: PostgresPlace,
        /// Those whose copies replication makes.
        followers: Vec<PostgresPlace>,
        /// Where all of them see the directory for the rows as they were before.
        saved_at: String,
    },
}

/// A table of a database that drdrill may damage.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DataTable {
    /// The site whose data it is.
    pub site: String,
    /// What it is in.
    pub place: DataPlace,
    /// The table.
    pub table: String,
    /// Its column that tells rows apart.
    pub key: String,
    /// The column of text that a corruption changes.
    pub value: String,
    /// Directory for the rows as they were before: on no file system that a drill fills, gone with the environment.
    pub saved_in: PathBuf,
}

/// What a client reads under a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reading {
    /// A value.
    Value(String),
    /// Certainly nothing.
    Missing,
    /// The system could not answer, and says why.
    Broken(String),
}

/// The data of sites, from where faults change it and from where clients see it.
#[async_trait]
pub trait DataAccess: fmt::Debug + Send + Sync {
    /// The table that a site serves now; `None` where there is no such site.
    fn table(&self, site: &str) -> Option<DataTable>;
    /// The directory of this machine that all data of a site is in now; `None` where there is none.
    fn directory(&self, site: &str) -> Option<PathBuf> {
        match self.table(site)?.place {
            DataPlace::File(path) => path.parent().map(Path::to_owned),
            DataPlace::Postgres { .. } => None,
        }
    }
    /// Where this machine has the files of the server that a site's data is at; `None` where it has none.
    fn files(&self, _site: &str) -> Option<PathBuf> {
        None
    }
    /// Reads a row as a client of that very site does.
    async fn read(&self, site: &str, key: &str) -> Result<Reading, ActionError>;
}
