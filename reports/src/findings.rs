//! Findings: what drills brought to light, and what people say about it.
//!
//! A finding is opened by the first run that shows it and closed by the first later run of the same scenario and environment
//! that passes without it, and shows what it is about. What an exercise asked somebody to do no later exercise shows: that is
//! closed by a word. All else follows from the runs, so findings are never stored, and stay the same however often an index
//! is rebuilt. What people say of one is stored, in `findings.jsonl`: it only ever grows.

mod fold;
mod words;

pub use fold::{ACTION, Accepted, Closed, Finding, Findings, Said, Status, findings};
pub use words::{Line, Orphan, Say, Unreadable, append, read};
