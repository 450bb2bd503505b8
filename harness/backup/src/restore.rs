//! Restoring one source of a restore point.
//!
//! What a tree is made of stands in the list of its point; each file comes from the point that the list names. Nothing is
//! ever deleted again, and nothing that an archive holds beyond the list is looked at. Links are made last, so that
//! nothing is written through one.

mod owner;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use tar::EntryType;
use zstd::Decoder;

use self::owner::Owners;
use crate::digest::Hashing;
use crate::point::{Done, Object, OriginKind, Point};
use crate::source::sqlite::holds_together;
use crate::store::{Reader, Store, read_point, same};
use crate::tree::{self, Bytes, Content, Entry, Tree, What};
use crate::trouble::{Trouble, Watch, Watched};

/// What was restored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Got {
    /// Files, directories and links.
    pub files: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// How many incremental backups it was put together from, beside the full one.
    pub incrementals: u64,
    /// Things whose owner could not be given back, because drdrill does not run as root.
    pub owners_not_kept: u64,
    /// How long it took.
    pub took: Duration,
}

/// The points that one goes on from, itself first and the full one last.
///
/// # Errors
/// When one of them is not there, or damaged.
pub fn chain(store: &dyn Store, point: &Point, source: &str) -> Result<Vec<Point>, Trouble> {
    let mut chain = vec![point.clone()];
    while let Some(last) = chain.last() {
        let done = last
            .done(source)
            .ok_or_else(|| Trouble::Unusable(format!("{} has no {source}", last.point)))?;
        let Some(base) = &done.base else { break };
        if *base >= last.point {
            let why = format!("{} goes on from {base}, which is not older", last.point);
            return Err(Trouble::Unusable(why));
        }
        let before = read_point(store, base)
            .map_err(|trouble| trouble.with(|why| format!("it needs {base}: {why}")))?;
        chain.push(before);
    }
    Ok(chain)
}

/// Restores a source into `target`, which must not be there: a directory for a tree, a file for everything else.
///
/// # Errors
/// With what is wrong with it, or with where it is or should go. What is in `target` then is of no use.
pub fn restore(
    store: &dyn Store,
    point: &Point,
    source: &str,
    target: &Path,
) -> Result<Got, Trouble> {
    let began = Instant::now();
    let entry =
        point.entry(source).ok_or_else(|| Trouble::Unusable(format!("it has no {source}")))?;
    let done =
        point.done(source).ok_or_else(|| Trouble::Unusable(format!("{source} failed in it")))?;
    let from = Unpacking { store, source };
    let mut got = match entry.origin {
        OriginKind::Files => from.tree(point, done, target)?,
        OriginKind::Command => from.file(point, done, ".out.zst", target)?,
        OriginKind::Sqlite => {
            let got = from.file(point, done, ".db.zst", target)?;
            holds_together(target).map_err(Trouble::Unusable)?;
            got
        }
    };
    got.took = began.elapsed();
    Ok(got)
}

/// The list of a tree.
///
/// # Errors
/// When it is damaged.
pub(crate) fn list(store: &dyn Store, point: &Point, done: &Done) -> Result<Tree, Trouble> {
    let object = done.object(".files.zst").map_err(Trouble::Unusable)?;
    let watch = Watch::default();
    let read = || {
        let mut from = Hashing::new(watch.over(store.open(&point.point, &object.name)?));
        let tree = {
            let unpacked = Decoder::new(&mut from).map_err(|error| damaged(object, &error))?;
            tree::read(BufReader::new(unpacked)).map_err(Trouble::Unusable)
        };
        // That it has its checksum comes before what is wrong with it.
        drain(from, object)?;
        tree
    };
    watch.judge(&object.name, read())
}

fn drain(mut from: Hashing<Watched<'_, Reader>>, object: &Object) -> Result<(), Trouble> {
    io::copy(&mut from, &mut io::sink()).map_err(|error| damaged(object, &error))?;
    let (_, sha256, bytes) = from.finish();
    same(object, &sha256, bytes).map_err(Trouble::Unusable)
}

fn damaged(object: &Object, error: &dyn std::fmt::Display) -> Trouble {
    Trouble::Unusable(format!("{}: {error}", object.name))
}

struct Unpacking<'a> {
    store: &'a dyn Store,
    source: &'a str,
}

