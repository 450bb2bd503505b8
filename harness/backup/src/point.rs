//! What a restore point says of itself.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use drdrill_core::names::is_simple;
use serde::{Deserialize, Serialize};

use crate::digest;

/// The format of `point.json`.
pub const FORMAT: &str = "drdrill/backup/v1";
/// The file that describes a restore point.
pub const POINT_FILE: &str = "point.json";
/// The file with the checksums of all others, written last.
pub const MANIFEST: &str = "MANIFEST";
/// Largest description or manifest that is read, in bytes.
pub const LARGEST: u64 = 16 << 20;

/// What one run of a plan wrote.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// [`FORMAT`].
    pub format: String,
    /// The plan.
    pub plan: String,
    /// Its name, which is when it began: `20261121T234501.123Z`.
    pub point: String,
    /// The version of drdrill that wrote it.
    pub tool: String,
    /// The machine that wrote it, as [`machine`](crate::machine) tells it from others.
    pub machine: String,
    /// Its sources, those that failed among them.
    pub sources: Vec<SourceEntry>,
}

/// What became of a source.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SourceEntry {
    /// Its name in the plan.
    pub name: String,
    /// What it is.
    pub origin: OriginKind,
    /// What was written of it, or why nothing was.
    pub outcome: Outcome,
}

/// What kind of thing a source is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginKind {
    /// A tree of files.
    Files,
    /// What a program printed.
    Command,
    /// A `SQLite` database.
    Sqlite,
}

/// What became of a source.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was backed up.
    Done(Done),
    /// It was not, and nothing of it is here.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Whether a backup holds everything.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// It does.
    Full,
    /// It holds what changed since the one before.
    Incremental,
}

impl Extent {
    /// In a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
        }
    }
}

/// A source that was backed up.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    /// Whether it holds everything.
    pub extent: Extent,
    /// The point that an incremental one goes on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// When reading it began, by the wall clock, in milliseconds since 1970: what was written later may be missing.
    pub began_ms: u64,
    /// When reading it was over: nothing that was written later is in it.
    pub read_until_ms: u64,
    /// How long it took to read and pack, in milliseconds.
    pub took_ms: u64,
    /// Files (and directories and links) that it restores.
    pub files: u64,
    /// Bytes that it restores.
    pub bytes: u64,
    /// Bytes of content that were read and packed.
    pub read_bytes: u64,
    /// Bytes that are stored.
    pub stored_bytes: u64,
    /// Entries of the one before that are gone.
    #[serde(default)]
    pub deleted: u64,
    /// Pipes, sockets and devices, which are left out.
    #[serde(default)]
    pub skipped: u64,
    /// Files that changed while they were read: how many, and the names of some.
    #[serde(default, skip_serializing_if = "Torn::is_none")]
    pub torn: Torn,
    /// The files that were written of it.
    pub objects: Vec<Object>,
    /// The SHA-256 of its content before it was compressed; of a tree each file has its own in the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Files that changed while they were read.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Torn {
    /// How many.
    pub files: u64,
    /// The names of the first of them.
    pub some: Vec<String>,
}

impl Torn {
    const fn is_none(&self) -> bool {
        self.files == 0
    }
}

/// A file of a restore point.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
}

impl Done {
    /// Bytes of content a second that were read and packed; `None` where it took no measurable time.
    #[must_use]
    pub const fn bytes_per_second(&self) -> Option<u64> {
        self.read_bytes.saturating_mul(1000).checked_div(self.took_ms)
    }

    /// The object with this ending.
    ///
    /// # Errors
    /// When there is none.
    pub fn object(&self, ending: &str) -> Result<&Object, String> {
        let found = self.objects.iter().find(|object| object.name.ends_with(ending));
        found.ok_or_else(|| format!("it names no object that ends in {ending}"))
    }
}

impl Point {
    /// What is said of a source that was backed up.
    #[must_use]
    pub fn done(&self, source: &str) -> Option<&Done> {
        match &self.entry(source)?.outcome {
            Outcome::Done(done) => Some(done),
            Outcome::Failed { .. } => None,
        }
    }

    /// What is said of a source.
    #[must_use]
    pub fn entry(&self, source: &str) -> Option<&SourceEntry> {
        self.sources.iter().find(|entry| entry.name == source)
    }

    /// All its files but `MANIFEST` and `point.json`.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        let done = self.sources.iter().filter_map(|entry| match &entry.outcome {
            Outcome::Done(done) => Some(done),
            Outcome::Failed { .. } => None,
        });
        done.flat_map(|done| &done.objects)
    }
}

