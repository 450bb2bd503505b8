//! Kept connections that carry no request at the moment.

use std::sync::{Mutex, PoisonError};

use tokio::net::TcpStream;

/// Most idle connections that are kept.
const MOST_IDLE: usize = 8;

/// Idle connections, the last used first.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<TcpStream>>);

impl Pool {
    /// Takes a connection.
    pub(super) fn take(&self) -> Option<TcpStream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps a connection for later.
    pub(super) fn keep(&self, stream: TcpStream) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(stream);
        }
    }
}
