//! `drdrill show`.

use drdrill_core::reporter::Reporter;
use drdrill_engine::state::StateDir;

use crate::args::OneRun;
use crate::evidence;
use crate::exit::{Code, Outcome};

/// Shows the result of a run again.
pub(crate) fn show(state: &StateDir, args: &OneRun) -> Outcome {
    let dir = evidence::find_run(state, &args.run)?;
    let record = evidence::read_record(&dir)?;
    let report = dir.join(drdrill_reports::Html.file_name());
    super::print_record(&record, Some(&report), args.format);
    Ok(Code::Passed)
}
