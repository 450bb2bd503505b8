//! Pass, unknown, fail.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a drill, an objective or a check came to. Ordered so that combining is `max`:
/// one failure fails the whole, one unknown spoils a pass.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything asked for was observed.
    Pass,
    /// It cannot be told: too few samples, a fault without effect, an interval across the target.
    Unknown,
    /// Something asked for was observed not to hold.
    Fail,
}

impl Verdict {
    /// The verdict of several. Of none at all it is `Unknown`: what nobody looked at did not pass.
    pub fn of(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().max().unwrap_or(Self::Unknown)
    }

    /// The word in records and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Unknown => "unknown",
            Self::Fail => "fail",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict;

    #[test]
    fn the_worst_wins_and_nothing_observed_is_unknown() {
        assert_eq!(Verdict::of([]), Verdict::Unknown);
        assert_eq!(Verdict::of([Verdict::Pass, Verdict::Pass]), Verdict::Pass);
        assert_eq!(Verdict::of([Verdict::Pass, Verdict::Unknown]), Verdict::Unknown);
        assert_eq!(Verdict::of([Verdict::Fail, Verdict::Unknown]), Verdict::Fail);
    }
}
