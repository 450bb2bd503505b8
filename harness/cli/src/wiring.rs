//! A drill put together: where names in files meet the parts that answer to them.

mod faults;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use drdrill_containers::hosts::Hosts;
use drdrill_core::action::ActionError;
use drdrill_core::containers::Containers;
use drdrill_core::environment::{Environment, Functions, Power, ProcessIdentity, Vantage};
use drdrill_core::inventory::{EnvironmentFacts, Inventory, Pin, Provider, Strategy, ZONES};
use drdrill_core::parts::Recovery;
use drdrill_core::record::Tool;
use drdrill_core::runbook::{Followed, Phase, Runbook};
use drdrill_core::scenario::{Failover, Inject, Known, Part, Scenario};
use drdrill_core::tabletop::Script;
use drdrill_environments::host::{self, Host};
use drdrill_environments::lab::{self, Lab, Tools};
use drdrill_faults::links::Links;
use drdrill_machinery::builtin::BuiltIn;
use drdrill_machinery::checks::Checks;
use drdrill_machinery::plan::Powers;
use drdrill_machinery::restore::Restore;
use drdrill_machinery::runbook::{self, ByRunbook, Told};
use drdrill_machinery::standing::Standing;
use drdrill_machinery::verify::LookOnly;
use sha2::{Digest, Sha256};

use crate::archive::LabArchive;
use crate::args::OnArgs;
use crate::catalog::{self, Source};
use crate::exit::{Code, Failure};
use crate::people::{self, Asked};
use crate::{adapters, checks, guards, settings};

pub(crate) use faults::{delay, disk_full, fault, is_by_links, reverters, targets, via};

/// A scenario and an environment that fit each other.
pub(crate) struct Plan {
    pub(crate) source: Source,
    pub(crate) scenario: Scenario,
    pub(crate) inventory: Inventory,
    /// What was changed in them for this run, as `NAME=VALUE`.
    pub(crate) settings: Vec<String>,
    /// The runbook that the drill follows as its recovery plan.
    pub(crate) followed: Option<FollowedPlan>,
}

/// A runbook that a drill follows.
pub(crate) struct FollowedPlan {
    pub(crate) sha256: String,
    pub(crate) runbook: Runbook,
    /// What people answer, where the scenario says so.
    pub(crate) script: Option<Script>,
}

/// Reads what the command line names, applies its settings, and checks that scenario and environment fit.
pub(crate) fn plan(scenario: &str, on: &OnArgs) -> Result<Plan, Failure> {
    let mut inventory = catalog::environment(&on.env)?.inventory()?;
    probes_can_be_made(&inventory)?;
    let source = catalog::scenario(scenario)?;
    let mut scenario = source.scenario(&names_of(&inventory))?;
    settings::apply(&on.settings, &mut scenario, &mut inventory)?;
    let followed = followed(&source, &scenario, &inventory)?;
    Ok(Plan { source, scenario, inventory, settings: on.settings.clone(), followed })
}

/// Refuses an environment with a probe that this drdrill was built without.
pub(crate) fn probes_can_be_made(inventory: &Inventory) -> Result<(), Failure> {
    let Provider::Host(spec) = &inventory.provider else { return Ok(()) };
    for probe in &spec.probes {
        drdrill_measure::is_built_with(&probe.attempt).map_err(|why| {
            Failure::new(Code::NotReady, format!("the probe {}: {why}", probe.name))
        })?;
    }
    Ok(())
}

/// The runbook of a scenario, checked; given back where the drill follows it.
fn followed(
    source: &Source,
    scenario: &Scenario,
    inventory: &Inventory,
) -> Result<Option<FollowedPlan>, Failure> {
    let Some(file) = catalog::runbook_of(scenario, source)? else { return Ok(None) };
    let follows = scenario.recovery.failover == Failover::Runbook;
    let runbook = if follows {
        file.followed(Followed {
            commands: inventory.commands.iter().map(|one| one.name.clone()).collect(),
            functions: names_of(inventory).functions.unwrap_or_default(),
            failback: scenario.failback.is_some(),
        })?
    } else {
        file.runbook()?
    };
    let script = catalog::script_of(scenario, source)?;
    let script = script.map(|script| people::script(&script, &runbook)).transpose()?;
    Ok(follows.then(|| FollowedPlan { sha256: file.sha256(), runbook, script }))
}

