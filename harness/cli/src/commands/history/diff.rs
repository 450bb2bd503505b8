//! `drdrill history diff`: what changed between two runs.

use drdrill_engine::state::StateDir;
use drdrill_reports::history::diff::{Direction, diff as compare};
use tabled::Tabled;

use crate::args::{DiffArgs, Format};
use crate::commands::list::table;
use crate::exit::{Code, Outcome};
use crate::{evidence, out};

#[derive(Tabled)]
struct Line {
    of: String,
    what: String,
    before: String,
    after: String,
    #[tabled(rename = "")]
    direction: &'static str,
}

/// Says what changed from one run to another.
pub(super) fn diff(state: &StateDir, args: &DiffArgs) -> Outcome {
    let record = |name| evidence::read_record(&evidence::find_run(state, name)?);
    let (before, after) = (record(&args.before)?, record(&args.after)?);
    let diff = compare(&before, &after);
    if args.format.format == Format::Json {
        out::json(&diff);
        return Ok(Code::Passed);
    }
    out::line(&out::harmless(&format!("{} → {}", diff.before, diff.after)));
    if diff.changes.is_empty() {
        out::line("nothing changed");
        return Ok(Code::Passed);
    }
    if !diff.comparable {
        out::line("not the same drill: their figures do not compare");
    }
    let lines = diff.changes.into_iter().map(|change| Line {
        of: change.of,
        what: change.what,
        before: change.before.unwrap_or_else(|| "-".to_owned()),
        after: change.after.unwrap_or_else(|| "-".to_owned()),
        direction: match change.direction {
            Direction::Better => "better",
            Direction::Worse => "worse",
            Direction::Other => "",
        },
    });
    out::line(&table(&lines.collect::<Vec<_>>()));
    Ok(Code::Passed)
}
