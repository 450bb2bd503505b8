//! What shows, from where clients stand, that a fault of the network is in effect.

use std::time::Duration;

use drdrill_core::action::{ActionError, Presence};
use drdrill_core::network::Way;
use drdrill_core::units::{Rate, Share};
use futures_util::future::try_join;

use super::canary::{Arrival, Path, send_all};
use super::fault::NetworkFault;
use super::push::{Flow, Push, Times, push_all};

/// Canaries that show a loss. Enough to tell 20 % from none: all 60 pass then once in 650,000 looks.
const CANARIES: u8 = 60;
/// A share of lost canaries further than this from the expected one, in standard deviations, is not what was asked.
const SIGMAS: f64 = 4.0;

/// A limit is looked at by pushing so many times more than it lets through.
const PUSH: u64 = 3;
/// Without a limit at least so many times more than it would let through has to get through, so that it can show.
const WIDE: u64 = 2;
/// What gets through a limit, in percent of it. Traffic of others takes its share, and packets are no smooth flow; half
/// of the rate and twice the rate are told from it.
const THROUGH: std::ops::RangeInclusive<u64> = 65..=120;
/// At first a limit lets pass what flows in one second; pushing three times as much uses that up in half a second.
const LIMITED: Times =
    Times { warm_up: Duration::from_millis(900), counted: Duration::from_secs(1) };
/// Nothing has to be used up where there is no limit.
const UNLIMITED: Times =
    Times { warm_up: Duration::from_millis(100), counted: Duration::from_millis(400) };

impl NetworkFault {
    /// Whether all ways that must be cut are.
    pub(super) async fn look_for_partition(&self) -> Result<Presence, ActionError> {
        let struck = self.struck()?;
        let mut proof = Vec::new();
        for (path, arrival) in struck.iter().zip(send_all(&struck).await?) {
            match arrival {
                Arrival::Answered => {
                    return Ok(Presence::Absent { detail: format!("{path} still gets through") });
                }
                Arrival::Lost(how) => proof.push(format!("{path}: {how}")),
            }
        }
        Ok(Presence::InEffect { proof: proof.join("; ") })
    }

    /// Whether as many canaries are lost as expected.
    pub(super) async fn look_for_loss(&self, share: Share) -> Result<Presence, ActionError> {
        // A connection is answered when its request passes one way and the answer the other.
        let directions = if self.way == Way::Both { 2 } else { 1 };
        let expected = 1.0 - (1.0 - share.ratio()).powi(directions);
        let mut proof = Vec::new();
        for path in self.struck()? {
            let canaries = vec![path.clone(); CANARIES.into()];
            let arrivals = send_all(&canaries).await?;
            let lost = arrivals.iter().filter(|arrival| **arrival != Arrival::Answered);
            let lost = lost.fold(0, |lost: u8, _| lost.saturating_add(1));
            let said = format!(
                "{path}: {lost} of {CANARIES} canaries lost, {:.1} expected",
                expected * f64::from(CANARIES)
            );
            if !is_plausible(lost, CANARIES, expected) {
                return Ok(Presence::Absent { detail: said });
            }
            proof.push(said);
        }
        Ok(Presence::InEffect { proof: proof.join("; ") })
    }

    /// Whether as much gets through as a limit lets, and elsewhere as much as before.
    pub(super) async fn look_for_limit(&self, rate: Rate) -> Result<Presence, ActionError> {
        let struck = self.pushes(self.struck()?, rate, self.peers.len());
        let wide = self.planned().wide.clone();
        let (limited, free) =
            try_join(push_all(&struck, LIMITED), push_all(&wide, LIMITED)).await?;
        let mut proof = Vec::new();
        let enough = rate.bytes_per_second.saturating_mul(WIDE);
        // First, because what is struck by mistake takes its share of the limit from those who are meant.
        for (push, flow) in wide.iter().zip(free).filter(|(_, flow)| flow.sent >= enough) {
            let said = format!("{push}: {} of {} get through", kilo(flow.arrived), kilo(flow.sent));
            if flow.arrived.saturating_mul(3) < flow.sent.saturating_mul(2) {
                return Ok(Presence::TooWide { detail: said });
            }
            proof.push(said);
        }
        for flow in self.sums(&struck, &limited) {
            let said = format!("{}: {} of {rate} get through", flow.of, kilo(flow.arrived));
            if flow.sent < enough {
                let sent = kilo(flow.sent);
                return Ok(Presence::Absent {
                    detail: format!("{said}, but only {sent} were sent"),
                });
            }
            let percent = flow.arrived.saturating_mul(100) / rate.bytes_per_second.max(1);
            if !THROUGH.contains(&percent) {
                return Ok(Presence::Absent { detail: said });
            }
            proof.push(said);
        }
        Ok(Presence::InEffect { proof: proof.join("; ") })
    }

