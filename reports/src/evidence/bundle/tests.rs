use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;
use std::process::Command;
use std::thread;

use drdrill_core::event::{Entry, Event};
use drdrill_core::record::Tool;
use drdrill_core::time::At;
use flate2::GzBuilder;
use sha2::{Digest as _, Sha512};

use super::*;
use crate::evidence::chain::ChainWriter;
use crate::evidence::digest::Digest;
use crate::evidence::key::{PublicKey, Signer};
use crate::evidence::manifest::Manifest;
use crate::evidence::seal::{About, allowed_signers, seal};
use crate::evidence::verify::{SignatureState, Standing};
use crate::evidence::{ALLOWED_SIGNERS, EVENTS, signature};

fn signer() -> Signer {
    Signer::from_seed([5; 32])
}

fn other() -> Signer {
    Signer::from_seed([6; 32])
}

/// A small run directory, sealed by `signer`.
fn run(directory: &Path, signer: &Signer) -> BundledRun {
    fs::create_dir_all(directory.join("more")).unwrap();
    let mut writer = ChainWriter::new(Vec::new());
    let event = Event::Note { text: "hello".to_owned() };
    writer.append(&Entry { at: At(0), event }).unwrap();
    let head = writer.head();
    fs::write(directory.join(EVENTS), writer.into_inner()).unwrap();
    fs::write(directory.join("record.json"), "{}").unwrap();
    fs::write(directory.join("more/a b"), "x").unwrap();
    let tool = Tool { version: "0.1.0".to_owned(), commit: None };
    seal(directory, &About { run_id: "r", tool: &tool, head }, signer).unwrap();
    BundledRun {
        run_id: "r".to_owned(),
        directory: directory.to_owned(),
        about: "a drill".to_owned(),
        worth: "whole".to_owned(),
        broken: false,
    }
}

fn contents(runs: Vec<BundledRun>) -> Contents {
    Contents {
        name: "drdrill-2026-Q4".to_owned(),
        title: "Evidence".to_owned(),
        as_of_days: 20_000,
        files: [("program.yaml".to_owned(), b"program: p\n".to_vec())].into(),
        runs,
        vouched: Vec::new(),
    }
}

/// A bundle of one small run.
fn small() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let contents = contents(vec![run(&directory.path().join("r"), &signer())]);
    let mut bytes = Vec::new();
    let bundled = write_bundle(&mut bytes, &contents, &signer()).unwrap();
    assert_eq!(bundled.bytes, bytes.len() as u64);
    bytes
}

fn check(bytes: &[u8], known: &[PublicKey]) -> BundleReport {
    verify_bundle(Cursor::new(bytes), known)
}

/// What somebody who trusts the signer thinks of it.
fn standing(bytes: &[u8]) -> Standing {
    check(bytes, &[signer().public()]).standing()
}

#[test]
fn a_bundle_is_proven_and_the_same_again() {
    let bytes = small();
    assert_eq!(bytes, small());
    let report = check(&bytes, &[signer().public()]);
    assert_eq!(report.standing(), Standing::Proven, "{report}");
    assert_eq!(report.name.as_deref(), Some("drdrill-2026-Q4"));
    assert_eq!((report.files, report.runs.len()), (12, 1));
    assert!(report.runs[0].report.is_proven(), "{}", report.runs[0].report);
    assert_eq!(check(&bytes, &[other().public()]).standing(), Standing::SignedByStranger);
}

#[test]
fn every_single_flipped_bit_and_every_truncation_is_noticed() {
    let bytes = small();
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = bytes.len().div_ceil(threads);
    thread::scope(|scope| {
        for from in (0..bytes.len()).step_by(share) {
            let (bytes, to) = (&bytes, (from + share).min(bytes.len()));
            scope.spawn(move || {
                let mut flipped = bytes.clone();
                for at in from..to {
                    for bit in 0..8 {
                        flipped[at] ^= 1 << bit;
                        assert_eq!(standing(&flipped), Standing::Damaged, "byte {at}, bit {bit}");
                        flipped[at] ^= 1 << bit;
                    }
                    assert_eq!(standing(&bytes[..at]), Standing::Damaged, "cut at {at}");
                }
                assert_eq!(flipped, *bytes);
            });
        }
    });
    for more in [b"\0".as_slice(), b"x", &small()] {
        assert_eq!(standing(&[&bytes, more].concat()), Standing::Damaged);
    }
}

