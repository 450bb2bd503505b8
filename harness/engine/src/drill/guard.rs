//! Watches, whatever the drill does, whether it must end: interrupts, stop conditions, lost evidence, a lost keeper.

use std::future::Future;
use std::time::Duration;

use drdrill_core::event::AbortCause;
use drdrill_core::parts::StreamPlan;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Drill;
use crate::history::Recorder;
use crate::keeper::Keeper;
use crate::stop::StopConditions;

/// Time between two looks at the keeper and at the evidence.
const LOOK: Duration = Duration::from_millis(50);

/// Why a drill ends before its end.
#[derive(Debug)]
pub(super) struct Abort {
    pub(super) cause: AbortCause,
    pub(super) reason: String,
}

impl Abort {
    pub(super) fn failure(reason: impl Into<String>) -> Self {
        Self { cause: AbortCause::Failure, reason: reason.into() }
    }
}

pub(super) struct Guard<'a> {
    interrupt: &'a CancellationToken,
    recorder: &'a Recorder,
    keeper: Option<&'a mut Keeper>,
    stop: mpsc::UnboundedReceiver<String>,
}

impl<'a> Guard<'a> {
    pub(super) fn new(
        drill: &'a Drill,
        streams: &[StreamPlan],
        recorder: &'a Recorder,
        keeper: Option<&'a mut Keeper>,
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
        Self { interrupt: &drill.interrupt, recorder, keeper, stop }
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
                () = tokio::time::sleep(LOOK) => self.look()?,
            }
        }
    }

    fn look(&mut self) -> Result<(), Abort> {
        if self.recorder.is_broken() {
            return Err(Abort::failure("the evidence cannot be written"));
        }
        if self.keeper.as_mut().is_some_and(|keeper| !keeper.is_alive()) {
            let reason = "the keeper is gone, without which nothing may stay injected";
            return Err(Abort::failure(reason));
        }
        Ok(())
    }
}
