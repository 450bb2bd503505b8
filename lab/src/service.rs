//! The service of one site: entries, registers, accounts, logins and jobs over HTTP, replicated to the other site.

mod accounts;
mod admin;
mod audit;
mod auth;
mod config;
mod control;
mod entries;
pub(crate) mod failure;
mod forward;
mod health;
mod jobs;
pub(crate) mod login;
mod planted;
mod registers;
mod site;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post, put};

pub use config::{FollowTarget, ServiceConfig, ServiceTiming, ServiceUser};
pub use planted::Planted;
use site::Site;

use crate::node::{self, LabError};

/// Runs the service of one site until its standard input ends.
///
/// # Errors
///
/// When its database cannot be opened or one of its addresses cannot be listened on.
pub async fn run(config: ServiceConfig) -> Result<(), LabError> {
    node::hold_lifeline("service", config.die_with_starting_thread)?;
    node::survive_refused_writes()?;
    let (http, http_address) = node::listen(config.http).await?;
    let (admin, admin_address) = node::listen(config.admin).await?;
    let (replication, replication_address) = node::listen(config.replication).await?;
    let site = Site::open(config).await?;

    let mut fields = node::ready_fields("service");
    fields.insert("site".to_owned(), site.config.site.clone().into());
    fields.insert("http".to_owned(), http_address.to_string().into());
    fields.insert("admin".to_owned(), admin_address.to_string().into());
    fields.insert("replication".to_owned(), replication_address.to_string().into());
    node::ready(fields)?;

    let source = Arc::new(site.source());
    let following = site.follower().run();
    let serving = node::serve(http, routes(Arc::clone(&site)));
    let administering = node::serve(admin, admin::routes(site));
    tokio::select! {
        ended = serving => ended,
        ended = administering => ended,
        () = source.run(replication) => Ok(()),
        () = following => Ok(()),
    }
}

fn routes(site: Arc<Site>) -> Router {
    Router::new()
        .route("/health", get(health::health))
        .route("/login", post(login::login))
        .route("/entries", get(audit::audit))
        .route("/entries/{id}", put(entries::put).get(entries::get))
        .route("/registers/{key}", put(registers::put).get(registers::get))
        .route("/accounts", post(accounts::open).get(accounts::balances))
        .route("/transfers", post(accounts::transfer))
        .route("/jobs", post(jobs::submit))
        .route("/jobs/claim", post(jobs::claim))
        .route("/jobs/{id}", get(jobs::get))
        .route("/jobs/{id}/finish", post(jobs::finish))
        .with_state(site)
}
