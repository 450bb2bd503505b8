//! Figures in words: durations, intervals, counts and shares, the same in every report.

use drdrill_core::record::{Interval, Rlo, Rpo, Rto};

const MINUTE: f64 = 60_000.0;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;

/// A duration: `850 µs`, `41.2 ms`, `4.213 s`, `12 min 4.2 s`, `2 h 5 min`, `3 d 4 h`.
#[must_use]
pub fn duration(ms: f64) -> String {
    if !ms.is_finite() {
        return "unknown".to_owned();
    }
    if ms < 0.0 {
        return format!("−{}", duration(-ms));
    }
    match ms {
        _ if ms == 0.0 => "0 s".to_owned(),
        _ if ms < 0.9995 => format!("{:.0} µs", ms * 1e3),
        _ if ms < 99.95 => format!("{} ms", shortest(ms, 1)),
        _ if ms < 999.5 => format!("{ms:.0} ms"),
        _ if ms < MINUTE - 0.5 => format!("{} s", shortest(ms / 1e3, 3)),
        _ if ms < HOUR - 50.0 => two_units(ms, MINUTE, "min", 1e3, "s", 1),
        _ if ms < DAY - 30_000.0 => two_units(ms, HOUR, "h", MINUTE, "min", 0),
        _ => two_units(ms, DAY, "d", HOUR, "h", 0),
    }
}

fn two_units(
    ms: f64,
    large: f64,
    large_word: &str,
    small: f64,
    small_word: &str,
    digits: usize,
) -> String {
    let step = 10_f64.powi(-i32::try_from(digits).unwrap_or(0)) * small;
    let ms = (ms / step).round() * step;
    let wholes = (ms / large + 1e-9).floor();
    let rest = shortest(((ms - wholes * large) / small).max(0.0), digits);
    if rest == "0" {
        return format!("{wholes} {large_word}");
    }
    format!("{wholes} {large_word} {rest} {small_word}")
}

/// At most `digits` decimals, without zeros at the end.
fn shortest(number: f64, digits: usize) -> String {
    let text = format!("{number:.digits$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// An interval with its middle in front: `4.212 s [4.192, 4.231]`. The bounds are rounded outwards, so that what is
/// printed holds. An end that was never seen is `> 55.2 s`.
#[must_use]
pub fn interval(at_least_ms: f64, at_most_ms: Option<f64>) -> String {
    let Some(at_most_ms) = at_most_ms else {
        return format!("> {}", lower_bound(at_least_ms));
    };
    let (low, high) = (at_least_ms.min(at_most_ms), at_most_ms.max(at_least_ms));
    if high - low < 1e-9 {
        return duration(low);
    }
    let (unit_ms, unit) = unit_for(high);
    let digits = digits_for((high - low) / unit_ms);
    let scale = 10_f64.powi(i32::try_from(digits).unwrap_or(0));
    // A billionth is taken off first: 4.192 must not become 4.191 because it is stored as 4.19199….
    let low_text = ((low / unit_ms * scale + 1e-6).floor() / scale).max(0.0);
    let high_text = (high / unit_ms * scale - 1e-6).ceil() / scale;
    let middle = f64::midpoint(low, high) / unit_ms;
    let bounds = format!("{middle:.digits$} {unit} [{low_text:.digits$}, {high_text:.digits$}]");
    if high >= 2.0 * MINUTE {
        return format!("{} = {bounds}", duration((f64::midpoint(low, high) / 1e3).round() * 1e3));
    }
    bounds
}

/// A lower bound, rounded down.
fn lower_bound(ms: f64) -> String {
    let step = match ms {
        _ if ms < 100.0 => 0.1,
        _ if ms < MINUTE => 1.0,
        _ if ms < HOUR => 100.0,
        _ if ms < DAY => MINUTE,
        _ => HOUR,
    };
    duration((ms / step + 1e-9).floor() * step)
}

fn unit_for(ms: f64) -> (f64, &'static str) {
    if ms < 1.0 {
        (1e-3, "µs")
    } else if ms < 1e3 {
        (1.0, "ms")
    } else {
        (1e3, "s")
    }
}

/// Decimals that show the width of an interval with two figures.
fn digits_for(width: f64) -> usize {
    match width {
        _ if width >= 20.0 => 0,
        _ if width >= 2.0 => 1,
        _ if width >= 0.2 => 2,
        _ if width >= 0.005 => 3,
        _ => 4,
    }
}

/// A count with its thousands apart: `12,345`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count and its noun: `1 write`, `12 writes`.
#[must_use]
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A share of a whole, in percent. Never rounded to 0 or 100 % when it is not: one loss in a million is `< 0.01 %`.
#[must_use]
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "a share is shown with three figures")]
    percent(part as f64 / whole as f64)
}

