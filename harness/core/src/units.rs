//! Numbers in files carry their unit: `30s`, `80%`. A bare number is an error that says so.

use std::fmt;
use std::time::Duration;

use crate::written::written_as_text;

/// A duration with its unit: `50ms`, `30s`, `15min`, `1h`, also `1h 30min`.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Span(pub Duration);

/// A share of a whole, in percent: `80%`, `99.9%`. Kept in parts per million.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Share {
    parts_per_million: u32,
}

impl Share {
    /// A share of `percent` percent; more than 100 is capped.
    #[must_use]
    pub const fn percent(percent: u32) -> Self {
        let percent = if percent > 100 { 100 } else { percent };
        Self { parts_per_million: percent * 10_000 }
    }

    /// As a ratio, from 0 to 1.
    #[must_use]
    pub fn ratio(self) -> f64 {
        f64::from(self.parts_per_million) / 1e6
    }
}

/// An amount of data: `64kB`, `100MB`, `1GiB`. A kilobyte is 1,000 bytes, a kibibyte 1,024.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Size {
    /// Bytes.
    pub bytes: u64,
}

/// Units of a [`Size`]; of those that end alike the longer ones first.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// An amount of data a second: `64kB/s`, `10MB/s`. A kilobyte is 1,000 bytes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Rate {
    /// Bytes a second, at least 1.
    pub bytes_per_second: u64,
}

/// Units of a [`Rate`], largest first.
const RATE_UNITS: [(&str, u64); 4] =
    [("GB/s", 1_000_000_000), ("MB/s", 1_000_000), ("kB/s", 1_000), ("B/s", 1)];

const RATE_HELP: &str = "write an amount of data a second, such as 64kB/s or 10MB/s";
const SIZE_HELP: &str = "write an amount of data, such as 64kB, 100MB or 1GiB";
const SPAN_HELP: &str = "write a duration with its unit, such as 50ms, 30s, 15min or 1h";
const SHARE_HELP: &str = "write a share from 0% to 100%, such as 80% or 99.9%";

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.parse::<f64>().is_ok() {
            return Err(format!("`{text}` has no unit: {SPAN_HELP}"));
        }
        humantime::parse_duration(text)
            .map(Self)
            .map_err(|error| format!("`{text}` is not a duration ({error}): {SPAN_HELP}"))
    }
}

impl std::str::FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not a share: {SHARE_HELP}");
        let Some(number) = text.strip_suffix('%') else {
            if text.parse::<f64>().is_ok() {
                return Err(format!("`{text}` has no unit: {SHARE_HELP}"));
            }
            return Err(wrong());
        };
        let percent: f64 = number.trim().parse().map_err(|_| wrong())?;
        if !(0.0..=100.0).contains(&percent) {
            return Err(wrong());
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 100 was just checked"
        )]
        let parts_per_million = (percent * 10_000.0).round() as u32;
        Ok(Self { parts_per_million })
    }
}

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.parse::<f64>().is_ok() {
            return Err(format!("`{text}` has no unit: {RATE_HELP}"));
        }
        let wrong = || format!("`{text}` is not a rate: {RATE_HELP}");
        let parts =
            RATE_UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
        let (number, bytes) = parts.ok_or_else(wrong)?;
        let number: u64 = number.trim().parse().map_err(|_| wrong())?;
        let bytes_per_second = number.checked_mul(bytes).filter(|rate| *rate > 0);
        Ok(Self { bytes_per_second: bytes_per_second.ok_or_else(wrong)? })
    }
}

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.parse::<f64>().is_ok() {
            return Err(format!("`{text}` has no unit: {SIZE_HELP}"));
        }
        let wrong = || format!("`{text}` is not an amount of data: {SIZE_HELP}");
        let parts =
            SIZE_UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
        let (number, bytes) = parts.ok_or_else(wrong)?;
        let number: u64 = number.trim().parse().map_err(|_| wrong())?;
        Ok(Self { bytes: number.checked_mul(bytes).ok_or_else(wrong)? })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |unit: &&(&str, u64)| self.bytes > 0 && self.bytes.is_multiple_of(unit.1);
        // The shortest way to write it exactly.
        let (unit, bytes) =
            SIZE_UNITS.iter().filter(whole).max_by_key(|unit| unit.1).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.bytes / bytes)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole =
            RATE_UNITS.iter().find(|(_, bytes)| self.bytes_per_second.is_multiple_of(*bytes));
        let (unit, bytes) = whole.unwrap_or(&RATE_UNITS[RATE_UNITS.len() - 1]);
        write!(f, "{}{unit}", self.bytes_per_second / bytes)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.parts_per_million) / 1e4)
    }
}

/// A check of a duration in a file, both ends included.
pub(crate) fn within<C>(least: Duration, most: Duration) -> impl Fn(&Span, &C) -> garde::Result {
    move |span, _| {
        if (least..=most).contains(&span.0) {
            return Ok(());
        }
        Err(garde::Error::new(format!("must be from {} to {}", Span(least), Span(most))))
    }
}

written_as_text!(Span, SPAN_HELP, r"^\s*(\d+\s*[a-zA-Z]+\s*)+$");
written_as_text!(Rate, RATE_HELP, r"^\d+\s*[kMG]?B/s$");
written_as_text!(Size, SIZE_HELP, r"^\d+\s*([kMGT]|[KMGT]i)?B$");
written_as_text!(Share, SHARE_HELP, r"^\d+(\.\d+)?\s*%$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_required() {
        assert!("30".parse::<Span>().unwrap_err().contains("has no unit"));
        assert!("0.5".parse::<Share>().unwrap_err().contains("has no unit"));
        assert_eq!("15min".parse::<Span>().unwrap().0, Duration::from_mins(15));
        assert_eq!("99.9%".parse::<Share>().unwrap().to_string(), "99.9%");
    }

    #[test]
    fn a_size_is_exact() {
        for (text, bytes) in
            [("0B", 0), ("64kB", 64_000), ("1GiB", 1 << 30), ("3TB", 3 * 10u64.pow(12))]
        {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.bytes, size.to_string().as_str()), (bytes, text));
        }
        for text in ["1", "1G", "1.5GiB", "-1B", "99999999TiB", "GiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn out_of_range_is_refused() {
        for text in ["101%", "-1%", "nan%", "half"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_printed_parses_again() {
        for text in ["50ms", "1h 30m", "15m", "900ms"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
    }
}
