//! `MANIFEST`: a digest of every file of a run directory, in the format that `sha256sum -c` reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::digest::Digest;
use super::{MANIFEST, MANIFEST_SIG};

/// The digests of the files of a directory, by their names relative to it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Manifest {
    /// Name and digest.
    pub files: BTreeMap<String, Digest>,
}

/// A manifest could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The directory or a file in it could not be read.
    #[error("read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in the directory has no place in a run directory.
    #[error("{} is {what}, which has no place in a run directory", path.display())]
    Foreign {
        /// Where it is.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A line of the text is none of a manifest.
    #[error(
        "line {line} of MANIFEST is not a digest, two blanks and the name of a file in this directory"
    )]
    Malformed {
        /// The line, from 1.
        line: usize,
    },
}

impl Manifest {
    /// Digests every file in `dir` and below, except the manifest and its signature.
    ///
    /// # Errors
    /// When a file cannot be read, or is a symbolic link, a device or a file with a strange name.
    pub fn of_directory(dir: &Path) -> Result<Self, ManifestError> {
        let mut files = BTreeMap::new();
        for (name, kind) in list(dir)? {
            let path = dir.join(&name);
            let Kind::File = kind else {
                let what = "not a plain file, or a file with a strange name";
                return Err(ManifestError::Foreign { path, what });
            };
            let digest = digest_of(&path)?;
            files.insert(name, digest);
        }
        Ok(Self { files })
    }

    /// The text of the file, `sha256sum`'s format, sorted by name.
    #[must_use]
    pub fn text(&self) -> String {
        self.files.iter().fold(String::new(), |mut text, (name, digest)| {
            let _infallible = writeln!(text, "{digest}  {name}");
            text
        })
    }

    /// Reads the text of a manifest. Names that lead out of the directory are refused.
    ///
    /// # Errors
    /// When a line is malformed or a name comes twice.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let mut files = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let entry = line.split_once("  ").and_then(|(digest, name)| {
                let digest = Digest::parse(digest)?;
                is_plain(name).then_some((name.to_owned(), digest))
            });
            let malformed = ManifestError::Malformed { line: number + 1 };
            let Some((name, digest)) = entry else {
                return Err(malformed);
            };
            if files.insert(name, digest).is_some() {
                return Err(malformed);
            }
        }
        Ok(Self { files })
    }
}

/// Where an environment works while it is up. What could not be taken down is there still, goes on changing, and is removed by
/// `recover`: it is no evidence.
const WORKING: &str = "lab";

/// What a directory entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A plain file with a plain name.
    File,
    /// A symbolic link, a device, a socket, or a file whose name cannot stand in a manifest.
    Foreign,
}

/// Everything in `dir` and below but directories, the manifest and its signature, by relative name.
pub(super) fn list(dir: &Path) -> Result<BTreeMap<String, Kind>, ManifestError> {
    let mut found = BTreeMap::new();
    let mut open = vec![(dir.to_owned(), String::new())];
    while let Some((path, prefix)) = open.pop() {
        let read = |source| ManifestError::Read { path: path.clone(), source };
        for entry in fs::read_dir(&path).map_err(read)? {
            let entry = entry.map_err(read)?;
            let kind = entry.file_type().map_err(read)?;
            let own_name = entry.file_name();
            let name = format!("{prefix}{}", own_name.to_string_lossy());
            if kind.is_dir() && name == WORKING {
                continue;
            }
            if kind.is_dir() {
                open.push((entry.path(), format!("{name}/")));
            } else if name != MANIFEST && name != MANIFEST_SIG {
                let plain = kind.is_file() && own_name.to_str().is_some() && is_plain(&name);
                found.insert(name, if plain { Kind::File } else { Kind::Foreign });
            }
        }
    }
    Ok(found)
}

/// Digest of one file, which must not be a symbolic link.
pub(super) fn digest_of(path: &Path) -> Result<Digest, ManifestError> {
    let read = |source| ManifestError::Read { path: path.to_owned(), source };
    if !fs::symlink_metadata(path).map_err(read)?.is_file() {
        let what = "not a plain file";
        let path = path.to_owned();
        return Err(ManifestError::Foreign { path, what });
    }
    Digest::of_reader(File::open(path).map_err(read)?).map_err(read)
}

/// Whether a name stays inside the directory and needs no quoting in `sha256sum`'s format.
pub(super) fn is_plain(name: &str) -> bool {
    let quoted = |c: char| c.is_control() || c == '\\';
    let leads_out = |part: &str| part.is_empty() || part == "." || part == "..";
    !name.contains(quoted) && !name.split('/').any(leads_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_comes_back_and_names_stay_inside() {
        let mut manifest = Manifest::default();
        manifest.files.insert("a b.json".to_owned(), Digest::of(b"1"));
        manifest.files.insert("sub/x".to_owned(), Digest::of(b"2"));
        assert_eq!(Manifest::parse(&manifest.text()).unwrap(), manifest);
        let digest = Digest::ZERO;
        for name in ["../x", "/etc/passwd", "a//b", "a/./b", "", "a\\b"] {
            assert!(Manifest::parse(&format!("{digest}  {name}\n")).is_err(), "{name}");
        }
        assert!(Manifest::parse(&format!("{digest}  x\n{digest}  x\n")).is_err());
        assert!(Manifest::parse("# a comment\n").is_err());
    }
}
