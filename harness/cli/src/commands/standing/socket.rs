//! The socket of an environment that is up, in the state directory, which nobody else may write to.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use drdrill_engine::state::StateDir;
use tokio::net::{UnixListener, UnixStream};

/// The directory of a socket, open. An address of a socket has at most 107 bytes, and a path may have more, so that the
/// directory is named by its descriptor.
#[derive(Debug)]
pub(super) struct Place {
    directory: File,
    name: String,
}

impl Place {
    pub(super) fn of(state: &StateDir, environment: &str) -> io::Result<Self> {
        let directory = File::open(state.root())?;
        Ok(Self { directory, name: format!("{environment}.socket") })
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{}", self.directory.as_raw_fd(), self.name))
    }

    /// Listens; to be called by whoever holds the environment's lock, so that a socket that is there is a dead one's.
    pub(super) fn listen(&self) -> io::Result<UnixListener> {
        self.remove()?;
        let listener = UnixListener::bind(self.path())?;
        fs::set_permissions(self.path(), Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    pub(super) async fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect(self.path()).await
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        match fs::remove_file(self.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
