//! The way to the container engine.

use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ImageInspect;
use thiserror::Error as ThisError;

/// Where the engine listens unless `DOCKER_HOST` says otherwise.
const SOCKET: &str = "unix:///var/run/docker.sock";
/// The engine answers a question within this time, or is called gone. Less than one try of an undo may take, so that it can say
/// why it failed.
pub(crate) const ANSWERS_WITHIN: Duration = Duration::from_secs(8);
/// It has done what it was told about a container, a network or a volume within this time; measured: 0.1 to 2 s, and more on a
/// machine that is busy.
const DOES_WITHIN: Duration = Duration::from_mins(1);
/// It may take so long until it begins to answer to something that it has to work for, such as an import.
pub(crate) const WORKS_WITHIN: Duration = Duration::from_mins(10);

/// An engine that answers.
#[derive(Clone, Debug)]
pub struct Engine {
    docker: Docker,
    questions: Docker,
    orders: Docker,
    version: String,
}

/// Why the engine did not do what it was asked.
#[derive(Debug, ThisError)]
pub enum EngineError {
    /// Nobody answers there.
    #[error(
        "no container engine answers at {at} ({why}); start one, or say in DOCKER_HOST where it is"
    )]
    Absent {
        /// Where.
        at: String,
        /// What came instead.
        why: String,
    },
    /// The socket is there and not for us.
    #[error("{at} may not be used by this user; be root")]
    Forbidden {
        /// Where.
        at: String,
    },
    /// It refused something.
    #[error("the container engine could not {what}: {why}")]
    Failed {
        /// What it was asked.
        what: String,
        /// Its answer.
        why: String,
    },
}

/// Where the engine is: where `DOCKER_HOST` says, or at its usual socket. Good from any directory, because the ledger tells it
/// to whoever recovers.
#[must_use]
pub fn address() -> String {
    whole(std::env::var("DOCKER_HOST").unwrap_or_default())
}

fn whole(said: String) -> String {
    if said.is_empty() {
        return SOCKET.to_owned();
    }
    let path = said.strip_prefix("unix://").and_then(|path| std::path::absolute(path).ok());
    path.map_or(said, |path| format!("unix://{}", path.display()))
}

impl Engine {
    /// Finds the engine where `DOCKER_HOST` says, or at its usual socket, and asks for its version.
    ///
    /// # Errors
    /// When none answers, or it may not be used.
    pub async fn connect() -> Result<Self, EngineError> {
        Self::connect_to(address()).await
    }

    /// Finds the engine there, and asks for its version.
    ///
    /// # Errors
    /// When none answers, or it may not be used.
    pub async fn connect_to(at: String) -> Result<Self, EngineError> {
        let absent = |why: String| EngineError::Absent { at: at.clone(), why };
        if let Some(path) = at.strip_prefix("unix://") {
            may_be_used(path, &at)?;
        }
        let docker = Docker::connect_with_host(&at).map_err(|error| absent(error.to_string()))?;
        let docker = docker.with_timeout(ANSWERS_WITHIN);
        let docker = docker.negotiate_version().await.map_err(|error| absent(chain(&error)))?;
        let version = docker.version().await.map_err(|error| absent(chain(&error)))?;
        let version = version.version.unwrap_or_else(|| "unknown".to_owned());
        Ok(Self {
            questions: docker.clone(),
            orders: docker.clone().with_timeout(DOES_WITHIN),
            docker: docker.with_timeout(WORKS_WITHIN),
            version,
        })
    }

    /// Its version, as it says.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The client for what is answered at once: an engine that hangs must not hold up a drill.
    pub(crate) const fn questions(&self) -> &Docker {
        &self.questions
    }

    /// The client for what is done to a container, a network or a volume.
    pub(crate) const fn orders(&self) -> &Docker {
        &self.orders
    }

    /// The client for what takes long.
    pub(crate) const fn client(&self) -> &Docker {
        &self.docker
    }

    /// An image by its name; `None` when it is not there.
    ///
    /// # Errors
    /// When the engine cannot tell.
    pub async fn image(&self, name: &str) -> Result<Option<ImageInspect>, EngineError> {
        match self.questions.inspect_image(name).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(failed(&format!("look at image {name}"), &error)),
        }
    }
}

/// Says so when the socket is there and closed to us: the client only says that it could not connect.
fn may_be_used(path: &str, at: &str) -> Result<(), EngineError> {
    use rustix::fs::{Access, access};
    match access(path, Access::READ_OK | Access::WRITE_OK) {
        Err(rustix::io::Errno::ACCESS) => Err(EngineError::Forbidden { at: at.to_owned() }),
        _ => Ok(()),
    }
}

/// An error with what caused it: the client's own words end at "error trying to connect".
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let words: Vec<String> = causes.map(ToString::to_string).collect();
    words.last().cloned().unwrap_or_else(|| error.to_string())
}

pub(crate) fn failed(what: &str, error: &Error) -> EngineError {
    let why = match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        Error::RequestTimeoutError => "the container engine does not answer".to_owned(),
        Error::HyperLegacyError { .. }
        | Error::HyperResponseError { .. }
        | Error::HttpClientError { .. }
        | Error::IOError { .. } => {
            format!("the container engine does not answer ({})", chain(error))
        }
        other => chain(other),
    };
    EngineError::Failed { what: what.to_owned(), why: why.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_good_from_any_directory() {
        let here = std::env::current_dir().unwrap();
        let of = |said: &str| whole(said.to_owned());
        assert_eq!(of(""), SOCKET);
        assert_eq!(of("tcp://10.0.0.1:2375"), "tcp://10.0.0.1:2375");
        assert_eq!(of("unix:///run/docker.sock"), "unix:///run/docker.sock");
        assert_eq!(of("unix://docker.sock"), format!("unix://{}/docker.sock", here.display()));
    }
}
