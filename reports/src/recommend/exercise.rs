//! Rules about tabletop exercises.

use drdrill_core::record::Record;
use drdrill_core::tabletop::StepResult;

use super::{Advice, Rule};
use crate::figures::duration;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "tabletop_step_failed",
        when: "people could not do a step as the runbook says",
        advise: failed,
    },
    Rule {
        id: "tabletop_step_slow",
        when: "a step takes longer than the runbook gives it",
        advise: slow,
    },
    Rule { id: "tabletop_step_skipped", when: "a step was not walked through", advise: skipped },
];

fn failed(record: &Record) -> Vec<Advice> {
    let steps = record.tabletop.iter().flat_map(|tabletop| &tabletop.steps);
    let failed = steps.filter(|step| step.result == StepResult::Failed);
    let advise = |step: &drdrill_core::record::TabletopStep| {
        let text = format!(
            "Change step {} of the runbook so that {} can do it, or give them what they lack; then walk through it again.",
            step.name, step.owner
        );
        Advice::new(text, step.issues.iter().map(|issue| format!("issue: {issue}")))
    };
    failed.map(advise).collect()
}

fn slow(record: &Record) -> Vec<Advice> {
    let steps = record.tabletop.iter().flat_map(|tabletop| &tabletop.steps);
    let late = steps.filter_map(|step| {
        let takes = step.takes_ms.filter(|takes| *takes > step.within_ms)?;
        let text = format!(
            "Step {} takes longer than the runbook gives it: prepare or automate it, or plan with the longer time.",
            step.name
        );
        let (takes, within) = (duration(takes), duration(step.within_ms));
        Some(Advice::new(text, [format!("takes {takes}, within {within}")]))
    });
    late.collect()
}

fn skipped(record: &Record) -> Vec<Advice> {
    let Some(tabletop) = &record.tabletop else { return Vec::new() };
    let skipped: Vec<String> = tabletop
        .steps
        .iter()
        .filter(|step| step.result == StepResult::Skipped)
        .map(|step| step.name.clone())
        .collect();
    if skipped.is_empty() {
        return Vec::new();
    }
    let text = "Walk through the steps that were left out: of them the exercise says nothing.";
    vec![Advice::new(text, [format!("skipped: {}", skipped.join(", "))])]
}
