//! What a manager reads.

use std::fmt::Write as _;

use drdrill_core::verdict::Verdict;

use crate::doc::{Block, Table, heading};
use crate::figures::{self, counted};
use crate::quarter::Quarter;
use crate::quarter::costs::Amount;
use crate::quarter::kpis::{Kpis, Outcomes, Spread};
use crate::sections::Cell;

/// The quarter in a few sentences.
pub(super) fn lead(quarter: &Quarter) -> String {
    let facts = &quarter.facts;
    let mut say = Vec::new();
    let period = &quarter.period;
    let until = if period.complete { "" } else { ", which is not over yet" };
    if facts.asked == 0 {
        say.push(format!("In {}{until} the program asked for nothing.", period.quarter));
    } else {
        say.push(format!(
            "Of {} that the program asks for, {} proved to work and drilled in time at the end of {}{until}{}{}.",
            counted(facts.asked, "recovery", "recoveries"),
            if facts.proved_in_time == 1 { "1 is".to_owned() } else { format!("{} are", facts.proved_in_time) },
            period.quarter,
            match facts.proved_in_time_emulated {
                0 => String::new(),
                emulated => format!(", {emulated} of them on emulated environments alone"),
            },
            match facts.verified_in_time - facts.proved_in_time {
                0 => String::new(),
                1 => "; 1 more was walked through on paper, where nothing is tried".to_owned(),
                paper => format!("; {paper} more were walked through on paper, where nothing is tried"),
            },
        ));
    }
    if facts.drills + facts.cut_off + facts.damaged == 0 {
        say.push("No drill was run in this quarter: nothing new is known.".to_owned());
    } else {
        let mut drills = format!(
            "{} run: {} passed, {} failed, {} could not tell",
            if facts.drills == 1 {
                "1 drill was".to_owned()
            } else {
                format!("{} drills were", facts.drills)
            },
            facts.drills_passed,
            facts.drills_failed,
            facts.drills_unknown
        );
        if facts.cut_off > 0 {
            let _infallible = write!(drills, "; {} did not come to an end", facts.cut_off);
        }
        if facts.damaged > 0 {
            let left = facts.damaged;
            let _infallible = write!(drills, "; {left} left no record that can be believed");
        }
        say.push(drills + ".");
    }
    if facts.experiments > 0 {
        let runs = counted(facts.experiments, "run was an experiment", "runs were experiments");
        say.push(format!("{runs} with settings changed, and counts for nothing."));
    }
    if facts.exercises > 0 {
        say.push(format!(
            "{} walked through on paper.",
            counted(facts.exercises, "exercise was", "exercises were")
        ));
    }
    say.push(match facts.findings_open {
        0 if facts.findings_outside == 0 => "No finding is open.".to_owned(),
        0 => "No finding is open of what the program asks for.".to_owned(),
        open => format!(
            "{} open, {} of them critical, {} overdue and {} without an owner.",
            counted(open, "finding is", "findings are"),
            facts.findings_critical,
            facts.findings_overdue,
            facts.findings_unowned
        ),
    });
    if facts.findings_outside > 0 {
        say.push(format!(
            "{} open of what is not in the program.",
            counted(facts.findings_outside, "finding is", "findings are")
        ));
    }
    say.join(" ")
}

/// Why it stands so, the figures, and what it would have cost.
pub(super) fn blocks(quarter: &Quarter) -> Vec<Block> {
    let mut blocks = vec![heading("summary", "Executive summary")];
    if !quarter.standing.because.is_empty() {
        blocks.push(Block::List(quarter.standing.because.clone()));
    }
    if quarter.facts.leftovers > 0 {
        let left = figures::counted(quarter.facts.leftovers, "fault", "faults");
        blocks.push(Block::Notice(
            Verdict::Fail,
            format!("{left} could not be taken back by drdrill."),
        ));
    }
    blocks.extend(kpis("In the real environments", &quarter.kpis));
    if let Some(emulated) = &quarter.emulated_kpis {
        blocks.extend(kpis(
            "In emulated environments, whose times say nothing about the real thing",
            emulated,
        ));
    }
    if let Some(text) = costs(quarter) {
        blocks.push(Block::Text(text));
    }
    if let Some(next) = quarter.next.first() {
        let overdue = if next.overdue { ", and overdue" } else { "" };
        blocks.push(Block::Text(format!(
            "Next to be drilled: {} on {}, due on {}{overdue} ({}).",
            next.scenario, next.environment, next.on, next.because
        )));
    }
    if !quarter.recommendations.is_empty() {
        blocks.push(heading("recommendations", "Recommendations"));
        for advice in &quarter.recommendations {
            blocks.push(Block::Text(advice.text.clone()));
            blocks.push(Block::List(shortened(&advice.evidence)));
        }
    }
    blocks
}

