//! Backups of anything (requirements C6 to C8): files, what programs print, `SQLite` databases.
//!
//! A *restore point* is what one run of a plan wrote: a directory, or objects with a common prefix, with a file for each
//! part of each source, `point.json`, which describes it, and `MANIFEST`, which `sha256sum -c` checks and which makes it
//! one: without it nothing claims to be a restore point.
//!
//! Read in this order:
//!
//! 1. [`point`] — what a restore point says of itself; [`tree`] — the list of the files of a tree.
//! 2. [`source`] — what is backed up, each into a staging directory.
//! 3. [`store`] — where it goes: all of a point or nothing.
//! 4. [`run`] — a backup; [`keep`] — what is removed afterwards.
//! 5. [`archive`] — verifying and restoring, as the machinery does; [`restore`] — into a directory for good.
//! 6. [`copies`] — the 3-2-1 rule.

pub mod archive;
pub mod copies;
mod digest;
mod exec;
pub mod keep;
pub mod point;
pub mod restore;
pub mod run;
mod source;
pub mod store;
pub mod tree;
pub mod trouble;

/// The wall clock, in milliseconds since 1970.
#[must_use]
pub fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// What tells this machine from others: its name and the beginning of the SHA-256 of its `/etc/machine-id`, which is not
/// for others to see.
#[must_use]
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let name = read("/proc/sys/kernel/hostname");
    let id = digest::of(format!("drdrill {}", read("/etc/machine-id")).as_bytes());
    format!("{} {}", name.trim(), id.get(..12).unwrap_or_default())
}
