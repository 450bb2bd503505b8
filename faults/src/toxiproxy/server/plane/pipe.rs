//! Moving bytes from socket to socket without a look at them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// What a pipe may hold. Larger ones save few calls and let one connection keep others waiting longer.
const WANTED_BYTES: usize = 256 * 1024;

/// A pipe of the kernel, between two sockets.
pub(crate) struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    held_bytes: usize,
}

impl Pipe {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        // A user near the limit of pipe memory gets the default size, which serves as well, only slower.
        let _ = fcntl_setpipe_size(&writer, WANTED_BYTES);
        Ok(Self { reader, writer, held_bytes: 0 })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held_bytes == 0
    }

    /// Takes what `source` has into the empty pipe; 0 is the end of the stream.
    pub(crate) fn fill(&mut self, source: impl AsFd) -> io::Result<usize> {
        let moved = shift(source, &self.writer, WANTED_BYTES)?;
        self.held_bytes += moved;
        Ok(moved)
    }

    /// Gives `destination` what it takes of the bytes held.
    pub(crate) fn drain(&mut self, destination: impl AsFd) -> io::Result<usize> {
        let moved = shift(&self.reader, destination, self.held_bytes)?;
        self.held_bytes -= moved;
        Ok(moved)
    }
}

fn shift(from: impl AsFd, to: impl AsFd, bytes: usize) -> io::Result<usize> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    Ok(splice(from, None, to, None, bytes, flags)?)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};

    use super::*;

    fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (here, listener.accept().unwrap().0)
    }

    #[test]
    fn bytes_pass_unchanged_and_then_the_end() {
        let (mut sender, source) = connected();
        let (destination, mut receiver) = connected();
        let mut pipe = Pipe::new().unwrap();
        sender.write_all(b"through the kernel").unwrap();
        assert_eq!(pipe.fill(&source).unwrap(), 18);
        assert!(!pipe.is_empty());
        assert_eq!(pipe.drain(&destination).unwrap(), 18);
        assert!(pipe.is_empty());
        let mut arrived = [0; 18];
        receiver.read_exact(&mut arrived).unwrap();
        assert_eq!(&arrived, b"through the kernel");
        sender.shutdown(Shutdown::Write).unwrap();
        assert_eq!(pipe.fill(&source).unwrap(), 0);
    }
}
