//! `drdrill check`: judges an old run again, from its history alone.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;

use drdrill_core::event::Entry;
use drdrill_engine::state::StateDir;
use drdrill_histories::edn;

use crate::args::{CheckArgs, Format};
use crate::evidence;
use crate::exit::{Code, Failure, Outcome};
use crate::out;

/// Judges a run again, and says whether its record says the same.
pub(crate) fn check(state: &StateDir, check: &CheckArgs) -> Outcome {
    let args = &check.run;
    let dir = evidence::find_run(state, &args.run)?;
    let chain = evidence::read_history(&dir)?;
    if let Some(file) = &check.export_edn {
        export(&chain.entries, file)?;
    }
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

/// Writes the writes and read-backs of a history in EDN, and beside that file those of its workloads: Jepsen's checkers take
/// one kind of operation each.
fn export(history: &[Entry], path: &Path) -> Result<(), Failure> {
    let fail = |path: &Path, error: &dyn std::fmt::Display| {
        let message = format!("export the history to {}: {error}", path.display());
        Failure::new(Code::Usage, message)
    };
    let (operations, nemesis) = edn::drill(history).map_err(|error| fail(path, &error))?;
    let write = |path: &Path, operations: &[edn::Op]| {
        let create = || -> io::Result<()> {
            edn::write(BufWriter::new(File::create(path)?), operations, &nemesis)
        };
        create().map_err(|error| fail(path, &error))
    };
    write(path, &operations)?;
    let edn::Workloads { registers, bank } = edn::workloads(history);
    for (name, operations) in [("registers", registers), ("bank", bank)] {
        let beside = path.with_extension(format!("{name}.edn"));
        if operations.is_empty() {
            // What an earlier export left there is of another run.
            match fs::remove_file(&beside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(fail(&beside, &error));
                }
                _ => {}
            }
        } else {
            write(&beside, &operations)?;
        }
    }
    Ok(())
}
