//! `drdrill selftest`: plants known defects in drdrill itself, and says which it noticed.

use std::path::Path;

use crate::args::{Format, FormatArgs};
use crate::exit::{Code, Failure, Outcome};
use crate::selftest::{Defect, backup, drill, evidence, history, undo};
use crate::{evidence as runs, out};

/// Plants the defects in a directory of its own, which is removed afterwards.
pub(crate) fn selftest(args: FormatArgs) -> Outcome {
    let not_ready = Failure::with::<String>(Code::NotReady);
    let dir = tempfile::Builder::new()
        .prefix("drdrill-selftest-")
        .tempdir()
        .map_err(|error| not_ready(format!("make a directory: {error}")))?;
    let defects = plant(dir.path())?;
    if args.format == Format::Json {
        out::json(&defects);
    } else {
        out::line(&super::list::table(&defects));
        let caught = defects.iter().filter(|defect| defect.caught).count();
        out::line(&format!("{caught} of {} planted defects caught", defects.len()));
    }
    Ok(verdict(&defects))
}

/// A defect that slips through is a bug.
fn verdict(defects: &[Defect]) -> Code {
    let all = !defects.is_empty() && defects.iter().all(|defect| defect.caught);
    if all { Code::Passed } else { Code::Bug }
}

fn plant(dir: &Path) -> Result<Vec<Defect>, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(Code::NotReady, format!("plant a defect in {}: {error}", dir.display()))
    };
    let mut defects =
        super::runtime()?.block_on(undo::defects(dir)).map_err(|error| failed(&error))?;
    defects.push(drill::fault_that_does_nothing(dir).map_err(|error| failed(&error))?);
    let (output, run) = drill::run(dir, "good", false, "site_loss: { on: primary }")
        .map_err(|error| failed(&error))?;
    let Some(run) = run.filter(|_| output.status.success()) else {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(failed(&format!("the drill that has to pass did not: {said}")));
    };
    let chain = runs::read_history(&run)?;
    let good = runs::read_record(&run)?;
    defects.extend(history::defects(&chain.entries, &good));
    defects.extend(evidence::defects(&run).map_err(|error| failed(&error))?);
    let backups = drill::backups(dir, "good");
    defects.extend(backup::defects(&backups, dir).map_err(|error| failed(&error))?);
    Ok(defects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_slips_through_is_a_bug_and_so_is_none_planted() {
        let defect = |caught| Defect::new("planted", caught, "seen");
        assert_eq!(verdict(&[defect(true), defect(true)]), Code::Passed);
        assert_eq!(verdict(&[defect(true), defect(false)]), Code::Bug);
        assert_eq!(verdict(&[]), Code::Bug);
    }
}
