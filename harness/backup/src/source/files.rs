//! A tree of files, as a tar archive with the list of what is in it.

mod exclude;
mod tar_out;

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use drdrill_core::backup_plan::{Changing, Files};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use walkdir::WalkDir;

use self::exclude::Excluded;
use self::tar_out::TarOut;
use super::{Base, Job, Packed, Taken};
use crate::digest::{self, Hashing};
use crate::point::{Extent, Object, Torn};
use crate::tree::{self, Bytes, Content, Entry, Moment, Tree, What};

/// A file whose state changed so shortly before a backup began, or later, is read again by the next one: within the
/// resolution of its times it may have changed once more without a trace. Two seconds is the coarsest resolution that
/// there is (FAT), in milliseconds.
const RACY_MS: i128 = 2000;
/// So many names of files that changed while they were read are kept.
const SOME: usize = 20;

/// Backs up a tree.
pub(super) fn take(files: &Files, job: Job<'_>) -> Result<Taken, String> {
    let root = Path::new(&files.path);
    let excluded = Excluded::of(&files.exclude)?;
    refuse_ours(root, &excluded, job.ours)?;
    let wrong = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = openat(CWD, root, flags, Mode::empty()).map_err(|error| wrong(root, &error))?;
    let name = &job.source.name;
    let failed = |error: io::Error| error.to_string();
    let archive = Packed::create(job.staging, format!("{name}.tar.zst")).map_err(failed)?;
    let mut reading = Reading {
        root: opened,
        point: job.point,
        base: job.base.as_ref(),
        out: TarOut::new(archive),
        tree: Tree::new(),
        read_bytes: 0,
        skipped: 0,
        torn: Torn::default(),
    };
    let walk = WalkDir::new(root)
        .follow_root_links(true)
        .same_file_system(files.one_file_system)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|found| found.depth() == 0 || !excluded.has(below(root, found.path())));
    for found in walk {
        let found = match found {
            Ok(found) => found,
            Err(error) if error.depth() > 0 && is_gone(error.io_error()) => continue,
            Err(error) => return Err(error.to_string()),
        };
        let facts = match found.metadata() {
            Ok(facts) => facts,
            Err(error) if found.depth() > 0 && is_gone(error.io_error()) => continue,
            Err(error) => return Err(error.to_string()),
        };
        let path = below(root, found.path());
        reading.add(path, found.path(), &facts).map_err(|error| wrong(found.path(), &error))?;
    }
    if !reading.tree.contains_key(&Bytes::default()) {
        return Err(wrong(root, &"it is not there any more"));
    }
    refuse_torn(files.changing, &reading.torn)?;
    let Reading { out, tree, read_bytes, skipped, torn, .. } = reading;
    let mut objects = vec![out.finish().map_err(failed)?];
    let mut list = Packed::create(job.staging, format!("{name}.files.zst")).map_err(failed)?;
    tree::write(&tree, &mut list).map_err(failed)?;
    objects.push(list.finish().map_err(failed)?);
    let mut deleted = 0;
    if let Some(base) = &job.base {
        let gone = gone(&base.tree, &tree);
        deleted = u64::try_from(gone.len()).unwrap_or(u64::MAX);
        objects.push(
            write_gone(&gone, job.staging, format!("{name}.deleted"))
                .map_err(|error| super::staged(error).to_string())?,
        );
    }
    Ok(Taken {
        extent: if job.base.is_some() { Extent::Incremental } else { Extent::Full },
        base: job.base.map(|base| base.point),
        files: u64::try_from(tree.len()).unwrap_or(u64::MAX),
        bytes: tree.values().map(size).sum(),
        read_bytes,
        deleted,
        skipped,
        torn,
        objects,
        sha256: None,
    })
}

/// Refuses a tree that holds what backups are written to: they would back up themselves.
fn refuse_ours(
    root: &Path,
    excluded: &Excluded,
    ours: &[std::path::PathBuf],
) -> Result<(), String> {
    let real = fs::canonicalize(root).map_err(|error| format!("{}: {error}", root.display()))?;
    for own in ours {
        let Ok(inside) = own.strip_prefix(&real) else { continue };
        if inside.as_os_str().is_empty() || !inside.ancestors().any(|part| excluded.has(part)) {
            return Err(format!(
                "{} lies in it, which this backup writes to: leave it out (exclude: [...])",
                own.display()
            ));
        }
    }
    Ok(())
}

fn refuse_torn(changing: Changing, torn: &Torn) -> Result<(), String> {
    if torn.files == 0 || changing == Changing::Keep {
        return Ok(());
    }
    Err(format!(
        "{} files changed while they were read ({}): back up a snapshot instead, or write `changing: keep`",
        torn.files,
        torn.some.join(", ")
    ))
}

