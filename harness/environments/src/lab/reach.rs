//! Who looks at the lab's sites and tells them what to do, and from where: from outside, with a way of its own to each, or
//! from one site, with only the links between them to the other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::environment::{Role, SiteControl, SiteStatus};
use drdrill_core::inventory::SiteName;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::Http;
use super::units::meant;
use super::{DR, PRIMARY, Shared};

/// Time a call from one site to the other may take: what does not come by then does not come.
const PEER_TIMEOUT: Duration = Duration::from_secs(1);

/// Time a database may take to follow another one, for which it may have to copy all that is there. What asks for it has a
/// limit of its own.
pub(super) const FOLLOW_TIMEOUT: Duration = Duration::from_mins(10);

/// The steps that may take long.
const TAKE_LONG: [&str; 2] = ["follow", "promote"];

const NOTHING: Option<&Value> = None;

/// What a site's admin listener answers; it says more than is needed here.
#[derive(Debug, Deserialize)]
struct Status {
    role: Role,
    epoch: u64,
    fenced: bool,
    lsn: u64,
    source: Option<String>,
    connected: bool,
    lag_ms: Option<u64>,
    merged_lsn: Option<u64>,
    conflicts: u64,
}

/// What one of two sites is told that both take writes from now on; one that is `fenced`, when it is unfenced.
pub(super) fn pairing(epoch: u64, source: &str, position: u64, fenced: bool) -> Value {
    let pair = format!("{PRIMARY}+{DR}");
    json!({ "epoch": epoch, "source": source, "pair": pair, "position": position, "fenced": fenced })
}

/// Asks a site for its state at its admin address.
pub(super) async fn status_at(http: &Http, admin: &str) -> Result<SiteStatus, ActionError> {
    let url = format!("http://{admin}/status");
    let status: Status = http.call(Method::GET, &url, None, NOTHING).await?;
    let follows = status.role == Role::Standby && status.source.is_some();
    Ok(SiteStatus {
        role: status.role,
        epoch: status.epoch,
        fenced: status.fenced,
        position: status.lsn,
        lag_ms: status.lag_ms.filter(|_| follows),
        following: (follows || status.merged_lsn.is_some()) && status.connected,
        merged: status.merged_lsn,
        conflicts: status.conflicts,
    })
}

/// Eyes and hands at one place.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    pub(super) shared: Arc<Shared>,
    /// The site they are at; outside of all when absent.
    at: Option<SiteName>,
    pub(super) http: Http,
    /// For what takes long.
    orders: Http,
}

impl Reach {
    pub(super) fn from_outside(shared: &Arc<Shared>) -> Self {
        let (http, orders) = (shared.http.clone(), shared.orders.clone());
        Self { shared: shared.clone(), at: None, http, orders }
    }

    pub(super) fn from_site(shared: &Arc<Shared>, site: &str) -> Result<Self, ActionError> {
        let http = Http::within(PEER_TIMEOUT)?;
        let orders = if shared.hosts().is_some() { shared.orders.clone() } else { http.clone() };
        Ok(Self { shared: shared.clone(), at: Some(site.to_owned()), http, orders })
    }

    /// Whether a site is only reached by the links between sites.
    fn is_peer(&self, site: &str) -> bool {
        self.at.as_ref().is_some_and(|at| at != site)
    }

    fn admin(&self, site: &str) -> Result<&str, ActionError> {
        let peer = self.is_peer(site);
        let site = self.shared.site(site)?;
        Ok(if peer { &site.peer.admin } else { &site.proxied.admin })
    }

    /// Where the service of a site is looked at.
    pub(super) fn service(&self, site: &str) -> Result<&str, ActionError> {
        let peer = self.is_peer(site);
        let site = self.shared.site(site)?;
        Ok(if peer { &site.peer.http } else { &site.client_path })
    }

    async fn tell(&self, site: &str, what: &str, body: &Value) -> Result<(), ActionError> {
        let url = format!("http://{}/{what}", self.admin(site)?);
        let http = if TAKE_LONG.contains(&what) { &self.orders } else { &self.http };
        http.text(Method::POST, &url, None, Some(body)).await.map(drop)
    }
}

#[async_trait]
impl SiteControl for Reach {
    async fn status(&self, site: &str) -> Result<SiteStatus, ActionError> {
        status_at(&self.http, self.admin(site)?).await
    }

    async fn fence(&self, site: &str) -> Result<(), ActionError> {
        self.tell(site, "fence", &json!({})).await
    }

    async fn unfence(&self, site: &str) -> Result<(), ActionError> {
        self.tell(site, "unfence", &json!({})).await
    }

    async fn promote(&self, site: &str, epoch: u64) -> Result<(), ActionError> {
        self.tell(site, "promote", &json!({ "epoch": epoch })).await
    }

    async fn follow(&self, site: &str, source: &str) -> Result<(), ActionError> {
        let spec = &self.shared.spec;
        let (units, addresses) =
            ((meant(spec, source), meant(spec, site)), self.shared.site(source)?);
        let (Some(leads), Some(follows)) = (units.0.first(), units.1.first()) else {
            return Err(ActionError::new("follow", source, "there is no such site"));
        };
        let leader = addresses.leader(leads, follows);
        let target = json!({
            "source": leader.replication,
            "leader_url": format!("http://{}", leader.http),
        });
        self.tell(site, "follow", &target).await
    }

    async fn start(&self, site: &str) -> Result<(), ActionError> {
        self.shared.start_site(site).await
    }

    async fn wait_for(&self, site: &str, standbys: &[SiteName]) -> Result<(), ActionError> {
        self.tell(site, "synchronous", &json!({ "standbys": standbys })).await
    }

    async fn pair(&self, site: &str, with: &str, epoch: u64) -> Result<(), ActionError> {
        let position = self.status(site).await?.position;
        // What the first of them acknowledged before the second is told too would be lost when that fails.
        for (one, other, fenced) in [(with, site, true), (site, with, false)] {
            let source = &self.shared.site(other)?.proxied.replication;
            let body = pairing(epoch, source, position, fenced);
            self.tell(one, "pair", &body).await?;
        }
        self.unfence(with).await
    }

    async fn stand_down(&self, site: &str) -> Result<(), ActionError> {
        self.shared.stand_down(site).await
    }
}
