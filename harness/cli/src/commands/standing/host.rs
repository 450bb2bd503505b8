//! Holds an environment that is up, and does what is asked of it, one thing after the other.

use std::fs;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use drdrill_core::action::ActionError;
use drdrill_core::environment::Environment;
use drdrill_core::event::{Entry, Event, Journal, StepOutcome};
use drdrill_core::inventory::{Inventory, Provider};
use drdrill_core::parts::Recovery;
use drdrill_core::probe::Call;
use drdrill_core::time::{At, nanos};
use drdrill_engine::ledger::{Ledger, Line};
use drdrill_engine::lock::{EnvironmentLock, LockError};
use drdrill_engine::revert::Stuck;
use drdrill_engine::standing::Standing;
use drdrill_engine::state::{StateDir, new_run_id};
use drdrill_engine::stop::halt::Levers;
use drdrill_machinery::builtin::{BuiltIn, Decided};
use drdrill_machinery::plan::{OnFailure, Powers, Step};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::socket::Place;
use super::{Answer, Ask, PlannedStep, SiteRow, Status};
use crate::args::UpArgs;
use crate::commands::halt::refuse_when_halted;
use crate::commands::run::{Session, refuse_over_leftovers};
use crate::exit::{Code, Failure, Outcome};
use crate::{catalog, checks, guards, out, settings, wiring};

/// Time between two looks at levers and at the keeper.
const LOOK: Duration = Duration::from_millis(100);
/// Time somebody may take to say what is wanted.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time after a failover that did not succeed until the health monitor looks again.
const PAUSE: Duration = Duration::from_secs(5);

/// Brings an environment up and holds it until it is taken down.
pub(crate) fn up(state: &StateDir, args: &UpArgs) -> Outcome {
    let mut inventory = catalog::environment(&args.environment)?.inventory()?;
    let mut scenario =
        catalog::scenario("no_op")?.scenario(&drdrill_core::scenario::Known::default())?;
    settings::apply(&args.settings, &mut scenario, &mut inventory)?;
    if let Provider::Host(_) = &inventory.provider {
        let message =
            format!("{} is there already; drdrill only watches it", inventory.environment);
        return Err(Failure::new(Code::NotReady, message));
    }
    refuse_when_halted(state, &args.environment)?;
    let session = Session::start()?;
    state.prepare().map_err(Failure::with(Code::NotReady))?;
    let now = chrono::Utc::now();
    let run_id = new_run_id(now);
    let since = now.format("%Y-%m-%d %H:%M:%S UTC");
    let me = format!("run {run_id} (process {}) since {since}", std::process::id());
    let lock = EnvironmentLock::take(state, &inventory.environment, &me).map_err(|error| {
        let held = matches!(error, LockError::Held { .. });
        Failure::new(if held { Code::Refused } else { Code::NotReady }, error)
    })?;
    refuse_over_leftovers(state, &inventory.environment)?;
    let permit = guards::permit::Rules::of(&inventory)?;
    session.block_on(guards::target(&inventory, &permit))?;
    let run_dir = state.run(&run_id);
    fs::create_dir(&run_dir).map_err(not_ready)?;
    // Whoever asked for the end learns of it when all is over, the lock included.
    let mut asked = None;
    let ended = hold(state, args, &inventory, &run_id, &session, &mut asked);
    let left = ended.as_ref().is_err_and(|failure| failure.code == Code::LeftInPlace);
    if !left {
        // There is no evidence of what was no drill; only the secrets of what is gone.
        let _ = fs::remove_dir_all(&run_dir);
    }
    drop(lock);
    if let Some(mut to) = asked {
        let answer = match &ended {
            Err(failure) if left => Answer::LeftInPlace(failure.message.clone()),
            _ => Answer::Done,
        };
        // Who asked may be gone.
        let _ = session.block_on(say(&mut to, &answer));
    }
    ended
}

fn not_ready(error: impl std::fmt::Display) -> Failure {
    Failure::new(Code::NotReady, error)
}