fn below<'a>(root: &Path, path: &'a Path) -> &'a Path {
    path.strip_prefix(root).unwrap_or(path)
}

fn is_gone(error: Option<&io::Error>) -> bool {
    error.is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

const fn size(entry: &Entry) -> u64 {
    match &entry.what {
        What::File(content) => content.bytes,
        What::Directory | What::Link { .. } => 0,
    }
}

/// What was there and is not, or is another kind of thing now: it has to go before anything takes its place.
fn gone<'a>(before: &'a Tree, now: &Tree) -> Vec<&'a Bytes> {
    let kind = |entry: &Entry| std::mem::discriminant(&entry.what);
    let stays =
        |entry: &&Entry| now.get(&entry.path).is_none_or(|other| kind(other) != kind(entry));
    before.values().filter(stays).map(|entry| &entry.path).collect()
}

/// Paths with `./` before and NUL behind them, as `xargs -0 rm -rf --` takes them.
fn write_gone(gone: &[&Bytes], staging: &Path, name: String) -> io::Result<Object> {
    let mut text = Vec::new();
    for path in gone {
        text.extend_from_slice(b"./");
        text.extend_from_slice(&path.0);
        text.push(0);
    }
    File::create_new(staging.join(&name))?.write_all(&text)?;
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    Ok(Object { name, bytes, sha256: digest::of(&text) })
}

/// A tree that is being read.
struct Reading<'a> {
    root: OwnedFd,
    point: &'a str,
    base: Option<&'a Base>,
    out: TarOut,
    tree: Tree,
    read_bytes: u64,
    skipped: u64,
    torn: Torn,
}

impl Reading<'_> {
    fn add(&mut self, path: &Path, whole: &Path, facts: &Metadata) -> io::Result<()> {
        let kind = facts.file_type();
        let what = if kind.is_dir() {
            What::Directory
        } else if kind.is_symlink() {
            match fs::read_link(whole) {
                Ok(to) => What::Link { to: Bytes(to.as_os_str().as_bytes().to_vec()) },
                Err(error) if is_gone(Some(&error)) => return Ok(()),
                Err(error) => return Err(error),
            }
        } else if kind.is_file() {
            return self.add_file(path, facts);
        } else {
            debug_assert!(
                kind.is_fifo()
                    || kind.is_socket()
                    || kind.is_char_device()
                    || kind.is_block_device()
            );
            self.skipped += 1;
            return Ok(());
        };
        let entry = entry(path, facts, what);
        // What is said of the root itself stands in the list: an archive has no name for it.
        let same = self.base.is_some_and(|base| base.tree.get(&entry.path) == Some(&entry));
        if !same && !entry.path.0.is_empty() {
            self.out.append(&entry, io::empty())?;
        }
        self.tree.insert(entry.path.clone(), entry);
        Ok(())
    }

    fn add_file(&mut self, path: &Path, facts: &Metadata) -> io::Result<()> {
        if let Some(content) = self.unchanged(path, facts) {
            let entry = entry(path, facts, What::File(content));
            self.tree.insert(entry.path.clone(), entry);
            return Ok(());
        }
        let file = match self.open(path) {
            Ok(file) => file,
            Err(error) if is_gone(Some(&error)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let facts = file.metadata()?;
        if !facts.is_file() {
            self.tore(path);
            return Ok(());
        }
        let content = Content {
            bytes: facts.len(),
            sha256: String::new(),
            stored_in: self.point.to_owned(),
            inode: facts.ino(),
            ctime: Moment(facts.ctime(), nanoseconds(facts.ctime_nsec())),
        };
        let mut entry = entry(path, &facts, What::File(content));
        let mut exactly = Hashing::new(Exactly { file: &file, left: facts.len(), short: false });
        self.out.append(&entry, &mut exactly)?;
        let (Exactly { short, .. }, sha256, _) = exactly.finish();
        let after = file.metadata()?;
        let state = |facts: &Metadata| {
            (facts.len(), facts.mtime(), facts.mtime_nsec(), facts.ctime(), facts.ctime_nsec())
        };
        if short || state(&facts) != state(&after) {
            self.tore(path);
        }
        self.read_bytes += facts.len();
        if let What::File(content) = &mut entry.what {
            content.sha256 = sha256;
        }
        self.tree.insert(entry.path.clone(), entry);
        Ok(())
    }

    /// The content that the base has of a file that has not changed since.
    fn unchanged(&self, path: &Path, facts: &Metadata) -> Option<Content> {
        let base = self.base?;
        let before = base.tree.get(&Bytes(path.as_os_str().as_bytes().to_vec()))?;
        let What::File(content) = &before.what else { return None };
        let same = content.bytes == facts.len()
            && content.inode == facts.ino()
            && content.ctime == Moment(facts.ctime(), nanoseconds(facts.ctime_nsec()))
            && before.mtime == Moment(facts.mtime(), nanoseconds(facts.mtime_nsec()));
        let settled = i128::from(facts.ctime()) * 1000 + RACY_MS < i128::from(base.began_ms);
        (same && settled).then(|| content.clone())
    }

    /// Opens a file of the tree, and none to which a link leads that somebody puts in its way meanwhile.
    fn open(&self, path: &Path) -> io::Result<File> {
        // Not to wait for whoever might write to a pipe of that name.
        let flags =
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let file = openat2(self.root.as_fd(), path, flags, Mode::empty(), within)?;
        Ok(File::from(file))
    }

    fn tore(&mut self, path: &Path) {
        self.torn.files += 1;
        if self.torn.some.len() < SOME {
            self.torn.some.push(path.to_string_lossy().into_owned());
        }
    }
}

fn entry(path: &Path, facts: &Metadata, what: What) -> Entry {
    Entry {
        path: Bytes(path.as_os_str().as_bytes().to_vec()),
        mode: facts.mode() & 0o7777,
        uid: facts.uid(),
        gid: facts.gid(),
        mtime: Moment(facts.mtime(), nanoseconds(facts.mtime_nsec())),
        what,
    }
}

fn nanoseconds(of: i64) -> u32 {
    u32::try_from(of).unwrap_or(0)
}

/// As many bytes as a file had when it was opened: zeros where it has become shorter.
struct Exactly<'a> {
    file: &'a File,
    left: u64,
    short: bool,
}

