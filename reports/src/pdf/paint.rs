//! What the classes of drawings look like on paper: the light colours of the style sheet.

use drdrill_core::verdict::Verdict;

use super::fonts::Style;
use crate::svg::Drawing;

/// Red, green, blue and how opaque.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Colour(pub(super) u8, pub(super) u8, pub(super) u8, pub(super) f32);

pub(super) const INK: Colour = Colour(0x1c, 0x24, 0x30, 1.0);
pub(super) const QUIET: Colour = Colour(0x56, 0x62, 0x73, 1.0);
pub(super) const RULE: Colour = Colour(0xd8, 0xde, 0xe6, 1.0);
const TRACK: Colour = Colour(0xe6, 0xea, 0xef, 1.0);
const PASS: Colour = Colour(0x18, 0x73, 0x44, 1.0);
const FAIL: Colour = Colour(0xb3, 0x26, 0x1e, 1.0);
const UNSURE: Colour = Colour(0x8a, 0x5a, 0x00, 1.0);
const OK: Colour = Colour(0xa9, 0xd8, 0xc6, 1.0);
const FAILED: Colour = Colour(0xc8, 0x37, 0x1b, 1.0);
const UNKNOWN: Colour = Colour(0xe3, 0xa0, 0x08, 1.0);
const PROBER: Colour = Colour(0x8f, 0x7a, 0xb8, 1.0);
const FAILBACK: Colour = Colour(0x2b, 0x6c, 0xb0, 1.0);

/// Colour of the words of a verdict.
pub(super) const fn verdict(verdict: Verdict) -> Colour {
    match verdict {
        Verdict::Pass => PASS,
        Verdict::Fail => FAIL,
        Verdict::Unknown => UNSURE,
    }
}

/// Colour behind them.
pub(super) const fn soft(verdict: Verdict) -> Colour {
    match verdict {
        Verdict::Pass => Colour(0xe3, 0xf4, 0xea, 1.0),
        Verdict::Fail => Colour(0xfb, 0xe6, 0xe3, 1.0),
        Verdict::Unknown => Colour(0xfd, 0xf0, 0xd5, 1.0),
    }
}

/// How a rectangle is filled; `None` for one that cannot be seen.
pub(super) fn fill(drawing: &str, class: &str) -> Option<Colour> {
    let mut opacity = 1.0;
    let mut colour = None;
    let of_chart = ["wide", "narrow", "page"].iter().any(|shape| drawing.ends_with(shape));
    for word in class.split(' ') {
        colour = Some(match word {
            "reach" => {
                opacity = 0.35;
                continue;
            }
            "track" => TRACK,
            "target" => INK,
            "pass" => PASS,
            "fail" => FAIL,
            "unknown" if of_chart => UNKNOWN,
            "unknown" => UNSURE,
            "ok" | "phase-4" => OK,
            "failed" | "phase-0" => FAILED,
            "prober" => PROBER,
            "fault-window" => faint(FAILED, 0.07),
            "fault-window-band" => faint(FAILED, 0.2),
            "failback-window" => faint(FAILBACK, 0.07),
            "failback-window-band" => faint(FAILBACK, 0.2),
            "phase-1" => UNKNOWN,
            "phase-2" => FAILBACK,
            "phase-3" => Colour(0x4a, 0xa3, 0xa2, 1.0),
            "heat-pass" => Colour(0xbf, 0xe5, 0xcf, 1.0),
            "heat-fail" => Colour(0xf3, 0xb4, 0xac, 1.0),
            "heat-unknown" => Colour(0xf8, 0xdd, 0x9f, 1.0),
            "heat-none" => Colour(0xf1, 0xf3, 0xf6, 1.0),
            _ => return None,
        });
    }
    colour.map(|colour| faint(colour, opacity))
}

const fn faint(colour: Colour, opacity: f32) -> Colour {
    Colour(colour.0, colour.1, colour.2, colour.3 * opacity)
}

/// How a path is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pen {
    pub(super) colour: Colour,
    pub(super) width: f32,
    pub(super) dashed: bool,
}

/// The pen of a path; `None` where it is filled.
pub(super) fn pen(class: &str) -> Option<Pen> {
    let (colour, width) = match class {
        "grid" => (RULE, 1.0),
        "axis" => (QUIET, 1.0),
        "moment" => (faint(INK, 0.55), 1.0),
        "p50" => (Colour(0x1f, 0x5f, 0xa8, 1.0), 1.8),
        "p99" => (Colour(0x7a, 0x8a, 0xa0, 1.0), 1.0),
        "max" => (Colour(0x88, 0x94, 0xa5, 1.0), 2.8),
        "target-line" => (INK, 1.2),
        "trend" => (Colour(0x1f, 0x5f, 0xa8, 1.0), 2.0),
        "trend-dot" => (Colour(0x1f, 0x5f, 0xa8, 1.0), 7.0),
        "trend-range" => (Colour(0x7a, 0x8a, 0xa0, 1.0), 1.2),
        "trend-target" => (FAILED, 1.2),
        _ => return None,
    };
    Some(Pen { colour, width, dashed: matches!(class, "moment" | "trend-target") })
}

/// Where a text is in relation to its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text of a drawing is set.
pub(super) fn text(class: &str) -> (Style, Colour, Anchor) {
    let has = |word: &str| class.split(' ').any(|other| other == word);
    let anchor = match () {
        () if has("middle") => Anchor::Middle,
        () if has("end") => Anchor::End,
        () => Anchor::Start,
    };
    let style = if has("stream") || has("heat-word") { Style::Bold } else { Style::Body };
    let colour = if has("tick") { QUIET } else { INK };
    (style, colour, anchor)
}

/// Size of a drawing, in its own units.
pub(super) fn size(drawing: &Drawing) -> (f32, f32) {
    (pt(drawing.size.0), pt(drawing.size.1))
}

#[expect(clippy::cast_possible_truncation, reason = "coordinates of a drawing")]
pub(super) const fn pt(number: f64) -> f32 {
    number as f32
}