impl Unpacking<'_> {
    fn file(
        &self,
        point: &Point,
        done: &Done,
        ending: &str,
        target: &Path,
    ) -> Result<Got, Trouble> {
        let object = done.object(ending).map_err(Trouble::Unusable)?;
        let watch = Watch::default();
        watch.judge(&object.name, self.one_file(point, done, object, target, &watch))
    }

    fn one_file(
        &self,
        point: &Point,
        done: &Done,
        object: &Object,
        target: &Path,
        watch: &Watch,
    ) -> Result<Got, Trouble> {
        let mut from = Hashing::new(watch.over(self.store.open(&point.point, &object.name)?));
        let wrong = |error: io::Error| format!("{}: {error}", target.display());
        let mut to = Hashing::new(watch.over(new_file(target).map_err(wrong)?));
        {
            let mut unpacked = Decoder::new(&mut from).map_err(|error| damaged(object, &error))?;
            io::copy(&mut unpacked, &mut to).map_err(|error| damaged(object, &error))?;
        }
        drain(from, object)?;
        let (mut file, sha256, bytes) = to.finish();
        file.flush().map_err(wrong)?;
        if done.sha256.as_ref() != Some(&sha256) || bytes != done.bytes {
            let why = format!("what {} unpacks to does not have its SHA-256", object.name);
            return Err(Trouble::Unusable(why));
        }
        Ok(Got { files: 1, bytes, incrementals: 0, owners_not_kept: 0, took: Duration::ZERO })
    }

    fn tree(&self, point: &Point, done: &Done, target: &Path) -> Result<Got, Trouble> {
        let tree = list(self.store, point, done)?;
        let chain = chain(self.store, point, self.source)?;
        let mut wanted: HashMap<&str, BTreeMap<&Bytes, (&Entry, &Content)>> = HashMap::new();
        for entry in tree.values() {
            if let What::File(content) = &entry.what {
                let files = wanted.entry(content.stored_in.as_str()).or_default();
                files.insert(&entry.path, (entry, content));
            }
        }
        if let Some(other) = wanted.keys().find(|name| !chain.iter().any(|one| one.point == **name))
        {
            let why = format!("its list names {other}, which it does not go on from");
            return Err(Trouble::Unusable(why));
        }
        let mut owners = Owners::new();
        for entry in tree.values().filter(|entry| entry.what == What::Directory) {
            let path = target.join(entry.path.path());
            DirBuilder::new().mode(0o700).create(&path).map_err(|error| wrong(&path, &error))?;
        }
        for one in &chain {
            let Some(files) = wanted.remove(one.point.as_str()) else { continue };
            self.unpack(one, files, target, &mut owners)?;
        }
        for entry in tree.values() {
            let What::Link { to } = &entry.what else { continue };
            let path = target.join(entry.path.path());
            let made = symlink(to.path(), &path).and_then(|()| owners.give_link(&path, entry));
            made.map_err(|error| wrong(&path, &error))?;
        }
        // What is in a directory changes its times, and may not be changed any more when it is closed: those inside first.
        for entry in tree.values().rev().filter(|entry| entry.what == What::Directory) {
            let path = target.join(entry.path.path());
            let given = File::open(&path).and_then(|directory| owners.give(&directory, entry));
            given.map_err(|error| wrong(&path, &error))?;
        }
        Ok(Got {
            files: u64::try_from(tree.len()).unwrap_or(u64::MAX),
            bytes: done.bytes,
            incrementals: u64::try_from(chain.len() - 1).unwrap_or(0),
            owners_not_kept: owners.not_kept(),
            took: Duration::ZERO,
        })
    }

    /// Takes the wanted files out of the archive of one point.
    fn unpack(
        &self,
        point: &Point,
        mut wanted: BTreeMap<&Bytes, (&Entry, &Content)>,
        target: &Path,
        owners: &mut Owners,
    ) -> Result<(), Trouble> {
        let object = point
            .done(self.source)
            .ok_or_else(|| format!("{} has no {}", point.point, self.source))
            .and_then(|done| done.object(".tar.zst"))
            .map_err(Trouble::Unusable)?;
        let watch = Watch::default();
        let unpacked = self.unpack_watched(point, object, &mut wanted, target, owners, &watch);
        watch.judge(&object.name, unpacked)?;
        match wanted.keys().next() {
            Some(missing) => Err(damaged(object, &format!("{} is not in it", missing.shown()))),
            None => Ok(()),
        }
    }

    fn unpack_watched(
        &self,
        point: &Point,
        object: &Object,
        wanted: &mut BTreeMap<&Bytes, (&Entry, &Content)>,
        target: &Path,
        owners: &mut Owners,
        watch: &Watch,
    ) -> Result<(), Trouble> {
        let mut from = Hashing::new(watch.over(self.store.open(&point.point, &object.name)?));
        {
            let bad = |error: io::Error| damaged(object, &error);
            let unpacked = Decoder::new(&mut from).map_err(bad)?;
            let mut archive = tar::Archive::new(unpacked);
            for entry in archive.entries().map_err(bad)? {
                let mut entry = entry.map_err(bad)?;
                let path = Bytes(entry.path_bytes().into_owned());
                tree::safe(&path.0).map_err(|why| damaged(object, &why))?;
                let kind = entry.header().entry_type();
                if !matches!(kind, EntryType::Regular | EntryType::Directory | EntryType::Symlink) {
                    return Err(damaged(
                        object,
                        &format!("{}: {kind:?} in the archive", path.shown()),
                    ));
                }
                if kind != EntryType::Regular {
                    continue;
                }
                let Some((listed, content)) = wanted.remove(&path) else { continue };
                let path = target.join(path.path());
                let file = extract(&mut entry, &path, content, watch)?;
                owners.give(&file, listed).map_err(|error| wrong(&path, &error))?;
            }
        }
        drain(from, object)
    }
}

