//! A full file system on real ones: memory, and ext4 on a loop device where there is one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use drdrill_core::action::{Action, Presence, Reverter, Tag, Undo};
use drdrill_core::directory::Directory;
use drdrill_faults::disk::fault::{DiskError, DiskFull};
use drdrill_faults::disk::place::Place;
use drdrill_faults::disk::reverter::DiskReverter;
use tempfile::TempDir;

/// A file system of a test's own. Unmounted when dropped.
struct Mounted {
    dir: TempDir,
    path: PathBuf,
}

impl Mounted {
    fn new(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mount");
        fs::create_dir(&path).unwrap();
        let mut mount = Command::new("mount");
        assert!(mount.args(arguments).arg(&path).status().unwrap().success());
        Self { dir, path }
    }

    fn memory() -> Self {
        Self::new(&["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
    }

    fn fault(&self) -> DiskFull {
        DiskFull {
            on: "primary".to_owned(),
            directory: Directory {
                name: "data".to_owned(),
                path: self.path.clone(),
                at_most: 64 << 20,
                spared: vec![PathBuf::from("/"), self.dir.path().to_owned()],
            },
            leave: 0,
            planned: Mutex::default(),
        }
    }

    fn free(&self) -> u64 {
        Place::open(&self.path).unwrap().space().unwrap().free
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

fn params(undo: &Undo) -> (&str, &serde_json::Value) {
    let Undo::Revert { node, params, .. } = undo else { panic!("{undo:?}") };
    (node, params)
}

/// Planned, applied, seen, and taken back; what is left is looked at with and without the undo.
async fn life(mounted: &Mounted, run: &str) {
    let (fault, tag) = (mounted.fault(), Tag::new(run, 1));
    let before = mounted.free();
    let undo = fault.plan(&tag).await.unwrap();
    let (node, params) = params(&undo);
    assert_eq!(DiskReverter.residue(node, params).await.unwrap(), [""; 0]);
    assert!(matches!(fault.observe(&tag).await.unwrap(), Presence::Absent { .. }));
    fault.apply(&tag).await.unwrap();
    let seen = fault.observe(&tag).await.unwrap();
    assert!(matches!(seen, Presence::InEffect { .. }), "{seen:?}");
    assert!(fs::write(mounted.path.join("file"), [1; 4096]).is_err());
    let _ = fs::remove_file(mounted.path.join("file"));
    // An undo that was not done is not believed.
    let residue = DiskReverter.residue(node, params).await.unwrap().join("; ");
    assert!(residue.contains("still holds the space"), "{residue}");
    assert!(residue.contains("a small write to") && residue.contains("bytes free"), "{residue}");
    for _ in 0..2 {
        DiskReverter.revert(node, params).await.unwrap();
        assert_eq!(DiskReverter.residue(node, params).await.unwrap(), [""; 0]);
    }
    fs::write(mounted.path.join("file"), [1; 4096]).unwrap();
    fs::remove_file(mounted.path.join("file")).unwrap();
    let after = mounted.free();
    assert!(after + (1 << 20) >= before, "{before} bytes free before, {after} after");
}

#[tokio::test]
async fn memory_is_filled_and_free_again() {
    life(&Mounted::memory(), "memory").await;
}

#[tokio::test]
async fn ext4_is_filled_and_free_again() {
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(32 << 20).unwrap();
    let mkfs = Command::new("mkfs.ext4").arg("-q").arg(image.path()).status().unwrap();
    assert!(mkfs.success());
    life(&Mounted::new(&["-o", "loop", &image.path().display().to_string()]), "ext4").await;
}

#[tokio::test]
async fn another_file_system_in_its_place_is_not_filled() {
    let mounted = Mounted::memory();
    let (fault, tag) = (mounted.fault(), Tag::new("swapped", 1));
    let undo = fault.plan(&tag).await.unwrap();
    // Somebody mounts over it between planning and striking.
    let mut over = Command::new("mount");
    over.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&mounted.path);
    assert!(over.status().unwrap().success());
    let before = mounted.free();
    let error = fault.apply(&tag).await.unwrap_err().to_string();
    assert!(error.contains("another directory is in its place"), "{error}");
    let (node, params) = params(&undo);
    DiskReverter.revert(node, params).await.unwrap();
    assert_eq!(mounted.free(), before);
    assert!(Command::new("umount").arg(&mounted.path).status().unwrap().success());
}

#[test]
fn what_may_be_the_disk_of_the_machine_is_refused_however_it_is_reached() {
    let inside = tempfile::tempdir().unwrap();
    let other = inside.path().join("bound");
    fs::create_dir(&other).unwrap();
    let mut bind = Command::new("mount");
    assert!(bind.args(["--bind", "/usr"]).arg(&other).status().unwrap().success());
    let fault = |path: &Path| DiskFull {
        on: "primary".to_owned(),
        directory: Directory {
            name: "data".to_owned(),
            path: path.to_owned(),
            at_most: u64::MAX,
            spared: vec![PathBuf::from("/")],
        },
        leave: 0,
        planned: Mutex::default(),
    };
    let refused = [other.as_path(), Path::new("/usr"), Path::new("/")]
        .map(|path| matches!(fault(path).check(), Err(DiskError::Refused(_))));
    assert!(Command::new("umount").arg(&other).status().unwrap().success());
    assert_eq!(refused, [true; 3]);
}