/// The names that scenarios may use on an environment.
fn names_of(inventory: &Inventory) -> Known {
    let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    let mut known = match &inventory.provider {
        Provider::Lab(spec) => Known {
            roles: names(&[lab::PRIMARY, lab::DR]),
            zones: Some(
                spec.zones
                    .map(|_| (lab::PRIMARY.to_owned(), ZONES.map(str::to_owned).to_vec()))
                    .into_iter()
                    .collect(),
            ),
            functions: names(&lab::FUNCTIONS),
            probes: names(&lab::STREAMS),
            also: names(&lab::OPTIONAL_STREAMS),
            workloads: names(&lab::WORKLOADS).unwrap_or_default(),
            components: Some(
                [lab::PRIMARY, lab::DR]
                    .map(|role| (role.to_owned(), lab::components(spec, role)))
                    .into(),
            ),
            directories: Some(BTreeMap::new()),
            nodes: Some(BTreeMap::new()),
        },
        Provider::Docker(_) => Known {
            roles: names(&[lab::PRIMARY, lab::DR]),
            zones: Some(BTreeMap::new()),
            functions: names(&lab::FUNCTIONS),
            probes: names(&lab::STREAMS),
            also: names(&lab::OPTIONAL_STREAMS),
            workloads: names(&lab::WORKLOADS).unwrap_or_default(),
            components: Some(
                [lab::PRIMARY, lab::DR]
                    .map(|role| (role.to_owned(), names(&lab::CONTAINERS).unwrap_or_default()))
                    .into(),
            ),
            directories: Some(BTreeMap::new()),
            nodes: Some(
                [lab::PRIMARY, lab::DR]
                    .map(|role| (role.to_owned(), names(&lab::CONTAINERS).unwrap_or_default()))
                    .into(),
            ),
        },
        Provider::Host(spec) => Known {
            roles: Some(host::sites(spec)),
            zones: Some(BTreeMap::new()),
            functions: Some(Vec::new()),
            probes: Some(spec.probes.iter().map(|probe| probe.name.clone()).collect()),
            also: Some(Vec::new()),
            workloads: Vec::new(),
            components: Some(host::components(spec)),
            directories: Some(host::directories(spec)),
            nodes: Some(host::nodes(spec)),
        },
    };
    let own = inventory.checks.iter().map(|check| check.name.clone());
    known.functions.get_or_insert_default().extend(own);
    known
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
            let lab = Lab::new(inventory, spec, run_id, run_dir, program, seed, tools(None));
            Arc::new(lab.map_err(Failure::with(Code::NotReady))?)
        }
        Provider::Docker(spec) => {
            let (sites, tools) = (spec.sites(), tools(Some(Arc::new(Hosts::default()))));
            let lab = Lab::new(inventory, &sites, run_id, run_dir, program, seed, tools);
            Arc::new(lab.map_err(Failure::with(Code::NotReady))?)
        }
        Provider::Host(spec) => {
            Arc::new(Host::new(inventory, spec, run_id, run_dir, adapters::open_table))
        }
    })
}

/// What a lab needs from other parts.
fn tools(containers: Option<Arc<dyn Containers>>) -> Tools {
    Tools { make_links: Links::of_server, open_archive: LabArchive::open, containers }
}

