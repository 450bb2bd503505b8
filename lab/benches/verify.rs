//! Verification of a large backup, beside `sha256sum` of the same file: time and memory.
//!
//! `cargo bench -p drdrill-lab --bench verify -- [MiB]` (default 1024). Limits: at most 1.25 times as long as `sha256sum`,
//! and at most 64 MiB of memory in all.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use drdrill_lab::backup::{BackupInfo, verify_backup};

const MIB: u64 = 1024 * 1024;
const TIMES_SHA256SUM: f64 = 1.25;
const MOST_MIB: u64 = 64;
const ROUNDS: u32 = 3;

fn main() -> ExitCode {
    let mib = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1024);
    let place = tempfile::tempdir().unwrap();
    let info = backup(place.path(), mib);
    let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        assert_eq!(verify_backup(place.path(), &info).unwrap(), mib * MIB);
        ours = ours.min(began.elapsed());
        let began = Instant::now();
        sha256sum(&info.database_in(place.path()));
        theirs = theirs.min(began.elapsed());
    }
    let times = ours.as_secs_f64() / theirs.as_secs_f64();
    let memory = most_memory_mib();
    println!("{mib} MiB, best of {ROUNDS}: verified in {ours:.2?}, sha256sum takes {theirs:.2?}");
    println!(
        "{times:.2} times sha256sum (limit {TIMES_SHA256SUM}); {memory} MiB of memory (limit {MOST_MIB})"
    );
    // One that is damaged in its last byte is found, or nothing was read.
    let path = info.database_in(place.path());
    File::options().append(true).open(&path).unwrap().set_len(mib * MIB - 1).unwrap();
    File::options().append(true).open(&path).unwrap().write_all(b"!").unwrap();
    assert!(verify_backup(place.path(), &info).is_err(), "a damaged backup passed");
    if times <= TIMES_SHA256SUM && memory <= MOST_MIB {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A backup of so many MiB that nothing compresses.
fn backup(directory: &Path, mib: u64) -> BackupInfo {
    let file = "full-1.db".to_owned();
    let path = directory.join(&file);
    let mut out = File::create(&path).unwrap();
    let mut state = 1_u64;
    for _ in 0..mib {
        let words = (0..MIB / 8).flat_map(|_| {
            // Xorshift: its period is far longer than the file.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        out.write_all(&words.collect::<Vec<u8>>()).unwrap();
    }
    out.sync_all().unwrap();
    BackupInfo {
        site: "primary".to_owned(),
        file,
        lsn: 1,
        epoch: 1,
        changed_at_ms: 1,
        taken_at_ms: 1,
        bytes: mib * MIB,
        sha256: sha256sum(&path),
        duration_ms: 1,
    }
}

fn sha256sum(path: &Path) -> String {
    let said = Command::new("sha256sum").arg(path).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    String::from_utf8(said.stdout).unwrap()[..64].to_owned()
}

/// The most memory that this process ever had.
fn most_memory_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
