//! How to run a worker.

use serde::{Deserialize, Serialize};

/// How to run a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    /// The service of its site, as `http://host:port`.
    pub service_url: String,
    /// What the service takes as a worker's token.
    pub worker_token: String,
    /// The pause between two looks for a job.
    #[serde(default = "poll")]
    pub poll_ms: u64,
    /// Jobs that run at the same time, at most.
    #[serde(default = "jobs")]
    pub jobs: usize,
    /// How long a job may run before it is killed.
    #[serde(default = "job_timeout")]
    pub job_timeout_ms: u64,
    /// How much of a job's output is kept; the rest is read and thrown away.
    #[serde(default = "output_limit")]
    pub output_limit_bytes: usize,
    /// How long the service may take to answer.
    #[serde(default = "request_timeout")]
    pub request_timeout_ms: u64,
    /// How long a result is offered to a service that does not take it.
    #[serde(default = "report_for")]
    pub report_for_ms: u64,
    /// Whether it also dies with the thread that started it; see the `node` module.
    #[serde(default)]
    pub die_with_starting_thread: bool,
}

fn poll() -> u64 {
    50
}

fn jobs() -> usize {
    4
}

fn job_timeout() -> u64 {
    20_000
}

fn output_limit() -> usize {
    64 * 1024
}

fn request_timeout() -> u64 {
    2_000
}

fn report_for() -> u64 {
    30_000
}
