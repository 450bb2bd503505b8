//! What was achieved against its target, one bar an objective, all targets on one line.

use drdrill_core::verdict::Verdict;

use super::{Drawing, Svg};
use crate::figures;

/// An objective with what was achieved. Strings may be foreign.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    /// What it is.
    pub(crate) label: String,
    /// Achieved, not less than this.
    pub(crate) low: Option<f64>,
    /// Achieved, not more than this; absent where it had no end.
    pub(crate) high: Option<f64>,
    /// The objective.
    pub(crate) target: Option<f64>,
    /// What came of it.
    pub(crate) verdict: Verdict,
    /// What was achieved, in words.
    pub(crate) figure: String,
}

const WIDTH: f64 = 700.0;
const ROW: f64 = 24.0;
const LABEL: f64 = 236.0;
const FIGURE: f64 = 486.0;
/// Where the targets are: what is twice as long as allowed ends here too, and says its figure.
const TARGET: f64 = 364.0;
const TOP: f64 = 20.0;

/// Each bar in shares of its own target, so that a recovery of hours and one of seconds can be compared.
pub(crate) fn targets(bars: &[Bar], id: &str) -> Drawing {
    let mut svg = Svg::default();
    let height = TOP + ROW * bars.iter().map(|_| 1.0).sum::<f64>() + 4.0;
    svg.text("tick middle", TARGET, 12.0, "target");
    for (number, bar) in (0_u32..).zip(bars) {
        let y = TOP + ROW * f64::from(number);
        svg.text("label", 0.0, y + 15.0, &shortened(&bar.label, 38));
        let scale = |value: f64| {
            let target = bar.target.filter(|target| *target > 0.0);
            let share = target.map_or(0.5, |target| value / target);
            LABEL + (share * (TARGET - LABEL)).clamp(0.0, FIGURE - LABEL - 10.0)
        };
        svg.rect("track", LABEL, y + 6.0, FIGURE - LABEL - 10.0, 11.0);
        if let Some(low) = bar.low {
            // A target of nothing is missed by anything.
            let from =
                if bar.target == Some(0.0) && low > 0.0 { FIGURE - 12.0 } else { scale(low) };
            let to = bar.high.map_or(FIGURE - 10.0, scale).max(from);
            svg.rect(&format!("reach {}", bar.verdict.word()), LABEL, y + 6.0, from - LABEL, 11.0);
            svg.rect(bar.verdict.word(), from, y + 3.0, (to - from).max(2.5), 17.0);
        }
        let target = figures::at_most(bar.target);
        let text = format!("{} ({target})", bar.figure);
        svg.text("figure", FIGURE, y + 15.0, &shortened(&text, 40));
    }
    svg.line("target-line", (TARGET, TOP - 4.0), (TARGET, height));
    let words = bars.iter().map(|bar| {
        format!("{}: {}, target {}.", bar.label, bar.figure, figures::at_most(bar.target))
    });
    let words: Vec<String> = words.collect();
    svg.finish(
        "chart targets",
        &format!("targets-{id}"),
        (WIDTH, height),
        "Achieved against target",
        &words.join(" "),
    )
}

/// At most so many characters; what is left out is said by an ellipsis.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let clean = crate::escape::terminal(text);
    if clean.chars().count() <= most {
        return clean.into_owned();
    }
    let mut out: String = clean.chars().take(most.saturating_sub(1)).collect();
    out.push('…');
    out
}
