//! What goes over a link: frames of a length, a tag and a body.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::LinkError;
use crate::store::{Change, Versioned};

/// The longest body that is accepted.
const LONGEST: usize = 64 * 1024 * 1024;
const MESSAGE: u8 = b'M';
const BYTES: u8 = b'B';

/// Everything but the bytes of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Message {
    /// A standby asks for what comes after its newest change.
    Hello {
        site: String,
        epoch: u64,
        lsn: u64,
        /// [`Change::digest`] of the newest change; empty when there is none.
        digest: String,
    },
    /// The source answers; a snapshot follows where the standby's history is none of its own.
    Welcome { epoch: u64, snapshot: Option<SnapshotHead> },
    /// The source does not serve this standby now.
    Refused { epoch: u64, reason: String },
    /// Changes, oldest first. After them the standby is `behind_ms` behind.
    Changes { changes: Vec<Change>, behind_ms: u64 },
    /// Nothing to ship.
    Heartbeat { behind_ms: u64 },
    /// The other site of a pair that both take writes asks for what this one has changed after `cursor`.
    Meet { site: String, epoch: u64, cursor: u64 },
    /// What `site` has changed, oldest first, up to `until` of its log. After them the other one is `behind_ms` behind.
    Merge { site: String, changes: Vec<Versioned>, until: u64, behind_ms: u64 },
    /// The standby has all of this durable.
    Applied { lsn: u64 },
}

/// What the bytes of a snapshot are to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SnapshotHead {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// One frame as received.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Message(Message),
    Bytes(Vec<u8>),
}

impl Frame {
    /// The message in the frame.
    pub(super) fn message(self) -> Result<Message, LinkError> {
        match self {
            Self::Message(message) => Ok(message),
            Self::Bytes(_) => Err(LinkError::Protocol("bytes where a message is due".to_owned())),
        }
    }
}

/// Sends one message.
pub(super) async fn send(
    link: &mut (impl AsyncWrite + Unpin),
    message: &Message,
) -> Result<(), LinkError> {
    let body =
        serde_json::to_vec(message).map_err(|error| LinkError::Protocol(error.to_string()))?;
    write(link, MESSAGE, &body).await
}

/// Sends a piece of a snapshot.
pub(super) async fn send_bytes(
    link: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
) -> Result<(), LinkError> {
    write(link, BYTES, bytes).await
}

async fn write(
    link: &mut (impl AsyncWrite + Unpin),
    tag: u8,
    body: &[u8],
) -> Result<(), LinkError> {
    let length = u32::try_from(body.len())
        .ok()
        .filter(|_| body.len() <= LONGEST)
        .ok_or_else(|| LinkError::Protocol(format!("a frame of {} bytes", body.len())))?;
    let mut frame = Vec::with_capacity(body.len() + 5);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.push(tag);
    frame.extend_from_slice(body);
    link.write_all(&frame).await?;
    Ok(())
}

/// Receives one frame, or fails when the link stays silent for too long.
pub(super) async fn receive(
    link: &mut (impl AsyncRead + Unpin),
    give_up: Duration,
) -> Result<Frame, LinkError> {
    timeout(give_up, read(link)).await.map_err(|_| LinkError::Silent(give_up))?
}

async fn read(link: &mut (impl AsyncRead + Unpin)) -> Result<Frame, LinkError> {
    let length = link.read_u32().await? as usize;
    let tag = link.read_u8().await?;
    if length > LONGEST {
        return Err(LinkError::Protocol(format!("a frame of {length} bytes")));
    }
    let mut body = vec![0; length];
    link.read_exact(&mut body).await?;
    match tag {
        BYTES => Ok(Frame::Bytes(body)),
        MESSAGE => serde_json::from_slice(&body)
            .map(Frame::Message)
            .map_err(|error| LinkError::Protocol(error.to_string())),
        other => Err(LinkError::Protocol(format!("a frame tagged {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_arrive_as_they_were_sent() {
        let (mut near, mut far) = tokio::io::duplex(1024);
        let message = Message::Applied { lsn: 7 };
        send(&mut near, &message).await.unwrap();
        send_bytes(&mut near, b"page").await.unwrap();
        let give_up = Duration::from_secs(5);
        assert_eq!(receive(&mut far, give_up).await.unwrap(), Frame::Message(message));
        assert_eq!(receive(&mut far, give_up).await.unwrap(), Frame::Bytes(b"page".to_vec()));
    }

    #[tokio::test]
    async fn a_silent_link_is_given_up() {
        let (_near, mut far) = tokio::io::duplex(1024);
        let outcome = receive(&mut far, Duration::from_millis(20)).await;
        assert!(matches!(outcome, Err(LinkError::Silent(_))), "{outcome:?}");
    }

    #[tokio::test]
    async fn an_endless_frame_is_refused() {
        let (mut near, mut far) = tokio::io::duplex(1024);
        near.write_all(&[0xff; 5]).await.unwrap();
        let outcome = receive(&mut far, Duration::from_secs(5)).await;
        assert!(matches!(outcome, Err(LinkError::Protocol(_))), "{outcome:?}");
    }
}
