//! From time and latency to coordinates.

/// Time along the width.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) duration_ms: f64,
}

impl Time {
    /// The coordinate of an instant, inside the chart.
    pub(super) fn x(&self, ms: f64) -> f64 {
        let share = (ms / self.duration_ms).clamp(0.0, 1.0);
        self.left + share * (self.right - self.left)
    }

    /// The coordinate of the left edge of a bin.
    pub(super) fn bin(&self, index: usize, bins: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a few hundred bins")]
        let share = index as f64 / bins as f64;
        self.left + share * (self.right - self.left)
    }

    /// Round instants, at most `most` of them.
    pub(super) fn ticks(&self, most: f64) -> Vec<f64> {
        const STEPS_MS: [f64; 26] = [
            1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 10e3, 15e3, 30e3,
            60e3, 120e3, 300e3, 600e3, 900e3, 1_800e3, 3_600e3, 7_200e3, 14_400e3, 43_200e3,
            86_400e3,
        ];
        let fits = |step: &&f64| self.duration_ms / **step <= most;
        let last = STEPS_MS[STEPS_MS.len() - 1];
        let coarser = (self.duration_ms / most / last).ceil().max(1.0) * last;
        let step = STEPS_MS.iter().find(fits).copied().unwrap_or(coarser);
        std::iter::successors(Some(0.0), |tick| Some(tick + step))
            .take_while(|tick| *tick <= self.duration_ms)
            .collect()
    }
}

/// Latency upwards, each tenfold the same height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Log {
    /// Exponent of ten at the bottom, in milliseconds.
    low: f64,
    /// At the top.
    high: f64,
}

impl Log {
    /// Whole tenfolds around everything between `least` and `most`.
    pub(super) fn around(least_ms: f64, most_ms: f64) -> Self {
        let low = least_ms.max(1e-3).log10().floor();
        let high = most_ms.max(1e-3).log10().ceil().max(low + 1.0);
        Self { low, high }
    }

    /// How far up a latency is, from 0 to 1.
    pub(super) fn share(&self, ms: f64) -> f64 {
        let exponent = ms.max(1e-3).log10();
        ((exponent - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// The powers of ten in it, in milliseconds.
    pub(super) fn decades(&self) -> Vec<f64> {
        std::iter::successors(Some(self.low), |exponent| Some(exponent + 1.0))
            .take_while(|exponent| *exponent <= self.high)
            .map(|exponent| 10_f64.powf(exponent))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few_however_long_the_drill() {
        for duration_ms in [3.0, 950.0, 61_840.0, 3_600_000.0, 1e9, 1e12] {
            let time = Time { left: 0.0, right: 100.0, duration_ms };
            let ticks = time.ticks(8.0);
            assert!((1..=9).contains(&ticks.len()), "{duration_ms}: {ticks:?}");
        }
    }

    #[test]
    fn every_latency_is_inside_the_scale() {
        let log = Log::around(1.7, 930.0);
        assert_eq!(log.decades().len(), 4);
        assert!(log.share(1.7) > 0.0 && log.share(930.0) < 1.0);
        assert!((log.share(0.0)).abs() < f64::EPSILON);
        assert_eq!(Log::around(5.0, 5.0).decades().len(), 2);
    }
}
