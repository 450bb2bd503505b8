//! Which runs are asked for.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use drdrill_core::units::Span;
use drdrill_core::verdict::Verdict;

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// With this verdict.
    With(Verdict),
    /// It was cut off: there is no record of it, and nobody is busy with it.
    CutOff,
    /// It runs.
    Running,
}

/// Which runs are asked for: those to which all of it applies.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of one of these scenarios; any when empty.
    pub scenarios: Vec<String>,
    /// On one of these environments; any when empty.
    pub environments: Vec<String>,
    /// That ended in one of these ways; any when empty.
    pub ended: Vec<Ended>,
    /// That began at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// That began before this time.
    pub until: Option<DateTime<Utc>>,
    /// The newest so many of them.
    pub newest: Option<u32>,
}

impl Filter {
    /// Whether a run is asked for, of which no more is known than this.
    #[must_use]
    pub fn matches(
        &self,
        scenario: Option<&str>,
        environment: Option<&str>,
        ended: Ended,
        started: Option<DateTime<Utc>>,
    ) -> bool {
        let among = |wanted: &[String], name: Option<&str>| {
            wanted.is_empty() || name.is_some_and(|name| wanted.iter().any(|one| one == name))
        };
        among(&self.scenarios, scenario)
            && among(&self.environments, environment)
            && (self.ended.is_empty() || self.ended.contains(&ended))
            && self.since.is_none_or(|since| started.is_some_and(|started| started >= since))
            && self.until.is_none_or(|until| started.is_some_and(|started| started < until))
    }
}

const HELP: &str = "write a day (2026-11-01), a time (2026-11-01T12:00:00Z), or how long ago (7days); days are UTC";

/// Reads from when on runs are asked for: a day, a time, or how long ago.
///
/// # Errors
/// When it is none of these; the text says what to write instead.
pub fn parse_since(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    Ok(parse(text, now)?.0)
}

/// Reads until when runs are asked for, as [`parse_since`]; a day is included.
///
/// # Errors
/// When it is none of these; the text says what to write instead.
pub fn parse_until(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    Ok(parse(text, now)?.1)
}

/// The first instant of what a text says, and the first one after it.
fn parse(text: &str, now: DateTime<Utc>) -> Result<(DateTime<Utc>, DateTime<Utc>), String> {
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        let next = day.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
        return Ok((midnight(day), midnight(next)));
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok((time.with_timezone(&Utc), time.with_timezone(&Utc)));
    }
    let ago = text.parse::<Span>().ok().and_then(|span| chrono::TimeDelta::from_std(span.0).ok());
    let then = ago.and_then(|ago| now.checked_sub_signed(ago));
    then.map(|then| (then, then)).ok_or_else(|| format!("`{text}` is no time: {HELP}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_is_meant_from_its_beginning_to_its_end() {
        let now = time("2026-11-22T10:00:00Z");
        assert_eq!(parse_since("2026-11-01", now), Ok(time("2026-11-01T00:00:00Z")));
        assert_eq!(parse_until("2026-11-01", now), Ok(time("2026-11-02T00:00:00Z")));
        assert_eq!(parse_until("2026-11-01T12:00:00+01:00", now), Ok(time("2026-11-01T11:00:00Z")));
        assert_eq!(parse_since("7days", now), Ok(time("2026-11-15T10:00:00Z")));
        for text in ["yesterday", "7", "2026-13-01", "9999999years", ""] {
            assert!(parse_since(text, now).unwrap_err().contains("7days"), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_what_was_asked_for() {
        let all = Filter::default();
        assert!(all.matches(None, None, Ended::CutOff, None));
        let since = Filter { since: Some(Utc::now()), ..Filter::default() };
        assert!(!since.matches(None, None, Ended::CutOff, None));
        let now = Utc::now();
        let until = Filter { until: Some(now), ..Filter::default() };
        let before = now - chrono::TimeDelta::seconds(1);
        assert!(until.matches(None, None, Ended::CutOff, Some(before)));
        assert!(!until.matches(None, None, Ended::CutOff, Some(now)));
        assert!(!until.matches(None, None, Ended::CutOff, None));
        let site = Filter { scenarios: vec!["site".to_owned()], ..Filter::default() };
        assert!(!site.matches(None, None, Ended::Running, None));
        assert!(site.matches(Some("site"), None, Ended::Running, None));
        let passed = Filter { ended: vec![Ended::With(Verdict::Pass)], ..Filter::default() };
        assert!(!passed.matches(Some("site"), None, Ended::CutOff, None));
    }
}
