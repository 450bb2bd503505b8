//! Backups, and what a restore is made of (requirements C6 to C8).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::action::ActionError;

/// A full backup and the log that goes on from it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RestorePoint {
    /// Its name.
    pub name: String,
    /// The file of the full backup.
    pub full: PathBuf,
    /// All its files, the full backup among them.
    pub files: Vec<PathBuf>,
    /// Its description, where that can be read.
    pub described: Result<Described, String>,
}

/// What a backup says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Described {
    /// When it was taken, by the wall clock, in milliseconds since 1970.
    pub taken_at_ms: u64,
    /// Bytes of the full backup.
    pub bytes: u64,
    /// The newest change in it.
    pub position: u64,
}

/// What a restore came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Restored {
    /// Bytes of the full backup that were copied.
    pub bytes: u64,
    /// Changes that were carried out again from the logs.
    pub replayed: u64,
    /// The newest change that is there.
    pub position: u64,
    /// The state it restores is that of this wall time, in milliseconds since 1970.
    pub reaches_ms: u64,
    /// Why it goes no further than that, where the logs go on.
    pub stopped: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// The backups in one place. Every call may block for as long as the data takes to be read.
pub trait Archive: fmt::Debug + Send + Sync {
    /// Where it is, for people.
    fn place(&self) -> String;
    /// All restore points, newest first, those that are not usable among them.
    ///
    /// # Errors
    /// When the place cannot be looked at.
    fn points(&self) -> Result<Vec<RestorePoint>, String>;
    /// The newest change that full backups and logs hold together.
    ///
    /// # Errors
    /// When the place cannot be looked at.
    fn newest_position(&self) -> Result<u64, String>;
    /// Reads all of a restore point and compares checksums; returns how many bytes that were.
    ///
    /// # Errors
    /// With what is wrong with it.
    fn check(&self, point: &RestorePoint) -> Result<u64, String>;
    /// The newest files of the log, where that is apart from the full backups; oldest first.
    ///
    /// # Errors
    /// When it is not, or the place cannot be looked at.
    fn log(&self, _newest: usize) -> Result<Vec<PathBuf>, String> {
        Err("they have no log apart from them".to_owned())
    }
    /// The newest change up to which the log goes on from a restore point without a break. Reads all of it.
    ///
    /// # Errors
    /// When the point cannot be looked at.
    fn reach(&self, point: &RestorePoint) -> Result<u64, String> {
        let _ = point;
        Err("they have no log apart from them".to_owned())
    }
    /// Restores a point into the file `target`, which must not be there, and goes on with the logs for as long as they
    /// are whole and hold no change that is corrupt in itself.
    ///
    /// # Errors
    /// With what is wrong with it.
    fn restore(&self, point: &RestorePoint, target: &Path) -> Result<Restored, String>;
    /// Makes what was restored, or a part of it, such that it can be removed, whatever its modes are.
    fn open_up(&self, _restored: &Path) {}
    /// What kept the last question from being answered, where that says nothing of the backups; told once.
    fn trouble(&self) -> Option<String> {
        None
    }
    /// Whether what was restored holds together; returns how many rows were looked at.
    ///
    /// # Errors
    /// With what does not.
    fn consistent(&self, restored: &Path) -> Result<u64, String>;
}

/// A place for data that a site can be made to serve from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub directory: PathBuf,
    /// The file that the site's data belongs into.
    pub data: PathBuf,
}

/// Power over the backups and the volumes of sites: what a restore is made of. Every call may be repeated.
#[async_trait]
pub trait RestoreControl: fmt::Debug + Send + Sync {
    /// The backups of a site.
    ///
    /// # Errors
    /// When there is no such site.
    fn archive(&self, site: &str) -> Result<Arc<dyn Archive>, ActionError>;
    /// Looks at all data that a site serves; `Err` says what is wrong with it, or why it could not be looked at.
    async fn look_at_data(&self, site: &str) -> Result<String, String>;
    /// Makes a site hand over to its backups what its log holds now, where it would do so only later.
    async fn hand_over_log(&self, _site: &str) -> Result<(), ActionError> {
        Ok(())
    }
    /// Takes and prunes no more backups of a site.
    async fn hold_backups(&self, site: &str) -> Result<(), ActionError>;
    /// Takes backups of a site again.
    async fn resume_backups(&self, site: &str) -> Result<(), ActionError>;
    /// A directory for test restores that belongs to nobody else.
    fn scratch(&self, site: &str) -> PathBuf;
    /// A directory on the file system of a site's backups, gone with the environment: a fault keeps there what it takes.
    fn kept(&self, site: &str) -> PathBuf;
    /// Makes a new volume for a site.
    async fn make_volume(&self, site: &str) -> Result<Volume, ActionError>;
    /// What there is on a volume, a name each.
    ///
    /// # Errors
    /// When it cannot be looked into.
    fn look_into(&self, volume: &Volume) -> Result<Vec<String>, ActionError>;
    /// The volume from which a site serves.
    async fn attached(&self, site: &str) -> Result<Volume, ActionError>;
    /// Makes a site serve from a volume, and waits until it answers. The one before stays as it is.
    async fn attach(&self, site: &str, volume: &Volume) -> Result<(), ActionError>;
    /// Cuts a site off from clients and from the other site, and sees that from where they stand. Operators still reach
    /// it.
    async fn isolate(&self, site: &str) -> Result<String, ActionError>;
    /// Takes an isolation back.
    async fn open(&self, site: &str) -> Result<(), ActionError>;
    /// Makes all credentials anew. A process has those that are there when it starts.
    async fn make_credentials(&self) -> Result<(), ActionError>;
    /// Goes back to the credentials before the last were made, where any were.
    async fn keep_credentials(&self) -> Result<(), ActionError>;
    /// Gives the users of a site their new passwords, and sees that it refuses what let somebody in before and accepts
    /// what is new.
    async fn renew_credentials(&self, site: &str) -> Result<String, ActionError>;
    /// Clients log in with what is new.
    async fn log_clients_in(&self) -> Result<(), ActionError>;
    /// Provisions a site of which nothing is left: its network and the way by which clients come are there again,
    /// and nothing else. Refuses one of which something is.
    async fn provision(&self, site: &str) -> Result<String, ActionError>;
    /// Gives a site that was provisioned back, with all that runs on it.
    async fn give_back(&self, site: &str) -> Result<(), ActionError>;
    /// Makes a site follow another from an empty volume, so that nothing of what it had stays.
    async fn rebuild(&self, site: &str, source: &str) -> Result<(), ActionError>;
}
