//! One drill, from its plan to its evidence.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use drdrill_core::event::Entry;
use drdrill_core::record::Record;
use drdrill_core::verdict::Verdict;
use drdrill_engine::drill::{self, Drill, NotReady};
use drdrill_engine::history::{Observer, Recorder};
use drdrill_engine::ledger::{Ledger, Line};
use drdrill_engine::lock::{EnvironmentLock, LockError};
use drdrill_engine::state::{StateDir, new_run_id};
use drdrill_notify::notifier::{Notifier, Recipient};
use drdrill_reports::evidence::{Head, Signer};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::recover::open_runs;
use crate::adapters::{History, Probes, make_probe, restore_watch};
use crate::args::RunArgs;
use crate::evidence::{self, EVENTS_FILE};
use crate::exit::{Code, Failure};
use crate::people::{self, Asked};
use crate::wiring::{self, Plan};
use crate::{checks, guards, notices, progress, runs};

/// Descriptors of a small drill. With fewer it would only find out on its way.
const DESCRIPTORS: u64 = 20;

/// What the drills of one command share: the runtime, and the operator's wish to stop.
pub(super) struct Session {
    runtime: Runtime,
    interrupt: CancellationToken,
}

impl Session {
    /// From here on a signal means undo; before, there is nothing to undo.
    pub(super) fn start() -> Result<Self, Failure> {
        super::enough_descriptors(DESCRIPTORS, "a drill")?;
        let runtime = super::runtime()?;
        let interrupt = CancellationToken::new();
        runtime.block_on(async { listen_for_interrupts(interrupt.clone()) }).map_err(|error| {
            Failure::new(Code::NotReady, format!("listen for signals: {error}"))
        })?;
        Ok(Self { runtime, interrupt })
    }

    /// Waits for something; `None` when the operator wants no more.
    pub(super) fn unless_interrupted<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(async {
            tokio::select! {
                done = work => Some(done),
                () = self.interrupt.cancelled() => None,
            }
        })
    }

    /// Does something that an interrupt does not end by itself.
    pub(super) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Returns once the operator wants no more.
    pub(super) async fn interrupted_once(&self) {
        self.interrupt.cancelled().await;
    }

    /// Whether the operator wants no more.
    pub(super) fn interrupted(&self) -> bool {
        self.interrupt.is_cancelled()
    }
}

/// A drill that ran, judged.
pub(super) struct Ran {
    pub(super) record: Record,
    /// The report that people open, where it could be written.
    pub(super) report: Option<PathBuf>,
}

/// Runs a drill whose plan was checked.
pub(super) fn run(
    state: &StateDir,
    args: &RunArgs,
    plan: Plan,
    session: &Session,
) -> Result<Ran, Failure> {
    guards::production::confirmed(&plan, args.yes_production.as_deref())?;
    let permit = Arc::new(guards::permit::Rules::of(&plan.inventory)?);
    guards::production::fits_the_window(&plan, chrono::Utc::now())?;
    let asked = people::of(&plan, args)?;
    state.prepare().map_err(Failure::with(Code::NotReady))?;
    let now = chrono::Utc::now();
    let run_id = new_run_id(now);
    let name = &plan.inventory.environment;
    let since = now.format("%Y-%m-%d %H:%M:%S UTC");
    let me = format!("run {run_id} (process {}) since {since}", std::process::id());
    let _lock = EnvironmentLock::take(state, name, &me).map_err(|error| {
        let code =
            if matches!(error, LockError::Held { .. }) { Code::Refused } else { Code::NotReady };
        Failure::new(code, error)
    })?;
    refuse_over_leftovers(state, name)?;
    let run_dir = state.run(&run_id);
    let not_ready = Failure::with::<String>(Code::NotReady);
    let program = std::env::current_exe().map_err(|error| not_ready(error.to_string()))?;
    // Small enough to be the same number in every JSON reader.
    let seed = u64::from(rand::random::<u32>());
    let environment = wiring::environment(&plan.inventory, &run_id, &run_dir, &program, seed)?;
    guards::rights(&plan.scenario, &*environment)?;
    checks::programs_are_ours(&plan).map_err(Failure::with(Code::NotReady))?;
    // Evidence that cannot be signed is no evidence: better known before anything is broken.
    let signer = evidence::signer(state, args.key.as_deref())?;
    session.runtime.block_on(guards::target(&plan.inventory, &permit))?;
    let notify = plan.inventory.notify.as_ref();
    let recipients = notify.map(|notify| notices::recipients(notify, Some(&plan.scenario)));
    let recipients = recipients.transpose()?.unwrap_or_default();
    fs::create_dir(&run_dir).map_err(|error| {
        Failure::new(Code::NotReady, format!("make {}: {error}", run_dir.display()))
    })?;
    let run = Prepared {
        state,
        plan,
        run_id,
        run_dir,
        program,
        seed,
        started_at: now,
        permit,
        signer,
        session,
        asked,
    };
    run.run(environment, recipients)
}

