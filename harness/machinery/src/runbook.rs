//! A runbook followed as the recovery plan (requirements C2 and C12): its steps in order, each done by a person, by a
//! command, by functionality checks or by a part of the failover plan that drdrill brings along.
//!
//! When a step fails, what machinery and commands did is taken back in reverse order. What people did nobody here can
//! take back: the runbook's own words say how.

mod carried;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Undo};
use drdrill_core::environment::{Function, Functions, ProcessIdentity};
use drdrill_core::event::{Event, Journal, Milestone, StepOutcome, When};
use drdrill_core::inventory::NamedCommand;
use drdrill_core::parts::{Recovery, Undos};
use drdrill_core::people::{People, Said};
use drdrill_core::runbook::{MachineAction, Phase, Runbook, RunbookStep, StepBy};
use drdrill_core::scenario::Failback;
use drdrill_core::tabletop::{Participant, StepResult};
use drdrill_core::time::{At, nanos};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::builtin::{BuiltIn, Decided, Piecemeal};
use crate::command::{self, CommandUndo};
use crate::plan::{self, Act, Step};
use crate::verify::verify;
use carried::Carried;

/// Time between two tries of a functionality check.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// A runbook, and all that its steps need.
#[derive(Debug)]
pub struct ByRunbook {
    /// Name of the environment.
    pub environment: String,
    /// The runbook.
    pub runbook: Runbook,
    /// SHA-256 of its file, in hexadecimal.
    pub runbook_sha256: String,
    /// Whether what people answer comes from a file.
    pub scripted: bool,
    /// Who takes part, where somebody said so.
    pub participants: Vec<Participant>,
    /// Asks people.
    pub people: Arc<dyn People>,
    /// Commands that steps name.
    pub commands: Vec<NamedCommand>,
    /// Functionality checks.
    pub functions: Arc<dyn Functions>,
    /// The machinery, where the environment has what that needs.
    pub built_in: Option<BuiltIn>,
    /// This very process.
    pub harness: ProcessIdentity,
    /// What was told meanwhile.
    pub told: Told,
}

/// What the engine told.
#[derive(Debug, Default)]
pub struct Told {
    breaking: AtomicBool,
    broken: Notify,
    /// Nobody is waited for any longer.
    given_up: CancellationToken,
    undos: Mutex<Option<Arc<dyn Undos>>>,
}

/// Why the steps begin.
enum Trigger {
    /// The health monitor decided that a site was lost.
    Alarm(Decided),
    /// A fault is in effect, and nobody watches.
    Fault,
}

/// A failover as far as it came.
struct Over {
    trigger: Trigger,
    /// The machinery's part of it, once it was asked for.
    plan: Option<Piecemeal>,
    detected: bool,
    decided: bool,
    /// Whether a step of the phase `fail_over` was done.
    moved: bool,
}

impl Over {
    const fn new(trigger: Trigger) -> Self {
        Self { trigger, plan: None, detected: false, decided: false, moved: false }
    }
}

impl ByRunbook {
    fn error(&self, what: &str, reason: impl std::fmt::Display) -> ActionError {
        ActionError::new(what, &self.environment, reason)
    }

    fn of_phases(&self, wanted: impl Fn(Phase) -> bool) -> Vec<(usize, &RunbookStep)> {
        let numbered = (1..).zip(&self.runbook.steps);
        numbered.filter(|(_, step)| wanted(step.phase)).collect()
    }

    /// Waits until the steps have to begin.
    async fn triggered(&self, journal: &dyn Journal) -> Result<Trigger, ActionError> {
        let Some(built_in) = &self.built_in else {
            self.told.broken.notified().await;
            return Ok(Trigger::Fault);
        };
        let decided = built_in.watch(journal).await;
        if !self.told.breaking.load(Ordering::Relaxed) {
            // A person who answers an alarm of another cause would be timed for the wrong thing.
            let reason = "the health monitor raised the alarm before anything was broken";
            return Err(self.error("follow the runbook of", reason));
        }
        Ok(Trigger::Alarm(decided))
    }

