//! What ran where, and who answers for it.

use chrono::{DateTime, Days};
use drdrill_core::record::Record;

use super::{Cell, Section};
use crate::{figures, story};

/// A drill is repeated after this many days (requirement E).
const NEXT_DRILL_DAYS: u64 = 90;

pub(super) fn identity(record: &Record) -> Section {
    let mut rows = Vec::new();
    let mut fact = |name: &str, value: Cell| rows.push(vec![Cell::text(name), value]);
    let tool = &record.tool;
    let commit = tool.commit.as_deref().unwrap_or("unknown");
    let emulated = if record.environment.emulated {
        "yes: its times say nothing about the real thing"
    } else {
        "no"
    };
    fact("Run", Cell::code(&record.run_id));
    fact("Kind", Cell::text(story::kind(record.kind)));
    fact("Scenario", Cell::code(&record.scenario.name));
    fact("SHA-256 of the scenario file", Cell::code(&record.scenario.sha256));
    fact("Environment", Cell::code(&record.environment.name));
    fact("Provider", Cell::code(&record.environment.provider));
    fact("Emulated", Cell::text(emulated));
    fact("Fingerprint of the environment", Cell::code(&record.environment.fingerprint));
    if record.environment.production {
        fact("Production", Cell::text("yes"));
    }
    for pin in &record.environment.pin {
        fact("Pinned to, and read from the target", Cell::code(pin));
    }
    fact("Tool", Cell::code(format!("drdrill {} ({commit})", tool.version)));
    fact("Started (wall clock)", Cell::text(&record.started_at));
    fact("Finished (wall clock)", Cell::text(record.finished_at.as_deref().unwrap_or("cut off")));
    fact("Length (monotonic clock)", Cell::text(figures::duration(record.duration_ms)));
    fact("Seed", Cell::code(record.seed.to_string()));
    fact("Exit code", Cell::text(record.exit_code.to_string()));
    if let Some(next) = next_drill(&record.started_at) {
        fact("Next drill due", Cell::text(next));
    }
    Section {
        id: "identity",
        title: "What ran where",
        note: "All times in this report are measured with the monotonic clock of the machine that drdrill ran on; the \
               wall clock is for people only."
            .to_owned(),
        columns: &["Fact", "Value"],
        rows,
    }
}

/// The date of the next drill; `None` when the start is no date.
fn next_drill(started_at: &str) -> Option<String> {
    let started = DateTime::parse_from_rfc3339(started_at).ok()?;
    let next = started.checked_add_days(Days::new(NEXT_DRILL_DAYS))?;
    Some(next.format("%Y-%m-%d").to_string())
}

pub(super) fn sign_off(record: &Record) -> Section {
    let blank = |name: &str| vec![Cell::text(name), Cell::Blank, Cell::Blank, Cell::Blank];
    let mut rows = vec![
        blank("Drill lead: conducted as described"),
        blank("Service owner: results accepted"),
        blank("Reviewer: evidence verified"),
    ];
    for number in 1..=record.recommendations.len() {
        rows.push(blank(&format!("Recommendation {number}: owner, due date")));
    }
    Section {
        id: "sign-off",
        title: "Sign-off and actions",
        note: "For people to fill in.".to_owned(),
        columns: &["What", "Name", "Date", "Signature"],
        rows,
    }
}

#[cfg(test)]
mod tests {
    use super::next_drill;

    #[test]
    fn the_next_drill_is_ninety_days_later() {
        assert_eq!(next_drill("2026-03-14T09:26:53.000Z").as_deref(), Some("2026-06-12"));
        assert_eq!(next_drill("yesterday"), None);
    }
}
