//! Functionality checks of an environment file, made into what tries them.

use std::path::Path;
use std::sync::Arc;

use drdrill_core::action::ActionError;
use drdrill_core::environment::{Environment, Functions};
use drdrill_core::inventory::{CheckSpec, Inventory, NamedCheck};
use drdrill_core::probe::{Call, Connection, Purpose};
use drdrill_environments::secrets;
use drdrill_machinery::checks::{Checks, NamedTry, Try};

use crate::wiring::Plan;

/// All functionality checks that scenarios may ask for on an environment; `None` when there are none.
pub(crate) fn functions(
    inventory: &Inventory,
    environment: &Arc<dyn Environment>,
) -> Result<Option<Arc<dyn Functions>>, ActionError> {
    let others = environment.functions();
    if inventory.checks.is_empty() {
        return Ok(others);
    }
    let named: Result<Vec<NamedTry>, ActionError> = inventory.checks.iter().map(named).collect();
    Ok(Some(Arc::new(Checks::new(named?, others))))
}

fn named(spec: &NamedCheck) -> Result<NamedTry, ActionError> {
    let what = match &spec.check {
        CheckSpec::Http(http) => probe(
            &spec.name,
            &Call::Http {
                method: "GET",
                url: http.url.clone(),
                else_at: Vec::new(),
                headers: secrets::headers(&http.headers)?,
                body: None,
                body_contains: http.body_contains.clone(),
                deed: None,
            },
        )?,
        CheckSpec::Tcp(tcp) => probe(&spec.name, &Call::Tcp { address: tcp.address.clone() })?,
        CheckSpec::Exec(exec) => Try::Exec(exec.clone()),
        CheckSpec::Sqlite(sqlite) => Try::Sqlite(sqlite.clone()),
    };
    Ok(NamedTry { name: spec.name.clone(), timeout: spec.timeout.0, what })
}

fn probe(name: &str, call: &Call) -> Result<Try, ActionError> {
    let probe = drdrill_measure::probe(call, Purpose::Read, Connection::Fresh);
    probe.map(Try::Probe).map_err(|error| ActionError::new("make the check", name, error))
}

/// Refuses programs that somebody else could have put there, of the checks and commands that a drill asks for.
pub(crate) fn programs_are_ours(plan: &Plan) -> Result<(), String> {
    let inventory = &plan.inventory;
    let steps = plan.followed.iter().flat_map(|followed| &followed.runbook.steps);
    let tried: Vec<&String> =
        plan.scenario.verify.iter().chain(steps.clone().flat_map(|step| &step.verify)).collect();
    for check in inventory.checks.iter().filter(|check| tried.contains(&&check.name)) {
        let CheckSpec::Exec(exec) = &check.check else { continue };
        let program = exec.command.first().map_or("", String::as_str);
        drdrill_process::check_program(Path::new(program))
            .map_err(|error| format!("check {}: {error}", check.name))?;
    }
    let run: Vec<&String> = steps.filter_map(|step| step.run.as_ref()).collect();
    for command in inventory.commands.iter().filter(|one| run.contains(&&one.name)) {
        let programs = [Some(&command.command), command.undo.as_ref()].into_iter().flatten();
        for program in programs.filter_map(|words| words.first()) {
            drdrill_process::check_program(Path::new(program))
                .map_err(|error| format!("command {}: {error}", command.name))?;
        }
    }
    Ok(())
}