/// A drill whose leftovers are still there would be measured on a system that is broken already. Called while the
/// environment is locked, so that whoever is busy with one of its old runs takes it back and runs no drill.
pub(super) fn refuse_over_leftovers(state: &StateDir, environment: &str) -> Result<(), Failure> {
    let open = open_runs(state).map_err(Failure::with(Code::NotReady))?;
    let mut here = open
        .iter()
        .filter(|run| run.environment.as_deref().is_none_or(|other| other == environment));
    let Some(left) = here.next() else { return Ok(()) };
    if left.busy {
        let message = format!(
            "run {} is being taken back on {environment} right now; try again in a moment",
            left.run_id
        );
        return Err(Failure::new(Code::Refused, message));
    }
    let message = format!(
        "run {} left something in place on {environment}: {}\n  take it back first: drdrill recover",
        left.run_id,
        left.what.join(", ")
    );
    Err(Failure::new(Code::LeftInPlace, message))
}

struct Prepared<'a> {
    state: &'a StateDir,
    plan: Plan,
    run_id: String,
    run_dir: PathBuf,
    program: PathBuf,
    seed: u64,
    started_at: chrono::DateTime<chrono::Utc>,
    permit: Arc<guards::permit::Rules>,
    signer: Signer,
    session: &'a Session,
    /// Who answers, where the drill follows a runbook.
    asked: Option<Asked>,
}

/// The undo ledger of a run that is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum AtTheEnd {
    /// Everything was taken back, and that is durable; or there was nothing to take back.
    PutAside,
    /// Everything was taken back, but the disk refused to say so for good.
    NotPutAside,
    /// Something may still be in place.
    Open,
}

/// What the engine left: the history, whether all of it is on disk, and its end.
struct Made {
    history: Vec<Entry>,
    whole: bool,
    head: Head,
    /// Who told people of it, and which verdict.
    told: Option<(Notifier, Verdict)>,
}