    async fn recover(&self, trigger: Trigger, journal: &dyn Journal) -> Result<(), ActionError> {
        let steps = self.of_phases(Phase::counts_to_recovery);
        let mut over = Over::new(trigger);
        if let (Some(built_in), Trigger::Alarm(decided)) = (&self.built_in, &over.trigger) {
            built_in.begins(decided, journal);
        }
        let mut carried = Vec::new();
        for (index, (number, step)) in steps.iter().enumerate() {
            self.milestones_before(step, &mut over, journal);
            let done = self.step(*number, step, &mut over, None, &mut carried, journal).await;
            let outcome = match done.and_then(|outcome| self.in_time(step).map(|()| outcome)) {
                Ok(outcome) => outcome,
                Err(error) => {
                    self.take_back(&carried, journal).await;
                    if let Some(built_in) = &self.built_in {
                        built_in.came_to_nothing(&error, journal);
                    }
                    return Err(error);
                }
            };
            if step.phase == Phase::FailOver {
                over.moved |= outcome == StepOutcome::Done;
                let next = steps.get(index + 1);
                if over.moved && next.is_none_or(|(_, next)| next.phase > Phase::FailOver) {
                    self.is_over(&over, journal);
                }
            }
        }
        Ok(())
    }

    /// Fails where nobody waits any longer.
    fn in_time(&self, step: &RunbookStep) -> Result<(), ActionError> {
        if !self.told.given_up.is_cancelled() {
            return Ok(());
        }
        let reason = "nobody waits any longer";
        Err(self.error(&format!("do step {} of the runbook", step.name), reason))
    }

