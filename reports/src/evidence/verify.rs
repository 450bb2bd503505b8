//! Verifying a run directory, offline.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::path::Path;

use super::key::PublicKey;
use super::limits::read_plain;
use super::manifest::{Kind, digest_of, list};
use super::package::{Found, judge, read_history, state_of};
use super::{EVENTS, HEAD, MANIFEST, MANIFEST_SIG};
use crate::escape;

/// What is known of the signature.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SignatureState {
    /// Made by a key that the caller knows.
    Known {
        /// Its fingerprint.
        fingerprint: String,
    },
    /// Sound, but anybody could have made it: the key is none that the caller knows.
    Stranger {
        /// Its fingerprint.
        fingerprint: String,
    },
    /// There is one, and it does not belong to this manifest.
    Wrong,
    /// There is none.
    Absent,
}

impl SignatureState {
    /// The fingerprint of the key that made it; absent when there is no signature, or not over this.
    #[must_use]
    pub fn fingerprint(&self) -> Option<&str> {
        match self {
            Self::Known { fingerprint } | Self::Stranger { fingerprint } => Some(fingerprint),
            Self::Wrong | Self::Absent => None,
        }
    }
}

/// What a package is worth, best first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Standing {
    /// Whole, and signed by a known key.
    Proven,
    /// Whole, and signed by a key that nobody vouched for.
    SignedByStranger,
    /// The files agree with each other, and nothing says that they were not all replaced.
    Unsigned,
    /// Something was changed.
    Damaged,
}

/// What the verification found.
#[derive(Clone, Debug)]
pub struct VerifyReport {
    /// Id of the run, as `HEAD` says.
    pub run_id: Option<String>,
    /// Files that are as the manifest says.
    pub intact: Vec<String>,
    /// Files that are not.
    pub changed: Vec<String>,
    /// Files that the manifest names and that are not there.
    pub missing: Vec<String>,
    /// Files that the manifest does not name.
    pub extra: Vec<String>,
    /// Lines of the chain, when it is whole; else what is wrong with it.
    pub chain: Result<u64, String>,
    /// Bytes behind the last whole line: the run was cut off while it wrote. Sealed as such, it is no damage.
    pub torn_bytes: u64,
    /// Whether the chain ends as `HEAD` says.
    pub head_matches: bool,
    /// The signature.
    pub signature: SignatureState,
    /// Anything else that is wrong, such as an unreadable manifest.
    pub problems: Vec<String>,
}

impl VerifyReport {
    /// What it comes to.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let whole = self.changed.is_empty()
            && self.missing.is_empty()
            && self.extra.is_empty()
            && self.problems.is_empty()
            && self.chain.is_ok()
            && self.head_matches;
        match &self.signature {
            _ if !whole => Standing::Damaged,
            SignatureState::Wrong => Standing::Damaged,
            SignatureState::Absent => Standing::Unsigned,
            SignatureState::Stranger { .. } => Standing::SignedByStranger,
            SignatureState::Known { .. } => Standing::Proven,
        }
    }

    /// Whether the package is whole and signed by a known key.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.standing() == Standing::Proven
    }
}

/// Checks the run directory `dir` against its manifest, chain and signature. `known` are the keys that the caller
/// trusts, from anywhere but `dir` itself. Nothing that is found there is an error of this function: it is what the
/// report says.
#[must_use]
pub fn verify(dir: &Path, known: &[PublicKey]) -> VerifyReport {
    judge(look(dir, true), known)
}

/// Like [`verify()`], without following the chain from line to line, of which its report says nothing: whether the files are
/// those that were sealed. For reports that show many runs; the history is one of these files, so nothing of it can have
/// changed unseen.
#[must_use]
pub fn verify_seal(dir: &Path, known: &[PublicKey]) -> VerifyReport {
    judge(look(dir, false), known)
}

/// What the signature `text` of a file is worth that has this content.
#[must_use]
pub fn verify_file(content: &[u8], text: &[u8], known: &[PublicKey]) -> SignatureState {
    state_of(text, content, known)
}