/// Packs members as they are given, and signs what comes of it.
fn pack(members: &[(&str, &[u8])], behind: &[u8], signer: &Signer) -> Vec<u8> {
    let mut archive = GzBuilder::new().write(Vec::new(), flate2::Compression::fast());
    for (name, bytes) in members {
        let name = format!("drdrill-2026-Q4/{name}");
        let header = layout::header(&name, bytes.len() as u64, 0).unwrap();
        archive.write_all(header.as_bytes()).unwrap();
        archive.write_all(bytes).unwrap();
        archive.write_all(&vec![0; bytes.len().next_multiple_of(512) - bytes.len()]).unwrap();
    }
    archive.write_all(&[0; 1024]).unwrap();
    archive.write_all(behind).unwrap();
    let mut bytes = archive.finish().unwrap();
    let text = signature::sign_digest(signer, &Sha512::digest(&bytes));
    bytes.extend(layout::trailer(&text));
    bytes
}

#[test]
fn a_signed_archive_whose_content_is_not_what_its_list_says_is_damaged() {
    let signer = signer();
    let keys = allowed_signers([&signer.public()]);
    let mut list = Manifest::default();
    list.files.insert("a".to_owned(), Digest::of(b"1"));
    list.files.insert(ALLOWED_SIGNERS.to_owned(), Digest::of(keys.as_bytes()));
    let list = list.text();
    let of_list = signature::sign(&signer, list.as_bytes());
    let strange = signature::sign(&other(), list.as_bytes());
    let (sums, own, a) = ((SUMS, list.as_bytes()), (SUMS_SIG, of_list.as_bytes()), ("a", b"1"));
    let keys = (ALLOWED_SIGNERS, keys.as_bytes());
    let problems = |members: &[(&str, &[u8])], behind: &[u8]| {
        check(&pack(members, behind, &signer), &[signer.public()]).problems.join("; ")
    };
    let a = (a.0, a.1.as_slice());
    assert_eq!(problems(&[sums, own, a, keys], b""), "");
    for (members, said) in [
        (vec![sums, own, ("a", b"2"), keys], "has another a"),
        (vec![sums, own, keys], "lacks a"),
        (vec![sums, own, a, keys, ("b", b"")], "has, and its list lacks, b"),
        (vec![own, sums, a, keys], "does not stand where it has to"),
        (vec![sums, own, a, a, keys], "does not stand where it has to"),
        (vec![sums, (SUMS_SIG, strange.as_bytes()), a, keys], "is not signed by the key"),
        (vec![sums, a, keys], "is not signed by the key"),
        (vec![(SUMS, b"no list"), own, a, keys], "is no list of digests"),
        (vec![sums, own, a], "lacks the key that signed the bundle"),
    ] {
        let found = problems(&members, b"");
        assert!(found.contains(said), "{said}: {found}");
    }
    let found = problems(&[sums, own, a, keys], b"more");
    assert!(found.contains("behind the end"), "{found}");
    // A link, a device, or a record that renames the next file.
    let mut strange = layout::header("drdrill-2026-Q4/a", 0, 0).unwrap();
    strange.set_entry_type(tar::EntryType::Symlink);
    strange.set_link_name("/etc/passwd").unwrap();
    strange.set_cksum();
    let mut archive = GzBuilder::new().write(Vec::new(), flate2::Compression::fast());
    archive.write_all(strange.as_bytes()).unwrap();
    archive.write_all(&[0; 1024]).unwrap();
    let mut bytes = archive.finish().unwrap();
    let text = signature::sign_digest(&signer, &Sha512::digest(&bytes));
    bytes.extend(layout::trailer(&text));
    let found = check(&bytes, &[signer.public()]).problems.join("; ");
    assert!(found.contains("a header that no bundle has"), "{found}");
}

