//! A file system that is full: bounded, seen, and free again however drdrill ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod drill;
    pub(crate) mod full;
    pub(crate) mod record;
    pub(crate) mod sandbox;
    pub(crate) mod tmpfs;
    pub(crate) mod undisturbed;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use support::drill::Drill;
use support::full::write_full_files;
use support::record::record;
use support::sandbox::{Outcome, Sandbox};
use support::tmpfs::Tmpfs;
use support::undisturbed::undisturbed;
use support::wait::until;
use support::world::nothing_is_left;

/// The kernel has freed the space so long after the harness was killed.
///
/// Source: undo-and-security goals, R1: 250 ms. Four times as much, for machines that are busy with other tests.
const KERNEL: Duration = Duration::from_secs(1);
/// A block of it, in bytes.
const BLOCK: u64 = 4096;

/// A small file system of a system that is already there.
struct Disk {
    tmpfs: Tmpfs,
    sandbox: Sandbox,
    /// The directory that the environment names.
    path: PathBuf,
    /// What the probe of the drill calls.
    service: TcpListener,
}

impl Disk {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let path = sandbox.path("data");
        let service = TcpListener::bind("127.45.0.1:0").unwrap();
        Self { tmpfs: Tmpfs::mount(&path), sandbox, path, service }
    }

    fn write_files(&self, inject: &str, at_most: &str) {
        let address = self.service.local_addr().unwrap();
        write_full_files(&self.sandbox, &self.path, address, inject, at_most);
    }

    fn start(&self) -> Drill {
        Drill::start(self.sandbox.command("run full.yaml --env env.yaml --format json"))
    }

    fn run(&self, inject: &str, at_most: &str) -> Outcome {
        self.write_files(inject, at_most);
        self.start().end()
    }

    /// Whether a program that writes here finds room.
    fn has_room(&self) -> bool {
        let path = self.tmpfs.path.join("canary");
        let written = fs::File::create(&path).and_then(|mut file| {
            file.write_all(&[1; 4096])?;
            file.sync_all()
        });
        let _ = fs::remove_file(&path);
        match written {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::StorageFull => false,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_full_disk_takes_no_write_until_the_undo_and_nothing_of_it_stays() {
    undisturbed(|| {
        let disk = Disk::new();
        let before = disk.tmpfs.free();
        disk.write_files("disk_full: { on: primary }", ", at_most: 16MiB");
        let mut drill = disk.start();
        drill.says("in effect");
        assert!(!disk.has_room());
        assert_eq!(disk.tmpfs.names(), ["theirs"]);
        let record = record(&drill.end());
        let fault = &record["faults"][0];
        assert!(
            fault["proof"].as_str().unwrap().starts_with("a write of 4 KiB fails, no space left"),
            "{fault}"
        );
        assert_eq!(fault["belts"], serde_json::json!(["kernel", "journal"]));
        assert!(fault["reverted_ms"].is_number(), "{fault}");
        assert!(disk.has_room());
        assert_eq!((disk.tmpfs.free(), disk.tmpfs.names()), (before, vec!["theirs".to_owned()]));
        nothing_is_left(&disk.sandbox);
    });
}

#[test]
fn what_is_to_stay_free_does() {
    undisturbed(|| {
        let disk = Disk::new();
        disk.write_files(
            "disk_full: { on: primary, directory: data, leave: 1MiB }",
            ", at_most: 16MiB",
        );
        let mut drill = disk.start();
        drill.says("in effect");
        let free = disk.tmpfs.free();
        assert!(free <= (1 << 20) + BLOCK && free + BLOCK >= 1 << 20, "{free}");
        assert!(disk.has_room());
        drill.end();
        assert!(disk.tmpfs.free() > 8 << 20);
        nothing_is_left(&disk.sandbox);
    });
}

#[test]
fn a_disk_that_gets_room_meanwhile_proves_nothing() {
    undisturbed(|| {
        let disk = Disk::new();
        fs::write(disk.path.join("log"), vec![1; 1 << 20]).unwrap();
        disk.write_files("disk_full: { on: primary }", ", at_most: 16MiB");
        let mut drill = disk.start();
        drill.says("in effect");
        fs::remove_file(disk.path.join("log")).unwrap();
        let outcome = drill.end().exits(11);
        let reasons = record(&outcome)["reasons"].to_string();
        assert!(reasons.contains("ended before it was taken back"), "{reasons}");
        nothing_is_left(&disk.sandbox);
    });
}

#[test]
fn when_the_harness_is_killed_the_kernel_frees_the_space() {
    undisturbed(|| {
        let disk = Disk::new();
        let before = disk.tmpfs.free();
        disk.write_files("disk_full: { on: primary }", ", at_most: 16MiB");
        for pause in [0, 150, 400] {
            let mut drill = disk.start();
            drill.says("in effect");
            assert!(!disk.has_room());
            std::thread::sleep(Duration::from_millis(pause));
            drill.signal(Signal::SIGKILL);
            until("the space is free", KERNEL, || (disk.tmpfs.free() == before).then_some(()));
            drill.end();
            nothing_is_left(&disk.sandbox);
            assert_eq!(disk.tmpfs.names(), ["theirs"]);
        }
    });
}

#[test]
fn a_disk_that_others_need_is_not_filled() {
    undisturbed(|| {
        let disk = Disk::new();
        let before = disk.tmpfs.free();
        let full = "disk_full: { on: primary }";
        let too_much = disk.run(full, ", at_most: 1MiB").exits(16);
        assert!(too_much.stderr.contains("but at_most is 1MiB"), "{too_much:#?}");
        let unbounded = disk.run(full, "").exits(14);
        assert!(unbounded.stderr.contains("the key `at_most` is missing"), "{unbounded:#?}");
        let bare = disk.run(full, ", at_most: 1000").exits(14);
        assert!(bare.stderr.contains("`1000` has no unit"), "{bare:#?}");
        let nothing =
            disk.run("disk_full: { on: primary, leave: 1GiB }", ", at_most: 16MiB").exits(13);
        assert!(nothing.stderr.contains("there is nothing to fill"), "{nothing:#?}");
        let unknown =
            disk.run("disk_full: { on: primary, directory: dta }", ", at_most: 16MiB").exits(14);
        assert!(unknown.stderr.contains("known, the nearest first: data"), "{unknown:#?}");
        assert_eq!((disk.tmpfs.free(), disk.tmpfs.names()), (before, vec!["theirs".to_owned()]));
    });
}

#[test]
fn the_disk_of_the_machine_and_that_of_the_evidence_are_not_filled() {
    undisturbed(|| {
        let mut disk = Disk::new();
        let mounted = disk.path.clone();
        // The evidence goes to the very disk.
        disk.sandbox.state = mounted.join("state");
        let evidence = disk.run("disk_full: { on: primary }", ", at_most: 16MiB").exits(16);
        assert!(evidence.stderr.contains("drdrill's evidence"), "{evidence:#?}");
        // A directory of the root file system, and a link to another one.
        disk.path = PathBuf::from("/usr");
        let root = disk.run("disk_full: { on: primary }", ", at_most: 1000TiB").exits(16);
        assert!(root.stderr.contains("the root of this machine"), "{root:#?}");
        disk.path = disk.sandbox.path("link");
        std::os::unix::fs::symlink(&mounted, &disk.path).unwrap();
        disk.run("disk_full: { on: primary }", ", at_most: 16MiB").exits(13);
        disk.path = disk.sandbox.path("nothing");
        disk.run("disk_full: { on: primary }", ", at_most: 16MiB").exits(13);
    });
}
