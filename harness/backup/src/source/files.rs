//! A tree of files, as a tar archive with the list of what is in it.

mod exclude;
mod tar_out;

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use drdrill_core::backup_plan::{Changing, Files};
use rustix::fs::{CWD, Dir, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use zstd::Decoder;

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
    let wrong = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    // A link to it is followed once, so that all that is looked at is one and the same directory.
    let real = fs::canonicalize(root).map_err(|error| wrong(root, &error))?;
    refuse_ours(&real, &excluded, job.ours)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = openat(CWD, &real, flags, Mode::empty()).map_err(|error| wrong(root, &error))?;
    let name = &job.source.name;
    let failed = |error: io::Error| error.to_string();
    let archive = Packed::create(job.staging, format!("{name}.tar.zst")).map_err(failed)?;
    let mut reading = Reading {
        root: opened,
        point: job.point,
        base: job.base.as_ref(),
        out: TarOut::new(archive),
        tree: Tree::new(),
        listed: Vec::new(),
        read_bytes: 0,
        skipped: 0,
        torn: Torn::default(),
    };
    reading.walk(&real, &excluded, files.one_file_system)?;
    reading.tear_changed(&real);
    if !reading.tree.contains_key(&Bytes::default()) {
        return Err(wrong(root, &"it is not there any more"));
    }
    if reading.tree.len() == 1 && job.had > 1 && !files.allow_empty {
        return Err(wrong(
            root,
            &format!(
                "it is empty, and the backup before has {} files and directories: is something not mounted? \
                 (where it may be empty: allow_empty: true)",
                job.had
            ),
        ));
    }
    refuse_torn(files.changing, &reading.torn)?;
    let Reading { out, tree, read_bytes, skipped, torn, .. } = reading;
    let mut objects = vec![out.finish().map_err(failed)?];
    objects.push(write_list(&tree, job.staging, format!("{name}.files.zst"))?);
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

/// Writes the list, and reads it as a restore will: one that no restore would take is no backup.
fn write_list(tree: &Tree, staging: &Path, name: String) -> Result<Object, String> {
    let path = staging.join(&name);
    let failed = |error: io::Error| error.to_string();
    let mut list = Packed::create(staging, name).map_err(failed)?;
    tree::write(tree, &mut list).map_err(failed)?;
    let object = list.finish().map_err(failed)?;
    let unpacked = File::open(path).and_then(Decoder::new).map_err(|error| error.to_string())?;
    if tree::read(BufReader::new(unpacked))? == *tree {
        Ok(object)
    } else {
        Err("a bug: the list of files reads back as another one".to_owned())
    }
}

/// Refuses a tree that holds what backups are written to: they would back up themselves.
fn refuse_ours(
    real: &Path,
    excluded: &Excluded,
    ours: &[std::path::PathBuf],
) -> Result<(), String> {
    for own in ours {
        let Ok(inside) = own.strip_prefix(real) else { continue };
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
        "{} files or directories changed while they were read ({}): back up a snapshot instead, or write `changing: keep`",
        torn.files,
        torn.some.join(", ")
    ))
}

/// Whether something is not there any more, or is another kind of thing now: a directory that was there is a link or a
/// file, or the file that was there is a link.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

/// What changes when anything is put into a directory, renamed in it, or taken out of it.
type State = (u64, i64, i64, i64, i64);

fn state(facts: &Metadata) -> State {
    (facts.ino(), facts.mtime(), facts.mtime_nsec(), facts.ctime(), facts.ctime_nsec())
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
    /// The directories whose names were read, with their state before that.
    listed: Vec<(PathBuf, State)>,
    read_bytes: u64,
    skipped: u64,
    torn: Torn,
}

