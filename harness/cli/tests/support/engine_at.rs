//! The container engine of this machine at another address: it can die and hang there without any other drill noticing, and
//! who asked it is known.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;

/// Where the engine really listens.
const ENGINE: &str = "/var/run/docker.sock";

/// What is between drdrill and the engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Is {
    /// The engine.
    There,
    /// The engine, which gets no question until it is there again.
    Held,
    /// A socket that nobody listens at any more, as one that was killed leaves it.
    Dead,
    /// A socket that takes connections and answers nothing.
    Hanging,
}

struct State {
    is: Is,
    streams: Vec<UnixStream>,
    clients: Vec<i32>,
}

type Shared = Arc<(Mutex<State>, Condvar)>;

/// The engine at a socket of a test.
pub(crate) struct EngineAt {
    socket: PathBuf,
    shared: Shared,
}

impl EngineAt {
    pub(crate) fn new(socket: &Path) -> Self {
        let state = State { is: Is::There, streams: Vec::new(), clients: Vec::new() };
        let shared = Arc::new((Mutex::new(state), Condvar::new()));
        let engine = Self { socket: socket.to_owned(), shared };
        engine.listen();
        engine
    }

    /// What `DOCKER_HOST` says of it.
    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// The processes that came, once for each connection.
    pub(crate) fn clients(&self) -> Vec<i32> {
        self.shared.0.lock().unwrap().clients.clone()
    }

    /// All connections end with it when it dies or hangs.
    pub(crate) fn becomes(&self, is: Is) {
        let mut state = self.shared.0.lock().unwrap();
        let before = std::mem::replace(&mut state.is, is);
        self.shared.1.notify_all();
        if matches!(is, Is::Dead | Is::Hanging) {
            for stream in state.streams.drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        drop(state);
        if is == Is::Dead {
            // Wakes the listener, which ends.
            let _ = UnixStream::connect(&self.socket);
        }
        if before == Is::Dead {
            self.listen();
        }
    }

    /// Is there again when this is dropped, so that a test that fails can be cleaned up after.
    pub(crate) fn released_at_the_end(&self) -> Released<'_> {
        Released(self)
    }

    fn listen(&self) {
        let _ = fs::remove_file(&self.socket);
        let listener = UnixListener::bind(&self.socket).unwrap();
        let shared = self.shared.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let mut state = shared.0.lock().unwrap();
                state.clients.push(getsockopt(&client, PeerCredentials).unwrap().pid());
                state.streams.push(client.try_clone().unwrap());
                match state.is {
                    Is::There | Is::Held => {
                        let engine = UnixStream::connect(ENGINE).unwrap();
                        state.streams.push(engine.try_clone().unwrap());
                        let asks = (client.try_clone().unwrap(), engine.try_clone().unwrap());
                        carry(asks.0, asks.1, Some(shared.clone()));
                        carry(engine, client, None);
                    }
                    Is::Dead => return,
                    // It is held, and not read.
                    Is::Hanging => {}
                }
            }
        });
    }
}

pub(crate) struct Released<'a>(&'a EngineAt);

impl Drop for Released<'_> {
    fn drop(&mut self) {
        self.0.becomes(Is::There);
    }
}

/// Carries what one says to the other until it has nothing more to say. A side that was killed ends the other one too.
fn carry(mut from: UnixStream, mut to: UnixStream, held_by: Option<Shared>) {
    thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if let Some((state, changed)) = held_by.as_deref() {
                let state = state.lock().unwrap();
                drop(changed.wait_while(state, |state| state.is == Is::Held).unwrap());
            }
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
