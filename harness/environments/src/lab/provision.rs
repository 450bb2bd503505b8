//! A site that is built anew where nothing is left of it.

use drdrill_core::action::ActionError;
use drdrill_core::backup::Volume;

use super::Shared;

/// What there was of a site before it was provisioned.
#[derive(Clone, Debug)]
pub(super) struct Unprovisioned {
    /// The volume that it had served from.
    volume: Volume,
    /// Proxies that were down.
    were_down: Vec<String>,
    /// Whether no gateway ran at its entrance.
    without_entrance: bool,
}

impl Shared {
    /// Brings the site's network and the entrance of its region up again, where nothing runs and no data is.
    pub(super) async fn provide(&self, site: &str) -> Result<String, ActionError> {
        let fail = |why: String| ActionError::new("provision", site, why);
        for component in self.components() {
            if self.runs(site, component).await {
                return Err(fail(format!("its {component} still runs")));
            }
        }
        let volume = self.volume(site);
        if volume.directory.exists() {
            return Err(fail(format!("its data is still there, on volume {}", volume.name)));
        }
        let links = &self.addresses()?.links;
        let region = self.links_of_region(site).map(|region| region.proxies).unwrap_or_default();
        let mut were_down = Vec::new();
        for name in region {
            if !links.is_up(&name).await? {
                were_down.push(name);
            }
        }
        // Known before any is up, so that half of it is given back too.
        let without_entrance = self.gateways().await.iter().all(|(of, _)| of != site);
        let before = Unprovisioned { volume, were_down: were_down.clone(), without_entrance };
        self.volumes().provisioned.entry(site.to_owned()).or_insert(before);
        self.start_entrance(site).await?;
        for name in &were_down {
            links.set_up(name, true).await?;
        }
        Ok("its network and its entrance are there; nothing else runs, and it has no data"
            .to_owned())
    }

    /// Takes it away again, as it was before.
    pub(super) async fn withdraw(&self, site: &str) -> Result<(), ActionError> {
        let Some(before) = self.volumes().provisioned.get(site).cloned() else { return Ok(()) };
        self.end(site, self.components()).await?;
        for name in &before.were_down {
            self.addresses()?.links.set_up(name, false).await?;
        }
        if before.without_entrance {
            self.end_entrance(site).await?;
        }
        if let Some(hosts) = self.hosts() {
            hosts.discard_all_of(site).await?;
        }
        // What was there may come back to its place.
        self.serve_from(site, &before.volume)?;
        self.volumes().provisioned.remove(site);
        Ok(())
    }
}