impl Reading<'_> {
    /// Reads the tree whose root is `real`: parents before what is in them, and each directory to its end before the next.
    fn walk(
        &mut self,
        real: &Path,
        excluded: &Excluded,
        one_file_system: bool,
    ) -> Result<(), String> {
        let mut device = None;
        let mut left = vec![PathBuf::new()];
        while let Some(path) = left.pop() {
            let whole =
                if path.as_os_str().is_empty() { real.to_owned() } else { real.join(&path) };
            let wrong = |error: io::Error| format!("{}: {error}", whole.display());
            match self.one(&path, &whole, one_file_system, &mut device) {
                Ok(names) => {
                    let paths = names.into_iter().rev().map(|name| path.join(name));
                    left.extend(paths.filter(|path| !excluded.has(path)));
                }
                Err(error) if is_gone(&error) => self.tore(&path),
                Err(error) => return Err(wrong(error)),
            }
        }
        Ok(())
    }

    /// Reads one thing; the names in it, in order, when it is a directory of which what is in it is wanted.
    fn one(
        &mut self,
        path: &Path,
        whole: &Path,
        one_file_system: bool,
        device: &mut Option<u64>,
    ) -> io::Result<Vec<OsString>> {
        let facts = fs::symlink_metadata(whole)?;
        if !facts.is_dir() {
            self.add(path, whole, &facts)?;
            return Ok(Vec::new());
        }
        if one_file_system && *device.get_or_insert(facts.dev()) != facts.dev() {
            self.add(path, whole, &facts)?;
            return Ok(Vec::new());
        }
        let directory = self.open(path, OFlags::DIRECTORY)?;
        let facts = directory.metadata()?;
        self.listed.push((path.to_owned(), state(&facts)));
        self.add(path, whole, &facts)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&directory)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        names.sort();
        Ok(names)
    }

    /// Notes the directories in which something changed since their names were read: what was renamed meanwhile may have
    /// been seen nowhere.
    fn tear_changed(&mut self, real: &Path) {
        for (path, before) in std::mem::take(&mut self.listed) {
            let now = fs::symlink_metadata(real.join(&path)).map(|facts| state(&facts));
            if now.is_ok_and(|now| now != before) {
                self.tore(&path);
            }
        }
    }

    fn add(&mut self, path: &Path, whole: &Path, facts: &Metadata) -> io::Result<()> {
        let kind = facts.file_type();
        let what = if kind.is_dir() {
            What::Directory
        } else if kind.is_symlink() {
            What::Link { to: Bytes(fs::read_link(whole)?.as_os_str().as_bytes().to_vec()) }
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
        let file = self.open(path, OFlags::empty())?;
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
        if short || (facts.len(), state(&facts)) != (after.len(), state(&after)) {
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

    /// Opens something in the tree, and nothing to which a link leads that somebody puts in its way meanwhile.
    fn open(&self, path: &Path, more: OFlags) -> io::Result<File> {
        // Not to wait for whoever might write to a pipe of that name.
        let flags =
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = flags | more;
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let file = openat2(self.root.as_fd(), path, flags, Mode::empty(), within)?;
        Ok(File::from(file))
    }

    fn tore(&mut self, path: &Path) {
        self.torn.files += 1;
        if self.torn.some.len() < SOME {
            let root = path.as_os_str().is_empty();
            self.torn.some.push(if root {
                ".".into()
            } else {
                path.to_string_lossy().into_owned()
            });
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

    fn reading<'a>(root: &Path, staging: &Path, base: Option<&'a Base>) -> Reading<'a> {
        let out = Packed::create(staging, "x".to_owned()).unwrap();
        Reading {
            root: openat(CWD, root, OFlags::RDONLY, Mode::empty()).unwrap(),
            point: "now",
            base,
            out: TarOut::new(out),
            tree: Tree::new(),
            listed: Vec::new(),
            read_bytes: 0,
            skipped: 0,
            torn: Torn::default(),
        }
    }

    #[test]
    fn what_is_renamed_while_the_tree_is_read_is_noticed() {
        let [dir, staging] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let root = dir.path();
        fs::create_dir_all(root.join("a/deep")).unwrap();
        fs::create_dir(root.join("b")).unwrap();
        fs::write(root.join("a/deep/file"), "content").unwrap();
        // The clock that file systems write down ticks every few milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(50));
        let mut reading = reading(root, staging.path(), None);
        reading.walk(root, &Excluded::of(&[]).unwrap(), false).unwrap();
        let paths: Vec<String> = reading.tree.keys().map(Bytes::shown).collect();
        assert_eq!(paths, ["", "a", "a/deep", "a/deep/file", "b"]);
        let listed = reading.listed.clone();
        reading.tear_changed(root);
        assert_eq!(reading.torn, Torn::default());
        fs::rename(root.join("a/deep/file"), root.join("b/file")).unwrap();
        reading.listed = listed;
        reading.tear_changed(root);
        assert_eq!(reading.torn.some, ["a/deep", "b"]);
    }

    #[test]
    fn what_is_gone_or_something_else_by_the_time_it_is_read_is_noticed() {
        let [dir, staging] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let root = dir.path();
        let mut reading = reading(root, staging.path(), None);
        std::os::unix::fs::symlink("/etc", root.join("link")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        for (path, more) in [
            ("gone", OFlags::empty()),
            ("link", OFlags::empty()),
            ("link", OFlags::DIRECTORY),
            ("link/passwd", OFlags::empty()),
            ("file", OFlags::DIRECTORY),
        ] {
            assert!(is_gone(&reading.open(Path::new(path), more).unwrap_err()), "{path}");
        }
        let facts = fs::metadata(root.join("file")).unwrap();
        assert!(is_gone(&reading.add_file(Path::new("gone"), &facts).unwrap_err()));
    }

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
            let reading = reading(dir.path(), staging.path(), Some(&base));
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
