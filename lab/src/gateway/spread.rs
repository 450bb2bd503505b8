//! Which backend the next request goes to.

use std::collections::BTreeMap;

/// Spreads requests by weight, evenly and without chance (smooth weighted round robin): of any
/// 100 requests in a row since the weights were set, each backend gets exactly its percentage.
#[derive(Debug)]
pub(super) struct Spread {
    weights: BTreeMap<String, u32>,
    credit: BTreeMap<String, i64>,
}

impl Spread {
    /// Takes weights that name every backend once and add up to 100.
    pub(super) fn new<'a>(
        backends: impl Iterator<Item = &'a String>,
        weights: BTreeMap<String, u32>,
    ) -> Result<Self, String> {
        let backends: Vec<&String> = backends.collect();
        if !backends.iter().copied().eq(weights.keys()) {
            let known = backends.into_iter().map(String::as_str).collect::<Vec<_>>();
            return Err(format!("weights must name these backends: {}", known.join(", ")));
        }
        let sum: u64 = weights.values().copied().map(u64::from).sum();
        if sum != 100 {
            return Err(format!("weights are percentages: they add up to {sum}, not to 100"));
        }
        Ok(Self { weights, credit: BTreeMap::new() })
    }

    pub(super) fn weights(&self) -> &BTreeMap<String, u32> {
        &self.weights
    }

    /// The backend of the next request.
    pub(super) fn next(&mut self) -> String {
        let mut chosen: Option<(&String, i64)> = None;
        for (backend, weight) in self.weights.iter().filter(|(_, weight)| **weight > 0) {
            let credit = self.credit.entry(backend.clone()).or_default();
            *credit += i64::from(*weight);
            if chosen.is_none_or(|(_, best)| *credit > best) {
                chosen = Some((backend, *credit));
            }
        }
        let backend = chosen.map(|(backend, _)| backend.clone()).unwrap_or_default();
        self.credit.entry(backend.clone()).and_modify(|credit| *credit -= 100);
        backend
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(primary: u32, dr: u32) -> Result<Spread, String> {
        let names = ["dr".to_owned(), "primary".to_owned()];
        let weights = BTreeMap::from([("primary".to_owned(), primary), ("dr".to_owned(), dr)]);
        Spread::new(names.iter(), weights)
    }

    #[test]
    fn every_hundred_requests_are_spread_exactly() {
        for primary in 0..=100 {
            let mut spread = spread(primary, 100 - primary).unwrap();
            for _ in 0..3 {
                let to_primary = (0..100).filter(|_| spread.next() == "primary").count();
                assert_eq!(to_primary, primary as usize);
            }
        }
    }

    #[test]
    fn a_quarter_is_every_fourth_request() {
        let mut spread = spread(25, 75).unwrap();
        let turns: String = (0..8).map(|_| spread.next().remove(0)).collect();
        assert_eq!(turns, "ddpdddpd");
    }

    #[test]
    fn weights_that_are_no_percentages_are_refused() {
        assert_eq!(
            spread(50, 60).unwrap_err(),
            "weights are percentages: they add up to 110, not to 100"
        );
    }

    #[test]
    fn an_unknown_backend_is_refused() {
        let names = ["dr".to_owned(), "primary".to_owned()];
        let weights = BTreeMap::from([("main".to_owned(), 100)]);
        let refusal = Spread::new(names.iter(), weights).unwrap_err();
        assert_eq!(refusal, "weights must name these backends: dr, primary");
    }
}
