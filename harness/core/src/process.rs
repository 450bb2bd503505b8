//! Processes of a system under drill: how they are found, and how they run again after they were ended.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How a process is found.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// It is a child of the environment, which starts it and ends with it.
    Child,
    /// By its number.
    Pid(i32),
    /// By the file that holds its number.
    PidFile(PathBuf),
}

/// A command that starts a process again: a program and its arguments, and never a line for a shell.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StartCommand {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The file that holds the number of the process while it runs: whoever started it, it is not started twice.
    pub pid_file: PathBuf,
}

/// What an environment knows of one of its processes, whether it runs or not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownProcess {
    /// Its name in the inventory, as in [`crate::environment::ProcessIdentity`].
    pub node: String,
    /// The name by which scenarios know it within its site.
    pub component: String,
    /// How it is found.
    pub found_by: FoundBy,
    /// Where it accepts TCP connections while it runs, `address:port`.
    pub canary: Option<String>,
    /// What starts it again, where the environment itself does not.
    pub start: Option<StartCommand>,
}

impl KnownProcess {
    /// Whether it can be ended, because somebody knows how to start it again.
    #[must_use]
    pub fn comes_back(&self) -> bool {
        self.found_by == FoundBy::Child || self.start.is_some()
    }
}
