use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use drdrill_core::event::{Entry, Event};
use drdrill_core::record::Tool;
use drdrill_core::time::At;

use super::super::chain::{ChainWriter, read_chain};
use super::super::key::Signer;
use super::super::seal::{About, seal};
use super::super::{ALLOWED_SIGNERS, EVENTS, MANIFEST, MANIFEST_SIG, VERIFY_BY_HAND};
use super::*;

struct Package {
    dir: tempfile::TempDir,
    signer: Signer,
}

impl Package {
    /// A small sealed run directory.
    fn new(run_id: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = ChainWriter::new(Vec::new());
        for number in 0..2 {
            let event = Event::Note { text: format!("{run_id} {number}") };
            writer.append(&Entry { at: At(number), event }).unwrap();
        }
        let head = writer.head();
        fs::write(dir.path().join(EVENTS), writer.into_inner()).unwrap();
        fs::write(dir.path().join("record.json"), format!("{{\"run\":\"{run_id}\"}}")).unwrap();
        fs::create_dir(dir.path().join("more")).unwrap();
        fs::write(dir.path().join("more/a b"), "x").unwrap();
        let signer = Signer::from_seed([5; 32]);
        let tool = Tool { version: "0.1.0".to_owned(), commit: None };
        let about = About { run_id, tool: &tool, head };
        seal(dir.path(), &about, &signer).unwrap();
        Self { dir, signer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn verify(&self) -> VerifyReport {
        verify(self.dir.path(), &[self.signer.public()])
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = list(self.dir.path()).unwrap().into_keys().collect();
        names.extend([MANIFEST.to_owned(), MANIFEST_SIG.to_owned()]);
        names
    }
}

#[test]
fn a_sealed_run_is_proven() {
    let package = Package::new("run");
    let report = package.verify();
    assert!(report.is_proven(), "{report}");
    assert_eq!(report.run_id.as_deref(), Some("run"));
    assert_eq!(report.chain, Ok(2));
    assert_eq!(report.intact, ["HEAD", ALLOWED_SIGNERS, EVENTS, "more/a b", "record.json"]);
}

#[test]
fn where_an_environment_works_is_no_evidence() {
    let package = Package::new("r");
    fs::create_dir_all(package.path("lab/dr")).unwrap();
    fs::write(package.path("lab/dr/server.log"), "it goes on").unwrap();
    assert!(package.verify().is_proven(), "{}", package.verify());
    // Only there, and only where it is a directory.
    fs::create_dir(package.path("more/lab")).unwrap();
    fs::write(package.path("more/lab/x"), "").unwrap();
    assert!(!package.verify().is_proven());
    let package = Package::new("r");
    fs::write(package.path("lab"), "").unwrap();
    assert!(!package.verify().is_proven());
}

#[test]
fn every_single_flipped_bit_of_every_file_is_seen() {
    // Each file in a package of its own, side by side.
    std::thread::scope(|scope| {
        for name in Package::new("r").files() {
            scope.spawn(move || flip_every_bit(&name));
        }
    });
}

fn flip_every_bit(name: &str) {
    let package = Package::new("r");
    let path = package.path(name);
    let whole = fs::read(&path).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &flipped).unwrap();
        assert!(!package.verify().is_proven(), "bit {bit} of {name}");
    }
    fs::write(&path, &whole).unwrap();
    assert!(package.verify().is_proven());
}

#[test]
fn every_truncation_of_every_file_is_seen() {
    let package = Package::new("r");
    for name in package.files() {
        let path = package.path(&name);
        let whole = fs::read(&path).unwrap();
        for end in 0..whole.len() {
            fs::write(&path, &whole[..end]).unwrap();
            assert!(!package.verify().is_proven(), "{name} cut at {end}");
        }
        fs::remove_file(&path).unwrap();
        assert!(!package.verify().is_proven(), "{name} removed");
        fs::write(&path, &whole).unwrap();
    }
    assert!(package.verify().is_proven());
}

#[test]
fn every_splice_with_another_run_is_seen() {
    let package = Package::new("r");
    let other = Package::new("s");
    for name in package.files() {
        let path = package.path(&name);
        let whole = fs::read(&path).unwrap();
        let theirs = fs::read(other.path(&name)).unwrap();
        if theirs != whole {
            fs::write(&path, &theirs).unwrap();
            assert!(!package.verify().is_proven(), "{name} of another run");
            fs::write(&path, &whole).unwrap();
        }
    }
    for name in package.files().iter().filter(|name| name.as_str() != "record.json") {
        let path = package.path(name);
        let kept = package.path("kept");
        fs::rename(package.path("record.json"), &kept).unwrap();
        fs::rename(&path, package.path("record.json")).unwrap();
        fs::rename(&kept, &path).unwrap();
        assert!(!package.verify().is_proven(), "{name} swapped");
        fs::rename(&path, &kept).unwrap();
        fs::rename(package.path("record.json"), &path).unwrap();
        fs::rename(&kept, package.path("record.json")).unwrap();
    }
    assert!(package.verify().is_proven());
}

