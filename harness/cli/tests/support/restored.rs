//! Drills that restore, with the files that they leave, and a reader of these that owes nothing to drdrill.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::sandbox::{Outcome, Sandbox};
use super::undisturbed::undisturbed;
use super::world::{nothing_is_left, runs};

/// A lab without objectives of its own, so that a slow machine misses none; its files are kept.
pub(crate) const ENVIRONMENT: &str = "\
environment: lab
provider: { lab: { backup_interval: 4s, log_interval: 1s, keep_data: kept } }
services: [{ name: store, tier: 1 }]
measure: { sustained: 1s }
machinery:
  monitor: { interval: 500ms, timeout: 400ms, failures: 3, kinds: 2, both: true }
  step_timeout: 1min
";

/// A drill that ran, and the files it left.
pub(crate) struct Ran {
    pub(crate) sandbox: Sandbox,
    pub(crate) outcome: Outcome,
}

impl Ran {
    /// Runs a drill that must end with this exit code.
    pub(crate) fn new(arguments: &str, code: i32) -> Self {
        undisturbed(|| {
            let sandbox = Sandbox::new();
            fs::write(sandbox.path("env.yaml"), ENVIRONMENT).unwrap();
            // Fewer samples than shipped: what is looked at here is data, and a busy machine is late less often.
            let arguments = format!("run {arguments} --env env.yaml --set every=100ms");
            Self::of(sandbox, &arguments, code)
        })
    }

    pub(crate) fn of(sandbox: Sandbox, arguments: &str, code: i32) -> Self {
        let outcome = sandbox.run(arguments);
        nothing_is_left(&sandbox);
        assert_eq!(outcome.code, Some(code), "{outcome:#?}");
        Self { sandbox, outcome }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.sandbox.state.join("runs").join(runs(&self.sandbox.state).first().unwrap())
    }

    pub(crate) fn record(&self) -> Value {
        serde_json::from_slice(&fs::read(self.dir().join("record.json")).unwrap()).unwrap()
    }

    pub(crate) fn writes(&self) -> Value {
        self.record()["services"][0]["rpo"]["writes"].clone()
    }

    pub(crate) fn kept(&self, name: &str) -> PathBuf {
        self.sandbox.path("kept").join(name)
    }

    /// What the step of that name said, and how it ended.
    pub(crate) fn step(&self, name: &str) -> (String, String) {
        let record = self.record();
        let steps = record["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["name"] == name);
        let step = step.unwrap_or_else(|| panic!("no step `{name}` in {steps:#?}"));
        let word = |field: &str| step[field].as_str().unwrap().to_owned();
        (word("outcome"), word("detail"))
    }

    /// Samples of the streams of that purpose that succeeded, from the lines of the history.
    pub(crate) fn succeeded(&self, purpose: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.dir().join("events.jsonl")).unwrap();
        let events: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let streams = events[0]["event"]["drill_started"]["streams"].as_array().unwrap();
        let streams = streams.iter().filter(|stream| stream["purpose"] == purpose);
        let ids: Vec<&Value> = streams.map(|stream| &stream["id"]).collect();
        let samples = events.iter().map(|line| &line["event"]["sample"]);
        samples
            .filter(|sample| ids.contains(&&sample["stream"]) && sample["outcome"] == "ok")
            .cloned()
            .collect()
    }

    /// Sequences of the writes that were acknowledged.
    pub(crate) fn acknowledged(&self) -> BTreeSet<u64> {
        let writes = self.succeeded("write");
        writes.iter().map(|sample| sample["sequence"].as_u64().unwrap()).collect()
    }

    /// Names of the full backups, newest first, and what each holds.
    pub(crate) fn backups(&self) -> Vec<(String, Option<Entries>)> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(self.kept("backups/primary")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "db") {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                found.insert(name, Entries::of(&path));
            }
        }
        found.into_iter().rev().collect()
    }
}

/// What a database of the lab holds, read without drdrill.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) intact: BTreeSet<u64>,
    pub(crate) corrupt: BTreeSet<u64>,
    /// Whether the entry that was written before the drill is there and not as it was written. In the first backup it
    /// is not there yet.
    pub(crate) landmark_is_corrupt: bool,
    /// Changes of the log whose entry is missing.
    pub(crate) missing: u64,
}

impl Entries {
    /// `None` where the table is missing.
    pub(crate) fn of(database: &Path) -> Option<Self> {
        let database = Connection::open(database).unwrap();
        let mut query = database.prepare("SELECT id, value, checksum FROM entries").ok()?;
        let rows = query.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        });
        let mut entries = Self::default();
        for row in rows.unwrap() {
            let (id, value, checksum) = row.unwrap();
            let intact = hex::encode(Sha256::digest(&value)) == checksum;
            if id == "landmark" {
                entries.landmark_is_corrupt = !intact || value.bytes().any(|byte| byte != b'0');
            } else if let Some(sequence) = id.strip_prefix("w-") {
                let side = if intact { &mut entries.intact } else { &mut entries.corrupt };
                side.insert(sequence.parse().unwrap());
            }
        }
        let missing = "SELECT count(*) FROM changes WHERE kind = 'entry'
                       AND subject NOT IN (SELECT id FROM entries)";
        entries.missing = database.query_row(missing, [], |row| row.get(0)).unwrap();
        Some(entries)
    }

    pub(crate) fn is_clean(&self) -> bool {
        !self.landmark_is_corrupt && self.corrupt.is_empty() && self.missing == 0
    }
}
