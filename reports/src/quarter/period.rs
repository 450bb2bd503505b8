//! Quarters of a year.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate};
use drdrill_core::program::Date;
use schemars::JsonSchema;
use serde::Serialize;

/// A quarter of a year: `2026-Q4`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct QuarterOf {
    year: i32,
    /// 1 to 4.
    number: u32,
}

/// A text that names no quarter.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no quarter: write the year and the quarter, such as 2026-Q4")]
pub struct NotAQuarter(String);

/// The days of a quarter.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Period {
    /// Its name, such as `2026-Q4`.
    pub quarter: String,
    /// Its first day.
    pub from: Date,
    /// Its last day.
    pub to: Date,
    /// Up to the end of this day the runs are looked at: the last day, or today when that comes first.
    pub as_of: Date,
    /// Whether the quarter is over.
    pub complete: bool,
}

impl QuarterOf {
    /// The quarter of a day.
    #[must_use]
    pub fn of(day: Date) -> Self {
        Self { year: day.0.year(), number: day.0.month0() / 3 + 1 }
    }

    /// The quarter before.
    #[must_use]
    pub const fn before(self) -> Self {
        match self.number {
            1 => Self { year: self.year - 1, number: 4 },
            number => Self { year: self.year, number: number - 1 },
        }
    }

    /// Its first day.
    #[must_use]
    pub fn first(self) -> Date {
        let first = NaiveDate::from_ymd_opt(self.year, (self.number - 1) * 3 + 1, 1);
        // Years are those of days.
        Date(first.unwrap_or(NaiveDate::MIN))
    }

    /// Its last day.
    #[must_use]
    pub fn last(self) -> Date {
        let next = match self.number {
            4 => Self { year: self.year + 1, number: 1 },
            number => Self { year: self.year, number: number + 1 },
        };
        Date(next.first().0.pred_opt().unwrap_or(NaiveDate::MAX))
    }

    /// Whether a day is in it.
    #[must_use]
    pub fn has(self, day: Date) -> bool {
        (self.first()..=self.last()).contains(&day)
    }

    pub(super) fn period(self, today: Date) -> Period {
        Period {
            quarter: self.to_string(),
            from: self.first(),
            to: self.last(),
            as_of: self.last().min(today),
            complete: today > self.last(),
        }
    }
}

impl Period {
    /// Whether a day is in it, and not in the future.
    #[must_use]
    pub fn has(&self, day: Date) -> bool {
        (self.from..=self.as_of).contains(&day)
    }
}

impl fmt::Display for QuarterOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-Q{}", self.year, self.number)
    }
}

impl FromStr for QuarterOf {
    type Err = NotAQuarter;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotAQuarter(text.to_owned());
        let (year, number) = text.split_once("-Q").ok_or_else(wrong)?;
        let digits = year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit());
        let year = year.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
        let number = match number {
            "1" => 1,
            "2" => 2,
            "3" => 3,
            "4" => 4,
            _ => return Err(wrong()),
        };
        Ok(Self { year, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_has_its_days_and_no_others() {
        for (text, first, last) in [
            ("2026-Q1", "2026-01-01", "2026-03-31"),
            ("2024-Q1", "2024-01-01", "2024-03-31"),
            ("2026-Q4", "2026-10-01", "2026-12-31"),
        ] {
            let quarter: QuarterOf = text.parse().unwrap();
            assert_eq!(quarter.to_string(), text);
            assert_eq!(
                (quarter.first().to_string(), quarter.last().to_string()),
                (first.to_owned(), last.to_owned())
            );
            assert_eq!(
                (QuarterOf::of(quarter.first()), QuarterOf::of(quarter.last())),
                (quarter, quarter)
            );
            assert_eq!(
                QuarterOf::of(Date(quarter.first().0.pred_opt().unwrap())),
                quarter.before()
            );
        }
        for text in ["2026", "2026-Q5", "2026Q4", "26-Q4", "2026-Q04", "+026-Q1", ""] {
            assert!(text.parse::<QuarterOf>().is_err(), "{text}");
        }
    }

    #[test]
    fn one_that_is_not_over_ends_today() {
        let quarter: QuarterOf = "2026-Q4".parse().unwrap();
        let period = quarter.period("2026-11-22".parse().unwrap());
        assert_eq!((period.as_of.to_string().as_str(), period.complete), ("2026-11-22", false));
        assert!(!quarter.period(quarter.last()).complete);
        let over = quarter.period("2027-01-01".parse().unwrap());
        assert_eq!((over.as_of, over.complete), (quarter.last(), true));
    }
}