impl Prepared<'_> {
    fn run(
        mut self,
        environment: Arc<dyn drdrill_core::environment::Environment>,
        recipients: Vec<Recipient>,
    ) -> Result<Ran, Failure> {
        let intro = format!(
            "drdrill {}  run {}  {} on {}",
            env!("CARGO_PKG_VERSION"),
            self.run_id,
            self.plan.scenario.scenario,
            self.plan.inventory.environment
        );
        let mut asked = self.asked.take();
        let shown = asked.as_mut().and_then(|asked| asked.shown.take());
        let screen = progress::Screen::start(&intro, shown);
        let made = self.drill(environment, screen.observer(), recipients, asked);
        screen.end();
        let made = match made {
            Ok(made) => made,
            Err(failure) => {
                // A run that never began has no evidence; its directory stays only for what it left in place.
                if failure.code != Code::LeftInPlace {
                    let _ = fs::remove_dir_all(&self.run_dir);
                }
                return Err(failure);
            }
        };
        self.conclude(&made)
    }

    fn drill(
        &self,
        environment: Arc<dyn drdrill_core::environment::Environment>,
        show: Observer,
        recipients: Vec<Recipient>,
        asked: Option<Asked>,
    ) -> Result<Made, Failure> {
        let not_ready = |error: io::Error| {
            Failure::new(Code::NotReady, format!("write to {}: {error}", self.run_dir.display()))
        };
        let harness = i32::try_from(std::process::id())
            .ok()
            .and_then(|pid| drdrill_process::of_process("harness", pid))
            .ok_or_else(|| Failure::new(Code::NotReady, "read /proc: this process is not there"))?;
        let first = Line::Opened {
            run_id: self.run_id.clone(),
            environment: self.plan.inventory.environment.clone(),
            harness: harness.clone(),
            boot_id: drdrill_process::boot_id().map_err(not_ready)?,
        };
        let recovery = wiring::recovery(&self.plan, &environment, asked, &harness)
            .map_err(Failure::with(Code::NotReady))?;
        let (sink, head) = History::start(&self.run_dir.join(EVENTS_FILE)).map_err(not_ready)?;
        let recorder = Recorder::start(Box::new(sink)).map_err(not_ready)?;
        let ledger = if drill::touches_nothing(&self.plan.scenario, &*environment) {
            Ledger::of_nothing()
        } else {
            Ledger::create(&self.state.ledger(&self.run_id), first)
                .map_err(Failure::with(Code::NotReady))?
        };
        recorder.watch(show);
        let (inventory, scenario) = (&self.plan.inventory, &self.plan.scenario);
        let journal = recorder.journal();
        let notifier = notices::notifier(inventory, scenario, &self.run_id, recipients, journal)
            .map_err(not_ready)?;
        if let Some(notifier) = &notifier {
            recorder.watch(notifier.observer());
        }
        let drill = Drill {
            run_id: self.run_id.clone(),
            scenario: self.plan.scenario.clone(),
            scenario_sha256: self.plan.source.sha256(),
            settings: self.plan.settings.clone(),
            tool: wiring::tool(),
            started_at: self.started_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            seed: self.seed,
            facts: wiring::facts(&self.plan.scenario, &self.plan.inventory, &*environment),
            permit: self.permit.clone(),
            make_fault: wiring::fault,
            reverters: wiring::reverters(Some(&environment)),
            orphan_reverters: wiring::reverters(None),
            recovery,
            make_probe,
            restore_watch,
            state: self.state.clone(),
            program: self.program.clone(),
            interrupt: self.session.interrupt.clone(),
            environment,
        };
        let outcome = self.session.runtime.block_on(drill::run(
            &drill,
            &mut Probes::default(),
            &recorder,
            ledger,
        ));
        let interrupted = self.session.interrupted();
        let told = match &notifier {
            Some(notifier) if outcome.is_ok() => self.tell_end(notifier, &recorder),
            _ => None,
        };
        let (history, whole) = recorder.finish();
        outcome.map_err(|error| could_not_begin(&error, interrupted))?;
        let head = *head.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Made { history, whole, head, told: notifier.zip(told) })
    }

    /// Tells people how it ended, as far as that is known while who was told can still be written down. Returns the
    /// verdict that they were told.
    fn tell_end(&self, notifier: &Notifier, recorder: &Recorder) -> Option<Verdict> {
        let mut record = evidence::judge(&recorder.so_far()).ok()?;
        self.ledger_decides(&mut record);
        notifier.tell_end(&record);
        notifier.settle(notices::LAST_NOTICES);
        Some(record.verdict)
    }

    /// What the ledger, which knows better than any history, says of the end of the run.
    fn ledger_at_the_end(&self) -> AtTheEnd {
        match Ledger::look(&self.state.ledger(&self.run_id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => AtTheEnd::PutAside,
            Ok(contents) if contents.open().is_empty() => AtTheEnd::NotPutAside,
            // One that cannot be read may have something open.
            _ => AtTheEnd::Open,
        }
    }

    /// Lets the ledger, which knows better than any history, decide what a drill comes to.
    fn ledger_decides(&self, record: &mut Record) {
        let ledger = self.ledger_at_the_end();
        if ledger == AtTheEnd::Open {
            record.exit_code = Code::LeftInPlace as u8;
        }
        if ledger != AtTheEnd::PutAside && record.leftovers.is_empty() {
            let reason =
                "what was taken back could not be written down (drdrill recover looks again)";
            spoil(record, reason);
        }
    }

    fn conclude(&self, made: &Made) -> Result<Ran, Failure> {
        let mut record = evidence::judge(&made.history).map_err(|error| {
            let left = self.ledger_at_the_end() == AtTheEnd::Open;
            let code = if left { Code::LeftInPlace } else { Code::Bug };
            Failure::new(code, format!("judge the run: {error}"))
        })?;
        self.ledger_decides(&mut record);
        if !made.whole {
            spoil(&mut record, "the history of this drill could not be written whole");
        }
        let report =
            evidence::write(&self.run_dir, &record, &made.history, made.head, &self.signer);
        if let Err(error) = &report {
            let dir = self.run_dir.display();
            let reason = format!("the evidence in {dir} could not be written: {error}");
            crate::out::error(&format!("drdrill: {reason}"));
            spoil(&mut record, &reason);
            // What stands on disk must not say more than what is said here, where it can be written at all.
            let _ = evidence::write_record(&self.run_dir, &record);
        } else {
            runs::enter(self.state, &record);
        }
        if let Some((notifier, told)) = &made.told
            && *told != record.verdict
        {
            notifier.withdraw(&record.reasons.join("\n"));
            notifier.settle(notices::LAST_NOTICES);
        }
        Ok(Ran { record, report: report.ok() })
    }
}

