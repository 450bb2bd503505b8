//! What is refused before anything is touched.
//!
//! [`production`] asks for a confirmation and a window, [`pin`] reads from the target which one it is, [`urls`] looks
//! where names lead, [`permit`] asks again before each fault.

pub(crate) mod permit;
pub(crate) mod pin;
pub(crate) mod production;
pub(crate) mod urls;

use drdrill_core::environment::Environment;
use drdrill_core::inventory::{Inventory, Provider};
use drdrill_core::network::{NetworkPlace, Via};
use drdrill_core::scenario::{Inject, Limit, Loss, NetworkDelay, Partition, Scenario};
use drdrill_faults::disk::fault::DiskError;
use drdrill_faults::namespace::Namespace;
use drdrill_faults::network::delay::devices_of;
use drdrill_faults::process::starter;
use drdrill_faults::process::targets::TargetError;
use drdrill_faults::{iptables, nft, qdisc};

use crate::exit::{Code, Failure};
use crate::wiring;

/// A name that no table has: looking for it shows whether tables can be looked at.
const NO_TABLE: &str = "drdrill-doctor";

/// Refuses a target that is not the one that is meant, or whose addresses are never probed.
pub(crate) async fn target(inventory: &Inventory, permit: &permit::Rules) -> Result<(), Failure> {
    urls::lead_nowhere_else(inventory).await?;
    permit.pin_holds().await.map_err(Failure::with(Code::Refused))
}

/// Refuses faults that strike more than the scenario says is meant, or drdrill itself.
pub(crate) fn blast_radius(
    scenario: &Scenario,
    environment: &dyn Environment,
) -> Result<(), Failure> {
    for fault in &scenario.faults {
        let (from, ports, most) = match &fault.inject {
            // Made by the links between two sites, which [`links_can`] looks at.
            Inject::NetworkPartition(cut) if wiring::is_by_links(cut, environment) => continue,
            Inject::NetworkPartition(cut) => (&cut.from, &cut.ports[..], cut.max_targets),
            Inject::PacketLoss(loss) => (&loss.from, &loss.ports[..], loss.max_targets),
            Inject::RateLimit(limit) => (&limit.from, &limit.ports[..], limit.max_targets),
            Inject::NetworkDelay(delay) => (&delay.from, &[][..], delay.max_targets),
            Inject::ProcessPause(_)
            | Inject::ProcessKill(_)
            | Inject::ProcessStop(_)
            | Inject::ProcessRestart(_)
            | Inject::StorageReadOnly(_) => {
                few_processes(&fault.inject, environment)?;
                continue;
            }
            // How many rows or backups at most stands in each of these faults.
            Inject::SiteLoss(_)
            | Inject::SiteDestruction(_)
            | Inject::ZoneLoss(_)
            | Inject::RegionOutage(_)
            | Inject::NetworkDown(_)
            | Inject::DiskFull(_)
            | Inject::ReplicationStall(_)
            | Inject::DataCorruption(_)
            | Inject::PageCorruption(_)
            | Inject::DataDeletion(_)
            | Inject::DataEncryption(_)
            | Inject::CredentialsRevoked(_)
            | Inject::CredentialsStolen(_)
            | Inject::BackupDamage(_) => continue,
        };
        let (kind, on) = (fault.inject.kind(), fault.inject.on());
        let (names, nodes) = (environment.network_names(on), environment.network_nodes(on));
        // A role may consist of processes or directories alone. As a peer it would mean nobody, that is everybody.
        let roles = [Some(on), from.as_deref()];
        let mut roles = roles.into_iter().flatten();
        if let Some(role) = roles.find(|role| environment.network_names(role).is_empty()) {
            let message = format!(
                "{kind} on {on}: the environment names no `nodes` of {role}, only other things"
            );
            return Err(Failure::new(Code::NotReady, message));
        }
        if names.len() > most {
            let message = format!(
                "{kind} on {on} would strike {} nodes, but max_targets is {most}; raise it in the scenario if all are meant, \
                 or name one (`on: {on}/NODE`)",
                names.len()
            );
            return Err(Failure::new(Code::Refused, message));
        }
        let everything = from.is_none() && ports.is_empty();
        if everything && nodes.iter().any(|node| node.place == NetworkPlace::Own) {
            let message = if matches!(fault.inject, Inject::NetworkDelay(_)) {
                format!("{kind} on {on} would slow down drdrill itself; say to whom (`from: ROLE`)")
            } else {
                format!(
                    "{kind} on {on} would cut off drdrill itself; say from whom (`from: ROLE`) or which `ports`"
                )
            };
            return Err(Failure::new(Code::Refused, message));
        }
    }
    Ok(())
}

