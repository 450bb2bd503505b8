//! The links of an environment, through a Toxiproxy server.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::environment::LinkControl;
use drdrill_core::links::{Block, Flow};

use crate::toxiproxy::client::{Client, Error, NamedToxic, NewProxy, ProxyChange, Stream, Toxic};

/// The toxic that is the length of a way.
const DISTANCE: &str = "drdrill-distance";

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

    async fn block(&self, proxy: &str, block: &Block) -> Result<(), ActionError> {
        let stream = match block.flow {
            Flow::Upstream => Stream::Upstream,
            Flow::Downstream => Stream::Downstream,
        };
        // Never closed by itself: who talks over it gets no answer, as when packets are dropped.
        let toxic =
            NamedToxic::new(&*block.name, stream, Toxic::Timeout { timeout: Duration::ZERO });
        let added = self.client.add_toxic(proxy, &toxic).await;
        added.map(drop).map_err(|error| failed("block the proxy", proxy, &error))
    }

    async fn unblock(&self, proxy: &str, name: &str) -> Result<(), ActionError> {
        match self.client.remove_toxic(proxy, name).await {
            Err(error) if !error.is_gone() => Err(failed("unblock the proxy", proxy, &error)),
            _ => Ok(()),
        }
    }

    async fn lengthen(&self, proxy: &str, by: Duration) -> Result<(), ActionError> {
        let latency = Toxic::Latency { latency: by, jitter: Duration::ZERO };
        let toxic = NamedToxic::new(DISTANCE, Stream::Downstream, latency);
        let added = self.client.add_toxic(proxy, &toxic).await;
        added.map(drop).map_err(|error| failed("lengthen the way through", proxy, &error))
    }

    async fn blocks(&self, proxy: &str) -> Result<Vec<Block>, ActionError> {
        let toxics = self.client.toxics(proxy).await;
        let toxics = toxics.map_err(|error| failed("look at the proxy", proxy, &error))?;
        let block = |toxic: NamedToxic| {
            let flow = match toxic.stream {
                Stream::Upstream => Flow::Upstream,
                Stream::Downstream => Flow::Downstream,
            };
            Block { name: toxic.name, flow }
        };
        Ok(toxics.into_iter().filter(|toxic| toxic.name != DISTANCE).map(block).collect())
    }
}
