//! The evidence package: what makes a run directory worth something to somebody who was not there.
//!
//! A run directory holds `events.jsonl` (hash-chained, [`chain`]), `HEAD` (run, tool and hash of the last line),
//! the record and its reports, `MANIFEST` (a digest of every file, [`manifest`]), `MANIFEST.sig` (an Ed25519
//! signature in OpenSSH's format, [`signature`]) and `allowed_signers` (the public key). [`verify()`] checks all of
//! it offline, and so do `sha256sum -c MANIFEST` and `ssh-keygen -Y verify`, without drdrill. A report that lies elsewhere
//! has a signature beside it ([`signature_path`]), and [`bundle`] packs the runs of a quarter into one archive.

pub mod bundle;
pub mod chain;
mod digest;
pub mod key;
mod limits;
pub mod manifest;
mod package;
pub mod seal;
pub mod signature;
mod signers;
pub mod verify;
mod wire;

use std::path::{Path, PathBuf};

pub use chain::{Chain, ChainEnd, ChainError, ChainWriter, Head, read_chain, scan_chain};
pub use digest::Digest;
pub use key::{KeyError, PublicKey, Signer};
pub use manifest::{Manifest, ManifestError};
pub use seal::{About, SealError, Sealed, seal};
pub use verify::{SignatureState, Standing, VerifyReport, verify, verify_file, verify_seal};

/// The history, one event a line.
pub const EVENTS: &str = "events.jsonl";
/// Run, tool and the head of the chain.
pub const HEAD: &str = "HEAD";
/// Digests of all other files.
pub const MANIFEST: &str = "MANIFEST";
/// The signature over [`MANIFEST`].
pub const MANIFEST_SIG: &str = "MANIFEST.sig";
/// The public key that signed, in the format that `ssh-keygen -Y verify` reads.
pub const ALLOWED_SIGNERS: &str = "allowed_signers";
/// What signatures are for: a signature made for another purpose is refused.
pub const NAMESPACE: &str = "drdrill.report";
/// The name under which `allowed_signers` lists the key.
pub const PRINCIPAL: &str = "drdrill";

/// The commands that check a run directory without drdrill, to be run inside it.
pub const VERIFY_BY_HAND: [&str; 2] = [
    "sha256sum --check --strict --quiet MANIFEST",
    "ssh-keygen -Y verify -f allowed_signers -I drdrill -n drdrill.report -s MANIFEST.sig < MANIFEST",
];

/// The command that checks a report that was written to a file, to be run beside it, with the `allowed_signers` of a run.
pub const VERIFY_REPORT_BY_HAND: &str =
    "ssh-keygen -Y verify -f allowed_signers -I drdrill -n drdrill.report -s REPORT.sig < REPORT";

/// Where the signature of a file is.
#[must_use]
pub fn signature_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}
