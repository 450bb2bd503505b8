//! A delay of packets as an action of a drill.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Belt, Presence, Tag, Undo};
use drdrill_core::network::NetworkNode;

use super::canary::{CANARY_TIMEOUT, Path};
use super::delay_reverter::{DelayUndo, Slowed};
use super::lateness::{CANARIES, FEW, Times, time_all};
use super::reverter::Cut;
use super::ways;
use crate::namespace::Namespace;
use crate::qdisc::{Delay, Device, Discipline, QdiscError, Qdiscs, Root};

/// What is done when it is put into effect.
const DELAY: &str = "delay packets of";
/// A canary waits longer than the delay by so much.
const PATIENCE: Duration = Duration::from_secs(1);
/// So often a way that must not be slowed down is looked at again that seems to be: a machine may be busy.
const LOOKS: u32 = 3;

/// What nodes send leaves them later.
#[derive(Debug)]
pub struct NetworkDelay {
    /// How much later.
    pub delay: Delay,
    /// What delays it: [`Delay::discipline`], or what stands for that where a test has to do without.
    pub discipline: Discipline,
    /// The role that is struck, for people.
    pub on: String,
    /// The nodes that are struck.
    pub nodes: Vec<NetworkNode>,
    /// The nodes to which they send later; empty for everybody.
    pub peers: Vec<NetworkNode>,
    /// Nodes that are neither: they must not notice.
    pub others: Vec<NetworkNode>,
    /// What was seen when it was planned.
    pub planned: Mutex<PlannedDelay>,
}

/// What was seen before a delay.
#[derive(Debug, Default)]
pub struct PlannedDelay {
    /// The networks of the nodes, which are kept open, and the devices there.
    places: Vec<(Namespace, Vec<Device>)>,
    /// How long answers took on the ways that the delay must strike.
    before: Vec<Times>,
    /// Ways that must not be slowed down.
    spared: Vec<Path>,
}

/// The devices of a node that can be slowed down.
///
/// # Errors
/// Why they cannot be.
pub fn devices_of(
    node: &NetworkNode,
    namespace: &Namespace,
    discipline: &Discipline,
    peers: &[IpAddr],
) -> Result<Vec<Device>, QdiscError> {
    let qdiscs = Qdiscs::of(namespace)?;
    let devices = qdiscs.devices_with(&node.addresses)?;
    devices.iter().try_for_each(|device| qdiscs.may_be_put(discipline, device, peers))?;
    Ok(devices)
}

impl NetworkDelay {
    fn peer_addresses(&self) -> Vec<IpAddr> {
        self.peers.iter().flat_map(|peer| peer.addresses.iter().copied()).collect()
    }

    fn root(&self, tag: &Tag) -> Root {
        Root::of(tag.as_str(), &self.discipline, &self.peer_addresses())
    }

    fn planned(&self) -> MutexGuard<'_, PlannedDelay> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn patience(&self) -> Duration {
        self.delay.most() + PATIENCE
    }

    /// A device that does not have the discipline; `None` when all have it.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn lacks(&self, tag: &Tag) -> Result<Option<String>, ActionError> {
        let root = self.root(tag);
        let planned = self.planned();
        for (node, (namespace, devices)) in self.nodes.iter().zip(&planned.places) {
            let failed = not_delayed(node);
            let qdiscs = Qdiscs::of(namespace).map_err(&failed)?;
            for device in devices {
                if !qdiscs.is_there(&root, device).map_err(&failed)? {
                    let lacks = format!("device {} of {} does not have it", device.name, node.node);
                    return Ok(Some(lacks));
                }
            }
        }
        Ok(None)
    }

    /// A way that is slowed down and should not be.
    async fn too_wide(&self, spared: &[Path]) -> Result<Option<String>, ActionError> {
        let mut suspects = spared.to_vec();
        for _ in 0..LOOKS {
            let times = time_all(&suspects, FEW, self.patience()).await?;
            let late =
                suspects.into_iter().zip(times).filter(|(_, times)| times.are_late(self.delay));
            suspects = late.map(|(path, _)| path).collect();
            if suspects.is_empty() {
                return Ok(None);
            }
        }
        let told: Vec<String> =
            suspects.iter().map(|path| format!("{path} is slowed down too")).collect();
        Ok(Some(told.join("; ")))
    }
}

