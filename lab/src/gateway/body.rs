//! An answer on its way through, which must not hang for ever.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

/// A backend's answer; it ends with an error when the deadline passes first.
pub(super) struct Deadline {
    answer: Incoming,
    deadline: Pin<Box<Sleep>>,
}

/// Why an answer was broken off.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the backend's answer was not whole in time")]
    TimedOut,
    #[error("the backend broke its answer off: {0}")]
    Broken(#[from] hyper::Error),
}

impl Deadline {
    pub(super) fn new(answer: Incoming, deadline: Sleep) -> Self {
        Self { answer, deadline: Box::pin(deadline) }
    }
}

impl Body for Deadline {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = Pin::new(&mut self.answer).poll_frame(context)?;
        if frame.is_ready() {
            return frame.map(|frame| frame.map(Ok));
        }
        self.deadline.as_mut().poll(context).map(|()| Some(Err(BodyError::TimedOut)))
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}
