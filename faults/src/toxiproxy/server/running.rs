//! Starting and stopping the server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use super::api;
use super::go::address;
use super::proxies::Proxies;

/// How many tasks run until sockets are looked at again. Few, so that bulk data of one connection does not
/// make the delays of another inexact; more than one, because every look costs a call of the system.
const TASKS_PER_LOOK: u32 = 8;

/// The seed of [`Server::start`].
const DEFAULT_SEED: u64 = 0;

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address of the control interface cannot be had.
    #[error("start the Toxiproxy server: {0}")]
    Listen(String),
    /// The system refuses a thread or what it needs to run.
    #[error("start the Toxiproxy server: no thread for it")]
    Thread(#[source] io::Error),
    /// The thread of the server ended in a panic.
    #[error("the Toxiproxy server crashed")]
    Crashed,
}

/// A running server. It stops when dropped.
///
/// It runs in a thread of its own, so that it does not delay the program it is part of, nor the other way
/// round.
#[derive(Debug)]
pub struct Server {
    api: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server whose control interface listens at `listen`; port 0 stands for any free one.
    ///
    /// # Errors
    /// When that address is taken or the system refuses a thread.
    pub async fn start(listen: SocketAddr) -> Result<Self, ServerError> {
        Self::start_seeded(listen, DEFAULT_SEED).await
    }

    /// As [`Server::start`]. The same `seed` gives the same chances to the same connections.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_seeded(listen: SocketAddr, seed: u64) -> Result<Self, ServerError> {
        let stop = CancellationToken::new();
        let (tell, told) = tokio::sync::oneshot::channel();
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("toxiproxy".to_owned())
            .spawn(move || run(listen, seed, stopped, tell))
            .map_err(ServerError::Thread)?;
        let api = told.await.map_err(|_| ServerError::Crashed)??;
        Ok(Self { api, stop, thread: Some(thread) })
    }

    /// Where the control interface listens.
    #[must_use]
    pub fn api(&self) -> SocketAddr {
        self.api
    }

    /// The address for a client: `http://127.0.0.1:8474`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// Closes all proxies with their connections, and returns when they are closed.
    ///
    /// # Errors
    /// When the server has crashed before.
    pub async fn shutdown(mut self) -> Result<(), ServerError> {
        self.stop.cancel();
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        match joined {
            Ok(Ok(())) => Ok(()),
            _ => Err(ServerError::Crashed),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Serves until this process ends, or until the returned future is dropped.
///
/// # Errors
/// As [`Server::start`].
pub async fn serve(listen: SocketAddr) -> Result<(), ServerError> {
    let server = Server::start(listen).await?;
    std::future::pending::<()>().await;
    server.shutdown().await
}

type Tell = tokio::sync::oneshot::Sender<Result<SocketAddr, ServerError>>;

/// The thread of the server.
fn run(listen: SocketAddr, seed: u64, stop: CancellationToken, tell: Tell) {
    let runtime = Builder::new_current_thread().enable_all().event_interval(TASKS_PER_LOOK).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return drop(tell.send(Err(ServerError::Thread(error)))),
    };
    runtime.block_on(async move {
        let listener = match address::listen(listen) {
            Ok(listener) => listener,
            Err(reason) => return drop(tell.send(Err(ServerError::Listen(reason)))),
        };
        let api = listener.local_addr().unwrap_or(listen);
        if tell.send(Ok(api)).is_err() {
            return;
        }
        control(listener, seed, stop).await;
    });
    // A name that is still being resolved must not hold up the end.
    runtime.shutdown_background();
}

async fn control(listener: TcpListener, seed: u64, stop: CancellationToken) {
    let proxies = Arc::new(Proxies::new(seed));
    let router = Router::new().fallback(api::answer).with_state(Arc::clone(&proxies));
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    tokio::select! {
        served = async { axum::serve(listener, router).await } => drop(served),
        () = stop.cancelled() => {}
    }
    proxies.stop().await;
}
