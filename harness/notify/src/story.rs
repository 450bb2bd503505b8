//! Which events of a history are worth a notice, and what it says.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use drdrill_core::event::{Event, Milestone};
use drdrill_core::notice::{Notice, NoticeKind, NoticeService, Severity};
use drdrill_core::record::Record;
use drdrill_core::units::Span;
use drdrill_core::verdict::Verdict;

/// What stands in every notice of a run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct About {
    /// Unique id of the run.
    pub run: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Its title.
    pub scenario_title: String,
    /// Name of the environment.
    pub environment: String,
    /// Whether real users depend on it.
    pub production: bool,
}

/// Follows a run.
#[derive(Debug)]
pub struct Story {
    about: About,
    update_every: Duration,
    services: Vec<NoticeService>,
    /// The strictest recovery time objective of them.
    objective: Option<Duration>,
    /// When the first fault was seen in effect, until the services are restored.
    affected: Option<Affected>,
    told: u32,
}

#[derive(Clone, Copy, Debug)]
struct Affected {
    since: DateTime<Utc>,
    next_update: DateTime<Utc>,
}

impl Story {
    /// Nothing has happened yet.
    #[must_use]
    pub const fn new(about: About, update_every: Duration) -> Self {
        Self { about, update_every, services: Vec::new(), objective: None, affected: None, told: 0 }
    }

    /// What is to be told of an event, which was written down at `now`.
    pub fn of_event(&mut self, event: &Event, now: DateTime<Utc>) -> Option<Notice> {
        match event {
            Event::DrillStarted(started) => {
                let objectives = started.environment.services.iter().map(|one| one.targets.rto);
                self.objective = objectives.flatten().map(|span| span.0).min();
                let told = |span: Option<Span>| span.map(|span| span.to_string());
                let service = |one: &drdrill_core::inventory::ServiceFacts| NoticeService {
                    name: one.name.clone(),
                    tier: one.tier,
                    rto: told(one.targets.rto),
                    rpo: told(one.targets.rpo),
                };
                self.services = started.environment.services.iter().map(service).collect();
                let headline = format!("drill {} begins", self.about.scenario);
                let detail = "Its faults will be announced.".to_owned();
                Some(self.notice(NoticeKind::Begun, Severity::Info, headline, detail, now))
            }
            Event::FaultInEffect { proof, .. } => {
                let since = self.affected.map_or(now, |affected| affected.since);
                self.affected = Some(Affected { since, next_update: now + self.update_every });
                let headline = "a fault is in effect, services may be affected".to_owned();
                let detail = format!("In effect: {proof}");
                Some(self.notice(NoticeKind::Affected, Severity::High, headline, detail, now))
            }
            Event::Milestone { milestone: Milestone::Decided, .. } => {
                let headline = "the recovery begins".to_owned();
                let detail = "It was decided to fail over, or to restore.".to_owned();
                Some(self.notice(NoticeKind::Recovering, Severity::High, headline, detail, now))
            }
            Event::Milestone { milestone: Milestone::Restored, .. } => {
                let affected = self.affected.take()?;
                let headline = "the services are good".to_owned();
                let after = (now - affected.since).num_seconds();
                let detail = format!(
                    "Clients are served. This was seen {after} s after the fault; the exact time is judged when the \
                     drill is over."
                );
                Some(self.notice(NoticeKind::Restored, Severity::High, headline, detail, now))
            }
            Event::FaultStuck { error, by_hand, .. }
            | Event::EnvironmentStuck { error, by_hand, .. } => {
                let headline = "something could NOT be taken back".to_owned();
                let detail = format!("{error}\nRun: drdrill recover\nBy hand: {by_hand}");
                Some(self.notice(
                    NoticeKind::LeftInPlace,
                    Severity::Critical,
                    headline,
                    detail,
                    now,
                ))
            }
            Event::Aborted { reason, .. } => {
                let headline = "the drill is aborted, everything is being put back".to_owned();
                let detail = format!("Why: {reason}");
                Some(self.notice(NoticeKind::Aborted, Severity::High, headline, detail, now))
            }
            _ => None,
        }
    }

