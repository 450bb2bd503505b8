//! When faults may be injected, in the wall-clock time of a place.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc, Weekday};
use chrono_tz::{TZ_VARIANTS, Tz};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::nearest_first;
use crate::written::written_as_text;

/// Days and hours. One that ends before it begins goes on past midnight and belongs to the day on which it began.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The days on which it begins.
    #[garde(length(min = 1, max = 7))]
    pub days: Vec<Day>,
    /// When it begins, such as `09:00`.
    #[garde(skip)]
    pub from: TimeOfDay,
    /// When it ends, such as `16:00`; `24:00` is the end of the day.
    #[garde(custom(after(self.from)))]
    pub to: TimeOfDay,
    /// Whose wall clock that is: a name of the IANA database, such as `Europe/Berlin`.
    #[garde(skip)]
    pub timezone: Zone,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    const fn of(day: Weekday) -> Self {
        match day {
            Weekday::Mon => Self::Mon,
            Weekday::Tue => Self::Tue,
            Weekday::Wed => Self::Wed,
            Weekday::Thu => Self::Thu,
            Weekday::Fri => Self::Fri,
            Weekday::Sat => Self::Sat,
            Weekday::Sun => Self::Sun,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }
}

/// A time of day, to the minute.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct TimeOfDay {
    /// Minutes since midnight, at most 24 hours.
    pub minutes: u32,
}

/// A time zone of the IANA database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Zone(pub Tz);

const TIME_HELP: &str = "write a time of day in quotes, such as \"09:00\" or \"16:30\"";
const ZONE_HELP: &str = "write a time zone by its place, such as Europe/Berlin, or UTC";

/// Minutes of a day.
const DAY_MINUTES: u32 = 24 * 60;

impl Window {
    /// Whether it is open at an instant.
    #[must_use]
    pub fn is_open(&self, at: DateTime<Utc>) -> bool {
        let local = at.with_timezone(&self.timezone.0);
        let today = local.weekday();
        let now = local.hour() * 60 + local.minute();
        let (from, to) = (self.from.minutes, self.to.minutes);
        if from < to {
            return self.begins_on(today) && (from..to).contains(&now);
        }
        (self.begins_on(today) && now >= from) || (self.begins_on(today.pred()) && now < to)
    }

    /// Whether it is open at an instant and stays so for that long. Looked at minute by minute, because a wall clock
    /// jumps when summer time begins or ends.
    #[must_use]
    pub fn stays_open(&self, at: DateTime<Utc>, length: Duration) -> bool {
        let length = TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
        let Some(end) = at.checked_add_signed(length) else { return false };
        let mut next = at;
        while next < end {
            if !self.is_open(next) {
                return false;
            }
            next += TimeDelta::minutes(1);
        }
        self.is_open(end)
    }

    fn begins_on(&self, day: Weekday) -> bool {
        self.days.contains(&Day::of(day))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<&str> = self.days.iter().map(|day| day.word()).collect();
        write!(f, "{} {} to {}, {}", days.join(", "), self.from, self.to, self.timezone.0.name())
    }
}

fn after<C>(from: TimeOfDay) -> impl Fn(&TimeOfDay, &C) -> garde::Result {
    move |to, _| {
        if from == *to || from.minutes == DAY_MINUTES {
            return Err(garde::Error::new(
                "a window begins and ends at different times; the whole day is from \"00:00\" to \"24:00\"",
            ));
        }
        Ok(())
    }
}

/// Longest text that is compared with what is known, and repeated in an error, in bytes.
const LONGEST: usize = 64;

fn short(text: &str, help: &str) -> Result<(), String> {
    if text.len() > LONGEST { Err(help.to_owned()) } else { Ok(()) }
}

impl std::str::FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        short(text, TIME_HELP)?;
        let number = |digits: &str, most: u32| {
            let two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u32>().ok().filter(|number| two && *number <= most)
        };
        let read = text.split_once(':').and_then(|(hours, minutes)| {
            let minutes = number(hours, 24)? * 60 + number(minutes, 59)?;
            (minutes <= DAY_MINUTES).then_some(Self { minutes })
        });
        read.ok_or_else(|| format!("`{text}` is not a time of day: {TIME_HELP}"))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}

