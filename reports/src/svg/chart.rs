//! The timeline: every stream over the whole drill, with the fault, the failback and the moments of the recovery.

use drdrill_core::record::Record;
use drdrill_core::runbook::StepBy;

use super::lanes::{self, LANE, PANEL};
use super::markers::{Marker, Placed, place};
use super::scale::{Log, Time};
use super::{Drawing, Svg};
use crate::figures::{count, duration, instant};
use crate::timeline::{StreamLine, Timeline, folded};
use crate::{phases, words};

/// How large the drawing is. Text keeps its size, so a small screen gets a drawing of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Style class, and prefix of ids.
    pub(crate) name: &'static str,
    /// Width in pixels.
    pub(crate) width: f64,
    /// Bins of time.
    pub(crate) bins: usize,
    /// Most ticks along the time.
    ticks: f64,
}

impl Shape {
    /// For screens and paper.
    pub(crate) const WIDE: Self = Self { name: "wide", width: 1040.0, bins: 320, ticks: 14.0 };
    /// For a page of paper that is laid out by us.
    pub(crate) const PAGE: Self = Self { name: "page", width: 700.0, bins: 280, ticks: 9.0 };
    /// For phones.
    pub(crate) const NARROW: Self = Self { name: "narrow", width: 360.0, bins: 120, ticks: 5.0 };
}

const LEFT: f64 = 46.0;
const ROW: f64 = 15.0;
const BAND: f64 = 16.0;
const TITLE: f64 = 17.0;
/// Width of a character of a label, generously.
const CHARACTER: f64 = 6.2;
/// Streams that get a panel of latency; more get a lane only.
const MOST_PANELS: usize = 8;
/// Lanes; streams that there is no room for share the last.
const MOST_LANES: usize = 60;

struct Window {
    class: &'static str,
    label: String,
    from_ms: f64,
    to_ms: f64,
}

/// Draws the timeline.
pub(crate) fn chart(record: &Record, timeline: &Timeline, shape: Shape) -> Drawing {
    chart_as(record, timeline, shape, &format!("chart-{}", shape.name))
}

/// The same with a prefix of ids of its own, for a page with several.
pub(crate) fn chart_as(record: &Record, timeline: &Timeline, shape: Shape, id: &str) -> Drawing {
    let time = Time { left: LEFT, right: shape.width - 6.0, duration_ms: timeline.duration_ms };
    let markers = place(markers(record, time), 0.0, time.right, CHARACTER);
    let rows = markers.iter().map(|marker| marker.row + 1).max().unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "a handful of rows")]
    let band = 4.0 + rows as f64 * ROW;
    let top = band + BAND + 4.0;
    let streams = folded(&timeline.streams, MOST_LANES);
    let bottom = top + streams.iter().enumerate().map(|(n, _)| block(n)).sum::<f64>();

    let mut svg = Svg::default();
    for window in windows(record, timeline.duration_ms) {
        draw_window(&mut svg, &window, time, band, bottom);
    }
    for marker in &markers {
        draw_line(&mut svg, marker, band, bottom);
    }
    draw_streams(&mut svg, &streams, time, top);
    for marker in &markers {
        svg.text("moment-label", marker.from, base(marker, band), &marker.label);
    }
    draw_axis(&mut svg, time, shape, bottom);
    svg.finish(
        &format!("chart {}", shape.name),
        id,
        (shape.width, bottom + 34.0),
        "Timeline of the drill",
        &description(record, timeline),
    )
}

/// Height that a stream takes.
fn block(number: usize) -> f64 {
    let panel = if number < MOST_PANELS { PANEL + 12.0 } else { 0.0 };
    TITLE + LANE + 8.0 + panel
}

fn markers(record: &Record, time: Time) -> Vec<Marker> {
    // What people did is part of where the time went.
    let steps = record.runbook.iter().flat_map(|runbook| &runbook.steps);
    let by_people = steps.filter(|step| step.by == StepBy::Person);
    let by_people = by_people.filter_map(|step| Some((step.name.as_str(), step.finished_ms?)));
    phases::moments(&record.phases)
        .into_iter()
        .chain(by_people)
        .map(|(name, ms)| Marker {
            x: time.x(ms),
            label: format!("{name} {}", instant(rounded(ms))),
        })
        .collect()
}

/// Hundredths of a second are enough in a drawing.
fn rounded(ms: f64) -> f64 {
    if ms < 1_000.0 { ms } else { (ms / 10.0).round() * 10.0 }
}

