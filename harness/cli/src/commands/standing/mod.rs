//! `drdrill env up|status|down`, `failover`, `failback`: an environment that is up without a drill, and what is asked of it.
//!
//! Who brought it up holds it: its processes end with that drdrill, and a keeper watches, as in a drill. The other commands
//! ask that drdrill over a socket in the state directory, because only it knows the secrets of what it started.

mod ask;
mod host;
mod socket;

use std::collections::BTreeMap;

use drdrill_core::environment::Role;
use drdrill_core::event::Entry;
use drdrill_core::scenario::Failback;
use serde::{Deserialize, Serialize};

pub(super) use ask::{down, failback, failover, status};
pub(super) use host::up;

/// What is asked of an environment that is up.
#[derive(Debug, Deserialize, Serialize)]
enum Ask {
    Status,
    Down,
    Failover { dry_run: bool },
    Failback { dry_run: bool, plan: Failback },
}

/// What comes back, a line each; the last is not [`Answer::Happened`].
#[derive(Debug, Deserialize, Serialize)]
enum Answer {
    /// Something happened while a plan was carried out.
    Happened(Box<Entry>),
    /// What would be done.
    Planned(Vec<PlannedStep>),
    Status(Box<Status>),
    Done,
    /// It was tried and did not succeed.
    Failed(String),
    /// It was not tried.
    Refused(String),
    /// It was taken down, and something stayed.
    LeftInPlace(String),
}

/// A step of a plan that was not carried out.
#[derive(Debug, Deserialize, Serialize, tabled::Tabled)]
struct PlannedStep {
    step: String,
    action: String,
    site: String,
    #[tabled(rename = "if it fails")]
    if_it_fails: String,
}

/// How an environment that is up is doing.
#[derive(Debug, Deserialize, Serialize)]
struct Status {
    environment: String,
    run_id: String,
    /// Where clients come, where they come by HTTP.
    clients: Option<String>,
    /// Whether the health monitor fails over by itself.
    automatic: bool,
    serves: String,
    sites: Vec<SiteRow>,
    /// Percent of the requests, by site.
    shares: BTreeMap<String, u32>,
    /// Changes of its state so far, and why.
    changes: Vec<String>,
}

/// A site as it says it is.
#[derive(Debug, Deserialize, Serialize)]
struct SiteRow {
    site: String,
    role: Option<Role>,
    epoch: Option<u64>,
    fenced: Option<bool>,
    lag_ms: Option<u64>,
    /// `healthy`, or what is wrong with it.
    health: String,
}
