//! A runbook as Markdown, to print or to put into a wiki.

use std::fmt::Write as _;

use drdrill_core::runbook::{Phase, Runbook, RunbookStep};
use drdrill_core::units::Span;

use crate::escape::{markdown as inline, markdown_code as code};

const PHASES: [Phase; 6] =
    [Phase::Detect, Phase::Decide, Phase::FailOver, Phase::Verify, Phase::FailBack, Phase::Close];

/// The whole runbook in GitHub's Markdown.
#[must_use]
pub fn markdown(runbook: &Runbook) -> String {
    let mut out = format!("# {}\n", inline(&runbook.title));
    if !runbook.purpose.is_empty() {
        let _infallible = write!(out, "\n{}\n", inline(runbook.purpose.trim()));
    }
    list(&mut out, "When to follow it", "-", &runbook.triggers);
    people(&mut out, runbook);
    times(&mut out, runbook);
    list(&mut out, "Before", "- [ ]", &runbook.checklists.before);
    out.push_str("\n## Steps\n");
    for (number, step) in (1..).zip(&runbook.steps) {
        one(&mut out, number, step);
    }
    list(&mut out, "Meanwhile", "- [ ]", &runbook.checklists.during);
    list(&mut out, "Afterwards", "- [ ]", &runbook.checklists.after);
    list(&mut out, "To give up and go back", "1.", &runbook.rollback);
    out
}

fn list(out: &mut String, title: &str, mark: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    let _infallible = write!(out, "\n## {title}\n\n");
    for item in items {
        let _infallible = writeln!(out, "{mark} {}", inline(item));
    }
}

fn people(out: &mut String, runbook: &Runbook) {
    out.push_str(
        "\n## Contacts\n\n| Role | Who | How to reach them | Deputy |\n|---|---|---|---|\n",
    );
    for contact in &runbook.contacts {
        let deputy = contact.deputy.as_deref().unwrap_or_default();
        let (role, name, reach) =
            (code(&contact.role), inline(&contact.name), inline(&contact.reach));
        let _infallible = writeln!(out, "| {role} | {name} | {reach} | {} |", inline(deputy));
    }
    if runbook.escalation.is_empty() {
        return;
    }
    out.push_str("\n## Escalation\n\n| After | Call | Because |\n|---|---|---|\n");
    for escalation in &runbook.escalation {
        let (after, to) = (escalation.after, code(&escalation.to));
        let _infallible = writeln!(out, "| {after} | {to} | {} |", inline(&escalation.because));
    }
}

fn times(out: &mut String, runbook: &Runbook) {
    out.push_str("\n## How long it may take\n\n| Phase | Time |\n|---|---|\n");
    for phase in PHASES {
        let expected = runbook.expected(phase);
        if !expected.is_zero() {
            let _infallible = writeln!(out, "| {} | {} |", phase.word(), Span(expected));
        }
    }
    let recovery = Span(runbook.expected_recovery());
    let _infallible = writeln!(out, "| **until the service is restored** | **{recovery}** |");
}

fn one(out: &mut String, number: u32, step: &RunbookStep) {
    let _infallible = write!(
        out,
        "\n### {number}. {}\n\n{} · {} · within {}\n\n",
        inline(&step.name),
        step.phase.word(),
        code(&step.owner),
        step.within
    );
    for (number, action) in (1..).zip(&step.actions) {
        let _infallible = writeln!(out, "{number}. {}", inline(action));
    }
    let _infallible = write!(out, "\nExpect: {}\n", inline(&step.expect));
    if let Some(otherwise) = &step.otherwise {
        let _infallible = write!(out, "\nOtherwise: {}\n", inline(otherwise));
    }
    let by = match (step.action, &step.run) {
        (Some(action), _) => format!("the machinery ({})", code(action.word())),
        (None, Some(command)) => format!("the command {}", code(command)),
        (None, None) if step.verify.is_empty() => return,
        (None, None) => format!("functionality checks ({})", code(&step.verify.join(", "))),
    };
    let _infallible = write!(out, "\nIn a drill: done by {by}\n");
}

#[cfg(test)]
mod tests {
    use drdrill_core::scenario::parse_runbook;
    use pulldown_cmark::{Event, Options, Parser, Tag};

    /// A runbook with `text` in every field that people write.
    fn with(text: &str) -> String {
        let text = serde_json::to_string(text).unwrap();
        format!(
            "\
runbook: r
title: {text}
purpose: {text}
triggers: [{text}]
contacts: [{{ role: lead, name: {text}, reach: {text}, deputy: {text} }}]
escalation: [{{ after: 5min, to: lead, because: {text} }}]
checklists: {{ before: [{text}], during: [{text}], after: [{text}] }}
steps: [{{ name: a, phase: detect, owner: lead, within: 5min, do: [{text}], expect: {text}, otherwise: {text} }}]
rollback: [{text}]
"
        )
    }

    /// What a reader of Markdown makes of it, without the texts.
    fn shape(text: &str) -> Vec<String> {
        let runbook = parse_runbook("r.yaml", with(text)).unwrap();
        let markdown = super::markdown(&runbook);
        let options = Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS;
        let events = Parser::new_ext(&markdown, options);
        let told = events.filter_map(|event| match event {
            Event::Start(Tag::Heading { .. }) => Some("heading".to_owned()),
            Event::Text(_) | Event::SoftBreak => None,
            other => Some(format!("{other:?}")),
        });
        told.collect()
    }

    #[test]
    fn what_people_write_is_shown_and_makes_nothing_else() {
        let plain = shape("x");
        assert!(plain.len() > 50, "{plain:?}");
        for hostile in [
            "<img src=http://evil.example/>",
            "[a](http://evil.example/)",
            "a | b | c",
            "# a",
            "a\n\n# b",
            "- [x] a",
            "![a](b)",
            "*a* _b_ ~~c~~",
            "&lt;b&gt;",
        ] {
            assert_eq!(shape(hostile), plain, "{hostile}");
        }
    }
}
