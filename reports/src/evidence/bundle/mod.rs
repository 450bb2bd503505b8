//! A bundle: the evidence of a quarter in one archive, for somebody who has nothing else.
//!
//! It is a `.tar.gz` that tar, gzip, sha256sum and ssh-keygen read: all files below one directory, in the order of their
//! names, without anything that depends on who packed them when. `SHA256SUMS` lists all others, and `SHA256SUMS.sig` signs
//! it. Behind the compressed archive stands an empty member of gzip, which unpackers read as nothing, with a signature over
//! all bytes before it ([`layout`]): what compressors leave open (times, padding, how a block is coded) is signed too, so
//! that no bit can change and nothing can be cut off unnoticed.

mod inside;
mod layout;
mod read;
mod readme;
mod report;
mod write;

#[cfg(test)]
mod tests;

pub use read::verify_bundle;
pub use report::{BundleReport, RunInside};
pub use write::{BundleError, Bundled, BundledRun, Contents, write_bundle};

/// The list of digests of all files of a bundle.
pub const SUMS: &str = "SHA256SUMS";
/// The signature over [`SUMS`].
pub const SUMS_SIG: &str = "SHA256SUMS.sig";
/// How to verify it, and what is in it.
pub const README: &str = "README.txt";
/// Where the runs are.
pub const RUNS: &str = "runs";

/// The commands that check an unpacked bundle without drdrill, to be run inside its directory: every file is as the list
/// says, the list is signed, and nothing else is there.
pub const VERIFY_BUNDLE_BY_HAND: [&str; 3] = [
    "sha256sum --check --strict --quiet SHA256SUMS",
    "ssh-keygen -Y verify -f allowed_signers -I drdrill -n drdrill.report -s SHA256SUMS.sig < SHA256SUMS",
    "test \"$(find . ! -type d | wc -l)\" -eq \"$(($(wc -l < SHA256SUMS) + 2))\"",
];

/// The command that checks each run of an unpacked bundle by itself, to be run inside its directory. It believes the keys that
/// the bundle's signer vouches for: a run that names its own keys would vouch for itself.
pub const VERIFY_RUNS_BY_HAND: &str = "(bad=0; for run in runs/*/; do (cd \"$run\" && \
     sha256sum --check --strict --quiet MANIFEST && \
     ssh-keygen -Y verify -f ../../allowed_signers -I drdrill -n drdrill.report -s MANIFEST.sig < MANIFEST) || \
     { echo \"$run DOES NOT VERIFY\"; bad=1; }; done; exit $bad)";
