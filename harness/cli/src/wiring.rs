//! A drill put together: where names in files meet the parts that answer to them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use drdrill_core::action::{Action, ActionError};
use drdrill_core::environment::{Environment, LinkControl, Power, Vantage};
use drdrill_core::inventory::{EnvironmentFacts, Inventory, Pin, Provider};
use drdrill_core::network::{NetworkNode, Via, Way};
use drdrill_core::parts::Recovery;
use drdrill_core::record::Tool;
use drdrill_core::scenario::{Inject, Known, Partition, Scenario};
use drdrill_engine::revert::Reverters;
use drdrill_environments::host::{self, Host};
use drdrill_environments::lab::{self, Lab, LabReverter, Tools};
use drdrill_faults::backups::fault::BackupFault;
use drdrill_faults::backups::reverter::BackupReverter;
use drdrill_faults::dark::SiteNetwork;
use drdrill_faults::data::fault as data;
use drdrill_faults::data::reverter::DataReverter;
use drdrill_faults::disk::fault::DiskFull;
use drdrill_faults::disk::reverter::DiskReverter;
use drdrill_faults::link::partition::LinkPartition;
use drdrill_faults::link::reverter::BlockReverter;
use drdrill_faults::link::stall::ReplicationStall;
use drdrill_faults::links::Links;
use drdrill_faults::network::chains::ChainsReverter;
use drdrill_faults::network::delay::NetworkDelay;
use drdrill_faults::network::delay_reverter::DelayReverter;
use drdrill_faults::network::fault::{Disturbance, NetworkFault};
use drdrill_faults::network::reverter::NetworkReverter;
use drdrill_faults::network_down::NetworkDown;
use drdrill_faults::nft::{self, NftError};
use drdrill_faults::process::end::{End, ProcessEnd};
use drdrill_faults::process::end_undo::EndReverter;
use drdrill_faults::process::pause::ProcessPause;
use drdrill_faults::process::read_only::StorageReadOnly;
use drdrill_faults::process::read_only_undo::ReadOnlyReverter;
use drdrill_faults::process::reverter::PauseReverter;
use drdrill_faults::process::targets::Targets;
use drdrill_faults::qdisc::Delay;
use drdrill_faults::site_loss::SiteLoss;
use drdrill_faults::site_reverter::{Restart, SiteReverter};
use drdrill_machinery::builtin::BuiltIn;
use drdrill_machinery::plan::Powers;
use drdrill_machinery::restore::Restore;
use drdrill_machinery::verify::LookOnly;

use crate::archive::LabArchive;
use crate::args::OnArgs;
use crate::catalog::{self, Source};
use crate::exit::{Code, Failure};
use crate::{checks, guards, settings};

/// A scenario and an environment that fit each other.
pub(crate) struct Plan {
    pub(crate) source: Source,
    pub(crate) scenario: Scenario,
    pub(crate) inventory: Inventory,
}

/// Reads what the command line names, applies its settings, and checks that scenario and environment fit.
pub(crate) fn plan(scenario: &str, on: &OnArgs) -> Result<Plan, Failure> {
    let mut inventory = catalog::environment(&on.env)?.inventory()?;
    let source = catalog::scenario(scenario)?;
    let mut scenario = source.scenario(&names_of(&inventory))?;
    settings::apply(&on.settings, &mut scenario, &mut inventory)?;
    if let Some(runbook) = catalog::runbook_of(&scenario, &source)? {
        runbook.runbook()?;
    }
    Ok(Plan { source, scenario, inventory })
}

/// The names that scenarios may use on an environment.
fn names_of(inventory: &Inventory) -> Known {
    let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    let mut known = match &inventory.provider {
        Provider::Lab(_) => Known {
            roles: names(&[lab::PRIMARY, lab::DR]),
            functions: names(&lab::FUNCTIONS),
            probes: names(&lab::STREAMS),
            also: names(&lab::OPTIONAL_STREAMS),
            components: Some(
                [lab::PRIMARY, lab::DR]
                    .map(|role| (role.to_owned(), lab::COMPONENTS.map(str::to_owned).to_vec()))
                    .into(),
            ),
            directories: Some(BTreeMap::new()),
        },
        Provider::Host(spec) => Known {
            roles: Some(host::sites(spec)),
            functions: Some(Vec::new()),
            probes: Some(spec.probes.iter().map(|probe| probe.name.clone()).collect()),
            also: Some(Vec::new()),
            components: Some(host::components(spec)),
            directories: Some(host::directories(spec)),
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
            let tools = Tools { make_links: Links::of_server, open_archive: LabArchive::open };
            let lab = Lab::new(inventory, spec, run_id, run_dir, program, seed, tools);
            Arc::new(lab.map_err(Failure::with(Code::NotReady))?)
        }
        Provider::Host(spec) => Arc::new(Host::new(inventory, spec, run_dir)),
    })
}

