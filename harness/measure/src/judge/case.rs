//! A history taken apart: everything that figures and checkers are made of.

use drdrill_core::event::{Entry, Milestone, When};
use drdrill_core::inventory::ServiceFacts;
use drdrill_core::probe::Purpose;
use drdrill_core::time::At;

use super::digest::{Digest, Disaster, JudgeError};
use super::functions::FunctionsAfter;
use super::outage::Outage;
use super::recovery::Recovery;
use super::reigns::Reigns;
use super::rpo::{self, RpoStory};
use super::rto::{self, RtoStory, Waiting};
use super::shots::StreamShots;
use super::streams::{Settings, StreamStory};

/// Least goodput of a sustained window when no recovery level is set (measurement.md section 2).
pub(crate) const DEFAULT_LEVEL: f64 = 0.9;

/// A service and how it came through the drill.
#[derive(Debug)]
pub(crate) struct ServiceStory<'a> {
    pub(crate) facts: &'a ServiceFacts,
    pub(crate) streams: Vec<StreamStory<'a>>,
    pub(crate) rto: RtoStory,
    pub(crate) rpo: Option<RpoStory>,
    /// Who decided about its writes, where they say so.
    pub(crate) reigns: Option<Reigns>,
}

/// A history taken apart.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) digest: &'a Digest<'a>,
    pub(crate) disasters: Vec<Disaster>,
    pub(crate) waiting: Waiting,
    pub(crate) functions: FunctionsAfter,
    pub(crate) services: Vec<ServiceStory<'a>>,
    pub(crate) bystanders: Vec<StreamStory<'a>>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(digest: &'a Digest<'a>) -> Self {
        let disasters = digest.disasters();
        let until = digest.waited_until();
        let waiting = Waiting {
            until: until.unwrap_or(At(u64::MAX)),
            gave_up: digest.aborted.is_none() && (until.is_some() || digest.finished.is_some()),
        };
        let wanted = &digest.start.scenario.verify;
        let functions = FunctionsAfter::of(wanted, &digest.functions, When::AfterRecovery);
        let mut case = Self {
            digest,
            disasters,
            waiting,
            functions,
            services: Vec::new(),
            bystanders: Vec::new(),
        };
        let services = digest.start.environment.services.iter();
        case.services = services.map(|facts| case.service(facts)).collect();
        let bystanders = digest.streams.iter();
        let bystanders = bystanders.filter(|stream| stream.facts.purpose == Purpose::Bystander);
        case.bystanders = bystanders
            .map(|stream| StreamStory::new(stream, &case.disasters, case.settings(DEFAULT_LEVEL)))
            .collect();
        case
    }

    /// Takes a history apart and hands it to `look`.
    pub(crate) fn open<T>(
        history: &[Entry],
        look: impl FnOnce(&Case<'_>) -> T,
    ) -> Result<T, JudgeError> {
        let digest = Digest::new(history)?;
        Ok(look(&Case::new(&digest)))
    }

    fn service(&self, facts: &'a ServiceFacts) -> ServiceStory<'a> {
        let level = facts.targets.rlo.map_or(DEFAULT_LEVEL, drdrill_core::units::Share::ratio);
        let own = self.digest.streams.iter().filter(|stream| {
            stream.facts.service == facts.name && stream.facts.purpose != Purpose::Bystander
        });
        let streams: Vec<StreamStory<'a>> = own
            .map(|stream| StreamStory::new(stream, &self.disasters, self.settings(level)))
            .collect();
        let target = |span: Option<drdrill_core::units::Span>| span.map(|span| span.0);
        let rto = rto::judge(
            &facts.name,
            &headline(&streams),
            &self.functions,
            target(facts.targets.rto),
            self.waiting,
            self.failed_over_early(),
        );
        let decisive = self.decisive().filter(|_| !self.failed_over_early());
        let rpo = rpo::judge(self.digest, &facts.name, decisive, target(facts.targets.rpo));
        let reigns = Reigns::of(self.digest, &facts.name);
        ServiceStory { facts, streams, rto, rpo, reigns }
    }

    fn settings(&self, goodput: f64) -> Settings {
        Settings { window: self.window(), goodput, until: self.waiting.until }
    }

    /// The fault from which the recovery point counts: the last one that was there when it was decided to fail over, and
    /// the last of all where nobody says when that was. What was acknowledged before it, however long after an earlier
    /// one, was acknowledged by a site that still decided.
    pub(crate) fn decisive(&self) -> Option<Disaster> {
        let first = self.disasters.first()?;
        let decided = self.digest.milestone_since(Milestone::Decided, first.from);
        let mut there =
            self.disasters.iter().filter(|one| decided.is_none_or(|decided| one.from <= decided));
        there.next_back().copied()
    }

    /// Length of the sustained window.
    pub(crate) fn window(&self) -> std::time::Duration {
        self.digest.start.environment.measure.sustained.0
    }

    /// Whether the system failed over before anything was broken.
    pub(crate) fn failed_over_early(&self) -> bool {
        self.digest.failed_over_early().is_some()
    }

    /// Whether this drill was meant to break something.
    pub(crate) fn has_faults(&self) -> bool {
        !self.digest.start.scenario.faults.is_empty() || !self.digest.faults.is_empty()
    }

    /// When the drill began to take its faults back, or failback began.
    pub(crate) fn way_back(&self) -> Option<At> {
        use drdrill_core::event::Stage::{Failback, Undo};
        let stages = self.digest.stages.iter();
        let stages =
            stages.filter(|(_, stage)| matches!(stage, Undo | Failback)).map(|(at, _)| *at);
        stages.chain(self.digest.milestone(Milestone::FailbackStarted)).min()
    }

    /// The last instant that is still the system's own doing.
    pub(crate) fn watched_until(&self) -> At {
        let shots = self.digest.streams.iter().filter_map(|s| s.shots.last());
        let last = shots.map(|shot| shot.sent).max().unwrap_or_default();
        self.waiting.until.min(last)
    }
}

impl<'a> ServiceStory<'a> {
    /// The streams that decide.
    pub(crate) fn headline(&self) -> Vec<&StreamStory<'a>> {
        headline(&self.streams)
    }

    /// The outage that clients saw, over all deciding streams.
    pub(crate) fn outage(&self) -> Option<Outage> {
        let outages = self.headline().into_iter().filter_map(StreamStory::outage);
        outages.reduce(Outage::union)
    }

    /// End of the last sustained window of the deciding streams.
    pub(crate) fn window_end(&self) -> Option<At> {
        let headline = self.headline();
        let recoveries = headline.iter().flat_map(|story| &story.recoveries);
        recoveries
            .filter_map(|(_, recovery, _)| match recovery {
                Recovery::Unharmed { window_end, .. } | Recovery::Restored { window_end, .. } => {
                    Some(*window_end)
                }
                _ => None,
            })
            .max()
    }
}

fn headline<'s, 'a>(streams: &'s [StreamStory<'a>]) -> Vec<&'s StreamStory<'a>> {
    let deciding = |story: &&StreamStory<'_>| StreamShots::is_headline(story.stream);
    streams.iter().filter(deciding).collect()
}
