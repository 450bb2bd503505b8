//! The credentials of the lab: made for each lab, and made anew when they were stolen.

use std::sync::{Mutex, MutexGuard, PoisonError};

use drdrill_core::action::ActionError;
use drdrill_core::secret::Secret;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::Shared;
use super::site::USER;
use super::up::LANDMARK;

/// Never written anywhere but into the configurations of the lab's processes.
#[derive(Clone, Debug)]
pub(super) struct Secrets {
    /// Signs tokens.
    pub(super) token: Secret,
    /// What workers present.
    pub(super) worker: Secret,
    /// Of the lab's user.
    pub(super) password: Secret,
    /// By which programs come to the database of their site, where that is a server.
    pub(super) application: Secret,
    /// By which such a database is copied and backed up.
    pub(super) replicator: Secret,
}

/// What is in force now, and what was before.
#[derive(Debug)]
pub(super) struct Credentials {
    now: Secrets,
    before: Option<Secrets>,
    /// What the drill's clients have.
    login: Option<Login>,
    login_before: Option<Login>,
}

/// A client's token, and the header that carries it.
#[derive(Clone, Debug)]
struct Login {
    token: Secret,
    bearer: Secret,
}

impl Secrets {
    fn new() -> Result<Self, ActionError> {
        let secret = || {
            Secret::new(format!("{:032x}", rand::random::<u128>()))
                .map_err(|error| ActionError::new("make a secret for", "the lab", error))
        };
        Ok(Self {
            token: secret()?,
            worker: secret()?,
            password: secret()?,
            application: secret()?,
            replicator: secret()?,
        })
    }
}

impl Credentials {
    pub(super) fn new() -> Result<Self, ActionError> {
        Ok(Self { now: Secrets::new()?, before: None, login: None, login_before: None })
    }

    fn bearer(&self) -> Option<Secret> {
        self.login.as_ref().map(|login| login.bearer.clone())
    }
}

fn lock(credentials: &Mutex<Credentials>) -> MutexGuard<'_, Credentials> {
    credentials.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// What a process that starts now is given.
    pub(super) fn secrets(&self) -> Secrets {
        lock(&self.credentials).now.clone()
    }

    /// What was in force before, where credentials were made anew.
    pub(super) fn secrets_before(&self) -> Option<Secrets> {
        lock(&self.credentials).before.clone()
    }

    /// The token that the drill's clients have now.
    pub(super) fn login(&self) -> Result<Secret, ActionError> {
        let login = lock(&self.credentials).login.as_ref().map(|login| login.token.clone());
        login.ok_or_else(|| ActionError::new("use", &self.name, "no client has logged in"))
    }

    /// The header that a client's request carries, as it is when it is sent.
    pub(super) fn bearer(
        &self,
    ) -> Result<impl Fn() -> Secret + Send + Sync + 'static, ActionError> {
        let credentials = self.credentials.clone();
        let first = lock(&credentials).bearer();
        let first =
            first.ok_or_else(|| ActionError::new("use", &self.name, "no client has logged in"))?;
        Ok(move || lock(&credentials).bearer().unwrap_or_else(|| first.clone()))
    }

    /// The body of a login, as it is when it is sent.
    pub(super) fn login_body(&self) -> impl Fn() -> Value + Send + Sync + 'static {
        let credentials = self.credentials.clone();
        move || login_as(&lock(&credentials).now.password)
    }

    /// The drill's clients go on with this token.
    pub(super) fn clients_have(&self, token: Secret) -> Result<(), ActionError> {
        let bearer = Secret::new(format!("Bearer {}", token.expose()))
            .map_err(|error| ActionError::new("log in at", &self.name, error))?;
        lock(&self.credentials).login = Some(Login { token, bearer });
        Ok(())
    }

    pub(super) fn make_secrets(&self) -> Result<(), ActionError> {
        let new = Secrets::new()?;
        let mut credentials = lock(&self.credentials);
        let Credentials { now, before, login, login_before } = &mut *credentials;
        login_before.clone_from(login);
        *before = Some(std::mem::replace(now, new));
        Ok(())
    }

    pub(super) fn keep_secrets(&self) {
        let mut credentials = lock(&self.credentials);
        if let Some(before) = credentials.before.take() {
            credentials.now = before;
            credentials.login = credentials.login_before.take();
        }
    }

    /// Gives the lab's user the new password at a site, and looks past whatever stands in front of the site that only the
    /// new credentials are good for anything.
    pub(super) async fn renew(&self, site: &str) -> Result<String, ActionError> {
        let addresses = self.site(site)?;
        let (service, admin) = (&addresses.direct.http, &addresses.proxied.admin);
        let new = self.secrets();
        let user = json!({ "name": USER, "password": new.password.expose() });
        let url = format!("http://{admin}/password");
        self.http.text(Method::POST, &url, None, Some(&user)).await?;
        let token = self.log_in(service).await?;
        let landmark = format!("http://{service}/entries/{LANDMARK}");
        self.http.text(Method::GET, &landmark, Some(&token), None::<&Value>).await?;
        let Some(before) = self.secrets_before() else {
            return Ok("a new password; there were no others before".to_owned());
        };
        let (login, claim) =
            (format!("http://{service}/login"), format!("http://{service}/jobs/claim"));
        let old = [
            ("password", Method::POST, &login, None, Some(login_as(&before.password))),
            ("token", Method::GET, &landmark, Some(self.login()?), None),
            (
                "token of a worker",
                Method::POST,
                &claim,
                Some(before.worker.clone()),
                Some(json!({})),
            ),
        ];
        for (what, method, url, token, body) in old {
            let (status, text) = self.http.send(method, url, token.as_ref(), body.as_ref()).await?;
            if status != StatusCode::UNAUTHORIZED {
                let why = format!("the old {what} was answered {}", told(status, &text));
                return Err(ActionError::new("renew the credentials of", site, why));
            }
        }
        let old = if self.hosts().is_some() {
            self.roles_are_refused(admin, &before).await?;
            "the old password, the old token, the old one of the workers and the old ones of the database's roles"
        } else {
            "the old password, the old token and the old one of the workers"
        };
        Ok(format!("the new password and a token for it are let in; {old} are refused"))
    }

    /// The database lets nobody in with the passwords that its roles had.
    async fn roles_are_refused(&self, admin: &str, before: &Secrets) -> Result<(), ActionError> {
        let (application, replicator) = (before.application.expose(), before.replicator.expose());
        let roles = json!({ "app": application, "reader": application, "replicator": replicator });
        let url = format!("http://{admin}/refused");
        self.http.text(Method::POST, &url, None, Some(&roles)).await.map(drop)
    }
}

/// An answer in words. What somebody who was let in got may be a token, which must not be told.
pub(super) fn told(status: StatusCode, text: &str) -> String {
    if status.is_success() { status.to_string() } else { format!("{status}: {text}") }
}

/// The body of a login with this password.
pub(super) fn login_as(password: &Secret) -> Value {
    json!({ "user": USER, "password": password.expose() })
}
