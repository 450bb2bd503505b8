//! The worker of one site: runs the jobs that the site's service has accepted, while it is
//! primary.
//!
//! A job runs as a process of its own group, without a shell. It is started through program `job`
//! of the worker's own executable, which asks the kernel for SIGKILL at the worker's death and then
//! becomes the job: when a worker is killed, its jobs are gone too.

mod config;
mod launch;
mod output;
mod poll;

use std::sync::Arc;

pub use config::WorkerConfig;
pub(crate) use launch::{JOB_PROGRAM, become_job};

use crate::node::{self, LabError};

/// Runs a worker until its standard input ends.
///
/// # Errors
///
/// When the worker does not know its own executable.
pub async fn run(config: WorkerConfig) -> Result<(), LabError> {
    node::hold_lifeline("worker", config.die_with_starting_thread)?;
    node::survive_refused_writes()?;
    let launcher = launch::Launcher::of_this_process()?;
    let mut fields = node::ready_fields("worker");
    fields.insert("service_url".to_owned(), config.service_url.clone().into());
    node::ready(fields)?;
    Arc::new(poll::Worker::new(config, launcher)).run().await;
    Ok(())
}
