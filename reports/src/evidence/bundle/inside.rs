//! What is in a bundle, whose bytes are those that somebody signed: is it a bundle, and do its runs verify?

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read};

use flate2::bufread::GzDecoder;
use tar::{Archive, Entry};

use super::layout;
use super::report::{BundleReport, RunInside};
use super::{RUNS, SUMS, SUMS_SIG};
use crate::evidence::digest::Digest;
use crate::evidence::key::PublicKey;
use crate::evidence::limits;
use crate::evidence::manifest::{Manifest, is_plain};
use crate::evidence::package::{Found, judge, read_history};
use crate::evidence::{ALLOWED_SIGNERS, EVENTS, HEAD, MANIFEST, MANIFEST_SIG, signature};

/// Most files in it: their names and digests are kept.
const MOST_FILES: usize = 1_000_000;

/// Blocks of tar.
const BLOCK: usize = 512;

/// Everything that was found.
#[derive(Default)]
struct Inside {
    files: BTreeMap<String, Digest>,
    /// Texts of the bundle itself.
    texts: BTreeMap<String, Vec<u8>>,
    runs: BTreeMap<String, Found>,
    /// So many bytes of texts may still be kept.
    left: u64,
}

/// Looks at everything in the archive that `body` holds, all of which `key` has signed.
pub(super) fn inside(
    body: impl Read,
    key: PublicKey,
    known: &[PublicKey],
    report: &mut BundleReport,
) -> io::Result<()> {
    let mut unpacked = GzDecoder::new(BufReader::new(body));
    let mut archive = Archive::new(&mut unpacked);
    let mut found = Inside { left: limits::ALL, ..Inside::default() };
    let mut before: Option<(String, u64)> = None;
    // Raw: records that change the meaning of the next one are files that have no place here.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let (path, mtime) = place(&entry)?;
        let (top, name) = path.split_once('/').unwrap_or_default();
        if !is_plain(name) || report.name.as_deref().is_some_and(|first| first != top) {
            report.problems.push(format!("the file {path} has no place in it"));
            return Ok(());
        }
        report.name.get_or_insert_with(|| top.to_owned());
        if let Some((last, first_mtime)) = &before
            && (last.as_str() >= path.as_str() || *first_mtime != mtime)
        {
            report.problems.push(format!("the file {path} does not stand where it has to"));
            return Ok(());
        }
        if found.files.len() >= MOST_FILES {
            report.problems.push(format!("more than {MOST_FILES} files are in it"));
            return Ok(());
        }
        let name = name.to_owned();
        before = Some((path, mtime));
        found.take(name, &mut entry)?;
    }
    // The second of the two blocks that end an archive, and nothing else; up to where gzip's own checksum is.
    let mut behind = Vec::new();
    unpacked.by_ref().take(2 * BLOCK as u64).read_to_end(&mut behind)?;
    if behind != [0; BLOCK] || !unpacked.into_inner().fill_buf()?.is_empty() {
        report.problems.push("something stands behind the end of the archive".to_owned());
    }
    found.judge(key, known, report);
    Ok(())
}

/// The path and the time of a file, whose header must be the one that a bundle has.
fn place(entry: &Entry<'_, impl Read>) -> io::Result<(String, u64)> {
    let header = entry.header();
    let wrong = |why: &str| io::Error::other(format!("a header that no bundle has: {why}"));
    let path = header.path_bytes().into_owned();
    let path = String::from_utf8(path).map_err(|_| wrong("its name"))?;
    let (bytes, mtime) = (header.entry_size()?, header.mtime()?);
    let ours = layout::header(&path, bytes, mtime).map_err(|_| wrong("its name"))?;
    if ours.as_bytes() != header.as_bytes() {
        return Err(wrong("it says more than name, size and day"));
    }
    Ok((path, mtime))
}