/// Writes one file of an archive, which must be what the list says.
fn extract(
    from: impl Read,
    path: &Path,
    content: &Content,
    watch: &Watch,
) -> Result<File, Trouble> {
    let failed = |error: io::Error| wrong(path, &error);
    let mut to = Hashing::new(watch.over(new_file(path).map_err(failed)?));
    let most = content.bytes.saturating_add(1);
    io::copy(&mut from.take(most), &mut to)
        .map_err(|error| Trouble::Unusable(wrong(path, &error)))?;
    let (file, sha256, bytes) = to.finish();
    if bytes != content.bytes || sha256 != content.sha256 {
        let why = wrong(path, &"it does not have the SHA-256 that it was read with");
        return Err(Trouble::Unusable(why));
    }
    Ok(file.into_inner())
}

fn wrong(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Where a restore is put together until it is whole.
const UNFINISHED: &str = ".drdrill-restoring";
/// What a new file system has, which is nothing that anybody lost.
const LOST_AND_FOUND: &str = "lost+found";

/// An empty directory that is restored into. What is unfinished lies in one of its own, which no restore that succeeded
/// leaves behind.
#[derive(Debug)]
pub struct Target<'a> {
    directory: &'a Path,
}

impl<'a> Target<'a> {
    /// Makes the directory, where it is not there, and sees that it is empty.
    ///
    /// # Errors
    /// When it is not.
    pub fn empty(directory: &'a Path) -> Result<Self, String> {
        let failed = |error: io::Error| wrong(directory, &error);
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(error));
            }
            _ => {}
        }
        for entry in fs::read_dir(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let nothing = name == LOST_AND_FOUND
                && fs::read_dir(entry.path()).is_ok_and(|mut inside| inside.next().is_none());
            if nothing {
                continue;
            }
            let what = if name == UNFINISHED {
                "it holds a restore that was not finished".to_owned()
            } else {
                format!("it is not empty: {}", name.to_string_lossy())
            };
            return Err(wrong(directory, &format!("{what}; restore into an empty directory")));
        }
        let unfinished = directory.join(UNFINISHED);
        DirBuilder::new().mode(0o700).create(&unfinished).map_err(failed)?;
        Ok(Self { directory })
    }

    /// Where to restore `name` to for the time being.
    #[must_use]
    pub fn place(&self, name: &str) -> std::path::PathBuf {
        self.directory.join(UNFINISHED).join(name)
    }

    /// Removes what was restored under this name and is of no use.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn clear(&self, name: &str) -> Result<(), String> {
        remove(&self.place(name)).map_err(|error| wrong(self.directory, &error))
    }

    /// Flushes everything to the disk.
    ///
    /// # Errors
    /// When not all of it can be written.
    pub fn flush(&self) -> Result<(), String> {
        let flushed = File::open(self.directory).and_then(|open| Ok(rustix::fs::syncfs(open)?));
        flushed.map_err(|error| wrong(self.directory, &error))
    }

    /// Moves everything to where it belongs; with `alone` what is in that directory, and not the directory itself.
    ///
    /// # Errors
    /// When something cannot be moved.
    pub fn finish(self, alone: Option<&str>) -> Result<(), String> {
        let unfinished = self.directory.join(UNFINISHED);
        let finished = || {
            let tree = alone.map(|name| unfinished.join(name)).filter(|tree| tree.is_dir());
            self.still_empty(tree.as_deref())?;
            // Moving what is in it changes its times.
            let facts = tree.as_ref().map(fs::metadata).transpose()?;
            if let Some(tree) = &tree {
                fs::set_permissions(tree, Permissions::from_mode(0o700))?;
            }
            for entry in fs::read_dir(tree.as_ref().unwrap_or(&unfinished))? {
                let entry = entry?;
                owner::move_to(&entry.path(), &self.directory.join(entry.file_name()))?;
            }
            if let Some((tree, facts)) = tree.zip(facts) {
                fs::remove_dir(tree)?;
                // Only its time is left to be put right when nothing says any more that this is unfinished.
                owner::as_before(self.directory, &facts, 0o700)?;
                fs::remove_dir(&unfinished)?;
                owner::as_before(self.directory, &facts, 0)?;
            } else {
                fs::remove_dir(&unfinished)?;
            }
            File::open(self.directory)?.sync_all()
        };
        finished().map_err(|error| wrong(self.directory, &error))
    }

    /// Sees that nothing came into the directory meanwhile, and that what comes there now does not have the name of what
    /// is unfinished.
    fn still_empty(&self, tree: Option<&Path>) -> io::Result<()> {
        let where_it_is = format!("what was restored lies whole in {UNFINISHED}");
        for entry in fs::read_dir(self.directory)? {
            let name = entry?.file_name();
            if name != UNFINISHED && name != LOST_AND_FOUND {
                let name = name.to_string_lossy();
                return Err(io::Error::other(format!(
                    "{name} came into it meanwhile; {where_it_is}"
                )));
            }
        }
        if tree.is_some_and(|tree| fs::symlink_metadata(tree.join(UNFINISHED)).is_ok()) {
            return Err(io::Error::other(format!(
                "the tree has a {UNFINISHED} of its own, so that it cannot come into the directory itself; {where_it_is}"
            )));
        }
        Ok(())
    }

    /// Gives up: nothing of it stays.
    pub fn abandon(self) {
        // What cannot be removed keeps its name, which says what it is.
        let _ = remove(&self.directory.join(UNFINISHED));
    }
}

