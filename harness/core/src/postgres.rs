//! `PostgreSQL` as clients use it: where a server is, and what a statement does.

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::action::ActionError;
use crate::environment::FoundWrites;
use crate::secret::Secret;

/// How a connection to a server is encrypted, in the words of libpq's `sslmode`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// Never.
    Disable,
    /// Where the server can; who it is, is not looked at.
    #[default]
    Prefer,
    /// Always; who the server is, is not looked at.
    Require,
    /// Always, and the server's certificate must be for its name and of somebody who is trusted.
    VerifyFull,
}

/// A database of a server, and how to log in to it.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it is, `host:port`.
    pub address: String,
    /// The database.
    pub database: String,
    /// The user.
    pub user: String,
    /// The password, where it asks for one.
    pub password: Option<Secret>,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// File of certificates (PEM) that are trusted; those of the machine where absent. Only for [`Tls::VerifyFull`].
    pub ca: Option<PathBuf>,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres {}@{}/{}", self.user, self.address, self.database)
    }
}

/// The rows of one drill in a table of unique writes.
///
/// The columns of the table: `drill` and `seq`, together its primary key; `id`, `client`, `checksum` and `payload`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rows {
    /// The table: `name` or `schema.name`.
    pub table: String,
    /// What tells the rows of this drill from those of others.
    pub drill: String,
    /// Who writes.
    pub client: String,
}

/// What one attempt asks a server to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Statement {
    /// A query in a transaction that may only read.
    Select {
        /// The query.
        query: String,
        /// What the first column of the first row must be, as a text; anything, also no row, when absent.
        answers: Option<String>,
    },
    /// Write row number `sequence`. It is acknowledged when the server says, without a warning, that it is committed.
    Insert(Rows),
    /// Read the newest row, which must be whole; there may be none yet.
    Newest(Rows),
}

/// A server, and what an attempt asks it to do.
#[derive(Clone, Debug)]
pub struct PostgresCall {
    /// The server.
    pub server: Server,
    /// What is asked.
    pub statement: Statement,
}

/// A table of unique writes.
#[async_trait]
pub trait WriteTable: fmt::Debug + Send + Sync {
    /// Sees that the table is there and can hold rows, or creates it where it is not there and that is wished. Returns
    /// whether it was created.
    ///
    /// # Errors
    /// When it is not there, or is another one.
    async fn prepare(&self, create: bool) -> Result<bool, ActionError>;
    /// All rows of this drill, as the server at this very address has them.
    ///
    /// # Errors
    /// When they cannot be read to the last.
    async fn read_all(&self, address: &str) -> Result<FoundWrites, ActionError>;
}

/// Makes the table of a server.
pub type OpenTable = fn(&Server, &Rows) -> Result<std::sync::Arc<dyn WriteTable>, ActionError>;
