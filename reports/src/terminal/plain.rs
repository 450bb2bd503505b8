//! One fact a line, for pipes and logs.

use drdrill_core::record::{FollowedStep, Record, Service, TabletopStep};
use drdrill_core::verdict::Verdict;

use super::facts::{clients, kept, kept_line};
use crate::escape::ci_log as clean;
use crate::figures::{self, duration};
use crate::{phases, story, words, workloads};

pub(super) fn summary(record: &Record, report: Option<&str>) -> String {
    let mut lines = vec![
        format!("drill: {} on {}", record.scenario.name, record.environment.name),
        format!("title: {}", record.scenario.title),
        format!("run: {}", record.run_id),
        format!("verdict: {} ({})", story::headline(record), record.verdict.word()),
        format!("summary: {}", story::summary(record)),
    ];
    lines.extend(record.reasons.iter().map(|reason| format!("reason: {reason}")));
    match &record.tabletop {
        Some(tabletop) => lines.extend(tabletop.steps.iter().map(step)),
        None => lines.extend(record.services.iter().flat_map(|one| service(record, one))),
    }
    lines.extend(
        phases::told(record)
            .iter()
            .map(|span| format!("phase {}: {}", span.phase.word(), span.took())),
    );
    if let Some(runbook) = &record.runbook {
        lines.extend(runbook.steps.iter().map(followed));
        let took = duration(runbook.by_people_ms);
        let answers = if runbook.scripted { ", by answers from a file" } else { "" };
        lines.push(format!("people: {took} of the time until the service was restored{answers}"));
        lines.extend(runbook.to_take_back.iter().map(|text| format!("by hand: {text}")));
    }
    lines.extend(record.functionality.iter().map(|check| {
        let (word, when) = (check.outcome.word(), words::when(check.when));
        let took = duration(check.took_ms);
        format!("function {} {when}: {word} in {took}; {}", check.name, check.detail)
    }));
    lines.extend(
        record
            .bystanders
            .iter()
            .map(|stream| format!("bystander {}: {}", stream.name, words::samples(stream.samples))),
    );
    lines.extend(record.split_brain.iter().map(|split| {
        let (from, to) = (figures::instant(split.from_ms), figures::instant(split.to_ms));
        format!("split brain: {from} to {to}: {}", split.detail)
    }));
    let notable = record.findings.iter().filter(|finding| finding.verdict != Verdict::Pass);
    lines.extend(notable.map(|finding| {
        format!("finding {}: {}: {}", finding.checker, finding.verdict.word(), finding.message)
    }));
    for left in &record.leftovers {
        lines.push(format!("left in place: {} on {}: {}", left.kind, left.target, left.error));
        lines.extend(left.residue.iter().map(|line| format!("left: {line}")));
        lines.extend(left.by_hand.lines().map(|line| format!("by hand: {line}")));
    }
    for advice in &record.recommendations {
        let evidence = advice.evidence.join("; ");
        lines.push(format!("recommendation {}: {} ({evidence})", advice.rule, advice.text));
    }
    lines.extend(report.map(|path| format!("report: {path}")));
    lines.iter().map(|line| clean(line) + "\n").collect()
}

/// A step of a tabletop exercise.
fn step(step: &TabletopStep) -> String {
    let takes = step.takes_ms.map_or_else(String::new, |ms| format!(", takes {}", duration(ms)));
    let (result, within) = (words::step_result(step.result), duration(step.within_ms));
    format!("step {}: {result}{takes}, within {within}, by {}", step.name, step.owner)
}

/// A step of a runbook that was followed.
fn followed(step: &FollowedStep) -> String {
    let within = duration(step.within_ms);
    let who = step.who.as_deref().unwrap_or(&step.owner);
    let note = if step.note.is_empty() { String::new() } else { format!("; {}", step.note) };
    let took = step.finished_ms.map_or_else(String::new, |_| format!(" in {}", words::took(step)));
    format!(
        "runbook step {}: {}{took}, within {within}, by {} ({who}){note}",
        step.name,
        words::followed(step),
        step.by.word()
    )
}

fn service(record: &Record, service: &Service) -> Vec<String> {
    let name = &service.name;
    let mut lines = vec![format!(
        "rto {name}: {}, target {}, {}",
        figures::rto(&service.rto),
        figures::at_most(service.rto.target_ms),
        service.rto.verdict.word()
    )];
    if let Some(rpo) = &service.rpo {
        lines.push(format!(
            "rpo {name}: {}, target {}, {}",
            figures::rpo(rpo),
            figures::at_most(rpo.target_ms),
            rpo.verdict.word()
        ));
        lines.push(format!("writes {name}: {}", words::writes(rpo)));
    }
    lines.push(format!(
        "rlo {name}: {}, target {}, {}",
        figures::rlo(&service.rlo),
        figures::at_least(service.rlo.target),
        service.rlo.verdict.word()
    ));
    lines.push(format!("clients {name}: {}", clients(service)));
    lines.extend(
        kept(service).map(|stream| format!("kept connection {name}: {}", kept_line(stream))),
    );
    lines.extend(words::way_back(record, service).map(|back| format!("way back {name}: {back}")));
    for found in workloads::of(service) {
        let (workload, verdict) = (found.name.to_lowercase(), found.verdict.word());
        lines.push(format!("{workload} {name}: {verdict}: {}", found.text));
        lines.extend(found.examples.iter().map(|example| format!("{workload} {name}: {example}")));
    }
    lines.push(format!("samples {name}: {}", words::samples(service.samples)));
    lines
}
