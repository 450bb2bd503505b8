//! A runbook that a drill followed: what came of each of its steps.

use drdrill_core::event::StepOutcome;
use drdrill_core::record::{FollowedRunbook, FollowedStep};
use drdrill_core::runbook::{Phase, Runbook, RunbookStep, StepBy};
use drdrill_core::tabletop::Participant;
use drdrill_core::time::{At, millis};

use super::case::{Case, ServiceStory};
use super::digest::Digest;

/// A runbook that is followed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Followed<'a> {
    pub(crate) runbook: &'a Runbook,
    pub(crate) sha256: &'a str,
    pub(crate) scripted: bool,
    pub(crate) participants: &'a [Participant],
}

/// What the history says of one of its steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walked<'a> {
    pub(crate) step: &'a str,
    pub(crate) who: &'a str,
    pub(crate) started: At,
    /// When it ended, how, and what was said.
    pub(crate) ended: Option<(At, StepOutcome, &'a str)>,
}

/// What the history says of a step of the runbook.
pub(crate) fn walked<'a>(digest: &'a Digest<'_>, step: &RunbookStep) -> Option<&'a Walked<'a>> {
    digest.walked.iter().find(|walked| walked.step == step.name)
}

/// The runbook, as the drill carried it out.
pub(crate) fn record(case: &Case<'_>) -> Option<FollowedRunbook> {
    let digest = case.digest;
    let followed = digest.followed?;
    let steps: Vec<FollowedStep> =
        followed.runbook.steps.iter().map(|step| of_step(digest, step)).collect();
    let by_people = steps.iter().filter(|step| step.by == StepBy::Person);
    let did_something = by_people.clone().any(|step| {
        step.phase == Phase::FailOver
            && step.outcome != Some(StepOutcome::Skipped)
            && step.started_ms.is_some()
    });
    let went_back = digest.milestone(drdrill_core::event::Milestone::FailbackFinished).is_some();
    let to_take_back =
        if did_something && !went_back { followed.runbook.rollback.clone() } else { Vec::new() };
    Some(FollowedRunbook {
        name: followed.runbook.runbook.clone(),
        sha256: followed.sha256.to_owned(),
        scripted: followed.scripted,
        participants: followed.participants.to_vec(),
        by_people_ms: by_people_took(case, digest, &steps),
        steps,
        to_take_back,
    })
}

/// How long people took until the service was restored; until the end where it never was.
fn by_people_took(case: &Case<'_>, digest: &Digest<'_>, steps: &[FollowedStep]) -> f64 {
    let restored: Option<Vec<At>> =
        case.services.iter().map(|service: &ServiceStory<'_>| service.rto.restored_by).collect();
    let restored = restored.and_then(|all| all.into_iter().max()).unwrap_or(digest.end).ms();
    let waited = digest.waited_until().unwrap_or(digest.end).ms();
    let people =
        steps.iter().filter(|step| step.by == StepBy::Person && step.phase.counts_to_recovery());
    let took = people.filter_map(|step| {
        let until = step.finished_ms.unwrap_or(waited).min(restored);
        Some((until - step.started_ms?).max(0.0))
    });
    took.sum()
}

fn of_step(digest: &Digest<'_>, step: &RunbookStep) -> FollowedStep {
    let walked = walked(digest, step);
    let ended = walked.and_then(|walked| walked.ended);
    FollowedStep {
        name: step.name.clone(),
        phase: step.phase,
        owner: step.owner.clone(),
        by: step.by(),
        who: walked.map(|walked| walked.who.to_owned()),
        within_ms: millis(step.within.0),
        started_ms: walked.map(|walked| walked.started.ms()),
        finished_ms: ended.map(|(at, ..)| at.ms()),
        outcome: ended.map(|(_, outcome, _)| outcome),
        note: ended.map(|(.., note)| note.to_owned()).unwrap_or_default(),
        otherwise: step.otherwise.clone(),
    }
}
