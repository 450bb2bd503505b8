//! Toxics, with units in the types.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Error;

/// What is wrong with a connection.
///
/// The server counts in whole milliseconds ([`Toxic::Slicer`]: microseconds); a duration it cannot count is
/// refused, not rounded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Toxic {
    /// Data arrives later, by `latency` ± `jitter`.
    Latency {
        /// The delay.
        latency: Duration,
        /// How far the delay of each piece of data may be off.
        jitter: Duration,
    },
    /// Data passes at a limited rate.
    Bandwidth {
        /// The rate; a kilobyte is 1,000 bytes. 0 lets nothing pass.
        kilobytes_per_second: u64,
    },
    /// The end of a stream arrives later.
    SlowClose {
        /// By how much.
        delay: Duration,
    },
    /// No data passes; after a time the connection is closed. Taking it away closes connections, too.
    Timeout {
        /// That time; zero never closes.
        timeout: Duration,
    },
    /// The connection is reset.
    ResetPeer {
        /// How long after the first data.
        timeout: Duration,
    },
    /// Data is cut into small pieces.
    Slicer {
        /// The size of a piece.
        average_bytes: u64,
        /// How far the size may be off; less than the size itself.
        variation_bytes: u64,
        /// The time between pieces, in whole microseconds.
        delay: Duration,
    },
    /// The connection is closed after some data.
    LimitData {
        /// How much data passes.
        limit_bytes: u64,
    },
    /// Nothing.
    Noop,
    /// A toxic of another server, or one with numbers that make no sense here.
    Other {
        /// Its type.
        kind: String,
        /// Its attributes, as the server takes them.
        attributes: Value,
    },
}

impl Toxic {
    /// The word for it in the API.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Latency { .. } => "latency",
            Self::Bandwidth { .. } => "bandwidth",
            Self::SlowClose { .. } => "slow_close",
            Self::Timeout { .. } => "timeout",
            Self::ResetPeer { .. } => "reset_peer",
            Self::Slicer { .. } => "slicer",
            Self::LimitData { .. } => "limit_data",
            Self::Noop => "noop",
            Self::Other { kind, .. } => kind,
        }
    }

    pub(super) fn to_attributes(&self) -> Result<Value, Error> {
        let millis = |name, duration: &Duration| self.count(name, *duration, MILLISECOND);
        Ok(match self {
            Self::Latency { latency, jitter } => json!({
                "latency": millis("latency", latency)?, "jitter": millis("jitter", jitter)?,
            }),
            Self::Bandwidth { kilobytes_per_second } => {
                json!({ "rate": self.whole("rate", *kilobytes_per_second)? })
            }
            Self::SlowClose { delay } => json!({ "delay": millis("delay", delay)? }),
            Self::Timeout { timeout } | Self::ResetPeer { timeout } => {
                json!({ "timeout": millis("timeout", timeout)? })
            }
            Self::Slicer { average_bytes, variation_bytes, delay } => {
                if variation_bytes >= average_bytes {
                    return Err(self.invalid("the size variation has to be less than the size"));
                }
                json!({
                    "average_size": self.whole("average_size", *average_bytes)?,
                    "size_variation": self.whole("size_variation", *variation_bytes)?,
                    "delay": self.count("delay", *delay, MICROSECOND)?,
                })
            }
            Self::LimitData { limit_bytes } => {
                json!({ "bytes": self.whole("bytes", *limit_bytes)? })
            }
            Self::Noop => json!({}),
            Self::Other { attributes, .. } => attributes.clone(),
        })
    }

    pub(super) fn from_wire(kind: String, attributes: Value) -> Self {
        let known = attributes.as_object().and_then(|fields| Self::known(&kind, fields));
        known.unwrap_or(Self::Other { kind, attributes })
    }

    fn known(kind: &str, fields: &Map<String, Value>) -> Option<Self> {
        let number = |name| fields.get(name)?.as_u64();
        let millis = |name| number(name).map(Duration::from_millis);
        Some(match kind {
            "latency" => Self::Latency { latency: millis("latency")?, jitter: millis("jitter")? },
            "bandwidth" => Self::Bandwidth { kilobytes_per_second: number("rate")? },
            "slow_close" => Self::SlowClose { delay: millis("delay")? },
            "timeout" => Self::Timeout { timeout: millis("timeout")? },
            "reset_peer" => Self::ResetPeer { timeout: millis("timeout")? },
            "slicer" => Self::Slicer {
                average_bytes: number("average_size")?,
                variation_bytes: number("size_variation")?,
                delay: Duration::from_micros(number("delay")?),
            },
            "limit_data" => Self::LimitData { limit_bytes: number("bytes")? },
            "noop" => Self::Noop,
            _ => return None,
        })
    }

    fn count(&self, name: &str, duration: Duration, unit: Unit) -> Result<i64, Error> {
        let Unit { nanos, word } = unit;
        if !duration.as_nanos().is_multiple_of(nanos) {
            return Err(self.invalid(format!("{name} {duration:?} is not in whole {word}")));
        }
        let count = i64::try_from(duration.as_nanos() / nanos);
        count.map_err(|_| self.invalid(format!("{name} {duration:?} is too long")))
    }

    fn whole(&self, name: &str, number: u64) -> Result<i64, Error> {
        i64::try_from(number).map_err(|_| self.invalid(format!("{name} {number} is too much")))
    }

    fn invalid(&self, reason: impl Into<String>) -> Error {
        Error::Invalid { what: format!("toxic {}", self.kind()), reason: reason.into() }
    }
}