#[test]
fn a_bundle_is_worth_no_more_than_the_worst_run_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().join("r");
    let packed = |run: BundledRun, vouched: Vec<PublicKey>| {
        let mut bytes = Vec::new();
        let contents = Contents { vouched, ..contents(vec![run]) };
        write_bundle(&mut bytes, &contents, &signer()).unwrap();
        bytes
    };
    // Signed by a machine that nobody knows, and by one that the bundle's signer vouches for.
    let strange = run(&dir, &other());
    assert_eq!(standing(&packed(strange.clone(), Vec::new())), Standing::SignedByStranger);
    let vouched = packed(strange.clone(), vec![other().public()]);
    assert_eq!(standing(&vouched), Standing::Proven);
    let told = check(&vouched, &[signer().public()]);
    assert!(told.runs[0].vouched, "{told}");
    let (fingerprint, text) = (other().public().fingerprint(), told.to_string());
    assert!(text.contains(&format!("{fingerprint}, vouched for by the signer")), "{text}");
    assert!(text.contains("of them 0 signed by a known key, 1 by keys"), "{text}");
    let both = check(&vouched, &[signer().public(), other().public()]);
    assert!(!both.runs[0].vouched, "{both}");
    // Whoever does not know the signer has no use for what it vouches for.
    assert_eq!(check(&vouched, &[]).standing(), Standing::SignedByStranger);

    fs::write(dir.join("record.json"), "{\"verdict\": \"pass\"}").unwrap();
    let broken = BundledRun { broken: true, worth: "DAMAGED".to_owned(), ..strange };
    let bytes = packed(broken.clone(), Vec::new());
    let report = check(&bytes, &[signer().public()]);
    assert!(report.is_whole() && report.standing() == Standing::Damaged, "{report}");
    assert!(matches!(report.signature, SignatureState::Known { .. }));
    assert!(report.to_string().contains("run        r: DAMAGED"), "{report}");

    fs::remove_file(dir.join("MANIFEST")).unwrap();
    let report = check(&packed(broken, Vec::new()), &[signer().public()]);
    assert_eq!(report.standing(), Standing::Unsigned, "{report}");
    assert!(report.to_string().contains("NOT SEALED"), "{report}");
}

#[test]
fn what_changes_while_it_is_packed_or_is_no_file_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let run = run(&directory.path().join("r"), &signer());
    std::os::unix::fs::symlink("/etc/passwd", run.directory.join("link")).unwrap();
    let refused = write_bundle(Vec::new(), &contents(vec![run.clone()]), &signer());
    assert!(matches!(refused, Err(BundleError::Evidence(_))), "{refused:?}");
    // Of what is broken anyway the rest is packed.
    let broken = BundledRun { broken: true, ..run };
    write_bundle(Vec::new(), &contents(vec![broken.clone()]), &signer()).unwrap();
    for id in ["..", "a\nRUNS", "a/b", ""] {
        let strange = BundledRun { run_id: id.to_owned(), ..broken.clone() };
        let refused = write_bundle(Vec::new(), &contents(vec![strange]), &signer());
        assert!(matches!(refused, Err(BundleError::Name { .. })), "{id}: {refused:?}");
    }
}

/// What `README.txt` says is to be typed.
fn typed(readme: &str) -> Vec<&str> {
    readme.lines().filter_map(|line| line.strip_prefix("    ")).collect()
}

