//! A delay of packets, as written in a scenario.

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Known, known, one};
use crate::units::{Share, Span, within};

/// Packets that leave nodes later.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct NetworkDelay {
    /// The role whose nodes send later, or one of them as `role/node`.
    #[garde(custom(known::role_or_node))]
    pub on: String,
    /// The role of the peers to which they do, or one of them as `role/node`; without it to everybody.
    #[serde(default)]
    #[garde(inner(custom(known::role_or_node)))]
    pub from: Option<String>,
    /// So much later a packet leaves, on average. A round trip takes so much longer.
    #[garde(custom(within(SHORTEST, LONGEST)))]
    pub delay: Span,
    /// So much more or less, each packet for itself; then packets may overtake each other.
    #[serde(default)]
    #[garde(custom(leaves_a_delay(self.delay)))]
    pub jitter: Span,
    /// This share of the packets is not delayed and so overtakes others.
    #[serde(default = "none")]
    #[garde(custom(none_or_some))]
    pub reorder: Share,
    /// The most nodes that may be struck at once.
    #[serde(default = "one")]
    #[garde(range(min = 1, max = 100))]
    pub max_targets: usize,
}

/// What is shorter cannot be told from a busy machine.
const SHORTEST: Duration = Duration::from_millis(10);
/// A delay shows within the 10 s that a fault has for it, and what takes longer than a probe's deadline is an outage.
const LONGEST: Duration = Duration::from_secs(2);

const fn none() -> Share {
    Share::percent(0)
}

fn leaves_a_delay<C>(delay: Span) -> impl FnOnce(&Span, &C) -> garde::Result {
    move |jitter, _| {
        if jitter.0 + SHORTEST <= delay.0 || jitter.0.is_zero() {
            return Ok(());
        }
        let most = Span(delay.0.saturating_sub(SHORTEST));
        Err(garde::Error::new(format!(
            "must be at most {most}, so that at least {} of the delay stay",
            Span(SHORTEST)
        )))
    }
}

/// What is rarer cannot be told from none by counting 60 canaries.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "what garde calls it with")]
fn none_or_some<C>(share: &Share, _: &C) -> garde::Result {
    if *share == none() || (Share::percent(10)..=Share::percent(50)).contains(share) {
        return Ok(());
    }
    Err(garde::Error::new("must be from 10% to 50%, or 0%"))
}