    /// Waits for `work`; `None` when it is not done before nobody waits any longer. It is dropped then.
    async fn unless_given_up<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.told.given_up.cancelled() => None,
            done = work => Some(done),
        }
    }

    /// Says what was noticed and decided by the time a step begins.
    fn milestones_before(&self, step: &RunbookStep, over: &mut Over, journal: &dyn Journal) {
        let passed = |milestone| journal.record(Event::Milestone { milestone, at: journal.now() });
        if step.phase > Phase::Detect && !over.detected {
            over.detected = true;
            if self.built_in.is_none() {
                // Nobody else noticed.
                passed(Milestone::Detected);
            }
        }
        if step.phase > Phase::Decide && !over.decided {
            over.decided = true;
            passed(Milestone::Decided);
        }
    }

    /// The steps that fail over are done.
    fn is_over(&self, over: &Over, journal: &dyn Journal) {
        if let (Some(built_in), Some(_)) = (&self.built_in, &over.plan) {
            built_in.says_it_is_over(journal);
        } else {
            let milestone = Milestone::FailedOver;
            journal.record(Event::Milestone { milestone, at: journal.now() });
        }
    }

    /// One step, whoever does it. What it did that can be taken back is added to `carried`, also when it fails.
    ///
    /// A person, a command and checks are not waited for once it was given up: such a step has no end in the history. What
    /// the machinery has begun it brings to its end, because half of it is worse.
    async fn step(
        &self,
        number: usize,
        step: &RunbookStep,
        over: &mut Over,
        failback: Option<&Failback>,
        carried: &mut Vec<Carried>,
        journal: &dyn Journal,
    ) -> Result<StepOutcome, ActionError> {
        self.in_time(step)?;
        let by = step.by();
        let who = match by {
            StepBy::Person => self.people.who(&step.owner),
            _ => step.owner.clone(),
        };
        let within_ns = nanos(step.within.0);
        journal.record(Event::RunbookStepStarted { step: step.name.clone(), by, who, within_ns });
        let mut started = journal.now();
        let ended = match by {
            StepBy::Person => self.unless_given_up(self.ask(number, step, &mut started)).await,
            StepBy::Command => {
                self.unless_given_up(Box::pin(self.run(step, carried, journal))).await
            }
            StepBy::Checks => self.unless_given_up(self.checks(step)).await,
            StepBy::Machinery => Some(match step.action {
                Some(MachineAction::FailBack) => self.go_back(failback, carried, journal).await,
                Some(action) => self.act(action, over, carried, journal).await,
                None => Err("it says no action".to_owned()),
            }),
        };
        let Some(ended) = ended else {
            let doing = format!("wait for step {} of the runbook", step.name);
            return Err(self.error(&doing, "it was not done in time"));
        };
        let (outcome, note) = match ended {
            Ok((outcome, note)) => (outcome, note),
            Err(why) => (StepOutcome::Failed, why),
        };
        journal.record(Event::RunbookStep {
            step: step.name.clone(),
            started,
            finished: journal.now(),
            outcome,
            note: note.clone(),
        });
        if outcome != StepOutcome::Failed {
            return Ok(outcome);
        }
        let why = if note.is_empty() { String::new() } else { format!(": {note}") };
        if let Some(otherwise) = &step.otherwise {
            let text = format!("step {} failed; the runbook says: {otherwise}", step.name);
            journal.record(Event::Note { text });
        }
        Err(self.error(&format!("do step {} of the runbook", step.name), format!("it failed{why}")))
    }

    async fn ask(
        &self,
        number: usize,
        step: &RunbookStep,
        started: &mut At,
    ) -> Result<(StepOutcome, String), String> {
        let asked = self.people.ask(number, self.runbook.steps.len(), step);
        let Said { result, note, shown_after } = asked.await?;
        *started = started.plus(shown_after);
        let outcome = match result {
            StepResult::Done => StepOutcome::Done,
            StepResult::Failed => StepOutcome::Failed,
            StepResult::Skipped => StepOutcome::Skipped,
        };
        Ok((outcome, note))
    }

    async fn checks(&self, step: &RunbookStep) -> Result<(StepOutcome, String), String> {
        let mut last = String::new();
        let all = async {
            for name in &step.verify {
                loop {
                    let Function { works, detail } = self.functions.check(name).await;
                    if works {
                        break;
                    }
                    last = format!("{name}: {detail}");
                    sleep(TRY_AGAIN).await;
                }
            }
        };
        match timeout(step.within.0, all).await {
            Ok(()) => Ok((StepOutcome::Done, format!("all work: {}", step.verify.join(", ")))),
            Err(_) if last.is_empty() => Err(format!("not done within {}", step.within)),
            Err(_) => Err(format!("not within {}: {last}", step.within)),
        }
    }

    async fn run(
        &self,
        step: &RunbookStep,
        carried: &mut Vec<Carried>,
        journal: &dyn Journal,
    ) -> Result<(StepOutcome, String), String> {
        let name = step.run.as_deref().unwrap_or_default();
        let command = self.commands.iter().find(|one| one.name == name);
        let command = command.ok_or_else(|| format!("there is no command `{name}`"))?;
        let undos = self.told.undos.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let undos = undos.ok_or("there is no ledger for its undo")?;
        let (made_of, harness) = (command.clone(), self.harness.clone());
        let make = Box::new(move |tag: &_| CommandUndo::of(tag, &made_of, harness));
        // Also one that changes nothing: should drdrill be killed, somebody has to end it.
        let (id, planned) = undos.intend(command::KIND, name, make).await?;
        if command.undo.is_some() {
            journal.record(Event::CommandPlanned { id, name: name.to_owned() });
        }
        // Also one that fails may have done half of it.
        let (undo, ledger) = (planned.clone(), undos.clone());
        carried.push(Carried::Command { name: name.to_owned(), id, undo, undos: ledger });
        let limit = Instant::now() + step.within.0;
        let group = command::start(command, &planned)?;
        if let Some(known) = group.leader().and_then(|leader| command::started(&planned, leader)) {
            amend(carried, known, "began").await?;
        }
        let Ok(ended) = timeout_at(limit, group.end(None)).await else {
            return Err(format!("not done within {}; it was killed", step.within));
        };
        // From now on what it has started is its work, and no longer the command at work.
        if command.undo.is_none() {
            carried.pop();
            undos.taken_back(id).await;
        } else if let Some(over) = command::over(&planned) {
            amend(carried, over, "ended").await?;
        }
        ended.map(|said| (StepOutcome::Done, said))
    }

    /// A part of the failover plan.
    async fn act(
        &self,
        action: MachineAction,
        over: &mut Over,
        carried: &mut Vec<Carried>,
        journal: &dyn Journal,
    ) -> Result<(StepOutcome, String), String> {
        let (Some(built_in), Trigger::Alarm(decided)) = (&self.built_in, &over.trigger) else {
            return Err("drdrill has no power over the sites of this environment".to_owned());
        };
        if over.plan.is_none() {
            over.plan = Some(built_in.piecemeal(decided).await);
        }
        let Some(plan) = &over.plan else { return Ok((StepOutcome::Skipped, String::new())) };
        let wanted = |step: &&Step| {
            action == MachineAction::FailOver || part_of_failover(&step.act) == action
        };
        let steps: Vec<Step> = plan.steps.iter().filter(wanted).cloned().collect();
        if steps.is_empty() {
            return Err(format!(
                "the failover that is needed now has no part `{}`; it has: {}",
                action.word(),
                plan.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>().join(", ")
            ));
        }
        let done = plan::forward(&steps, built_in.powers(), built_in.step_timeout(), journal).await;
        let begun = done.as_ref().map_or_else(|(reached, _)| *reached, Vec::len);
        carried.push(Carried::Plan(steps[..begun].to_vec()));
        let outcomes = done.map_err(|(_, error)| error.to_string())?;
        if matches!(action, MachineAction::Promote | MachineAction::FailOver) {
            built_in.is_over(plan);
            if built_in.stays_decided() {
                carried.retain(|one| !matches!(one, Carried::Plan(_)));
            }
        }
        // Not all of them need to have been possible: a lost site cannot be told anything.
        let ended = steps.iter().zip(outcomes).map(|(step, outcome)| match outcome {
            StepOutcome::Done => step.name.clone(),
            StepOutcome::Skipped => format!("{}: not possible, and not needed", step.name),
            StepOutcome::Failed => format!("{}: FAILED, and what comes before stays", step.name),
        });
        Ok((StepOutcome::Done, ended.collect::<Vec<_>>().join(", ")))
    }

    async fn go_back(
        &self,
        plan: Option<&Failback>,
        carried: &mut Vec<Carried>,
        journal: &dyn Journal,
    ) -> Result<(StepOutcome, String), String> {
        let (Some(built_in), Some(plan)) = (&self.built_in, plan) else {
            return Err("there is no way back that drdrill could go".to_owned());
        };
        // It takes back what it did itself, and is not taken back once the original site takes writes.
        built_in.go_back(journal, plan).await.map_err(|error| error.to_string())?;
        carried.clear();
        Ok((StepOutcome::Done, "the original site decides again".to_owned()))
    }

    /// Takes back what machinery and commands did, the last first.
    async fn take_back(&self, carried: &[Carried], journal: &dyn Journal) {
        for one in carried.iter().rev() {
            match (one, &self.built_in) {
                (Carried::Plan(steps), Some(built_in)) => {
                    let limit = built_in.step_timeout();
                    plan::roll_back(steps, built_in.powers(), limit, journal).await;
                }
                (Carried::Plan(_), None) => {}
                (command, _) => command.take_back(&self.environment, journal).await,
            }
        }
    }
}