fn not_delayed(node: &NetworkNode) -> impl Fn(QdiscError) -> ActionError {
    |error| ActionError::new(DELAY, &*node.node, error)
}

#[async_trait]
impl Action for NetworkDelay {
    fn kind(&self) -> &'static str {
        "network_delay"
    }

    fn target(&self) -> String {
        self.on.clone()
    }

    fn via(&self) -> String {
        let places: Vec<String> = self.nodes.iter().map(|node| node.place.to_string()).collect();
        format!("{} in {}", self.discipline.kind, places.join(", "))
    }

    fn belts(&self) -> Vec<Belt> {
        vec![Belt::Journal]
    }

    async fn plan(&self, tag: &Tag) -> Result<Undo, ActionError> {
        let peers = self.peer_addresses();
        let (mut places, mut slowed) = (Vec::new(), Vec::new());
        for node in &self.nodes {
            let namespace = Namespace::open(&node.place)
                .map_err(|error| ActionError::new("open the network of", &*node.node, error))?;
            let devices = devices_of(node, &namespace, &self.discipline, &peers);
            let devices = devices.map_err(not_delayed(node))?;
            slowed.push(Slowed { cut: Cut::new(node, &namespace), devices: devices.clone() });
            places.push((namespace, devices));
        }
        let struck = ways::struck(&self.nodes, &self.peers)?;
        let before = time_all(&struck, CANARIES, CANARY_TIMEOUT).await?;
        for (path, times) in struck.iter().zip(&before) {
            let lost = || "it does not get through even without a fault".to_owned();
            let hidden = if times.whole() { times.hides(self.delay) } else { Some(lost()) };
            if let Some(why) = hidden {
                let reason = format!("{path}: {why}");
                return Err(ActionError::new("look at the network of", &*self.on, reason));
            }
        }
        // What is slow already cannot show that it was spared.
        let all = ways::spared(&self.nodes, &self.peers, &self.others)?;
        let times = time_all(&all, FEW, CANARY_TIMEOUT).await?;
        let quick = all.into_iter().zip(times).filter(|(_, times)| !times.are_late(self.delay));
        let spared = quick.map(|(path, _)| path).collect();
        *self.planned() = PlannedDelay { places, before, spared };
        Ok(DelayUndo { root: self.root(tag), slowed }.into_undo(&self.on))
    }

    async fn apply(&self, tag: &Tag) -> Result<(), ActionError> {
        let (root, peers) = (self.root(tag), self.peer_addresses());
        let planned = self.planned();
        for (node, (planned, devices)) in self.nodes.iter().zip(&planned.places) {
            let failed = not_delayed(node);
            let qdiscs = Qdiscs::of(&ways::same(DELAY, node, planned)?).map_err(&failed)?;
            for device in devices {
                qdiscs.install(&root, &self.discipline, device, &peers).map_err(&failed)?;
            }
        }
        Ok(())
    }

    async fn observe(&self, tag: &Tag) -> Result<Presence, ActionError> {
        if let Some(detail) = self.lacks(tag)? {
            return Ok(Presence::Absent { detail });
        }
        let struck = ways::struck(&self.nodes, &self.peers)?;
        let (before, spared) = {
            let planned = self.planned();
            (planned.before.clone(), planned.spared.clone())
        };
        let mut proof = Vec::new();
        let times = time_all(&struck, CANARIES, self.patience()).await?;
        for ((path, times), before) in struck.iter().zip(times).zip(&before) {
            match times.shows(self.delay, before) {
                Ok(said) => proof.push(format!("{path}: {said}")),
                Err(said) => return Ok(Presence::Absent { detail: format!("{path}: {said}") }),
            }
        }
        if let Some(detail) = self.too_wide(&spared).await? {
            return Ok(Presence::TooWide { detail });
        }
        let spared: Vec<String> = spared.iter().map(Path::to_string).collect();
        proof.push(if spared.is_empty() {
            "nothing was there to show that it is not too wide".to_owned()
        } else {
            format!("not slowed down: {}", spared.join(", "))
        });
        Ok(Presence::InEffect { proof: proof.join("; ") })
    }
}