#[test]
fn what_the_readme_says_is_to_be_typed_verifies_it_and_notices_what_was_changed() {
    let unpacked = tempfile::tempdir().unwrap();
    let file = unpacked.path().join("b.tar.gz");
    fs::write(&file, small()).unwrap();
    let tar = Command::new("tar").arg("-xzf").arg(&file).current_dir(&unpacked).output().unwrap();
    assert!(tar.status.success() && tar.stderr.is_empty(), "{tar:?}");
    let top = unpacked.path().join("drdrill-2026-Q4");
    let readme = fs::read_to_string(top.join(README)).unwrap();
    let typed = typed(&readme);
    assert_eq!(typed.len(), 4, "{readme}");
    let passes = |command: &str| {
        let shell = Command::new("sh").args(["-c", command]).current_dir(&top).output().unwrap();
        shell.status.success()
    };
    let outcome = || -> Vec<bool> { typed.iter().map(|command| passes(command)).collect() };
    assert_eq!(outcome(), [true; 4]);

    // A member, one of a run, the list, its signature; and something that was added.
    for (name, expected) in [
        ("program.yaml", [false, true, true, true]),
        ("runs/r/record.json", [false, true, true, false]),
        (SUMS, [false, false, true, true]),
        (SUMS_SIG, [true, false, true, true]),
    ] {
        let path = top.join(name);
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        let at = if name == SUMS_SIG { 60 } else { 0 };
        changed[at] ^= 1;
        fs::write(&path, changed).unwrap();
        assert_eq!(outcome(), expected, "{name}");
        fs::write(&path, whole).unwrap();
    }
    fs::write(top.join("runs/added"), "").unwrap();
    assert_eq!(outcome(), [true, true, false, true]);
    fs::remove_file(top.join("runs/added")).unwrap();
    assert_eq!(outcome(), [true; 4]);
}

/// Unpacks a bundle; returns the directory that it makes.
fn unpack(to: &Path, bytes: &[u8]) -> std::path::PathBuf {
    let file = to.join("b.tar.gz");
    fs::write(&file, bytes).unwrap();
    let tar = Command::new("tar").arg("-xzf").arg(&file).current_dir(to).output().unwrap();
    assert!(tar.status.success(), "{tar:?}");
    to.join("drdrill-2026-Q4")
}

#[test]
fn whose_bundle_it_is_only_the_command_says_and_a_forged_one_does_not_pass_with_the_key_that_one_got()
 {
    // A stranger packs a run that he sealed himself, and lists the genuine key beside his own.
    let (directory, unpacked) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let forged = Contents {
        vouched: vec![signer().public()],
        ..contents(vec![run(&directory.path().join("r"), &other())])
    };
    let mut bytes = Vec::new();
    write_bundle(&mut bytes, &forged, &other()).unwrap();
    let top = unpack(unpacked.path(), &bytes);
    let readme = fs::read_to_string(top.join(README)).unwrap();
    for key in [signer(), other()] {
        assert!(!readme.contains(&key.public().fingerprint()), "{readme}");
    }
    let key = allowed_signers([&signer().public()]);
    fs::write(unpacked.path().join("key"), key).unwrap();
    let [_, signature, _] = VERIFY_BUNDLE_BY_HAND;
    let sh = |command: &str| {
        let shell = Command::new("sh").args(["-c", command]).current_dir(&top).output().unwrap();
        (shell.status.success(), String::from_utf8(shell.stdout).unwrap())
    };
    // What it prints is whose it is.
    let (_, printed) = sh(signature);
    assert!(printed.contains(&other().public().fingerprint()), "{printed}");
    assert!(!sh(&signature.replace("-f allowed_signers", "-f ../key")).0);
}

#[test]
fn a_run_does_not_vouch_for_itself() {
    let (directory, unpacked) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let strange = run(&directory.path().join("r"), &other());
    let typed_with = |vouched: Vec<PublicKey>| {
        let mut bytes = Vec::new();
        let contents = Contents { vouched, ..contents(vec![strange.clone()]) };
        write_bundle(&mut bytes, &contents, &signer()).unwrap();
        let top = unpack(unpacked.path(), &bytes);
        let command =
            Command::new("sh").args(["-c", VERIFY_RUNS_BY_HAND]).current_dir(top).output();
        let command = command.unwrap();
        (command.status.success(), String::from_utf8(command.stdout).unwrap())
    };
    assert!(typed_with(vec![other().public()]).0);
    let (good, told) = typed_with(Vec::new());
    assert!(!good && told.contains("runs/r/ DOES NOT VERIFY"), "{told}");
}

#[test]
fn what_a_stranger_makes_too_long_is_an_error() {
    let long = vec![b'x'; 5_000];
    for name in ["runs/r/HEAD", "runs/r/MANIFEST.sig", SUMS_SIG] {
        let bytes = pack(&[(name, &long)], b"", &other());
        let found = check(&bytes, &[]).problems.join("; ");
        assert!(found.contains("is longer than 4096 bytes"), "{name}: {found}");
    }
}
