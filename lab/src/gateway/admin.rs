//! The gateway's operators: `GET` and `PUT /weights`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::proxy::Proxy;

type Weights = BTreeMap<String, u32>;

pub(super) fn routes(proxy: Arc<Proxy>) -> Router {
    Router::new().route("/weights", get(weights).put(set_weights)).with_state(proxy)
}

async fn weights(State(proxy): State<Arc<Proxy>>) -> Json<Weights> {
    Json(proxy.weights())
}

async fn set_weights(
    State(proxy): State<Arc<Proxy>>,
    Json(weights): Json<Weights>,
) -> Result<Json<Weights>, (StatusCode, Json<Value>)> {
    match proxy.set_weights(weights) {
        Ok(()) => Ok(Json(proxy.weights())),
        Err(reason) => Err((StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "error": reason })))),
    }
}