/// Reads a run directory.
fn look(dir: &Path, follow_chain: bool) -> Found {
    let mut found = Found {
        manifest: read_plain(&dir.join(MANIFEST)).map_err(|error| error.to_string()),
        head: read_plain(&dir.join(HEAD)).ok().and_then(|text| String::from_utf8(text).ok()),
        ..Found::default()
    };
    let signature = dir.join(MANIFEST_SIG);
    if fs::symlink_metadata(&signature).is_ok() {
        found.signature = Some(read_plain(&signature).unwrap_or_default());
    }
    let present = list(dir).unwrap_or_else(|error| {
        found.problems.push(error.to_string());
        BTreeMap::default()
    });
    if !follow_chain {
        found.chain = None;
    }
    for (name, kind) in present {
        let digest = match kind {
            Kind::Foreign => None,
            Kind::File if follow_chain && name == EVENTS => {
                let (digest, chain) = match File::open(dir.join(&name)) {
                    Ok(file) => read_history(file),
                    Err(error) => {
                        let text = error.to_string();
                        (Err(error), Err(text))
                    }
                };
                found.chain = Some(chain);
                digest.ok()
            }
            Kind::File => digest_of(&dir.join(&name)).ok(),
        };
        found.files.insert(name, digest);
    }
    found
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let run = self.run_id.as_deref().unwrap_or("unknown run");
        let headline = match self.standing() {
            Standing::Proven => "intact, signed by a known key",
            Standing::SignedByStranger => "intact, signed by a key that is not known here",
            Standing::Unsigned => "consistent, but not signed",
            Standing::Damaged => "DAMAGED",
        };
        writeln!(f, "evidence of {}: {headline}", escape::terminal(run))?;
        writeln!(f, "  files      {} as the manifest says", self.intact.len())?;
        for (what, names) in
            [("changed", &self.changed), ("missing", &self.missing), ("extra", &self.extra)]
        {
            for name in names {
                writeln!(f, "  {what:<10} {}", escape::terminal(name))?;
            }
        }
        match &self.chain {
            Ok(lines) => writeln!(f, "  chain      {lines} events, each follows the one before")?,
            Err(problem) => writeln!(f, "  chain      BROKEN: {}", escape::terminal(problem))?,
        }
        if self.torn_bytes > 0 {
            writeln!(
                f,
                "  cut off    {} bytes of an unfinished last line: the run was killed while it wrote",
                self.torn_bytes
            )?;
        }
        let head = if self.head_matches { "the chain ends as HEAD says" } else { "DIFFERS" };
        writeln!(f, "  head       {head}")?;
        match &self.signature {
            SignatureState::Known { fingerprint } => {
                writeln!(f, "  signature  good, by {fingerprint}")?;
            }
            SignatureState::Stranger { fingerprint } => {
                writeln!(f, "  signature  good, by {fingerprint}, a key that is not known here")?;
            }
            SignatureState::Wrong => {
                writeln!(f, "  signature  WRONG: it does not belong to this manifest")?;
            }
            SignatureState::Absent => writeln!(f, "  signature  none")?,
        }
        for problem in &self.problems {
            writeln!(f, "  problem    {}", escape::terminal(problem))?;
        }
        f.write_str(self.meaning())
    }
}

impl VerifyReport {
    /// What the result proves and what it does not, for people.
    #[must_use]
    pub fn meaning(&self) -> &'static str {
        match self.standing() {
            Standing::Proven => {
                "Nothing was changed since the holder of this key signed it. A signature does not prove when that \
                 was, nor that the holder told the truth: to exclude a later rewrite by the holder, publish the \
                 signature or the digest of MANIFEST at the time.\n"
            }
            Standing::SignedByStranger => {
                "The files belong together, but anybody can make a key. Compare the fingerprint with one that you \
                 got by another way.\n"
            }
            Standing::Unsigned => {
                "A local chain proves tampering only after its head was signed or published: whoever can write to \
                 this directory could have rewritten all of it.\n"
            }
            Standing::Damaged => "Do not rely on this run directory: it is not what was sealed.\n",
        }
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
