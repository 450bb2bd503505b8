//! The volumes of the lab's sites, and the backups that are outside them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::backup::{Archive, RestoreControl, Volume};
use drdrill_core::inventory::SiteName;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::containers::ContainerHosts;
use super::provision::Unprovisioned;
use super::site::{Leader, SERVICE, node_name};

/// The component that takes backups.
pub(super) const BACKUP: &str = "backup";
/// The file of a site's database on its volume.
pub(super) const DATABASE: &str = "site.db";
/// The directory of the same where it is a cluster of `PostgreSQL`.
const CLUSTER: &str = "cluster";

/// Which volumes there are, and whose backups are held.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    /// Volumes made so far, by site; the first needs no number.
    made: BTreeMap<SiteName, u32>,
    /// The number of the one that a site serves from.
    attached: BTreeMap<SiteName, u32>,
    pub(super) held: BTreeSet<SiteName>,
    /// Proxies that were up before a site was isolated.
    pub(super) isolated: BTreeMap<SiteName, BTreeSet<String>>,
    /// What there was of a site before it was provisioned.
    pub(super) provisioned: BTreeMap<SiteName, Unprovisioned>,
}

/// What a site's admin listener says of its data; it says more than is needed here.
#[derive(Debug, Deserialize)]
struct Consistency {
    entries: u64,
    problems: Vec<String>,
}

impl Shared {
    pub(super) fn volumes(&self) -> MutexGuard<'_, Volumes> {
        self.volumes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn numbered(&self, site: &str, number: u32) -> Volume {
        let name = if number == 0 { site.to_owned() } else { format!("{site}-{number}") };
        let Some(hosts) = self.hosts() else {
            let directory = self.starter.dir.join(&name);
            return Volume { data: directory.join(DATABASE), name, directory };
        };
        // What is restored is made where no site reaches it.
        let directory =
            if number == 0 { self.starter.dir.join(&name) } else { hosts.restores().join(&name) };
        Volume { data: directory.join(CLUSTER), name, directory }
    }

    /// The volume that a site serves from.
    pub(super) fn volume(&self, site: &str) -> Volume {
        let number = self.volumes().attached.get(site).copied().unwrap_or(0);
        self.numbered(site, number)
    }

    /// All volumes of a site that it does not serve from.
    pub(super) fn detached(&self, site: &str) -> Vec<Volume> {
        let (made, attached) = {
            let volumes = self.volumes();
            let number = |of: &BTreeMap<SiteName, u32>| of.get(site).copied().unwrap_or(0);
            (number(&volumes.made), number(&volumes.attached))
        };
        let others = (0..=made).filter(|number| *number != attached);
        others.map(|number| self.numbered(site, number)).collect()
    }

    /// Where the backups of a site are.
    pub(super) fn backups_of(&self, site: &str) -> PathBuf {
        self.starter.dir.join("backups").join(site)
    }

    /// Whether a process of a site runs.
    pub(super) async fn runs(&self, site: &str, component: &str) -> bool {
        let running = self.running.lock().await;
        running.sites.get(site).is_some_and(|all| all.runs(&node_name(site, component)))
    }

    /// Ends what of a site runs.
    pub(super) async fn end(&self, site: &str, components: &[&str]) -> Result<(), ActionError> {
        let mut running = self.running.lock().await;
        let of_site = running.sites.entry(site.to_owned()).or_default();
        for component in components {
            of_site.end(&node_name(site, component)).await?;
        }
        Ok(())
    }

    /// Where a site's data is in a container, that is made anew for another volume.
    async fn detach(&self, site: &str) -> Result<(), ActionError> {
        let Some(hosts) = self.hosts() else { return Ok(()) };
        match hosts.database_of(site) {
            Some(container) => hosts.engine.discard(&container).await,
            None => Ok(()),
        }
    }

    pub(super) fn serve_from(&self, site: &str, volume: &Volume) -> Result<(), ActionError> {
        let mut volumes = self.volumes();
        let made = volumes.made.get(site).copied().unwrap_or(0);
        let number = (0..=made).find(|number| self.numbered(site, *number) == *volume);
        let number = number.ok_or_else(|| {
            ActionError::new("attach", &volume.name, format!("it is no volume of {site}"))
        })?;
        volumes.attached.insert(site.to_owned(), number);
        Ok(())
    }
}

#[async_trait]
impl RestoreControl for Shared {
    fn archive(&self, site: &str) -> Result<Arc<dyn Archive>, ActionError> {
        self.site(site)?;
        match self.hosts() {
            Some(hosts) => Ok(Arc::new(hosts.archive(site)?)),
            None => Ok((self.open_archive)(&self.backups_of(site))),
        }
    }

