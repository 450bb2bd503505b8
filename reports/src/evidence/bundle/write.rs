//! Writing a bundle.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha512};

use super::layout;
use super::readme::readme;
use super::{README, RUNS, SUMS, SUMS_SIG};
use crate::evidence::digest::{Digest, Digesting};
use crate::evidence::key::{PublicKey, Signer};
use crate::evidence::manifest::{Kind, Manifest, ManifestError, is_plain, list};
use crate::evidence::seal::allowed_signers;
use crate::evidence::{ALLOWED_SIGNERS, MANIFEST, MANIFEST_SIG, signature};

/// Blocks of tar.
const BLOCK: u64 = 512;

/// What goes into a bundle.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The directory that it unpacks to.
    pub name: String,
    /// What it is, in a line.
    pub title: String,
    /// Days since 1970 of the day as of which it is: the time of all files.
    pub as_of_days: u64,
    /// Files by name, relative to the directory.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The runs.
    pub runs: Vec<BundledRun>,
    /// Keys beside the signer's that the signer vouches for.
    pub vouched: Vec<PublicKey>,
}

/// A run that goes into a bundle.
#[derive(Clone, Debug)]
pub struct BundledRun {
    /// Its id.
    pub run_id: String,
    /// Where its files are.
    pub directory: PathBuf,
    /// What it was and came to, in a few words.
    pub about: String,
    /// What its evidence is worth, in a few words.
    pub worth: String,
    /// Whether it does not verify: told before anything else.
    pub broken: bool,
}

/// A bundle that was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bundled {
    /// Number of files.
    pub files: usize,
    /// Length in bytes.
    pub bytes: u64,
    /// Fingerprint of the key that signed.
    pub fingerprint: String,
}

