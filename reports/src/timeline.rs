//! The history's samples, put into bins of time: what the charts draw.
//!
//! Nothing bad is averaged away: a bin counts each outcome, so one failure among thousands of successes is still
//! there to be drawn.

use std::collections::BTreeMap;

use drdrill_core::event::{Entry, Event, StreamFacts};
use drdrill_core::record::Latency;
use drdrill_core::sample::{Outcome, Sample, StreamId};

/// All streams over the whole drill.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// Length of the drill.
    pub duration_ms: f64,
    /// Each stream, in the order of the history.
    pub streams: Vec<StreamLine>,
}

/// One stream over the whole drill.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamLine {
    /// What the stream is.
    pub facts: StreamFacts,
    /// Bins of equal length.
    pub bins: Vec<Bin>,
    /// Uninterrupted failures, in order of time.
    pub outages: Vec<Stretch>,
}

/// Samples that were sent in one stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Succeeded.
    pub ok: u32,
    /// Certainly failed.
    pub failed: u32,
    /// Passed the deadline.
    pub unknown: u32,
    /// Our own fault.
    pub prober_error: u32,
    /// Latency of successes; absent when there were none.
    pub latency: Option<Latency>,
}

impl Bin {
    /// All samples.
    #[must_use]
    pub const fn sent(&self) -> u32 {
        self.ok + self.failed + self.unknown + self.prober_error
    }

    /// Whether all that was sent succeeded.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.sent() == self.ok
    }

    const fn count(&mut self, outcome: &Outcome) {
        let class = match outcome {
            Outcome::Ok => &mut self.ok,
            Outcome::Failed(_) => &mut self.failed,
            Outcome::Unknown(_) => &mut self.unknown,
            Outcome::ProberError(_) => &mut self.prober_error,
        };
        *class = class.saturating_add(1);
    }
}

/// Failures of one stream without a success between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    /// When the first of them was sent.
    pub from_ms: f64,
    /// When the first success after them was sent; absent when none came.
    pub to_ms: Option<f64>,
    /// Certain failures.
    pub failed: u64,
    /// Passed deadlines.
    pub unknown: u64,
    /// What the first of them said.
    pub first_error: String,
}

/// Puts the samples of a history into `bins` bins per stream over `duration_ms`, or longer when a sample is later.
#[must_use]
pub fn timeline(history: &[Entry], duration_ms: f64, bins: usize) -> Timeline {
    let samples = || {
        history.iter().filter_map(|entry| match &entry.event {
            Event::Sample(sample) => Some(sample),
            _ => None,
        })
    };
    let last_ms = samples().map(|sample| sample.sent.ms()).fold(0.0, f64::max);
    let duration_ms = duration_ms.max(last_ms).max(1.0);
    let mut by_stream: BTreeMap<StreamId, Vec<&Sample>> = BTreeMap::new();
    for sample in samples() {
        by_stream.entry(sample.stream).or_default().push(sample);
    }
    let streams = facts(history)
        .iter()
        .map(|facts| {
            let mut samples = by_stream.remove(&facts.id).unwrap_or_default();
            samples.sort_by_key(|sample| (sample.sent, sample.sequence));
            StreamLine {
                facts: facts.clone(),
                bins: binned(&samples, duration_ms, bins.max(1)),
                outages: outages(&samples),
            }
        })
        .collect();
    Timeline { duration_ms, streams }
}

/// At most `most` streams: those that there is no room for become one, in which nothing that failed is lost.
pub(crate) fn folded(streams: &[StreamLine], most: usize) -> Vec<StreamLine> {
    let (alone, rest) = match streams.len() {
        n if n > most => streams.split_at(most.saturating_sub(1)),
        _ => (streams, [].as_slice()),
    };
    let mut lines = alone.to_vec();
    let Some((first, others)) = rest.split_first() else { return lines };
    let mut all = first.clone();
    all.facts.name = format!("{} more streams", rest.len());
    for other in others {
        for (bin, more) in all.bins.iter_mut().zip(&other.bins) {
            bin.ok = bin.ok.saturating_add(more.ok);
            bin.failed = bin.failed.saturating_add(more.failed);
            bin.unknown = bin.unknown.saturating_add(more.unknown);
            bin.prober_error = bin.prober_error.saturating_add(more.prober_error);
        }
        all.outages.extend(other.outages.iter().cloned());
    }
    // Of several streams together there is no latency to tell.
    all.bins.iter_mut().for_each(|bin| bin.latency = None);
    all.outages.sort_by(|a, b| a.from_ms.total_cmp(&b.from_ms));
    lines.push(all);
    lines
}

