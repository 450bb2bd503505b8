//! The stages of a drill, between environment up and environment down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use drdrill_core::action::Action;
use drdrill_core::environment::Role;
use drdrill_core::event::{Event, Journal, Milestone, Stage, When};
use drdrill_core::parts::{RestoreWatch, Sampling, StreamPlan};
use drdrill_core::scenario::Failover;
use drdrill_core::time::At;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::guard::{Abort, Guard};
use super::read_back::read_back;
use super::{Drill, faults};
use crate::history::Recorder;
use crate::ledger::{Intent, LedgerError};
use crate::revert::{COMMAND, Stuck, TOTAL_TIMEOUT, its_time_ends, revert_one, with_its_ledger};

/// Time between two looks at whether the drill may go on.
const POLL: Duration = Duration::from_millis(10);
/// A task that was ended may take so long until it does nothing any more.
const LAST_POLL: Duration = Duration::from_secs(1);
/// A wall clock that moved by more than this against the monotonic clock was stepped. Source: measurement, section 2.
const CLOCK_STEP_NS: i64 = 1_000_000;

pub(super) struct Stages<'a> {
    drill: &'a Drill,
    journal: Arc<dyn Journal>,
    origin_nanos: u64,
    guard: Guard<'a>,
    watch: Arc<dyn RestoreWatch>,
    failover: Option<Background>,
    /// Whether the recovery was carried out to its end.
    carried_out: bool,
    /// Faults in effect, with their numbers in the ledger.
    faults: Vec<(u32, Arc<dyn Action>)>,
    /// What could not be taken back so far.
    stuck: Vec<u32>,
}

/// A task that ends with its owner.
struct Background(JoinHandle<Result<(), drdrill_core::action::ActionError>>);

