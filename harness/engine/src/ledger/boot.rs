//! A ledger may be older than the kernel that runs now.
//!
//! A process is named by its number and its start time, and both begin anew with each boot: the process that an undo of
//! another boot names is gone for certain, and the one that answers to the same name is a stranger. So before an undo of
//! another boot is carried out, each process it names is replaced by [`NOBODY`], which no process ever is. Reverters
//! then do by themselves what is right: what lived in such a process (proxies of the lab's own server, say) is gone with
//! it and nobody is called at its address, while files are removed and servers that outlive a boot are put right as
//! usual. No reverter has to know of boots, and none can forget to ask.
//!
//! Where the first line of a ledger is damaged nobody can tell which boot it is of. What names a process then stays open
//! and is reported: carried out it might strike a stranger, passed over as gone it might leave a fault behind.

use drdrill_core::action::Undo;
use drdrill_core::environment::ProcessIdentity;
use serde_json::Value;

use super::Contents;

/// Number of no process: the kernel gives out numbers from 1.
const NOBODY: i32 = 0;

/// Which boot of the kernel a ledger is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Boot {
    /// The one that runs now.
    This,
    /// An earlier one: no process that it names exists any more.
    Another,
    /// Its first line is damaged, or the kernel does not tell its own.
    Unknown,
}

impl Contents {
    /// Which boot the ledger is of.
    #[must_use]
    pub fn boot(&self) -> Boot {
        match (self.opened(), drdrill_process::boot_id()) {
            (Some((.., theirs)), Ok(ours)) if theirs == ours => Boot::This,
            (Some(_), Ok(_)) => Boot::Another,
            _ => Boot::Unknown,
        }
    }

    /// The harness, where it can still run: not when it was one of another boot.
    #[must_use]
    pub fn harness(&self) -> Option<&ProcessIdentity> {
        let (_, _, harness, _) = self.opened()?;
        (self.boot() != Boot::Another).then_some(harness)
    }
}

/// Replaces every process that an undo names by one that does not exist; returns whether it named any.
pub(crate) fn bury_processes(undo: &mut Undo) -> bool {
    match undo {
        Undo::Revert { params, .. } => bury(params),
        Undo::Nothing { .. } => false,
    }
}

fn bury(value: &mut Value) -> bool {
    let mut any = false;
    match value {
        Value::Array(values) => {
            for value in values {
                any |= bury(value);
            }
        }
        Value::Object(fields) => {
            // As `ProcessIdentity` is written, in whatever it is contained.
            if fields.contains_key("pid") && fields.contains_key("start_time") {
                fields.insert("pid".to_owned(), NOBODY.into());
                any = true;
            }
            for value in fields.values_mut() {
                any |= bury(value);
            }
        }
        _ => {}
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> ProcessIdentity {
        drdrill_process::of_process("me", i32::try_from(std::process::id()).unwrap()).unwrap()
    }

    fn undo(params: Value) -> Undo {
        Undo::Revert { kind: "test".to_owned(), node: "n".to_owned(), params }
    }

    #[test]
    fn a_process_that_is_buried_does_not_exist_wherever_it_stood() {
        for wrap in [
            |me| serde_json::json!({ "server": me, "api": "http://127.0.0.1" }),
            |me| serde_json::json!({ "all": [{ "deep": [me] }, 1] }),
            |me| me,
        ] {
            let mut buried = undo(wrap(serde_json::to_value(me()).unwrap()));
            assert!(bury_processes(&mut buried));
            let mut nobody = serde_json::to_value(me()).unwrap();
            nobody["pid"] = 0.into();
            assert_eq!(buried, undo(wrap(nobody.clone())), "nothing else may change");
            let nobody: ProcessIdentity = serde_json::from_value(nobody).unwrap();
            assert!(drdrill_process::is_alive(&me()) && !drdrill_process::is_alive(&nobody));
            drdrill_process::kill(&nobody).unwrap();
        }
    }

    #[test]
    fn what_names_no_process_is_left_as_it_is() {
        let before = undo(serde_json::json!({ "dir": "/x", "pid": 1, "names": ["start_time"] }));
        let mut after = before.clone();
        assert!(!bury_processes(&mut after));
        assert_eq!(after, before);
        assert!(!bury_processes(&mut Undo::Nothing { because: "so".to_owned() }));
    }

    #[test]
    fn the_boot_of_a_ledger_is_that_of_its_first_line() {
        let of = |boot_id: &str| Contents {
            lines: vec![super::super::Line::Opened {
                run_id: "run".to_owned(),
                environment: "lab".to_owned(),
                harness: me(),
                boot_id: boot_id.to_owned(),
            }],
            ..Contents::default()
        };
        let here = of(&drdrill_process::boot_id().unwrap());
        assert_eq!((here.boot(), here.harness()), (Boot::This, Some(&me())));
        let elsewhere = of("7e0c8ad1-another-boot");
        assert_eq!((elsewhere.boot(), elsewhere.harness()), (Boot::Another, None));
        assert_eq!(Contents::default().boot(), Boot::Unknown);
    }
}