/// A ratio in percent of which more is better, never rounded up: 79.96 % is not shown as an objective of 80 %.
#[must_use]
pub fn at_least_percent(ratio: f64) -> String {
    let tenths = ratio * 1e3;
    // What 0.57 times 100 misses by is no less than 57.
    let down = (tenths + 1e-9).floor();
    if down < 10.0 || tenths >= 990.0 || !tenths.is_finite() {
        return percent(ratio);
    }
    percent(down / 1e3)
}

/// A ratio in percent, with the care of [`share`].
#[must_use]
pub fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    match percent {
        _ if !percent.is_finite() => "unknown".to_owned(),
        _ if percent <= 0.0 => "0 %".to_owned(),
        _ if percent < 0.01 => "< 0.01 %".to_owned(),
        _ if percent < 1.0 => format!("{} %", shortest(percent, 2)),
        _ if (99.99..100.0).contains(&percent) => "> 99.99 %".to_owned(),
        _ if percent > 99.0 && percent < 100.0 => {
            format!("{} %", shortest((percent * 100.0).floor() / 100.0, 2))
        }
        _ => format!("{} %", shortest(percent, 1)),
    }
}

/// Recovery time achieved: an interval, `> N` when the service never came back, or `not measured`.
#[must_use]
pub fn rto(rto: &Rto) -> String {
    match rto.at_least_ms {
        Some(at_least) => interval(at_least, rto.at_most_ms),
        None => "not measured".to_owned(),
    }
}

/// Recovery point achieved: age of the first lost write, or how small a loss could have been seen.
#[must_use]
pub fn rpo(rpo: &Rpo) -> String {
    if !is_measured(rpo) {
        return "not measured".to_owned();
    }
    if rpo.writes.lost == 0 {
        return lost_writes(rpo);
    }
    interval(rpo.at_least_ms.unwrap_or(0.0), rpo.at_most_ms)
}

/// Whether it is known what was lost: the writes were read back.
#[must_use]
pub const fn is_measured(rpo: &Rpo) -> bool {
    rpo.at_least_ms.is_some() || rpo.at_most_ms.is_some()
}

/// `12 of 2,412 acknowledged lost (0.5 %)`, or with nothing lost the resolution.
#[must_use]
pub fn lost_writes(rpo: &Rpo) -> String {
    let writes = rpo.writes;
    if !is_measured(rpo) {
        return format!("{} acknowledged, what is lost is not known", count(writes.acknowledged));
    }
    let of = format!("{} of {} acknowledged lost", count(writes.lost), count(writes.acknowledged));
    match rpo.resolution_ms {
        _ if writes.lost > 0 => format!("{of} ({})", share(writes.lost, writes.acknowledged)),
        Some(resolution) => format!("{of}; resolution {}", duration(resolution)),
        None => of,
    }
}

/// Recovery level achieved.
#[must_use]
pub fn rlo(rlo: &Rlo) -> String {
    rlo.achieved.map_or_else(
        || "not measured".to_owned(),
        |ratio| format!("{} of normal", at_least_percent(ratio)),
    )
}

/// What clients saw: an interval, or `none`.
#[must_use]
pub fn outage(outage: Option<Interval>) -> String {
    outage
        .map_or_else(|| "none".to_owned(), |outage| interval(outage.at_least_ms, outage.at_most_ms))
}

/// An objective: `≤ 1 h`, or `none set`.
#[must_use]
pub fn at_most(target_ms: Option<f64>) -> String {
    target_ms.map_or_else(|| "none set".to_owned(), |ms| format!("≤ {}", duration(ms)))
}

/// An objective: `≥ 80 %`, or `none set`.
#[must_use]
pub fn at_least(target: Option<f64>) -> String {
    target.map_or_else(|| "none set".to_owned(), |ratio| format!("≥ {}", percent(ratio)))
}

/// An instant of the drill: `+8.512 s`.
#[must_use]
pub fn instant(ms: f64) -> String {
    format!("+{}", duration(ms))
}

/// An instant of the drill, or a dash.
#[must_use]
pub fn maybe_instant(ms: Option<f64>) -> String {
    ms.map_or_else(|| "–".to_owned(), instant)
}

#[cfg(test)]
mod tests;