/// A drill whose evidence or undo is not whole does not pass, however good it looked.
pub(super) fn spoil(record: &mut Record, reason: &str) {
    record.verdict = record.verdict.max(Verdict::Unknown);
    if record.exit_code == Code::Passed as u8 {
        record.exit_code = Code::Unknown as u8;
    }
    record.reasons.insert(0, reason.to_owned());
}

fn could_not_begin(error: &NotReady, interrupted: bool) -> Failure {
    let left = error.left.iter().map(|stuck| {
        let (target, error, by_hand) = (&stuck.intent.target, &stuck.error, &stuck.by_hand);
        format!("\n  left in place: {target}: {error}\n  by hand: {by_hand}")
    });
    let left: String = left.collect();
    let message = format!("the drill did not begin, nothing was injected: {error}{left}");
    let code = match (error.left.is_empty(), interrupted) {
        (false, _) => Code::LeftInPlace,
        (true, true) => Code::Aborted,
        (true, false) => Code::NotReady,
    };
    Failure::new(code, message)
}

/// Time a message may take on its way out of a process that leaves.
const LAST_WORD: Duration = Duration::from_millis(50);

/// The first interrupt ends the drill in order: undo, evidence, exit code 15. The second ends this process at once;
/// the keeper, which is a process of its own, then puts everything back.
fn listen_for_interrupts(interrupt: CancellationToken) -> io::Result<()> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let mut hangups = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
                _ = hangups.recv() => {}
            }
            // First the deed and then the word: a terminal that takes no output must not stop either.
            if interrupt.is_cancelled() {
                let said = tokio::task::spawn_blocking(|| {
                    crate::out::error(
                        "drdrill: leaving at once; the keeper puts everything back (drdrill recover tells)",
                    );
                });
                // Said or not, it leaves.
                let _ = tokio::time::timeout(LAST_WORD, said).await;
                std::process::exit(Code::Aborted as i32);
            }
            interrupt.cancel();
            tokio::task::spawn_blocking(|| {
                crate::out::error(
                    "drdrill: interrupted: everything is put back, the evidence is kept (again: leave at once)",
                );
            });
        }
    });
    Ok(())
}
