//! The lab's data: where it can be damaged, and how a client of one site reads it.

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::data::{DataAccess, DataTable, Reading};
use drdrill_core::inventory::Strategy;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::Shared;

#[async_trait]
impl DataAccess for Shared {
    fn table(&self, site: &str) -> Option<DataTable> {
        self.site(site).ok()?;
        let path = self.volume(site).data;
        if self.spec.strategy == Strategy::Cold && !path.exists() {
            // A site that is built from backups has nothing until it is.
            return None;
        }
        Some(DataTable {
            site: site.to_owned(),
            path,
            table: "entries".to_owned(),
            key: "id".to_owned(),
            value: "value".to_owned(),
            saved_in: self.starter.dir.join("saved"),
        })
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
