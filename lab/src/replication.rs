//! Asynchronous replication: the primary's change log, shipped to a standby over TCP.
//!
//! ```text
//! standby                                   source (the primary)
//!   Hello {last lsn, its epoch and digest} ->  same change there? then the history is a prefix
//!   <- Welcome, and a whole snapshot where it is not
//!   <- Changes ... (each no younger than the configured lag)   <- Heartbeat when idle
//!   Applied ... ->                                  both sides give up on a silent link
//! ```

mod acks;
mod follower;
mod frame;
mod prefix;
mod shipping;
mod source;

use std::time::Duration;

pub(crate) use follower::{FollowView, Follower};
pub(crate) use source::{FollowersView, Source};

/// The times of a replication link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkTiming {
    /// The longest silence of a healthy side.
    pub(crate) heartbeat: Duration,
    /// The silence after which a link counts as cut.
    pub(crate) give_up: Duration,
    /// The pause before a standby connects again.
    pub(crate) reconnect: Duration,
    /// Changes of this time go together.
    pub(crate) gather: Duration,
}

/// Why a link ended; the standby connects again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("the link: {0}")]
    Link(#[from] std::io::Error),
    #[error("nothing heard for {} ms", .0.as_millis())]
    Silent(Duration),
    #[error("the other side sent what is no message of the protocol: {0}")]
    Protocol(String),
    #[error("refused by the source: {0}")]
    Refused(String),
    #[error("refused the standby: {0}")]
    RefusedStandby(String),
    #[error("the snapshot came damaged")]
    DamagedSnapshot,
    #[error("this site's role has changed")]
    RoleChanged,
    #[error("the database: {0}")]
    Store(#[from] crate::store::StoreError),
}