/// The powers a scenario needs.
pub(crate) fn needed(scenario: &Scenario, followed: Option<&FollowedPlan>) -> Vec<Power> {
    let mut needed = Vec::new();
    for fault in &scenario.faults {
        match &fault.inject {
            Inject::SiteLoss(_) => needed.extend([Power::Processes, Power::Links]),
            Inject::SiteDestruction(fault) => {
                needed.extend([Power::Destruction, Power::Regions, Power::Data]);
                if fault.backups {
                    needed.push(Power::Backups);
                }
            }
            Inject::ZoneLoss(_) => {
                needed.extend([Power::Processes, Power::Links, Power::Zones]);
            }
            Inject::RegionOutage(_) => needed.push(Power::Regions),
            Inject::NetworkDown(_) => needed.push(Power::Links),
            Inject::ProcessPause(_)
            | Inject::ProcessKill(_)
            | Inject::ProcessStop(_)
            | Inject::ProcessRestart(_)
            | Inject::StorageReadOnly(_) => needed.push(Power::Processes),
            Inject::DiskFull(_) => needed.push(Power::Directories),
            Inject::ReplicationStall(_) => needed.push(Power::Replication),
            Inject::NetworkPartition(_) => needed.push(Power::Partition),
            Inject::PacketLoss(_) | Inject::RateLimit(_) | Inject::NetworkDelay(_) => {
                needed.push(Power::Network);
            }
            Inject::DataCorruption(_) | Inject::DataDeletion(_) | Inject::DataEncryption(_) => {
                needed.push(Power::Data);
            }
            Inject::PageCorruption(_) => needed.extend([Power::Data, Power::Pages]),
            Inject::CredentialsRevoked(_) | Inject::CredentialsStolen(_) => {
                needed.push(Power::Credentials);
            }
            Inject::BackupDamage(fault) => {
                needed.push(Power::Backups);
                if fault.part == Part::Log {
                    needed.push(Power::Logs);
                }
            }
        }
    }
    if scenario.probes.also.iter().any(|name| lab::WORKLOADS.contains(&name.as_str())) {
        needed.push(Power::Workloads);
    }
    // Who follows a runbook may go back by its words.
    let goes_back = scenario.failback.is_some()
        && followed.is_none_or(|plan| plan.runbook.expected(Phase::FailBack).is_zero());
    let acts =
        followed.is_some_and(|plan| plan.runbook.steps.iter().any(|one| one.action.is_some()));
    if scenario.recovery.failover.is_ours() || goes_back || acts {
        needed.push(Power::Failover);
    }
    if scenario.recovery.restore.is_some() {
        needed.extend([Power::Failover, Power::Backups]);
    }
    if scenario.recovery.restore.is_some_and(|plan| plan.isolated || plan.from_nothing) {
        needed.push(Power::Links);
    }
    if scenario.recovery.restore.is_some_and(|plan| plan.new_credentials) {
        needed.push(Power::Credentials);
    }
    let tries =
        followed.is_some_and(|plan| plan.runbook.steps.iter().any(|one| !one.verify.is_empty()));
    if !scenario.verify.is_empty() || tries {
        needed.push(Power::Functions);
    }
    needed.sort_unstable();
    needed.dedup();
    needed
}

/// Refuses a scenario that needs a power which its environment lacks, or that strikes too much.
pub(crate) fn check_powers(plan: &Plan) -> Result<(), Failure> {
    let nowhere = Path::new("");
    let environment = environment(&plan.inventory, "", nowhere, nowhere, 0)?;
    let has = environment.powers();
    let lacks: Vec<&str> = needed(&plan.scenario, plan.followed.as_ref())
        .into_iter()
        .filter(|power| !has.contains(power))
        .map(Power::word)
        .collect();
    if lacks.is_empty() {
        guards::links_can(&plan.scenario, &plan.inventory, &*environment)?;
        return guards::blast_radius(&plan.scenario, &*environment);
    }
    let (scenario, name) = (&plan.scenario.scenario, environment.name());
    let message =
        format!("scenario {scenario} cannot run on {name}, which cannot: {}", lacks.join("; "));
    Err(Failure::new(Code::NotReady, message))
}

/// The machinery of an environment, where it has what that needs; else what looks at its functions, where it has checks.
pub(crate) fn recovery(
    Plan { scenario, inventory, followed, .. }: &Plan,
    environment: &Arc<dyn Environment>,
    asked: Option<Asked>,
    harness: &ProcessIdentity,
) -> Result<Option<Arc<dyn Recovery>>, ActionError> {
    let functions = checks::functions(inventory, environment)?;
    if let (Some(followed), Some(asked)) = (followed, asked) {
        let by_runbook = by_runbook(inventory, environment, functions, followed, asked, harness)?;
        return Ok(Some(Arc::new(by_runbook)));
    }
    let Some(functions) = functions else { return Ok(None) };
    let Some((powers, built_in)) = built_in(inventory, environment, functions.clone()) else {
        return Ok(Some(Arc::new(LookOnly::new(environment.name(), functions))));
    };
    let restore = scenario.recovery.restore.zip(environment.restore_control());
    Ok(Some(match (restore, environment.sites().as_slice()) {
        (Some((plan, control)), [primary, standby, ..]) => {
            let sites = (primary.clone(), standby.clone());
            let settings = inventory.machinery.clone();
            Arc::new(Restore::new(sites, powers, control, settings, plan, built_in))
        }
        _ => Arc::new(built_in),
    }))
}

