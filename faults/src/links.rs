//! The links of an environment, through a Toxiproxy server.

use std::sync::Arc;

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::environment::LinkControl;

use crate::toxiproxy::client::{Client, Error, NewProxy, ProxyChange};

/// Links of a Toxiproxy server, ours or a real one.
#[derive(Debug)]
pub struct Links {
    api: String,
    client: Client,
}

impl Links {
    /// Links of the server at the base URL `api`. Nothing is sent yet.
    ///
    /// # Errors
    /// When that is no `http://` URL.
    pub fn of_server(api: &str) -> Result<Arc<dyn LinkControl>, ActionError> {
        let client = Client::new(api).map_err(|error| failed("use", api, &error))?;
        Ok(Arc::new(Self { api: api.to_owned(), client }))
    }
}

fn failed(doing: &str, node: &str, error: &Error) -> ActionError {
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(one) = cause {
        reason = format!("{reason}: {one}");
        cause = one.source();
    }
    ActionError::new(doing, node, reason)
}

#[async_trait]
impl LinkControl for Links {
    fn api(&self) -> String {
        self.api.clone()
    }

    async fn create(
        &self,
        name: &str,
        listen: &str,
        upstream: &str,
    ) -> Result<String, ActionError> {
        let wanted = NewProxy::new(name, listen, upstream);
        let made = self.client.create_proxy(&wanted).await;
        made.map(|proxy| proxy.listen).map_err(|error| failed("make the proxy", name, &error))
    }

    async fn names(&self) -> Result<Vec<String>, ActionError> {
        let all = self.client.proxies().await;
        let all = all.map_err(|error| failed("list the proxies", &self.api, &error))?;
        Ok(all.into_iter().map(|proxy| proxy.name).collect())
    }

    async fn delete(&self, name: &str) -> Result<(), ActionError> {
        match self.client.delete_proxy(name).await {
            Err(error) if !error.is_gone() => Err(failed("remove the proxy", name, &error)),
            _ => Ok(()),
        }
    }

    async fn is_up(&self, name: &str) -> Result<bool, ActionError> {
        let proxy = self.client.proxy(name).await;
        proxy.map(|proxy| proxy.enabled).map_err(|error| failed("look at the proxy", name, &error))
    }

    async fn set_up(&self, name: &str, up: bool) -> Result<(), ActionError> {
        let change = ProxyChange::enabled(up);
        let changed = self.client.update_proxy(name, &change).await;
        changed.map(drop).map_err(|error| failed("switch the proxy", name, &error))
    }
}
