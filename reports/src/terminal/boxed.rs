//! The page for a terminal.

use drdrill_core::event::{StepOutcome, When};
use drdrill_core::record::{FollowedStep, Record, Service, Tabletop};
use drdrill_core::runbook::{Phase, StepBy};
use drdrill_core::verdict::Verdict;
use tabled::builder::Builder;
use tabled::settings::{Alignment, Padding, Style, Width};

use super::Look;
use super::facts::{clients, kept, kept_line};
use super::layout::{Paint, bar, pad, wrap};
use crate::escape::terminal as clean;
use crate::figures::{self, duration};
use crate::tries::last_tries;
use crate::{phases, story, words, workloads};

const NARROWEST: usize = 60;
/// Beyond this a line is hard to read.
const WIDEST: usize = 120;
/// Column at which the values of the lines below the table begin.
const INDENT: usize = 15;

struct Page {
    text: String,
    width: usize,
    paint: Paint,
}

pub(super) fn summary(record: &Record, look: Look, report: Option<&str>) -> String {
    let mut page = Page {
        text: String::new(),
        width: look.width.clamp(NARROWEST, WIDEST),
        paint: Paint(look.colour),
    };
    page.head(record);
    if let Some(tabletop) = &record.tabletop {
        page.exercise(tabletop);
    } else {
        page.objectives(record);
        page.phases(record);
        page.followed(record);
        page.functionality(record);
        page.services(record);
    }
    page.bystanders(record);
    page.findings(record);
    page.leftovers(record);
    page.recommendations(record);
    if let Some(report) = report {
        page.gap();
        // A path is not wrapped, so that it can be clicked and copied.
        let label = page.paint.bold(&pad("Report", INDENT - 2));
        page.line(&format!(" {label} {}", clean(report)));
    }
    page.text
}

