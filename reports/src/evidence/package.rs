//! A sealed package as it was found, wherever it lies, and what that is worth.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};

use super::HEAD;
use super::chain::{ChainEnd, scan_chain};
use super::digest::{Digest, Digesting};
use super::key::PublicKey;
use super::manifest::Manifest;
use super::seal::parse_head;
use super::signature;
use super::verify::{SignatureState, VerifyReport};

/// What lies in a run directory, or in its place in a bundle.
#[derive(Debug)]
pub(super) struct Found {
    /// Every file but manifest and signature, with its digest; `None` when it is no plain file or cannot be read.
    pub(super) files: BTreeMap<String, Option<Digest>>,
    /// The manifest.
    pub(super) manifest: Result<Vec<u8>, String>,
    /// The signature; empty when it is there and cannot be read, which is not the same as none.
    pub(super) signature: Option<Vec<u8>>,
    /// The text of `HEAD`.
    pub(super) head: Option<String>,
    /// Where the chain ends, or what is wrong with it; `None` when nobody looked.
    pub(super) chain: Option<Result<ChainEnd, String>>,
    /// What else is wrong.
    pub(super) problems: Vec<String>,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            manifest: Err("it is not there".to_owned()),
            signature: None,
            head: None,
            chain: Some(Err("it is not there".to_owned())),
            problems: Vec::new(),
        }
    }
}

/// The digest of a history and the end of its chain, read once.
pub(super) fn read_history(reader: impl Read) -> (io::Result<Digest>, Result<ChainEnd, String>) {
    let mut reader = Digesting::new(reader);
    let chain = scan_chain(BufReader::with_capacity(64 * 1024, &mut reader), drop);
    // What stands behind a line that is damaged belongs to the file as well.
    let rest = io::copy(&mut reader, &mut io::sink());
    (rest.map(|_| reader.digest()), chain.map_err(|error| error.to_string()))
}

/// What a package is worth to somebody who trusts the keys `known`.
pub(super) fn judge(found: Found, known: &[PublicKey]) -> VerifyReport {
    let mut report = VerifyReport {
        run_id: None,
        intact: Vec::new(),
        changed: Vec::new(),
        missing: Vec::new(),
        extra: Vec::new(),
        chain: Ok(0),
        torn_bytes: 0,
        head_matches: true,
        signature: SignatureState::Absent,
        problems: found.problems,
    };
    let text = found.manifest.unwrap_or_else(|error| {
        report.problems.push(format!("read {}: {error}", super::MANIFEST));
        Vec::new()
    });
    if let Some(signature) = found.signature {
        report.signature = state_of(&signature, &text, known);
    }
    let manifest = String::from_utf8(text)
        .map_err(|error| error.to_string())
        .and_then(|text| Manifest::parse(&text).map_err(|error| error.to_string()))
        .unwrap_or_else(|problem| {
            report.problems.push(problem);
            Manifest::default()
        });
    for (name, expected) in &manifest.files {
        let outcome = match found.files.get(name) {
            None => &mut report.missing,
            Some(Some(digest)) if digest == expected => &mut report.intact,
            Some(_) => &mut report.changed,
        };
        outcome.push(name.clone());
    }
    report.extra =
        found.files.into_keys().filter(|name| !manifest.files.contains_key(name)).collect();
    let head = found.head.and_then(|text| parse_head(&text));
    if head.is_none() {
        report.problems.push(format!("{HEAD} is absent or malformed"));
    }
    match found.chain {
        Some(Ok(chain)) => {
            report.chain = Ok(chain.head.lines);
            report.torn_bytes = chain.torn_bytes;
            report.head_matches = head.as_ref().is_some_and(|file| file.head == chain.head);
        }
        Some(Err(problem)) => {
            report.chain = Err(problem);
            report.head_matches = false;
        }
        None => {}
    }
    report.run_id = head.map(|file| file.run_id);
    report
}

/// What a signature over `message` is worth.
pub(super) fn state_of(signature: &[u8], message: &[u8], known: &[PublicKey]) -> SignatureState {
    let text = str::from_utf8(signature).ok();
    of_key(text.and_then(|text| signature::signer_of(text, message)), known)
}

/// What a signature of this key is worth; `None` when no key made it.
pub(super) fn of_key(key: Option<PublicKey>, known: &[PublicKey]) -> SignatureState {
    match key {
        None => SignatureState::Wrong,
        Some(key) if known.contains(&key) => {
            SignatureState::Known { fingerprint: key.fingerprint() }
        }
        Some(key) => SignatureState::Stranger { fingerprint: key.fingerprint() },
    }
}
