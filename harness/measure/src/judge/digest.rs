//! A history sorted by what it is about. Nothing in it depends on the order in which entries were written.

use std::collections::{BTreeMap, BTreeSet};

use drdrill_core::action::Belt;
use drdrill_core::environment::FoundWrites;
use drdrill_core::event::{
    AbortCause, DrillStarted, Entry, Event, Milestone, Stage, StepOutcome, When,
};
use drdrill_core::probe::Purpose;
use drdrill_core::record::{Leftover, ToldOf};
use drdrill_core::sample::Sample;
use drdrill_core::time::At;
use drdrill_core::verdict::Verdict;

use super::runbook::{Followed, Walked};
use super::shots::{Shot, StreamShots};

/// A history that cannot be judged at all.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JudgeError {
    /// The line that says what the drill was is missing.
    #[error(
        "judge the history: it has no `drill_started` entry, so nothing says what it was about"
    )]
    NoStart,
    /// Two drills in one history.
    #[error("judge the history: it has more than one `drill_started` entry")]
    TwoStarts,
    /// A sample of a stream that the first line does not name.
    #[error(
        "judge the history: a sample belongs to stream {0}, which `drill_started` does not name"
    )]
    UnknownStream(u16),
}

/// What is known of one fault.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultFacts {
    pub(crate) kind: String,
    pub(crate) target: String,
    pub(crate) via: String,
    pub(crate) belts: Vec<Belt>,
    pub(crate) applying: Option<At>,
    pub(crate) in_effect: Option<(At, String)>,
    pub(crate) without_effect: Option<String>,
    pub(crate) failed: Option<String>,
    pub(crate) ended: Option<String>,
    pub(crate) reverted: Option<(At, At)>,
}

/// A fault that was seen in effect: it began after `from` and before `at`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Disaster {
    /// F−.
    pub(crate) from: At,
    /// F+.
    pub(crate) at: At,
}

/// A step of a plan.
#[derive(Clone, Debug)]
pub(crate) struct StepFacts<'a> {
    pub(crate) name: &'a str,
    pub(crate) action: &'a str,
    pub(crate) site: &'a str,
    pub(crate) started: At,
    pub(crate) finished: At,
    pub(crate) outcome: StepOutcome,
    pub(crate) rollback: bool,
    pub(crate) detail: &'a str,
}

/// A functionality check.
#[derive(Clone, Debug)]
pub(crate) struct FunctionFacts<'a> {
    pub(crate) name: &'a str,
    pub(crate) site: &'a str,
    pub(crate) when: When,
    pub(crate) started: At,
    pub(crate) finished: At,
    pub(crate) verdict: Verdict,
    pub(crate) detail: &'a str,
}

/// A read-back of all writes from one side.
#[derive(Clone, Debug)]
pub(crate) struct ReadBack<'a> {
    pub(crate) site: &'a str,
    pub(crate) service: &'a str,
    pub(crate) when: When,
    pub(crate) started: At,
    pub(crate) authoritative: bool,
    pub(crate) found: &'a FoundWrites,
}

