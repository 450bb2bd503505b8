//! `drdrill backup` and `drdrill restore`: of a plan, and of backups that a lab has taken.

mod amount;
mod lab;
pub(super) mod list;
mod plan;
mod restore;
pub(super) mod run;
mod verify;
mod written;

use std::path::Path;

use crate::args::{BackupArgs, RestoreArgs};
use crate::exit::{Code, Failure, Outcome};

/// Verifies backups: exit 10 unless the newest restore point of each is clean.
pub(crate) fn verify(args: &BackupArgs) -> Outcome {
    match &args.directories[..] {
        [plan] if is_plan(plan) => verify::verify(plan, args),
        all if all.iter().any(|one| is_plan(one)) => Err(Failure::new(
            Code::Usage,
            "one plan is verified at a time, and no directories with it",
        )),
        _ => lab::verify(args),
    }
}

/// Restores the newest clean restore point.
pub(crate) fn restore(args: &RestoreArgs) -> Outcome {
    if is_plan(&args.directory) {
        return restore::restore(args);
    }
    if args.source.is_some() || args.from.is_some() || args.at.is_some() {
        let message = "--source, --from and --at are for a backup plan, a file that ends in .yaml";
        return Err(Failure::new(Code::Usage, message));
    }
    lab::restore(args)
}

/// Whether somebody means a plan, and not the directory of a lab's backups.
fn is_plan(path: &Path) -> bool {
    let yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
    path.is_file() || (yaml && !path.is_dir())
}
