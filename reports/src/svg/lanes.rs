//! One stream: a lane of availability and a panel of latency.

use std::fmt::Write as _;

use super::scale::{Log, Time};
use super::{Number, Svg};
use crate::figures::{count, duration, instant};
use crate::timeline::{Bin, StreamLine};

/// Height of a lane of availability.
pub(super) const LANE: f64 = 26.0;
/// Height of a panel of latency.
pub(super) const PANEL: f64 = 62.0;
/// What is not all well is at least this high, so that one failure among thousands of successes shows.
const LEAST: f64 = 6.0;
/// Outages that tell more when pointed at.
const MOST_HINTS: usize = 60;

/// A style class, and how many samples of a bin belong to it.
type Class = (&'static str, fn(&Bin) -> u32);

/// Outcomes from the bottom of a lane upwards, by their style class.
const CLASSES: [Class; 4] = [
    ("ok", |bin| bin.ok),
    ("prober", |bin| bin.prober_error),
    ("unknown", |bin| bin.unknown),
    ("failed", |bin| bin.failed),
];

/// Draws the lane with its top at `top`.
pub(super) fn availability(svg: &mut Svg, stream: &StreamLine, time: Time, top: f64) {
    svg.rect("track", time.left, top, time.right - time.left, LANE);
    let bins = stream.bins.len();
    let heights: Vec<[f64; 4]> = stream.bins.iter().map(heights).collect();
    for (class, (name, _)) in CLASSES.iter().enumerate() {
        let mut data = String::new();
        let mut from = 0;
        // Bins that look the same are one rectangle.
        for run in heights.chunk_by(same) {
            let to = from + run.len();
            let height = run[0][class];
            if height > 0.0 {
                let below: f64 = run[0][..class].iter().sum();
                let (x, right) = (time.bin(from, bins), time.bin(to, bins));
                let y = top + LANE - below - height;
                let _infallible = write!(
                    data,
                    "M{} {}h{}v{}h-{}z",
                    Number(x),
                    Number(y),
                    Number(right - x),
                    Number(height),
                    Number(right - x)
                );
            }
            from = to;
        }
        svg.path(name, &data);
    }
    for stretch in stream.outages.iter().take(MOST_HINTS) {
        let end = stretch.to_ms.unwrap_or(time.duration_ms);
        let (x, right) = (time.x(stretch.from_ms), time.x(end));
        let until = stretch.to_ms.map_or_else(|| "the end".to_owned(), instant);
        let text = format!(
            "{}: {} to {until} ({}): {} failed, {} unknown; {}",
            stream.facts.name,
            instant(stretch.from_ms),
            duration(end - stretch.from_ms),
            count(stretch.failed),
            count(stretch.unknown),
            stretch.first_error
        );
        svg.hint(x - 2.0, top, right - x + 4.0, LANE, &text);
    }
}

/// Whether two bins look the same.
fn same(a: &[f64; 4], b: &[f64; 4]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.05)
}

/// Heights of the classes in a bin; they fill the lane, and none that is there is invisible.
fn heights(bin: &Bin) -> [f64; 4] {
    let sent = f64::from(bin.sent());
    let mut heights = CLASSES.map(|(_, of)| LANE * f64::from(of(bin)) / sent.max(1.0));
    for (height, (_, of)) in heights.iter_mut().zip(CLASSES).skip(1) {
        if of(bin) > 0 {
            *height = height.max(LEAST);
        }
    }
    let bad: f64 = heights[1..].iter().sum();
    if bad > LANE {
        heights[1..].iter_mut().for_each(|height| *height *= LANE / bad);
    }
    heights[0] = heights[0].min((LANE - bad).max(0.0));
    heights
}

/// Draws the panel with its top at `top`.
pub(super) fn latency(svg: &mut Svg, stream: &StreamLine, time: Time, log: Log, top: f64) {
    let y = |ms: f64| top + PANEL * (1.0 - log.share(ms));
    for decade in log.decades() {
        svg.line("grid", (time.left, y(decade)), (time.right, y(decade)));
        svg.text("tick end", time.left - 5.0, y(decade) + 3.5, &duration(decade));
    }
    let bins = stream.bins.len();
    let middle = |index: usize| f64::midpoint(time.bin(index, bins), time.bin(index + 1, bins));
    let mut dots = String::new();
    let [mut p50, mut p99] = [String::new(), String::new()];
    let mut pen_down = false;
    for (index, bin) in stream.bins.iter().enumerate() {
        let Some(latency) = bin.latency else {
            // No success, no latency: the line has a gap.
            pen_down = false;
            continue;
        };
        let x = Number(middle(index));
        let command = if pen_down { 'L' } else { 'M' };
        let _infallible = write!(p50, "{command}{x} {}", Number(y(latency.p50_ms)));
        let _infallible = write!(p99, "{command}{x} {}", Number(y(latency.p99_ms)));
        if !pen_down {
            // A point of its own would not be drawn without a length.
            p50.push_str("h0");
            p99.push_str("h0");
        }
        let _infallible = write!(dots, "M{x} {}h0", Number(y(latency.max_ms)));
        pen_down = true;
    }
    svg.path("max", &dots);
    svg.path("p99", &p99);
    svg.path("p50", &p50);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_among_a_million_is_drawn() {
        let bin = Bin { ok: 1_000_000, failed: 1, ..Bin::default() };
        let heights = heights(&bin);
        assert!(heights[3] >= LEAST);
        assert!(heights.iter().sum::<f64>() <= LANE + 1e-9);
    }

    #[test]
    fn an_empty_bin_is_empty_and_a_full_one_is_full() {
        assert!(same(&heights(&Bin::default()), &[0.0; 4]));
        let bin = Bin { ok: 1, failed: 1_000_000, unknown: 1, prober_error: 1, latency: None };
        let sum: f64 = heights(&bin).iter().sum();
        assert!((sum - LANE).abs() < 0.1, "{sum}");
    }
}
