//! `drdrill check`: judges an old run again, from its history alone.

use drdrill_engine::state::StateDir;

use crate::args::{Format, OneRun};
use crate::evidence;
use crate::exit::{Code, Failure, Outcome};
use crate::out;

/// Judges a run again, and says whether its record says the same.
pub(crate) fn check(state: &StateDir, args: &OneRun) -> Outcome {
    let dir = evidence::find_run(state, &args.run)?;
    let chain = evidence::read_history(&dir)?;
    let record = evidence::judge(&chain.entries).map_err(|error| {
        Failure::new(Code::Unknown, format!("judge {}: {error}", dir.display()))
    })?;
    super::print_record(&record, None, args.format);
    let say = |text: &str| {
        if args.format.format == Format::Text {
            out::line(text);
        }
    };
    match evidence::read_record(&dir) {
        Ok(old) if old == record => say("The record of the run says the same."),
        Ok(_) => {
            out::error("drdrill: the record of the run says something else than its history");
            return Ok(Code::Failed);
        }
        Err(_) => say("The run has no record: it was cut off before it could be judged."),
    }
    Ok(Code::of_number(record.exit_code))
}
