//! Measuring: sampling a service without letting up, and judging what came of it.
//!
//! Read in this order:
//!
//! 1. [`sampler`] — attempts at their times, whatever became of the ones before.
//! 2. [`mod@probes`] — what one attempt does, and what a broken one means.
//! 3. [`mod@judge`] — the pure function from a history to the record: recovery time, point and level with hard bounds.
//! 4. [`watch`] — the same judgement while the drill runs: is the service restored?
//! 5. [`checkers`] — rules that must hold besides the objectives.

pub mod checkers;
pub mod judge;
pub mod probes;
pub mod sampler;
pub mod watch;

pub use judge::{JudgeError, judge};
pub use probes::{HttpProbe, TargetError, TcpProbe, is_built_with, probe, write_table};
pub use sampler::{Sampler, SamplerError, SamplerReport, StreamPlan};
pub use watch::RestoreWatch;
