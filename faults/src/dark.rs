//! A site whose network goes dark: all of its proxies are down, and a canary sees it from where clients stand.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use drdrill_core::action::{ActionError, Presence};
use drdrill_core::environment::{LinkControl, SiteLinks};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Time a canary connection may take. On one machine a connection that is not answered by then is not answered.
const CANARY_TIMEOUT: Duration = Duration::from_millis(500);

/// The network of one site.
#[derive(Clone, Debug)]
pub struct SiteNetwork {
    /// The site.
    pub site: String,
    /// Its links.
    pub links: SiteLinks,
    /// Power over them.
    pub control: Arc<dyn LinkControl>,
}

impl SiteNetwork {
    /// Those of its proxies that are up now: what an undo has to bring back.
    ///
    /// # Errors
    /// When the proxy server does not answer.
    pub(crate) async fn up_now(&self) -> Result<Vec<String>, ActionError> {
        let mut up = Vec::new();
        for name in &self.links.proxies {
            if self.control.is_up(name).await? {
                up.push(name.clone());
            }
        }
        Ok(up)
    }

    /// Takes all of its proxies down.
    pub(crate) async fn darken(&self) -> Result<(), ActionError> {
        for name in &self.links.proxies {
            self.control.set_up(name, false).await?;
        }
        Ok(())
    }

    /// Whether clients can no longer reach the site. What the proxy server says of itself is not enough: clients may
    /// go past it.
    pub(crate) async fn look(&self) -> Result<Presence, ActionError> {
        let up = self.up_now().await?;
        if !up.is_empty() {
            return Ok(Presence::Absent { detail: format!("proxies still up: {}", up.join(", ")) });
        }
        let mut proof = format!("{} proxies are down", self.links.proxies.len());
        for path in &self.links.client_paths {
            let canary = match timeout(CANARY_TIMEOUT, TcpStream::connect(path)).await {
                Ok(Ok(_)) => {
                    let detail = format!("clients still reach {} at {path}", self.site);
                    return Ok(Presence::Absent { detail });
                }
                Ok(Err(error)) if is_the_networks(&error) => error.to_string(),
                // Our own trouble, such as no free descriptor, proves nothing.
                Ok(Err(error)) => return Err(ActionError::new("send a canary to", path, error)),
                Err(_) => format!("no answer within {CANARY_TIMEOUT:?}"),
            };
            let _ = write!(proof, "; a canary to {path}: {canary}");
        }
        Ok(Presence::InEffect { proof })
    }
}

/// Whether an error says something about the way to the site, and not about this machine.
pub(crate) fn is_the_networks(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, TimedOut,
    };
    let kinds = [ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, TimedOut];
    kinds.contains(&error.kind())
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::is_the_networks;

    #[test]
    fn our_own_trouble_is_no_proof_of_a_dark_network() {
        assert!(is_the_networks(&ErrorKind::ConnectionRefused.into()));
        let too_many_open_files = Error::from_raw_os_error(24);
        let no_free_port = ErrorKind::AddrNotAvailable.into();
        for error in [too_many_open_files, no_free_port] {
            assert!(!is_the_networks(&error), "{error}");
        }
    }
}
