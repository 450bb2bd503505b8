//! `JUnit` XML, for CI systems: one test case a result.
//!
//! Written by hand and not with `quick-junit`: that puts a `skipped` on the root, which the schema of Jenkins does not
//! know, and brings eight crates for the five elements that are needed here.

use std::fmt::Write as _;
use std::io;

use drdrill_core::record::Record;
use drdrill_core::reporter::{Reporter, Run};

use crate::escape::xml;
use crate::results::{Came, Group, Outcome, results};

/// Writes the results as `JUnit` XML, in the schema of Jenkins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Junit;

/// Characters of a message; the whole text follows as the content of the element.
const MESSAGE: usize = 300;

impl Reporter for Junit {
    fn file_name(&self) -> &'static str {
        "junit.xml"
    }

    fn render(&self, run: Run<'_>, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(document(run.record).as_bytes())
    }
}

fn document(record: &Record) -> String {
    let all = results(record);
    let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let counts = Counts::of(&all);
    let _infallible = writeln!(
        out,
        r#"<testsuites name="drdrill" tests="{}" failures="{}" errors="{}" time="{}">"#,
        counts.tests,
        counts.failures,
        counts.errors,
        seconds(record.duration_ms)
    );
    for group in Group::ALL {
        let of: Vec<&Outcome> = all.iter().filter(|one| one.group == group).collect();
        if !of.is_empty() {
            suite(&mut out, record, group, &of);
        }
    }
    out.push_str("</testsuites>\n");
    out
}

/// Counts of a suite, or of all.
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

impl Counts {
    fn of<'a>(all: impl IntoIterator<Item = &'a Outcome>) -> Self {
        let mut counts = Self { tests: 0, failures: 0, errors: 0, skipped: 0 };
        for one in all {
            counts.tests += 1;
            match one.came {
                Came::Pass => {}
                Came::Fail => counts.failures += 1,
                Came::Unknown => counts.errors += 1,
                Came::Skipped => counts.skipped += 1,
            }
        }
        counts
    }
}

fn suite(out: &mut String, record: &Record, group: Group, all: &[&Outcome]) {
    let counts = Counts::of(all.iter().copied());
    let (scenario, environment) = (&record.scenario.name, &record.environment.name);
    let name = format!("{scenario} on {environment}: {}", group.word());
    let time = if group == Group::Drill { record.duration_ms } else { 0.0 };
    let _infallible = writeln!(
        out,
        r#"  <testsuite name="{}" tests="{}" failures="{}" errors="{}" skipped="{}" time="{}" timestamp="{}">"#,
        xml(&name),
        counts.tests,
        counts.failures,
        counts.errors,
        counts.skipped,
        seconds(time),
        xml(&record.started_at)
    );
    if group == Group::Drill {
        properties(out, record);
    }
    for one in all {
        case(out, scenario, one);
    }
    out.push_str("  </testsuite>\n");
}

fn properties(out: &mut String, record: &Record) {
    let facts = [
        ("run", record.run_id.clone()),
        ("scenario.sha256", record.scenario.sha256.clone()),
        ("environment.provider", record.environment.provider.clone()),
        ("environment.emulated", record.environment.emulated.to_string()),
        ("kind", crate::story::kind(record.kind).to_owned()),
        ("tool", format!("drdrill {}", record.tool.version)),
        ("seed", record.seed.to_string()),
        ("verdict", record.verdict.word().to_owned()),
        ("exit_code", record.exit_code.to_string()),
    ];
    out.push_str("    <properties>\n");
    for (name, value) in facts {
        let _infallible =
            writeln!(out, r#"      <property name="{name}" value="{}"/>"#, xml(&value));
    }
    out.push_str("    </properties>\n");
}

fn case(out: &mut String, scenario: &str, one: &Outcome) {
    let name =
        if one.of.is_empty() { one.name.clone() } else { format!("{}: {}", one.of, one.name) };
    let class = format!("{scenario}.{}", one.group.word());
    let time = one.took_ms.map(|ms| format!(r#" time="{}""#, seconds(ms))).unwrap_or_default();
    let _infallible =
        write!(out, r#"    <testcase name="{}" classname="{}"{time}>"#, xml(&name), xml(&class));
    let first = one.text.lines().next().unwrap_or_default();
    let message: String = first.chars().take(MESSAGE).collect();
    let (element, kind) = match one.came {
        // The figures are worth reading also where all is well.
        Came::Pass => ("system-out", None),
        Came::Fail => ("failure", Some("failed")),
        Came::Unknown => ("error", Some("unknown")),
        Came::Skipped => ("skipped", Some("not measured")),
    };
    let attributes = kind
        .map(|kind| format!(r#" type="{kind}" message="{}""#, xml(&message)))
        .unwrap_or_default();
    let _infallible = write!(out, "<{element}{attributes}>");
    for (number, line) in one.text.lines().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        out.push_str(&xml(line));
    }
    let _infallible = writeln!(out, "</{element}></testcase>");
}

/// Seconds with three decimals, as the schema wants them.
fn seconds(ms: f64) -> String {
    format!("{:.3}", ms.max(0.0) / 1e3)
}

#[cfg(test)]
mod tests;