/// The powers a scenario needs.
pub(crate) fn needed(scenario: &Scenario) -> Vec<Power> {
    let mut needed = Vec::new();
    for fault in &scenario.faults {
        match &fault.inject {
            Inject::SiteLoss(_) => needed.extend([Power::Processes, Power::Links]),
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
            Inject::DataCorruption(_) | Inject::DataDeletion(_) => needed.push(Power::Data),
            Inject::BackupDamage(_) => needed.push(Power::Backups),
        }
    }
    if scenario.recovery.failover.is_ours() || scenario.failback.is_some() {
        needed.push(Power::Failover);
    }
    if scenario.recovery.restore.is_some() {
        needed.extend([Power::Failover, Power::Backups]);
    }
    if !scenario.verify.is_empty() {
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
    let lacks: Vec<&str> = needed(&plan.scenario)
        .into_iter()
        .filter(|power| !has.contains(power))
        .map(Power::word)
        .collect();
    if lacks.is_empty() {
        guards::links_can(&plan.scenario, &plan.inventory)?;
        return guards::blast_radius(&plan.scenario, &*environment);
    }
    let (scenario, name) = (&plan.scenario.scenario, environment.name());
    let message =
        format!("scenario {scenario} cannot run on {name}, which cannot: {}", lacks.join("; "));
    Err(Failure::new(Code::NotReady, message))
}

/// The machinery of an environment, where it has what that needs; else what looks at its functions, where it has checks.
pub(crate) fn recovery(
    scenario: &Scenario,
    inventory: &Inventory,
    environment: &Arc<dyn Environment>,
) -> Result<Option<Arc<dyn Recovery>>, ActionError> {
    let Some(functions) = checks::functions(inventory, environment)? else { return Ok(None) };
    let sites = environment.sites();
    let powers = || {
        let Vantage { sites, health } = match &inventory.machinery.at {
            Some(site) => environment.seen_from(site)?,
            None => Vantage { sites: environment.site_control()?, health: environment.health()? },
        };
        Some(Powers { sites, traffic: environment.traffic()?, health })
    };
    let ([primary, standby, ..], Some(powers)) = (sites.as_slice(), powers()) else {
        return Ok(Some(Arc::new(LookOnly::new(environment.name(), functions))));
    };
    let sites = (primary.clone(), standby.clone());
    let settings = inventory.machinery.clone();
    let (primary, standby) = sites.clone();
    let built_in = BuiltIn::new(primary, standby, powers.clone(), functions, settings.clone());
    let restore = scenario.recovery.restore.zip(environment.restore_control());
    Ok(Some(match restore {
        Some((plan, control)) => {
            Arc::new(Restore::new(sites, powers, control, settings, plan, built_in))
        }
        None => Arc::new(built_in),
    }))
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
        Inject::ProcessPause(_)
        | Inject::ProcessKill(_)
        | Inject::ProcessStop(_)
        | Inject::ProcessRestart(_) => {
            let targets = targets(inject, &**environment).ok_or_else(|| lacks(Power::Processes))?;
            end_or_pause(inject, targets, environment)?
        }
        Inject::StorageReadOnly(_) => {
            let targets = targets(inject, &**environment).ok_or_else(|| lacks(Power::Processes))?;
            let health = environment.health();
            Arc::new(StorageReadOnly { targets, health, struck: Mutex::default() })
        }
        Inject::DiskFull(fault) => Arc::new(disk_full(fault, &**environment)?),
        Inject::ReplicationStall(fault) => {
            let lacks = || lacks(Power::Replication);
            Arc::new(ReplicationStall {
                on: fault.on.clone(),
                limit: fault.limit.0,
                links: environment.peer_links(&fault.on, &fault.from).ok_or_else(lacks)?,
                control: environment.links().ok_or_else(lacks)?,
                sites: environment.site_control().ok_or_else(lacks)?,
                behind: Mutex::default(),
            })
        }
        Inject::DataCorruption(fault) => {
            let harm = data::Harm::Corrupt(fault.rows);
            data_fault(&fault.on, fault.replicated, harm, environment)?
        }
        Inject::DataDeletion(fault) => {
            let harm = fault.rows.map_or(data::Harm::Drop(fault.max_rows), data::Harm::Delete);
            data_fault(&fault.on, fault.replicated, harm, environment)?
        }
        Inject::BackupDamage(fault) => backup_fault(fault, environment)?,
        Inject::NetworkPartition(fault) => {
            if let Some(partition) = link_partition(fault, environment) {
                return Ok(Arc::new(partition));
            }
            let (from, ports) = (fault.from.as_deref(), &fault.ports);
            let roles = (&*fault.on, from);
            disturb(Disturbance::Partition, roles, fault.way, ports, via(inject), environment)
        }
        Inject::PacketLoss(fault) => {
            let (from, ports) = (fault.from.as_deref(), &fault.ports);
            let loss = Disturbance::Loss(fault.share);
            disturb(loss, (&fault.on, from), fault.way, ports, via(inject), environment)
        }
        Inject::RateLimit(fault) => {
            let (from, ports) = (fault.from.as_deref(), &fault.ports);
            let limit = Disturbance::Limit(fault.rate);
            disturb(limit, (&fault.on, from), fault.way, ports, via(inject), environment)
        }
        Inject::NetworkDelay(fault) => Arc::new(slow_down(fault, environment)),
    })
}

