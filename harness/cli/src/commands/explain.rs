//! `drdrill explain`: what a drill would do, without doing it.

use drdrill_core::inventory::Inventory;
use drdrill_core::scenario::{Failover, Inject, Scenario};
use serde_json::json;

use crate::args::{DrillArgs, Format};
use crate::exit::{Code, Outcome};
use crate::{out, wiring};

/// Says what a drill would do.
pub(crate) fn explain(args: &DrillArgs) -> Outcome {
    let plan = wiring::plan(args)?;
    wiring::check_powers(&plan)?;
    if args.format.format == Format::Json {
        out::json(&json!({ "scenario": plan.scenario, "environment": plan.inventory }));
        return Ok(Code::Passed);
    }
    out::line(&out::harmless(&words(&plan.scenario, &plan.inventory)));
    Ok(Code::Passed)
}

fn words(scenario: &Scenario, inventory: &Inventory) -> String {
    let mut text = Text(String::new());
    text.line(&format!("{} on {}", scenario.title, inventory.environment));
    if !scenario.description.is_empty() {
        text.paragraph(&scenario.description);
    }
    text.head("Targets, per service (the stricter of scenario and environment)");
    for service in &inventory.services {
        let targets = scenario.targets.tightened_by(service.targets);
        let part = |name: &str, value: Option<String>| {
            value.map_or_else(|| format!("no {name}"), |value| format!("{name} {value}"))
        };
        text.item(&format!(
            "{} (tier {}): {}, {}, {}",
            service.name,
            service.tier,
            part("RTO", targets.rto.map(|one| one.to_string())),
            part("RPO", targets.rpo.map(|one| one.to_string())),
            part("RLO", targets.rlo.map(|one| one.to_string())),
        ));
    }
    text.head("What would happen");
    let mut number = 0;
    let mut step = |line: &str| {
        number += 1;
        text.line(&format!("  {number:>2}. {line}"));
    };
    step("The environment comes up; its undo is on disk first. A keeper process starts.");
    step(&format!(
        "Probes begin, one attempt each {}, at most {} per attempt; what comes before the first fault is the baseline.",
        scenario.probes.every, scenario.probes.deadline
    ));
    for fault in &scenario.faults {
        step(&format!("At {}: {}. {}", fault.at, what(&fault.inject), undo(&fault.inject)));
    }
    step(&match scenario.recovery.failover {
        Failover::BuiltIn => {
            let monitor = inventory.machinery.monitor;
            let word = if monitor.both { "and" } else { "or" };
            format!(
                "The health monitor looks every {}; after {} failures in a row {word} {} kinds of check failed it fails over: \
                 fence, activate, promote, redirect, see that it serves; rolled back in reverse order when a step fails.",
                monitor.interval, monitor.failures, monitor.kinds
            )
        }
        Failover::Own => "The system fails over by itself; drdrill only watches.".to_owned(),
        Failover::None => "Nobody fails over.".to_owned(),
    });
    if !scenario.verify.is_empty() {
        step(&format!("These functions must work again: {}.", scenario.verify.join(", ")));
    }
    step(&format!(
        "The service counts as restored when it was good for {}; the clock stops at the start of that time. \
         The drill waits at most {}.",
        inventory.measure.sustained, scenario.recovery.give_up_after
    ));
    step(&format!(
        "Soak for {}; every write is read back and compared with what was acknowledged.",
        scenario.soak
    ));
    if !scenario.faults.is_empty() {
        step("Faults are taken back, newest first, and seen to be gone.");
    }
    if let Some(failback) = &scenario.failback {
        let shift: Vec<String> = failback.shift.iter().map(ToString::to_string).collect();
        step(&format!(
            "Failback: resync, shift {} with {} between and a health check each, switch the writes over, read back again.",
            shift.join(", "),
            failback.hold
        ));
    }
    step(
        "The environment goes down and is seen to be gone; record, reports, manifest and signature are written.",
    );
    if !scenario.stop_when.is_empty() {
        text.head("It stops at once, and takes everything back, when");
        for stop in &scenario.stop_when {
            text.item(&format!(
                "probe {} succeeds less than {} over {}",
                stop.probe, stop.success_below, stop.over
            ));
        }
    }
    if !scenario.proves.is_empty() {
        text.head("A pass proves");
        for proof in &scenario.proves {
            text.item(proof);
        }
    }
    text.0
}

fn what(inject: &Inject) -> String {
    match inject {
        Inject::SiteLoss(on) => {
            format!("every process of {} is killed and its network goes dark", on.on)
        }
        Inject::NetworkDown(on) => format!("the network of {} goes dark", on.on),
    }
}

const fn undo(inject: &Inject) -> &'static str {
    match inject {
        Inject::SiteLoss(_) => "Undo: proxies up, processes started again.",
        Inject::NetworkDown(_) => "Undo: proxies up.",
    }
}

struct Text(String);

impl Text {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn paragraph(&mut self, text: &str) {
        self.line("");
        self.line(text.trim_end());
    }

    fn head(&mut self, text: &str) {
        self.line("");
        self.line(text);
    }

    fn item(&mut self, text: &str) {
        self.line(&format!("  - {text}"));
    }
}
