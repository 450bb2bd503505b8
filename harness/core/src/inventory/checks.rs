//! Functionality checks of the operator's own (requirement C10), as written in an environment file.

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::host::{absolute, argv};
use super::{HttpAttempt, TcpAttempt};
use crate::names::simple_name;
use crate::units::{Span, within};

/// A functionality check. Scenarios ask for it by its name in `verify`; one that is called like a check that the
/// environment brings along takes its place.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct NamedCheck {
    /// Its name.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub name: String,
    /// Time one try may take. One that fails is tried again, for as long as the drill waits for the recovery.
    #[serde(default = "default_timeout")]
    #[garde(custom(within(Duration::from_millis(100), LONGEST_TRY)))]
    pub timeout: Span,
    /// What is tried.
    #[garde(dive)]
    pub check: CheckSpec,
}

/// Longest try. Source: requirement C10, job submission to completion within 600 s.
const LONGEST_TRY: Duration = Duration::from_mins(10);

const fn default_timeout() -> Span {
    Span(Duration::from_secs(10))
}

/// What a functionality check tries: a map with one key.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(rename_all = "snake_case")]
pub enum CheckSpec {
    /// An HTTP request that must be answered with a success status.
    Http(#[garde(dive)] HttpAttempt),
    /// A TCP connection that must be accepted.
    Tcp(#[garde(dive)] TcpAttempt),
    /// A program that must end with exit code 0.
    Exec(#[garde(dive)] ExecCheck),
    /// A query that a `SQLite` database must answer.
    Sqlite(#[garde(dive)] SqliteCheck),
}

/// A program that tries a function. It runs as the user of drdrill, with nothing of its environment but a `PATH`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ExecCheck {
    /// An absolute path of a program, and its arguments. It is not a line for a shell, and anybody can read it in the
    /// process list: no secrets.
    #[garde(custom(argv))]
    pub command: Vec<String>,
    /// What it prints must contain this text, where given.
    #[serde(default)]
    #[garde(length(max = 1000))]
    pub output_contains: Option<String>,
}

/// A query of a `SQLite` database on this machine, which is opened for reading only.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct SqliteCheck {
    /// Absolute path of the database.
    #[garde(custom(absolute))]
    pub file: String,
    /// One `SELECT`; the first column of its first row is looked at.
    #[garde(length(min = 1, max = 4000))]
    pub query: String,
    /// It must be a number of at least this, where given.
    #[serde(default)]
    #[garde(skip)]
    pub at_least: Option<i64>,
    /// It must be this text or number, where given.
    #[serde(default)]
    #[garde(length(max = 1000))]
    pub equals: Option<String>,
}

/// A command that a step of a runbook may ask for by its name (`run: NAME`). It runs as the user of drdrill, without a
/// shell, with nothing of its environment but a `PATH`, for at most the time that the step has.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct NamedCommand {
    /// Its name.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub name: String,
    /// An absolute path of a program, and its arguments. It must end with exit code 0. Anybody can read it in the
    /// process list: no secrets.
    #[garde(custom(argv))]
    pub command: Vec<String>,
    /// What takes back what the command did: always run, when a later step fails, when the drill is aborted or killed,
    /// else at its end. It has 10 s, must do no harm when it is not needed any more, may be run although the command was not
    /// or only half, and may be run twice. It stands in the undo ledger: no secrets. Without one nothing has to be taken back.
    #[serde(default)]
    #[garde(inner(custom(an_argv)))]
    pub undo: Option<Vec<String>>,
}

/// A command behind an option.
#[expect(clippy::ptr_arg, reason = "what garde calls it with")]
fn an_argv<C>(words: &Vec<String>, context: &C) -> garde::Result {
    argv(words, context)
}
