//! Containers that an environment makes for one run, and that go with it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::action::ActionError;

/// A container that is to run.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// Its name within the run, such as `primary/database`.
    pub host: String,
    /// The network it belongs to, by its name within the run.
    pub network: String,
    /// Its address there.
    pub address: Ipv4Addr,
    /// The program and its arguments.
    pub program: Vec<String>,
    /// A file that it finds when it starts, readable only for root: it may carry secrets, and anybody who may ask the engine
    /// can read a command line.
    pub config: Option<ConfigFile>,
    /// What of this machine it sees.
    pub mounts: Vec<Mount>,
}

/// A volume of the engine's that is a directory of this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mount {
    /// The volume's name within the run. One that has a name already stays the directory that it was.
    pub volume: String,
    /// The directory, which is there.
    pub directory: PathBuf,
    /// Where the container sees it.
    pub at: &'static str,
    /// Whether it may only read there.
    pub read_only: bool,
}

/// A program that ran in a container.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Said {
    /// Its exit code.
    pub code: i64,
    /// What it wrote to its standard output.
    pub output: String,
    /// What it wrote to its standard error.
    pub errors: String,
}

/// A file of a container.
#[derive(Clone)]
pub struct ConfigFile {
    /// Its absolute path.
    pub path: &'static str,
    /// What is in it.
    pub text: String,
}

impl fmt::Debug for ConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A container that runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RunningContainer {
    /// The engine's name for it.
    pub id: String,
    /// Its first process, as this machine numbers it.
    pub pid: i32,
}

/// A network of a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContainerNetwork {
    /// Its first address. It has 256 of them.
    pub first: Ipv4Addr,
}

impl ContainerNetwork {
    /// One of its addresses.
    #[must_use]
    pub const fn host(&self, number: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.first.octets();
        Ipv4Addr::new(a, b, c, number)
    }

    /// The address by which containers reach this machine.
    #[must_use]
    pub const fn gateway(&self) -> Ipv4Addr {
        self.host(1)
    }
}

/// Power over the containers of a run, which all carry its id. Every call may be repeated.
#[async_trait]
pub trait Containers: fmt::Debug + Send + Sync {
    /// Where the engine is that has them: whoever takes a run over asks there, whatever his own surroundings say.
    fn address(&self) -> String;
    /// The same power over the containers of the engine at another address; `None` where there is none other.
    fn of_engine(&self, _address: &str) -> Option<Arc<dyn Containers>> {
        None
    }
    /// What the containers are made of, exactly.
    ///
    /// # Errors
    /// When it is not there.
    async fn image(&self) -> Result<String, ActionError>;
    /// Makes networks for a run, whose addresses are free here; which ones follows from `seed`.
    ///
    /// # Errors
    /// When no addresses are free.
    async fn make_networks(
        &self,
        run_id: &str,
        names: &[&str],
        seed: u64,
    ) -> Result<BTreeMap<String, ContainerNetwork>, ActionError>;
    /// Starts a container of a run, the same one again where it has ended.
    ///
    /// # Errors
    /// When it cannot be started, with its last words.
    async fn start(
        &self,
        run_id: &str,
        spec: &ContainerSpec,
    ) -> Result<RunningContainer, ActionError>;
    /// Kills a container, where it runs, and waits until it has ended. It can be started again.
    ///
    /// # Errors
    /// When it is still there.
    async fn kill(&self, id: &str) -> Result<(), ActionError>;
    /// Whether there is such a container, running or not.
    ///
    /// # Errors
    /// When the engine cannot tell.
    async fn is_there(&self, id: &str) -> Result<bool, ActionError>;
    /// Removes a container, so that the next of its name may have other volumes; its volumes stay.
    ///
    /// # Errors
    /// When it is still there.
    async fn discard(&self, id: &str) -> Result<(), ActionError>;
    /// Runs a program in a container, as a user that is known there, and waits for its end; `None` where no such container
    /// runs.
    ///
    /// # Errors
    /// When the engine cannot do that.
    async fn run(
        &self,
        id: &str,
        user: &str,
        program: &[String],
    ) -> Result<Option<Said>, ActionError>;
    /// The last lines that a container said; for an error.
    async fn last_words(&self, id: &str) -> String;
    /// Everything that there is of a run, a name each: containers, networks, volumes.
    ///
    /// # Errors
    /// When the engine cannot tell.
    async fn found(&self, run_id: &str) -> Result<Vec<String>, ActionError>;
    /// Removes everything of a run.
    ///
    /// # Errors
    /// When something stays.
    async fn remove(&self, run_id: &str) -> Result<(), ActionError>;
}