impl Background {
    /// Ends the task, and waits until it does nothing any more.
    async fn end(mut self) {
        // One that was waited for to its end must not be asked again.
        if self.0.is_finished() {
            return;
        }
        self.0.abort();
        // One that holds its thread is waited for no longer: what it does is taken back like anything else.
        let _ = tokio::time::timeout(LAST_POLL, &mut self.0).await;
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<'a> Stages<'a> {
    pub(super) fn new(
        drill: &'a Drill,
        streams: &[StreamPlan],
        recorder: &'a Recorder,
        guard: Guard<'a>,
    ) -> Self {
        let facts: Vec<_> = streams.iter().map(|stream| stream.facts.clone()).collect();
        let watch = (drill.restore_watch)(&facts, &drill.facts);
        let watcher = watch.clone();
        recorder.watch(Box::new(move |entry| {
            if let Event::Sample(sample) = &entry.event {
                watcher.feed(sample);
            }
        }));
        let (journal, origin_nanos) = (recorder.journal(), recorder.origin_nanos());
        Self {
            drill,
            journal,
            origin_nanos,
            guard,
            watch,
            failover: None,
            carried_out: false,
            faults: Vec::new(),
            stuck: Vec::new(),
        }
    }

    /// From the first sample to the last, whatever happens in between.
    pub(super) async fn run(
        mut self,
        sampling: &mut dyn Sampling,
        streams: Vec<StreamPlan>,
        environment: u32,
    ) {
        let wall_offset = wall_offset_ns();
        let broken = self.until_restored(sampling, streams).await;
        let aborted = self.note_abort(broken);
        // Nothing cancels this part: neither an interrupt nor a stop condition.
        if let Some(failover) = self.failover.take() {
            failover.end().await;
        }
        // What commands of a runbook did stays until the way back was gone, where one is to be gone; else it is taken
        // back before the faults, so that what took over steps down before the original returns.
        let goes_back = !aborted && self.recovered() && self.drill.scenario.failback.is_some();
        self.undo(|intent| intent.kind != COMMAND || !goes_back).await;
        self.guard.nothing_is_broken();
        if !aborted {
            let back = if goes_back { self.fail_back().await } else { Ok(()) };
            let aborted = self.note_abort(back);
            self.undo(|_| true).await;
            let stopped = stop(sampling);
            let aborted = self.note_abort(stopped) || aborted;
            if !aborted {
                let back = self.look_at_the_end().await;
                self.note_abort(back);
            }
        }
        let stopped = stop(sampling);
        self.note_abort(stopped);
        self.journal.record(Event::StageStarted(Stage::Closing));
        let moved = wall_offset_ns().saturating_sub(wall_offset);
        if moved.abs() > CLOCK_STEP_NS {
            self.journal.record(Event::ClockStepped { by_ns: moved });
        }
        self.take_down(environment).await;
        let finished_at = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        self.journal.record(Event::DrillFinished { finished_at });
    }

    fn note_abort(&self, result: Result<(), Abort>) -> bool {
        let Err(Abort { cause, reason }) = result else {
            return false;
        };
        self.journal.record(Event::Aborted { cause, reason });
        true
    }

    async fn until_restored(
        &mut self,
        sampling: &mut dyn Sampling,
        streams: Vec<StreamPlan>,
    ) -> Result<(), Abort> {
        let scenario = &self.drill.scenario;
        self.journal.record(Event::StageStarted(Stage::Baseline));
        self.note_lag().await;
        let began = self.journal.now();
        let journal = self.journal.clone();
        sampling
            .start(
                self.origin_nanos,
                streams,
                scenario.probes.samples,
                Arc::new(move |sample| journal.record(Event::Sample(sample))),
            )
            .map_err(|error| Abort::failure(format!("start the probes: {error}")))?;
        if scenario.recovery.acts()
            && let Some(recovery) = self.drill.recovery.clone()
        {
            let journal = self.journal.clone();
            let task = tokio::spawn(async move { recovery.watch_and_fail_over(journal).await });
            self.failover = Some(Background(task));
        }
        if scenario.faults.is_empty() {
            return self.watch_only(sampling).await;
        }
        let in_effect = self.inject_all(began).await?;
        self.journal.record(Event::StageStarted(Stage::Recovery));
        self.wait_for_recovery(in_effect).await?;
        if self.watch.restored() {
            let at = self.journal.now();
            self.journal.record(Event::Milestone { milestone: Milestone::Restored, at });
        }
        self.journal.record(Event::StageStarted(Stage::Soak));
        self.guard.unless_stopped(sleep(scenario.soak.0)).await?;
        for (id, fault) in &self.faults {
            let look = faults::look_again(&self.drill.run_id, *id, &**fault, &*self.journal);
            self.guard.unless_stopped(look).await?;
        }
        if scenario.failback.is_none() {
            stop(sampling)?;
        }
        let read = read_back(self.drill, &*self.journal, When::AfterRecovery);
        self.guard.unless_stopped(read).await
    }

    /// A drill without faults ends with its samples, or after the soak time.
    async fn watch_only(&mut self, sampling: &dyn Sampling) -> Result<(), Abort> {
        if self.drill.scenario.probes.samples.is_none() {
            return self.guard.unless_stopped(sleep(self.drill.scenario.soak.0)).await;
        }
        self.guard.unless_stopped(sampling.ended()).await
    }

    /// Injects each fault in its turn; returns when the last was seen in effect.
    async fn inject_all(&mut self, began: At) -> Result<At, Abort> {
        let drill = self.drill;
        let mut last = None;
        for planned in &drill.scenario.faults {
            let wait = began.plus(planned.at.0).since(self.journal.now());
            self.guard.unless_stopped(sleep(wait)).await?;
            if last.is_none() {
                if self.failover.as_ref().is_some_and(|failover| failover.0.is_finished()) {
                    // What follows would time the wrong thing: the fault would hit a site that serves nobody.
                    let reason =
                        "the machinery failed over, or gave up, before anything was broken";
                    return Err(Abort::failure(reason));
                }
                self.journal.record(Event::StageStarted(Stage::Fault));
            }
            self.note_lag().await;
            self.guard.permits_a_fault().await?;
            let fault = (drill.make_fault)(&planned.inject, &drill.environment)
                .map_err(|error| Abort::failure(error.to_string()))?;
            if let Some(recovery) = &drill.recovery {
                recovery.about_to_break();
            }
            let id = self.guard.ledger.next_id();
            // Not cut short by an interrupt: between the intent and the proof only a whole fault can be told from none.
            let seen =
                faults::inject(&drill.run_id, &*fault, self.guard.ledger, &*self.journal).await;
            let (from, at) = seen.map_err(Abort::failure)?;
            self.watch.fault(from, at);
            self.faults.push((id, fault));
            last = Some(at);
        }
        if let Some(recovery) = &drill.recovery {
            recovery.broken();
        }
        last.ok_or_else(|| Abort::failure("no fault was injected"))
    }

    async fn wait_for_recovery(&mut self, in_effect: At) -> Result<(), Abort> {
        let scenario = &self.drill.scenario;
        let give_up = in_effect.plus(scenario.recovery.give_up_after.0);
        if scenario.recovery.failover == Failover::Refrain {
            // Nothing to wait for: the machinery is watched until the faults are taken back.
            self.wait_until_restored(give_up).await?;
        } else if let Some(failover) = &mut self.failover {
            let wait = give_up.since(self.journal.now());
            let ended =
                self.guard.unless_stopped(tokio::time::timeout(wait, &mut failover.0)).await?;
            let outcome = match ended {
                Ok(Ok(outcome)) => outcome.map_err(|error| error.to_string()),
                Ok(Err(panic)) => Err(panic.to_string()),
                Err(_) => {
                    if scenario.recovery.failover == Failover::Runbook
                        && let (Some(recovery), Some(mut waiting)) =
                            (&self.drill.recovery, self.failover.take())
                    {
                        // Nobody is asked any more; what was done is taken back by those who did it.
                        recovery.give_up();
                        let ending = tokio::time::timeout(TOTAL_TIMEOUT, &mut waiting.0);
                        let ended = self.guard.unless_stopped(ending).await;
                        waiting.end().await;
                        // What came of it stands in the history; one that hangs is ended like any other.
                        let _ = ended?;
                    }
                    Err(format!("not done within {}", scenario.recovery.give_up_after))
                }
            };
            self.carried_out = outcome.is_ok();
            if let Err(error) = outcome {
                let what = match scenario.recovery {
                    plan if plan.restore.is_some() => "restore",
                    plan if plan.failover == Failover::Runbook => "recovery by the runbook",
                    _ => "failover",
                };
                let text = format!("the {what} did not succeed: {error}");
                self.journal.record(Event::Note { text });
                // Rolled back or not, the service may still return by itself.
                return self.wait_until_restored(give_up).await;
            }
        } else {
            self.wait_until_restored(give_up).await?;
        }
        if let Some(recovery) = &self.drill.recovery
            && self.journal.now() < give_up
            && !scenario.verify.is_empty()
        {
            let left = give_up.since(self.journal.now());
            let work =
                recovery.verify(self.journal.clone(), &scenario.verify, When::AfterRecovery, left);
            self.guard.unless_stopped(work).await?;
        }
        self.wait_until_restored(give_up).await
    }

    async fn wait_until_restored(&mut self, give_up: At) -> Result<(), Abort> {
        while !self.watch.restored() {
            if self.journal.now() >= give_up {
                let text = format!(
                    "not restored within {}; the drill stopped waiting",
                    self.drill.scenario.recovery.give_up_after
                );
                self.journal.record(Event::Note { text });
                return Ok(());
            }
            self.guard.unless_stopped(sleep(POLL)).await?;
        }
        Ok(())
    }

    /// Takes faults, and what commands did, back, newest first, and looks that they are gone.
    async fn undo(&mut self, meant: impl Fn(&Intent) -> bool) {
        let open = self.guard.ledger.open().into_iter();
        let meant = |intent: &Intent| intent.kind != "environment" && meant(intent);
        let intents: Vec<Intent> = open.filter(meant).collect();
        // The last one that failed is tried again by whoever comes later.
        let intents: Vec<Intent> =
            intents.into_iter().filter(|intent| !self.stuck.contains(&intent.id)).collect();
        if intents.is_empty() {
            return;
        }
        self.journal.record(Event::StageStarted(Stage::Undo));
        let began = Instant::now();
        let all = u32::try_from(intents.len()).unwrap_or(u32::MAX);
        for (others, intent) in (0..all).rev().zip(intents) {
            self.take_back(&intent, its_time_ends(began, all, others)).await;
        }
    }

    async fn take_back(&mut self, intent: &Intent, give_up: Instant) {
        let id = intent.id;
        let from = self.journal.now();
        let result = self.revert(intent, give_up).await;
        if result.is_err() {
            self.stuck.push(id);
        }
        let (command, name) = (intent.kind == COMMAND, intent.target.clone());
        self.journal.record(match result {
            Ok(()) if command => Event::CommandTakenBack { id, at: self.journal.now() },
            Ok(()) => Event::FaultReverted { id, from, at: self.journal.now() },
            Err(Stuck { error, residue, by_hand, .. }) if command => {
                Event::CommandStuck { id, name, error, residue, by_hand }
            }
            Err(Stuck { error, residue, by_hand, .. }) => {
                Event::FaultStuck { id, error, residue, by_hand }
            }
        });
    }

    /// Takes one intent back, and writes into the ledger what came of it.
    async fn revert(&mut self, intent: &Intent, give_up: Instant) -> Result<(), Stuck> {
        let result = revert_one(intent, &self.drill.reverters, give_up).await;
        let result = with_its_ledger(result, self.guard.ledger);
        let noted = match &result {
            Ok(()) => self.guard.ledger.reverted(intent.id),
            Err(stuck) => self.guard.ledger.stuck(intent.id, &stuck.error),
        };
        if noted.is_err() {
            // Its entry stays open for whoever comes later: a ledger that could not be written once is not believed.
            self.stuck.push(intent.id);
        }
        self.note_of_ledger(noted);
        result.map_err(|stuck| *stuck)
    }

    fn note_of_ledger(&self, noted: Result<(), LedgerError>) {
        if let Err(error) = noted {
            // The intent stays open, which is safe: a later recover finds it gone already.
            self.journal.record(Event::Note { text: error.to_string() });
        }
    }

    async fn fail_back(&mut self) -> Result<(), Abort> {
        let drill = self.drill;
        let (Some(plan), Some(recovery)) = (&drill.scenario.failback, &drill.recovery) else {
            return Ok(());
        };
        let failed_over = self.drill.scenario.recovery.failover != Failover::None;
        if !failed_over || self.drill.scenario.faults.is_empty() {
            return Ok(());
        }
        self.journal.record(Event::StageStarted(Stage::Failback));
        let patience = self.drill.scenario.recovery.give_up_after;
        let by_runbook = self.drill.scenario.recovery.failover == Failover::Runbook;
        let mut going = recovery.fail_back(self.journal.clone(), plan);
        let back = async {
            if by_runbook {
                match tokio::time::timeout(patience.0, &mut going).await {
                    Ok(back) => return back,
                    // Nobody is waited for any more. What the machinery has begun it ends, in its own time: half a way
                    // back is worse than either end.
                    Err(_) => recovery.give_up(),
                }
            }
            going.await
        };
        if let Err(error) = self.guard.unless_stopped(back).await? {
            self.journal
                .record(Event::Note { text: format!("the failback did not succeed: {error}") });
            return Ok(());
        }
        self.journal.record(Event::Milestone {
            milestone: Milestone::FailbackFinished,
            at: self.journal.now(),
        });
        let verify = &self.drill.scenario.verify;
        let work = recovery.verify(self.journal.clone(), verify, When::AfterFailback, patience.0);
        self.guard.unless_stopped(work).await?;
        // The last thing that clients do is seen as well.
        self.guard.unless_stopped(sleep(self.drill.facts.measure.sustained.0)).await
    }

    /// Whether there is something to go back from: a runbook that nobody got to its end has taken back what it did.
    fn recovered(&self) -> bool {
        self.carried_out || self.drill.scenario.recovery.failover != Failover::Runbook
    }

    /// Whether all is read back once more after everything was taken back.
    fn reads_back_at_the_end(&self) -> bool {
        let scenario = &self.drill.scenario;
        scenario.failback.is_some() || scenario.recovery.failover == Failover::Refrain
    }

    /// Waits until a standby that was cut off has everything again, where nothing was failed over, and looks at what each side
    /// has then.
    async fn look_at_the_end(&mut self) -> Result<(), Abort> {
        let scenario = &self.drill.scenario;
        let refrained = scenario.recovery.failover == Failover::Refrain;
        if refrained
            && !scenario.faults.is_empty()
            && let Some(recovery) = self.drill.recovery.clone()
        {
            let rejoin = recovery.rejoin(self.journal.clone());
            if let Err(error) = self.guard.unless_stopped(rejoin).await? {
                let text = format!("the standby did not come back: {error}");
                self.journal.record(Event::Note { text });
            }
        }
        if !self.reads_back_at_the_end() {
            return Ok(());
        }
        self.journal.record(Event::StageStarted(Stage::Audit));
        let read = read_back(self.drill, &*self.journal, When::AfterFailback);
        self.guard.unless_stopped(read).await
    }

    async fn note_lag(&self) {
        let Some(control) = self.drill.environment.site_control() else {
            return;
        };
        for site in self.drill.environment.sites() {
            if let Ok(status) = control.status(&site).await
                && status.role == Role::Standby
            {
                self.journal.record(Event::ReplicationLag { site, lag_ms: status.lag_ms });
            }
        }
    }

    async fn take_down(&mut self, environment: u32) {
        // What a hanging or failing environment leaves is found and taken back below.
        let down = tokio::time::timeout(TOTAL_TIMEOUT, self.drill.environment.down()).await;
        let trouble = match down {
            Ok(down) => down.err().map(|error| error.to_string()),
            Err(_) => Some(format!("the environment is not down after {TOTAL_TIMEOUT:?}")),
        };
        if let Some(text) = trouble {
            self.journal.record(Event::Note { text });
        }
        let intent = self.guard.ledger.open().into_iter().find(|intent| intent.id == environment);
        let Some(intent) = intent else { return };
        let give_up = Instant::now() + TOTAL_TIMEOUT;
        if let Err(Stuck { error, residue, by_hand, .. }) = self.revert(&intent, give_up).await {
            let (id, name) = (intent.id, intent.target);
            self.journal.record(Event::EnvironmentStuck { id, name, error, residue, by_hand });
            return;
        }
        // A fault that could not be taken back may have gone with the environment it was in.
        for fault in self.guard.ledger.open() {
            let from = self.journal.now();
            if revert_one(&fault, &self.drill.orphan_reverters, give_up).await.is_ok() {
                let noted = self.guard.ledger.reverted(fault.id);
                self.note_of_ledger(noted);
                let (id, at) = (fault.id, self.journal.now());
                self.journal.record(if fault.kind == COMMAND {
                    Event::CommandTakenBack { id, at }
                } else {
                    Event::FaultReverted { id, from, at }
                });
            }
        }
    }
}

fn stop(sampling: &mut dyn Sampling) -> Result<(), Abort> {
    sampling.stop().map_err(|error| Abort::failure(format!("samples may be missing: {error}")))
}

/// Wall clock against monotonic clock; constant for as long as nobody steps the wall clock. Of several readings the one
/// whose two clocks were read closest together, so that losing the processor in between is no step.
fn wall_offset_ns() -> i64 {
    let signed = |nanos: u64| i64::try_from(nanos).unwrap_or(i64::MAX);
    let reading = || {
        let before = drdrill_clock::monotonic_nanos();
        let wall = drdrill_clock::wall_nanos();
        let after = drdrill_clock::monotonic_nanos();
        (after - before, signed(wall).saturating_sub(signed(before)))
    };
    (0..5).map(|_| reading()).min().map_or(0, |(_, offset)| offset)
}
