//! Keys: one per state directory, made on first use, in the formats that OpenSSH reads and writes.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use chrono::{DateTime, Utc};
use ed25519_dalek::Signer as _;
use sha2::{Digest as _, Sha256};

use super::signers;
use super::wire::{In, Out, armour, unarmour};

pub(super) const ALGORITHM: &str = "ssh-ed25519";
const PRIVATE_LABEL: &str = "OPENSSH PRIVATE KEY";
const PRIVATE_MAGIC: &[u8] = b"openssh-key-v1\0";
const COMMENT: &str = "drdrill evidence";

/// A key could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file could not be read or written.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it did not work.
        source: io::Error,
    },
    /// The private key can be read by others.
    #[error("use {}: others may read it (mode {mode:03o}); run chmod 600 on it", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file holds no key that can be used.
    #[error("use {}: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
}

/// The public half of a key.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct PublicKey(pub(super) ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// The key in SSH's wire format.
    pub(super) fn blob(&self) -> Vec<u8> {
        Out::default().string(ALGORITHM.as_bytes()).string(self.0.as_bytes()).done()
    }

    pub(super) fn from_blob(blob: &[u8]) -> Option<Self> {
        let mut input = In(blob);
        if input.string()? != ALGORITHM.as_bytes() {
            return None;
        }
        let bytes: &[u8; 32] = input.string()?.try_into().ok()?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).ok()?;
        input.is_empty().then_some(Self(key))
    }

    /// The fingerprint as `ssh-keygen -l` shows it: `SHA256:…`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.blob());
        format!("SHA256:{}", STANDARD_NO_PAD.encode(digest))
    }

    /// The key as it stands in a `.pub` file, without comment.
    #[must_use]
    pub fn openssh(&self) -> String {
        format!("{ALGORITHM} {}", STANDARD.encode(self.blob()))
    }

    /// Every Ed25519 key in the text of a `.pub` or an `allowed_signers` file that may sign evidence now: none that is
    /// commented out, for another purpose, or not valid today.
    #[must_use]
    pub fn all_in(text: &str) -> Vec<Self> {
        Self::all_at(text, Utc::now())
    }

    fn all_at(text: &str, now: DateTime<Utc>) -> Vec<Self> {
        text.lines().filter_map(|line| Self::in_line(line, now)).collect()
    }

    fn in_line(line: &str, now: DateTime<Utc>) -> Option<Self> {
        let blob = signers::blob(line, now)?;
        Self::from_blob(&STANDARD.decode(blob).ok()?)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

/// The private half. No `Debug`, no `Serialize`, on purpose; the bytes are wiped when it is dropped.
struct Secret(ed25519_dalek::SigningKey);

/// What signs manifests. It cannot be printed; its [`Signer::public`] half can.
pub struct Signer {
    secret: Secret,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("public", &self.public()).finish()
    }
}

impl Signer {
    /// A new key that is on no disk.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_seed(rand::random())
    }

    /// The key that 32 secret bytes give.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self { secret: Secret(ed25519_dalek::SigningKey::from_bytes(&seed)) }
    }

    /// Reads the private key at `path`; where there is none, makes one with mode 0600 and its public half at
    /// `path.pub`. Two processes that do so at once end up with the same key.
    ///
    /// # Errors
    /// When the file cannot be read or written, is readable by others, encrypted, or no Ed25519 key.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Self::generate().store(path)?;
                Self::load(path)
            }
            loaded => loaded,
        }
    }

    /// Reads the private key at `path`.
    ///
    /// # Errors
    /// As [`Signer::load_or_create`], and when there is no file.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let io_error =
            |source| KeyError::Io { doing: "read the signing key", path: path.to_owned(), source };
        let mode = fs::metadata(path).map_err(io_error)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = path.to_owned();
            return Err(KeyError::Open { path, mode });
        }
        let text = fs::read_to_string(path).map_err(io_error)?;
        parse_private(&text).map_err(|reason| KeyError::Unusable { path: path.to_owned(), reason })
    }

    /// Writes both halves, unless `path` exists by now: then that one stays.
    fn store(&self, path: &Path) -> Result<(), KeyError> {
        let half = path.with_extension(format!("new-{:016x}", rand::random::<u64>()));
        let io_error =
            |source| KeyError::Io { doing: "write the signing key", path: path.to_owned(), source };
        write_private(&half, &self.private_text()).map_err(io_error)?;
        let linked = fs::hard_link(&half, path);
        fs::remove_file(&half).map_err(io_error)?;
        match linked {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            Err(error) => return Err(io_error(error)),
        }
        let public = public_path(path);
        let line = format!("{} {COMMENT}\n", self.public().openssh());
        fs::write(&public, line).map_err(|source| KeyError::Io {
            doing: "write the public key",
            path: public,
            source,
        })
    }

    /// The key in OpenSSH's private format (`PROTOCOL.key`), not encrypted.
    fn private_text(&self) -> String {
        let check: u32 = rand::random();
        let blob = self.public().blob();
        let mut private = Out::default()
            .u32(check)
            .u32(check)
            .raw(&blob)
            .string(&self.secret.0.to_keypair_bytes())
            .string(COMMENT.as_bytes());
        let mut padding = 0;
        while !private.len().is_multiple_of(8) {
            padding += 1;
            private = private.raw(&[padding]);
        }
        let file = Out::default()
            .raw(PRIVATE_MAGIC)
            .string(b"none")
            .string(b"none")
            .string(b"")
            .u32(1)
            .string(&blob)
            .string(&private.done());
        armour(PRIVATE_LABEL, &file.done())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.secret.0.verifying_key())
    }

    pub(super) fn sign_bytes(&self, bytes: &[u8]) -> [u8; 64] {
        self.secret.0.sign(bytes).to_bytes()
    }
}

/// Where the public half of the key at `path` is kept.
#[must_use]
pub fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn parse_private(text: &str) -> Result<Signer, &'static str> {
    let file = unarmour(PRIVATE_LABEL, text).ok_or(
        "it is not a private key in OpenSSH's format (make one with ssh-keygen -t ed25519)",
    )?;
    let mut input = In(&file);
    if input.raw(PRIVATE_MAGIC.len()) != Some(PRIVATE_MAGIC) {
        return Err("it is not a private key in OpenSSH's format");
    }
    if input.string() != Some(b"none") {
        return Err("it is protected by a passphrase, which nobody can type during a drill");
    }
    seed_of(input).map(Signer::from_seed).ok_or("it is damaged, or not an Ed25519 key")
}

/// The seed, from behind the name of the cipher. `None` when anything is not as it should be.
fn seed_of(mut input: In<'_>) -> Option<[u8; 32]> {
    input.string()?;
    input.string()?;
    if input.u32()? != 1 {
        return None;
    }
    let public = PublicKey::from_blob(input.string()?)?;
    let mut private = In(input.string()?);
    if private.u32()? != private.u32()? || private.string()? != ALGORITHM.as_bytes() {
        return None;
    }
    private.string()?;
    let pair = private.string()?;
    let seed: [u8; 32] = pair.get(..32)?.try_into().ok()?;
    (Signer::from_seed(seed).public() == public && pair.len() == 64).then_some(seed)
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
