//! The list of what is in a tree: a line of JSON each, parents before what is in them.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest line of a list, in bytes: a path and a link are at most 4 KiB each, twice that in hex.
const LONGEST_LINE: u64 = 64 * 1024;
/// Longest name of a file, in bytes. Source: `NAME_MAX` of Linux.
const LONGEST_NAME: usize = 255;

/// The bytes of a path or of the target of a link. In the list it is a text where it is UTF-8, and `{"hex": …}` elsewhere.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Bytes(pub Vec<u8>);

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Hex { hex: String },
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match std::str::from_utf8(&self.0) {
            Ok(text) => Written::Text(text.to_owned()),
            Err(_) => Written::Hex { hex: hex::encode(&self.0) },
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(Self(text.into_bytes())),
            Written::Hex { hex } => hex::decode(hex).map(Self).map_err(serde::de::Error::custom),
        }
    }
}

impl Bytes {
    /// As a path.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(std::ffi::OsStr::from_bytes(&self.0))
    }

    /// For people.
    #[must_use]
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

/// A moment, as file systems have it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Moment(
    /// Seconds since 1970.
    pub i64,
    /// Nanoseconds beyond them, 0 to 999,999,999.
    pub u32,
);

/// One thing in a tree.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its path below the root; that of the root itself is empty.
    pub path: Bytes,
    /// Permissions, with set-id bits and sticky bit.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When it was last written to.
    pub mtime: Moment,
    /// What it is.
    pub what: What,
}

/// What a thing in a tree is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A directory.
    Directory,
    /// A symbolic link.
    Link {
        /// Where it leads, as it stands there.
        to: Bytes,
    },
    /// A regular file.
    File(Content),
}

/// The content of a file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
    /// The restore point that has it.
    pub stored_in: String,
    /// Its inode: with `ctime` and the rest it tells a file that is the same from one that only looks alike.
    pub inode: u64,
    /// When its content or what is said of it last changed.
    pub ctime: Moment,
}

/// All of a tree, by path.
pub type Tree = BTreeMap<Bytes, Entry>;

/// Writes a list.
///
/// # Errors
/// When it cannot be written.
pub fn write(tree: &Tree, mut to: impl Write) -> std::io::Result<()> {
    for entry in tree.values() {
        serde_json::to_writer(&mut to, entry)?;
        to.write_all(b"\n")?;
    }
    Ok(())
}

/// Reads a list, and refuses one that would lead out of the tree.
///
/// # Errors
/// When it is damaged or leads out of the tree.
pub fn read(mut from: impl BufRead) -> Result<Tree, String> {
    let mut tree = Tree::new();
    let mut directories: HashSet<PathBuf> = HashSet::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = std::io::Read::take(&mut from, LONGEST_LINE).read_until(b'\n', &mut line);
        if read.map_err(|error| format!("the list of files: {error}"))? == 0 {
            return Ok(tree);
        }
        let entry: Entry = serde_json::from_slice(&line)
            .map_err(|error| format!("the list of files is damaged: {error}"))?;
        let root = entry.path.0.is_empty();
        if root != tree.is_empty() || (root && entry.what != What::Directory) {
            return Err("the list of files does not begin with its directory".to_owned());
        }
        if !root {
            safe(&entry.path.0)?;
            // Parents come before what is in them, because `a` sorts before `a/b`.
            let parent = entry.path.path().parent().unwrap_or(Path::new(""));
            if !directories.contains(parent) {
                return Err(format!(
                    "{}: it lies in nothing that is a directory",
                    entry.path.shown()
                ));
            }
        }
        if entry.what == What::Directory {
            directories.insert(entry.path.path().to_owned());
        }
        if let Some(twice) = tree.insert(entry.path.clone(), entry) {
            return Err(format!("{} stands twice in the list of files", twice.path.shown()));
        }
    }
}

/// Refuses a path that is not below the root, whatever else it is: nothing of `..`, nothing absolute, nothing empty.
///
/// # Errors
/// With what is wrong with it.
pub fn safe(path: &[u8]) -> Result<(), String> {
    let part = |part: &[u8]| {
        !part.is_empty() && part != b"." && part != b".." && part.len() <= LONGEST_NAME
    };
    if !path.contains(&0) && path.split(|&byte| byte == b'/').all(part) {
        return Ok(());
    }
    Err(format!(
        "{}: a path that leads out of the tree, or none at all",
        String::from_utf8_lossy(path)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &[u8], what: What) -> Entry {
        let path = Bytes(path.to_vec());
        Entry { path, mode: 0o755, uid: 0, gid: 0, mtime: Moment(-1, 5), what }
    }

    fn written(entries: &[Entry]) -> Vec<u8> {
        let mut text = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut text, entry).unwrap();
            text.push(b'\n');
        }
        text
    }

    #[test]
    fn names_of_any_bytes_are_read_as_they_were_written() {
        let link = What::Link { to: Bytes(b"../\xfe".to_vec()) };
        let tree: Tree = [
            entry(b"", What::Directory),
            entry(b"a\nb", What::Directory),
            entry(b"a\nb/-\xff", link.clone()),
            entry(b"\xff{\"hex\"", link),
        ]
        .into_iter()
        .map(|entry| (entry.path.clone(), entry))
        .collect();
        let mut text = Vec::new();
        write(&tree, &mut text).unwrap();
        assert_eq!(read(&text[..]).unwrap(), tree);
    }

    #[test]
    fn a_list_that_leads_out_of_the_tree_is_refused() {
        let root = || entry(b"", What::Directory);
        let link = What::Link { to: Bytes(b"/etc".to_vec()) };
        for path in
            [&b"../x"[..], b"/x", b"a/../../x", b"./x", b"a//x", b"a/", b"a\0", &[b'x'; 256]]
        {
            let text =
                written(&[root(), entry(b"a", What::Directory), entry(path, What::Directory)]);
            assert!(read(&text[..]).is_err(), "{}", String::from_utf8_lossy(path));
        }
        let through = written(&[root(), entry(b"l", link), entry(b"l/x", What::Directory)]);
        assert!(read(&through[..]).unwrap_err().contains("in nothing that is a directory"));
        let twice = written(&[root(), entry(b"a", What::Directory), entry(b"a", What::Directory)]);
        assert!(read(&twice[..]).is_err());
        assert!(read(&written(&[entry(b"a", What::Directory)])[..]).is_err());
    }
}
