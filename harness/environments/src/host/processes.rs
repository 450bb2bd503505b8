//! The processes of a system that is already there, as its environment file names them.

use std::path::PathBuf;

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::environment::{ProcessControl, ProcessIdentity};
use drdrill_core::inventory::HostProcess;
use drdrill_core::process::{FoundBy, KnownProcess, StartCommand};

/// The processes of a system.
#[derive(Debug)]
pub(super) struct Processes(pub(super) Vec<HostProcess>);

impl Processes {
    fn of<'a>(&'a self, site: &'a str) -> impl Iterator<Item = &'a HostProcess> {
        self.0.iter().filter(move |process| process.site == site)
    }
}

#[async_trait]
impl ProcessControl for Processes {
    async fn processes(&self, site: &str) -> Result<Vec<ProcessIdentity>, ActionError> {
        let found = |process: &HostProcess| match (process.pid, &process.pid_file) {
            (Some(pid), _) => drdrill_process::of_process(&process.name, pid),
            (None, Some(file)) => drdrill_process::of_pid_file(&process.name, file.as_ref()).ok(),
            (None, None) => None,
        };
        Ok(self.of(site).filter_map(found).collect())
    }

    fn known(&self, site: &str) -> Vec<KnownProcess> {
        self.of(site).filter_map(known).collect()
    }
}

/// `None` for one that is named neither by number nor by file, which no environment file has.
fn known(process: &HostProcess) -> Option<KnownProcess> {
    let pid_file = process.pid_file.as_ref().map(PathBuf::from);
    let found_by = match (process.pid, &pid_file) {
        (Some(pid), _) => FoundBy::Pid(pid),
        (None, file) => FoundBy::PidFile(file.clone()?),
    };
    let start = process.start.as_ref().zip(pid_file).and_then(|(words, pid_file)| {
        let (program, arguments) = words.split_first()?;
        Some(StartCommand { program: program.into(), arguments: arguments.to_vec(), pid_file })
    });
    Some(KnownProcess {
        node: process.name.clone(),
        component: process.name.clone(),
        found_by,
        canary: process.canary.clone(),
        start,
    })
}
