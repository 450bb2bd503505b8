//! Listening, and saying so.

use std::io::{self, Write};
use std::net::SocketAddr;

use axum::Router;
use axum::serve::ListenerExt;
use serde_json::{Map, Value};
use tokio::net::TcpListener;

use super::LabError;

/// Listens on an address; port 0 lets the kernel choose one.
pub(crate) async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), LabError> {
    let listener = TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => LabError::Busy { address },
        _ => LabError::Listen { address, source },
    })?;
    let bound = listener.local_addr().map_err(|source| LabError::Listen { address, source })?;
    Ok((listener, bound))
}

/// Serves HTTP/1 on a listener for ever.
pub(crate) async fn serve(listener: TcpListener, routes: Router) -> Result<(), LabError> {
    let listener = listener.tap_io(|connection| {
        // Without it a small answer may wait for the client's delayed acknowledgement.
        let _ = connection.set_nodelay(true);
    });
    axum::serve(listener, routes).await.map_err(LabError::io("serve HTTP"))
}

/// Prints the one line that says where the program listens.
pub(crate) fn ready(fields: Map<String, Value>) -> Result<(), LabError> {
    let mut output = io::stdout().lock();
    writeln!(output, "ready {}", Value::Object(fields))
        .and_then(|()| output.flush())
        .map_err(LabError::io("print the ready line"))
}
