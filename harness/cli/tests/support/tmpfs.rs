//! A small file system of a test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Size of the file system, in bytes.
const SIZE: u64 = 16 << 20;

/// A file system with one file of somebody else's. Unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Tmpfs {
    pub(crate) path: PathBuf,
}

impl Tmpfs {
    /// Mounts it at `path`, which is made.
    pub(crate) fn mount(path: &Path) -> Self {
        fs::create_dir(path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={SIZE}"), "tmpfs"]).arg(path);
        assert!(mount.status().unwrap().success());
        let disk = Self { path: path.to_owned() };
        fs::write(path.join("theirs"), b"theirs").unwrap();
        disk
    }

    /// Bytes that are free.
    pub(crate) fn free(&self) -> u64 {
        let facts = nix::sys::statvfs::statvfs(&self.path).unwrap();
        facts.blocks_free() * facts.fragment_size()
    }

    /// Names of what is there.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.path).status();
    }
}
