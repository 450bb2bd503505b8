//! Watches, whatever the drill does, whether it must end: interrupts, stop conditions, `drdrill halt`, a permit that is
//! over, lost evidence, a lost keeper. Meanwhile it serves the machinery's requests to the undo ledger.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use drdrill_core::event::AbortCause;
use drdrill_core::parts::{Permit, StreamPlan};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Drill;
use super::requests::{Request, Requests, served};
use crate::history::Recorder;
use crate::keeper::Keeper;
use crate::ledger::Ledger;
use crate::stop::StopConditions;
use crate::stop::halt::Levers;

/// Time between two looks at the keeper, at the evidence and at the levers.
const LOOK: Duration = Duration::from_millis(50);

/// Why a drill ends before its end.
#[derive(Debug)]
pub(super) struct Abort {
    pub(super) cause: AbortCause,
    pub(super) reason: String,
}

impl Abort {
    pub(super) fn guard(reason: String) -> Self {
        Self { cause: AbortCause::Guard, reason }
    }

    pub(super) fn failure(reason: impl Into<String>) -> Self {
        Self { cause: AbortCause::Failure, reason: reason.into() }
    }
}

pub(super) struct Guard<'a> {
    run_id: &'a str,
    interrupt: &'a CancellationToken,
    recorder: &'a Recorder,
    keeper: Option<&'a Keeper>,
    levers: Levers,
    stop: mpsc::UnboundedReceiver<String>,
    /// `None` where nothing is broken, or no longer.
    permit: Option<&'a dyn Permit>,
    /// What can be taken back. Written to by the drill, and between its own steps for the machinery.
    pub(super) ledger: &'a mut Ledger,
    requests: mpsc::UnboundedReceiver<Request>,
}

impl<'a> Guard<'a> {
    pub(super) fn new(
        drill: &'a Drill,
        streams: &[StreamPlan],
        recorder: &'a Recorder,
        keeper: Option<&'a Keeper>,
        ledger: &'a mut Ledger,
    ) -> Self {
        let facts: Vec<_> = streams.iter().map(|stream| stream.facts.clone()).collect();
        let conditions = StopConditions::new(&drill.scenario.stop_when, &facts);
        let (sender, stop) = mpsc::unbounded_channel();
        recorder.watch(Box::new(move |entry| {
            if let Some(reason) = conditions.feed(&entry.event) {
                // Nobody listens any more once the drill is over.
                let _ = sender.send(reason);
            }
        }));
        let levers = Levers::of(&drill.state, &drill.facts.name);
        let breaks = !drill.scenario.faults.is_empty();
        let permit = breaks.then_some(&*drill.permit);
        let (handle, requests) = Requests::new();
        if let Some(recovery) = &drill.recovery {
            recovery.use_ledger(Arc::new(handle));
        }
        let (run_id, interrupt) = (drill.run_id.as_str(), &drill.interrupt);
        Self { run_id, interrupt, recorder, keeper, levers, stop, permit, ledger, requests }
    }

    /// Waits until all that must hold right before a fault was looked at, and held.
    pub(super) async fn permits_a_fault(&mut self) -> Result<(), Abort> {
        let Some(permit) = self.permit else { return Ok(()) };
        self.unless_stopped(permit.to_inject()).await?.map_err(Abort::guard)
    }

    /// Faults are taken back: the way back is gone to its end, whether the permit is over or not, because half of it
    /// is worse than either end.
    pub(super) fn nothing_is_broken(&mut self) {
        self.permit = None;
    }

    /// Waits for `work`, unless the drill must end first; the work is then dropped.
    pub(super) async fn unless_stopped<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<T, Abort> {
        tokio::pin!(work);
        // Also before the wait: many short waits in a row would else never look.
        self.look()?;
        loop {
            tokio::select! {
                biased;
                () = self.interrupt.cancelled() => {
                    return Err(Abort { cause: AbortCause::Operator, reason: "interrupted by the operator".into() });
                }
                Some(reason) = self.stop.recv() => {
                    return Err(Abort { cause: AbortCause::StopCondition, reason });
                }
                done = &mut work => return Ok(done),
                Some(request) = self.requests.recv() => {
                    served(request, self.run_id, self.ledger);
                }
                () = tokio::time::sleep(LOOK) => self.look()?,
            }
        }
    }

    fn look(&mut self) -> Result<(), Abort> {
        if self.recorder.is_broken() {
            return Err(Abort::failure("the evidence cannot be written"));
        }
        if self.keeper.is_some_and(|keeper| !keeper.is_alive()) {
            let reason = "the keeper is gone, without which nothing may stay injected";
            return Err(Abort::failure(reason));
        }
        if let Some(permit) = self.permit {
            permit.to_go_on().map_err(Abort::guard)?;
        }
        match self.levers.look() {
            Ok(None) => Ok(()),
            Ok(Some(halt)) => Err(Abort { cause: AbortCause::Operator, reason: halt.to_string() }),
            Err(error) => {
                let reason = format!("whether the drill is halted cannot be told: {error}");
                Err(Abort::failure(reason))
            }
        }
    }
}
