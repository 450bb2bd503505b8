//! Figures, limits and verdicts.

use crate::Failure;

/// What a figure is held to.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    AtMost(f64),
    Exactly(f64),
}

/// Prints as it goes and remembers what failed.
#[derive(Default)]
pub(crate) struct Report {
    failed: Vec<String>,
    missing: bool,
}

impl Report {
    pub(crate) fn judge(&mut self, name: &str, value: f64, limit: Limit) {
        let (good, limit) = match limit {
            Limit::AtMost(limit) => (value <= limit, format!("at most {limit}")),
            Limit::Exactly(limit) => {
                ((value - limit).abs() < f64::EPSILON, format!("exactly {limit}"))
            }
        };
        let word = if good { "PASS" } else { "FAIL" };
        println!("{word} {name}: {value:.3} (limit: {limit})");
        if !good {
            self.failed.push(name.to_owned());
        }
    }

    pub(crate) fn missing(&mut self, what: &str) {
        println!("NOT MEASURED {what}");
        self.missing = true;
    }

    pub(crate) fn conclude(self) -> Result<(), Failure> {
        if !self.failed.is_empty() {
            return Err(format!("limits missed: {}", self.failed.join("; ")).into());
        }
        let word = if self.missing { "incomplete, no limit missed" } else { "all limits kept" };
        println!("{word}");
        Ok(())
    }
}

/// Prints one value of each round: the middle one, the least and the greatest.
pub(crate) fn figure(name: &str, unit: &str, values: &[f64]) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let middle = median(values);
    println!("  {name:<34} {middle:>9.2} {unit:<6} ({least:.2} to {greatest:.2})");
}

/// The middle value.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which this part of all values is.
pub(crate) fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = (sorted.len() as f64 * part) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
