//! The log of one full backup: the changes since, one checked line each.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use super::BackupError;
use crate::durable;
use crate::store::Change;

/// The hex digits of a line's checksum.
const SUM: usize = 64;

/// A log that is being written.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    file: File,
}

impl Segment {
    /// Starts an empty log.
    pub(super) fn create(path: &Path) -> Result<Self, BackupError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .open(path)
            .map_err(BackupError::file(path))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Goes on with a log. A line that a crash has cut short is cut off.
    pub(super) fn reopen(path: &Path) -> Result<(Self, Vec<Change>), BackupError> {
        let (changes, whole_bytes) = read_whole(path)?;
        let file = OpenOptions::new().append(true).open(path).map_err(BackupError::file(path))?;
        file.set_len(whole_bytes).map_err(BackupError::file(path))?;
        Ok((Self { path: path.to_owned(), file }, changes))
    }

    /// Appends changes and returns when they are on the disk.
    pub(super) fn append(&mut self, changes: &[Change]) -> Result<(), BackupError> {
        let mut lines = Vec::new();
        for change in changes {
            let json = serde_json::to_string(change)
                .map_err(|error| BackupError::damaged(&self.path, error.to_string()))?;
            let sum = durable::sha256(&json);
            lines.extend_from_slice(format!("{sum} {json}\n").as_bytes());
        }
        self.file
            .write_all(&lines)
            .and_then(|()| self.file.sync_data())
            .map_err(BackupError::file(&self.path))
    }
}

/// Reads a log; none there is an empty one.
///
/// A last line without its end is what a crash of the backup leaves, and was never promised to
/// anybody. Everything else must be as it was written.
pub(super) fn read(path: &Path) -> Result<Vec<Change>, BackupError> {
    Ok(read_whole(path)?.0)
}

fn read_whole(path: &Path) -> Result<(Vec<Change>, u64), BackupError> {
    let mut log = Changes::open(path)?;
    let changes = (&mut log).collect::<Result<Vec<_>, _>>()?;
    Ok((changes, log.bytes_read()))
}

/// The changes of a log, one after the other, each checked; the first that is not as it was written ends them.
#[derive(Debug)]
pub(super) struct Changes {
    path: PathBuf,
    /// `None` where there is no log, and after the last line.
    lines: Option<BufReader<File>>,
    line: Vec<u8>,
    number: u64,
    last: Option<u64>,
    whole_bytes: u64,
}

impl Changes {
    /// Opens a log; none there is an empty one.
    pub(super) fn open(path: &Path) -> Result<Self, BackupError> {
        let lines = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            file => Some(BufReader::new(file.map_err(BackupError::file(path))?)),
        };
        let path = path.to_owned();
        Ok(Self { path, lines, line: Vec::new(), number: 0, last: None, whole_bytes: 0 })
    }

    /// Bytes of the whole lines that were read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.whole_bytes
    }

    fn read(&mut self) -> Result<Option<Change>, BackupError> {
        let Some(lines) = &mut self.lines else { return Ok(None) };
        self.line.clear();
        lines.read_until(b'\n', &mut self.line).map_err(BackupError::file(&self.path))?;
        // A last line without its end was never promised to anybody.
        let Some(line) = self.line.strip_suffix(b"\n") else { return Ok(None) };
        self.number += 1;
        let number = self.number;
        let change = read_line(line).map_err(|reason| {
            BackupError::damaged(&self.path, format!("line {number}: {reason}"))
        })?;
        if self.last.is_some_and(|last| change.lsn != last + 1) {
            let reason = format!("line {number}: lsn {} is out of order", change.lsn);
            return Err(BackupError::damaged(&self.path, reason));
        }
        self.last = Some(change.lsn);
        self.whole_bytes += self.line.len() as u64;
        Ok(Some(change))
    }
}

impl Iterator for Changes {
    type Item = Result<Change, BackupError>;

    fn next(&mut self) -> Option<Self::Item> {
        let change = self.read().transpose();
        if !matches!(change, Some(Ok(_))) {
            self.lines = None;
        }
        change
    }
}

fn read_line(line: &[u8]) -> Result<Change, String> {
    let (sum, rest) = line.split_at_checked(SUM).ok_or("too short")?;
    let json = rest.strip_prefix(b" ").ok_or("no space after the checksum")?;
    if durable::sha256(json).as_bytes() != sum {
        return Err("its checksum does not fit".to_owned());
    }
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::Kind;

    fn change(lsn: u64) -> Change {
        let payload = "{\"name\":\"x\"}".to_owned();
        Change { lsn, epoch: 1, at_ms: lsn, kind: Kind::User, payload }
    }

    #[test]
    fn a_log_goes_on_after_a_line_that_was_cut_short() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("full-1.log");
        let mut segment = Segment::create(&path).unwrap();
        segment.append(&[change(1), change(2)]).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"0123 half a li").unwrap();

        assert_eq!(read(&path).unwrap(), [change(1), change(2)]);
        let (mut segment, changes) = Segment::reopen(&path).unwrap();
        assert_eq!(changes.len(), 2);
        segment.append(&[change(3)]).unwrap();
        assert_eq!(read(&path).unwrap(), [change(1), change(2), change(3)]);
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("full-1.log");
        Segment::create(&path).unwrap().append(&[change(1), change(2)]).unwrap();
        let whole = fs::read(&path).unwrap();
        // The very last byte is the line's end: without it the line counts as cut short.
        for at in 0..whole.len() - 1 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert!(read(&path).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_missing_line_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("full-1.log");
        Segment::create(&path).unwrap().append(&[change(1), change(3)]).unwrap();
        assert!(matches!(read(&path), Err(BackupError::Damaged { .. })));
    }
}
