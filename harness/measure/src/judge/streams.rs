//! Each stream's own account, and the scan that the service's figures are made of.

use drdrill_core::record::Stream;
use drdrill_core::time::{At, millis};

use super::baseline::{Baseline, latencies};
use super::digest::Disaster;
use super::outage::Outage;
use super::recovery::{Criteria, Recovery, Scan};
use super::shots::{Shot, StreamShots, quantiles};

/// A stream, and how it came through the faults.
#[derive(Debug)]
pub(crate) struct StreamStory<'a> {
    pub(crate) stream: &'a StreamShots,
    pub(crate) baseline: Baseline,
    /// One per fault that was in effect.
    pub(crate) recoveries: Vec<(Disaster, Recovery, Option<Outage>)>,
}

/// The settings of a judgement that are the same for all streams of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Length of the sustained window.
    pub(crate) window: std::time::Duration,
    /// Least goodput of the window, as a share of the baseline's.
    pub(crate) goodput: f64,
    /// When the drill stopped waiting.
    pub(crate) until: At,
}

impl<'a> StreamStory<'a> {
    pub(crate) fn new(stream: &'a StreamShots, disasters: &[Disaster], settings: Settings) -> Self {
        let first = disasters.first().map_or(At(u64::MAX), |first| first.from);
        let baseline = Baseline::of(&stream.shots, first);
        let criteria = Criteria::new(&stream.facts, baseline, settings.window, settings.goodput);
        let recoveries = disasters
            .iter()
            .map(|&disaster| {
                let mut scan = Scan::new(criteria, disaster);
                stream.shots.iter().for_each(|shot| scan.push(*shot));
                let recovery = scan.recovery(settings.until);
                (disaster, recovery, Outage::of(&scan, recovery, disaster))
            })
            .collect();
        Self { stream, baseline, recoveries }
    }

    /// The outage over all faults: from the first failure to the last return.
    pub(crate) fn outage(&self) -> Option<Outage> {
        let outages = self.recoveries.iter().filter_map(|(.., outage)| *outage);
        outages.reduce(Outage::union)
    }

    /// The stream's own account.
    pub(crate) fn record(&self) -> Stream {
        let before = self.before();
        Stream {
            name: self.stream.facts.name.clone(),
            connection: self.stream.facts.connection,
            samples: self.stream.counts(),
            outage: self.outage().map(|outage| outage.interval()),
            baseline_latency: quantiles(latencies(before)),
            worst_lateness_ms: millis(self.stream.worst_lateness()),
        }
    }

    fn before(&self) -> &[Shot] {
        let Some((first, ..)) = self.recoveries.first() else {
            return &self.stream.shots;
        };
        let shots = &self.stream.shots;
        &shots[..shots.partition_point(|shot| shot.sent < first.from)]
    }
}
