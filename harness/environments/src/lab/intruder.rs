//! Those who must not be let in, and what they try at the lab's sites.

use std::sync::Arc;

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::data::{DataAccess, DataTable, Reading};
use drdrill_core::intruder::{Access, Intruder};
use drdrill_core::secret::Secret;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::credentials::login_as;
use super::site::{AUTH, SERVICE};
use super::units::stand_by;
use super::up::LANDMARK;
use super::{DR, PRIMARY, Shared};

impl Shared {
    /// A token that nobody issued: the one that was, said to be good for longer.
    fn forged(&self) -> Result<Secret, ActionError> {
        let fail = |why: &str| ActionError::new("forge a token for", &self.name, why);
        let issued = &self.addresses()?.login;
        let parts: Vec<&str> = issued.expose().split('.').collect();
        let [user, expires, signature] = parts[..] else {
            return Err(fail("those that it issues have not three parts"));
        };
        let expires: u64 = expires.parse().map_err(|_| fail("they do not say until when"))?;
        let forged = format!("{user}.{}.{signature}", expires.saturating_add(1));
        Secret::new(forged).map_err(|error| fail(&error.to_string()))
    }

    /// Tries one request at an address. What is neither an answer to somebody who was let in nor a refusal tells nothing.
    async fn attempt(
        &self,
        (what, method, url): (&str, Method, &str),
        token: Option<&Secret>,
        body: Option<&Value>,
    ) -> Result<Access, ActionError> {
        let (status, text) = self.http.send(method, url, token, body).await?;
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Ok(Access::Refused(format!("{status}")))
            }
            _ if status.is_success() => Ok(Access::LetIn(what.to_owned())),
            _ => Err(ActionError::new("try to get in at", url, format!("{status}: {text}"))),
        }
    }

    async fn read_with(&self, site: &str, token: &Secret) -> Result<Access, ActionError> {
        let url = format!("http://{}/entries/{LANDMARK}", self.site(site)?.client_path);
        self.attempt(("reads data", Method::GET, &url), Some(token), None).await
    }

    /// At each entrance and at each site, nobody gets in without a token, with one that nobody issued, or with what was
    /// good when the lab came up.
    pub(super) async fn intruders(&self) -> Result<String, ActionError> {
        let addresses = self.addresses()?;
        let forged = self.forged()?;
        let tokens = [
            ("no token", None),
            ("a token that nobody issued", Some(&forged)),
            ("a token that was stolen", Some(&addresses.login)),
        ];
        let fronts = self.fronts()?.into_iter().map(|front| ("an entrance", front));
        let mut places: Vec<(&str, &str)> = fronts.collect();
        let stands_by = stand_by(self.spec.strategy);
        for site in [PRIMARY, DR] {
            // Where nothing runs nobody gets in.
            if site == PRIMARY || stands_by.contains(&SERVICE) {
                places.push((site, &self.site(site)?.client_path));
            }
        }
        let before = self.secrets_before();
        for (place, address) in &places {
            let let_in = |who: &str, what: &str| {
                let why = format!("with {who} somebody {what} at {place}");
                ActionError::new("keep intruders out of", *place, why)
            };
            for (who, token) in tokens {
                let id = format!("intruder-{:016x}", rand::random::<u64>());
                let requests = [
                    ("reads data", Method::GET, format!("entries/{LANDMARK}"), None),
                    ("lists data", Method::GET, format!("entries?prefix={LANDMARK}"), None),
                    (
                        "writes data",
                        Method::PUT,
                        format!("entries/{id}"),
                        Some(super::streams::entry(0)),
                    ),
                    (
                        "runs a job",
                        Method::POST,
                        "jobs".to_owned(),
                        Some(json!({ "argv": ["/bin/true"] })),
                    ),
                ];
                for (what, method, path, body) in requests {
                    let url = format!("http://{address}/{path}");
                    let seen = self.attempt((what, method, &url), token, body.as_ref()).await?;
                    if let Access::LetIn(what) = seen {
                        return Err(let_in(who, &what));
                    }
                }
            }
            let logins = *place != DR || stands_by.contains(&AUTH);
            if let Some(before) = before.as_ref().filter(|_| logins) {
                let (url, body) = (format!("http://{address}/login"), login_as(&before.password));
                let login = ("logs in", Method::POST, &*url);
                if let Access::LetIn(what) = self.attempt(login, None, Some(&body)).await? {
                    return Err(let_in("the old password", &what));
                }
            }
        }
        let old = if before.is_some() { " and the old password" } else { "" };
        Ok(format!(
            "no token, one that nobody issued, one that was stolen{old} are refused at {} places",
            places.len()
        ))
    }
}

#[async_trait]
impl Intruder for Shared {
    async fn with_a_stolen_token(&self, site: &str) -> Result<Access, ActionError> {
        self.read_with(site, &self.addresses()?.login).await
    }

    async fn with_a_forged_token(&self, site: &str) -> Result<Access, ActionError> {
        self.read_with(site, &self.forged()?).await
    }
}

/// The users of the lab, and whether they can log in at a site.
#[derive(Debug)]
pub(super) struct Users(pub(super) Arc<Shared>);

#[async_trait]
impl DataAccess for Users {
    fn table(&self, site: &str) -> Option<DataTable> {
        let text = |text: &str| text.to_owned();
        let entries = self.0.table(site)?;
        Some(DataTable { table: text("users"), key: text("name"), value: text("hash"), ..entries })
    }

    async fn read(&self, site: &str, _: &str) -> Result<Reading, ActionError> {
        let url = format!("http://{}/login", self.0.site(site)?.client_path);
        let body = login_as(&self.0.secrets().password);
        let (status, text) = self.0.http.send(Method::POST, &url, None, Some(&body)).await?;
        Ok(match status {
            StatusCode::UNAUTHORIZED => Reading::Missing,
            _ if status.is_success() => Reading::Value("let in".to_owned()),
            _ => Reading::Broken(format!("{status}: {text}")),
        })
    }
}