fn hold(
    state: &StateDir,
    args: &UpArgs,
    inventory: &Inventory,
    run_id: &str,
    session: &Session,
    asked: &mut Option<OwnedWriteHalf>,
) -> Outcome {
    let run_dir = state.run(run_id);
    let program = std::env::current_exe().map_err(not_ready)?;
    let seed = u64::from(rand::random::<u32>());
    let environment = wiring::environment(inventory, run_id, &run_dir, &program, seed)?;
    let harness = i32::try_from(std::process::id())
        .ok()
        .and_then(|pid| drdrill_process::of_process("harness", pid))
        .ok_or_else(|| not_ready("read /proc: this process is not there"))?;
    let first = Line::Opened {
        run_id: run_id.to_owned(),
        environment: inventory.environment.clone(),
        harness,
        boot_id: drdrill_process::boot_id().map_err(not_ready)?,
    };
    let ledger = Ledger::create(&state.ledger(run_id), first).map_err(not_ready)?;
    let reverters = wiring::reverters(Some(&environment));
    let place = Place::of(state, &inventory.environment).map_err(not_ready)?;
    session.block_on(async {
        let standing =
            Standing::up(state, run_id, &program, ledger, &*environment, &reverters).await;
        let standing = standing.map_err(|error| {
            left_or(&error.left, Code::NotReady, &format!("it does not come up: {error}"))
        })?;
        let served = match Held::new(args.automatic, inventory, run_id, &environment) {
            Ok(held) => tokio::select! {
                // What is under way ends with the environment that it is about.
                ended = until_ended(state, inventory, &standing, session) => ended,
                served = held.serve(&place) => served.map(|to| *asked = Some(to)),
            },
            Err(failure) => Err(failure),
        };
        let _ = place.remove();
        let stuck = standing.down(state, run_id, &*environment, &reverters).await;
        if !stuck.is_empty() {
            return Err(left_or(&stuck, Code::LeftInPlace, "it was taken down"));
        }
        out::error(&out::harmless(&format!("{} is down", inventory.environment)));
        served.map(|()| Code::Passed)
    })
}

/// The failure of what left something in place, or another one.
fn left_or(left: &[Stuck], code: Code, what: &str) -> Failure {
    let lines = left.iter().map(|stuck| {
        let (target, error, by_hand) = (&stuck.intent.target, &stuck.error, &stuck.by_hand);
        format!("\n  left in place: {target}: {error}\n  by hand: {by_hand}")
    });
    let lines: String = lines.collect();
    let code = if left.is_empty() { code } else { Code::LeftInPlace };
    Failure::new(code, format!("{what}{lines}"))
}

/// Returns when it is to be taken down although nobody asked for it over the socket.
async fn until_ended(
    state: &StateDir,
    inventory: &Inventory,
    standing: &Standing,
    session: &Session,
) -> Result<(), Failure> {
    let levers = Levers::of(state, &inventory.environment);
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = session.interrupted_once() => return Ok(()),
            _ = look.tick() => {}
        }
        if !matches!(levers.look(), Ok(None)) {
            out::error("drdrill: halted: it is taken down");
            return Ok(());
        }
        if !standing.is_kept() {
            return Err(not_ready("its keeper is gone, so it is taken down"));
        }
    }
}

/// An environment that is held.
struct Held {
    name: String,
    run_id: String,
    automatic: bool,
    environment: Arc<dyn Environment>,
    powers: Powers,
    built_in: BuiltIn,
    log: Log,
}

impl Held {
    fn new(
        automatic: bool,
        inventory: &Inventory,
        run_id: &str,
        environment: &Arc<dyn Environment>,
    ) -> Result<Arc<Self>, Failure> {
        let functions = checks::functions(inventory, environment).map_err(not_ready)?;
        let machinery = functions.and_then(|all| wiring::built_in(inventory, environment, all));
        let Some((powers, built_in)) = machinery else {
            return Err(not_ready("nothing can be failed over there"));
        };
        let (name, run_id) = (inventory.environment.clone(), run_id.to_owned());
        let (environment, log) = (environment.clone(), Log::new());
        Ok(Arc::new(Self { name, run_id, automatic, environment, powers, built_in, log }))
    }