    /// When the next word was promised.
    #[must_use]
    pub fn next_update(&self) -> Option<DateTime<Utc>> {
        self.affected.map(|affected| affected.next_update)
    }

    /// The word that was promised; `None` when none was.
    pub fn update(&mut self, now: DateTime<Utc>) -> Option<Notice> {
        let affected = self.affected.as_mut()?;
        affected.next_update = now + self.update_every;
        let since = (now - affected.since).num_seconds();
        let headline = "the services were not yet seen to be good".to_owned();
        let detail = format!("A fault was seen in effect {since} s ago.");
        Some(self.notice(NoticeKind::Update, Severity::High, headline, detail, now))
    }

    /// What is to be told of the end.
    pub fn of_end(&mut self, record: &Record, now: DateTime<Utc>) -> Notice {
        self.affected = None;
        let left = record.exit_code == LEFT_IN_PLACE || !record.leftovers.is_empty();
        let (severity, came_to) = came_to(record.verdict, left);
        let headline = format!("drill {} is over: {came_to}", self.about.scenario);
        let mut lines = record.reasons.clone();
        lines.extend(record.leftovers.iter().map(|left| {
            format!("left in place: {} on {}; by hand: {}", left.kind, left.target, left.by_hand)
        }));
        self.notice(NoticeKind::Over, severity, headline, lines.join("\n"), now)
    }

    /// That what was told of the end does not hold.
    pub fn of_withdrawal(&mut self, why: &str, now: DateTime<Utc>) -> Notice {
        let headline =
            format!("what was told of the end of drill {} does not hold", self.about.scenario);
        self.notice(NoticeKind::Withdrawn, Severity::Critical, headline, why.to_owned(), now)
    }

    /// A trial, which everybody gets.
    pub fn of_trial(&mut self, now: DateTime<Utc>) -> Notice {
        let headline = "a trial of the notification".to_owned();
        let detail = "Nothing happened: somebody tries whether notices arrive.".to_owned();
        self.notice(NoticeKind::Test, Severity::Info, headline, detail, now)
    }

    fn notice(
        &mut self,
        kind: NoticeKind,
        severity: Severity,
        headline: String,
        detail: String,
        now: DateTime<Utc>,
    ) -> Notice {
        self.told += 1;
        let About { run, scenario, scenario_title, environment, production } = self.about.clone();
        let expected = self.affected.zip(self.objective);
        let instant = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        Notice {
            id: format!("{run}-{}", self.told),
            kind,
            severity,
            headline,
            detail,
            at: instant(now),
            run,
            scenario,
            scenario_title,
            environment,
            production,
            services: self.services.clone(),
            expected_back: expected
                .map(|(affected, objective)| instant(affected.since + objective)),
            next_update: self.next_update().map(instant),
        }
    }
}

/// What a drill came to, and how urgent it is to know.
const fn came_to(verdict: Verdict, left_in_place: bool) -> (Severity, &'static str) {
    match verdict {
        _ if left_in_place => (Severity::Critical, "something was LEFT IN PLACE"),
        Verdict::Pass => (Severity::Info, "passed"),
        Verdict::Unknown => (Severity::High, "unknown: it proves nothing"),
        Verdict::Fail => (Severity::High, "failed"),
    }
}

/// Exit code of a run that left something in place.
const LEFT_IN_PLACE: u8 = 12;

/// Whether a [`Story`] cares about an event.
#[must_use]
pub const fn matters(event: &Event) -> bool {
    matches!(
        event,
        Event::DrillStarted(_)
            | Event::FaultInEffect { .. }
            | Event::Milestone { .. }
            | Event::FaultStuck { .. }
            | Event::EnvironmentStuck { .. }
            | Event::Aborted { .. }
    )
}

