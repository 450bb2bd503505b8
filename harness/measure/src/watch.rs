//! Is the service restored? The judgement of [`mod@crate::judge`], made while the drill runs.
//!
//! It uses the judge's own scan, on the samples that have arrived without a gap: what it calls restored, the judge
//! calls restored afterwards, and at the same instant.

use std::collections::BTreeMap;
use std::time::Duration;

use drdrill_core::event::StreamFacts;
use drdrill_core::inventory::{Measure, ServiceFacts};
use drdrill_core::sample::{Sample, StreamId};
use drdrill_core::time::At;

use crate::judge::baseline::Baseline;
use crate::judge::case::DEFAULT_LEVEL;
use crate::judge::digest::Disaster;
use crate::judge::recovery::{Criteria, Recovery, Scan};
use crate::judge::shots::{Shot, is_headline};

/// Watches the deciding streams of all services: those with fresh connections that read or write.
#[derive(Debug)]
pub struct RestoreWatch {
    window: Duration,
    fault: Option<Disaster>,
    first_fault: Option<At>,
    streams: BTreeMap<StreamId, Watched>,
}

#[derive(Debug)]
struct Watched {
    facts: StreamFacts,
    goodput: f64,
    /// Samples in their order, without a gap.
    shots: Vec<Shot>,
    /// Samples that came before an earlier one.
    early: BTreeMap<u64, Shot>,
    baseline: Option<Baseline>,
    scan: Option<Scan>,
    fed: usize,
    restored: bool,
}

impl RestoreWatch {
    /// A watch over the deciding ones among `streams`. Targets and window are those of the judgement.
    #[must_use]
    pub fn new(streams: &[StreamFacts], services: &[ServiceFacts], measure: Measure) -> Self {
        let level = |name: &str| {
            let service = services.iter().find(|service| service.name == name)?;
            Some(service.targets.rlo.map_or(DEFAULT_LEVEL, drdrill_core::units::Share::ratio))
        };
        let watched = streams.iter().filter(|facts| is_headline(facts));
        let watched = watched.filter_map(|facts| {
            let goodput = level(&facts.service)?;
            Some((facts.id, Watched::new(facts.clone(), goodput)))
        });
        Self {
            window: measure.sustained.0,
            fault: None,
            first_fault: None,
            streams: watched.collect(),
        }
    }

    /// Says that a fault began between `from` (F−) and `at` (F+). From now on the recovery from it is watched; what
    /// was restored before counts no more.
    pub fn fault(&mut self, from: At, at: At) {
        self.first_fault.get_or_insert(from);
        self.fault = Some(Disaster { from, at: at.max(from) });
        for stream in self.streams.values_mut() {
            stream.scan = None;
            stream.fed = 0;
            stream.restored = false;
        }
    }

    /// Takes a sample. Order does not matter; samples of streams that do not decide are passed over.
    pub fn feed(&mut self, sample: &Sample) {
        if let Some(stream) = self.streams.get_mut(&sample.stream) {
            stream.take(sample.into());
        }
    }

    /// Whether every deciding stream has come through a whole sustained window since the last fault. Never before
    /// a fault, and never without a stream.
    pub fn restored(&mut self) -> bool {
        let (Some(fault), Some(first_fault)) = (self.fault, self.first_fault) else {
            return false;
        };
        let window = self.window;
        let mut all = !self.streams.is_empty();
        for stream in self.streams.values_mut() {
            all &= stream.look(fault, first_fault, window);
        }
        all
    }

    /// Names of the streams that the last [`RestoreWatch::restored`] still waited for.
    #[must_use]
    pub fn waiting_for(&self) -> Vec<&str> {
        let waiting = self.streams.values().filter(|stream| !stream.restored);
        waiting.map(|stream| stream.facts.name.as_str()).collect()
    }
}

impl Watched {
    fn new(facts: StreamFacts, goodput: f64) -> Self {
        Self {
            facts,
            goodput,
            shots: Vec::new(),
            early: BTreeMap::new(),
            baseline: None,
            scan: None,
            fed: 0,
            restored: false,
        }
    }

    fn take(&mut self, shot: Shot) {
        self.early.insert(shot.sequence, shot);
        while let Some(entry) = self.early.first_entry() {
            if u64::try_from(self.shots.len()) != Ok(*entry.key()) {
                break;
            }
            self.shots.push(entry.remove());
        }
    }

    fn look(&mut self, fault: Disaster, first_fault: At, window: Duration) -> bool {
        if self.restored {
            return true;
        }
        // Before that no window can be over, and the samples of the baseline may not all be here.
        let last = self.shots.last().map_or(At(0), |shot| shot.sent);
        if last <= fault.from.plus(window) {
            return false;
        }
        let shots = &self.shots;
        let baseline = *self.baseline.get_or_insert_with(|| Baseline::of(shots, first_fault));
        let scan = self.scan.get_or_insert_with(|| {
            let criteria = Criteria::new(&self.facts, baseline, window, self.goodput);
            Scan::new(criteria, fault)
        });
        for shot in &shots[self.fed..] {
            scan.push(*shot);
        }
        self.fed = shots.len();
        self.restored = matches!(
            scan.recovery(At(u64::MAX)),
            Recovery::Restored { .. } | Recovery::Unharmed { .. }
        );
        self.restored
    }
}
