//! Which drills a command line asks for. All of them are planned before the first is run.

use std::collections::BTreeSet;

use drdrill_core::inventory::Provider;
use drdrill_core::names::known_names;
use drdrill_core::scenario::{Expect, Kind, Known, Scenario};

use super::first_line;
use crate::args::{OnArgs, RunArgs};
use crate::catalog::{self, SCENARIOS, Shipped};
use crate::exit::{Code, Failure};
use crate::out;
use crate::wiring::{self, Plan};

/// A drill of a series.
pub(super) struct Chosen {
    pub(super) scenario: String,
    pub(super) environment: String,
    pub(super) expect: Option<Expect>,
    /// `Err` says why it cannot run on its environment.
    pub(super) plan: Result<Box<Plan>, String>,
}

/// A scenario and an environment that were checked.
pub(super) fn plan(scenario: &str, on: &OnArgs) -> Result<Plan, Failure> {
    let plan = wiring::plan(scenario, on)?;
    if plan.scenario.kind == Kind::Tabletop {
        let message =
            format!("{scenario} is for people to walk through: drdrill tabletop {scenario}");
        return Err(Failure::new(Code::Usage, message));
    }
    wiring::check_powers(&plan)?;
    Ok(plan)
}

/// The drills that are asked for. One that was named must be able to run; of the shipped ones those are left out that
/// the environment has no roles or powers for, and it is said.
pub(super) fn choose(args: &RunArgs) -> Result<Vec<Chosen>, Failure> {
    if !args.scenarios.is_empty() {
        return args.scenarios.iter().map(|name| named(name, &args.on)).collect();
    }
    let mut chosen = Vec::new();
    for (shipped, scenario) in shipped(args)? {
        let expect = scenario.expect;
        let other = expect.as_ref().and_then(|expect| expect.environment.clone());
        let environment = other.unwrap_or_else(|| args.on.env.clone());
        // Not every machine has a container engine: that one is wanted is said, not taken for granted.
        if is_of_containers(&environment)? && !is_of_containers(&args.on.env)? {
            let name = shipped.name;
            out::error(&format!("drdrill: {name} is left out; it runs with `--env {environment}`"));
            continue;
        }
        let on = OnArgs {
            env: environment.clone(),
            settings: args.on.settings.clone(),
            format: args.on.format,
        };
        let plan = match plan(shipped.name, &on) {
            Ok(plan) => Ok(Box::new(plan)),
            Err(failure) if matches!(failure.code, Code::NotReady | Code::InvalidFile) => {
                Err(format!("cannot run on {environment}: {}", first_line(&failure.message)))
            }
            Err(failure) => return Err(failure),
        };
        chosen.push(Chosen { scenario: shipped.name.to_owned(), environment, expect, plan });
    }
    Ok(chosen)
}

fn is_of_containers(environment: &str) -> Result<bool, Failure> {
    let inventory = catalog::environment(environment)?.inventory()?;
    Ok(matches!(inventory.provider, Provider::Docker(_)))
}

fn named(scenario: &str, on: &OnArgs) -> Result<Chosen, Failure> {
    let plan = plan(scenario, on)?;
    Ok(Chosen {
        scenario: plan.scenario.scenario.clone(),
        environment: on.env.clone(),
        expect: None,
        plan: Ok(Box::new(plan)),
    })
}

/// The shipped scenarios that are meant.
fn shipped(args: &RunArgs) -> Result<Vec<(Shipped, Scenario)>, Failure> {
    // A wrong environment is one error, and not one of each scenario.
    catalog::environment(&args.on.env)?.inventory()?;
    let mut all = Vec::new();
    for shipped in SCENARIOS.into_iter().filter(|one| one.must_fail == args.must_fail) {
        let scenario = catalog::scenario(shipped.name)?.scenario(&Known::default())?;
        all.push((shipped, scenario));
    }
    let known: BTreeSet<String> = all.iter().flat_map(|(_, one)| one.tags.clone()).collect();
    if let Some(tag) = args.tags.iter().find(|tag| !known.contains(*tag)) {
        let known = known_names(tag, known.iter().map(String::as_str));
        return Err(Failure::new(Code::Usage, format!("no scenario has the tag `{tag}`; {known}")));
    }
    let wanted = |scenario: &Scenario| {
        if scenario.kind == Kind::Tabletop {
            return false;
        }
        args.tags.is_empty() || scenario.tags.iter().any(|tag| args.tags.contains(tag))
    };
    all.retain(|(_, scenario)| wanted(scenario));
    Ok(all)
}
