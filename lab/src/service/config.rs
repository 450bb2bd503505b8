//! How to run a service.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::planted::Planted;
use crate::replication::LinkTiming;
use crate::store::Role;

/// How to run the service of one site.
///
/// `role`, `epoch` and `follow` are for a new database; afterwards the database knows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// The site's name, for people.
    pub site: String,
    /// The directory of the database; made when it is missing.
    pub data_dir: PathBuf,
    /// Where clients come.
    pub http: SocketAddr,
    /// Where operators come.
    pub admin: SocketAddr,
    /// Where standbys come.
    pub replication: SocketAddr,
    /// The role of a site whose database is new.
    pub role: Role,
    /// The epoch of a site whose database is new.
    #[serde(default = "first_epoch")]
    pub epoch: u64,
    /// What a standby whose database is new follows.
    #[serde(default)]
    pub follow: Option<FollowTarget>,
    /// Standbys, by their names, that must have a change before a primary whose database is new acknowledges it.
    #[serde(default)]
    pub synchronous: Vec<String>,
    /// Whether a primary starts fenced, so that one which comes back must first be told its role.
    #[serde(default)]
    pub fenced_at_start: bool,
    /// Signs login tokens; the same on both sites, so that a token outlives a failover.
    pub token_secret: String,
    /// The one user of a new history.
    pub user: ServiceUser,
    /// What workers present to claim and finish jobs.
    pub worker_token: String,
    /// The process that checks passwords, as `http://host:port`; the service does it itself when absent.
    #[serde(default)]
    pub auth_url: Option<String>,
    /// Times and limits.
    #[serde(default)]
    pub timing: ServiceTiming,
    /// A defect on purpose; none when absent.
    #[serde(default)]
    pub planted: Option<Planted>,
    /// Whether it also dies with the thread that started it; see the `node` module.
    #[serde(default)]
    pub die_with_starting_thread: bool,
}

/// What a standby follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowTarget {
    /// The primary's replication listener, or a proxy before it, as `host:port`.
    pub source: String,
    /// The primary's HTTP listener, where writes are sent on to, as `http://host:port`.
    pub leader_url: String,
}

/// Somebody who may log in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceUser {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
}

/// Times and limits of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceTiming {
    /// A change is shipped no earlier than this long after its COMMIT.
    pub replication_lag_ms: u64,
    /// How long the application thinks about each entry that is read or written.
    pub think_time_ms: u64,
    /// Changes that become shippable within this time go together.
    pub ship_gather_ms: u64,
    /// The longest silence of a healthy replication link.
    pub heartbeat_ms: u64,
    /// The silence after which a replication link counts as cut.
    pub link_give_up_ms: u64,
    /// The pause before a standby connects again.
    pub reconnect_ms: u64,
    /// How long a write that is sent on to the leader may take.
    pub forward_timeout_ms: u64,
    /// How long a write may wait for the standbys that must have it. After that nobody knows whether it is kept.
    pub synchronous_timeout_ms: u64,
    /// How long the database may take in a health check.
    pub health_timeout_ms: u64,
    /// A job that waits longer makes the queue unhealthy; 0 turns that off.
    pub queue_stall_ms: u64,
    /// A claimed job that is not finished after this time may be claimed again.
    pub job_lease_ms: u64,
    /// How long a login is good for.
    pub token_lifetime_ms: u64,
    /// Rounds of the password hash. The default is that of SCRAM-SHA-256 (RFC 7677): enough for
    /// a lab, and quick in a debug build.
    pub password_iterations: u32,
    /// Requests that may wait for the writer.
    pub writer_queue: usize,
    /// Requests in one COMMIT at most.
    pub writer_group: usize,
}

impl Default for ServiceTiming {
    fn default() -> Self {
        Self {
            replication_lag_ms: 0,
            think_time_ms: 0,
            ship_gather_ms: 2,
            heartbeat_ms: 100,
            link_give_up_ms: 1_000,
            reconnect_ms: 50,
            forward_timeout_ms: 1_000,
            synchronous_timeout_ms: 1_000,
            health_timeout_ms: 1_000,
            queue_stall_ms: 10_000,
            job_lease_ms: 30_000,
            token_lifetime_ms: 24 * 60 * 60 * 1_000,
            password_iterations: 4_096,
            writer_queue: 1_024,
            writer_group: 256,
        }
    }
}

impl ServiceTiming {
    pub(super) fn link(&self) -> LinkTiming {
        LinkTiming {
            heartbeat: Duration::from_millis(self.heartbeat_ms),
            give_up: Duration::from_millis(self.link_give_up_ms),
            reconnect: Duration::from_millis(self.reconnect_ms),
            gather: Duration::from_millis(self.ship_gather_ms),
        }
    }
}

fn first_epoch() -> u64 {
    1
}
