//! The calls about the server and its proxies.

use std::future::Future;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use super::transport::Call;
use super::verify::{Claim, is_listen};
use super::{Error, NewProxy, Proxy, ProxyChange};

/// Time a call may take, together with reading back what it did.
///
/// A server on the same network answers in milliseconds; one that needs seconds is ill, and an undo that
/// waits for it helps nobody.
const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(5);

/// A client of one server. Cheap to clone.
///
/// Every call ends within the time limit. Every change is read back before the call returns; a server that
/// shows something else than it was asked for is reported as [`Error::NotInEffect`].
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) http: reqwest::Client,
    pub(super) base: Url,
    time_limit: Duration,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

impl Client {
    /// A client of the server at `base_url`, `http://127.0.0.1:8474`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::InvalidUrl`] when that is no `http://` URL.
    pub fn new(base_url: impl AsRef<str>) -> Result<Self, Error> {
        let base_url = base_url.as_ref();
        let invalid = |reason: String| Error::InvalidUrl { url: base_url.to_owned(), reason };
        let base = Url::parse(base_url).map_err(|error| invalid(error.to_string()))?;
        if base.scheme() != "http" || base.host().is_none() {
            return Err(invalid("it has to begin with http:// and a host".to_owned()));
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("drdrill/", env!("CARGO_PKG_VERSION")))
            // A proxy for the web, or a redirect, would lead the calls to another server.
            .no_proxy()
            .redirect(Policy::none())
            .tcp_nodelay(true)
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        Ok(Self { http, base, time_limit: DEFAULT_TIME_LIMIT })
    }

    /// Gives every call this much time, 5 seconds unless told.
    #[must_use]
    pub fn with_time_limit(self, time_limit: Duration) -> Self {
        Self { time_limit, ..self }
    }

