//! Backup plans (requirement C6): what is backed up, where to, and for how long it is kept.

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::inventory::{
    ExecCheck, SecretSource, absolute, argv, secret_source, some_secret_source, web_host,
};
use crate::names::{distinct, simple_name};
use crate::units::{Size, Span, within};

/// A backup plan, as written in a file.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct BackupPlan {
    /// Name: lower-case letters, digits, `_` and `-`. Restore points lie below a directory of that name.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub backup: String,
    /// Title, for people.
    #[serde(default)]
    #[garde(length(max = 200))]
    pub title: String,
    /// How often everything is backed up; in between a backup of files holds what changed since the one before. Every
    /// backup is a full one when absent.
    #[serde(default)]
    #[garde(inner(custom(within(Duration::from_secs(1), LONGEST))))]
    pub full_every: Option<Span>,
    /// What is kept.
    #[serde(default)]
    #[garde(dive)]
    pub keep: Keep,
    /// Where the original is, which is one of the three copies of the 3-2-1 rule.
    #[serde(default)]
    #[garde(dive)]
    pub original: Original,
    /// What is backed up, all at once.
    #[garde(length(min = 1, max = 50), custom(distinct(|one: &Source| &one.name)), dive)]
    pub sources: Vec<Source>,
    /// Where to, all at once.
    #[garde(length(min = 1, max = 10), custom(distinct(|one: &Destination| &one.name)), custom(places), dive)]
    pub destinations: Vec<Destination>,
}

/// Two destinations in one place would remove what the other one writes.
fn places<C>(all: &[Destination], _: &C) -> garde::Result {
    let place = |one: &Destination| match &one.to {
        Place::Directory(place) => place.path.trim_end_matches('/').to_owned(),
        Place::S3(place) => {
            let prefix: Vec<&str> =
                place.prefix.split('/').filter(|part| !part.is_empty()).collect();
            let endpoint = place.endpoint.trim_end_matches('/');
            format!("{endpoint}/{}/{}", place.bucket, prefix.join("/"))
        }
    };
    let mut places: Vec<String> = all.iter().map(place).collect();
    places.sort_unstable();
    match places.windows(2).find(|pair| pair.first() == pair.last()).and_then(<[String]>::first) {
        Some(place) => {
            Err(garde::Error::new(format!("two destinations are in one place, {place}")))
        }
        None => Ok(()),
    }
}

/// Longest time in a plan.
const LONGEST: Duration = Duration::from_hours(24 * 366 * 10);

/// What is kept: a full backup, and all that goes on from it, for as long as either of these says so.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// The newest so many full backups of each source.
    #[garde(range(min = 1, max = 1000))]
    pub full: usize,
    /// Also those that are younger.
    #[serde(default, rename = "for")]
    #[garde(inner(custom(within(Duration::from_secs(1), LONGEST))))]
    pub younger: Option<Span>,
}

impl Default for Keep {
    fn default() -> Self {
        Self { full: 7, younger: None }
    }
}

/// Where the original is.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Original {
    /// The kind of media it is on.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub media: String,
}

impl Default for Original {
    fn default() -> Self {
        Self { media: "disk".to_owned() }
    }
}

/// Something to be backed up.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub name: String,
    /// What it is.
    #[garde(dive)]
    pub from: Origin,
    /// A program that looks at what was restored, after the checksums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(dive)]
    pub check: Option<RestoredCheck>,
}

/// What a source is: a map with one key.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A directory with all that is below it.
    Files(#[garde(dive)] Files),
    /// What a program prints, such as a dump of a database.
    Command(#[garde(dive)] Dump),
    /// A `SQLite` database, copied as of one instant while others use it.
    Sqlite(#[garde(dive)] Sqlite),
}

/// A directory with all that is below it: files, directories and symbolic links with their modes, owners and times.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Absolute path of the directory. One that others write to meanwhile is better backed up from a snapshot of it.
    #[garde(custom(absolute))]
    pub path: String,
    /// Globs of what is left out. One without `/` is compared with the name of whatever is there, at any depth; one with
    /// `/` with the path below the directory, where `**` crosses directories and `*` does not. With a directory goes
    /// all that is in it.
    #[serde(default)]
    #[garde(length(max = 200), inner(length(min = 1, max = 1000)))]
    pub exclude: Vec<String>,
    /// Whether to leave out what is mounted below it.
    #[serde(default)]
    #[garde(skip)]
    pub one_file_system: bool,
    /// Whether it may be empty where the backup before was not. Most often something is not mounted then, and the backup
    /// fails.
    #[serde(default)]
    #[garde(skip)]
    pub allow_empty: bool,
    /// What becomes of a backup during which a file was written to.
    #[serde(default)]
    #[garde(skip)]
    pub changing: Changing,
}

/// What becomes of a backup of files when one changes while it is read, so that what was read of it may never have
/// stood there.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Changing {
    /// It fails.
    #[default]
    Fail,
    /// It is kept, and says how many files those are and the names of some.
    Keep,
}

