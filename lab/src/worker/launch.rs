//! Starting a job so that it cannot outlive its worker.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};

use crate::node::LabError;

/// The program that becomes a job.
pub(crate) const JOB_PROGRAM: &str = "job";

/// What becomes of a job's process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobProcess {
    argv: Vec<String>,
    /// The worker; a job whose worker is gone already does not start.
    worker_pid: i32,
}

/// How this executable runs a program of the lab.
#[derive(Debug)]
pub(super) struct Launcher {
    executable: PathBuf,
    /// What stands before the program's name on the command line.
    leading: Vec<OsString>,
}

impl Launcher {
    /// As this process was started: `<executable> <leading>... <program> <config JSON>`.
    pub(super) fn of_this_process() -> Result<Self, LabError> {
        let executable = std::env::current_exe().map_err(LabError::io("find this executable"))?;
        let mut leading: Vec<OsString> = std::env::args_os().skip(1).collect();
        leading.truncate(leading.len().saturating_sub(2));
        Ok(Self { executable, leading })
    }

    /// Starts a job as the leader of a process group.
    pub(super) fn start(&self, argv: &[String]) -> io::Result<Child> {
        let worker_pid = i32::try_from(std::process::id()).map_err(io::Error::other)?;
        let job = JobProcess { argv: argv.to_vec(), worker_pid };
        Command::new(&self.executable)
            .args(&self.leading)
            .arg(JOB_PROGRAM)
            .arg(serde_json::to_string(&job)?)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }
}

/// Turns this process into the job; returns only when it cannot.
pub(crate) fn become_job(job: &JobProcess) -> LabError {
    let Some((program, arguments)) = job.argv.split_first() else {
        return LabError::Setting { reason: "argv names no program".to_owned() };
    };
    // The signal at the worker's death stays asked for through exec.
    let error = tie_to_worker(job.worker_pid).map_or_else(
        |error| error,
        |()| std::process::Command::new(program).args(arguments).exec(),
    );
    LabError::io(format!("run `{program}`"))(error)
}

fn tie_to_worker(worker_pid: i32) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid().as_raw() == worker_pid {
        Ok(())
    } else {
        Err(io::Error::other("the worker is gone"))
    }
}
