//! Processes end: they are killed, or asked to end, or killed and at once started again.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Belt, Presence, Tag, Undo};
use drdrill_core::environment::ProcessIdentity;
use tokio::time::{Instant, sleep};

use super::canary::refused;
use super::end_undo::{EndUndo, Ended, bring_back};
use super::targets::{Target, Targets};
use crate::site_reverter::Restart;

/// Time between two looks at a process that was asked to end.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// How processes end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// By SIGKILL.
    Kill,
    /// By SIGTERM; they have so much time.
    Stop(Duration),
    /// By SIGKILL, and they are started again at once.
    Restart,
}

/// Processes of a site end.
#[derive(Debug)]
pub struct ProcessEnd {
    /// How.
    pub end: End,
    /// Which.
    pub targets: Targets,
    /// What starts them again, where they are children of the environment.
    pub restart: Option<Restart>,
    /// The program that is a starter when called as `PROGRAM starter`.
    pub program: PathBuf,
    /// What was struck, and what was not.
    pub struck: Mutex<Struck>,
}

/// What was struck, and what was not.
#[derive(Clone, Debug, Default)]
pub struct Struck {
    targets: Vec<Target>,
    spared: Vec<ProcessIdentity>,
    /// What became of starting them again at once: how long they were away, or why they could not be started.
    again: Arc<Mutex<Option<Result<Duration, String>>>>,
}

impl ProcessEnd {
    fn struck(&self) -> MutexGuard<'_, Struck> {
        self.struck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doing(&self) -> &'static str {
        match self.end {
            End::Kill => "kill",
            End::Stop(_) => "stop",
            End::Restart => "restart",
        }
    }

    /// Strikes one process: it, or nobody.
    fn strike(&self, process: &ProcessIdentity) -> Result<(), ActionError> {
        let error = |reason: String| ActionError::new(self.doing(), &process.node, reason);
        let struck = match self.end {
            End::Kill | End::Restart => drdrill_process::strike(process),
            End::Stop(_) => drdrill_process::ask_to_end(process),
        };
        match struck {
            Ok(true) => Ok(()),
            Ok(false) => Err(error(format!("process {} ended before it was struck", process.pid))),
            Err(cause) => Err(error(cause.to_string())),
        }
    }

    /// Waits until all of them are gone, where they have a time for it.
    async fn wait_until_gone(&self, struck: &[Target]) -> Result<(), ActionError> {
        let grace = match self.end {
            End::Stop(grace) => grace,
            End::Kill | End::Restart => return Ok(()),
        };
        let give_up = Instant::now() + grace;
        for Target { process, .. } in struck {
            while drdrill_process::is_alive(process) {
                if Instant::now() >= give_up {
                    let (pid, grace) = (process.pid, grace.as_secs_f64());
                    let reason = format!(
                        "process {pid} still runs {grace} s after it was asked to end; it was not killed"
                    );
                    return Err(ActionError::new(self.doing(), &process.node, reason));
                }
                sleep(LOOK_AGAIN).await;
            }
        }
        Ok(())
    }

    fn undo(&self, tag: &Tag, targets: &[Target]) -> EndUndo {
        let ended = targets.iter().map(|target| Ended {
            process: target.process.clone(),
            canary: target.known.canary.clone(),
            start: target.known.start.clone(),
        });
        EndUndo {
            tag: tag.as_str().to_owned(),
            site: self.targets.on.clone(),
            asked: matches!(self.end, End::Stop(_)),
            processes: ended.collect(),
        }
    }

    /// Starts what was killed, while the drill goes on: the fault is in effect when they are gone, and how long clients
    /// had to wait for their return the probes tell.
    fn start_again(&self, undo: EndUndo) {
        let (restart, program) = (self.restart.clone(), self.program.clone());
        let again = self.struck().again.clone();
        let ended = Instant::now();
        tokio::spawn(async move {
            let back = bring_back(&undo, restart.as_ref(), &program).await;
            let said = back.map(|()| ended.elapsed()).map_err(|error| error.to_string());
            *again.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
        });
    }

    /// Whether one process is gone, for the kernel and for its clients.
    async fn look(&self, target: &Target) -> Result<Result<String, String>, ActionError> {
        let Target { process, known } = target;
        let (node, pid) = (&process.node, process.pid);
        if drdrill_process::is_alive(process) {
            return Ok(Err(format!("{node} (pid {pid}) still runs")));
        }
        let running = self.targets.processes.processes(&self.targets.on).await?;
        let successor = running.iter().find(|other| other.node == *node);
        let gone = format!("{node} (pid {pid}, started at tick {}) is gone", process.start_time);
        Ok(match (successor, &known.canary) {
            // It is as dead as it was, and what runs now is somebody's answer to that, which the probes time.
            (Some(other), _) => Ok(format!("{gone}, and runs again as process {}", other.pid)),
            (None, None) => Ok(gone),
            (None, Some(canary)) => {
                let why = refused(canary).await;
                match why.map_err(|cause| ActionError::new("connect to", node, cause))? {
                    Some(why) => Ok(format!("{gone}, and a connection to {canary} fails: {why}")),
                    None => Err(format!("{gone}, but {canary} still accepts connections")),
                }
            }
        })
    }
}

