//! What the outages of drills cost, or would have cost in production.

use drdrill_core::program::{BusinessFunction, Currency, Impact};
use drdrill_core::record::Interval;
use drdrill_core::scenario::Kind;
use schemars::JsonSchema;
use serde::Serialize;

use crate::history::{RunRow, ServiceRow};

const HOUR_MS: f64 = 3_600_000.0;

/// What the outage of a business function in one drill costs: its length, as clients saw it, times the figures of its impact
/// analysis.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Cost {
    /// The drill.
    pub run_id: String,
    /// Its scenario.
    pub scenario: String,
    /// Its environment.
    pub environment: String,
    /// The business function.
    pub function: String,
    /// Whether it only would have cost this, because no real users depend on the environment.
    pub hypothetical: bool,
    /// Whether the environment only imitates the real thing.
    pub emulated: bool,
    /// How long the function was out: at least as long as the service of it that was out longest, and at most as long as all of
    /// them one after the other. Absent when it was not measured for each of its services.
    pub outage: Option<Interval>,
    /// What that costs at least; absent when the outage was not measured, or nobody said what an hour costs.
    pub at_least: Option<Amount>,
    /// What it costs at most; absent also when the end of the outage was not seen, or nobody said what an hour costs in revenue
    /// or in reputation: that may be any amount.
    pub at_most: Option<Amount>,
    /// The longest outage that the business survives, in milliseconds; absent when nobody said.
    pub tolerable_ms: Option<f64>,
    /// Whether the outage stayed within it; absent when it cannot be told.
    pub tolerated: Option<bool>,
}

/// An amount of money, and what it is made of.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Amount {
    /// Its currency.
    pub currency: Currency,
    /// Lost revenue; absent when nobody said what an hour costs.
    pub revenue: Option<f64>,
    /// Lost reputation; absent when nobody said what an hour costs.
    pub reputation: Option<f64>,
    /// Penalties that are due.
    pub penalties: f64,
    /// All together, without what nobody said.
    pub total: f64,
}

/// What a drill costs each business function whose services it watched.
pub(super) fn costs(row: &RunRow, functions: &[BusinessFunction]) -> Vec<Cost> {
    if row.kind == Kind::Tabletop {
        return Vec::new();
    }
    let watched = |function: &&BusinessFunction| {
        row.services.iter().any(|service| function.services.contains(&service.name))
    };
    functions.iter().filter(watched).map(|function| cost(row, function)).collect()
}

fn cost(row: &RunRow, function: &BusinessFunction) -> Cost {
    let outage = outage(row, function);
    let impact = function.impact.as_ref();
    let tolerable_ms =
        impact.and_then(|impact| impact.tolerable).map(|span| span.0.as_secs_f64() * 1e3);
    let tolerated = outage.zip(tolerable_ms).and_then(|(outage, most)| match outage.at_most_ms {
        Some(end) if end <= most => Some(true),
        _ if outage.at_least_ms > most => Some(false),
        _ => None,
    });
    Cost {
        run_id: row.run_id.clone(),
        scenario: row.scenario.name.clone(),
        environment: row.environment.name.clone(),
        function: function.name.clone(),
        hypothetical: !row.environment.production,
        emulated: row.environment.emulated,
        outage,
        at_least: outage
            .zip(impact)
            .and_then(|(outage, impact)| amount(outage.at_least_ms, impact)),
        at_most: outage
            .and_then(|outage| outage.at_most_ms)
            .zip(impact)
            .filter(|(_, impact)| {
                impact.hourly_revenue.is_some() && impact.hourly_reputation.is_some()
            })
            .and_then(|(most, impact)| amount(most, impact)),
        tolerable_ms,
        tolerated,
    }
}

/// How long a function was out, which is down while one of its services is; nothing when that is not known of one of them.
fn outage(row: &RunRow, function: &BusinessFunction) -> Option<Interval> {
    let of = |name: &String| row.services.iter().find(|service| service.name == *name);
    let mut all = Interval { at_least_ms: 0.0, at_most_ms: Some(0.0) };
    for name in &function.services {
        let outage = of_service(of(name)?)?;
        // Whether they were out together or one after the other, a record does not say.
        all = Interval {
            at_least_ms: all.at_least_ms.max(outage.at_least_ms),
            at_most_ms: all.at_most_ms.zip(outage.at_most_ms).map(|(a, b)| a + b),
        };
    }
    Some(all)
}

fn of_service(service: &ServiceRow) -> Option<Interval> {
    match (service.outage, service.rto.at_least_ms) {
        (Some(outage), _) => Some(outage),
        // Probes saw nothing; a function that did not work may have, for as long as the recovery took.
        (None, Some(_)) => Some(Interval { at_least_ms: 0.0, at_most_ms: service.rto.at_most_ms }),
        (None, None) => None,
    }
}

/// What an outage of this length costs; nothing when nobody said.
fn amount(ms: f64, impact: &Impact) -> Option<Amount> {
    let hours = ms / HOUR_MS;
    let currency = impact
        .hourly_revenue
        .or(impact.hourly_reputation)
        .or(impact.penalties.first().map(|penalty| penalty.amount))?
        .currency;
    let hourly = |money: Option<drdrill_core::program::Money>| {
        money.map(|money| cents(money.amount() * hours))
    };
    let due = impact.penalties.iter().filter(|one| ms > one.after.0.as_secs_f64() * 1e3);
    let penalties = due.map(|one| one.amount.amount()).sum::<f64>();
    let (revenue, reputation) = (hourly(impact.hourly_revenue), hourly(impact.hourly_reputation));
    let total = cents(revenue.unwrap_or_default() + reputation.unwrap_or_default() + penalties);
    Some(Amount { currency, revenue, reputation, penalties, total })
}

/// Rounded to the hundredth.
fn cents(amount: f64) -> f64 {
    (amount * 100.0).round() / 100.0
}
