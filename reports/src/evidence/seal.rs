//! Sealing a run directory: head, manifest, signature.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;

use drdrill_core::record::Tool;

use super::chain::Head;
use super::digest::Digest;
use super::key::{PublicKey, Signer};
use super::manifest::{Manifest, ManifestError};
use super::{ALLOWED_SIGNERS, HEAD, MANIFEST, MANIFEST_SIG, NAMESPACE, PRINCIPAL, signature};

/// What a package is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Id of the run.
    pub run_id: &'a str,
    /// The program that ran it.
    pub tool: &'a Tool,
    /// The end of its chain of events.
    pub head: Head,
}

/// A sealed directory.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Digest of `MANIFEST`: publish this, or the signature, where nobody can take it back.
    pub manifest: Digest,
    /// Fingerprint of the key that signed.
    pub fingerprint: String,
    /// Number of files covered.
    pub files: usize,
}

/// A directory could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A file could not be written.
    #[error("write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The manifest could not be made.
    #[error("list the evidence")]
    Manifest(#[from] ManifestError),
}

/// Writes `HEAD`, `allowed_signers`, `MANIFEST` and `MANIFEST.sig` into `dir`. The last step of a run: whatever is
/// written later shows as changed or extra. Sealing again, after a report was added, is fine.
///
/// # Errors
/// When a file cannot be read or written.
pub fn seal(dir: &Path, about: &About<'_>, signer: &Signer) -> Result<Sealed, SealError> {
    write(dir, HEAD, &head_text(about))?;
    let key = signer.public();
    write(dir, ALLOWED_SIGNERS, &allowed_signers([&key]))?;
    let manifest = Manifest::of_directory(dir)?;
    let text = manifest.text();
    write(dir, MANIFEST, &text)?;
    write(dir, MANIFEST_SIG, &signature::sign(signer, text.as_bytes()))?;
    make_durable(dir).map_err(|source| SealError::Write { path: dir.to_owned(), source })?;
    Ok(Sealed {
        manifest: Digest::of(text.as_bytes()),
        fingerprint: key.fingerprint(),
        files: manifest.files.len(),
    })
}

/// The file `allowed_signers`, as `ssh-keygen -Y verify` reads it.
pub(super) fn allowed_signers<'a>(keys: impl IntoIterator<Item = &'a PublicKey>) -> String {
    let line =
        |key: &PublicKey| format!("{PRINCIPAL} namespaces=\"{NAMESPACE}\" {}\n", key.openssh());
    keys.into_iter().map(line).collect()
}

/// The file `HEAD`: a word and its value a line.
fn head_text(about: &About<'_>) -> String {
    let word = |text: &str| -> String {
        text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
    };
    format!(
        "run {}\ntool drdrill {}\ncommit {}\nevents {}\nhead {}\n",
        word(about.run_id),
        word(&about.tool.version),
        word(about.tool.commit.as_deref().unwrap_or("unknown")),
        about.head.lines,
        about.head.digest,
    )
}

/// What the file `HEAD` says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct HeadFile {
    pub(super) run_id: String,
    pub(super) head: Head,
}

/// Reads the file `HEAD`.
pub(super) fn parse_head(text: &str) -> Option<HeadFile> {
    let value = |name: &str| {
        let mut values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        values.next().filter(|_| values.next().is_none())
    };
    Some(HeadFile {
        run_id: value("run")?.to_owned(),
        head: Head {
            lines: value("events")?.parse().ok()?,
            digest: Digest::parse(value("head")?)?,
        },
    })
}

/// Threads that wait for the disk: those that wait together are served by one flush, and a thread costs a tenth of one.
const WAITERS: usize = 3;

/// Makes the directory and all files in it durable. The disk is given all of them before the first is waited for
/// (`POSIX_FADV_DONTNEED` begins to write what is dirty).
fn make_durable(dir: &Path) -> io::Result<()> {
    let mut files = vec![File::open(dir)?];
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let file = File::open(entry.path())?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
            files.push(file);
        }
    }
    let wait = |share: &[File]| share.iter().try_for_each(File::sync_all);
    let mut shares = files.chunks(files.len().div_ceil(WAITERS));
    let own = shares.next().unwrap_or_default();
    thread::scope(|scope| {
        let others: Vec<_> = shares.map(|share| scope.spawn(move || wait(share))).collect();
        wait(own)?;
        others.into_iter().try_for_each(|other| {
            other.join().unwrap_or_else(|_| Err(io::Error::other("a thread of ours failed")))
        })
    })
}

/// Writes through a temporary name, so that a crash leaves the old file or the new one.
fn write(dir: &Path, name: &str, text: &str) -> Result<(), SealError> {
    let path = dir.join(name);
    let half = dir.join(format!(".{name}.new"));
    let attempt = || {
        let mut file = File::create(&half)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&half, &path)
    };
    attempt().map_err(|source| SealError::Write { path: path.clone(), source })
}