    async fn look_at_data(&self, site: &str) -> Result<String, String> {
        let admin = &self.site(site).map_err(|error| error.to_string())?.proxied.admin;
        let url = format!("http://{admin}/consistency");
        let seen = self.http.call::<Consistency>(Method::GET, &url, None, None::<&Value>).await;
        let seen = seen.map_err(|error| error.to_string())?;
        if seen.problems.is_empty() {
            return Ok(format!("{} entries, all of them as written", seen.entries));
        }
        Err(seen.problems.join("; "))
    }

    async fn hand_over_log(&self, site: &str) -> Result<(), ActionError> {
        if self.hosts().is_none() {
            // Its agent reads the log all the time.
            return Ok(());
        }
        let url = format!("http://{}/log", self.site(site)?.proxied.admin);
        self.orders.text(Method::POST, &url, None, Some(&json!({}))).await.map(drop)
    }

    async fn hold_backups(&self, site: &str) -> Result<(), ActionError> {
        self.volumes().held.insert(site.to_owned());
        self.end(site, &[BACKUP]).await
    }

    async fn resume_backups(&self, site: &str) -> Result<(), ActionError> {
        self.volumes().held.remove(site);
        // A site that does not run has nothing to back up, and it is not for its backups to start it.
        if self.runs(site, SERVICE).await { self.start_site(site).await } else { Ok(()) }
    }

    fn scratch(&self, site: &str) -> PathBuf {
        let of_restores = self.hosts().map(ContainerHosts::restores);
        of_restores.unwrap_or_else(|| self.starter.dir.clone()).join("scratch").join(site)
    }

    fn kept(&self, _: &str) -> PathBuf {
        self.saved()
    }

    async fn make_volume(&self, site: &str) -> Result<Volume, ActionError> {
        self.site(site)?;
        let number = {
            let mut volumes = self.volumes();
            let made = volumes.made.entry(site.to_owned()).or_default();
            *made += 1;
            *made
        };
        let volume = self.numbered(site, number);
        std::fs::create_dir(&volume.directory)
            .map_err(|error| ActionError::new("make the volume", &volume.name, error))?;
        Ok(volume)
    }

    fn look_into(&self, volume: &Volume) -> Result<Vec<String>, ActionError> {
        let failed = |error| ActionError::new("look into the volume", &volume.name, error);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&volume.directory).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }

    async fn attached(&self, site: &str) -> Result<Volume, ActionError> {
        self.site(site)?;
        Ok(self.volume(site))
    }

    async fn attach(&self, site: &str, volume: &Volume) -> Result<(), ActionError> {
        self.end(site, self.components()).await?;
        self.detach(site).await?;
        self.serve_from(site, volume)?;
        self.start_site(site).await
    }

    async fn isolate(&self, site: &str) -> Result<String, ActionError> {
        self.cut_off(site).await
    }

    async fn open(&self, site: &str) -> Result<(), ActionError> {
        self.let_in(site).await
    }

    async fn make_credentials(&self) -> Result<(), ActionError> {
        self.make_secrets()
    }

    async fn keep_credentials(&self) -> Result<(), ActionError> {
        self.keep_secrets();
        Ok(())
    }

    async fn renew_credentials(&self, site: &str) -> Result<String, ActionError> {
        self.renew(site).await
    }

    async fn log_clients_in(&self) -> Result<(), ActionError> {
        let token = self.log_in(self.front().await?).await?;
        self.clients_have(token)
    }

    async fn provision(&self, site: &str) -> Result<String, ActionError> {
        self.provide(site).await
    }

    async fn give_back(&self, site: &str) -> Result<(), ActionError> {
        self.withdraw(site).await
    }

    async fn rebuild(&self, site: &str, source: &str) -> Result<(), ActionError> {
        let addresses = self.site(site)?.clone();
        let source = self.site(source)?.proxied.clone();
        self.end(site, self.components()).await?;
        self.detach(site).await?;
        let volume = self.make_volume(site).await?;
        self.serve_from(site, &volume)?;
        let leader = Leader { replication: &source.replication, http: &source.http };
        if let Some(hosts) = self.hosts() {
            let database = self.start_database(hosts, site, Some(&leader), false).await?;
            self.add_to_site(site, database).await;
            return self.start_site(site).await;
        }
        let (direct, auth) = (&addresses.direct, &addresses.auth);
        let (service, _) = self.start_service(site, direct, auth, Some(&leader), true).await?;
        self.add_to_site(site, service).await;
        self.start_site(site).await
    }
}
