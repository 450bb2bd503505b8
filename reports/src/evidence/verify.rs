//! Verifying a run directory, offline.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use super::chain::{Head, scan_chain};
use super::key::PublicKey;
use super::manifest::{Kind, Manifest, digest_of, list};
use super::seal::{HeadFile, parse_head};
use super::{EVENTS, HEAD, MANIFEST, MANIFEST_SIG, signature};
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

/// What a package is worth, best first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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
    let mut report = VerifyReport {
        run_id: None,
        intact: Vec::new(),
        changed: Vec::new(),
        missing: Vec::new(),
        extra: Vec::new(),
        chain: Err("not read".to_owned()),
        torn_bytes: 0,
        head_matches: false,
        signature: SignatureState::Absent,
        problems: Vec::new(),
    };
    check_manifest(dir, known, &mut report);
    check_chain(dir, &mut report);
    report
}

fn check_manifest(dir: &Path, known: &[PublicKey], report: &mut VerifyReport) {
    let text = fs::read(dir.join(MANIFEST)).unwrap_or_else(|error| {
        report.problems.push(format!("read {MANIFEST}: {error}"));
        Vec::new()
    });
    report.signature = signature_state(dir, &text, known);
    let manifest = String::from_utf8(text)
        .map_err(|error| error.to_string())
        .and_then(|text| Manifest::parse(&text).map_err(|error| error.to_string()))
        .unwrap_or_else(|problem| {
            report.problems.push(problem);
            Manifest::default()
        });
    let present = list(dir).unwrap_or_else(|error| {
        report.problems.push(error.to_string());
        BTreeMap::default()
    });
    for (name, expected) in &manifest.files {
        let outcome = match present.get(name) {
            None => &mut report.missing,
            Some(Kind::Foreign) => &mut report.changed,
            Some(Kind::File) => match digest_of(&dir.join(name)) {
                Ok(digest) if digest == *expected => &mut report.intact,
                _ => &mut report.changed,
            },
        };
        outcome.push(name.clone());
    }
    report.extra = present.into_keys().filter(|name| !manifest.files.contains_key(name)).collect();
}

fn signature_state(dir: &Path, manifest: &[u8], known: &[PublicKey]) -> SignatureState {
    let path = dir.join(MANIFEST_SIG);
    let Ok(bytes) = fs::read(&path) else {
        // A signature that is there and cannot be read is not the same as none.
        let there = fs::symlink_metadata(&path).is_ok();
        return if there { SignatureState::Wrong } else { SignatureState::Absent };
    };
    let key = str::from_utf8(&bytes).ok().and_then(|text| signature::signer_of(text, manifest));
    match key {
        None => SignatureState::Wrong,
        Some(key) if known.contains(&key) => {
            SignatureState::Known { fingerprint: key.fingerprint() }
        }
        Some(key) => SignatureState::Stranger { fingerprint: key.fingerprint() },
    }
}

fn check_chain(dir: &Path, report: &mut VerifyReport) {
    let head = fs::read_to_string(dir.join(HEAD)).ok().and_then(|text| parse_head(&text));
    if head.is_none() {
        report.problems.push(format!("{HEAD} is absent or malformed"));
    }
    let chain = File::open(dir.join(EVENTS))
        .map_err(|error| error.to_string())
        .and_then(|file| scan_chain(BufReader::new(file), drop).map_err(|error| error.to_string()));
    match chain {
        Ok(chain) => {
            report.chain = Ok(chain.head.lines);
            report.torn_bytes = chain.torn_bytes;
            report.head_matches = head.as_ref().is_some_and(|file| ends_at(file, chain.head));
        }
        Err(problem) => report.chain = Err(problem),
    }
    report.run_id = head.map(|file| file.run_id);
}

fn ends_at(file: &HeadFile, head: Head) -> bool {
    file.head == head
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
