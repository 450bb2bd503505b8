//! Recovery point achieved: what became of every acknowledged write.
//!
//! Source: measurement.md section 2, "RPO". A read-back says something only about writes that were acknowledged
//! before it began. The loss is the one seen after the recovery; a read-back after failback adds its own loss and
//! shows what came back. Without a read-back from the side that decides, nothing is known: never zero. The books
//! themselves, who is lost and what is wrong, are kept by `drdrill_histories::accounting`.

use std::collections::BTreeSet;
use std::time::Duration;

use drdrill_core::event::When;
use drdrill_core::probe::Purpose;
use drdrill_core::record::{Rpo, SplitBrain, Writes};
use drdrill_core::time::{At, Bounds, millis};
use drdrill_core::verdict::Verdict;
use drdrill_histories::Books;
use drdrill_histories::accounting::Tally;
use drdrill_histories::operation::Outcome;

use super::digest::{Digest, Disaster, ReadBack};
use super::rto::EARLY;
use super::shots::{Class, Shot, StreamShots, ratio};
use super::text::{percent, show, show_bounds};

/// Acknowledgements before the fault among which the resolution is looked for.
const NEAR: usize = 100;

/// The recovery point of a service, and why it is judged as it is.
#[derive(Clone, Debug)]
pub(crate) struct RpoStory {
    pub(crate) rpo: Rpo,
    pub(crate) reason: String,
    /// Writes that were acknowledged after the fault and are lost.
    pub(crate) lost_after_fault: Option<SplitBrain>,
    /// Sequence numbers of lost writes, for findings.
    pub(crate) lost: Vec<u64>,
}

/// Judges one service; `None` when it has no stream of writes.
pub(crate) fn judge(
    digest: &Digest<'_>,
    service: &str,
    disaster: Option<Disaster>,
    target: Option<Duration>,
) -> Option<RpoStory> {
    let mut writers = digest
        .streams
        .iter()
        .filter(|stream| stream.facts.service == service && stream.facts.purpose == Purpose::Write);
    let writer = writers.next()?;
    if writers.next().is_some() {
        let why = "several streams of writes share its sequence numbers";
        return Some(unmeasured(service, target, Writes::default(), why));
    }
    let own = digest.reads.iter().filter(|read| read.service == service);
    let reads: Vec<&ReadBack<'_>> = own.filter(|read| read.authoritative).collect();
    let audit = Audit::new(writer, &reads, digest);
    Some(audit.judge(service, disaster, target))
}

/// The writes of one service and what was read back of them.
struct Audit<'a> {
    writer: &'a StreamShots,
    reads: &'a [&'a ReadBack<'a>],
    /// The last one after the recovery.
    recovery: Option<&'a ReadBack<'a>>,
    /// The last one after failback.
    failback: Option<&'a ReadBack<'a>>,
    /// Whether the history has a sample of every attempt.
    complete: bool,
    /// Whether the system failed over before anything was broken.
    early: bool,
    /// Whether the data was restored from backups: what was acknowledged after the fault and is lost was then written to
    /// the damaged data by the one side that decided, and never by two.
    restored: bool,
}

impl<'a> Audit<'a> {
    fn new(writer: &'a StreamShots, reads: &'a [&'a ReadBack<'a>], digest: &Digest<'_>) -> Self {
        let last = |when| reads.iter().rev().find(|read| read.when == when).copied();
        Self {
            writer,
            reads,
            recovery: last(When::AfterRecovery),
            failback: last(When::AfterFailback),
            complete: digest.finished.is_some(),
            early: digest.failed_over_early().is_some(),
            restored: digest.start.scenario.recovery.restore.is_some(),
        }
    }