#[test]
fn extra_files_links_and_missing_files_are_named() {
    let package = Package::new("run");
    fs::write(package.path("extra.txt"), "x").unwrap();
    symlink("record.json", package.path("link")).unwrap();
    fs::remove_file(package.path("more/a b")).unwrap();
    let report = package.verify();
    assert_eq!(report.extra, ["extra.txt", "link"]);
    assert_eq!(report.missing, ["more/a b"]);
    assert_eq!(report.standing(), Standing::Damaged);
}

#[test]
fn a_file_replaced_by_a_link_to_the_same_content_is_seen() {
    let package = Package::new("run");
    let outside = tempfile::tempdir().unwrap();
    let copy = outside.path().join("copy");
    fs::copy(package.path("record.json"), &copy).unwrap();
    fs::remove_file(package.path("record.json")).unwrap();
    symlink(&copy, package.path("record.json")).unwrap();
    assert_eq!(package.verify().changed, ["record.json"]);
}

#[test]
fn whoever_seals_again_with_another_key_is_a_stranger() {
    let package = Package::new("run");
    fs::write(package.path("record.json"), "{\"run\":\"forged\"}").unwrap();
    let tool = Tool { version: "0.1.0".to_owned(), commit: None };
    let chain = read_chain(fs::read(package.path(EVENTS)).unwrap().as_slice()).unwrap();
    let about = About { run_id: "run", tool: &tool, head: chain.head };
    seal(package.dir.path(), &about, &Signer::from_seed([6; 32])).unwrap();
    let report = package.verify();
    assert_eq!(report.standing(), Standing::SignedByStranger);
    assert!(report.to_string().contains("anybody can make a key"), "{report}");
}

#[test]
fn without_a_signature_the_report_says_what_a_chain_is_worth() {
    let package = Package::new("run");
    fs::remove_file(package.path(MANIFEST_SIG)).unwrap();
    let report = package.verify();
    assert_eq!(report.standing(), Standing::Unsigned);
    let told = report.to_string();
    assert!(
        told.contains("proves tampering only after its head was signed or published"),
        "{told}"
    );
}

#[test]
fn a_run_that_was_cut_off_and_then_sealed_is_whole_evidence_of_that() {
    let package = Package::new("run");
    let mut events = fs::read(package.path(EVENTS)).unwrap();
    events.extend_from_slice(b"{\"n\":2,\"pre");
    fs::write(package.path(EVENTS), &events).unwrap();
    let chain = read_chain(events.as_slice()).unwrap();
    let tool = Tool { version: "0.1.0".to_owned(), commit: None };
    let about = About { run_id: "run", tool: &tool, head: chain.head };
    seal(package.dir.path(), &about, &package.signer).unwrap();
    let report = package.verify();
    assert!(report.is_proven(), "{report}");
    assert_eq!(report.torn_bytes, 11);
    assert!(report.to_string().contains("killed while it wrote"));
}

#[test]
fn an_empty_directory_is_damaged_and_nothing_panics() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(verify(dir.path(), &[]).standing(), Standing::Damaged);
    assert_eq!(verify(&dir.path().join("absent"), &[]).standing(), Standing::Damaged);
}

#[test]
fn hostile_names_do_not_reach_the_terminal() {
    let package = Package::new("run");
    fs::write(package.path("\u{1b}[2Jgone\n::error::x"), "x").unwrap();
    let told = package.verify().to_string();
    assert!(!told.contains('\u{1b}') && !told.contains("\n::"), "{told:?}");
}

/// Where coreutils and OpenSSH are installed, the commands that we tell people verify a package, and refuse a changed
/// one.
#[test]
fn the_commands_for_people_agree() {
    let package = Package::new("run");
    let run = |command: &str| {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command).current_dir(package.dir.path()).output().unwrap()
    };
    let [digests, signature] = VERIFY_BY_HAND;
    if run("command -v ssh-keygen && command -v sha256sum").status.success() {
        let output = run(digests);
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
        let output = run(signature);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        fs::write(package.path("record.json"), "{}").unwrap();
        assert!(!run(digests).status.success());
        fs::write(package.path(MANIFEST), "").unwrap();
        assert!(!run(signature).status.success());
    }
}
