//! The backups of a site in containers: what the program of the operators' host finds in them and makes of them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drdrill_core::backup::{Archive, Described, RestorePoint, Restored};
use drdrill_core::containers::Containers;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Handle;

/// The backups of one site.
#[derive(Debug)]
pub(super) struct PostgresArchive {
    pub(super) engine: Arc<dyn Containers>,
    /// The operators' host.
    pub(super) container: String,
    /// What it is asked by.
    pub(super) program: String,
    /// Where the backups are on this machine, and where that host sees them.
    pub(super) directory: PathBuf,
    pub(super) seen_at: String,
    /// The same of what it makes.
    pub(super) restores: (PathBuf, &'static str),
    /// What kept that host from answering.
    pub(super) trouble: Mutex<Option<String>>,
}

#[derive(Debug, Deserialize)]
struct Points {
    points: Vec<Point>,
}

/// A restore point, with the names of its files.
#[derive(Debug, Deserialize)]
struct Point {
    name: String,
    full: String,
    files: Vec<String>,
    described: Option<Description>,
    wrong: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Description {
    taken_at_ms: u64,
    bytes: u64,
    position: u64,
}

#[derive(Debug, Deserialize)]
struct Newest {
    position: u64,
}

#[derive(Debug, Deserialize)]
struct Log {
    files: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Checked {
    bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Made {
    bytes: u64,
    replayed: u64,
    position: u64,
    reaches_ms: u64,
    stopped: Option<String>,
    took_ms: u64,
}

#[derive(Debug, Deserialize)]
struct Consistent {
    rows: u64,
}

impl PostgresArchive {
    /// Asks the program; what it finds wrong is an error.
    fn ask<T: DeserializeOwned>(&self, words: &[&str]) -> Result<T, String> {
        let program = ["python3", "-B", &self.program];
        let words: Vec<String> = program.iter().chain(words).map(|&word| word.to_owned()).collect();
        // Whoever calls this may block: an archive says so.
        let runtime = Handle::try_current().map_err(|error| error.to_string())?;
        let said = runtime.block_on(self.engine.run(&self.container, "root", &words));
        let said = said.map_err(|error| error.to_string());
        let said = said.and_then(|said| {
            said.ok_or_else(|| "the host that reads backups does not run".to_owned())
        });
        let answer = said.and_then(|said| {
            serde_json::from_str::<Value>(&said.output)
                .map_err(|_| format!("{}{}", said.output.trim(), said.errors.trim()))
        });
        let answer = answer.inspect_err(|why| {
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.clone());
        })?;
        if let Some(wrong) = answer["error"].as_str() {
            return Err(wrong.to_owned());
        }
        serde_json::from_value(answer).map_err(|error| error.to_string())
    }

    /// Where the operators' host sees something that it makes.
    fn there(&self, made: &Path) -> Result<String, String> {
        let (here, there) = &self.restores;
        let below = made.strip_prefix(here).map_err(|error| error.to_string())?;
        Ok(Path::new(there).join(below).display().to_string())
    }
}

impl Archive for PostgresArchive {
    fn place(&self) -> String {
        self.directory.display().to_string()
    }

    fn points(&self) -> Result<Vec<RestorePoint>, String> {
        let found: Points = self.ask(&["points", &self.seen_at])?;
        let points = found.points.into_iter().map(|point| {
            let Point { name, full, files, described, wrong } = point;
            let described = described.map(|Description { taken_at_ms, bytes, position }| {
                Described { taken_at_ms, bytes, position }
            });
            let wrong = wrong.unwrap_or_else(|| "it has no description".to_owned());
            RestorePoint {
                name,
                full: self.directory.join(full),
                files: files.iter().map(|file| self.directory.join(file)).collect(),
                described: described.ok_or(wrong),
            }
        });
        Ok(points.collect())
    }

    fn newest_position(&self) -> Result<u64, String> {
        self.ask(&["newest", &self.seen_at]).map(|newest: Newest| newest.position)
    }

    fn check(&self, point: &RestorePoint) -> Result<u64, String> {
        let checked: Checked = self.ask(&["check", &self.seen_at, &point.name])?;
        Ok(checked.bytes)
    }

    fn log(&self, newest: usize) -> Result<Vec<PathBuf>, String> {
        let log: Log = self.ask(&["log", &self.seen_at, &newest.to_string()])?;
        Ok(log.files.iter().map(|file| self.directory.join(file)).collect())
    }

    fn reach(&self, point: &RestorePoint) -> Result<u64, String> {
        let reach = self.ask(&["reach", &self.seen_at, &point.name]);
        reach.map(|newest: Newest| newest.position)
    }

    fn restore(&self, point: &RestorePoint, target: &Path) -> Result<Restored, String> {
        let target = self.there(target)?;
        let Made { bytes, replayed, position, reaches_ms, stopped, took_ms } =
            self.ask(&["restore", &self.seen_at, &point.name, &target])?;
        let took = Duration::from_millis(took_ms);
        Ok(Restored { bytes, replayed, position, reaches_ms, stopped, took })
    }

    fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn consistent(&self, restored: &Path) -> Result<u64, String> {
        let seen: Consistent = self.ask(&["consistent", &self.there(restored)?])?;
        Ok(seen.rows)
    }
}
