//! Redis as clients use it.

use crate::secret::Secret;

/// A server, and what an attempt asks of it.
#[derive(Clone, Debug)]
pub struct RedisCall {
    /// Where it is, `host:port`.
    pub address: String,
    /// The user; the default one when absent.
    pub user: Option<String>,
    /// The password, where it asks for one.
    pub password: Option<Secret>,
    /// The number of the database.
    pub database: u16,
    /// What is asked.
    pub command: Command,
}

/// What is asked of a Redis server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// Whether it answers.
    Ping,
    /// The value of a key.
    Get {
        /// The key.
        key: String,
        /// What it must be; anything but nothing, when absent.
        answers: Option<String>,
    },
    /// Sets a key that is set only once: the prefix, the drill, and the number of the attempt. It goes by itself.
    Set {
        /// What the key begins with.
        prefix: String,
        /// What tells this drill from others.
        drill: String,
        /// How long it stays, in seconds.
        expires_s: u64,
    },
}
