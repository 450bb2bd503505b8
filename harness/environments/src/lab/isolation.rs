//! A site that neither clients nor the other site reach, while operators still do.

use drdrill_core::action::ActionError;
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

use super::Shared;

/// Proxies in front of a site that are not its operators'.
const OTHERS: [&str; 4] = ["http", "replication", "peer_http", "peer_admin"];
/// Time a canary connection may take. On one machine a connection that is not answered by then is not answered.
const CANARY_TIMEOUT: Duration = Duration::from_millis(500);

impl Shared {
    pub(super) async fn cut_off(&self, site: &str) -> Result<String, ActionError> {
        let (addresses, links) = (self.site(site)?, &self.addresses()?.links);
        let mut were_up = Vec::new();
        for name in OTHERS.map(|link| self.proxy(&format!("{site}.{link}"))) {
            if links.is_up(&name).await? {
                were_up.push(name);
            }
        }
        // Known before any is down, so that half an isolation is taken back too.
        self.volumes().isolated.entry(site.to_owned()).or_default().extend(were_up.clone());
        for name in &were_up {
            links.set_up(name, false).await?;
        }
        let ways = [("clients", &addresses.client_path), ("the other site", &addresses.peer.http)];
        for (who, address) in ways {
            if let Ok(Ok(_)) = timeout(CANARY_TIMEOUT, TcpStream::connect(address)).await {
                let why = format!("{who} still reach it at {address}");
                return Err(ActionError::new("isolate", site, why));
            }
        }
        Ok("neither clients nor the other site reach it".to_owned())
    }

    /// What was up before is up again; what a fault has taken down stays so.
    pub(super) async fn let_in(&self, site: &str) -> Result<(), ActionError> {
        let links = &self.addresses()?.links;
        let were_up = self.volumes().isolated.get(site).cloned().unwrap_or_default();
        for name in &were_up {
            links.set_up(name, true).await?;
        }
        self.volumes().isolated.remove(site);
        Ok(())
    }
}