    /// Looks whether a limit could be seen: more than it lets through has to get through without it. Returns the ways
    /// that must stay as wide.
    pub(super) async fn look_at_width(&self, rate: Rate) -> Result<Vec<Push>, ActionError> {
        let struck = self.pushes(self.struck()?, rate, self.peers.len());
        let flows = push_all(&struck, UNLIMITED).await?;
        let wide = rate.bytes_per_second.saturating_mul(WIDE);
        if let Some(flow) = self.sums(&struck, &flows).iter().find(|flow| flow.arrived < wide) {
            let reason = format!(
                "{}: only {} get through without a fault, which is too little to show a limit of {rate}",
                flow.of,
                kilo(flow.arrived)
            );
            return Err(self.error("look at the network of", reason));
        }
        let beside = self.pushes(self.beside()?, rate, 1);
        let flows = push_all(&beside, UNLIMITED).await?;
        let free = beside.into_iter().zip(flows).filter(|(_, flow)| flow.arrived >= wide);
        Ok(free.map(|(push, _)| push).collect())
    }

    /// What is pushed to see a limit: to each node so many times more than that, by all its senders together.
    fn pushes(&self, paths: Vec<Path>, rate: Rate, senders: usize) -> Vec<Push> {
        let senders = u64::try_from(senders).unwrap_or(u64::MAX).max(1);
        let bytes_per_second = rate.bytes_per_second.saturating_mul(PUSH).div_ceil(senders);
        let port = |path: &Path| if self.ports.is_empty() { 0 } else { path.to.port() };
        let ways = self.ways();
        let push = |path: Path| {
            let port = port(&path);
            ways.iter().map(move |way| Push {
                path: path.clone(),
                way: *way,
                port,
                pace: Rate { bytes_per_second },
            })
        };
        paths.into_iter().flat_map(push).collect()
    }

    fn ways(&self) -> &'static [Way] {
        match self.way {
            Way::Both => &[Way::In, Way::Out],
            Way::In => &[Way::In],
            Way::Out => &[Way::Out],
        }
    }

    /// The limit of a node is shared by all its peers, in each direction.
    fn sums(&self, pushes: &[Push], flows: &[Flow]) -> Vec<Sum> {
        let of = |node: &str, way: Way| {
            let mut sum = Sum::default();
            for (push, flow) in pushes.iter().zip(flows) {
                if push.path.node == node && push.way == way {
                    sum.of = if sum.of.is_empty() {
                        push.to_string()
                    } else {
                        format!("{}, {push}", sum.of)
                    };
                    sum.sent = sum.sent.saturating_add(flow.sent);
                    sum.arrived = sum.arrived.saturating_add(flow.arrived);
                }
            }
            sum
        };
        let nodes = self.nodes.iter();
        nodes.flat_map(|node| self.ways().iter().map(move |way| of(&node.node, *way))).collect()
    }
}

/// What became of all that was pushed to or from a node.
#[derive(Default)]
struct Sum {
    of: String,
    sent: u64,
    arrived: u64,
}

/// For people.
fn kilo(bytes_per_second: u64) -> String {
    format!("{} kB/s", bytes_per_second.div_ceil(1000))
}

/// Whether `struck` of `all` canaries is what a share of `expected` makes, and not what none makes.
pub(super) fn is_plausible(struck: u8, all: u8, expected: f64) -> bool {
    let (all, struck) = (f64::from(all), f64::from(struck));
    let deviation = (all * expected * (1.0 - expected)).sqrt();
    struck > 0.0 && (struck - all * expected).abs() <= (SIGMAS * deviation).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_told_from_none_and_from_all() {
        assert!(is_plausible(18, CANARIES, 0.3));
        assert!(is_plausible(60, CANARIES, 0.99));
        for lost in [0, 1, 45, 60] {
            assert!(!is_plausible(lost, CANARIES, 0.3), "{lost}");
        }
        assert!(!is_plausible(0, CANARIES, 0.01));
    }
}
