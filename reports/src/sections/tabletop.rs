//! What people said in a tabletop exercise.

use drdrill_core::record::{Record, Tabletop};
use drdrill_core::tabletop::Participant;

use super::{Cell, Section};
use crate::{figures, words};

/// All tables about an exercise; none of a drill.
pub(super) fn sections(record: &Record) -> Vec<Section> {
    let Some(tabletop) = &record.tabletop else { return Vec::new() };
    vec![
        participants(&tabletop.participants),
        steps(tabletop),
        remarks(tabletop),
        follow_ups(tabletop),
    ]
}

/// Who was to take part, and who did.
pub(super) fn participants(participants: &[Participant]) -> Section {
    let yes = |said: bool| Cell::text(if said { "yes" } else { "no" });
    let rows = participants.iter();
    let rows = rows.map(|one| {
        vec![Cell::text(&one.name), Cell::code(&one.role), yes(one.planned), yes(one.present)]
    });
    Section {
        id: "participants",
        title: "Participants",
        note: if participants.is_empty() { "Nobody." } else { "" }.to_owned(),
        columns: &["Name", "Role", "Planned", "Present"],
        rows: rows.collect(),
    }
}

fn steps(tabletop: &Tabletop) -> Section {
    let rows = tabletop.steps.iter().map(|step| {
        let takes = step.takes_ms.map_or_else(|| "-".to_owned(), figures::duration);
        vec![
            Cell::code(&step.name),
            Cell::text(step.phase.word()),
            Cell::code(&step.owner),
            Cell::duration(step.within_ms),
            Cell::Figure(takes),
            Cell::text(words::step_result(step.result)),
            Cell::text(&step.decision),
        ]
    });
    let answers = if tabletop.scripted { "came from a file" } else { "were given at a terminal" };
    Section {
        id: "tabletop-steps",
        title: "Steps of the runbook",
        note: format!(
            "Runbook {}, SHA-256 of its file {}. How long a step takes is the judgement of those present; nothing was \
             measured. The answers {answers}.",
            tabletop.runbook, tabletop.runbook_sha256
        ),
        columns: &["Step", "Phase", "Owner", "Within", "Takes", "Result", "Decision"],
        rows: rows.collect(),
    }
}

fn remarks(tabletop: &Tabletop) -> Section {
    let row = |what: &'static str, at: &str, text: &String| {
        vec![Cell::text(what), Cell::code(at), Cell::text(text)]
    };
    let mut rows = Vec::new();
    for step in &tabletop.steps {
        rows.extend(step.issues.iter().map(|text| row("issue", &step.name, text)));
        rows.extend(step.lessons.iter().map(|text| row("lesson", &step.name, text)));
    }
    let whole = &tabletop.conclusion;
    rows.extend(whole.issues.iter().map(|text| row("issue", "", text)));
    rows.extend(whole.lessons.iter().map(|text| row("lesson", "", text)));
    Section {
        id: "remarks",
        title: "Issues and lessons",
        note: if rows.is_empty() { "None." } else { "" }.to_owned(),
        columns: &["What", "Step", "Text"],
        rows,
    }
}

fn follow_ups(tabletop: &Tabletop) -> Section {
    let actions = &tabletop.conclusion.actions;
    let rows = actions.iter().map(|action| {
        vec![Cell::text(&action.what), Cell::text(&action.owner), Cell::text(&action.due)]
    });
    Section {
        id: "actions",
        title: "Actions",
        note: if actions.is_empty() { "None." } else { "" }.to_owned(),
        columns: &["What", "Owner", "Due"],
        rows: rows.collect(),
    }
}
