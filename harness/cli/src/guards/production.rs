//! Production is broken only by somebody who said so, and only in its window.

use std::time::Duration;

use chrono::{DateTime, Utc};
use drdrill_core::scenario::Scenario;
use drdrill_core::units::Span;

use crate::exit::{Code, Failure};
use crate::wiring::Plan;

/// Refuses faults on production without its name on the command line.
pub(crate) fn confirmed(plan: &Plan, said: Option<&str>) -> Result<(), Failure> {
    let name = plan.inventory.environment.as_str();
    if let Some(said) = said
        && said != name
    {
        let message = format!("--yes-production {said} is not the name of the environment, {name}");
        return Err(Failure::new(Code::Refused, message));
    }
    if plan.inventory.production && said.is_none() && !plan.scenario.faults.is_empty() {
        let message = format!(
            "{name} is production; if it is meant to be broken, say so: --yes-production {name}"
        );
        return Err(Failure::new(Code::Refused, message));
    }
    Ok(())
}

/// Refuses a drill that the window is not open for, from now until it would give up waiting at the latest.
pub(crate) fn fits_the_window(plan: &Plan, now: DateTime<Utc>) -> Result<(), Failure> {
    let Some(window) = &plan.inventory.window else { return Ok(()) };
    if plan.scenario.faults.is_empty() || window.stays_open(now, longest(&plan.scenario)) {
        return Ok(());
    }
    let name = &plan.inventory.environment;
    let here = now.with_timezone(&window.timezone.0).format("%a %H:%M");
    let longest = Span(longest(&plan.scenario));
    let message = if window.is_open(now) {
        format!(
            "the window of {name} ({window}) closes too soon: it is {here} there, and this drill may need {longest} until its faults are taken back"
        )
    } else {
        format!("{name} may be broken {window}; it is {here} there")
    };
    Err(Failure::new(Code::Refused, message))
}

/// The longest that faults can be in place, from the first sample on.
pub(crate) fn longest(scenario: &Scenario) -> Duration {
    let last = scenario.faults.iter().map(|fault| fault.at.0).max().unwrap_or_default();
    last.saturating_add(scenario.recovery.give_up_after.0).saturating_add(scenario.soak.0)
}