/// Refuses a partition that the links between sites cannot make: they know sites and no ports. And a fault of packets between
/// hosts that send each other none.
pub(crate) fn links_can(
    scenario: &Scenario,
    inventory: &Inventory,
    environment: &dyn Environment,
) -> Result<(), Failure> {
    let (Provider::Lab(_) | Provider::Docker(_)) = &inventory.provider else { return Ok(()) };
    for fault in &scenario.faults {
        let why = match &fault.inject {
            Inject::NetworkPartition(Partition { from: Some(from), on, .. })
            | Inject::PacketLoss(Loss { from: Some(from), on, .. })
            | Inject::RateLimit(Limit { from: Some(from), on, .. })
            | Inject::NetworkDelay(NetworkDelay { from: Some(from), on, .. })
                if site_of(on) != site_of(from)
                    && !are_cut_by_links(&fault.inject, environment) =>
            {
                "hosts of two sites meet only at the proxies between them; to cut these off say \
                 `network_partition: { on: ROLE, from: ROLE }`"
            }
            Inject::NetworkPartition(_) if !are_cut_by_links(&fault.inject, environment) => {
                continue;
            }
            Inject::NetworkPartition(cut) if cut.from.is_none() => {
                "say from which site (`from: ROLE`)"
            }
            Inject::NetworkPartition(cut) if cut.from.as_ref() == Some(&cut.on) => {
                "a site cannot be cut off from itself"
            }
            Inject::NetworkPartition(cut) if !cut.ports.is_empty() => {
                "it is cut off as a whole; leave `ports` out"
            }
            Inject::NetworkPartition(cut) if cut.via.is_some() => {
                "its links are proxies; leave `via` out"
            }
            Inject::ReplicationStall(stall) if stall.on == stall.from => {
                "a site does not follow itself"
            }
            _ => continue,
        };
        let (kind, on) = (fault.inject.kind(), fault.inject.on());
        return Err(Failure::new(Code::NotReady, format!("{kind} on {on}: {why}")));
    }
    Ok(())
}

/// Whether a fault is a partition of the links between sites.
fn are_cut_by_links(inject: &Inject, environment: &dyn Environment) -> bool {
    matches!(inject, Inject::NetworkPartition(cut) if wiring::is_by_links(cut, environment))
}

/// The role that a scenario names, or whose node it names.
fn site_of(name: &str) -> &str {
    name.split_once('/').map_or(name, |(site, _)| site)
}

/// Refuses faults that this process has no right to inject, and so none to take back.
pub(crate) fn rights(scenario: &Scenario, environment: &dyn Environment) -> Result<(), Failure> {
    for fault in &scenario.faults {
        processes_are_there(&fault.inject, environment)?;
        disk_may_be_filled(&fault.inject, environment)?;
        packets_may_be_delayed(&fault.inject, environment)?;
    }
    for fault in scenario.faults.iter().filter(|fault| needs_packet_filter(&fault.inject)) {
        let (kind, on) = (fault.inject.kind(), fault.inject.on());
        let via = wiring::via(&fault.inject);
        let nodes = environment.network_nodes(on);
        if nodes.is_empty() && !are_cut_by_links(&fault.inject, environment) {
            // They come with the environment: what can be told is whether this kernel and our rights would do.
            let usable = match via {
                Via::Nftables => nft::try_out().map_err(|error| error.to_string()),
                Via::Iptables => chains(&NetworkPlace::Own),
            };
            usable.map_err(|why| Failure::new(Code::NotReady, format!("{kind} on {on}: {why}")))?;
        }
        for node in nodes {
            let usable = match via {
                Via::Nftables => packet_filter(&node.place),
                Via::Iptables => chains(&node.place),
            };
            usable.map_err(|why| {
                Failure::new(Code::NotReady, format!("{kind} on {}: {why}", node.node))
            })?;
        }
    }
    Ok(())
}

/// Refuses a fault of more processes than are meant, and one of a process that nobody can start again. The lab only
/// knows its processes once it is up.
fn few_processes(inject: &Inject, environment: &dyn Environment) -> Result<(), Failure> {
    let Some(targets) = wiring::targets(inject, environment) else { return Ok(()) };
    let (kind, known) = (inject.kind(), targets.known());
    let (count, most) = (known.len(), targets.max_targets);
    if count > most {
        let on = &targets.on;
        let message = format!(
            "{kind} on {on} would strike {count} processes, but max_targets is {most}; raise it in the scenario if all \
             are meant, or name one (`component: NAME`)"
        );
        return Err(Failure::new(Code::Refused, message));
    }
    let ends = !matches!(inject, Inject::ProcessPause(_) | Inject::StorageReadOnly(_));
    let Some(lost) = known.iter().find(|one| ends && !one.comes_back()) else { return Ok(()) };
    let message = format!(
        "{kind} on {}: the environment does not say what starts it again; give it a `pid_file` and a `start` command",
        lost.node
    );
    Err(Failure::new(Code::NotReady, message))
}

