//! Kept connections that carry no request at the moment.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};

use tokio::net::TcpStream;

/// Most idle connections that are kept for good.
const MOST_IDLE: usize = 8;

/// Idle connections, the last used at the back.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<VecDeque<TcpStream>>);

impl Pool {
    /// Takes the connection that was used last.
    ///
    /// Closes two of those that are too many: after a stall there can be thousands, and closing them all at once
    /// would delay the very answers whose time is being taken.
    pub(super) fn take(&self) -> Option<TcpStream> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..2 {
            if idle.len() > MOST_IDLE {
                idle.pop_front();
            }
        }
        idle.pop_back()
    }

    /// Keeps a connection for later.
    pub(super) fn keep(&self, stream: TcpStream) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push_back(stream);
    }
}

/// An idle connection must have nothing to read: neither an end nor bytes nobody asked for.
pub(super) fn still_open(stream: TcpStream) -> io::Result<TcpStream> {
    match stream.try_read(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(stream),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::ConnectionAborted,
            "the kept connection was closed by the other side",
        )),
    }
}