    fn judge(
        &self,
        service: &str,
        disaster: Option<Disaster>,
        target: Option<Duration>,
    ) -> RpoStory {
        let writes = self.classes();
        let Some(recovery) = self.recovery else {
            let why = "no side that decides was read back after the recovery";
            return unmeasured(service, target, writes, why);
        };
        let Some(disaster) = disaster else {
            let why = if self.early { EARLY } else { "no fault was in effect" };
            return unmeasured(service, target, writes, why);
        };
        if writes.acknowledged == 0 {
            return unmeasured(service, target, writes, "no write was acknowledged");
        }
        let lost = self.lost_at(recovery);
        // Sent after the fault was seen in effect: nobody but a side that should not have decided, or the new
        // primary itself, can have acknowledged it. One that was under way belongs to the age.
        let (after, before): (Vec<Shot>, Vec<Shot>) =
            lost.iter().partition(|shot| shot.sent > disaster.at);
        let bounds = age(&before, disaster);
        let resolution = self.resolution(disaster);
        let verdict = verdict(bounds, lost.len(), target);
        let bytes = self.writer.facts.write_bytes;
        let lost_count = count(lost.len());
        let reason = if lost.is_empty() {
            format!(
                "0 of {} acknowledged writes lost; resolution {}",
                writes.acknowledged,
                resolution.map_or_else(|| "unknown".to_owned(), show)
            )
        } else {
            format!(
                "{lost_count} of {} acknowledged writes lost ({}), the first acknowledged {} before the fault; {}",
                writes.acknowledged,
                percent(ratio(lost_count, writes.acknowledged)),
                show_bounds(bounds.at_least, bounds.at_most),
                target.map_or_else(
                    || "no objective was set".to_owned(),
                    |target| format!("the objective is {}", show(target))
                )
            )
        };
        RpoStory {
            rpo: Rpo {
                target_ms: target.map(millis),
                at_least_ms: Some(millis(bounds.at_least)),
                at_most_ms: bounds.at_most.map(millis),
                verdict,
                writes,
                lost_bytes: lost_count * bytes,
                lost_after_fault: count(after.len()),
                span_ms: span(&before),
                holes: self.holes(&before, recovery, disaster),
                resolution_ms: resolution.map(millis),
                failback_lost: self.failback_lost(recovery),
            },
            reason: format!("{service}: {reason}"),
            lost_after_fault: if self.restored { None } else { lost_after_fault(service, &after) },
            lost: lost.iter().map(|shot| shot.sequence).collect(),
        }
    }

    /// Acknowledged writes that a read-back could have seen and did not.
    fn lost_at(&self, read: &ReadBack<'_>) -> Vec<Shot> {
        let lost = self.account(&[read]).lost().iter().copied().collect::<BTreeSet<u64>>();
        let shots = self.writer.shots.iter().copied();
        shots.filter(|shot| shot.is_ok() && lost.contains(&shot.sequence)).collect()
    }

