//! Undos that lie: the change is two files, and the undo says that it removed them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Reverter, Undo};
use drdrill_core::environment::ProcessIdentity;
use drdrill_engine::ledger::{Ledger, LedgerError, Line};
use drdrill_engine::revert::{Reverters, revert_open};
use serde_json::{Value, json};

use super::Defect;

/// Kind of the undo.
const KIND: &str = "selftest";
/// The change, and a file of somebody else's.
const OURS: [&str; 2] = ["one", "other"];
const THEIRS: &str = "theirs";

/// How an undo goes wrong.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// It does not: the control.
    None,
    DoesNothing,
    DoesHalf,
    WrongObject,
    Panics,
}

/// Removes the files, or says so.
#[derive(Debug)]
struct Liar {
    dir: PathBuf,
    lie: Lie,
}

#[async_trait]
impl Reverter for Liar {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn revert(&self, node: &str, _: &Value) -> Result<(), ActionError> {
        let files: &[&str] = match self.lie {
            Lie::None => &OURS,
            Lie::DoesNothing => &[],
            Lie::DoesHalf => &OURS[..1],
            Lie::WrongObject => &[THEIRS],
            // What a bug does; the panic message of the thread goes to standard error, which is as it should be.
            Lie::Panics => std::panic::resume_unwind(Box::new("planted")),
        };
        for file in files {
            match fs::remove_file(self.dir.join(file)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(ActionError::new("remove", node, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn residue(&self, _: &str, _: &Value) -> Result<Vec<String>, ActionError> {
        let there = OURS.iter().filter(|file| self.dir.join(file).exists());
        Ok(there.map(|file| format!("{file} is still there")).collect())
    }

    fn by_hand(&self, _: &str, _: &Value) -> String {
        "rm one other".to_owned()
    }
}

/// Plants each lie.
///
/// # Errors
/// When the directory cannot be used.
pub(crate) async fn defects(dir: &Path) -> Result<Vec<Defect>, LedgerError> {
    let lies = [
        ("an undo that returns success and does nothing", Lie::DoesNothing),
        ("an undo that undoes half", Lie::DoesHalf),
        ("an undo that hits the wrong object", Lie::WrongObject),
        ("an undo that panics", Lie::Panics),
    ];
    let mut defects = Vec::new();
    for (number, (defect, lie)) in lies.into_iter().enumerate() {
        let dir = dir.join(format!("undo-{number}"));
        let (stuck, error) = revert(&dir, lie).await?;
        // The same ledger with an undo that does what it says: it must be believed, or being caught means nothing.
        let (still_stuck, _) = revert(&dir, Lie::None).await?;
        let seen =
            if still_stuck { "an undo that works was not believed".to_owned() } else { error };
        defects.push(Defect::new(defect, stuck && !still_stuck, seen));
    }
    Ok(defects)
}

/// Makes the change where it is not made, and takes it back; whether it is still in the ledger, and why.
async fn revert(dir: &Path, lie: Lie) -> Result<(bool, String), LedgerError> {
    let path = dir.join("selftest.ledger");
    let failed =
        |source| LedgerError::Io { doing: "make the change for", path: path.clone(), source };
    let mut ledger = if path.exists() {
        Ledger::take_over(&path)?
    } else {
        fs::create_dir(dir).map_err(failed)?;
        let mut ledger = Ledger::create(&path, opened().map_err(failed)?)?;
        let undo = Undo::Revert { kind: KIND.into(), node: "selftest".into(), params: json!({}) };
        ledger.intend("selftest", "two files", undo)?;
        for file in OURS.into_iter().chain([THEIRS]) {
            fs::write(dir.join(file), file).map_err(failed)?;
        }
        ledger
    };
    let liar = Liar { dir: dir.to_owned(), lie };
    let reverted = revert_open(&mut ledger, &Reverters::new(vec![Arc::new(liar)])).await;
    let stuck = reverted.stuck.first();
    let why = stuck.map_or_else(
        || "it was called undone".to_owned(),
        |stuck| format!("{} {}", stuck.error, stuck.residue.join(", ")).trim().to_owned(),
    );
    Ok((stuck.is_some() && !ledger.open().is_empty(), why))
}

fn opened() -> io::Result<Line> {
    Ok(Line::Opened {
        run_id: "selftest".to_owned(),
        environment: "selftest".to_owned(),
        harness: ProcessIdentity { node: "harness".to_owned(), pid: 0, start_time: 0 },
        boot_id: drdrill_process::boot_id()?,
    })
}