#[async_trait]
impl Action for ProcessEnd {
    fn kind(&self) -> &'static str {
        match self.end {
            End::Kill => "process_kill",
            End::Stop(_) => "process_stop",
            End::Restart => "process_restart",
        }
    }

    fn target(&self) -> String {
        match &self.targets.component {
            Some(component) => format!("{component} of {}", self.targets.on),
            None => self.targets.on.clone(),
        }
    }

    fn via(&self) -> String {
        let signal = if matches!(self.end, End::Stop(_)) { "SIGTERM" } else { "SIGKILL" };
        format!("{signal}, by pidfd and start time")
    }

    fn belts(&self) -> Vec<Belt> {
        vec![Belt::Journal]
    }

    async fn plan(&self, tag: &Tag) -> Result<Undo, ActionError> {
        let targets = self.targets.find().await;
        let targets = targets.map_err(|error| self.targets.error(self.doing(), error))?;
        for Target { known, .. } in &targets {
            let error = |reason: String| ActionError::new(self.doing(), &known.node, reason);
            if !known.comes_back() {
                let reason = "the environment does not say what starts it again (`start`)";
                return Err(error(reason.to_owned()));
            }
            if let Some(canary) = &known.canary {
                let why = refused(canary).await.map_err(|cause| error(cause.to_string()))?;
                if let Some(why) = why {
                    let reason =
                        format!("a connection to {canary} fails even without a fault: {why}");
                    return Err(error(reason));
                }
            }
        }
        let undo = self.undo(tag, &targets).into_undo();
        let spared = self.targets.spared(&targets).await?;
        *self.struck() = Struck { targets, spared, again: Arc::default() };
        Ok(undo)
    }

    async fn apply(&self, tag: &Tag) -> Result<(), ActionError> {
        let struck = self.struck().targets.clone();
        for target in &struck {
            self.strike(&target.process)?;
        }
        self.wait_until_gone(&struck).await?;
        if self.end == End::Restart {
            self.start_again(self.undo(tag, &struck));
        }
        Ok(())
    }

    async fn observe(&self, _: &Tag) -> Result<Presence, ActionError> {
        let Struck { targets, spared, again } = self.struck().clone();
        let mut proof = Vec::new();
        for target in &targets {
            match self.look(target).await? {
                Ok(seen) => proof.push(seen),
                Err(detail) => return Ok(Presence::Absent { detail }),
            }
        }
        match &*again.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Ok(away)) => proof.push(format!("away for {:.3} s", away.as_secs_f64())),
            Some(Err(detail)) => return Ok(Presence::Absent { detail: detail.clone() }),
            None => {}
        }
        let lost = spared.iter().find(|process| !drdrill_process::is_alive(process));
        if let Some(ProcessIdentity { node, pid, .. }) = lost {
            return Ok(Presence::TooWide { detail: format!("{node} (pid {pid}) is gone too") });
        }
        let nodes: Vec<&str> = spared.iter().map(|process| process.node.as_str()).collect();
        proof.push(if nodes.is_empty() {
            "nothing was there to show that it is not too wide".to_owned()
        } else {
            format!("still running: {}", nodes.join(", "))
        });
        Ok(Presence::InEffect { proof: proof.join("; ") })
    }
}
