//! `POST /login`: a password for a token.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::auth;
use super::failure::Failure;
use super::site::Site;

/// Who logs in.
#[derive(Debug, Deserialize)]
pub(super) struct Login {
    user: String,
    password: String,
}

/// A successful login.
#[derive(Debug, Serialize)]
pub(super) struct Token {
    token: String,
}

/// Checks the password against this site's own database, on a primary and on a standby.
pub(super) async fn login(
    State(site): State<Arc<Site>>,
    Json(login): Json<Login>,
) -> Result<Json<Token>, Failure> {
    let Login { user: name, password } = login;
    let looked_up = name.clone();
    // Hashing is meant to be slow, so it belongs on the reader's thread too.
    let fits = site
        .readers
        .read(move |connection| {
            let user = auth::find(connection, &looked_up)?;
            Ok(user.is_some_and(|user| auth::password_fits(&user, &password)))
        })
        .await?;
    if !fits {
        return Err(Failure::Unauthorized("no such user, or not their password"));
    }
    let lifetime_ms = site.config.timing.token_lifetime_ms;
    let token = auth::issue(&site.config.token_secret, &name, lifetime_ms);
    Ok(Json(Token { token }))
}