/// A bundle could not be written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A run cannot be read.
    #[error(transparent)]
    Evidence(#[from] ManifestError),
    /// A file cannot be read.
    #[error("read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file was changed meanwhile.
    #[error("{} was changed while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A name cannot stand in an archive.
    #[error("the file {name} has a name that an archive cannot hold: {source}")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// The archive cannot be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// A file of the archive.
enum Member {
    Bytes(Vec<u8>),
    File { path: PathBuf, bytes: u64 },
}

/// Writes a bundle: the same contents and key give the same bytes.
///
/// # Errors
/// When a run cannot be read, changes meanwhile or has a file that is none, and when `out` cannot be written to.
pub fn write_bundle(
    out: impl Write,
    contents: &Contents,
    signer: &Signer,
) -> Result<Bundled, BundleError> {
    let mut members = BTreeMap::new();
    let mut sums = Manifest::default();
    for run in &contents.runs {
        add_run(run, &mut members, &mut sums)?;
    }
    let mut add = |name: &str, bytes: Vec<u8>| {
        sums.files.insert(name.to_owned(), Digest::of(&bytes));
        members.insert(name.to_owned(), Member::Bytes(bytes));
    };
    for (name, bytes) in &contents.files {
        add(name, bytes.clone());
    }
    let key = signer.public();
    add(ALLOWED_SIGNERS, allowed_signers([&key].into_iter().chain(&contents.vouched)).into());
    add(README, readme(contents).into());
    let list = sums.text();
    let signature = signature::sign(signer, list.as_bytes());
    members.insert(SUMS.to_owned(), Member::Bytes(list.into()));
    members.insert(SUMS_SIG.to_owned(), Member::Bytes(signature.into()));
    let bytes = pack(out, contents, &members, &sums, signer)?;
    Ok(Bundled { files: members.len(), bytes, fingerprint: key.fingerprint() })
}

/// Looks at the files of a run. Of a broken one what is no plain file is left out; its README says that it is broken.
fn add_run(
    run: &BundledRun,
    members: &mut BTreeMap<String, Member>,
    sums: &mut Manifest,
) -> Result<(), BundleError> {
    if run.run_id.contains('/') || !is_plain(&run.run_id) {
        let source = io::Error::other("no run has such an id");
        return Err(BundleError::Name { name: format!("{:?}", run.run_id), source });
    }
    let mut names = list(&run.directory)?;
    for name in [MANIFEST, MANIFEST_SIG] {
        let kind = fs::symlink_metadata(run.directory.join(name)).map(|facts| facts.is_file());
        if let Ok(plain) = kind {
            names.insert(name.to_owned(), if plain { Kind::File } else { Kind::Foreign });
        }
    }
    for (name, kind) in names {
        let path = run.directory.join(&name);
        if kind == Kind::Foreign {
            if run.broken {
                continue;
            }
            let what = "not a plain file, or a file with a strange name";
            return Err(ManifestError::Foreign { path, what }.into());
        }
        let read = |source| BundleError::Read { path: path.clone(), source };
        let mut file = Digesting::new(File::open(&path).map_err(read)?);
        let bytes = io::copy(&mut file, &mut io::sink()).map_err(read)?;
        let name = format!("{RUNS}/{}/{name}", run.run_id);
        sums.files.insert(name.clone(), file.digest());
        members.insert(name, Member::File { path, bytes });
    }
    Ok(())
}

/// Writes the archive and the signature behind it; returns its length.
fn pack(
    out: impl Write,
    contents: &Contents,
    members: &BTreeMap<String, Member>,
    sums: &Manifest,
    signer: &Signer,
) -> Result<u64, BundleError> {
    let mtime = contents.as_of_days * 24 * 60 * 60;
    let out = Counting { inner: out, hasher: Sha512::new(), bytes: 0 };
    let mut out = GzBuilder::new().operating_system(0xff).write(out, Compression::default());
    for (name, member) in members {
        let bytes = match member {
            Member::Bytes(bytes) => bytes.len() as u64,
            Member::File { bytes, .. } => *bytes,
        };
        let full = format!("{}/{name}", contents.name);
        let header = layout::header(&full, bytes, mtime)
            .map_err(|source| BundleError::Name { name: full, source })?;
        out.write_all(header.as_bytes()).map_err(BundleError::Write)?;
        match member {
            Member::Bytes(content) => out.write_all(content).map_err(BundleError::Write)?,
            Member::File { path, .. } => copy(path, bytes, sums.files.get(name), &mut out)?,
        }
        let padding = bytes.next_multiple_of(BLOCK) - bytes;
        zeros(&mut out, padding)?;
    }
    zeros(&mut out, 2 * BLOCK)?;
    let mut out = out.finish().map_err(BundleError::Write)?;
    let signature = signature::sign_digest(signer, &out.hasher.clone().finalize());
    out.write_all(&layout::trailer(&signature)).map_err(BundleError::Write)?;
    out.flush().map_err(BundleError::Write)?;
    Ok(out.bytes)
}

/// Copies a file, which must still be what it was when the list was made.
fn copy(
    path: &Path,
    bytes: u64,
    expected: Option<&Digest>,
    out: &mut impl Write,
) -> Result<(), BundleError> {
    let read = |source| BundleError::Read { path: path.to_owned(), source };
    let mut file = Digesting::new(File::open(path).map_err(read)?.take(bytes));
    let mut buffer = vec![0; 64 * 1024];
    let mut copied = 0;
    loop {
        let got = file.read(&mut buffer).map_err(read)?;
        if got == 0 {
            break;
        }
        copied += got as u64;
        out.write_all(&buffer[..got]).map_err(BundleError::Write)?;
    }
    if copied != bytes || Some(&file.digest()) != expected {
        return Err(BundleError::Changed { path: path.to_owned() });
    }
    Ok(())
}

fn zeros(out: &mut impl Write, count: u64) -> Result<(), BundleError> {
    io::copy(&mut io::repeat(0).take(count), out).map(drop).map_err(BundleError::Write)
}

/// Writes, counts and digests what it has written.
struct Counting<W> {
    inner: W,
    hasher: Sha512,
    bytes: u64,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
