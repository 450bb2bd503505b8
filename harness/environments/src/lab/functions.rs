//! Functions that must work again after a recovery (requirement C10), tried as a client would: through the front door.

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::environment::{Function, Functions};
use drdrill_core::inventory::Strategy;
use drdrill_core::secret::Secret;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use super::credentials::{login_as, told};
use super::site::USER;
use super::{FUNCTIONS, Shared};

/// Time between two looks at a job.
const POLL: Duration = Duration::from_millis(25);

#[derive(Deserialize)]
struct Login {
    token: String,
}

#[derive(Debug, Deserialize)]
struct Submitted {
    id: Value,
}

#[derive(Debug, Deserialize)]
struct Job {
    state: String,
    exit_code: Option<i32>,
    output: Option<String>,
}

impl Shared {
    /// Logs the lab's user in at `front`.
    pub(super) async fn log_in(&self, front: &str) -> Result<Secret, ActionError> {
        let url = format!("http://{front}/login");
        let body = login_as(&self.secrets().password);
        let login: Login = self.http.call(Method::POST, &url, None, Some(&body)).await?;
        Secret::new(login.token).map_err(|error| ActionError::new("log in at", front, error))
    }

    async fn try_function(&self, name: &str) -> Result<String, ActionError> {
        let front = self.front().await?;
        match name {
            "application_availability" => {
                let url = format!("http://{front}/health");
                self.http.text(Method::GET, &url, None, None::<&Value>).await?;
                Ok("healthy through the front door".to_owned())
            }
            "user_authentication" => self.authentication(front).await,
            "data_access" => self.data(front).await,
            "job_submission" => self.job(front).await,
            "intruders_refused" => self.intruders().await,
            other => {
                let known = drdrill_core::names::known_names(other, FUNCTIONS);
                Err(ActionError::new("check", other, format!("the lab has no such check; {known}")))
            }
        }
    }

    /// The right password is let in and the wrong one is not.
    async fn authentication(&self, front: &str) -> Result<String, ActionError> {
        self.log_in(front).await?;
        let url = format!("http://{front}/login");
        let wrong = json!({ "user": USER, "password": "wrong" });
        let (status, text) = self.http.send(Method::POST, &url, None, Some(&wrong)).await?;
        if status == StatusCode::UNAUTHORIZED {
            return Ok("the right password is let in, the wrong one is refused".to_owned());
        }
        let reason = format!("the wrong password was answered {}", told(status, &text));
        Err(ActionError::new("check the login of", front, reason))
    }

    /// Reads what this client has written itself. Where two sites take writes the other one may have it only later.
    async fn read_own<T: DeserializeOwned>(
        &self,
        url: &str,
        token: &Secret,
    ) -> Result<T, ActionError> {
        let nothing = None::<&Value>;
        loop {
            let (status, text) = self.http.send(Method::GET, url, Some(token), nothing).await?;
            let later = self.spec.strategy == Strategy::ActiveActive;
            if later && status == StatusCode::NOT_FOUND {
                sleep(POLL).await;
                continue;
            }
            if !status.is_success() {
                return Err(ActionError::new("read", url, format!("{status}: {text}")));
            }
            return serde_json::from_str(&text)
                .map_err(|error| ActionError::new("read the answer of", url, error));
        }
    }

    /// What is written can be read back.
    async fn data(&self, front: &str) -> Result<String, ActionError> {
        let token = self.log_in(front).await?;
        let id = format!("check-{:016x}", rand::random::<u64>());
        let url = format!("http://{front}/entries/{id}");
        let body = super::streams::entry(1);
        self.http.text(Method::PUT, &url, Some(&token), Some(&body)).await?;
        let back: Value = self.read_own(&url, &token).await?;
        if back["value"] == body["value"] {
            return Ok("what was written was read back".to_owned());
        }
        Err(ActionError::new("read back", url, format!("other data came back: {back}")))
    }

    /// A job runs a process to its end.
    async fn job(&self, front: &str) -> Result<String, ActionError> {
        let token = self.log_in(front).await?;
        let word = format!("{:016x}", rand::random::<u64>());
        let url = format!("http://{front}/jobs");
        let body = json!({ "argv": ["/bin/echo", word] });
        let job: Submitted = self.http.call(Method::POST, &url, Some(&token), Some(&body)).await?;
        let id = job.id.as_str().map_or_else(|| job.id.to_string(), str::to_owned);
        let url = format!("{url}/{id}");
        // The caller bounds how long a check may take.
        loop {
            let job: Job = self.read_own(&url, &token).await?;
            match (job.state.as_str(), job.exit_code) {
                ("queued" | "running", _) => sleep(POLL).await,
                ("done", Some(0))
                    if job.output.as_deref().is_some_and(|out| out.contains(&word)) =>
                {
                    return Ok(format!("job {id} ran to its end"));
                }
                _ => return Err(ActionError::new("run", format!("job {id}"), format!("{job:?}"))),
            }
        }
    }
}

#[async_trait]
impl Functions for Shared {
    fn names(&self) -> Vec<String> {
        FUNCTIONS.map(str::to_owned).to_vec()
    }

    async fn check(&self, name: &str) -> Function {
        match self.try_function(name).await {
            Ok(detail) => Function { works: true, detail },
            Err(error) => Function { works: false, detail: error.to_string() },
        }
    }
}
