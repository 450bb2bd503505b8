//! Days, and how often something is due.

use std::fmt;
use std::str::FromStr;

use chrono::{Days, NaiveDate};

use crate::units::Span;
use crate::written::written_as_text;

/// A day, such as `2026-12-31`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Date(pub NaiveDate);

/// How often something is due: `weekly`, `monthly` (31 days, so that the first of each month will do), `quarterly` (90 days,
/// requirements E), `yearly` (366 days), or a number of days such as `45days`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Every {
    /// Days from one to the next, at least 1.
    pub days: u32,
}

const DATE_HELP: &str = "write a day, such as 2026-12-31";
const EVERY_HELP: &str =
    "write weekly, monthly, quarterly, yearly or a number of days, such as 45days";

/// Longest time between two drills, in days: ten years.
const LONGEST: u64 = 3660;

impl Every {
    /// Every week.
    pub const WEEKLY: Self = Self { days: 7 };
    /// Every month.
    pub const MONTHLY: Self = Self { days: 31 };
    /// Every quarter.
    pub const QUARTERLY: Self = Self { days: 90 };
    /// Every year.
    pub const YEARLY: Self = Self { days: 366 };

    const WORDS: [(&str, Self); 4] = [
        ("weekly", Self::WEEKLY),
        ("monthly", Self::MONTHLY),
        ("quarterly", Self::QUARTERLY),
        ("yearly", Self::YEARLY),
    ];
}

impl Date {
    /// The day on which something is due again that was done on this day.
    #[must_use]
    pub fn after(self, every: Every) -> Self {
        Self(self.0.checked_add_days(Days::new(every.days.into())).unwrap_or(NaiveDate::MAX))
    }

    /// Days from this day to a later one; negative when it is earlier.
    #[must_use]
    pub fn days_to(self, later: Self) -> i64 {
        later.0.signed_duration_since(self.0).num_days()
    }
}

impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = NaiveDate::parse_from_str(text, "%Y-%m-%d");
        // Without the length `2026-1-1` would do, which sorts wrongly wherever it is a text.
        match read {
            Ok(day) if text.len() == 10 => Ok(Self(day)),
            _ => Err(format!("`{text}` is no day: {DATE_HELP}")),
        }
    }
}

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((_, every)) = Self::WORDS.into_iter().find(|(word, _)| *word == text) {
            return Ok(every);
        }
        let wrong = |why: &str| format!("`{text}` {why}: {EVERY_HELP}");
        if text.parse::<f64>().is_ok() {
            return Err(wrong("has no unit"));
        }
        let span: Span = text.parse().map_err(|_| wrong("does not say how often"))?;
        let seconds = span.0.as_secs();
        let days = seconds / 86_400;
        if days * 86_400 != seconds || span.0.subsec_nanos() != 0 || !(1..=LONGEST).contains(&days)
        {
            return Err(wrong("is not from 1 to 3660 whole days"));
        }
        u32::try_from(days).map(|days| Self { days }).map_err(|_| wrong("is too long"))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%d"))
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::WORDS.into_iter().find(|(_, every)| every == self) {
            Some((word, _)) => f.write_str(word),
            None => write!(f, "{}days", self.days),
        }
    }
}

written_as_text!(Date, DATE_HELP, r"^\d{4}-\d{2}-\d{2}$");
written_as_text!(Every, EVERY_HELP, r"^(weekly|monthly|quarterly|yearly|\s*(\d+\s*[a-z]+\s*)+)$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_with_all_its_digits() {
        assert_eq!("2026-02-28".parse::<Date>().unwrap().to_string(), "2026-02-28");
        for text in ["2026-2-28", "2026-02-30", "28.02.2026", "", "tomorrow"] {
            assert!(text.parse::<Date>().unwrap_err().contains("such as 2026-12-31"), "{text}");
        }
    }

    #[test]
    fn what_is_due_ninety_days_later_is_due_then() {
        let day: Date = "2026-11-22".parse().unwrap();
        assert_eq!(day.after(Every::QUARTERLY).to_string(), "2027-02-20");
        assert_eq!(day.days_to(day.after(Every::WEEKLY)), 7);
    }

    #[test]
    fn how_often_is_a_word_or_whole_days() {
        for (text, days) in [("weekly", 7), ("quarterly", 90), ("45days", 45), ("2 weeks", 14)] {
            assert_eq!(text.parse::<Every>().unwrap().days, days, "{text}");
        }
        for (text, why) in
            [("30", "no unit"), ("36h", "whole days"), ("0s", "whole days"), ("often", "how often")]
        {
            let error = text.parse::<Every>().unwrap_err();
            assert!(error.contains(why) && error.contains("45days"), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_printed_parses_again() {
        for days in [1, 7, 31, 45, 90, 366, 3660] {
            let every = Every { days };
            assert_eq!(every.to_string().parse::<Every>().unwrap(), every);
        }
    }
}
