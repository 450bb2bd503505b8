//! Where a run of another machine came from: a note beside its directory, which says what it was when it was taken in.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use drdrill_engine::state::StateDir;
use serde::{Deserialize, Serialize};

/// [`Origin::evidence`] of a run that came without a seal.
pub(crate) const RECORD_ALONE: &str = "record alone";

/// Where a run came from.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Origin {
    pub(crate) run_id: String,
    pub(crate) from: PathBuf,
    pub(crate) imported_at: String,
    /// SHA-256 of its record, in hexadecimal.
    pub(crate) record_sha256: String,
    /// What its evidence was worth, in words.
    pub(crate) evidence: String,
    /// Fingerprint of the key that had sealed it; absent where none had.
    #[serde(default)]
    pub(crate) signed_by: Option<String>,
}

impl Origin {
    /// The note of an imported run.
    pub(crate) fn read(state: &StateDir, run_id: &str) -> io::Result<Self> {
        let text = fs::read(path(state, run_id))?;
        serde_json::from_slice(&text).map_err(io::Error::other)
    }

    /// Writes the note, durably.
    pub(crate) fn write(&self, state: &StateDir) -> io::Result<()> {
        let file = File::create(path(state, &self.run_id))?;
        serde_json::to_writer_pretty(&file, self)?;
        file.sync_all()
    }
}

fn path(state: &StateDir, run_id: &str) -> PathBuf {
    state.imported().join(format!("{run_id}.json"))
}
