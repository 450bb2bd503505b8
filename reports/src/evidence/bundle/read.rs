//! Verifying a bundle: its bytes first, then what is in it.

use std::io::{self, Read, Seek, SeekFrom};

use sha2::{Digest as _, Sha512};

use super::inside::inside;
use super::layout::{TRAILER_BYTES, signature_in};
use super::report::BundleReport;
use crate::evidence::key::PublicKey;
use crate::evidence::package::of_key;
use crate::evidence::signature;

/// Checks a bundle: every byte of it, and each run in it. `known` are the keys that the caller trusts, from anywhere but the
/// bundle itself. Nothing is unpacked to disk, and nothing that nobody signed is unpacked at all.
#[must_use]
pub fn verify_bundle(mut file: impl Read + Seek, known: &[PublicKey]) -> BundleReport {
    let mut report = BundleReport::default();
    let opened = open(&mut file).unwrap_or_else(|error| Err(format!("read it: {error}")));
    let (key, length) = match opened {
        Ok(found) => found,
        Err(problem) => {
            report.problems.push(problem);
            return report;
        }
    };
    report.signature = of_key(Some(key), known);
    let looked = inside((&mut file).take(length), key, known, &mut report);
    if let Err(error) = looked {
        report.problems.push(format!("unpack it: {error}"));
    }
    report
}

/// The key that signed all bytes of a bundle, and how many there are before the signature. Leaves `file` at its beginning.
fn open(file: &mut (impl Read + Seek)) -> io::Result<Result<(PublicKey, u64), String>> {
    let length = file.seek(SeekFrom::End(0))?;
    let not_whole = || {
        Ok(Err(
            "it does not end as a bundle does: something was cut off, added or changed".to_owned()
        ))
    };
    let Some(body) = length.checked_sub(TRAILER_BYTES as u64) else { return not_whole() };
    file.seek(SeekFrom::Start(body))?;
    let mut end = vec![0; TRAILER_BYTES];
    file.read_exact(&mut end)?;
    let Some(text) = signature_in(&end) else { return not_whole() };
    file.rewind()?;
    let mut hasher = Sha512::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut rest = (&mut *file).take(body);
    loop {
        match rest.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    file.rewind()?;
    let key = signature::signer_of_digest(text, &hasher.finalize());
    Ok(key.map(|key| (key, body)).ok_or_else(|| {
        "its bytes are not those that were signed: something was changed".to_owned()
    }))
}