#[cfg(test)]
mod tests {
    use drdrill_core::time::At;

    use super::*;

    fn story() -> Story {
        let about = About {
            run: "run".to_owned(),
            scenario: "site_lost".to_owned(),
            scenario_title: String::new(),
            environment: "lab".to_owned(),
            production: true,
        };
        Story::new(about, Duration::from_mins(15))
    }

    fn at(minute: u32) -> DateTime<Utc> {
        DateTime::from_timestamp(i64::from(minute) * 60, 0).unwrap_or_default()
    }

    fn in_effect() -> Event {
        Event::FaultInEffect { id: 1, at: At(0), proof: "it is gone".to_owned() }
    }

    fn milestone(milestone: Milestone) -> Event {
        Event::Milestone { milestone, at: At(0) }
    }

    #[test]
    fn words_are_promised_from_the_fault_until_the_services_are_good() {
        let mut story = story();
        assert_eq!((story.next_update(), story.update(at(0))), (None, None));
        let notice = story.of_event(&in_effect(), at(1)).unwrap();
        assert_eq!((notice.kind, notice.severity), (NoticeKind::Affected, Severity::High));
        assert!(notice.production && notice.detail.contains("it is gone"), "{notice:?}");
        assert_eq!(notice.next_update.as_deref(), Some("1970-01-01T00:16:00Z"));
        let notice = story.update(at(16)).unwrap();
        assert!(notice.detail.contains("900 s ago"), "{notice:?}");
        assert_eq!(notice.next_update.as_deref(), Some("1970-01-01T00:31:00Z"));
        // A second fault does not make the first one younger.
        story.of_event(&in_effect(), at(17)).unwrap();
        let notice = story.of_event(&milestone(Milestone::Restored), at(18)).unwrap();
        assert!(notice.detail.contains("1020 s after the fault"), "{notice:?}");
        assert_eq!((notice.next_update, story.next_update()), (None, None));
        assert_eq!(story.of_event(&milestone(Milestone::Restored), at(19)), None);
    }

    #[test]
    fn what_is_left_in_place_is_critical_and_says_what_to_do() {
        let stuck = Event::FaultStuck {
            id: 1,
            error: "no answer".to_owned(),
            residue: Vec::new(),
            by_hand: "ip link set lan up".to_owned(),
        };
        let notice = story().of_event(&stuck, at(0)).unwrap();
        assert_eq!(notice.severity, Severity::Critical);
        assert!(notice.detail.contains("By hand: ip link set lan up"), "{notice:?}");
    }

    #[test]
    fn what_is_left_in_place_outranks_the_verdict() {
        for verdict in [Verdict::Pass, Verdict::Unknown, Verdict::Fail] {
            assert_eq!(came_to(verdict, true).0, Severity::Critical);
        }
        assert_eq!(came_to(Verdict::Pass, false), (Severity::Info, "passed"));
        assert_eq!(came_to(Verdict::Unknown, false).0, Severity::High);
        assert_eq!(came_to(Verdict::Fail, false), (Severity::High, "failed"));
    }

    #[test]
    fn every_notice_has_an_id_of_its_own() {
        let mut story = story();
        let first = story.of_event(&milestone(Milestone::Decided), at(0)).unwrap();
        let second = story.of_trial(at(0));
        assert_eq!((&*first.id, &*second.id), ("run-1", "run-2"));
    }

    #[test]
    fn what_is_told_is_what_matters() {
        let mut story = story();
        for milestone in [Milestone::Detected, Milestone::FailedOver, Milestone::FailbackFinished] {
            assert_eq!(story.of_event(&Event::Milestone { milestone, at: At(0) }, at(0)), None);
        }
        let note = Event::Note { text: String::new() };
        assert!(!matters(&note) && story.of_event(&note, at(0)).is_none());
    }
}
