//! Recovery times quarter by quarter: the longest as a line, the shortest and the median with it, the target dashed.

use std::fmt::Write as _;

use super::{Drawing, Number, Svg};
use crate::figures::duration;

/// A trend. Strings may be foreign.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// What it is.
    pub(crate) title: String,
    /// Oldest first.
    pub(crate) points: Vec<Point>,
}

/// A quarter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    /// Its name.
    pub(crate) label: String,
    /// The shortest time.
    pub(crate) low: Option<f64>,
    /// The median.
    pub(crate) middle: Option<f64>,
    /// The longest; absent when one never came to an end.
    pub(crate) high: Option<f64>,
    /// How many never came to an end.
    pub(crate) never: u64,
    /// The objective.
    pub(crate) target: Option<f64>,
}

const WIDTH: f64 = 700.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 26.0;
const HEIGHT: f64 = 84.0;

/// Draws a trend.
pub(crate) fn trend(line: &Line, id: &str) -> Drawing {
    let mut svg = Svg::default();
    let values =
        line.points.iter().flat_map(|point| [point.low, point.middle, point.high, point.target]);
    let most = values.flatten().fold(0.0, f64::max).max(1.0) * 1.1;
    let y = |ms: f64| TOP + HEIGHT * (1.0 - ms / most);
    let count = f64::from(u32::try_from(line.points.len().max(1)).unwrap_or(1));
    let step = (WIDTH - LEFT) / count;
    svg.text("stream", 0.0, 12.0, &super::targets::shortened(&line.title, 100));
    for share in [0.0, 0.5, 1.0] {
        let ms = most * share / 1.1;
        svg.line("grid", (LEFT, y(ms)), (WIDTH, y(ms)));
        svg.text("tick end", LEFT - 6.0, y(ms) + 3.5, &duration(ms));
    }
    let mut drawn = [String::new(), String::new()];
    let mut pen_down = false;
    let mut words = Vec::new();
    for (number, point) in (0_u32..).zip(&line.points) {
        let x = LEFT + step * (f64::from(number) + 0.5);
        svg.text("tick middle", x, TOP + HEIGHT + 16.0, &point.label);
        if let Some(target) = point.target {
            let (from, to) = (x - step / 2.0, x + step / 2.0);
            svg.line("trend-target", (from, y(target)), (to, y(target)));
        }
        if point.never > 0 {
            svg.rect("fail", x - 3.0, TOP, 6.0, 10.0);
            svg.text("tick", x + 6.0, TOP + 9.0, &format!("{} never", point.never));
        }
        if let (Some(low), Some(high)) = (point.low, point.high) {
            svg.line("trend-range", (x, y(low)), (x, y(high)));
        }
        // Where one never came back there is no longest, and the line does not fall to the shortest.
        match point.high {
            Some(high) => {
                let command = if pen_down { 'L' } else { 'M' };
                let _infallible = write!(drawn[0], "{command}{} {}", Number(x), Number(y(high)));
                if !pen_down {
                    drawn[0].push_str("h0");
                }
                pen_down = true;
                let _infallible = write!(drawn[1], "M{} {}h0", Number(x), Number(y(high)));
            }
            None => pen_down = false,
        }
        words.push(match (point.low, point.high) {
            (None, _) if point.never > 0 => {
                format!("{}: {} never came to an end.", point.label, point.never)
            }
            (None, _) => format!("{}: nothing measured.", point.label),
            (Some(low), Some(high)) => {
                format!("{}: {} to {}.", point.label, duration(low), duration(high))
            }
            (Some(low), None) => {
                format!(
                    "{}: from {}; {} never came to an end.",
                    point.label,
                    duration(low),
                    point.never
                )
            }
        });
    }
    svg.path("trend", &drawn[0]);
    svg.path("trend-dot", &drawn[1]);
    svg.finish("chart trend-chart", id, (WIDTH, TOP + HEIGHT + 22.0), &line.title, &words.join(" "))
}
