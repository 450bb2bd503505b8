//! What a request is answered when it is not done.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::client::ClientError;
use crate::store::StoreError;

/// Why a request is not done. 4xx and 503 say that it had no effect; 500, 502 and 504 do not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Unauthorized(&'static str),
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A standby could not get an answer from its leader.
    #[error("not primary, and the leader: {0}")]
    Leader(ClientError),
    /// A standby that must have the change does not have it in time. It may still be kept.
    #[error("written here, but not known to be on {}", .0.join(", "))]
    NotFollowed(Vec<String>),
    /// Nobody checks passwords.
    #[error("logins: {0}")]
    Auth(ClientError),
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Store(StoreError::NotPrimary | StoreError::Fenced)
            | Self::Leader(ClientError::Request(_) | ClientError::NotSent(_))
            | Self::Auth(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(StoreError::NotFound(_)) => StatusCode::NOT_FOUND,
            Self::Store(StoreError::Conflict(_) | StoreError::StaleEpoch { .. }) => {
                StatusCode::CONFLICT
            }
            Self::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Leader(ClientError::Broken(_)) => StatusCode::BAD_GATEWAY,
            Self::Leader(ClientError::TimedOut(_)) | Self::NotFollowed(_) => {
                StatusCode::GATEWAY_TIMEOUT
            }
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status(), Json(json!({ "error": self.to_string() }))).into_response()
    }
}
