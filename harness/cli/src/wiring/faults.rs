//! Faults of a scenario made into what injects them, and those who take them back.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use drdrill_containers::hosts::Hosts;
use drdrill_core::action::{Action, ActionError};
use drdrill_core::containers::Containers;
use drdrill_core::data::DataPlace;
use drdrill_core::environment::{Environment, LinkControl, Power, ProcessControl};
use drdrill_core::network::{NetworkNode, Via, Way};
use drdrill_core::scenario::{Inject, Part, Partition};
use drdrill_engine::revert::Reverters;
use drdrill_environments::lab::LabReverter;
use drdrill_faults::backups::fault::BackupFault;
use drdrill_faults::backups::log::LogFault;
use drdrill_faults::backups::reverter::BackupReverter;
use drdrill_faults::dark::SiteNetwork;
use drdrill_faults::data::fault as data;
use drdrill_faults::data::pages::PageFault;
use drdrill_faults::data::reverter::DataReverter;
use drdrill_faults::destruction::fault::SiteDestruction;
use drdrill_faults::destruction::reverter::DestructionReverter;
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
use drdrill_faults::site_reverter::{Restart, Scope, SiteReverter};
use drdrill_faults::stolen::CredentialsStolen;
use drdrill_machinery::command::CommandReverter;

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
        Inject::RegionOutage(on) => {
            let (network, processes) = region(&on.on, environment)?;
            Arc::new(SiteLoss::of_region(network, processes))
        }
        Inject::ZoneLoss(fault) => {
            let processes = environment.processes().ok_or_else(|| lacks(Power::Processes))?;
            let zone = environment.zone(&fault.on, &fault.zone);
            let zone = zone.ok_or_else(|| lacks(Power::Zones))?;
            Arc::new(SiteLoss::of_zone(network(&zone)?, processes))
        }
        Inject::SiteDestruction(fault) => Arc::new(destruction(fault, environment)?),
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
        Inject::PageCorruption(fault) => Arc::new(page_fault(fault, environment)?),
        Inject::DataEncryption(fault) => {
            let harm = data::Harm::Encrypt(fault.rows);
            data_fault(&fault.on, fault.replicated, harm, environment)?
        }
        Inject::CredentialsRevoked(fault) => {
            data_fault(&fault.on, fault.replicated, data::Harm::Revoke, environment)?
        }
        Inject::CredentialsStolen(on) => {
            let intruder = environment.intruder().ok_or_else(|| lacks(Power::Credentials))?;
            Arc::new(CredentialsStolen { on: on.on.clone(), intruder, proof: Mutex::default() })
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

/// Whether a partition is one of the links between sites. Of single nodes the packets are dropped.
pub(crate) fn is_by_links(fault: &Partition, environment: &dyn Environment) -> bool {
    fault.is_of_roles() && environment.powers().contains(&Power::Links)
}

/// A partition by the links between two sites; `None` where the environment knows none.
fn link_partition(fault: &Partition, environment: &Arc<dyn Environment>) -> Option<LinkPartition> {
    if !is_by_links(fault, &**environment) {
        return None;
    }
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
    let credentials = harm == data::Harm::Revoke;
    let access = if credentials { environment.credentials() } else { environment.data() };
    let access = access.ok_or_else(lacks)?;
    let table = access.table(on).ok_or_else(lacks)?;
    let planned = Mutex::default();
    if let DataPlace::Postgres { .. } = table.place {
        let (tables, containers) = (vec![table], Some(Arc::new(Hosts::default()) as _));
        return Ok(Arc::new(data::DataFault {
            harm,
            tables,
            access,
            replicated,
            containers,
            planned,
        }));
    }
    let mut tables = vec![table];
    let others = environment.sites().into_iter().filter(|site| replicated && site != on);
    tables.extend(others.filter_map(|site| access.table(&site)));
    let containers = None;
    Ok(Arc::new(data::DataFault { harm, tables, access, replicated, containers, planned }))
}

/// Makes a fault of pages below a server.
fn page_fault(
    fault: &drdrill_core::scenario::PageDamage,
    environment: &Arc<dyn Environment>,
) -> Result<PageFault, ActionError> {
    let lacks = || ActionError::new("damage pages of", &*fault.on, Power::Pages.word());
    let access = environment.data().ok_or_else(lacks)?;
    Ok(PageFault {
        table: access.table(&fault.on).ok_or_else(lacks)?,
        files: access.files(&fault.on).ok_or_else(lacks)?,
        pages: fault.pages,
        access,
        containers: Arc::new(Hosts::default()),
        planned: Mutex::default(),
    })
}

/// A site with the entrance of its region: its network and its processes.
fn region(
    site: &str,
    environment: &Arc<dyn Environment>,
) -> Result<(SiteNetwork, Arc<dyn ProcessControl>), ActionError> {
    let lacks = || ActionError::new("take away the region of", site, Power::Regions.word());
    let processes = environment.region_processes().ok_or_else(lacks)?;
    let links = environment.region_links(site).ok_or_else(lacks)?;
    let control = environment.links().ok_or_else(lacks)?;
    Ok((SiteNetwork { site: site.to_owned(), links, control }, processes))
}

/// Makes the fault of a site of which nothing is left.
fn destruction(
    fault: &drdrill_core::scenario::Destruction,
    environment: &Arc<dyn Environment>,
) -> Result<SiteDestruction, ActionError> {
    let (network, processes) = region(&fault.on, environment)?;
    let lacks = |what: Power| ActionError::new("destroy", &*fault.on, what.word());
    let access = environment.data().ok_or_else(|| lacks(Power::Data))?;
    let table = access.table(&fault.on).ok_or_else(|| lacks(Power::Data))?;
    let data = access.directory(&fault.on).ok_or_else(|| lacks(Power::Destruction))?;
    let mut directories = vec![data];
    if fault.backups {
        let control = environment.restore_control().ok_or_else(|| lacks(Power::Backups))?;
        directories.push(PathBuf::from(control.archive(&fault.on)?.place()));
    }
    let kept_in = table.saved_in;
    Ok(SiteDestruction { network, processes, directories, kept_in, planned: Mutex::default() })
}

/// Makes a fault of backups.
fn backup_fault(
    fault: &drdrill_core::scenario::BackupDamage,
    environment: &Arc<dyn Environment>,
) -> Result<Arc<dyn Action>, ActionError> {
    let lacks = || ActionError::new("damage the backups of", &*fault.on, "there is no power to");
    let control = environment.restore_control().ok_or_else(lacks)?;
    if fault.part == Part::Log {
        return Ok(Arc::new(LogFault {
            on: fault.on.clone(),
            archive: control.archive(&fault.on)?,
            newest: fault.newest,
            harm: fault.how,
            kept_in: control.kept(&fault.on),
            planned: Mutex::default(),
        }));
    }
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

/// The same, for a site with the way by which clients come to its region.
fn restart_of_region(environment: &Arc<dyn Environment>) -> Option<Restart> {
    let (sites, processes) = (environment.site_control()?, environment.region_processes()?);
    Some(Restart { sites, processes })
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
    let (nodes, peers) = (nodes_of(on), from.map(nodes_of).unwrap_or_default());
    let mut others: Vec<_> = environment.sites().iter().flat_map(|site| nodes_of(site)).collect();
    others.retain(|node| !nodes.contains(node) && !peers.contains(node));
    Meant { nodes, peers, others }
}

/// The containers of the engine at an address, or where it usually is.
fn engine(at: Option<String>) -> Arc<dyn Containers> {
    Arc::new(at.map_or_else(Hosts::default, Hosts::at))
}

/// Those who take changes back. Without an environment, as in the keeper and in `recover`, they know only what the
/// ledger knows.
pub(crate) fn reverters(environment: Option<&Arc<dyn Environment>>) -> Reverters {
    let restart = environment.and_then(restart);
    // Without its own path it can start nothing, and says so when it has to.
    let program = program().unwrap_or_default();
    let lab = LabReverter::new(Links::of_server, engine);
    Reverters::new(vec![
        Arc::new(lab),
        Arc::new(SiteReverter {
            scope: Scope::Site,
            make_links: Links::of_server,
            restart: restart.clone(),
        }),
        Arc::new(SiteReverter {
            scope: Scope::Region,
            make_links: Links::of_server,
            restart: environment.and_then(restart_of_region),
        }),
        Arc::new(DestructionReverter {
            site: SiteReverter {
                scope: Scope::Site,
                make_links: Links::of_server,
                restart: environment.and_then(restart_of_region),
            },
        }),
        Arc::new(BlockReverter { make_links: Links::of_server }),
        Arc::new(NetworkReverter),
        Arc::new(ChainsReverter),
        Arc::new(DelayReverter),
        Arc::new(PauseReverter),
        Arc::new(EndReverter { restart, program }),
        Arc::new(DiskReverter),
        Arc::new(ReadOnlyReverter),
        Arc::new(DataReverter { containers: Some(Arc::new(Hosts::default())) }),
        Arc::new(BackupReverter),
        Arc::new(CommandReverter),
    ])
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
