//! One request, one backend, one try.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::GatewayConfig;
use super::body::Deadline;
use super::spread::Spread;
use crate::client::with_causes;
use crate::node::log;

/// Names the backend that an answer comes from.
pub(super) const BACKEND: HeaderName = HeaderName::from_static("x-drdrill-backend");

/// Headers that are about one connection and not about the message (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::UPGRADE,
];

type Answer = Response<Either<Deadline, Full<Bytes>>>;
type Pool = Client<HttpConnector, Incoming>;

/// The backends and how requests are spread over them.
#[derive(Debug)]
pub(super) struct Proxy {
    routing: Mutex<Routing>,
    timeout: Duration,
    connect_timeout: Duration,
}

#[derive(Debug)]
struct Routing {
    spread: Spread,
    backends: BTreeMap<String, Backend>,
}

#[derive(Clone, Debug)]
struct Backend {
    address: SocketAddr,
    pool: Pool,
}

impl Proxy {
    pub(super) fn new(config: &GatewayConfig) -> Result<Self, String> {
        let connect_timeout = Duration::from_millis(config.timing.connect_timeout_ms);
        let backends = config
            .backends
            .iter()
            .map(|(name, address)| {
                let pool = pool(connect_timeout);
                (name.clone(), Backend { address: *address, pool })
            })
            .collect();
        let spread = Spread::new(config.backends.keys(), config.weights.clone())?;
        Ok(Self {
            routing: Mutex::new(Routing { spread, backends }),
            timeout: Duration::from_millis(config.timing.timeout_ms),
            connect_timeout,
        })
    }

    pub(super) fn weights(&self) -> BTreeMap<String, u32> {
        self.routing().spread.weights().clone()
    }

    /// Spreads all requests that arrive from now on by these weights.
    ///
    /// A backend whose weight is 0 loses its pooled connections; what it is answering just now
    /// goes on.
    pub(super) fn set_weights(&self, weights: BTreeMap<String, u32>) -> Result<(), String> {
        let mut routing = self.routing();
        let spread = Spread::new(routing.backends.keys(), weights)?;
        for (name, backend) in &mut routing.backends {
            if spread.weights().get(name) == Some(&0) {
                backend.pool = pool(self.connect_timeout);
            }
        }
        routing.spread = spread;
        Ok(())
    }

    fn choose(&self) -> Option<(String, Backend)> {
        let mut routing = self.routing();
        let name = routing.spread.next();
        let backend = routing.backends.get(&name)?.clone();
        Some((name, backend))
    }

    fn routing(&self) -> MutexGuard<'_, Routing> {
        self.routing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass(&self, request: Request<Incoming>) -> Answer {
        let Some((name, backend)) = self.choose() else {
            return failure(StatusCode::BAD_GATEWAY, "no backend");
        };
        let deadline = Instant::now() + self.timeout;
        let mut answer = match towards(request, backend.address) {
            Err(reason) => failure(StatusCode::BAD_REQUEST, &reason),
            Ok(request) => match timeout_at(deadline, backend.pool.request(request)).await {
                Err(_) => {
                    failure(StatusCode::GATEWAY_TIMEOUT, "the backend did not answer in time")
                }
                Ok(Err(error)) => failure(StatusCode::BAD_GATEWAY, &with_causes(&error)),
                Ok(Ok(answer)) => {
                    let (mut parts, body) = answer.into_parts();
                    end_hop(&mut parts.headers);
                    parts.version = Version::HTTP_11;
                    let body = Deadline::new(body, sleep_until(deadline));
                    Response::from_parts(parts, Either::Left(body))
                }
            },
        };
        if let Ok(name) = HeaderValue::from_str(&name) {
            answer.headers_mut().insert(BACKEND, name);
        }
        answer
    }
}

/// Accepts clients for ever and keeps their connections for as long as they want.
pub(super) async fn accept(listener: TcpListener, proxy: Arc<Proxy>) {
    loop {
        let client = match listener.accept().await {
            Ok((client, _)) => client,
            Err(error) => {
                log("gateway", format_args!("accept a client: {error}"));
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = client.set_nodelay(true);
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move {
            let each = service_fn(move |request| {
                let proxy = Arc::clone(&proxy);
                async move { Ok::<_, Infallible>(proxy.pass(request).await) }
            });
            // A client that goes away, or an answer that is broken off, ends only this connection.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(client), each)
                .await;
        });
    }
}

/// Connections to one backend. Nothing is ever sent twice: a write may have been applied.
fn pool(connect_timeout: Duration) -> Pool {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(connect_timeout));
    Client::builder(TokioExecutor::new())
        .retry_canceled_requests(false)
        .pool_timer(TokioTimer::new())
        .build(connector)
}

fn towards(request: Request<Incoming>, backend: SocketAddr) -> Result<Request<Incoming>, String> {
    let (mut parts, body) = request.into_parts();
    end_hop(&mut parts.headers);
    let path = parts.uri.path_and_query().cloned();
    parts.uri = Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(backend.to_string())
        .path_and_query(path.unwrap_or_else(|| PathAndQuery::from_static("/")))
        .build()
        .map_err(|error| error.to_string())?;
    parts.version = Version::HTTP_11;
    Ok(Request::from_parts(parts, body))
}

fn end_hop(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn failure(status: StatusCode, reason: &str) -> Answer {
    let body = serde_json::json!({ "error": reason }).to_string();
    let mut answer = Response::new(Either::Right(Full::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
