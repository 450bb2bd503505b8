//! What came of the steps of a runbook that the drill followed.

use drdrill_core::record::{FollowedRunbook, FollowedStep, Record};

use super::{Cell, Section};
use crate::{figures, words};

/// Its tables; none of a drill that followed no runbook.
pub(super) fn sections(record: &Record) -> Vec<Section> {
    let Some(runbook) = &record.runbook else { return Vec::new() };
    let mut all = vec![steps(runbook)];
    if !runbook.participants.is_empty() {
        all.push(super::tabletop::participants(&runbook.participants));
    }
    if !runbook.to_take_back.is_empty() {
        all.push(by_hand(runbook));
    }
    all
}

fn steps(runbook: &FollowedRunbook) -> Section {
    let row = |step: &FollowedStep| {
        let by = match &step.who {
            Some(who) => format!("{} ({who})", step.by.word()),
            None => step.by.word().to_owned(),
        };
        vec![
            Cell::code(&step.name),
            Cell::text(step.phase.word()),
            Cell::code(&step.owner),
            Cell::text(by),
            Cell::instant(step.started_ms),
            Cell::Figure(words::took(step)),
            Cell::duration(step.within_ms),
            Cell::text(words::followed(step)),
            Cell::text(&step.note),
            Cell::text(words::otherwise(step)),
        ]
    };
    let answers = if runbook.scripted { "came from a file" } else { "were given at a terminal" };
    let people = figures::duration(runbook.by_people_ms);
    Section {
        id: "runbook",
        title: "Steps of the runbook",
        note: format!(
            "Runbook {}, SHA-256 of its file {}. What people answered {answers}. Of the time until the service was restored \
             people took {people}; it is in the recovery time.",
            runbook.name, runbook.sha256
        ),
        columns: &[
            "Step",
            "Phase",
            "Owner",
            "By",
            "Began",
            "Took",
            "Within",
            "Outcome",
            "Note",
            "Otherwise",
        ],
        rows: runbook.steps.iter().map(row).collect(),
    }
}

fn by_hand(runbook: &FollowedRunbook) -> Section {
    let rows = (1_u64..).zip(&runbook.to_take_back);
    Section {
        id: "by-hand",
        title: "To be taken back by people",
        note: "What people did by hand drdrill cannot take back. The runbook says:".to_owned(),
        columns: &["No.", "What to do"],
        rows: rows.map(|(number, text)| vec![Cell::count(number), Cell::text(text)]).collect(),
    }
}