/// A runbook followed as the recovery plan.
fn by_runbook(
    inventory: &Inventory,
    environment: &Arc<dyn Environment>,
    functions: Option<Arc<dyn Functions>>,
    FollowedPlan { sha256, runbook, .. }: &FollowedPlan,
    Asked { people, scripted, participants, .. }: Asked,
    harness: &ProcessIdentity,
) -> Result<ByRunbook, ActionError> {
    let functions = functions.unwrap_or_else(|| Arc::new(Checks::new(Vec::new(), None)));
    let built_in =
        built_in(inventory, environment, functions.clone()).map(|(_, built_in)| built_in);
    if built_in.as_ref().is_some_and(|built_in| runbook::lacks_a_fence(runbook, built_in)) {
        let reason = "it promotes without a fence, and this environment asks for one (`fence: required`): add a step with \
                      `action: fence`";
        return Err(ActionError::new("follow the runbook", &runbook.runbook, reason));
    }
    Ok(ByRunbook {
        environment: inventory.environment.clone(),
        runbook: runbook.clone(),
        runbook_sha256: sha256.clone(),
        scripted,
        participants,
        people,
        commands: inventory.commands.clone(),
        functions,
        built_in,
        harness: harness.clone(),
        told: Told::default(),
    })
}

/// The machinery that fails over and back, with what it acts on; `None` where the environment has not what that needs.
pub(crate) fn built_in(
    inventory: &Inventory,
    environment: &Arc<dyn Environment>,
    functions: Arc<dyn Functions>,
) -> Option<(Powers, BuiltIn)> {
    let Vantage { sites, health } = match &inventory.machinery.at {
        Some(site) => environment.seen_from(site)?,
        None => Vantage { sites: environment.site_control()?, health: environment.health()? },
    };
    let powers = Powers { sites, traffic: environment.traffic()?, health };
    let sites = environment.sites();
    let [primary, standby, others @ ..] = sites.as_slice() else { return None };
    let (settings, acts_on) = (inventory.machinery.clone(), powers.clone());
    let built_in = BuiltIn::new(primary.clone(), standby.clone(), acts_on, functions, settings)
        .standing(others, standing(inventory, environment));
    Some((powers, built_in))
}

/// How what takes over stands by.
fn standing(inventory: &Inventory, environment: &Arc<dyn Environment>) -> Standing {
    let lab = match &inventory.provider {
        Provider::Lab(lab) => lab.clone(),
        Provider::Docker(docker) => docker.sites(),
        Provider::Host(_) => return Standing::default(),
    };
    let cold = lab.strategy == Strategy::Cold;
    Standing {
        synchronous: lab.is_synchronous(),
        both_decide: lab.strategy == Strategy::ActiveActive,
        from_backups: if cold { environment.restore_control() } else { None },
        stands_down: matches!(lab.strategy, Strategy::Cold | Strategy::PilotLight),
    }
}

/// What identifies what an environment file says of the system.
pub(crate) fn definition(inventory: &Inventory) -> String {
    hex::encode(Sha256::digest(inventory.definition()))
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
        definition: Some(definition(inventory)),
        production: inventory.production,
        pin: inventory.pin.as_ref().map(Pin::facts).unwrap_or_default(),
        services: services.collect(),
        measure: inventory.measure,
        accounts: environment.accounts(),
    }
}

/// This program.
pub(crate) fn tool() -> Tool {
    Tool {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: option_env!("DRDRILL_COMMIT").map(str::to_owned),
    }
}