/// The streams that a history declares.
fn facts(history: &[Entry]) -> &[StreamFacts] {
    history
        .iter()
        .find_map(|entry| match &entry.event {
            Event::DrillStarted(started) => Some(started.streams.as_slice()),
            _ => None,
        })
        .unwrap_or_default()
}

/// `samples` are in order of time.
fn binned(samples: &[&Sample], duration_ms: f64, bins: usize) -> Vec<Bin> {
    let index = |sample: &Sample| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of the number of bins, capped below"
        )]
        let index = (sample.sent.ms() / duration_ms * bins as f64) as usize;
        index.min(bins - 1)
    };
    let mut out = vec![Bin::default(); bins];
    let mut latencies = Vec::new();
    for chunk in samples.chunk_by(|a, b| index(a) == index(b)) {
        let bin = &mut out[index(chunk[0])];
        latencies.clear();
        for sample in chunk {
            bin.count(&sample.outcome);
            if sample.outcome.is_ok() {
                latencies.push(drdrill_core::time::millis(sample.done.since(sample.sent)));
            }
        }
        bin.latency = quantiles(&mut latencies);
    }
    out
}

fn quantiles(latencies: &mut [f64]) -> Option<Latency> {
    latencies.sort_unstable_by(f64::total_cmp);
    // The smallest value that at least `percent` in 100 do not exceed.
    let at = |percent: usize| {
        let rank = (latencies.len() * percent).div_ceil(100);
        latencies.get(rank.saturating_sub(1)).copied()
    };
    Some(Latency { p50_ms: at(50)?, p99_ms: at(99)?, max_ms: *latencies.last()? })
}

fn outages(samples: &[&Sample]) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    let mut open: Option<Stretch> = None;
    for sample in samples {
        match &sample.outcome {
            Outcome::ProberError(_) => {}
            Outcome::Ok => {
                if let Some(mut stretch) = open.take() {
                    stretch.to_ms = Some(sample.sent.ms());
                    found.push(stretch);
                }
            }
            Outcome::Failed(error) | Outcome::Unknown(error) => {
                let stretch = open.get_or_insert_with(|| Stretch {
                    from_ms: sample.sent.ms(),
                    to_ms: None,
                    failed: 0,
                    unknown: 0,
                    first_error: error.to_string(),
                });
                if matches!(sample.outcome, Outcome::Failed(_)) {
                    stretch.failed += 1;
                } else {
                    stretch.unknown += 1;
                }
            }
        }
    }
    found.extend(open);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Case, Fixture};

    #[test]
    fn no_failure_disappears_however_coarse_the_bins() {
        let fixture = Fixture::build(Case::Passed);
        for bins in [1, 7, 240, 100_000] {
            let line = timeline(&fixture.history, 60_000.0, bins);
            for stream in &line.streams {
                let failed: u32 = stream.bins.iter().map(|bin| bin.failed + bin.unknown).sum();
                let in_outages: u64 = stream.outages.iter().map(|s| s.failed + s.unknown).sum();
                assert_eq!(u64::from(failed), in_outages, "{}", stream.facts.name);
            }
        }
    }

    #[test]
    fn what_there_is_no_room_for_keeps_its_failures() {
        let fixture = Fixture::build(Case::Passed);
        let line = timeline(&fixture.history, 60_000.0, 60);
        let bad = |streams: &[StreamLine]| {
            let bins = streams.iter().flat_map(|stream| &stream.bins);
            bins.map(|bin| bin.failed + bin.unknown).sum::<u32>()
        };
        assert_eq!(folded(&line.streams, 4), line.streams);
        for most in 1..4 {
            let few = folded(&line.streams, most);
            assert_eq!(few.len(), most);
            assert_eq!(bad(&few), bad(&line.streams));
            let outages =
                |streams: &[StreamLine]| streams.iter().map(|one| one.outages.len()).sum::<usize>();
            assert_eq!(outages(&few), outages(&line.streams));
        }
    }

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let mut latencies: Vec<f64> = (1..=200_u8).rev().map(f64::from).collect();
        let latency = quantiles(&mut latencies).unwrap();
        assert_eq!((latency.p50_ms, latency.p99_ms, latency.max_ms), (100.0, 198.0, 200.0));
        assert!(quantiles(&mut []).is_none());
    }
}