fn windows(record: &Record, end_ms: f64) -> Vec<Window> {
    let fault = |fault: &drdrill_core::record::Fault| {
        fault.in_effect_ms?;
        Some(Window {
            class: "fault-window",
            label: format!("fault: {} on {}", fault.kind, fault.target),
            from_ms: fault.applied_ms?,
            to_ms: fault.reverted_ms.unwrap_or(end_ms),
        })
    };
    let failback = record.phases.failback_started_ms.map(|from_ms| Window {
        class: "failback-window",
        label: "failback".to_owned(),
        from_ms,
        to_ms: record.phases.failback_finished_ms.unwrap_or(end_ms),
    });
    record.faults.iter().filter_map(fault).chain(failback).collect()
}

fn draw_window(svg: &mut Svg, window: &Window, time: Time, band: f64, bottom: f64) {
    let (x, right) = (time.x(window.from_ms), time.x(window.to_ms));
    let width = (right - x).max(1.0);
    svg.rect(window.class, x, band, width, bottom - band);
    svg.rect(&format!("{}-band", window.class), x, band, width, BAND);
    #[expect(clippy::cast_precision_loss, reason = "a short label")]
    let characters = (width / CHARACTER - window.label.chars().count() as f64).is_sign_positive();
    let label = if characters {
        window.label.as_str()
    } else {
        window.label.split(':').next().unwrap_or_default()
    };
    #[expect(clippy::cast_precision_loss, reason = "a short label")]
    let fits = label.chars().count() as f64 * CHARACTER <= width;
    if fits {
        svg.text("band", x + 4.0, band + BAND - 4.5, label);
    }
    let text =
        format!("{}, {} to {}", window.label, instant(window.from_ms), instant(window.to_ms));
    svg.hint(x, band, width, BAND, &text);
}

fn draw_streams(svg: &mut Svg, streams: &[StreamLine], time: Time, mut top: f64) {
    let latencies = || {
        let bins = streams.iter().take(MOST_PANELS).flat_map(|stream| &stream.bins);
        bins.filter_map(|bin| bin.latency)
    };
    let least = latencies().map(|latency| latency.p50_ms).fold(f64::INFINITY, f64::min);
    let most = latencies().map(|latency| latency.max_ms).fold(0.0, f64::max);
    let log = Log::around(if least.is_finite() { least } else { 1.0 }, most);
    for (number, stream) in streams.iter().enumerate() {
        let facts = &stream.facts;
        let kind = match facts.purpose {
            drdrill_core::probe::Purpose::Bystander => "bystander, ",
            _ => "",
        };
        let title = format!(
            "{} ({}, {kind}{} connection)",
            facts.name,
            facts.service,
            words::connection(facts.connection)
        );
        svg.text("stream", time.left, top + TITLE - 5.0, &title);
        lanes::availability(svg, stream, time, top + TITLE);
        if number < MOST_PANELS {
            lanes::latency(svg, stream, time, log, top + TITLE + LANE + 8.0);
        }
        top += block(number);
    }
}

/// The base line of a marker's label.
fn base(marker: &Placed, band: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a handful of rows")]
    let up = marker.row as f64 * ROW;
    band - 4.0 - up
}

fn draw_line(svg: &mut Svg, marker: &Placed, band: f64, bottom: f64) {
    svg.line("moment", (marker.x, base(marker, band) - 9.0), (marker.x, bottom));
}

fn draw_axis(svg: &mut Svg, time: Time, shape: Shape, bottom: f64) {
    svg.line("axis", (time.left, bottom), (time.right, bottom));
    for tick in time.ticks(shape.ticks) {
        let x = time.x(tick);
        svg.line("axis", (x, bottom), (x, bottom + 5.0));
        let class = if tick == 0.0 { "tick" } else { "tick middle" };
        svg.text(class, x, bottom + 18.0, &duration(tick));
    }
}

/// The drawing in words, for those who cannot see it.
fn description(record: &Record, timeline: &Timeline) -> String {
    let mut parts: Vec<String> = timeline
        .streams
        .iter()
        .take(MOST_LANES)
        .map(|stream| {
            let outages = stream.outages.len();
            let failures: u64 =
                stream.outages.iter().map(|stretch| stretch.failed + stretch.unknown).sum();
            match outages {
                0 => format!("Stream {} never failed.", stream.facts.name),
                _ => format!(
                    "Stream {} has {} failures in {} outages.",
                    stream.facts.name,
                    count(failures),
                    count(outages as u64)
                ),
            }
        })
        .collect();
    let moments = phases::moments(&record.phases);
    parts.extend(
        moments.into_iter().map(|(name, ms)| format!("{name} at {}.", instant(rounded(ms)))),
    );
    if timeline.streams.len() > MOST_LANES {
        parts.push(format!("From the {MOST_LANES}th on the streams are drawn as one."));
    }
    parts.join(" ")
}
