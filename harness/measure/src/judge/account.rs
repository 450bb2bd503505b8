//! The parts of the record that only restate the history: faults, steps, functions.

use drdrill_core::action::Belt;
use drdrill_core::event::StepOutcome;
use drdrill_core::record::{Fault, Functionality, Step};
use drdrill_core::time::{At, millis};

use super::digest::Digest;

/// The faults, by their entry in the undo ledger.
pub(crate) fn faults(digest: &Digest<'_>) -> Vec<Fault> {
    let belt = |belt: &Belt| {
        match belt {
            Belt::Kernel => "kernel",
            Belt::Journal => "journal",
            Belt::Far => "far",
        }
        .to_owned()
    };
    let all = digest.faults.iter().map(|(id, fault)| Fault {
        id: *id,
        kind: fault.kind.clone(),
        target: fault.target.clone(),
        via: fault.via.clone(),
        belts: fault.belts.iter().map(belt).collect(),
        applied_ms: fault.applying.map(At::ms),
        in_effect_ms: fault.in_effect.as_ref().map(|(at, _)| at.ms()),
        reverted_ms: fault.reverted.map(|(_, at)| at.ms()),
        proof: fault.in_effect.as_ref().map(|(_, proof)| proof.clone()),
    });
    all.collect()
}

/// The steps of the plans. A rollback that was done is not a step of its own: it marks the step it took back. One
/// that was not done stays in the list.
pub(crate) fn steps(digest: &Digest<'_>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for step in &digest.steps {
        if step.rollback && step.outcome == StepOutcome::Done {
            let mut earlier = steps.iter_mut().rev();
            if let Some(taken_back) = earlier.find(|earlier| {
                earlier.name == step.name && earlier.site == step.site && !earlier.rolled_back
            }) {
                taken_back.rolled_back = true;
                continue;
            }
        }
        let name =
            if step.rollback { format!("{} (rollback)", step.name) } else { step.name.to_owned() };
        steps.push(Step {
            name,
            action: step.action.to_owned(),
            site: step.site.to_owned(),
            started_ms: step.started.ms(),
            finished_ms: step.finished.ms(),
            outcome: step.outcome,
            rolled_back: false,
            detail: step.detail.to_owned(),
        });
    }
    steps
}

/// The functionality checks.
pub(crate) fn functionality(digest: &Digest<'_>) -> Vec<Functionality> {
    let all = digest.functions.iter().map(|check| Functionality {
        name: check.name.to_owned(),
        site: check.site.to_owned(),
        when: check.when,
        outcome: check.verdict,
        took_ms: millis(check.finished.since(check.started)),
        detail: check.detail.to_owned(),
    });
    all.collect()
}
