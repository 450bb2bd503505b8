//! All proxies of a server, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard};

use super::api::ApiError;
use super::proxy::{Proxy, Snapshot};

/// What a client says about a proxy it wants.
#[derive(Debug, Default, Clone)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) listen: String,
    pub(crate) upstream: String,
    pub(crate) enabled: bool,
}

type ByName = BTreeMap<String, Arc<Proxy>>;

/// One call changes proxies at a time; the lock is held while names are resolved and ports are bound.
pub(crate) struct Proxies {
    seed: u64,
    by_name: Mutex<ByName>,
}

impl Proxies {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, by_name: Mutex::new(BTreeMap::new()) }
    }

    pub(crate) async fn all(&self) -> Vec<Arc<Proxy>> {
        self.by_name.lock().await.values().cloned().collect()
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Arc<Proxy>, ApiError> {
        let by_name = self.by_name.lock().await;
        by_name.get(name).cloned().ok_or_else(ApiError::proxy_not_found)
    }

    pub(crate) async fn create(&self, wanted: Wanted) -> Result<Arc<Proxy>, ApiError> {
        let mut by_name = self.by_name.lock().await;
        if by_name.contains_key(&wanted.name) {
            return Err(ApiError::proxy_already_exists());
        }
        self.put(&mut by_name, wanted).await
    }

    /// Changes a proxy into what `wanted` makes of what it is.
    pub(crate) async fn update(
        &self,
        name: &str,
        wanted: impl FnOnce(&Snapshot) -> Result<Wanted, ApiError>,
    ) -> Result<Arc<Proxy>, ApiError> {
        let by_name = self.by_name.lock().await;
        let proxy = by_name.get(name).ok_or_else(ApiError::proxy_not_found)?;
        let wanted = wanted(&proxy.snapshot())?;
        let updated = proxy.update(wanted.listen, wanted.upstream, wanted.enabled);
        updated.await.map_err(ApiError::internal)?;
        Ok(Arc::clone(proxy))
    }

    /// Creates each, or replaces the one of the same name if its addresses are others. Returns those that
    /// are as wanted, even when one is not and ends it.
    pub(crate) async fn populate(
        &self,
        all_wanted: Vec<Wanted>,
    ) -> (Vec<Arc<Proxy>>, Result<(), ApiError>) {
        let mut by_name = self.by_name.lock().await;
        let mut done = Vec::new();
        for wanted in all_wanted {
            match self.create_or_replace(&mut by_name, wanted).await {
                Ok(proxy) => done.push(proxy),
                Err(error) => return (done, Err(error)),
            }
        }
        (done, Ok(()))
    }

    async fn create_or_replace(
        &self,
        by_name: &mut MutexGuard<'_, ByName>,
        wanted: Wanted,
    ) -> Result<Arc<Proxy>, ApiError> {
        if let Some(existing) = by_name.get(&wanted.name) {
            let differs = existing.differs(&wanted.listen, &wanted.upstream).await;
            if !differs.map_err(ApiError::internal)? {
                return Ok(Arc::clone(existing));
            }
            existing.stop();
        }
        self.put(by_name, wanted).await
    }

    async fn put(
        &self,
        by_name: &mut MutexGuard<'_, ByName>,
        wanted: Wanted,
    ) -> Result<Arc<Proxy>, ApiError> {
        let Wanted { name, listen, upstream, enabled } = wanted;
        let proxy = Arc::new(Proxy::new(name.clone(), listen, upstream, self.seed));
        if enabled {
            proxy.start().await.map_err(ApiError::internal)?;
        }
        by_name.insert(name, Arc::clone(&proxy));
        Ok(proxy)
    }

    pub(crate) async fn remove(&self, name: &str) -> Result<(), ApiError> {
        let mut by_name = self.by_name.lock().await;
        let proxy = by_name.remove(name).ok_or_else(ApiError::proxy_not_found)?;
        proxy.stop();
        Ok(())
    }

    /// Enables every proxy and takes all toxics away.
    pub(crate) async fn reset(&self) -> Result<(), ApiError> {
        let by_name = self.by_name.lock().await;
        for proxy in by_name.values() {
            proxy.start().await.map_err(ApiError::internal)?;
            proxy.remove_toxics();
        }
        Ok(())
    }

    /// Stops every proxy.
    pub(crate) async fn stop(&self) {
        for proxy in self.by_name.lock().await.values() {
            proxy.stop();
        }
    }
}
