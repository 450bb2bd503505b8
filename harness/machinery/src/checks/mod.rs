//! Functionality checks of the operator's own: a probe's attempt, a program, a query.

pub(crate) mod exec;
mod sqlite;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::environment::{Function, Functions};
use drdrill_core::inventory::{ExecCheck, SqliteCheck};
use drdrill_core::names::known_names;
use drdrill_core::probe::Probe;
use drdrill_core::sample::Outcome;
use drdrill_core::units::Span;
use tokio::time::timeout;

/// What one check tries.
#[derive(Clone, Debug)]
pub enum Try {
    /// One attempt of a probe.
    Probe(Arc<dyn Probe>),
    /// A program.
    Exec(ExecCheck),
    /// A query of a `SQLite` database.
    Sqlite(SqliteCheck),
}

/// A check by name.
#[derive(Clone, Debug)]
pub struct NamedTry {
    /// Its name.
    pub name: String,
    /// Time one try may take.
    pub timeout: Duration,
    /// What it tries.
    pub what: Try,
}

/// The operator's own checks, and behind them those that the environment brings along.
#[derive(Debug)]
pub struct Checks {
    named: Vec<NamedTry>,
    others: Option<Arc<dyn Functions>>,
}

impl Checks {
    /// Checks by name; a name that is not among them is one of the `others`.
    #[must_use]
    pub fn new(named: Vec<NamedTry>, others: Option<Arc<dyn Functions>>) -> Self {
        Self { named, others }
    }
}

#[async_trait]
impl Functions for Checks {
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.named.iter().map(|one| one.name.clone()).collect();
        let others = self.others.as_ref().map(|others| others.names()).unwrap_or_default();
        names.extend(others.into_iter().filter(|name| !self.named.iter().any(|n| n.name == *name)));
        names
    }

    async fn check(&self, name: &str) -> Function {
        let Some(own) = self.named.iter().find(|one| one.name == name) else {
            if let Some(others) = &self.others {
                return others.check(name).await;
            }
            let names = self.names();
            let known = known_names(name, names.iter().map(String::as_str));
            let detail = format!("there is no check `{name}`; {known}");
            return Function { works: false, detail };
        };
        let tried = match timeout(own.timeout, own.what.once()).await {
            Ok(tried) => tried,
            Err(_) => Err(format!("not done within {}", Span(own.timeout))),
        };
        match tried {
            Ok(detail) => Function { works: true, detail },
            Err(detail) => Function { works: false, detail },
        }
    }
}

impl Try {
    /// Tries once; dropping the future ends whatever it started.
    async fn once(&self) -> Result<String, String> {
        match self {
            Self::Probe(probe) => match probe.attempt(0).await {
                Outcome::Ok => Ok("answered as it should".to_owned()),
                Outcome::Failed(why) | Outcome::Unknown(why) | Outcome::ProberError(why) => {
                    Err(why.to_string())
                }
            },
            Self::Exec(check) => exec::run(check).await,
            Self::Sqlite(check) => sqlite::query(check).await,
        }
    }
}

#[cfg(test)]
mod tests;
