//! Numbers in files carry their unit: `30s`, `80%`. A bare number is an error that says so.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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

struct Unit<T>(&'static str, std::marker::PhantomData<T>);

impl<T: std::str::FromStr<Err = String>> de::Visitor<'_> for Unit<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

macro_rules! written_as_text {
    ($type:ident, $help:expr, $pattern:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Unit::<Self>($help, std::marker::PhantomData))
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $help })
            }
        }
    };
}

written_as_text!(Span, SPAN_HELP, r"^\s*(\d+\s*[a-zA-Z]+\s*)+$");
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
