//! A drill of one fault is killed at each of its system calls, and each that touches a file is made to fail; so are the
//! helpers that hold processes and start them again; then whole drills on a disk that fails.
//!
//! The short form tries calls that are spread evenly over all; `DRDRILL_SWEEP=all` tries every one, and
//! `DRDRILL_SWEEP=50` so many of each kind of fault. `DRDRILL_KINDS="disk_full rate_limit"` sweeps only these.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod daemon;
    pub(crate) mod database;
    pub(crate) mod drill;
    pub(crate) mod iptables;
    pub(crate) mod net;
    pub(crate) mod one_fault;
    pub(crate) mod place;
    pub(crate) mod proxies;
    pub(crate) mod sandbox;
    pub(crate) mod strace;
    pub(crate) mod struck;
    pub(crate) mod tmpfs;
    pub(crate) mod wait;
    pub(crate) mod world;
}

mod sweeps {
    mod descriptors;
    mod drills;
    mod errors;
    mod kills;
    mod screens;
}
