//! Trees of files with everything that file systems allow, and what a restore must give back of them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// What is there at one path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Thing {
    /// Permissions, with set-id bits and sticky bit.
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    /// Seconds and nanoseconds.
    pub(crate) written: (i64, i64),
    pub(crate) what: What,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum What {
    Directory,
    Link(PathBuf),
    File(Vec<u8>),
}

/// Everything in a tree but pipes and the like; the root is the empty path.
pub(crate) fn everything(root: &Path) -> BTreeMap<PathBuf, Thing> {
    let mut found = BTreeMap::new();
    look(root, Path::new(""), &mut found);
    found
}

fn look(root: &Path, below: &Path, found: &mut BTreeMap<PathBuf, Thing>) {
    let path = if below == Path::new("") { root.to_owned() } else { root.join(below) };
    let facts = fs::symlink_metadata(&path).unwrap();
    let kind = facts.file_type();
    let what = if kind.is_dir() {
        for entry in fs::read_dir(&path).unwrap() {
            look(root, &below.join(entry.unwrap().file_name()), found);
        }
        What::Directory
    } else if kind.is_symlink() {
        What::Link(fs::read_link(&path).unwrap())
    } else if kind.is_file() {
        What::File(fs::read(&path).unwrap())
    } else {
        return;
    };
    let owner = (facts.uid(), facts.gid());
    let written = (facts.mtime(), facts.mtime_nsec());
    // Nobody chooses the mode of a link.
    let mode = if kind.is_symlink() { 0 } else { facts.mode() & 0o7777 };
    found.insert(below.to_owned(), Thing { mode, owner, written, what });
}

/// The first path at which two trees differ, for people; nothing when they are the same.
pub(crate) fn difference(
    one: &BTreeMap<PathBuf, Thing>,
    other: &BTreeMap<PathBuf, Thing>,
) -> Option<String> {
    let paths = one.keys().chain(other.keys());
    let show = |thing: Option<&Thing>| match thing {
        Some(Thing { mode, owner, written, what: What::File(bytes) }) => {
            format!("{mode:o} {owner:?} {written:?}, a file of {} bytes", bytes.len())
        }
        thing => format!("{thing:?}"),
    };
    let differs = paths.into_iter().find(|path| one.get(*path) != other.get(*path))?;
    Some(format!(
        "{}: {} and {}",
        differs.display(),
        show(one.get(differs)),
        show(other.get(differs))
    ))
}

/// Makes a tree with names, modes, owners, times and links of every kind.
pub(crate) fn make_hostile(root: &Path) {
    fs::create_dir(root).unwrap();
    let write = |name: &[u8], content: &[u8]| {
        let path = root.join(OsStr::from_bytes(name));
        fs::write(&path, content).unwrap();
        path
    };
    let long = [b'n'; 255];
    for name in [
        b"plain".as_slice(),
        b"new\nline",
        b"-rf",
        b"--checkpoint-action=exec=sh",
        b" leading and trailing ",
        b"not UTF-8 \xff\xfe",
        b"back\\slash",
        b"...",
        b"*",
        b"\x1b[31mred",
        &long,
        // Too long for the header of an archive, and what could be taken for a record of one.
        &[&b"l".repeat(100)[..], b"\n11 path=..\n", &b"m".repeat(100)].concat(),
        &[&b"e".repeat(99)[..], b"\n"].concat(),
    ] {
        write(name, name);
    }
    write(b"empty", b"");
    write(b"hundred", &[7; 100]);
    let deep = root.join("d".repeat(60)).join("e".repeat(60)).join("\u{fc}".repeat(60));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("far below"), "far").unwrap();
    let record = format!("{}\n13 path=../x\n", "y".repeat(200));
    let outside = format!("/{}", "x/".repeat(100));
    for (name, to) in [
        ("outside", "../../../../etc/passwd"),
        ("absolute", "/etc"),
        ("dangling", "nowhere"),
        ("itself", "itself"),
        ("slashes", "./plain//"),
        ("long", outside.as_str()),
        ("record", record.as_str()),
    ] {
        symlink(to, root.join(name)).unwrap();
    }
    symlink(OsStr::from_bytes(b"\xff\n"), root.join(OsStr::from_bytes(b"link \xff"))).unwrap();
    lchown(root.join("dangling"), Some(1234), Some(5678)).unwrap();
    let closed = root.join("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("inside"), "inside").unwrap();
    for (name, mode) in [("plain", 0o4755), ("empty", 0o000), ("hundred", 0o2711), ("...", 0o640)] {
        let path = root.join(name);
        chown(&path, Some(1000), Some(3_000_000)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
    let at = |path: &Path, time| {
        File::open(path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
    };
    at(&root.join("plain"), UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789));
    at(&root.join("hundred"), UNIX_EPOCH - Duration::new(5, 250_000_000));
    at(&closed, UNIX_EPOCH + Duration::new(1, 1));
    fs::set_permissions(&closed, Permissions::from_mode(0o3555)).unwrap();
    fs::set_permissions(root, Permissions::from_mode(0o750)).unwrap();
    at(root, UNIX_EPOCH + Duration::from_secs(77));
}