    /// The books of all writes and these read-backs, entered in the order of time.
    fn account(&self, reads: &[&ReadBack<'_>]) -> Books {
        let mut books = Books::default();
        let mut shots = self.writer.shots.clone();
        shots.sort_by_key(|shot| shot.done);
        let mut shots = shots.into_iter().peekable();
        let mut reads = reads.to_vec();
        reads.sort_by_key(|read| read.started);
        for read in reads {
            while let Some(shot) = shots.next_if(|shot| shot.done <= read.started) {
                books.write(shot.sequence, outcome(shot));
            }
            enter(&mut books, read);
        }
        shots.for_each(|shot| books.write(shot.sequence, outcome(shot)));
        books
    }

    fn classes(&self) -> Writes {
        let books = self.account(self.reads);
        let Tally {
            acknowledged, duplicate, corrupt, resurrected, refused, unsent, strays, ..
        } = books.tally();
        // Of our own errors we know neither that they were sent nor that they were not: they are in no class.
        let shots = self.writer.shots.iter();
        let unknown = shots.filter(|shot| shot.class == Class::Unknown);
        let (recovered, unresolved): (Vec<&Shot>, Vec<&Shot>) =
            unknown.partition(|shot| books.holds(shot.sequence));
        // A history that was cut off does not tell what else was sent.
        let unsent = if self.complete { unsent.count } else { 0 };
        Writes {
            acknowledged,
            lost: self.recovery.map_or(0, |read| count(self.lost_at(read).len())),
            duplicate: duplicate.count,
            phantom: refused.count + unsent + count(strays.len()),
            corrupt: corrupt.count,
            resurrected: resurrected.count,
            recovered: count(recovered.len()),
            unresolved: count(unresolved.len()),
        }
    }

    /// Acknowledged before the read-back after failback, absent from it, and not lost before.
    fn failback_lost(&self, recovery: &ReadBack<'_>) -> Option<u64> {
        let failback = self.failback?;
        let before = self.lost_at(recovery);
        let before: BTreeSet<u64> = before.iter().map(|shot| shot.sequence).collect();
        let lost = self.lost_at(failback);
        let lost = lost.iter().filter(|shot| !before.contains(&shot.sequence));
        Some(count(lost.count()))
    }

    /// Survivors that were acknowledged later than the first loss and sent before the fault.
    fn holes(&self, lost: &[Shot], recovery: &ReadBack<'_>, disaster: Disaster) -> u64 {
        let Some(first) = lost.iter().map(|shot| shot.done).min() else {
            return 0;
        };
        let survivors = self.writer.shots.iter().filter(|shot| {
            shot.is_ok()
                && shot.done > first
                && shot.sent <= disaster.at
                && shot.done <= recovery.started
                && recovery.found.present.contains(shot.sequence)
        });
        count(survivors.count())
    }

    /// The largest distance between acknowledgements near the fault, the distance from the last one to F− included.
    /// A write lost in between would not have been seen, so the largest is the honest one; the median would
    /// promise more than was looked at.
    fn resolution(&self, disaster: Disaster) -> Option<Duration> {
        let shots = self.writer.shots.iter();
        let mut acked: Vec<At> = shots
            .filter(|shot| shot.is_ok() && shot.done <= disaster.from)
            .map(|shot| shot.done)
            .collect();
        acked.sort_unstable();
        let near = &acked[acked.len().saturating_sub(NEAR)..];
        let last = disaster.from.since(*near.last()?);
        let gaps = near.windows(2).map(|pair| pair[1].since(pair[0]));
        Some(gaps.fold(last, Ord::max))
    }
}

/// What a sample says about its write.
fn outcome(shot: Shot) -> Outcome {
    match shot.class {
        Class::Ok => Outcome::Ok,
        Class::Failed => Outcome::Failed,
        Class::Unknown | Class::Ours => Outcome::Indeterminate,
    }
}

/// Enters a read-back.
fn enter(books: &mut Books, read: &ReadBack<'_>) {
    let mut reading = books.reading();
    let found = read.found;
    for id in found.present.iter() {
        reading.found(id, !found.corrupt.contains(id));
    }
    // What is there more than once, or with other content, is there, whether the list of what is there says so or not.
    for id in found.duplicate.iter().chain(found.corrupt.iter()) {
        if !found.present.contains(id) {
            reading.found(id, !found.corrupt.contains(id));
        }
    }
    for id in found.duplicate.iter() {
        reading.found(id, true);
    }
    for name in &found.phantom {
        reading.stray(name);
    }
    reading.end();
}

/// Age at the fault of the first lost write: `at_least = F− − acknowledged`, `at_most = F+ − sent`, not below 0.
fn age(lost: &[Shot], disaster: Disaster) -> Bounds {
    let acked = lost.iter().map(|shot| shot.done).min();
    let sent = lost.iter().map(|shot| shot.sent).min();
    let (Some(acked), Some(sent)) = (acked, sent) else {
        return Bounds { at_least: Duration::ZERO, at_most: Some(Duration::ZERO) };
    };
    Bounds { at_least: disaster.from.since(acked), at_most: Some(disaster.at.since(sent)) }
}

fn verdict(bounds: Bounds, lost: usize, target: Option<Duration>) -> Verdict {
    match target {
        None => Verdict::Pass,
        Some(_) if lost == 0 => Verdict::Pass,
        Some(target) if target.is_zero() => Verdict::Fail,
        Some(target) => bounds.within(target),
    }
}

fn span(losses: &[Shot]) -> f64 {
    let acknowledged = || losses.iter().map(|shot| shot.done);
    let (first, last) = (acknowledged().min(), acknowledged().max());
    millis(last.unwrap_or_default().since(first.unwrap_or_default()))
}

fn lost_after_fault(service: &str, after: &[Shot]) -> Option<SplitBrain> {
    let from = after.iter().map(|shot| shot.sent).min()?;
    let to = after.iter().map(|shot| shot.done).max()?;
    Some(SplitBrain {
        from_ms: from.ms(),
        to_ms: to.ms(),
        detail: format!(
            "{service}: {} writes were acknowledged after the fault was in effect, and the side that decides does \
             not hold them",
            after.len()
        ),
    })
}

fn unmeasured(service: &str, target: Option<Duration>, writes: Writes, why: &str) -> RpoStory {
    RpoStory {
        rpo: Rpo {
            target_ms: target.map(millis),
            at_least_ms: None,
            at_most_ms: None,
            verdict: Verdict::Unknown,
            writes,
            lost_bytes: 0,
            lost_after_fault: 0,
            span_ms: 0.0,
            holes: 0,
            resolution_ms: None,
            failback_lost: None,
        },
        reason: format!("{service}: the recovery point was not measured: {why}"),
        lost_after_fault: None,
        lost: Vec::new(),
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