impl Inside {
    /// Reads a file.
    fn take(&mut self, name: String, content: &mut impl Read) -> io::Result<()> {
        let in_run = name.strip_prefix(RUNS).and_then(|rest| rest.strip_prefix('/'));
        let in_run = in_run.and_then(|rest| rest.split_once('/'));
        let Some((id, file)) = in_run else {
            let digest = if [SUMS, SUMS_SIG, ALLOWED_SIGNERS].contains(&name.as_str()) {
                let bytes = limits::read(&name, content, &mut self.left)?;
                let digest = Digest::of(&bytes);
                self.texts.insert(name.clone(), bytes);
                digest
            } else {
                Digest::of_reader(content)?
            };
            self.files.insert(name, digest);
            return Ok(());
        };
        let run = self.runs.entry(id.to_owned()).or_default();
        let digest = match file {
            EVENTS => {
                let (digest, chain) = read_history(content);
                run.chain = Some(chain);
                digest?
            }
            MANIFEST | MANIFEST_SIG | HEAD => {
                let bytes = limits::read(file, content, &mut self.left)?;
                let digest = Digest::of(&bytes);
                match file {
                    MANIFEST => run.manifest = Ok(bytes),
                    MANIFEST_SIG => run.signature = Some(bytes),
                    _ => run.head = String::from_utf8(bytes).ok(),
                }
                digest
            }
            _ => Digest::of_reader(content)?,
        };
        if file != MANIFEST && file != MANIFEST_SIG {
            run.files.insert(file.to_owned(), Some(digest));
        }
        self.files.insert(name, digest);
        Ok(())
    }

    /// Compares what was found with the list, and looks at the runs.
    fn judge(self, key: PublicKey, known: &[PublicKey], report: &mut BundleReport) {
        let text = |name: &str| self.texts.get(name).map(Vec::as_slice).unwrap_or_default();
        report.files = self.files.len();
        let signer = str::from_utf8(text(SUMS_SIG))
            .ok()
            .and_then(|signature| signature::signer_of(signature, text(SUMS)));
        if signer != Some(key) {
            report.problems.push(format!("{SUMS} is not signed by the key that signed the bundle"));
        }
        let keys = PublicKey::all_in(&String::from_utf8_lossy(text(ALLOWED_SIGNERS)));
        if !keys.contains(&key) {
            report.problems.push(format!("{ALLOWED_SIGNERS} lacks the key that signed the bundle"));
        }
        let list = String::from_utf8_lossy(text(SUMS));
        match Manifest::parse(&list) {
            Ok(list) => self.compare(&list, report),
            Err(_) => report.problems.push(format!("{SUMS} is no list of digests")),
        }
        // Who vouches for the bundle vouches for the keys in it.
        let vouched = if known.contains(&key) { keys } else { Vec::new() };
        let runs = self.runs.into_iter();
        report.runs.extend(runs.map(|(id, found)| RunInside::of(id, found, known, &vouched)));
    }

    fn compare(&self, list: &Manifest, report: &mut BundleReport) {
        let mut say = |what: &str, name: &str| report.problems.push(format!("{what} {name}"));
        for (name, digest) in &list.files {
            match self.files.get(name) {
                None => say("lacks", name),
                Some(found) if found != digest => say("has another", name),
                Some(_) => {}
            }
        }
        for name in self.files.keys().filter(|name| ![SUMS, SUMS_SIG].contains(&name.as_str())) {
            if !list.files.contains_key(name) {
                say("has, and its list lacks,", name);
            }
        }
    }
}

impl RunInside {
    /// What the files of a run come to.
    fn of(run_id: String, found: Found, known: &[PublicKey], vouched: &[PublicKey]) -> Self {
        let sealed = found.manifest.is_ok();
        let all: Vec<PublicKey> = known.iter().chain(vouched).copied().collect();
        let mut report = judge(found, &all);
        let is =
            |key: &PublicKey| Some(key.fingerprint().as_str()) == report.signature.fingerprint();
        let vouched = vouched.iter().any(is) && !known.iter().any(is);
        if sealed && report.run_id.as_ref().is_some_and(|id| *id != run_id) {
            report.problems.push("it is another run than its directory says".to_owned());
        }
        Self { run_id, sealed, report, vouched }
    }
}