impl std::str::FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        short(text, ZONE_HELP)?;
        text.parse().map(Self).map_err(|_| {
            let names = TZ_VARIANTS.iter().map(|zone| zone.name());
            let near = nearest_first(text, names);
            let near = near.get(..3).unwrap_or_default().join(", ");
            format!("no time zone `{text}`; near it are {near}: {ZONE_HELP}")
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

written_as_text!(TimeOfDay, TIME_HELP, r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$");
written_as_text!(Zone, ZONE_HELP, r"^[A-Za-z0-9_+/-]{1,64}$");

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: Vec<Day>, from: &str, to: &str, zone: &str) -> Window {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        Window { days, from, to, timezone: zone.parse().unwrap() }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn it_is_open_on_its_days_at_its_hours_in_its_place() {
        let week = vec![Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri];
        let window = window(week, "09:00", "16:00", "Europe/Berlin");
        // Friday, 20 November 2026: Berlin is an hour ahead of UTC.
        assert!(!window.is_open(at("2026-11-20T07:59:59Z")));
        assert!(window.is_open(at("2026-11-20T08:00:00Z")));
        assert!(window.is_open(at("2026-11-20T14:59:59Z")));
        assert!(!window.is_open(at("2026-11-20T15:00:00Z")));
        // Saturday.
        assert!(!window.is_open(at("2026-11-21T10:00:00Z")));
        // In summer two hours.
        assert!(window.is_open(at("2026-07-17T07:00:00Z")));
        assert_eq!(window.to_string(), "mon, tue, wed, thu, fri 09:00 to 16:00, Europe/Berlin");
    }

    #[test]
    fn one_past_midnight_belongs_to_the_day_on_which_it_began() {
        let window = window(vec![Day::Fri], "22:00", "04:00", "UTC");
        assert!(window.is_open(at("2026-11-20T22:00:00Z")));
        assert!(window.is_open(at("2026-11-21T03:59:00Z")));
        assert!(!window.is_open(at("2026-11-21T04:00:00Z")));
        assert!(!window.is_open(at("2026-11-21T22:00:00Z")));
        assert!(!window.is_open(at("2026-11-20T03:00:00Z")));
    }

    #[test]
    fn a_drill_must_fit_in_whole() {
        let window = window(vec![Day::Fri], "09:00", "16:00", "UTC");
        let start = at("2026-11-20T15:50:00Z");
        assert!(window.stays_open(start, Duration::from_secs(599)));
        assert!(!window.stays_open(start, Duration::from_mins(10)));
        assert!(!window.stays_open(at("2026-11-20T10:00:00Z"), Duration::from_hours(24)));
        assert!(!window.stays_open(start, Duration::MAX));
    }

    #[test]
    fn the_hour_that_summer_time_leaves_out_or_repeats_is_the_wall_clocks() {
        let window = window(vec![Day::Sun], "02:00", "03:00", "Europe/Berlin");
        // 2026-03-29: from 02:00 to 03:00 there is nothing in Berlin.
        assert!(!window.is_open(at("2026-03-29T00:59:00Z")));
        assert!(!window.is_open(at("2026-03-29T01:00:00Z")));
        // 2026-10-25: it is there twice.
        assert!(window.stays_open(at("2026-10-25T00:00:00Z"), Duration::from_secs(2 * 3600 - 1)));
    }

    #[test]
    fn mistakes_are_answered() {
        for text in ["9:00", "24:01", "09:60", "+9:00", "0900", "", "09:00:00", "١٢:٠٠"] {
            assert!(text.parse::<TimeOfDay>().unwrap_err().contains("\"09:00\""), "{text}");
        }
        assert_eq!("24:00".parse::<TimeOfDay>().unwrap().minutes, 1440);
        let error = "Europe/Berln".parse::<Zone>().unwrap_err();
        assert!(error.contains("near it are Europe/Berlin"), "{error}");
    }
}
