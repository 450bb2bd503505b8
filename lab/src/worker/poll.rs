//! Claiming jobs and reporting how they ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::config::WorkerConfig;
use super::launch::Launcher;
use super::output::{self, Ended};
use crate::client::Client;
use crate::node::log;

/// Looks for jobs and runs them.
#[derive(Debug)]
pub(super) struct Worker {
    config: WorkerConfig,
    launcher: Launcher,
    client: Client,
}

/// What a worker needs to know of a claimed job.
#[derive(Debug, Deserialize)]
struct Claimed {
    id: String,
    argv: Vec<String>,
    claim: u64,
}

impl Worker {
    pub(super) fn new(config: WorkerConfig, launcher: Launcher) -> Self {
        let client = Client::new(Duration::from_millis(config.request_timeout_ms));
        Self { config, launcher, client }
    }

    /// Works for ever; a service that is away, fenced or standby only has no jobs.
    pub(super) async fn run(self: Arc<Self>) {
        let free = Arc::new(Semaphore::new(self.config.jobs.max(1)));
        let pause = Duration::from_millis(self.config.poll_ms);
        loop {
            let Ok(place) = Arc::clone(&free).acquire_owned().await else {
                return;
            };
            let Some(job) = self.claim().await else {
                drop(place);
                sleep(pause).await;
                continue;
            };
            let worker = Arc::clone(&self);
            tokio::spawn(async move {
                worker.work(job).await;
                drop(place);
            });
        }
    }

    async fn claim(&self) -> Option<Claimed> {
        let answer = self.post("/jobs/claim", String::new()).await.ok()?;
        if answer.status != StatusCode::OK {
            return None;
        }
        answer
            .json()
            .inspect_err(|error| log("worker", format_args!("read a claimed job: {error}")))
            .ok()
    }

    async fn work(&self, job: Claimed) {
        let started = self.launcher.start(&job.argv);
        let limit = Duration::from_millis(self.config.job_timeout_ms);
        let ended = output::gather(started, limit, self.config.output_limit_bytes).await;
        self.report(&job, ended).await;
    }

    /// Offers the result until the service has it, refuses it, or has been away too long.
    async fn report(&self, job: &Claimed, ended: Ended) {
        let Ended { exit_code, output } = ended;
        let path = format!("/jobs/{}/finish", job.id);
        let body = json!({ "claim": job.claim, "exit_code": exit_code, "output": output });
        let body = body.to_string();
        let since = Instant::now();
        while since.elapsed() < Duration::from_millis(self.config.report_for_ms) {
            match self.post(&path, body.clone()).await {
                Ok(answer) if answer.status == StatusCode::OK => return,
                Ok(answer) if answer.status.is_client_error() => {
                    let status = answer.status;
                    log("worker", format_args!("the result of {} is refused: {status}", job.id));
                    return;
                }
                Ok(_) | Err(_) => sleep(Duration::from_millis(self.config.poll_ms)).await,
            }
        }
        log("worker", format_args!("the result of {} found no service", job.id));
    }

    async fn post(
        &self,
        path: &str,
        body: String,
    ) -> Result<crate::client::Answer, crate::client::ClientError> {
        let url = format!("{}{path}", self.config.service_url.trim_end_matches('/'));
        self.client.send(Method::POST, &url, Some(&self.config.worker_token), body).await
    }
}