/// What a program prints. It runs as the user of drdrill, without a shell and with nothing of its environment but a
/// `PATH`. When it fails, nothing of its output is kept.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Dump {
    /// An absolute path of a program, and its arguments. It is not a line for a shell, and anybody can read it in the
    /// process list: no secrets.
    #[garde(custom(argv))]
    pub run: Vec<String>,
    /// How long it may take.
    #[serde(default = "an_hour")]
    #[garde(custom(within(Duration::from_millis(100), Duration::from_hours(48))))]
    pub timeout: Span,
    /// How much it may print.
    #[serde(default = "a_hundred_gibibytes")]
    #[garde(skip)]
    pub at_most: Size,
}

const fn an_hour() -> Span {
    Span(Duration::from_hours(1))
}

const fn a_hundred_gibibytes() -> Size {
    Size { bytes: 100 << 30 }
}

/// A `SQLite` database on this machine.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Sqlite {
    /// Absolute path of the database.
    #[garde(custom(absolute))]
    pub file: String,
    /// How long it may take.
    #[serde(default = "an_hour")]
    #[garde(custom(within(Duration::from_millis(100), Duration::from_hours(48))))]
    pub timeout: Span,
}

/// A program that looks at what was restored. It must end with exit code 0.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct RestoredCheck {
    /// An absolute path of a program, and its arguments, of which one that is `{restored}` stands for the path of what
    /// was restored. It is not a line for a shell, and anybody can read it in the process list: no secrets.
    #[garde(custom(argv))]
    pub run: Vec<String>,
    /// How long it may take.
    #[serde(default = "an_hour")]
    #[garde(custom(within(Duration::from_millis(100), Duration::from_hours(48))))]
    pub timeout: Span,
    /// What it prints must contain this text, where given.
    #[serde(default)]
    #[garde(length(max = 1000))]
    pub output_contains: Option<String>,
}

/// What an argument is that stands for the path of what was restored.
pub const RESTORED: &str = "{restored}";

impl RestoredCheck {
    /// The check of what was restored at `path`.
    #[must_use]
    pub fn of(&self, path: &str) -> ExecCheck {
        let word = |word: &String| if word == RESTORED { path.to_owned() } else { word.clone() };
        ExecCheck {
            command: self.run.iter().map(word).collect(),
            output_contains: self.output_contains.clone(),
        }
    }
}

/// Where backups go.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// Its name.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub name: String,
    /// The kind of media it is on, such as `disk`, `tape` or `object_storage`: two kinds are wanted by the 3-2-1 rule.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub media: String,
    /// Whether it is at another place than the original, which one is wanted to be.
    #[serde(default)]
    #[garde(skip)]
    pub offsite: bool,
    /// What it is.
    #[garde(dive)]
    pub to: Place,
}

/// What a destination is: a map with one key.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A directory of this machine.
    Directory(#[garde(dive)] DirectoryPlace),
    /// A bucket of a service that speaks the API of S3.
    S3(#[garde(dive)] S3Place),
}

/// A directory of this machine.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct DirectoryPlace {
    /// Absolute path of the directory, which must be there: it is not made, so that a disk that is not mounted is
    /// noticed.
    #[garde(custom(absolute))]
    pub path: String,
}

/// A bucket of a service that speaks the API of S3.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct S3Place {
    /// Where the service is, such as `https://s3.eu-central-1.amazonaws.com`. The bucket becomes part of the path.
    #[garde(custom(valid_endpoint))]
    #[schemars(regex(pattern = "^https?://"))]
    pub endpoint: String,
    /// The region that requests are signed for.
    #[serde(default = "first_region")]
    #[garde(length(min = 1, max = 64), custom(plain))]
    pub region: String,
    /// The bucket, which must be there.
    #[garde(length(min = 3, max = 63), custom(plain))]
    pub bucket: String,
    /// What the names of all objects begin with.
    #[serde(default)]
    #[garde(length(max = 200), custom(valid_prefix))]
    pub prefix: String,
    /// The storage class of what is written; that of the bucket when absent.
    #[serde(default)]
    #[garde(skip)]
    pub storage_class: Option<StorageClass>,
    /// Where the id of the access key is.
    #[serde(deserialize_with = "secret_source")]
    #[garde(skip)]
    pub access_key: SecretSource,
    /// Where the secret access key is.
    #[serde(deserialize_with = "secret_source")]
    #[garde(skip)]
    pub secret_key: SecretSource,
    /// Where the session token is, for credentials that end.
    #[serde(default, deserialize_with = "some_secret_source")]
    #[garde(skip)]
    pub session_token: Option<SecretSource>,
}

