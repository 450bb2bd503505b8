//! Backups that a drill's lab has taken, damaged. Their verification must refuse them.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use drdrill_lab::backup::BackupInfo;
use drdrill_machinery::restore::walk::{Terms, walk};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::Defect;
use crate::archive::LabArchive;

/// Damages copies of the backups in a directory, and has each copy verified.
///
/// # Errors
/// When a file cannot be read or written.
pub(crate) fn defects(backups: &Path, dir: &Path) -> io::Result<Vec<Defect>> {
    let harms: [(&'static str, Harm); 4] = [
        ("a corrupt backup: one bit flipped", |full| {
            let mut bytes = fs::read(full)?;
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(full, bytes)
        }),
        ("a corrupt backup: cut in half", |full| {
            let file = fs::File::options().write(true).open(full)?;
            file.set_len(file.metadata()?.len() / 2)
        }),
        ("a backup of corrupt rows, with the right checksum", |full| {
            change_rows(full, "UPDATE entries SET value = 'x' WHERE rowid = 1")
        }),
        ("a backup that lacks rows, with the right checksum", |full| {
            change_rows(full, "DELETE FROM entries WHERE rowid = 1")
        }),
    ];
    let whole = verified(backups, dir)?;
    let mut defects = Vec::new();
    for (number, (planted, harm)) in harms.into_iter().enumerate() {
        let copy = dir.join(format!("backups-{number}"));
        fs::create_dir(&copy)?;
        let mut full = Vec::new();
        for entry in fs::read_dir(backups)? {
            let to = copy.join(entry?.file_name());
            fs::copy(backups.join(to.file_name().unwrap_or_default()), &to)?;
            full.extend(to.extension().is_some_and(|ending| ending == "db").then_some(to));
        }
        // Names carry their time. The first backup is of a lab that has no rows yet.
        let newest = full.iter().max().ok_or_else(|| io::Error::other("there is no backup"))?;
        harm(newest)?;
        let seen = verified(&copy, dir)?;
        // The same backups as they were must be believed, or being refused means nothing.
        let caught = whole.is_ok() && seen.is_err();
        let seen = match (&whole, seen) {
            (Err(why), _) => format!("backups that nobody touched are refused: {why}"),
            (_, Ok(words) | Err(words)) => words,
        };
        defects.push(Defect::new(planted, caught, seen));
    }
    Ok(defects)
}

type Harm = fn(&Path) -> io::Result<()>;

/// What the verification says: `Ok` where it would restore the newest backup.
fn verified(backups: &Path, dir: &Path) -> io::Result<Result<String, String>> {
    let scratch = dir.join("scratch");
    let terms = Terms { now_ms: 0, max_age: Duration::MAX, scratch: &scratch };
    let walked = walk(&*LabArchive::open(backups), terms).map_err(io::Error::other)?;
    let words = walked.words();
    Ok(if walked.unfit.is_empty() { Ok(words) } else { Err(words) })
}

/// Changes rows of a backup and gives it the checksum that it has then: a backup of data that was corrupt already.
fn change_rows(full: &Path, statement: &str) -> io::Result<()> {
    let changed = Connection::open(full).and_then(|database| database.execute(statement, []));
    if changed.map_err(io::Error::other)? == 0 {
        return Err(io::Error::other("the backup has no rows to change"));
    }
    let sidecar = full.with_extension("json");
    let mut info: BackupInfo = serde_json::from_slice(&fs::read(&sidecar)?)?;
    let bytes = fs::read(full)?;
    info.sha256 = hex::encode(Sha256::digest(&bytes));
    info.bytes = bytes.len() as u64;
    fs::write(&sidecar, serde_json::to_vec(&info)?)
}