    /// The version of the server.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn version(&self) -> Result<String, Error> {
        let call = get(&["version"]);
        let text = self.bounded(&call.name(), self.text(&call)).await?;
        // Servers before 2.5 say it without JSON.
        let version = serde_json::from_str::<Version>(&text);
        Ok(version.map_or_else(|_| text.trim().to_owned(), |found| found.version))
    }

    /// All proxies, by name.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn proxies(&self) -> Result<Vec<Proxy>, Error> {
        self.bounded("GET /proxies", self.list()).await
    }

    /// One proxy.
    ///
    /// # Errors
    /// [`Error::ProxyNotFound`], or as every call: see [`Error`].
    pub async fn proxy(&self, name: &str) -> Result<Proxy, Error> {
        check_name(name)?;
        self.bounded(&get(&["proxies", name]).name(), self.show(name)).await
    }

    /// Makes a proxy. When this returns, clients can connect, if it is enabled.
    ///
    /// # Errors
    /// [`Error::ProxyExists`], [`Error::NotInEffect`], or as every call: see [`Error`].
    pub async fn create_proxy(&self, wanted: &NewProxy) -> Result<Proxy, Error> {
        check_name(&wanted.name)?;
        let call = post(&["proxies"], json!(wanted));
        let name = call.name();
        let work = async {
            self.text(&call).await?;
            let found = none_if_gone(self.show(&wanted.name).await)?;
            Claim { call: &name }.proxy(wanted, found.as_ref())?;
            found.ok_or_else(|| Claim { call: &name }.refuted(wanted, "nothing"))
        };
        self.bounded(&name, work).await
    }

    /// Changes a proxy. When this returns, a disabled one refuses clients and its connections are cut.
    ///
    /// # Errors
    /// [`Error::ProxyNotFound`], [`Error::NotInEffect`], or as every call: see [`Error`].
    pub async fn update_proxy(&self, name: &str, change: &ProxyChange) -> Result<Proxy, Error> {
        check_name(name)?;
        let call = format!("PATCH /proxies/{name}");
        let work = async {
            self.patch(&["proxies", name], json!(change)).await?;
            let found = self.show(name).await?;
            let listen = change.listen.as_ref();
            let upstream = change.upstream.as_ref();
            let same = listen.is_none_or(|wanted| is_listen(wanted, &found.listen))
                && upstream.is_none_or(|wanted| *wanted == found.upstream)
                && change.enabled.is_none_or(|wanted| wanted == found.enabled);
            if same { Ok(found) } else { Err(Claim { call: &call }.refuted(change, found)) }
        };
        self.bounded(&call, work).await
    }

    /// Deletes a proxy and cuts its connections.
    ///
    /// # Errors
    /// [`Error::ProxyNotFound`], [`Error::NotInEffect`], or as every call: see [`Error`].
    pub async fn delete_proxy(&self, name: &str) -> Result<(), Error> {
        check_name(name)?;
        let path = ["proxies", name];
        let call = delete(&path);
        let work = async {
            self.text(&call).await?;
            match none_if_gone(self.show(name).await)? {
                None => Ok(()),
                Some(found) => Err(Claim { call: &call.name() }.refuted("no proxy", found)),
            }
        };
        self.bounded(&call.name(), work).await
    }

    /// Makes all these proxies; those of the same name and other addresses are replaced, without their
    /// toxics. A proxy that has these addresses already stays as it is, enabled or not.
    ///
    /// # Errors
    /// [`Error::NotInEffect`], or as every call: see [`Error`].
    pub async fn populate(&self, wanted: &[NewProxy]) -> Result<Vec<Proxy>, Error> {
        for proxy in wanted {
            check_name(&proxy.name)?;
        }
        let call = post(&["populate"], json!(wanted));
        let name = call.name();
        let work = async {
            self.text(&call).await?;
            let all = self.list().await?;
            let claim = Claim { call: &name };
            let mut made = Vec::new();
            for wanted in wanted {
                let found = all.iter().find(|proxy| proxy.name == wanted.name);
                claim.proxy(wanted, found)?;
                made.extend(found.cloned());
            }
            Ok(made)
        };
        self.bounded(&name, work).await
    }

    /// Enables all proxies and takes all toxics away.
    ///
    /// # Errors
    /// [`Error::NotInEffect`], or as every call: see [`Error`].
    pub async fn reset(&self) -> Result<(), Error> {
        let call = Call { method: Method::POST, path: &["reset"], body: None };
        let name = call.name();
        let work = async {
            self.text(&call).await?;
            let all = self.list().await?;
            match all.iter().find(|proxy| !proxy.enabled || !proxy.toxics.is_empty()) {
                None => Ok(()),
                Some(found) => Err(Claim { call: &name }.refuted("enabled, no toxics", found)),
            }
        };
        self.bounded(&name, work).await
    }

    pub(super) async fn show(&self, name: &str) -> Result<Proxy, Error> {
        self.json(&get(&["proxies", name])).await
    }

    async fn list(&self) -> Result<Vec<Proxy>, Error> {
        let by_name: std::collections::BTreeMap<String, Proxy> =
            self.json(&get(&["proxies"])).await?;
        Ok(by_name.into_values().collect())
    }

    /// Gives up when the time is over.
    pub(super) async fn bounded<T>(
        &self,
        call: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let done = tokio::time::timeout(self.time_limit, work).await;
        done.unwrap_or_else(|_| Err(self.timed_out(call.to_owned())))
    }

    pub(super) fn timed_out(&self, call: String) -> Error {
        Error::Timeout { call, limit: self.time_limit }
    }
}

pub(super) fn get<'a>(path: &'a [&'a str]) -> Call<'a> {
    Call { method: Method::GET, path, body: None }
}

pub(super) fn post<'a>(path: &'a [&'a str], body: Value) -> Call<'a> {
    Call { method: Method::POST, path, body: Some(body) }
}

pub(super) fn delete<'a>(path: &'a [&'a str]) -> Call<'a> {
    Call { method: Method::DELETE, path, body: None }
}

/// Refuses names that cannot be part of a path.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let reason = match name {
        "" => "it must not be empty",
        "." | ".." => "it must not be a relative path",
        _ if name.contains('/') => "it must not contain a slash",
        _ => return Ok(()),
    };
    Err(Error::Invalid { what: format!("the name {name:?}"), reason: reason.to_owned() })
}

pub(super) fn none_if_gone<T>(found: Result<T, Error>) -> Result<Option<T>, Error> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error),
    }
}