/// A partition by the links between two sites; `None` where the environment knows none.
fn link_partition(fault: &Partition, environment: &Arc<dyn Environment>) -> Option<LinkPartition> {
    let links = environment.peer_links(&fault.on, fault.from.as_deref()?)?;
    let control = environment.links()?;
    let (on, way) = (fault.on.clone(), fault.way);
    Some(LinkPartition { on, way, links, control, open: Mutex::default() })
}

/// Makes a fault of rows, in one site's data or in all copies of it.
fn data_fault(
    on: &str,
    replicated: bool,
    harm: data::Harm,
    environment: &Arc<dyn Environment>,
) -> Result<Arc<dyn Action>, ActionError> {
    let lacks = || ActionError::new("damage the data of", on, "the environment names none of it");
    let access = environment.data().ok_or_else(lacks)?;
    let mut tables = vec![access.table(on).ok_or_else(lacks)?];
    let others = environment.sites().into_iter().filter(|site| replicated && site != on);
    tables.extend(others.filter_map(|site| access.table(&site)));
    Ok(Arc::new(data::DataFault { harm, tables, access, planned: Mutex::default() }))
}

/// Makes a fault of backups.
fn backup_fault(
    fault: &drdrill_core::scenario::BackupDamage,
    environment: &Arc<dyn Environment>,
) -> Result<Arc<dyn Action>, ActionError> {
    let lacks = || ActionError::new("damage the backups of", &*fault.on, "there is no power to");
    let control = environment.restore_control().ok_or_else(lacks)?;
    Ok(Arc::new(BackupFault {
        on: fault.on.clone(),
        archive: control.archive(&fault.on)?,
        newest: fault.newest,
        harm: fault.how,
        kept_in: control.kept(&fault.on),
        planned: Mutex::default(),
    }))
}

/// The processes that a fault is about; `None` when it is about none, or the environment has none.
pub(crate) fn targets(inject: &Inject, environment: &dyn Environment) -> Option<Targets> {
    let (component, max_targets) = match inject {
        Inject::ProcessPause(fault) => (&fault.component, fault.max_targets),
        Inject::ProcessKill(fault) | Inject::ProcessRestart(fault) => {
            (&fault.component, fault.max_targets)
        }
        Inject::ProcessStop(fault) => (&fault.component, fault.max_targets),
        Inject::StorageReadOnly(fault) => (&fault.component, fault.max_targets),
        _ => return None,
    };
    Some(Targets {
        on: inject.on().to_owned(),
        component: component.clone(),
        max_targets,
        sites: environment.sites(),
        processes: environment.processes()?,
    })
}

/// Makes a fault of processes.
fn end_or_pause(
    inject: &Inject,
    targets: Targets,
    environment: &Arc<dyn Environment>,
) -> Result<Arc<dyn Action>, ActionError> {
    let program = program()?;
    let end = match inject {
        Inject::ProcessStop(fault) => End::Stop(fault.grace.0),
        Inject::ProcessRestart(_) => End::Restart,
        Inject::ProcessKill(_) => End::Kill,
        _ => return Ok(Arc::new(ProcessPause { targets, program, struck: Mutex::default() })),
    };
    let restart = restart(environment);
    Ok(Arc::new(ProcessEnd { end, targets, restart, program, struck: Mutex::default() }))
}

/// Makes the fault of a full file system.
pub(crate) fn disk_full(
    fault: &drdrill_core::scenario::DiskFull,
    environment: &dyn Environment,
) -> Result<DiskFull, ActionError> {
    let error = |reason: &str| ActionError::new("fill a directory", &*fault.on, reason);
    let mut directories = environment.directories(&fault.on);
    directories.retain(|one| fault.directory.as_ref().is_none_or(|name| *name == one.name));
    let directory = directories.pop().ok_or_else(|| error("the environment names none of it"))?;
    if !directories.is_empty() {
        return Err(error("it has several; say which (`directory: NAME`)"));
    }
    Ok(DiskFull {
        on: fault.on.clone(),
        directory,
        leave: fault.leave.bytes,
        planned: Mutex::default(),
    })
}

