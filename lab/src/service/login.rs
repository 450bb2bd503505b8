//! `POST /login`: a password for a token.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::auth;
use super::failure::Failure;
use super::site::Site;
use crate::store::Readers;

/// Who logs in.
#[derive(Debug, Deserialize)]
pub(crate) struct Login {
    user: String,
    password: String,
}

/// A successful login.
#[derive(Debug, Serialize)]
pub(crate) struct Token {
    token: String,
}

/// Where passwords are checked.
#[derive(Debug)]
pub(crate) struct Desk {
    readers: Arc<Readers>,
    token_secret: String,
    token_lifetime_ms: u64,
}

impl Desk {
    pub(crate) fn new(readers: Arc<Readers>, token_secret: String, token_lifetime_ms: u64) -> Self {
        Self { readers, token_secret, token_lifetime_ms }
    }

    /// Checks the password against the site's own database, on a primary and on a standby.
    pub(crate) async fn log_in(&self, login: Login) -> Result<Token, Failure> {
        let Login { user: name, password } = login;
        let looked_up = name.clone();
        // Hashing is meant to be slow, so it belongs on the reader's thread too.
        let fits = self
            .readers
            .read(move |connection| {
                let user = auth::find(connection, &looked_up)?;
                Ok(user.is_some_and(|user| auth::password_fits(&user, &password)))
            })
            .await?;
        if !fits {
            return Err(Failure::Unauthorized("no such user, or not their password"));
        }
        let token = auth::issue(&self.token_secret, &name, self.token_lifetime_ms);
        Ok(Token { token })
    }

    /// Whether the users can be read.
    pub(crate) async fn look(&self) -> Result<(), Failure> {
        self.readers.read(|connection| auth::find(connection, "").map(drop)).await?;
        Ok(())
    }
}

/// Lets the site's own process for logins decide, where it has one.
pub(super) async fn login(State(site): State<Arc<Site>>, body: Bytes) -> Result<Response, Failure> {
    let Some(auth) = &site.config.auth_url else {
        let login =
            serde_json::from_slice(&body).map_err(|error| Failure::Invalid(error.to_string()))?;
        return Ok(Json(site.desk.log_in(login).await?).into_response());
    };
    let url = format!("{auth}/login");
    let answer = site.auth.send(Method::POST, &url, None, body).await.map_err(Failure::Auth)?;
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((answer.status, json, answer.body).into_response())
}