fn first_region() -> String {
    "us-east-1".to_owned()
}

/// A storage class from which can be read at once: what was written is read back before it counts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StorageClass {
    /// For what is used often.
    Standard,
    /// For what is used rarely.
    StandardIa,
    /// For what is used rarely, in one zone only.
    OnezoneIa,
    /// Moved to a cheaper class when it is not used.
    IntelligentTiering,
    /// An archive from which can be read at once.
    GlacierIr,
}

impl StorageClass {
    /// As the API of S3 calls it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::StandardIa => "STANDARD_IA",
            Self::OnezoneIa => "ONEZONE_IA",
            Self::IntelligentTiering => "INTELLIGENT_TIERING",
            Self::GlacierIr => "GLACIER_IR",
        }
    }
}

fn valid_endpoint<C>(url: &str, _: &C) -> garde::Result {
    if url.len() > 500 || url.contains(['?', '#', '@']) {
        return Err(garde::Error::new("must be a URL without a user, a query or a fragment"));
    }
    web_host(url).map(drop).map_err(garde::Error::new)
}

fn is_plain(part: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !part.is_empty() && part != "." && part != ".." && part.bytes().all(known)
}

fn plain<C>(name: &str, _: &C) -> garde::Result {
    if is_plain(name) {
        return Ok(());
    }
    Err(garde::Error::new("must be letters, digits, `.`, `_` and `-`"))
}

fn valid_prefix<C>(prefix: &str, _: &C) -> garde::Result {
    if prefix.is_empty() || prefix.split('/').all(is_plain) {
        return Ok(());
    }
    Err(garde::Error::new(
        "must be letters, digits, `.`, `_` and `-`, in parts with one `/` between",
    ))
}

#[cfg(test)]
mod tests {
    use crate::scenario::parse_backup_plan;

    const GOOD: &str = "\
backup: cluster
full_every: 7d
keep: { full: 4, for: 30d }
sources:
  - { name: home, from: { files: { path: /home, exclude: [\"*.tmp\"] } } }
  - { name: accounting, from: { command: { run: [/usr/bin/sacctmgr, dump], timeout: 5min, at_most: 1GiB } } }
destinations:
  - { name: nas, media: disk, to: { directory: { path: /mnt/nas } } }
  - { name: far, media: object_storage, offsite: true, to: { s3: { endpoint: \"https://s3.example.org\", bucket: far, access_key: { env: ID }, secret_key: { env: KEY } } } }
";

    #[test]
    fn a_plan_is_read() {
        let plan = parse_backup_plan("p.yaml", GOOD).unwrap();
        assert_eq!((plan.sources.len(), plan.destinations.len(), plan.keep.full), (2, 2, 4));
        assert_eq!(plan.original.media, "disk");
    }

    #[test]
    fn every_mistake_is_placed_and_answered() {
        let cases = [
            ("name: accounting", "name: home", "p.yaml:5:3: ", "the name `home` stands twice"),
            ("path: /home", "path: home", "p.yaml:5:", "must be an absolute path"),
            ("timeout: 5min", "timeout: 5", "p.yaml:6:", "has no unit"),
            ("full: 4", "full: 0", "p.yaml:3:", "lower"),
            ("media: disk, ", "", "p.yaml:8:", "the key `media` is missing"),
            ("files:", "file:", "p.yaml:5:", "nearest first: files, "),
            ("https://s3.", "https://me:secret@s3.", "p.yaml:9:", "without a user"),
            ("bucket: far", "bucket: far, storage_class: GLACIER", "p.yaml:9:", "GLACIER_IR"),
            ("bucket: far", "bucket: far, prefix: ../x", "p.yaml:9:", "in parts with one `/`"),
            ("{ env: KEY }", "abcdefgh", "p.yaml:9:", "credentials never stand in a file"),
        ];
        for (from, to, place, what) in cases {
            assert!(GOOD.contains(from), "{from}");
            let error =
                parse_backup_plan("p.yaml", GOOD.replace(from, to)).unwrap_err().to_string();
            assert!(error.starts_with(place), "{from} -> {to}: expected {place}, got: {error}");
            assert!(error.contains(what), "{from} -> {to}: expected {what}, got: {error}");
            assert!(!error.contains("abcdefgh"), "a secret is repeated: {error}");
        }
    }
}
