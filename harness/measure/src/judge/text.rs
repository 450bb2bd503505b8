//! Figures in sentences.

use std::time::Duration;

/// A duration as people read it: `812.4 ms`, `12.431 s`.
pub(crate) fn show(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{:.1} ms", duration.as_secs_f64() * 1e3)
    } else {
        format!("{:.3} s", duration.as_secs_f64())
    }
}

/// An interval: `12.431 s to 12.450 s`, or `more than 12.431 s`.
pub(crate) fn show_bounds(at_least: Duration, at_most: Option<Duration>) -> String {
    match at_most {
        Some(at_most) => format!("{} to {}", show(at_least), show(at_most)),
        None => format!("more than {}", show(at_least)),
    }
}

/// A ratio as a percentage.
pub(crate) fn percent(ratio: f64) -> String {
    let text = format!("{:.2}", ratio * 100.0);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} %")
}