impl Read for Exactly<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let Some(room) = into.get_mut(..most).filter(|room| !room.is_empty()) else { return Ok(0) };
        let mut read = if self.short { 0 } else { self.file.read(room)? };
        if read == 0 {
            self.short = true;
            room.fill(0);
            read = room.len();
        }
        self.left -= u64::try_from(read).unwrap_or(0);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_unchanged_when_nothing_tells_otherwise_and_its_times_have_settled() {
        let dir = tempfile::tempdir().unwrap();
        let path = Path::new("file");
        fs::write(dir.path().join(path), "content").unwrap();
        let facts = fs::metadata(dir.path().join(path)).unwrap();
        let content = Content {
            bytes: facts.len(),
            sha256: "of before".to_owned(),
            stored_in: "before".to_owned(),
            inode: facts.ino(),
            ctime: Moment(facts.ctime(), nanoseconds(facts.ctime_nsec())),
        };
        let changed_ms = u64::try_from(facts.ctime()).unwrap() * 1000;
        let is_unchanged = |began_ms: u64, edit: &dyn Fn(&mut Entry, &mut Content)| {
            let mut content = content.clone();
            let mut before = entry(path, &facts, What::Directory);
            edit(&mut before, &mut content);
            before.what = What::File(content);
            let tree = [(before.path.clone(), before)].into();
            let base = Base { point: "before".to_owned(), began_ms, tree };
            let staging = tempfile::tempdir().unwrap();
            let out = Packed::create(staging.path(), "x".to_owned()).unwrap();
            let reading = Reading {
                root: openat(CWD, dir.path(), OFlags::RDONLY, Mode::empty()).unwrap(),
                point: "now",
                base: Some(&base),
                out: TarOut::new(out),
                tree: Tree::new(),
                read_bytes: 0,
                skipped: 0,
                torn: Torn::default(),
            };
            reading.unchanged(path, &facts).is_some()
        };
        let later = changed_ms + 10_000;
        assert!(is_unchanged(later, &|_, _| {}));
        // Changed so shortly before that it may have changed again without a trace, or even later.
        for began_ms in [changed_ms - 5000, changed_ms, changed_ms + 1999] {
            assert!(!is_unchanged(began_ms, &|_, _| {}), "{began_ms}");
        }
        assert!(!is_unchanged(later, &|_, content| content.bytes += 1));
        assert!(!is_unchanged(later, &|_, content| content.inode += 1));
        assert!(!is_unchanged(later, &|_, content| content.ctime.1 ^= 1));
        assert!(!is_unchanged(later, &|before, _| before.mtime.1 ^= 1));
        assert!(!is_unchanged(later, &|before, _| before.path.0.push(b'x')));
    }
}
