//! `drdrill validate`.

use crate::args::{DrillArgs, Format};
use crate::exit::{Code, Outcome};
use crate::{out, wiring};

/// Checks that both files are sound and fit each other.
pub(crate) fn validate(args: &DrillArgs) -> Outcome {
    if let Some(name) = &args.runbook {
        let (source, runbook) = super::runbook::find(name)?;
        match args.on.format.format {
            Format::Json => {
                out::json(&serde_json::json!({ "valid": true, "runbook": runbook.runbook }));
            }
            Format::Text => out::line(&out::harmless(&format!("{} is valid", source.path))),
        }
        return Ok(Code::Passed);
    }
    let plan = wiring::plan(args.scenario.as_deref().unwrap_or_default(), &args.on)?;
    wiring::check_powers(&plan)?;
    let (scenario, environment) = (&plan.scenario.scenario, &plan.inventory.environment);
    if args.on.format.format == Format::Json {
        out::json(
            &serde_json::json!({ "valid": true, "scenario": scenario, "environment": environment }),
        );
    } else {
        out::line(&out::harmless(&format!(
            "{} is valid and can run on {environment}",
            plan.source.path
        )));
    }
    Ok(Code::Passed)
}
