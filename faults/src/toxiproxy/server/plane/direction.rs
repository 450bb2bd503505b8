//! One direction of a connection: reads, lets the chain act, writes.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use drdrill_clock::monotonic_nanos;
use rand::rngs::StdRng;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::{Chain, Chunk, Ending, Item, Pipe};
use crate::toxiproxy::server::toxics::Moment;

/// What one read can take. A read that fills it is taken for bulk, and the next goes through a [`Pipe`].
const SCRATCH_BYTES: usize = 16 * 1024;

/// A transfer through the pipe smaller than this ends the bulk: for little data a copy is cheaper.
const BULK_BYTES: usize = 4 * 1024;

/// Bytes after which other connections get their turn.
const TURN_BYTES: usize = 512 * 1024;

/// Why a direction is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// Everything was written and this came last.
    Ended(Ending),
    /// The destination takes no more.
    Broken,
}

/// See the picture in [`super`].
pub(crate) struct Direction {
    pub(crate) chain: Chain,
    scratch: Box<[u8]>,
    /// The part of `scratch` that is still to be written.
    pending: Range<usize>,
    pipe: Option<Pipe>,
    bulk: bool,
    /// Whether the source may have more.
    reading: bool,
    /// When to be polled again though nothing happens.
    pub(crate) wake: Option<u64>,
}

impl Direction {
    pub(crate) fn new() -> Self {
        Self {
            chain: Chain::new(),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            pending: 0..0,
            pipe: None,
            bulk: false,
            reading: true,
            wake: None,
        }
    }

    /// Moves what can be moved.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        random: &mut StdRng,
        source: &mut TcpStream,
        destination: &mut TcpStream,
    ) -> Poll<Finish> {
        let mut turn = 0;
        loop {
            let written = match self.deliver(cx, destination) {
                Poll::Ready(Ok(None)) => true,
                Poll::Ready(Ok(Some(ending))) => return Poll::Ready(Finish::Ended(ending)),
                Poll::Ready(Err(_)) => return Poll::Ready(Finish::Broken),
                Poll::Pending => false,
            };
            if turn >= TURN_BYTES {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.chain.is_transparent() {
                self.wake = None;
                if !written || !self.reading {
                    return Poll::Pending;
                }
                turn += ready!(self.take(cx, source));
                continue;
            }
            let now = monotonic_nanos();
            let (moved, wake) = self.chain.advance(&mut Moment { now, random });
            self.wake = wake;
            let mut read = false;
            if self.reading
                && self.pending.is_empty()
                && self.chain.has_room()
                && let Poll::Ready(taken) = self.take_into_chain(cx, source)
            {
                turn += taken;
                read = true;
            }
            if !moved && !read {
                return Poll::Pending;
            }
        }
    }

    /// Writes everything that is past the chain. Ready with an ending when that was written last.
    fn deliver(
        &mut self,
        cx: &mut Context<'_>,
        destination: &mut TcpStream,
    ) -> Poll<io::Result<Option<Ending>>> {
        while !self.pending.is_empty() {
            let data = &self.scratch[self.pending.clone()];
            let written = ready!(Pin::new(&mut *destination).poll_write(cx, data))?;
            self.pending.start += written;
        }
        if let Some(pipe) = &mut self.pipe {
            while !pipe.is_empty() {
                ready!(destination.poll_write_ready(cx))?;
                let drained = destination.try_io(Interest::WRITABLE, || pipe.drain(&*destination));
                match drained {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    other => drop(other?),
                }
            }
        }
        let outbox = self.chain.outbox();
        while let Some(item) = outbox.front() {
            match item {
                Item::Data(chunk) => {
                    let data = &chunk.data;
                    let written = ready!(Pin::new(&mut *destination).poll_write(cx, data))?;
                    outbox.forget_bytes(written);
                }
                Item::End(ending) => return Poll::Ready(Ok(Some(*ending))),
            }
        }
        Poll::Ready(Ok(None))
    }

    /// Reads past the chain, into the pipe if the data is bulk and into `scratch` if not.
    fn take(&mut self, cx: &mut Context<'_>, source: &mut TcpStream) -> Poll<usize> {
        if self.bulk {
            let taken = ready!(self.take_into_pipe(cx, source));
            return Poll::Ready(self.note(&taken));
        }
        let taken = ready!(self.take_into_scratch(cx, source));
        if let Ok(length) = taken {
            self.pending = 0..length;
            self.bulk = length == SCRATCH_BYTES && self.has_pipe();
        }
        Poll::Ready(self.note(&taken))
    }

    fn take_into_chain(&mut self, cx: &mut Context<'_>, source: &mut TcpStream) -> Poll<usize> {
        let taken = ready!(self.take_into_scratch(cx, source));
        if let Ok(length @ 1..) = taken {
            let data = Bytes::copy_from_slice(&self.scratch[..length]);
            let at = monotonic_nanos();
            self.chain.push(Item::Data(Chunk { data, at }));
        }
        Poll::Ready(self.note(&taken))
    }

    fn take_into_scratch(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut TcpStream,
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(&mut self.scratch);
        ready!(Pin::new(source).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn take_into_pipe(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut TcpStream,
    ) -> Poll<io::Result<usize>> {
        let Some(pipe) = &mut self.pipe else {
            return self.take_into_scratch(cx, source);
        };
        loop {
            ready!(source.poll_read_ready(cx))?;
            match source.try_io(Interest::READABLE, || pipe.fill(&*source)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                taken => {
                    self.bulk = matches!(taken, Ok(BULK_BYTES..));
                    return Poll::Ready(taken);
                }
            }
        }
    }

    /// Makes the end of the source an item of the stream.
    fn note(&mut self, taken: &io::Result<usize>) -> usize {
        let ending = match taken {
            Ok(0) => Ending::Closed,
            Ok(length) => return *length,
            Err(_) => Ending::Lost,
        };
        self.reading = false;
        self.chain.push(Item::End(ending));
        0
    }

    /// Whether there is a pipe for bulk data; without one it is copied.
    fn has_pipe(&mut self) -> bool {
        if self.pipe.is_none() {
            self.pipe = Pipe::new().ok();
        }
        self.pipe.is_some()
    }
}
