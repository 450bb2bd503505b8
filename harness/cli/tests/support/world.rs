//! What runs have left in the world, seen without drdrill's help.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::sandbox::Sandbox;
use super::wait::until;

/// The keeper has put everything back so long after the harness is gone.
///
/// Source: undo-and-security goals, R1.
const PUT_BACK: Duration = Duration::from_secs(5);

/// In every failure that says that something was left.
pub(crate) const LEFT: &str = "LEFT IN PLACE";

/// Processes of any run of this state directory. Those of labs carry the mark of their run and log below it; keepers
/// are told where it is.
pub(crate) fn processes(state: &Path) -> Vec<(i32, String)> {
    let marks: Vec<String> =
        runs(state).into_iter().map(|run| format!("DRDRILL_LAB={run}")).collect();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let Ok(pid) = entry.unwrap().file_name().to_string_lossy().parse::<i32>() else { continue };
        let words = |file| -> Vec<String> {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            bytes.split(|&b| b == 0).map(|w| String::from_utf8_lossy(w).into_owned()).collect()
        };
        let (variables, arguments) = (words("environ"), words("cmdline"));
        let log = fs::read_link(format!("/proc/{pid}/fd/2")).unwrap_or_default();
        if variables.iter().any(|variable| marks.contains(variable))
            || arguments.iter().any(|word| Path::new(word) == state)
            || log.starts_with(state)
        {
            found.push((pid, arguments[1..].join(" ")));
        }
    }
    found
}

/// Ids of the runs in this state directory.
pub(crate) fn runs(state: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(state.join("runs")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// What there still is of any run of this state directory, a line each.
fn left(state: &Path) -> Vec<String> {
    let processes = processes(state).into_iter().map(|(pid, what)| format!("process {pid} {what}"));
    let labs = runs(state).into_iter().map(|run| state.join("runs").join(run).join("lab"));
    let labs = labs.filter(|dir| dir.exists()).map(|dir| dir.display().to_string());
    processes.chain(labs).collect()
}

/// Waits until nothing is left: no process and no file of a lab; and until `recover` knows of nothing either.
#[track_caller]
pub(crate) fn nothing_is_left(sandbox: &Sandbox) {
    let began = Instant::now();
    let mut last = left(&sandbox.state);
    while !last.is_empty() && began.elapsed() < PUT_BACK {
        std::thread::sleep(Duration::from_millis(5));
        last = left(&sandbox.state);
    }
    assert!(last.is_empty(), "{LEFT} {PUT_BACK:?} after the end: {last:#?}");
    until(&format!("{LEFT}, as recover says"), PUT_BACK, || {
        let outcome = sandbox.run("recover");
        assert_eq!(outcome.code, Some(0), "{LEFT}, as recover says: {outcome:#?}");
        outcome.stdout.starts_with("nothing is open: ").then_some(())
    });
}