/// Removes a tree, where there is one, also one whose directories were restored closed, or a file.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(facts) if !facts.is_dir() => fs::remove_file(path),
        Ok(_) => {
            owner::open_up(path);
            fs::remove_dir_all(path)
        }
    }
}

pub(crate) use owner::open_up;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_into_the_target_meanwhile_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let to = dir.path().join(name);
            fs::create_dir(&to).unwrap();
            to
        };
        let restored = |to: &Path, file: &str| {
            fs::create_dir(to.join(UNFINISHED).join("home")).unwrap();
            fs::write(to.join(UNFINISHED).join("home").join(file), "restored").unwrap();
        };
        for (theirs, alone) in [("file", Some("home")), ("home", None), ("other", Some("home"))] {
            let to = make(&format!("{theirs} meanwhile"));
            let target = Target::empty(&to).unwrap();
            restored(&to, "file");
            fs::write(to.join(theirs), "theirs").unwrap();
            let why = target.finish(alone).unwrap_err();
            assert!(why.contains("came into it meanwhile"), "{why}");
            assert_eq!(fs::read_to_string(to.join(theirs)).unwrap(), "theirs");
            let whole = to.join(UNFINISHED).join("home/file");
            assert_eq!(fs::read_to_string(whole).unwrap(), "restored");
        }
        // Between looking and moving, too.
        let to = make("moved");
        fs::write(to.join("theirs"), "theirs").unwrap();
        fs::write(to.join("ours"), "ours").unwrap();
        assert!(owner::move_to(&to.join("ours"), &to.join("theirs")).is_err());
        assert_eq!(fs::read_to_string(to.join("theirs")).unwrap(), "theirs");
        // A tree in which somebody had backed up a restore that was not finished.
        let to = make("nested");
        let target = Target::empty(&to).unwrap();
        restored(&to, UNFINISHED);
        assert!(target.finish(Some("home")).unwrap_err().contains("of its own"));
        let target = Target { directory: &to };
        target.finish(None).unwrap();
        assert!(to.join("home").join(UNFINISHED).exists() && !to.join(UNFINISHED).exists());
        // A new file system's own directory is in nobody's way.
        let to = make("new");
        fs::create_dir(to.join(LOST_AND_FOUND)).unwrap();
        let target = Target::empty(&to).unwrap();
        restored(&to, "file");
        fs::create_dir(to.join(UNFINISHED).join("home").join(LOST_AND_FOUND)).unwrap();
        target.finish(Some("home")).unwrap();
        assert!(to.join("file").exists() && to.join(LOST_AND_FOUND).is_dir());
    }
}