/// Writes down what is known of the command that was run last.
async fn amend(carried: &mut [Carried], known: Undo, what: &str) -> Result<(), String> {
    let Some(Carried::Command { id, undo, undos, .. }) = carried.last_mut() else { return Ok(()) };
    let noted = undos.amend(*id, known.clone()).await;
    noted.map_err(|error| format!("that it {what} could not be written down: {error}"))?;
    *undo = known;
    Ok(())
}

/// The action that a step of the failover plan is a part of.
const fn part_of_failover(act: &Act) -> MachineAction {
    match act {
        Act::Reach | Act::Fence | Act::FenceAndDrain { .. } => MachineAction::Fence,
        Act::Promote { .. } | Act::DecideAlone { .. } | Act::Pair { .. } => MachineAction::Promote,
        // Those behind who takes over follow it from then on.
        Act::Share { .. } | Act::Follow { .. } => MachineAction::Redirect,
        Act::Hold { .. } => MachineAction::Check,
        // What builds a site from backups is a part of having it run.
        Act::Activate
        | Act::CatchUp { .. }
        | Act::WaitFor { .. }
        | Act::StandDown
        | Act::Own(_) => MachineAction::Activate,
    }
}

#[async_trait]
impl Recovery for ByRunbook {
    async fn watch_and_fail_over(&self, journal: Arc<dyn Journal>) -> Result<(), ActionError> {
        let journal = &*journal;
        journal.record(Event::RunbookFollowed {
            runbook: Box::new(self.runbook.clone()),
            runbook_sha256: self.runbook_sha256.clone(),
            scripted: self.scripted,
            participants: self.participants.clone(),
        });
        let trigger = self.triggered(journal).await?;
        self.recover(trigger, journal).await
    }

