//! A drill put together: where names in files meet the parts that answer to them.

use std::path::Path;
use std::sync::Arc;

use drdrill_core::action::{Action, ActionError};
use drdrill_core::environment::{Environment, LinkControl, Power};
use drdrill_core::inventory::{EnvironmentFacts, Inventory, Provider};
use drdrill_core::parts::Recovery;
use drdrill_core::record::Tool;
use drdrill_core::scenario::{Failover, Inject, Known, Scenario};
use drdrill_engine::revert::Reverters;
use drdrill_environments::host::Host;
use drdrill_environments::lab::{self, Lab, LabReverter};
use drdrill_faults::dark::SiteNetwork;
use drdrill_faults::links::Links;
use drdrill_faults::network_down::NetworkDown;
use drdrill_faults::site_loss::SiteLoss;
use drdrill_faults::site_reverter::{Restart, SiteReverter};
use drdrill_machinery::builtin::BuiltIn;
use drdrill_machinery::plan::Powers;

use crate::args::DrillArgs;
use crate::catalog::{self, Source};
use crate::exit::{Code, Failure};
use crate::settings;

/// A scenario and an environment that fit each other.
pub(crate) struct Plan {
    pub(crate) source: Source,
    pub(crate) scenario: Scenario,
    pub(crate) inventory: Inventory,
}

/// Reads what the command line names, applies its settings, and checks that scenario and environment fit.
pub(crate) fn plan(args: &DrillArgs) -> Result<Plan, Failure> {
    let mut inventory = catalog::environment(&args.env)?.inventory()?;
    let source = catalog::scenario(&args.scenario)?;
    let mut scenario = source.scenario(&names_of(&inventory))?;
    settings::apply(&args.settings, &mut scenario, &mut inventory)?;
    Ok(Plan { source, scenario, inventory })
}

/// The names that scenarios may use on an environment.
fn names_of(inventory: &Inventory) -> Known {
    let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    match &inventory.provider {
        Provider::Lab(_) => Known {
            roles: names(&[lab::PRIMARY, lab::DR]),
            functions: names(&lab::FUNCTIONS),
            probes: names(&lab::STREAMS),
        },
        Provider::Host(host) => Known {
            roles: Some(Vec::new()),
            functions: Some(Vec::new()),
            probes: Some(host.probes.iter().map(|probe| probe.name.clone()).collect()),
        },
    }
}

/// The environment of `inventory` for one run.
pub(crate) fn environment(
    inventory: &Inventory,
    run_id: &str,
    run_dir: &Path,
    program: &Path,
    seed: u64,
) -> Result<Arc<dyn Environment>, Failure> {
    Ok(match &inventory.provider {
        Provider::Lab(spec) => {
            let lab = Lab::new(inventory, spec, run_id, run_dir, program, seed, Links::of_server);
            Arc::new(lab.map_err(Failure::with(Code::NotReady))?)
        }
        Provider::Host(spec) => Arc::new(Host::new(inventory, spec)),
    })
}

/// The powers a scenario needs.
pub(crate) fn needed(scenario: &Scenario) -> Vec<Power> {
    let mut needed = Vec::new();
    for fault in &scenario.faults {
        match &fault.inject {
            Inject::SiteLoss(_) => needed.extend([Power::Processes, Power::Links]),
            Inject::NetworkDown(_) => needed.push(Power::Links),
        }
    }
    if scenario.recovery.failover == Failover::BuiltIn || scenario.failback.is_some() {
        needed.push(Power::Failover);
    }
    if !scenario.verify.is_empty() {
        needed.push(Power::Functions);
    }
    needed.sort_unstable();
    needed.dedup();
    needed
}

/// Refuses a scenario that needs a power which its environment lacks.
pub(crate) fn check_powers(plan: &Plan) -> Result<(), Failure> {
    let nowhere = Path::new("");
    let environment = environment(&plan.inventory, "", nowhere, nowhere, 0)?;
    let has = environment.powers();
    let lacks: Vec<&str> = needed(&plan.scenario)
        .into_iter()
        .filter(|power| !has.contains(power))
        .map(Power::word)
        .collect();
    if lacks.is_empty() {
        return Ok(());
    }
    let (scenario, name) = (&plan.scenario.scenario, environment.name());
    let message =
        format!("scenario {scenario} cannot run on {name}, which cannot: {}", lacks.join("; "));
    Err(Failure::new(Code::NotReady, message))
}

/// The machinery of an environment, where it has what that needs.
pub(crate) fn recovery(
    inventory: &Inventory,
    environment: &Arc<dyn Environment>,
) -> Option<Arc<dyn Recovery>> {
    let sites = environment.sites();
    let (primary, standby) = (sites.first()?.clone(), sites.get(1)?.clone());
    let powers = Powers {
        sites: environment.site_control()?,
        traffic: environment.traffic()?,
        health: environment.health()?,
    };
    let functions = environment.functions()?;
    Some(Arc::new(BuiltIn::new(primary, standby, powers, functions, inventory.machinery)))
}

/// Makes a fault of a scenario on an environment that is up.
pub(crate) fn fault(
    inject: &Inject,
    environment: &Arc<dyn Environment>,
) -> Result<Arc<dyn Action>, ActionError> {
    let lacks =
        |what: Power| ActionError::new("inject a fault into", environment.name(), what.word());
    let network = |site: &str| {
        let control: Arc<dyn LinkControl> =
            environment.links().ok_or_else(|| lacks(Power::Links))?;
        let links = environment.site_links(site).ok_or_else(|| lacks(Power::Links))?;
        Ok(SiteNetwork { site: site.to_owned(), links, control })
    };
    Ok(match inject {
        Inject::SiteLoss(on) => {
            let processes = environment.processes().ok_or_else(|| lacks(Power::Processes))?;
            Arc::new(SiteLoss::new(network(&on.on)?, processes))
        }
        Inject::NetworkDown(on) => Arc::new(NetworkDown { network: network(&on.on)? }),
    })
}

/// Those who take changes back. Without an environment, as in the keeper and in `recover`, they know only what the
/// ledger knows.
pub(crate) fn reverters(environment: Option<&Arc<dyn Environment>>) -> Reverters {
    let restart = environment.and_then(|environment| {
        Some(Restart { sites: environment.site_control()?, processes: environment.processes()? })
    });
    Reverters::new(vec![
        Arc::new(LabReverter::new(Links::of_server)),
        Arc::new(SiteReverter { make_links: Links::of_server, restart }),
    ])
}

/// The environment, as the history will know it: targets of the scenario applied.
pub(crate) fn facts(
    scenario: &Scenario,
    inventory: &Inventory,
    environment: &dyn Environment,
) -> EnvironmentFacts {
    let services = environment.services().into_iter().map(|mut service| {
        service.targets = scenario.targets.tightened_by(service.targets);
        service
    });
    EnvironmentFacts {
        name: inventory.environment.clone(),
        provider: inventory.provider.kind().to_owned(),
        emulated: inventory.emulated,
        fingerprint: environment.fingerprint(),
        services: services.collect(),
        measure: inventory.measure,
    }
}

/// This program.
pub(crate) fn tool() -> Tool {
    Tool {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: option_env!("DRDRILL_COMMIT").map(str::to_owned),
    }
}
