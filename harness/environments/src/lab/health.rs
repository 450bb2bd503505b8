//! The health of the lab's sites, as a monitor outside them sees it (requirement C1).

use async_trait::async_trait;
use drdrill_core::backup::RestoreControl;
use drdrill_core::environment::{HealthKind, HealthSource};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpStream;

use super::reach::Reach;

/// What `/health` answers; it says more than is needed here.
#[derive(Debug, Deserialize)]
struct Health {
    database: String,
    queue: String,
    login: String,
}

#[async_trait]
impl HealthSource for Reach {
    fn kinds(&self) -> Vec<HealthKind> {
        vec![
            HealthKind::Service,
            HealthKind::Database,
            HealthKind::Queue,
            HealthKind::Network,
            HealthKind::Login,
        ]
    }

    async fn look(&self, site: &str, kind: HealthKind) -> Result<(), String> {
        let path = self.service(site).map_err(|error| error.to_string())?;
        if kind == HealthKind::Network {
            return TcpStream::connect(path).await.map(drop).map_err(|error| error.to_string());
        }
        if kind == HealthKind::Data {
            return self.shared.look_at_data(site).await.map(drop);
        }
        let url = format!("http://{path}/health");
        let (status, text) = self
            .http
            .send(Method::GET, &url, None, None::<&Value>)
            .await
            .map_err(|error| error.reason)?;
        let part = |of: fn(Health) -> String| match serde_json::from_str(&text).map(of) {
            Ok(word) if word == "ok" => Ok(()),
            Ok(word) => Err(word),
            Err(error) => Err(format!("the answer makes no sense: {error}")),
        };
        match kind {
            HealthKind::Database => part(|health| health.database),
            HealthKind::Queue => part(|health| health.queue),
            HealthKind::Login => part(|health| health.login),
            HealthKind::Service | HealthKind::Network | HealthKind::Data => {
                if status.is_success() {
                    Ok(())
                } else {
                    Err(status.to_string())
                }
            }
        }
    }
}