/// Refuses faults of processes that are not there, or that are drdrill's own, and of those that cannot be started again.
fn processes_are_there(inject: &Inject, environment: &dyn Environment) -> Result<(), Failure> {
    let Some(targets) = wiring::targets(inject, environment) else { return Ok(()) };
    let known = targets.known();
    if known.is_empty() {
        // Those of the lab are there once it is up.
        return Ok(());
    }
    let what = format!("{} on {}", inject.kind(), inject.on());
    let failure = |code, why: &dyn std::fmt::Display| Failure::new(code, format!("{what}: {why}"));
    let found = crate::commands::runtime()?.block_on(targets.find());
    found.map_err(|error| match error {
        TargetError::Refused(_) => failure(Code::Refused, &error),
        TargetError::NotThere(_) => failure(Code::NotReady, &error),
    })?;
    let commands = known.iter().filter_map(|one| one.start.as_ref());
    let ends = !matches!(inject, Inject::ProcessPause(_) | Inject::StorageReadOnly(_));
    for command in commands.filter(|_| ends) {
        starter::check(command).map_err(|why| failure(Code::NotReady, &why))?;
    }
    Ok(())
}

/// Refuses to fill a file system that others need, or that cannot be filled.
fn disk_may_be_filled(inject: &Inject, environment: &dyn Environment) -> Result<(), Failure> {
    let Inject::DiskFull(fault) = inject else { return Ok(()) };
    let disk = wiring::disk_full(fault, environment);
    let disk = disk.map_err(|error| Failure::new(Code::NotReady, error))?;
    let failure = |code, why: &dyn std::fmt::Display| {
        Failure::new(code, format!("disk_full on {}: {why}", fault.on))
    };
    disk.check().map(drop).map_err(|error| match error {
        DiskError::Refused(_) => failure(Code::Refused, &error),
        DiskError::NotReady(_) => failure(Code::NotReady, &error),
    })
}

/// Refuses to delay packets where the kernel cannot, or where somebody else orders them already.
fn packets_may_be_delayed(inject: &Inject, environment: &dyn Environment) -> Result<(), Failure> {
    let Inject::NetworkDelay(fault) = inject else { return Ok(()) };
    let peers = fault.from.iter().flat_map(|from| environment.network_nodes(from));
    let peers: Vec<_> = peers.flat_map(|peer| peer.addresses).collect();
    let discipline = wiring::delay(fault).discipline();
    let nodes = environment.network_nodes(&fault.on);
    if nodes.is_empty() {
        // They come with the environment.
        qdisc::try_out().map_err(|error| {
            Failure::new(Code::NotReady, format!("network_delay on {}: {error}", fault.on))
        })?;
    }
    for node in nodes {
        let failure = |why: &dyn std::fmt::Display| {
            let message = format!("network_delay on {}: {}: {why}", node.node, node.place);
            Failure::new(Code::NotReady, message)
        };
        let namespace = Namespace::open(&node.place).map_err(|error| failure(&error))?;
        devices_of(&node, &namespace, &discipline, &peers).map_err(|error| failure(&error))?;
    }
    Ok(())
}

/// Whether a fault needs the kernel's packet filter, and with it `CAP_NET_ADMIN` where the node is.
pub(crate) const fn needs_packet_filter(inject: &Inject) -> bool {
    matches!(inject, Inject::NetworkPartition(_) | Inject::PacketLoss(_) | Inject::RateLimit(_))
}

/// Whether the packet filter of a place can be looked at, which takes the same right as changing it.
pub(crate) fn packet_filter(place: &NetworkPlace) -> Result<(), String> {
    let namespace = Namespace::open(place).map_err(|error| format!("{place}: {error}"))?;
    nft::find(&namespace, NO_TABLE).map(drop).map_err(|error| format!("{place}: {error}"))
}

/// Whether the `iptables` programs work in a place.
fn chains(place: &NetworkPlace) -> Result<(), String> {
    let namespace = Namespace::open(place).map_err(|error| format!("{place}: {error}"))?;
    iptables::usable(&namespace).map_err(|error| format!("{place}: {error}"))
}