impl Page {
    fn line(&mut self, line: &str) {
        // Should the page end up in the log of a CI system, no line of it is a command.
        if line.trim_start().starts_with("::") {
            self.text.push('\\');
        }
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A label, and a value wrapped beside it.
    fn labelled(&mut self, label: &str, value: &str) {
        let label = clean(label).into_owned();
        let lines = wrap(&clean(value), self.width - INDENT);
        for (number, line) in lines.iter().enumerate() {
            let front = if number == 0 { label.as_str() } else { "" };
            let front = self.paint.bold(&pad(front, INDENT - 2));
            self.line(&format!(" {front} {line}"));
        }
    }

    fn head(&mut self, record: &Record) {
        let badge = self.paint.badge(badge_verdict(record), story::headline(record));
        let environment = &record.environment;
        let emulated = if environment.emulated { " (emulated)" } else { "" };
        let what =
            format!("{} on {}{emulated}", clean(&record.scenario.name), clean(&environment.name));
        let what = self.paint.bold(&what);
        self.gap();
        self.line(&format!(" {badge}  {what}"));
        self.gap();
        let title = record.scenario.title.trim_end_matches('.');
        let summary = format!("{title}. {}", story::summary(record));
        for line in wrap(&clean(&summary), self.width - 2) {
            self.line(&format!(" {line}"));
        }
        for reason in &record.reasons {
            for (number, line) in wrap(&clean(reason), self.width - 4).iter().enumerate() {
                let mark = if number == 0 { "•" } else { " " };
                self.line(&format!(" {mark} {line}"));
            }
        }
        self.gap();
    }

    /// The steps of a tabletop exercise.
    fn exercise(&mut self, tabletop: &Tabletop) {
        let mut builder = Builder::default();
        builder.push_record(["step", "owner", "within", "takes", "result"]);
        for step in &tabletop.steps {
            builder.push_record([
                clean(&step.name).into_owned(),
                clean(&step.owner).into_owned(),
                duration(step.within_ms),
                step.takes_ms.map(duration).unwrap_or_default(),
                words::step_result(step.result).to_owned(),
            ]);
        }
        self.table(builder);
    }

    /// The steps of a runbook that was followed.
    fn followed(&mut self, record: &Record) {
        let Some(runbook) = &record.runbook else { return };
        self.gap();
        let mut builder = Builder::default();
        builder.push_record(["step", "by", "took", "within", "outcome and note"]);
        let (begun, others): (Vec<_>, Vec<_>) = runbook
            .steps
            .iter()
            .filter(|step| step.phase != Phase::Close)
            .partition(|step| step.started_ms.is_some());
        let by = |step: &FollowedStep| -> String {
            let by = match &step.who {
                Some(who) if step.by == StepBy::Person => who,
                _ => step.by.word(),
            };
            clean(by).chars().take(24).collect()
        };
        // What the other columns leave.
        let longest = |of: &dyn Fn(&FollowedStep) -> usize| begun.iter().map(|one| of(one)).max();
        let names = longest(&|step| step.name.len()).unwrap_or(0);
        let others_take = names + longest(&|step| by(step).chars().count()).unwrap_or(0) + 36;
        let room = self.width.saturating_sub(others_take).max(14);
        for step in &begun {
            let by_person = step.by == StepBy::Person;
            let mut outcome = words::followed(step).to_owned();
            if !step.note.is_empty() && (by_person || step.outcome == Some(StepOutcome::Failed)) {
                // A note may be long; the whole of it stands in the report.
                outcome = format!("{outcome}: {}", clean(&step.note));
            }
            builder.push_record([
                clean(&step.name).into_owned(),
                by(step),
                words::took(step),
                duration(step.within_ms),
                wrap(&outcome, room).into_iter().take(4).collect::<Vec<_>>().join("\n"),
            ]);
        }
        self.table(builder);
        if !others.is_empty() {
            let names: Vec<&str> = others.iter().map(|step| step.name.as_str()).collect();
            self.gap();
            self.labelled("Not reached", &names.join(", "));
        }
        let answers = if runbook.scripted { ", by answers from a file" } else { "" };
        let took = duration(runbook.by_people_ms);
        self.labelled(
            "People",
            &format!("{took} of the time until the service was restored{answers}"),
        );
        for text in &runbook.to_take_back {
            self.labelled("By hand", text);
        }
    }

    fn objectives(&mut self, record: &Record) {
        if record.services.is_empty() {
            return;
        }
        let mut builder = Builder::default();
        builder.push_record(["service", "", "target", "achieved", "verdict"]);
        for service in &record.services {
            for row in self.objective_rows(service) {
                builder.push_record(row);
            }
        }
        self.table(builder);
    }

    fn objective_rows(&self, service: &Service) -> Vec<[String; 5]> {
        let verdict = |verdict: Verdict| self.paint.verdict(verdict, story::mark(verdict));
        let mut rows = vec![[
            clean(&service.name).into_owned(),
            "RTO".to_owned(),
            figures::at_most(service.rto.target_ms),
            figures::rto(&service.rto),
            verdict(service.rto.verdict),
        ]];
        if let Some(rpo) = &service.rpo {
            let loss = if rpo.writes.lost > 0 {
                format!("{}\n{}", figures::rpo(rpo), figures::lost_writes(rpo))
            } else {
                figures::rpo(rpo)
            };
            rows.push([
                String::new(),
                "RPO".to_owned(),
                figures::at_most(rpo.target_ms),
                loss,
                verdict(rpo.verdict),
            ]);
        }
        rows.push([
            String::new(),
            "RLO".to_owned(),
            figures::at_least(service.rlo.target),
            figures::rlo(&service.rlo),
            verdict(service.rlo.verdict),
        ]);
        rows[1][0] = self.paint.dim(&format!("tier {}", service.tier));
        rows
    }

    fn phases(&mut self, record: &Record) {
        let spans = phases::told(record);
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else {
            return;
        };
        let (start, whole) = (first.from_ms, (last.to_ms - first.from_ms).max(1e-6));
        self.gap();
        for (number, span) in spans.iter().enumerate() {
            let label = if number == 0 { "Phases" } else { "" };
            let label = self.paint.bold(&pad(label, INDENT - 2));
            let columns = (self.width - INDENT - 24).min(60);
            let drawn = bar((span.from_ms - start) / whole, (span.to_ms - start) / whole, columns);
            let name = pad(span.phase.word(), 10);
            let took = format!("{:>11}", span.took());
            self.line(&format!(" {label} {name}{took}  {drawn}"));
        }
    }

    /// Checks down, moments across.
    fn functionality(&mut self, record: &Record) {
        let moments: Vec<When> = [When::BeforeFault, When::AfterRecovery, When::AfterFailback]
            .into_iter()
            .filter(|when| record.functionality.iter().any(|check| check.when == *when))
            .collect();
        let mut names: Vec<&str> = Vec::new();
        for check in &record.functionality {
            if !names.contains(&check.name.as_str()) {
                names.push(&check.name);
            }
        }
        if names.is_empty() {
            return;
        }
        let mut builder = Builder::default();
        let mut head = vec!["function".to_owned()];
        head.extend(moments.iter().map(|when| match when {
            When::BeforeFault => "before fault".to_owned(),
            when => words::when(*when).to_owned(),
        }));
        builder.push_record(head);
        for name in names {
            let mut row = vec![clean(name).into_owned()];
            row.extend(moments.iter().map(|when| self.outcome(record, name, *when)));
            builder.push_record(row);
        }
        self.gap();
        self.table(builder);
        let bad = last_tries(record).into_iter().map(|(check, _)| check);
        for check in bad.filter(|check| check.outcome != Verdict::Pass) {
            self.labelled(
                "",
                &format!("{} {}: {}", check.name, words::when(check.when), check.detail),
            );
        }
    }

    fn outcome(&self, record: &Record, name: &str, when: When) -> String {
        let mut checks = last_tries(record).into_iter().map(|(check, _)| check);
        let check = checks.find(|check| check.name == name && check.when == when);
        check.map_or_else(
            || "–".to_owned(),
            |check| {
                let mark = story::mark(check.outcome);
                format!("{} {}", self.paint.verdict(check.outcome, mark), duration(check.took_ms))
            },
        )
    }

    fn table(&mut self, builder: Builder) {
        let mut table = builder.build();
        table
            .with(Style::rounded())
            .with(Padding::new(1, 1, 0, 0))
            .with(Alignment::left())
            .with(Width::wrap(self.width - 1).keep_words(true));
        for line in table.to_string().lines() {
            self.line(&format!(" {line}"));
        }
    }

    fn services(&mut self, record: &Record) {
        for service in &record.services {
            self.gap();
            let several = record.services.len() > 1;
            if several {
                let name = self.paint.bold(&clean(&service.name));
                self.line(&format!(" {name}"));
            }
            self.labelled("Clients saw", &clients(service));
            for stream in kept(service) {
                self.labelled("Kept conn.", &kept_line(stream));
            }
            if let Some(rpo) = &service.rpo {
                self.labelled("Writes", &crate::words::writes(rpo));
            }
            if let Some(back) = words::way_back(record, service) {
                self.labelled("Way back", &back);
            }
            for found in workloads::of(service) {
                self.labelled(
                    found.name,
                    &format!("{} {}", story::mark(found.verdict), found.text),
                );
                for example in found.examples {
                    self.labelled("", &format!("• {example}"));
                }
            }
            self.labelled("Samples", &words::samples(service.samples));
        }
        if let Some(lag) = record.replication_lag_ms {
            #[expect(clippy::cast_precision_loss, reason = "a lag of 285,000 years")]
            let lag = duration(lag as f64);
            self.labelled("Replication", &format!("{lag} behind just before the fault"));
        }
    }

    fn bystanders(&mut self, record: &Record) {
        for stream in &record.bystanders {
            let text = format!("{}: {}", stream.name, words::samples(stream.samples));
            self.labelled("Bystander", &text);
        }
    }

    fn findings(&mut self, record: &Record) {
        for split in &record.split_brain {
            let (from, to) = (figures::instant(split.from_ms), figures::instant(split.to_ms));
            self.labelled("Split brain", &format!("{from} to {to}: {}", split.detail));
        }
        let notable = |finding: &&drdrill_core::checker::Finding| finding.verdict != Verdict::Pass;
        for finding in record.findings.iter().filter(notable) {
            let mark = story::mark(finding.verdict);
            self.labelled("Finding", &format!("{mark} {}: {}", finding.checker, finding.message));
        }
    }

    fn leftovers(&mut self, record: &Record) {
        for left in &record.leftovers {
            self.gap();
            let label = self.paint.badge(Verdict::Fail, "LEFT IN PLACE");
            self.line(&format!(" {label} {} on {}", clean(&left.kind), clean(&left.target)));
            self.labelled("why", &left.error);
            for line in &left.residue {
                self.labelled("left", line);
            }
            for line in left.by_hand.lines() {
                // Not wrapped: it is to be copied.
                let label = self.paint.bold(&pad("by hand", INDENT - 2));
                self.line(&format!(" {label} {}", clean(line)));
            }
        }
    }

    fn recommendations(&mut self, record: &Record) {
        if record.recommendations.is_empty() {
            return;
        }
        self.gap();
        let title = self.paint.bold("Recommendations");
        self.line(&format!(" {title}"));
        for (number, advice) in record.recommendations.iter().enumerate() {
            for (at, line) in wrap(&clean(&advice.text), self.width - 5).iter().enumerate() {
                let front = if at == 0 { format!("{:>2}.", number + 1) } else { "   ".to_owned() };
                self.line(&format!(" {front} {line}"));
            }
            for figure in &advice.evidence {
                for line in wrap(&clean(figure), self.width - 7) {
                    let line = self.paint.dim(&line);
                    self.line(&format!("       {line}"));
                }
            }
        }
    }
}

/// What was left in place outranks every verdict.
fn badge_verdict(record: &Record) -> Verdict {
    if record.leftovers.is_empty() { record.verdict } else { Verdict::Fail }
}
