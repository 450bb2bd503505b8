//! The lab's data: where it can be damaged, and how a client of one site reads it.

use std::path::PathBuf;

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::data::{DataAccess, DataPlace, DataTable, PostgresPlace, Reading};
use drdrill_core::inventory::Strategy;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::Shared;
use super::containers::{SAVED, VOLUME};
use super::units::units;

impl Shared {
    fn entries(&self, site: &str, place: DataPlace) -> DataTable {
        DataTable {
            site: site.to_owned(),
            place,
            table: "entries".to_owned(),
            key: "id".to_owned(),
            value: "value".to_owned(),
            saved_in: self.saved(),
        }
    }

    /// Where faults keep what they take.
    pub(super) fn saved(&self) -> PathBuf {
        self.starter.dir.join("saved")
    }
}

#[async_trait]
impl DataAccess for Shared {
    fn table(&self, site: &str) -> Option<DataTable> {
        self.site(site).ok()?;
        if let Some(hosts) = self.hosts() {
            let place = |site: &str| {
                let text = |text: &str| text.to_owned();
                let container = hosts.database_of(site)?;
                let (volume, sockets) = (text(VOLUME), text("/tmp"));
                Some(PostgresPlace { container, volume, sockets, database: text("store") })
            };
            let server = place(site)?;
            let others = units(&self.spec).into_iter().filter(|unit| unit.name != site);
            let followers = others.filter_map(|unit| place(&unit.name)).collect();
            let saved_at = SAVED.to_owned();
            return Some(self.entries(site, DataPlace::Postgres { server, followers, saved_at }));
        }
        let path = self.volume(site).data;
        if self.spec.strategy == Strategy::Cold && !path.exists() {
            // A site that is built from backups has nothing until it is.
            return None;
        }
        Some(self.entries(site, DataPlace::File(path)))
    }

    fn directory(&self, site: &str) -> Option<PathBuf> {
        let volume = self.volume(site);
        (self.site(site).is_ok() && volume.directory.exists()).then_some(volume.directory)
    }

    fn files(&self, site: &str) -> Option<PathBuf> {
        self.site(site).ok()?;
        self.hosts().map(|_| self.volume(site).data)
    }

    async fn read(&self, site: &str, key: &str) -> Result<Reading, ActionError> {
        let url = format!("http://{}/entries/{key}", self.site(site)?.client_path);
        let login = self.login()?;
        let (status, text) =
            self.http.send(Method::GET, &url, Some(&login), None::<&Value>).await?;
        Ok(match status {
            StatusCode::NOT_FOUND => Reading::Missing,
            StatusCode::OK => match serde_json::from_str::<Value>(&text) {
                Ok(entry) => match entry["value"].as_str() {
                    Some(value) => Reading::Value(value.to_owned()),
                    None => Reading::Broken(format!("no value in {text}")),
                },
                Err(error) => Reading::Broken(format!("the answer makes no sense: {error}")),
            },
            other => Reading::Broken(format!("{other}: {text}")),
        })
    }
}