/// The name of a point that begins at this wall time.
#[must_use]
pub fn name_at(ms: u64) -> String {
    let at = DateTime::<Utc>::from_timestamp_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    at.unwrap_or_default().format("%Y%m%dT%H%M%S%.3fZ").to_string()
}

/// A wall time for people, to the second.
#[must_use]
pub fn time(ms: u64) -> String {
    let at = DateTime::<Utc>::from_timestamp_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    at.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Whether a name is that of a point: whatever else lies at a destination is somebody else's.
#[must_use]
pub fn is_name(name: &str) -> bool {
    const FORM: &[u8] = b"dddddddd.dddddd.ddd.";
    let bytes = name.as_bytes();
    bytes.len() == FORM.len()
        && name.is_ascii()
        && bytes.iter().zip(FORM).enumerate().all(|(at, (byte, form))| match (form, at) {
            (b'd', _) => byte.is_ascii_digit(),
            (_, 8) => *byte == b'T',
            (_, 15) => *byte == b'.',
            _ => *byte == b'Z',
        })
}

/// Whether a name may be that of a file of a point: it becomes part of paths.
fn is_object_name(name: &str) -> bool {
    name == POINT_FILE
        || name.split_once('.').is_some_and(|(source, ending)| {
            is_simple(source)
                && ending.split('.').all(|part| {
                    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase())
                })
        })
}

/// The checksums of the files of a point, by name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Manifest(BTreeMap<String, String>);

impl Manifest {
    /// That of a point and its description.
    pub(crate) fn of(point: &Point, description: &[u8]) -> Self {
        let objects = point.objects().map(|object| (object.name.clone(), object.sha256.clone()));
        let own = (POINT_FILE.to_owned(), digest::of(description));
        Self(objects.chain([own]).collect())
    }

    /// Reads one. A text that is not exactly what [`fmt::Display`] writes is none, so that no bit of it can change unnoticed.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        let wrong = || format!("{MANIFEST} is damaged");
        let text = std::str::from_utf8(text).map_err(|_| wrong())?;
        let line = |line: &str| {
            let (sum, name) = line.split_once("  ")?;
            is_object_name(name).then(|| (name.to_owned(), sum.to_owned()))
        };
        let lines: Option<BTreeMap<_, _>> = text.lines().map(line).collect();
        let read = Self(lines.ok_or_else(wrong)?);
        let hex = |sum: &String| {
            sum.len() == 64 && sum.bytes().all(|byte| b"0123456789abcdef".contains(&byte))
        };
        if read.to_string() != text || !read.0.values().all(hex) {
            return Err(wrong());
        }
        Ok(read)
    }

    /// Reads a description that this manifest names and has the checksum of.
    pub(crate) fn point(&self, name: &str, description: &[u8]) -> Result<Point, String> {
        if self.0.get(POINT_FILE) != Some(&digest::of(description)) {
            return Err(format!("{POINT_FILE} does not have the SHA-256 of the {MANIFEST}"));
        }
        let point: Point = serde_json::from_slice(description)
            .map_err(|error| format!("{POINT_FILE}: {error}"))?;
        if point.format != FORMAT {
            return Err(format!(
                "it has the format {}, and this drdrill reads {FORMAT}",
                point.format
            ));
        }
        if point.point != name || Self::of(&point, description) != *self {
            return Err(format!("{POINT_FILE} and {MANIFEST} do not speak of the same files"));
        }
        Ok(point)
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, sum)| writeln!(f, "{sum}  {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_points_sort_as_their_times() {
        let name = name_at(1_795_304_701_123);
        assert!(is_name(&name) && name.contains(".123Z"), "{name}");
        assert!(name < name_at(1_795_304_701_124));
        for other in [
            "",
            ".partial-20261121T234501.123Z",
            "20261121T234501.123",
            "20261121T234501-123Z",
            "lost+found",
        ] {
            assert!(!is_name(other), "{other}");
        }
    }

    #[test]
    fn a_manifest_in_which_any_bit_changed_is_none_or_another_one() {
        let sum = digest::of(b"x");
        let good = Manifest(
            [(POINT_FILE.to_owned(), sum.clone()), ("home.tar.zst".to_owned(), sum)].into(),
        );
        let text = good.to_string().into_bytes();
        assert_eq!(Manifest::parse(&text).unwrap(), good);
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut spoilt = text.clone();
                spoilt[at] ^= 1 << bit;
                assert_ne!(
                    Manifest::parse(&spoilt).ok(),
                    Some(good.clone()),
                    "byte {at}, bit {bit}"
                );
            }
        }
        for name in ["../x.tar", "a/b.tar", ".tar", "home", "home.", "MANIFEST"] {
            assert!(!is_object_name(name), "{name}");
        }
    }
}