    async fn verify(
        &self,
        journal: Arc<dyn Journal>,
        names: &[String],
        when: When,
        give_up: Duration,
    ) {
        let site = || self.serving_site();
        verify(&*self.functions, &*journal, names, when, give_up, site).await;
    }

    async fn fail_back(
        &self,
        journal: Arc<dyn Journal>,
        plan: &Failback,
    ) -> Result<(), ActionError> {
        let journal = &*journal;
        let steps = self.of_phases(|phase| phase == Phase::FailBack);
        if steps.is_empty() {
            let built_in = self.built_in.as_ref();
            let built_in = built_in.ok_or_else(|| {
                self.error("fail back", "the runbook does not say how, and drdrill has no power to")
            })?;
            return built_in.go_back(journal, plan).await;
        }
        let milestone = Milestone::FailbackStarted;
        journal.record(Event::Milestone { milestone, at: journal.now() });
        let mut over = Over::new(Trigger::Fault);
        let (mut carried, mut skipped) = (Vec::new(), Vec::new());
        for (number, step) in steps {
            let done = self.step(number, step, &mut over, Some(plan), &mut carried, journal).await;
            match done {
                Ok(StepOutcome::Skipped) => skipped.push(step.name.as_str()),
                Ok(_) => {}
                Err(error) => {
                    self.take_back(&carried, journal).await;
                    return Err(error);
                }
            }
        }
        if skipped.is_empty() {
            return Ok(());
        }
        // Who left out a part of the way is not back.
        let reason = format!("skipped: {}", skipped.join(", "));
        Err(self.error("do every step of the way back of the runbook", reason))
    }

    async fn rejoin(&self, journal: Arc<dyn Journal>) -> Result<(), ActionError> {
        match &self.built_in {
            Some(built_in) => built_in.rejoin(journal).await,
            None => Err(self.error("tell whether the standby follows again on", "nobody can")),
        }
    }

    fn serving_site(&self) -> String {
        // Which of its sites serves is not known where drdrill has no power over them.
        let built_in = self.built_in.as_ref();
        built_in.map_or_else(|| self.environment.clone(), Recovery::serving_site)
    }

    fn about_to_break(&self) {
        self.told.breaking.store(true, Ordering::Relaxed);
    }

    fn broken(&self) {
        self.told.broken.notify_one();
    }

    fn give_up(&self) {
        self.told.given_up.cancel();
    }

    fn use_ledger(&self, undos: Arc<dyn Undos>) {
        *self.told.undos.lock().unwrap_or_else(PoisonError::into_inner) = Some(undos);
    }
}

/// Whether a runbook does without the fence that machinery asks for.
#[must_use]
pub fn lacks_a_fence(runbook: &Runbook, built_in: &BuiltIn) -> bool {
    let has = |wanted| runbook.steps.iter().any(|step| step.action == Some(wanted));
    built_in.needs_a_fence() && has(MachineAction::Promote) && !has(MachineAction::Fence)
}