/// So many lines stand below a recommendation; all are in the data, and in the tables below.
const MOST_EVIDENCE: usize = 5;

fn shortened(evidence: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = evidence.iter().take(MOST_EVIDENCE).cloned().collect();
    if evidence.len() > MOST_EVIDENCE {
        lines.push(format!("and {} more, in the tables below", evidence.len() - MOST_EVIDENCE));
    }
    lines
}

fn kpis(title: &str, kpis: &Kpis) -> Vec<Block> {
    if kpis.drills.n + kpis.exercises.n == 0 {
        return Vec::new();
    }
    let row = |name: &str, outcomes: &Outcomes| {
        vec![
            Cell::Text(name.to_owned()),
            Cell::Figure(outcomes.n.to_string()),
            Cell::Figure(outcomes.passed.to_string()),
            Cell::Figure(outcomes.failed.to_string()),
            Cell::Figure((outcomes.unknown + outcomes.cut_off).to_string()),
            Cell::Figure(outcomes.rate.map_or_else(|| "–".to_owned(), figures::percent)),
        ]
    };
    let all = [
        ("Drills", &kpis.drills),
        ("Exercises", &kpis.exercises),
        ("Recovery time objectives", &kpis.rto),
        ("Recovery point objectives", &kpis.rpo),
        ("Recovery level objectives", &kpis.rlo),
    ];
    let rows = all.iter().filter(|(_, outcomes)| outcomes.n > 0);
    let rows = rows.map(|(name, outcomes)| row(name, outcomes)).collect();
    let columns = ["What", "All", "Met", "Missed", "Cannot tell", "Rate"];
    let mut blocks = vec![
        Block::Heading(3, String::new(), title.to_owned()),
        Block::Table(Table::new(title, &columns, rows)),
    ];
    blocks.push(Block::Text(format!("Recovery times: {}. {}", spread(&kpis.recovery), lost(kpis))));
    blocks
}

fn spread(spread: &Spread) -> String {
    let Some(shortest) = spread.min_ms else {
        return match spread.never {
            0 => "none was measured".to_owned(),
            never => format!(
                "none of {} came to an end while it was watched",
                counted(never, "recovery", "recoveries")
            ),
        };
    };
    let longest = spread.max_ms.map_or_else(
        || format!("{} never came to an end", spread.never),
        |ms| format!("the longest {}", figures::duration(ms)),
    );
    let middle = spread
        .median_ms
        .map(|ms| format!("half of them at most {}, ", figures::duration(ms)))
        .unwrap_or_default();
    format!(
        "{} measured, the shortest {}, {middle}{longest}",
        spread.n,
        figures::duration(shortest)
    )
}

fn lost(kpis: &Kpis) -> String {
    match (kpis.lost_writes, kpis.acknowledged_writes) {
        (Some(lost), Some(all)) => format!(
            "{} of {} acknowledged writes were lost ({}).",
            figures::count(lost),
            figures::count(all),
            figures::share(lost, all)
        ),
        _ => "How many writes were lost is not known.".to_owned(),
    }
}

/// What the outages would have cost, the dearest first.
fn costs(quarter: &Quarter) -> Option<String> {
    let dear = |amount: &Option<Amount>| amount.as_ref().map_or(0.0, |amount| amount.total);
    let dearest = quarter.costs.iter().filter(|cost| cost.at_least.is_some());
    let dearest = dearest.max_by(|a, b| dear(&a.at_least).total_cmp(&dear(&b.at_least)))?;
    let would = if dearest.hypothetical { "would have cost" } else { "cost" };
    let emulated =
        if dearest.emulated { "; it was emulated, so the figure says little" } else { "" };
    Some(format!(
        "The dearest outage: {} of {} on {} {would} {}{emulated}.",
        dearest.scenario,
        dearest.function,
        dearest.environment,
        range(dearest.at_least.as_ref(), dearest.at_most.as_ref())
    ))
}

/// An amount between two bounds.
pub(super) fn range(at_least: Option<&Amount>, at_most: Option<&Amount>) -> String {
    match (at_least, at_most) {
        (Some(low), Some(high)) if (low.total - high.total).abs() < 0.005 => money(low),
        (Some(low), Some(high)) => format!("{} to {}", money(low), money(high)),
        (Some(low), None) => format!("at least {}", money(low)),
        (None, _) => "not known".to_owned(),
    }
}

fn money(amount: &Amount) -> String {
    let text = format!("{:.2}", amount.total.abs());
    let (whole, rest) = text.split_once('.').unwrap_or((&text, "00"));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), figures::count);
    format!("{} {whole}.{rest}", amount.currency.code())
}
