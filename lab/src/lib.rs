//! The lab: a small two-site system that drdrill's drills break for real.
//!
//! It acknowledges only what is durable on the site that answers, and replicates asynchronously,
//! so a failover under load loses acknowledged writes the way a real system does.
//!
//! In reading order:
//!
//! - [`node`] — what every program has in common: dispatch by name, the ready line, the lifeline.
//! - [`service`] — one per site: the HTTP service over its database, and its admin listener.
//! - `store` — the database: one writer with group commit, many readers, the change log.
//! - `replication` — the change log shipped from the primary to the standby.
//! - [`worker`] — one per site: runs the jobs that the site's service has accepted.
//! - [`backup`] — one per site: full backups and log segments outside the site; restore.
//! - [`auth`] — one per site: checks passwords and issues tokens.
//! - [`gateway`] — outside both sites: spreads requests over them by weight.
//! - [`bystander`] — outside the blast radius: must never notice a drill.
//! - [`client`] — the small HTTP client that these programs use.

pub mod auth;
pub mod backup;
pub mod bystander;
pub mod client;
mod durable;
pub mod gateway;
pub mod node;
mod replication;
pub mod service;
mod store;
pub mod worker;

pub use node::LabError;
pub use store::{Consistency, Role, database_path};
