//! The container engine of this machine at another address, and who asked it there.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;

/// Where the engine really listens.
const ENGINE: &str = "/var/run/docker.sock";

/// The engine at a socket of a test.
pub(crate) struct EngineAt {
    socket: PathBuf,
    clients: Arc<Mutex<Vec<i32>>>,
}

impl EngineAt {
    pub(crate) fn new(socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let clients = Arc::new(Mutex::new(Vec::new()));
        let seen = clients.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let pid = getsockopt(&client, PeerCredentials).unwrap().pid();
                seen.lock().unwrap().push(pid);
                let engine = UnixStream::connect(ENGINE).unwrap();
                carry(client.try_clone().unwrap(), engine.try_clone().unwrap());
                carry(engine, client);
            }
        });
        Self { socket: socket.to_owned(), clients }
    }

    /// What `DOCKER_HOST` says of it.
    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// The processes that came, once for each connection.
    pub(crate) fn clients(&self) -> Vec<i32> {
        self.clients.lock().unwrap().clone()
    }
}

/// Carries what one says to the other until it has nothing more to say.
fn carry(mut from: UnixStream, mut to: UnixStream) {
    thread::spawn(move || {
        // A side that was killed ends the other one too.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}