/// A sorted history.
#[derive(Debug)]
pub(crate) struct Digest<'a> {
    pub(crate) start: &'a DrillStarted,
    pub(crate) streams: Vec<StreamShots>,
    /// Samples of writes that succeeded.
    pub(crate) acknowledged: Vec<&'a Sample>,
    /// Samples that say what they did to data.
    pub(crate) deeds: Vec<&'a Sample>,
    pub(crate) faults: BTreeMap<u32, FaultFacts>,
    pub(crate) stages: Vec<(At, Stage)>,
    pub(crate) milestones: Vec<(At, Milestone)>,
    pub(crate) steps: Vec<StepFacts<'a>>,
    pub(crate) functions: Vec<FunctionFacts<'a>>,
    pub(crate) reads: Vec<ReadBack<'a>>,
    pub(crate) unreadable: Vec<(&'a str, When, &'a str)>,
    pub(crate) lags: Vec<(At, Option<u64>)>,
    pub(crate) clock_steps: Vec<(At, i64)>,
    pub(crate) aborted: Option<(At, AbortCause, &'a str)>,
    pub(crate) leftovers: Vec<Leftover>,
    pub(crate) notices: Vec<ToldOf>,
    /// The runbook that is followed.
    pub(crate) followed: Option<Followed<'a>>,
    /// Its steps, as far as they began.
    pub(crate) walked: Vec<Walked<'a>>,
    /// Commands whose undo was on disk, by their entry in the ledger.
    pub(crate) commands: BTreeMap<u32, &'a str>,
    /// Those of them that were taken back.
    pub(crate) taken_back: BTreeSet<u32>,
    pub(crate) finished: Option<(At, &'a str)>,
    /// The last instant of the drill.
    pub(crate) end: At,
}

impl<'a> Digest<'a> {
    pub(crate) fn new(history: &'a [Entry]) -> Result<Self, JudgeError> {
        let mut starts = history.iter().filter_map(|entry| match &entry.event {
            Event::DrillStarted(start) => Some(start.as_ref()),
            _ => None,
        });
        let start = starts.next().ok_or(JudgeError::NoStart)?;
        if starts.next().is_some() {
            return Err(JudgeError::TwoStarts);
        }
        let mut digest = Self {
            start,
            streams: Vec::new(),
            acknowledged: Vec::new(),
            deeds: Vec::new(),
            faults: BTreeMap::new(),
            stages: Vec::new(),
            milestones: Vec::new(),
            steps: Vec::new(),
            functions: Vec::new(),
            reads: Vec::new(),
            unreadable: Vec::new(),
            lags: Vec::new(),
            clock_steps: Vec::new(),
            aborted: None,
            leftovers: Vec::new(),
            notices: Vec::new(),
            followed: None,
            walked: Vec::new(),
            commands: BTreeMap::new(),
            taken_back: BTreeSet::new(),
            finished: None,
            end: At(0),
        };
        let writes = start.streams.iter().filter(|stream| stream.purpose == Purpose::Write);
        let writes: BTreeSet<u16> = writes.map(|stream| stream.id).collect();
        let mut shots: BTreeMap<u16, Vec<Shot>> = BTreeMap::new();
        for entry in history {
            if let Event::Sample(sample) = &entry.event {
                shots.entry(sample.stream).or_default().push(sample.into());
                if sample.outcome.is_ok() && writes.contains(&sample.stream) {
                    digest.acknowledged.push(sample);
                }
                if sample.deed.is_some() {
                    digest.deeds.push(sample);
                }
            } else {
                digest.file(entry);
            }
        }
        for facts in &start.streams {
            let shots = shots.remove(&facts.id).unwrap_or_default();
            digest.streams.push(StreamShots::new(facts, shots));
        }
        if let Some(stream) = shots.keys().next() {
            return Err(JudgeError::UnknownStream(*stream));
        }
        digest.sort();
        Ok(digest)
    }

    fn file(&mut self, entry: &'a Entry) {
        let at = entry.at;
        match &entry.event {
            Event::StageStarted(stage) => self.stages.push((at, *stage)),
            Event::Milestone { milestone, at } => self.milestones.push((*at, *milestone)),
            Event::Step { name, action, site, started, finished, outcome, rollback, detail } => {
                self.steps.push(StepFacts {
                    name,
                    action,
                    site,
                    started: *started,
                    finished: *finished,
                    outcome: *outcome,
                    rollback: *rollback,
                    detail,
                });
            }
            Event::FunctionChecked { name, site, when, started, finished, verdict, detail } => {
                self.functions.push(FunctionFacts {
                    name,
                    site,
                    when: *when,
                    started: *started,
                    finished: *finished,
                    verdict: *verdict,
                    detail,
                });
            }
            Event::WritesFound { site, service, when, started, authoritative, found } => {
                self.reads.push(ReadBack {
                    site,
                    service,
                    when: *when,
                    started: *started,
                    authoritative: *authoritative,
                    found,
                });
            }
            Event::WritesUnreadable { site, when, error } => {
                self.unreadable.push((site, *when, error));
            }
            Event::ReplicationLag { lag_ms, .. } => self.lags.push((at, *lag_ms)),
            Event::ClockStepped { by_ns } => self.clock_steps.push((at, *by_ns)),
            Event::Aborted { cause, reason } => {
                if self.aborted.is_none_or(|(first, ..)| at < first) {
                    self.aborted = Some((at, *cause, reason));
                }
            }
            Event::Notified { to, by, kind, severity, due, error } => self.notices.push(ToldOf {
                to: to.clone(),
                by: by.clone(),
                kind: *kind,
                severity: *severity,
                due_ms: due.ms(),
                error: error.clone(),
            }),
            Event::DrillFinished { finished_at } => self.finished = Some((at, finished_at)),
            Event::RunbookFollowed { .. }
            | Event::RunbookStepStarted { .. }
            | Event::RunbookStep { .. }
            | Event::CommandPlanned { .. }
            | Event::CommandTakenBack { .. }
            | Event::CommandStuck { .. } => self.file_runbook(entry),
            other => self.file_fault(other),
        }
    }

    fn file_runbook(&mut self, entry: &'a Entry) {
        match &entry.event {
            Event::RunbookFollowed { runbook, runbook_sha256, scripted, participants } => {
                self.followed = Some(Followed {
                    runbook,
                    sha256: runbook_sha256,
                    scripted: *scripted,
                    participants,
                });
            }
            Event::RunbookStepStarted { step, who, .. } => {
                self.walk(step, entry.at).who = who;
            }
            Event::RunbookStep { step, started, finished, outcome, note } => {
                let walked = self.walk(step, *started);
                walked.started = *started;
                walked.ended = Some((*finished, *outcome, note));
            }
            Event::CommandPlanned { id, name } => {
                self.commands.insert(*id, name);
            }
            Event::CommandTakenBack { id, .. } => {
                self.taken_back.insert(*id);
            }
            Event::CommandStuck { id, name, error, residue, by_hand } => {
                self.leftovers.push(Leftover {
                    id: *id,
                    kind: "command".to_owned(),
                    target: name.clone(),
                    error: error.clone(),
                    residue: residue.clone(),
                    by_hand: by_hand.clone(),
                });
            }
            _ => {}
        }
    }

    /// What is known of a step of the runbook; its lines may come in any order.
    fn walk(&mut self, step: &'a str, at: At) -> &mut Walked<'a> {
        let found = self.walked.iter().position(|walked| walked.step == step);
        let index = found.unwrap_or_else(|| {
            self.walked.push(Walked { step, who: "", started: at, ended: None });
            self.walked.len() - 1
        });
        &mut self.walked[index]
    }

    fn file_fault(&mut self, event: &'a Event) {
        match event {
            Event::FaultPlanned { id, kind, target, via, belts, .. } => {
                let fault = self.fault(*id);
                fault.kind.clone_from(kind);
                fault.target.clone_from(target);
                fault.via.clone_from(via);
                fault.belts.clone_from(belts);
            }
            Event::FaultApplying { id, from } => self.fault(*id).applying = Some(*from),
            Event::FaultApplyFailed { id, error } => self.fault(*id).failed = Some(error.clone()),
            Event::FaultInEffect { id, at, proof } => {
                self.fault(*id).in_effect = Some((*at, proof.clone()));
            }
            Event::FaultWithoutEffect { id, detail } => {
                self.fault(*id).without_effect = Some(detail.clone());
            }
            Event::FaultEnded { id, detail, .. } => {
                self.fault(*id).ended = Some(detail.clone());
            }
            Event::FaultReverted { id, from, at } => self.fault(*id).reverted = Some((*from, *at)),
            Event::FaultStuck { id, error, residue, by_hand } => self.leftovers.push(Leftover {
                id: *id,
                kind: String::new(),
                target: String::new(),
                error: error.clone(),
                residue: residue.clone(),
                by_hand: by_hand.clone(),
            }),
            Event::EnvironmentStuck { id, name, error, residue, by_hand } => {
                self.leftovers.push(Leftover {
                    id: *id,
                    kind: "environment".to_owned(),
                    target: name.clone(),
                    error: error.clone(),
                    residue: residue.clone(),
                    by_hand: by_hand.clone(),
                });
            }
            // What no judgement depends on.
            _ => {}
        }
    }

    fn fault(&mut self, id: u32) -> &mut FaultFacts {
        self.faults.entry(id).or_default()
    }

    fn sort(&mut self) {
        self.stages.sort_by_key(|(at, _)| *at);
        self.milestones.sort_by_key(|(at, _)| *at);
        self.steps.sort_by_key(|step| (step.started, step.finished, step.name, step.site));
        self.functions.sort_by_key(|check| (check.started, check.finished, check.name, check.site));
        self.reads.sort_by_key(|read| (read.started, read.site, read.service));
        self.unreadable.sort_by_key(|(site, when, error)| (*site, *when as u8, *error));
        self.clock_steps.sort_unstable();
        self.lags.sort_unstable();
        self.walked.sort_by_key(|walked| (walked.started, walked.step));
        let taken_back = &self.taken_back;
        self.leftovers.retain(|left| !taken_back.contains(&left.id));
        // A fault that was stuck once and reverted by a later attempt is no leftover.
        let faults = &self.faults;
        self.leftovers.retain_mut(|leftover| {
            let Some(fault) = faults.get(&leftover.id) else {
                return true;
            };
            leftover.kind.clone_from(&fault.kind);
            leftover.target.clone_from(&fault.target);
            fault.reverted.is_none()
        });
        self.leftovers.sort_by(|a, b| (a.id, &a.error).cmp(&(b.id, &b.error)));
        self.notices.sort_by(|a, b| a.due_ms.total_cmp(&b.due_ms).then_with(|| a.to.cmp(&b.to)));
        self.end = self.finished.map_or_else(|| self.last_instant(), |(at, _)| at);
    }

    /// Where a history that was cut off ends: the last thing that judging knows of.
    fn last_instant(&self) -> At {
        let shots = self.streams.iter().flat_map(|stream| &stream.shots);
        let stages = self.stages.iter().map(|(at, _)| *at);
        let steps = self.steps.iter().map(|step| step.finished);
        let walked =
            self.walked.iter().map(|walked| walked.ended.map_or(walked.started, |(at, ..)| at));
        let all = shots.map(|shot| shot.done).chain(stages).chain(steps).chain(walked);
        all.max().unwrap_or_default()
    }

    /// The faults that were seen in effect, in the order of their application.
    pub(crate) fn disasters(&self) -> Vec<Disaster> {
        let mut all: Vec<_> = self
            .faults
            .values()
            .filter_map(|fault| {
                let from = fault.applying?;
                let at = fault.in_effect.as_ref()?.0;
                Some(Disaster { from, at: at.max(from) })
            })
            .collect();
        all.sort_by_key(|disaster| (disaster.from, disaster.at));
        all
    }

    /// When the drill stopped waiting for the recovery: what comes back after that, the drill brought back.
    pub(crate) fn waited_until(&self) -> Option<At> {
        let stages = self.stages.iter().filter_map(|(at, stage)| {
            use Stage::{Audit, Closing, Failback, Undo};
            matches!(stage, Undo | Failback | Audit | Closing).then_some(*at)
        });
        let failback = self.milestone(Milestone::FailbackStarted);
        let reverts = self.faults.values().filter_map(|fault| fault.reverted);
        let reverts = reverts.map(|(from, _)| from);
        stages.chain(failback).chain(reverts).min()
    }

    /// When the drill first touched the system: F− of its first fault, whether that was seen in effect or not.
    pub(crate) fn first_applied(&self) -> Option<At> {
        self.faults.values().filter_map(|fault| fault.applying).min()
    }

    /// When the system decided to fail over, or did, although nothing had been broken yet.
    pub(crate) fn failed_over_early(&self) -> Option<At> {
        let applied = self.first_applied();
        let mut early = self.milestones.iter().filter(|(at, milestone)| {
            matches!(milestone, Milestone::Decided | Milestone::FailedOver)
                && applied.is_none_or(|applied| *at < applied)
        });
        // Whoever follows a runbook before anything is broken answers an alarm of another cause.
        let asked = self.walked.iter().map(|walked| walked.started);
        let asked = asked.filter(|at| applied.is_none_or(|applied| *at < applied)).min();
        early.next().map(|(at, _)| *at).into_iter().chain(asked).min()
    }

    /// When a milestone was first passed at `from` or later.
    pub(crate) fn milestone_since(&self, wanted: Milestone, from: At) -> Option<At> {
        let mut found = self.milestones.iter().filter(|(at, m)| *m == wanted && *at >= from);
        found.next().map(|(at, _)| *at)
    }

    /// When a milestone was first passed.
    pub(crate) fn milestone(&self, wanted: Milestone) -> Option<At> {
        self.milestone_since(wanted, At(0))
    }

    /// Whether the drill went its whole way: it was neither aborted nor cut off.
    pub(crate) fn is_complete(&self) -> bool {
        self.aborted.is_none() && self.finished.is_some()
    }
}
