//! Small drawings: an interval against its target, and the phases side by side.

use drdrill_core::verdict::Verdict;

use super::{Drawing, Svg};
use crate::phases::Span;

/// An interval drawn against a target on one scale, from 0 to a little more than the larger.
pub(crate) fn objective(
    low: Option<f64>,
    high: Option<f64>,
    target: Option<f64>,
    verdict: Verdict,
    label: &str,
) -> Drawing {
    let open_end = low.is_some() && high.is_none();
    let largest = [low, high, target].into_iter().flatten().fold(0.0, f64::max);
    // An interval without an end runs out of the picture.
    let largest = if largest > 0.0 { largest * 1.12 } else { 1.0 };
    let x = |value: f64| 100.0 * value / largest;
    let mut svg = Svg::default();
    svg.rect("track", 0.0, 5.0, 100.0, 4.0);
    if let Some(low) = low {
        let from = x(low).min(98.6);
        let to = if open_end { 100.0 } else { high.map_or(100.0, x) };
        // The way there faintly, the interval itself in full.
        svg.rect(&format!("reach {}", verdict.word()), 0.0, 5.0, from, 4.0);
        svg.rect(verdict.word(), from, 3.0, (to - from).max(1.4), 8.0);
    }
    if let Some(target) = target {
        svg.rect("target", x(target) - 0.3, 0.0, 0.6, 14.0);
    }
    svg.finish_stretched("gauge", (100.0, 14.0), label)
}

/// The phases side by side, each as long as it took.
pub(crate) fn phase_bar(spans: &[Span], label: &str) -> Option<Drawing> {
    let (first, last) = (spans.first()?, spans.last()?);
    let whole = (last.to_ms - first.from_ms).max(f64::MIN_POSITIVE);
    let mut svg = Svg::default();
    for span in spans {
        let x = 1_000.0 * (span.from_ms - first.from_ms) / whole;
        let width = 1_000.0 * span.length_ms() / whole;
        // A phase that took no time at all is still a line.
        svg.rect(&format!("phase-{}", index(span)), x, 0.0, width.max(2.0), 24.0);
    }
    Some(svg.finish_stretched("phases", (1_000.0, 24.0), label))
}

fn index(span: &Span) -> usize {
    crate::phases::Phase::ALL.iter().position(|phase| *phase == span.phase).unwrap_or(0)
}
