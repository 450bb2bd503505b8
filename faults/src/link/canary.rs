//! A request over a link, and whether anything comes back.

use std::io;
use std::time::Duration;

use drdrill_core::action::ActionError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::dark::is_the_networks;

/// Time an answer may take over a link that must be closed: one on this machine that is not there by then is not there.
pub(super) const CLOSED_WITHIN: Duration = Duration::from_millis(500);
/// Time it may take over a way that must be open. Machines are busy.
pub(super) const OPEN_WITHIN: Duration = Duration::from_secs(3);

/// Sends a request; `None` when something came back, else why nothing did.
///
/// # Errors
/// When it could not be sent for a reason of our own.
pub(super) async fn silent(
    address: &str,
    request: &[u8],
    patience: Duration,
) -> Result<Option<String>, ActionError> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request).await?;
        stream.read(&mut [0]).await
    };
    match timeout(patience, exchange).await {
        Err(_) => Ok(Some(format!("no answer within {patience:?}"))),
        Ok(Ok(0)) => Ok(Some("closed without an answer".to_owned())),
        Ok(Ok(_)) => Ok(None),
        Ok(Err(error)) if is_the_networks(&error) || error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(Some(error.to_string()))
        }
        Ok(Err(error)) => Err(ActionError::new("send a canary to", address, error)),
    }
}
