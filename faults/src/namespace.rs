//! Network namespaces: opened once, entered by threads of their own.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::panic;
use std::thread;

use drdrill_core::network::NetworkPlace;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstatfs;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Where `ip netns add` puts names (`NETNS_RUN_DIR` of iproute2).
const NAMES: &str = "/var/run/netns";

/// Type of the file system that namespace files are in (`NSFS_MAGIC` of linux/magic.h).
const NSFS: u64 = 0x6e73_6673;

/// A network namespace, held open: it cannot go away, and no other can be mistaken for it.
#[derive(Debug)]
pub struct Namespace {
    file: File,
    identity: (u64, u64),
    own: bool,
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Namespace {
    /// Opens the namespace of a place.
    ///
    /// # Errors
    /// `NotFound` when there is no such namespace or process, `PermissionDenied` when it may not be looked at (that of
    /// somebody else's process needs `CAP_SYS_PTRACE`), `InvalidInput` when the name is none.
    pub fn open(place: &NetworkPlace) -> io::Result<Self> {
        let file = match place {
            NetworkPlace::Own => File::open("/proc/thread-self/ns/net")?,
            NetworkPlace::Netns(name) => of_name(name)?,
            NetworkPlace::Pid(pid) => of_process(*pid)?,
        };
        let is_namespace = u64::try_from(fstatfs(&file)?.f_type).is_ok_and(|kind| kind == NSFS);
        if !is_namespace {
            return Err(not_found(place, "is not a namespace any more"));
        }
        let metadata = file.metadata()?;
        let own = *place == NetworkPlace::Own;
        Ok(Self { file, identity: (metadata.dev(), metadata.ino()), own })
    }

    /// Makes a namespace that has no name: it ends with the last of those who hold or are in it, so with this process at
    /// the latest. Only loopback is in it, and that is down.
    ///
    /// # Errors
    /// `PermissionDenied` without `CAP_SYS_ADMIN`; what the kernel has no room for.
    pub fn unnamed() -> io::Result<Self> {
        aside(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)?;
            Self::open(&NetworkPlace::Own).map(|made| Self { own: false, ..made })
        })
    }

    /// Device and inode of the namespace file: which namespace this is, within this boot and as long as it exists.
    #[must_use]
    pub const fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Does `work` inside the namespace, on a thread that ends with it: the caller's thread stays where it is. For
    /// [`NetworkPlace::Own`] nothing is entered, and the work is done right here.
    ///
    /// # Errors
    /// `PermissionDenied` when the namespace may not be entered (that needs `CAP_SYS_ADMIN`, both here and in the user
    /// namespace that the network namespace belongs to), and when no thread can be started.
    ///
    /// # Panics
    /// When `work` does.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        if self.own {
            return Ok(work());
        }
        aside(|| {
            move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(work())
        })
    }
}

/// Does `work` on a thread of its own, which may go to another namespace because it ends with that.
fn aside<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("namespace".to_owned());
        thread.spawn_scoped(scope, work)?.join().unwrap_or_else(|it| panic::resume_unwind(it))
    })
}

fn of_name(name: &str) -> io::Result<File> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        let message = format!("{name:?} is not the name of a network namespace");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    File::open(format!("{NAMES}/{name}"))
}

/// The process's descriptor is taken first: as long as it says that the process runs, the number is nobody else's.
fn of_process(pid: i32) -> io::Result<File> {
    let gone = |why| not_found(&NetworkPlace::Pid(pid), why);
    let process = Pid::from_raw(pid).filter(|_| pid > 0).ok_or_else(|| gone("is none"))?;
    let descriptor = match pidfd_open(process, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Err(gone("is gone: there is no such process")),
        opened => opened?,
    };
    let file = File::open(format!("/proc/{pid}/ns/net"))?;
    let mut ended = [PollFd::new(&descriptor, PollFlags::IN)];
    if poll(&mut ended, Some(&Timespec::default()))? > 0 {
        return Err(gone("is gone: the process has ended"));
    }
    Ok(file)
}

fn not_found(place: &NetworkPlace, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{place} {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_known_by_its_file() {
        let own = Namespace::open(&NetworkPlace::Own).unwrap();
        let id = i32::try_from(std::process::id()).unwrap();
        let of_this_process = Namespace::open(&NetworkPlace::Pid(id)).unwrap();
        assert_eq!(own.identity(), of_this_process.identity());
    }

    #[test]
    fn own_work_is_done_right_here() {
        let own = Namespace::open(&NetworkPlace::Own).unwrap();
        let here = thread::current().id();
        assert_eq!(own.run(|| thread::current().id()).unwrap(), here);
    }

    #[test]
    fn what_is_not_there_is_an_error_that_says_so() {
        for place in [NetworkPlace::Netns("no-such-namespace".to_owned()), NetworkPlace::Pid(0)] {
            let error = Namespace::open(&place).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{place}: {error}");
        }
        for name in ["", ".", "..", "a/b", "../../proc/1/ns/net"] {
            let error = Namespace::open(&NetworkPlace::Netns(name.to_owned())).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}");
        }
    }

    #[test]
    fn a_process_that_has_ended_has_no_namespace() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let id = i32::try_from(child.id()).unwrap();
        child.wait().unwrap();
        let error = Namespace::open(&NetworkPlace::Pid(id)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
    }

    #[test]
    fn a_namespace_without_a_name_is_another_one_and_can_be_entered() {
        let made = Namespace::unnamed().unwrap();
        let inside = made.run(|| Namespace::open(&NetworkPlace::Own).unwrap().identity()).unwrap();
        assert_eq!(inside, made.identity());
        assert_ne!(inside, Namespace::open(&NetworkPlace::Own).unwrap().identity());
    }
}
