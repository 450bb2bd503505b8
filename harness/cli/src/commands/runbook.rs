//! Runbooks: finding the one that is meant.

use drdrill_core::runbook::Runbook;
use drdrill_core::scenario::Known;

use crate::catalog::{self, RUNBOOKS, Source};
use crate::exit::{Code, Failure};

/// The runbook of that name or path, or that of the scenario of that name.
pub(super) fn find(name: &str) -> Result<(Source, Runbook), Failure> {
    let missing = match catalog::runbook(name) {
        Ok(source) => {
            let runbook = source.runbook()?;
            return Ok((source, runbook));
        }
        Err(missing) if missing.code == Code::Usage => missing,
        Err(failure) => return Err(failure),
    };
    let Ok(file) = catalog::scenario(name) else { return Err(missing) };
    let scenario = file.scenario(&Known::default())?;
    let source = catalog::runbook_of(&scenario, &file)?.ok_or_else(|| {
        let known: Vec<&str> = RUNBOOKS.iter().map(|one| one.name).collect();
        let message = format!("scenario {name} names no runbook; there are: {}", known.join(", "));
        Failure::new(Code::Usage, message)
    })?;
    let runbook = source.runbook()?;
    Ok((source, runbook))
}
