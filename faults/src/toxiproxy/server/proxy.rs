//! One proxy: where it listens, where it leads, its toxics and its connections.
//!
//! All of it is behind one lock, held while a connection is accepted and while toxics change. So a new
//! connection has every toxic whose call has returned, and a stopped proxy has no connection.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::go::address;
use super::plane::{Connection, Way};
use super::toxic::Toxic;

/// How long accepting rests when the system has no more file descriptors.
const REST: Duration = Duration::from_millis(10);

pub(crate) struct Proxy {
    name: String,
    seed: u64,
    state: Mutex<State>,
}

struct State {
    listen: String,
    upstream: String,
    listening: Option<Listening>,
    connections: BTreeMap<u64, Arc<Connection>>,
    /// Connections so far; each gets its number.
    accepted: u64,
    up: Vec<Toxic>,
    down: Vec<Toxic>,
}

struct Listening {
    listener: TcpListener,
    task: AbortHandle,
}

/// A proxy as it is at one moment.
pub(crate) struct Snapshot {
    pub(crate) name: String,
    pub(crate) listen: String,
    pub(crate) upstream: String,
    pub(crate) enabled: bool,
    pub(crate) toxics: Vec<Toxic>,
}

impl Proxy {
    /// A proxy that is not enabled yet. `seed` and its name decide all its chances.
    pub(crate) fn new(name: String, listen: String, upstream: String, seed: u64) -> Self {
        Self {
            name,
            seed,
            state: Mutex::new(State {
                listen,
                upstream,
                listening: None,
                connections: BTreeMap::new(),
                accepted: 0,
                up: Vec::new(),
                down: Vec::new(),
            }),
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        Snapshot {
            name: self.name.clone(),
            listen: state.listen.clone(),
            upstream: state.upstream.clone(),
            enabled: state.listening.is_some(),
            toxics: state.up.iter().chain(&state.down).cloned().collect(),
        }
    }

    /// Listens, unless it does already. From the moment this returns, connections are accepted.
    pub(crate) async fn start(self: &Arc<Self>) -> Result<(), String> {
        let (enabled, listen) = {
            let state = self.lock();
            (state.listening.is_some(), state.listen.clone())
        };
        if enabled {
            return Ok(());
        }
        let prefixed = |reason| format!("listen tcp: {reason}");
        let address = address::resolve(&listen).await.map_err(prefixed)?;
        let listener = address::listen(address)?;
        let bound = listener.local_addr().unwrap_or(address);
        let mut state = self.lock();
        state.listen = bound.to_string();
        // The task waits for the lock, so it finds its listener.
        let task = tokio::spawn(Arc::clone(self).accept()).abort_handle();
        state.listening = Some(Listening { listener, task });
        Ok(())
    }

    /// Stops listening and cuts every connection, before it returns.
    pub(crate) fn stop(&self) {
        let connections = {
            let mut state = self.lock();
            if let Some(listening) = state.listening.take() {
                listening.task.abort();
            }
            std::mem::take(&mut state.connections)
        };
        for connection in connections.values() {
            connection.cut();
        }
    }

    /// Changes addresses and whether the proxy is enabled. New addresses cut what is connected.
    pub(crate) async fn update(
        self: &Arc<Self>,
        listen: String,
        upstream: String,
        enabled: bool,
    ) -> Result<(), String> {
        if self.differs(&listen, &upstream).await? {
            self.stop();
            let mut state = self.lock();
            state.listen = listen;
            state.upstream = upstream;
        }
        if enabled {
            self.start().await
        } else {
            self.stop();
            Ok(())
        }
    }

    /// Whether this proxy has other addresses than these.
    pub(crate) async fn differs(&self, listen: &str, upstream: &str) -> Result<bool, String> {
        let resolved = address::resolve(listen).await?.to_string();
        let state = self.lock();
        Ok(state.listen != resolved || state.upstream != upstream)
    }

    pub(crate) fn toxic(&self, name: &str) -> Option<Toxic> {
        let state = self.lock();
        let mut toxics = state.up.iter().chain(&state.down);
        toxics.find(|toxic| toxic.name == name).cloned()
    }

    /// Adds a toxic after all others, to every connection. False if the name is taken.
    pub(crate) fn add_toxic(&self, toxic: Toxic) -> bool {
        let mut state = self.lock();
        if state.find(&toxic.name).is_some() {
            return false;
        }
        for connection in state.connections.values() {
            connection.change(toxic.way, |chain, random| {
                chain.add(&toxic.attributes, toxic.toxicity, random);
            });
        }
        state.toxics(toxic.way).push(toxic);
        true
    }

    /// Replaces the toxic of that name, on every connection.
    pub(crate) fn update_toxic(&self, toxic: &Toxic) -> bool {
        let mut state = self.lock();
        let Some((way, index)) = state.find(&toxic.name) else {
            return false;
        };
        for connection in state.connections.values() {
            connection.change(way, |chain, random| {
                chain.update(index, &toxic.attributes, toxic.toxicity, random);
            });
        }
        state.toxics(way)[index] = toxic.clone();
        true
    }

    /// Takes a toxic away, from every connection. False if there is none of that name.
    pub(crate) fn remove_toxic(&self, name: &str) -> bool {
        let mut state = self.lock();
        let Some((way, index)) = state.find(name) else {
            return false;
        };
        state.toxics(way).remove(index);
        for connection in state.connections.values() {
            connection.change(way, |chain, _| chain.remove(index));
        }
        true
    }

    /// Takes all toxics away.
    pub(crate) fn remove_toxics(&self) {
        for toxic in self.snapshot().toxics {
            self.remove_toxic(&toxic.name);
        }
    }

    /// Accepts connections until aborted.
    async fn accept(self: Arc<Self>) {
        loop {
            match poll_fn(|cx| self.poll_accept(cx)).await {
                Ok((number, connection, upstream)) => {
                    let proxy = Arc::clone(&self);
                    tokio::spawn(async move {
                        connection.run(&upstream).await;
                        proxy.lock().connections.remove(&number);
                    });
                }
                Err(_) => tokio::time::sleep(REST).await,
            }
        }
    }

    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<(u64, Arc<Connection>, String)>> {
        let mut state = self.lock();
        let Some(listening) = &state.listening else {
            return Poll::Pending;
        };
        let (client, _) = ready!(listening.listener.poll_accept(cx))?;
        // Without it small writes would wait for acknowledgements: a delay nobody asked for.
        let _ = client.set_nodelay(true);
        state.accepted += 1;
        let number = state.accepted;
        let connection = Arc::new(Connection::new(client, self.seed_of(number)));
        for toxic in state.up.iter().chain(&state.down) {
            connection.change(toxic.way, |chain, random| {
                chain.add(&toxic.attributes, toxic.toxicity, random);
            });
        }
        state.connections.insert(number, Arc::clone(&connection));
        let upstream = address::dialable(&state.upstream);
        Poll::Ready(Ok((number, connection, upstream)))
    }

    /// Depends on nothing but the server's seed, the proxy's name and the connection's number.
    fn seed_of(&self, number: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, &self.name, number).hash(&mut hasher);
        hasher.finish()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&self, name: &str) -> Option<(Way, usize)> {
        let position = |toxics: &[Toxic]| toxics.iter().position(|toxic| toxic.name == name);
        let up = position(&self.up).map(|index| (Way::Up, index));
        up.or_else(|| position(&self.down).map(|index| (Way::Down, index)))
    }

    fn toxics(&mut self, way: Way) -> &mut Vec<Toxic> {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }
}
