//! `drdrill validate`.

use crate::args::{Format, FormatArgs, ValidateArgs};
use crate::catalog;
use crate::exit::{Code, Outcome};
use crate::{out, program, wiring};

/// Checks that both files are sound and fit each other; or a runbook, or a program with all that it names.
pub(crate) fn validate(args: &ValidateArgs) -> Outcome {
    if let Some(name) = &args.runbook {
        let (source, runbook) = super::runbook::find(name)?;
        let valid = serde_json::json!({ "valid": true, "runbook": runbook.runbook });
        return Ok(say(args.on.format, &valid, &format!("{} is valid", source.path)));
    }
    if let Some(name) = &args.program {
        let source = catalog::program(name)?;
        let program = source.program()?;
        let present = program::present(&source, &program)?;
        let valid = serde_json::json!({ "valid": true, "program": program.program });
        let drills: usize = present.iter().map(|drill| drill.places.len()).sum();
        let text = format!("{} is valid and asks for {drills} drills", source.path);
        return Ok(say(args.on.format, &valid, &text));
    }
    let plan = wiring::plan(args.scenario.as_deref().unwrap_or_default(), &args.on)?;
    wiring::check_powers(&plan)?;
    let (scenario, environment) = (&plan.scenario.scenario, &plan.inventory.environment);
    let valid =
        serde_json::json!({ "valid": true, "scenario": scenario, "environment": environment });
    let text = format!("{} is valid and can run on {environment}", plan.source.path);
    Ok(say(args.on.format, &valid, &text))
}

fn say(format: FormatArgs, valid: &serde_json::Value, text: &str) -> Code {
    match format.format {
        Format::Json => out::json(valid),
        Format::Text => out::line(&out::harmless(text)),
    }
    Code::Passed
}
