//! What a standby reports: how far it is, at least once a heartbeat.

use tokio::io::AsyncWrite;
use tokio::sync::watch;
use tokio::time::timeout;

use super::frame::{Message, send};
use super::{LinkError, LinkTiming};

/// Reports every lsn that becomes durable here, and the last one again at each heartbeat.
///
/// `applied` is `None` until the standby's history is known to be the source's.
pub(super) async fn report(
    mut link: impl AsyncWrite + Unpin,
    mut applied: watch::Receiver<Option<u64>>,
    timing: LinkTiming,
) -> Result<(), LinkError> {
    loop {
        let lsn = applied.borrow_and_update().unwrap_or(0);
        send(&mut link, &Message::Applied { lsn }).await?;
        // An elapsed heartbeat and a newly applied lsn are both reasons to report.
        if let Ok(Err(_)) = timeout(timing.heartbeat, applied.changed()).await {
            return Err(LinkError::RoleChanged);
        }
    }
}