    /// Does what is asked, and what the health monitor decides, one after the other, until somebody asks for the end; returns
    /// where that one waits.
    async fn serve(self: Arc<Self>, place: &Place) -> Result<OwnedWriteHalf, Failure> {
        let listener = place.listen().map_err(not_ready)?;
        let name = &self.name;
        let clients =
            self.clients().map_or_else(String::new, |at| format!("; clients come to {at}"));
        out::error(&out::harmless(&format!(
            "{name} is up{clients}\n  drdrill env status {name}, drdrill failover --env {name}, drdrill failback --env {name}\n  \
             drdrill env down {name}, or an interrupt here, takes it down"
        )));
        let (asks, mut asked) = unbounded_channel();
        let _talks = AbortOnDropHandle::new(tokio::spawn(self.clone().receive(listener, asks)));
        loop {
            let next = tokio::select! {
                Some(asked) = asked.recv() => Ok(asked),
                // Only looks, so that it may be dropped whenever somebody asks for something.
                decided = self.watch() => Err(decided),
            };
            match next {
                Ok(mut asked) => {
                    if !asked.is_wanted().await {
                        continue;
                    }
                    if matches!(asked.ask, Ask::Down) {
                        return Ok(asked.to);
                    }
                    let answer = self.answer(asked.ask, &mut asked.to).await;
                    let _ = say(&mut asked.to, &answer).await;
                }
                Err(decided) => {
                    if self.built_in.fail_over_from(decided, &self.log).await.is_err() {
                        // What became of it is in the log. It is watched again, and not at once.
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    }

    /// Talks to everybody who comes; what changes anything is handed on.
    async fn receive(self: Arc<Self>, listener: UnixListener, asks: UnboundedSender<Asked>) {
        let mut talks = JoinSet::new();
        // Who cannot be talked to any more can still be halted.
        while let Ok((stream, _)) = listener.accept().await {
            while talks.try_join_next().is_some() {}
            let (held, asks) = (self.clone(), asks.clone());
            talks.spawn(async move {
                // Who goes away in the middle ends nothing.
                let Ok(mut asked) = Asked::hear(stream).await else { return };
                if matches!(asked.ask, Ask::Status) {
                    let status = Answer::Status(Box::new(held.status().await));
                    let _ = say(&mut asked.to, &status).await;
                } else {
                    let _ = asks.send(asked);
                }
            });
        }
    }

    /// Whether the health monitor fails over by itself now.
    fn is_watched(&self) -> bool {
        self.automatic && self.built_in.is_home()
    }

    async fn watch(&self) -> Decided {
        if self.is_watched() { self.built_in.watch(&self.log).await } else { pending().await }
    }

    /// Where clients come, where they come by HTTP.
    fn clients(&self) -> Option<String> {
        let streams = self.environment.streams().ok()?;
        streams.iter().find_map(|stream| match &stream.call {
            Call::Http { url, .. } => {
                let host = url.strip_prefix("http://")?.split('/').next()?;
                Some(format!("http://{host}"))
            }
            Call::Tcp { .. } | Call::Postgres(_) | Call::Redis(_) | Call::Dns(_) | Call::S3(_) => {
                None
            }
        })
    }

    async fn answer(&self, ask: Ask, to: &mut OwnedWriteHalf) -> Answer {
        let built_in = &self.built_in;
        match ask {
            Ask::Failover { dry_run: true } => planned(built_in.failover_steps().await),
            Ask::Failback { dry_run: true, plan } => planned(built_in.failback_steps(&plan)),
            Ask::Failover { dry_run: false } => match built_in.failover_steps().await {
                Err(refused) => Answer::Refused(refused.to_string()),
                Ok(_) => self.log.tell(built_in.fail_over("asked for", &self.log), to).await,
            },
            Ask::Failback { dry_run: false, plan } => match built_in.failback_steps(&plan) {
                Err(refused) => Answer::Refused(refused.to_string()),
                Ok(_) => self.log.tell(built_in.go_back(&self.log, &plan), to).await,
            },
            Ask::Status | Ask::Down => Answer::Done,
        }
    }

    async fn status(&self) -> Status {
        let mut sites = Vec::new();
        for site in self.environment.sites() {
            let said = self.powers.sites.status(&site).await;
            let mut health = said.as_ref().err().map(ToString::to_string);
            for kind in self.powers.health.kinds() {
                if health.is_none() {
                    health = self.powers.health.look(&site, kind).await.err();
                }
            }
            let said = said.ok();
            sites.push(SiteRow {
                site,
                role: said.as_ref().map(|one| one.role),
                epoch: said.as_ref().map(|one| one.epoch),
                fenced: said.as_ref().map(|one| one.fenced),
                lag_ms: said.and_then(|one| one.lag_ms),
                health: health.unwrap_or_else(|| "healthy".to_owned()),
            });
        }
        Status {
            environment: self.name.clone(),
            run_id: self.run_id.clone(),
            clients: self.clients(),
            automatic: self.is_watched(),
            serves: self.built_in.serving_site(),
            sites,
            shares: self.powers.traffic.shares().await.unwrap_or_default(),
            changes: self.log.changes(),
        }
    }
}

/// What somebody wants.
struct Asked {
    ask: Ask,
    from: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
}

impl Asked {
    async fn hear(stream: UnixStream) -> io::Result<Self> {
        let (from, to) = stream.into_split();
        let mut line = String::new();
        let mut from = BufReader::new(from);
        timeout(PATIENCE, from.read_line(&mut line)).await??;
        let ask = serde_json::from_str(&line).map_err(io::Error::other)?;
        Ok(Self { ask, from, to })
    }

    /// Whether who asked is still there: nobody says two things, so that whatever can be read now is the end.
    async fn is_wanted(&mut self) -> bool {
        timeout(Duration::ZERO, self.from.fill_buf()).await.is_err()
    }
}

fn planned(steps: Result<Vec<Step>, ActionError>) -> Answer {
    let one = |step: Step| PlannedStep {
        action: step.word().to_owned(),
        step: step.name,
        site: step.site,
        if_it_fails: match step.on_failure {
            OnFailure::RollBack => "all before it is taken back".to_owned(),
            OnFailure::Skip => "the plan goes on".to_owned(),
            OnFailure::GoOn => "the plan goes on, and has failed".to_owned(),
        },
    };
    match steps {
        Ok(steps) => Answer::Planned(steps.into_iter().map(one).collect()),
        Err(refused) => Answer::Refused(refused.to_string()),
    }
}

async fn say(to: &mut OwnedWriteHalf, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer).map_err(io::Error::other)?;
    line.push(b'\n');
    // Who does not listen holds up nothing.
    timeout(PATIENCE, to.write_all(&line)).await?
}

/// What happened since it came up, for whoever asks, and for whoever waits.
#[derive(Debug)]
struct Log {
    began: Instant,
    entries: Mutex<Vec<Entry>>,
    told: Mutex<Option<UnboundedSender<Entry>>>,
}

impl Log {
    fn new() -> Self {
        Self { began: Instant::now(), entries: Mutex::default(), told: Mutex::default() }
    }

    /// Tells somebody what happens while a plan is carried out, and what it came to. The plan goes on when nobody listens.
    async fn tell(
        &self,
        work: impl Future<Output = Result<(), ActionError>>,
        to: &mut OwnedWriteHalf,
    ) -> Answer {
        let (sender, mut events) = unbounded_channel();
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        let mut failed = Vec::new();
        let mut heard = async |entry: Entry, to: &mut OwnedWriteHalf| {
            if let Event::Step { name, outcome: StepOutcome::Failed, rollback: false, .. } =
                &entry.event
            {
                failed.push(name.clone());
            }
            let _ = say(to, &Answer::Happened(Box::new(entry))).await;
        };
        tokio::pin!(work);
        let ended = loop {
            tokio::select! {
                ended = &mut work => break ended,
                Some(entry) = events.recv() => heard(entry, to).await,
            }
        };
        while let Ok(entry) = events.try_recv() {
            heard(entry, to).await;
        }
        match ended {
            Err(error) => Answer::Failed(error.to_string()),
            Ok(()) if failed.is_empty() => Answer::Done,
            Ok(()) => Answer::Failed(format!(
                "it was carried out, but these steps failed: {}",
                failed.join("; ")
            )),
        }
    }

    /// Changes of state, a line each.
    fn changes(&self) -> Vec<String> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let change = |entry: &Entry| match &entry.event {
            Event::StateChanged { from, to, reason } => {
                let (from, to) = (from.word(), to.word());
                Some(format!("{:.1} s: {from} to {to}: {reason}", entry.at.ms() / 1e3))
            }
            _ => None,
        };
        entries.iter().filter_map(change).collect()
    }
}

impl Journal for Log {
    fn now(&self) -> At {
        At(nanos(self.began.elapsed()))
    }

    fn record(&self, event: Event) {
        let entry = Entry { at: self.now(), event }.redacted();
        if let Some(told) = &*self.told.lock().unwrap_or_else(PoisonError::into_inner) {
            // Who waited may be gone.
            let _ = told.send(entry.clone());
        }
        // Looks that fail come by the thousand, and are summed up in the changes.
        if !matches!(entry.event, Event::HealthCheckFailed { .. }) {
            self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        }
    }
}