/// What a server counts time in.
#[derive(Clone, Copy)]
struct Unit {
    nanos: u128,
    word: &'static str,
}

const MILLISECOND: Unit = Unit { nanos: 1_000_000, word: "milliseconds" };
const MICROSECOND: Unit = Unit { nanos: 1_000, word: "microseconds" };

#[cfg(test)]
mod tests {
    use super::super::{NamedToxic, Stream};
    use super::*;

    fn every_toxic() -> Vec<Toxic> {
        let timeout = Duration::from_millis(7);
        let delay = Duration::from_micros(3);
        vec![
            Toxic::Latency { latency: Duration::from_secs(1), jitter: Duration::ZERO },
            Toxic::Bandwidth { kilobytes_per_second: 10 },
            Toxic::SlowClose { delay: timeout },
            Toxic::Timeout { timeout },
            Toxic::ResetPeer { timeout },
            Toxic::Slicer { average_bytes: 10, variation_bytes: 3, delay },
            Toxic::LimitData { limit_bytes: 100 },
            Toxic::Noop,
            Toxic::Other { kind: "own".to_owned(), attributes: json!({"a": "b"}) },
        ]
    }

    #[test]
    fn every_toxic_survives_the_journey() {
        for toxic in every_toxic() {
            let named = NamedToxic::new("a", Stream::Upstream, toxic).with_toxicity(0.3);
            let sent = serde_json::to_string(&named.to_wire().unwrap()).unwrap();
            let received: NamedToxic = serde_json::from_str(&sent).unwrap();
            assert_eq!(received, named);
        }
    }

    #[test]
    fn what_no_server_can_do_is_refused() {
        let half = Duration::from_micros(500);
        for toxic in [
            Toxic::SlowClose { delay: half },
            Toxic::SlowClose { delay: Duration::MAX },
            Toxic::LimitData { limit_bytes: u64::MAX },
            Toxic::Slicer { average_bytes: 10, variation_bytes: 10, delay: half },
            Toxic::Slicer { average_bytes: 10, variation_bytes: 1, delay: half / 1_000 },
        ] {
            let named = NamedToxic::new("a", Stream::Upstream, toxic);
            assert!(matches!(named.to_wire(), Err(Error::Invalid { .. })), "{named:?}");
        }
    }

    #[test]
    fn a_toxicity_outside_zero_to_one_is_refused() {
        let named = NamedToxic::new("a", Stream::Upstream, Toxic::Noop);
        for toxicity in [-0.1, 1.1, 7.0, f32::NAN, f32::INFINITY] {
            let wire = named.clone().with_toxicity(toxicity).to_wire();
            assert!(matches!(wire, Err(Error::Invalid { .. })), "{toxicity}");
        }
        for toxicity in [0.0, 0.5, 1.0] {
            assert!(named.clone().with_toxicity(toxicity).to_wire().is_ok());
        }
    }

    #[test]
    fn numbers_that_make_no_sense_are_kept_as_they_are() {
        let attributes = json!({"latency": -5, "jitter": 0});
        let toxic = Toxic::from_wire("latency".to_owned(), attributes.clone());
        assert_eq!(toxic, Toxic::Other { kind: "latency".to_owned(), attributes });
    }
}
