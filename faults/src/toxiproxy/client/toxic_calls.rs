//! The calls about the toxics of a proxy.

use serde_json::json;

use super::calls::{check_name, delete, get, none_if_gone, post};
use super::verify::Claim;
use super::{Client, Error, NamedToxic};

impl Client {
    /// All toxics of a proxy: those of the upstream direction first, each direction in order.
    ///
    /// # Errors
    /// [`Error::ProxyNotFound`], or as every call: see [`Error`].
    pub async fn toxics(&self, proxy: &str) -> Result<Vec<NamedToxic>, Error> {
        check_name(proxy)?;
        let path = ["proxies", proxy, "toxics"];
        let call = get(&path);
        self.bounded(&call.name(), self.json(&call)).await
    }

    /// One toxic of a proxy.
    ///
    /// # Errors
    /// [`Error::ProxyNotFound`], [`Error::ToxicNotFound`], or as every call: see [`Error`].
    pub async fn toxic(&self, proxy: &str, toxic: &str) -> Result<NamedToxic, Error> {
        check_name(proxy)?;
        check_name(toxic)?;
        let path = ["proxies", proxy, "toxics", toxic];
        let call = get(&path);
        self.bounded(&call.name(), self.json(&call)).await
    }

    /// Adds a toxic. When this returns, it works on connections that are there and on new ones.
    ///
    /// # Errors
    /// [`Error::ToxicExists`], [`Error::ProxyNotFound`], or as every call: see [`Error`].
    /// [`Error::NotInEffect`] also when the proxy is disabled; the toxic is there then, without effect.
    pub async fn add_toxic(&self, proxy: &str, wanted: &NamedToxic) -> Result<NamedToxic, Error> {
        check_name(proxy)?;
        check_name(&wanted.name)?;
        let path = ["proxies", proxy, "toxics"];
        let call = post(&path, json!(wanted.to_wire()?));
        let work = async {
            self.text(&call).await?;
            self.confirm(&call.name(), proxy, wanted).await
        };
        self.bounded(&call.name(), work).await
    }

    /// Changes toxicity and numbers of a toxic. What it is and where it works cannot change.
    ///
    /// # Errors
    /// [`Error::ToxicNotFound`], [`Error::ProxyNotFound`], or as every call: see [`Error`].
    /// [`Error::NotInEffect`] also when the proxy is disabled, or the toxic is another one.
    pub async fn update_toxic(
        &self,
        proxy: &str,
        wanted: &NamedToxic,
    ) -> Result<NamedToxic, Error> {
        check_name(proxy)?;
        check_name(&wanted.name)?;
        let wire = wanted.to_wire()?;
        let body = json!({ "toxicity": wire.toxicity, "attributes": wire.attributes });
        let path = ["proxies", proxy, "toxics", &wanted.name];
        let call = format!("PATCH /{}", path.join("/"));
        let work = async {
            self.patch(&path, body).await?;
            self.confirm(&call, proxy, wanted).await
        };
        self.bounded(&call, work).await
    }

    /// Takes a toxic away. When this returns, data passes that it held back.
    ///
    /// # Errors
    /// [`Error::ToxicNotFound`], [`Error::ProxyNotFound`], [`Error::NotInEffect`], or as every call: see
    /// [`Error`]. An undo can take [`Error::is_gone`] for success.
    pub async fn remove_toxic(&self, proxy: &str, toxic: &str) -> Result<(), Error> {
        check_name(proxy)?;
        check_name(toxic)?;
        let path = ["proxies", proxy, "toxics", toxic];
        let call = delete(&path);
        let work = async {
            self.text(&call).await?;
            let Some(found) = none_if_gone(self.show(proxy).await)? else {
                return Ok(());
            };
            match found.toxic(toxic) {
                None => Ok(()),
                Some(still) => Err(Claim { call: &call.name() }.refuted("no toxic", still)),
            }
        };
        self.bounded(&call.name(), work).await
    }

    async fn confirm(
        &self,
        call: &str,
        proxy: &str,
        wanted: &NamedToxic,
    ) -> Result<NamedToxic, Error> {
        let found = self.show(proxy).await?;
        Claim { call }.toxic(wanted, &found)?;
        Ok(wanted.clone())
    }
}
