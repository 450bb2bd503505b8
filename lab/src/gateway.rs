//! The gateway: an HTTP proxy outside both sites, which spreads requests over them by weight.

mod admin;
mod body;
mod config;
mod proxy;
mod spread;

use std::sync::Arc;

pub use config::{GatewayConfig, GatewayTiming};
use proxy::Proxy;

use crate::node::{self, LabError};

/// Runs a gateway until its standard input ends.
///
/// # Errors
///
/// When the weights do not fit the backends or an address cannot be listened on.
pub async fn run(config: GatewayConfig) -> Result<(), LabError> {
    node::hold_lifeline("gateway", config.die_with_starting_thread)?;
    let proxy = Proxy::new(&config).map(Arc::new).map_err(|reason| LabError::Setting { reason })?;
    let (http, http_address) = node::listen(config.http).await?;
    let (admin, admin_address) = node::listen(config.admin).await?;
    let mut fields = node::ready_fields("gateway");
    fields.insert("http".to_owned(), http_address.to_string().into());
    fields.insert("admin".to_owned(), admin_address.to_string().into());
    node::ready(fields)?;
    tokio::select! {
        ended = node::serve(admin, admin::routes(Arc::clone(&proxy))) => ended,
        () = proxy::accept(http, proxy) => Ok(()),
    }
}