/// This program, which is all of its helpers too.
fn program() -> Result<PathBuf, ActionError> {
    std::env::current_exe()
        .map_err(|error| ActionError::new("find the program of", "drdrill", error))
}

/// What starts children of an environment again.
fn restart(environment: &Arc<dyn Environment>) -> Option<Restart> {
    Some(Restart { sites: environment.site_control()?, processes: environment.processes()? })
}

/// What drops the packets of a fault.
pub(crate) fn via(inject: &Inject) -> Via {
    inject.via().unwrap_or_else(|| {
        let limits = matches!(inject, Inject::RateLimit(_));
        if limits { Via::Nftables } else { choose(&nft::try_out()) }
    })
}

/// Only a kernel that certainly lacks the better way is disturbed the other way: a missing right is said.
fn choose(tried: &Result<(), NftError>) -> Via {
    if let Err(NftError::Unsupported { .. }) = tried { Via::Iptables } else { Via::Nftables }
}

/// Makes a fault of the network of nodes.
fn disturb(
    disturbance: Disturbance,
    (on, from): (&str, Option<&str>),
    way: Way,
    ports: &[u16],
    via: Via,
    environment: &Arc<dyn Environment>,
) -> Arc<dyn Action> {
    let Meant { nodes, peers, others } = meant(on, from, &**environment);
    Arc::new(NetworkFault {
        disturbance,
        on: on.to_owned(),
        nodes,
        peers,
        others,
        way,
        ports: ports.to_vec(),
        via,
        planned: Mutex::default(),
    })
}

/// How much later a fault makes packets leave.
pub(crate) const fn delay(fault: &drdrill_core::scenario::NetworkDelay) -> Delay {
    Delay { delay: fault.delay.0, jitter: fault.jitter.0, reorder: fault.reorder }
}

/// Makes the fault of packets that leave later.
fn slow_down(
    fault: &drdrill_core::scenario::NetworkDelay,
    environment: &Arc<dyn Environment>,
) -> NetworkDelay {
    let Meant { nodes, peers, others } = meant(&fault.on, fault.from.as_deref(), &**environment);
    NetworkDelay {
        delay: delay(fault),
        discipline: delay(fault).discipline(),
        on: fault.on.clone(),
        nodes,
        peers,
        others,
        planned: Mutex::default(),
    }
}

/// Who is meant by a fault of the network, and who is not.
struct Meant {
    nodes: Vec<NetworkNode>,
    peers: Vec<NetworkNode>,
    others: Vec<NetworkNode>,
}

fn meant(on: &str, from: Option<&str>, environment: &dyn Environment) -> Meant {
    let nodes_of = |site: &str| environment.network_nodes(site);
    let others = environment.sites().into_iter();
    let others = others.filter(|site| site != on && Some(site.as_str()) != from);
    Meant {
        nodes: nodes_of(on),
        peers: from.map(nodes_of).unwrap_or_default(),
        others: others.flat_map(|site| nodes_of(&site)).collect(),
    }
}

/// Those who take changes back. Without an environment, as in the keeper and in `recover`, they know only what the
/// ledger knows.
pub(crate) fn reverters(environment: Option<&Arc<dyn Environment>>) -> Reverters {
    let restart = environment.and_then(restart);
    // Without its own path it can start nothing, and says so when it has to.
    let program = program().unwrap_or_default();
    Reverters::new(vec![
        Arc::new(LabReverter::new(Links::of_server)),
        Arc::new(SiteReverter { make_links: Links::of_server, restart: restart.clone() }),
        Arc::new(BlockReverter { make_links: Links::of_server }),
        Arc::new(NetworkReverter),
        Arc::new(ChainsReverter),
        Arc::new(DelayReverter),
        Arc::new(PauseReverter),
        Arc::new(EndReverter { restart, program }),
        Arc::new(DiskReverter),
        Arc::new(ReadOnlyReverter),
        Arc::new(DataReverter),
        Arc::new(BackupReverter),
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
        production: inventory.production,
        pin: inventory.pin.as_ref().map(Pin::facts).unwrap_or_default(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iptables_stands_in_where_the_kernel_lacks_owners_and_only_there() {
        let lacks = NftError::Unsupported { what: "owners", source: std::io::Error::other("") };
        assert_eq!(choose(&Err(lacks)), Via::Iptables);
        assert_eq!(choose(&Ok(())), Via::Nftables);
        let forbidden = NftError::NoPermission { capability: "CAP_NET_ADMIN", place: "" };
        assert_eq!(choose(&Err(forbidden)), Via::Nftables);
    }
}
