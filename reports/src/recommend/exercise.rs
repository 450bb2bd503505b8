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

#[cfg(test)]
mod tests {
    use drdrill_core::record::{Tabletop, TabletopStep};
    use drdrill_core::runbook::Phase;
    use drdrill_core::tabletop::Conclusion;

    use super::*;
    use crate::recommend;
    use crate::testkit::{Case, Fixture};

    /// The rules that apply to an exercise of one step, of 10 s.
    fn rules(result: StepResult, takes_ms: Option<f64>) -> Vec<String> {
        let step = TabletopStep {
            name: "promote".into(),
            phase: Phase::FailOver,
            owner: "dba".into(),
            within_ms: 10_000.0,
            takes_ms,
            presented_ms: None,
            answered_ms: None,
            result,
            decision: String::new(),
            issues: vec!["no key".into()],
            lessons: Vec::new(),
        };
        let tabletop = Tabletop {
            runbook: "r".into(),
            runbook_sha256: "00".into(),
            scripted: true,
            participants: Vec::new(),
            steps: vec![step],
            judged_recovery_ms: None,
            conclusion: Conclusion::default(),
        };
        // Of a drill that failed, whose figures must not be looked at.
        let mut record = Fixture::build(Case::Failed).record;
        record.tabletop = Some(tabletop);
        recommend(&record).into_iter().map(|advice| advice.rule).collect()
    }

    #[test]
    fn each_rule_applies_to_what_it_is_about_and_to_nothing_else() {
        assert!(rules(StepResult::Done, Some(10_000.0)).is_empty());
        assert_eq!(rules(StepResult::Done, Some(10_001.0)), ["tabletop_step_slow"]);
        assert_eq!(rules(StepResult::Failed, None), ["tabletop_step_failed"]);
        assert_eq!(rules(StepResult::Skipped, None), ["tabletop_step_skipped"]);
    }
}
