//! What is shown while a drill runs: a live line on a terminal, plain lines otherwise. Always on standard error, so
//! that standard output carries the result alone.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::time::Duration;

use console::{Term, style};
use drdrill_core::event::{Entry, Event, Milestone, Stage, StepOutcome, StreamFacts};
use drdrill_core::probe::{Connection, Purpose};
use drdrill_core::runbook::{RunbookStep, StepBy};
use drdrill_core::sample::Sample;
use drdrill_core::secret::redacted;
use drdrill_core::time::At;
use drdrill_core::verdict::Verdict;
use drdrill_engine::history::Observer;
use drdrill_reports::escape;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;

/// The live line shows the availability of so much time.
const WINDOW: Duration = Duration::from_secs(1);
/// Time between two changes of the live line.
const REDRAW: Duration = Duration::from_millis(100);

/// Lines of the history that may wait to be shown; more are dropped from the screen, never from the evidence. What people
/// are asked is never dropped: there are no more of these than steps of a runbook.
const WAITING: usize = 4_000;
/// Time the last lines may take to be shown.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Shows a drill on a thread of its own: a terminal that takes no output must hold nothing up.
#[derive(Debug)]
pub(crate) struct Screen {
    lines: Sender<Box<Entry>>,
    waiting: Arc<AtomicUsize>,
    over: Receiver<()>,
}

impl Screen {
    /// Begins with `intro`. With `asks` steps of a runbook are asked for here, and it is told which were.
    pub(crate) fn start(intro: &str, asks: Option<watch::Sender<usize>>) -> Self {
        let (lines, shown) = channel::<Box<Entry>>();
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = waiting.clone();
        let (ended, over) = sync_channel(1);
        let intro = intro.to_owned();
        std::thread::spawn(move || {
            let mut progress = Progress::new(asks);
            progress.say(&intro);
            while let Ok(entry) = shown.recv() {
                left.fetch_sub(1, Ordering::Relaxed);
                progress.show(&entry);
            }
            progress.end();
            // Nobody waits any more when the screen was too slow.
            let _ = ended.send(());
        });
        Self { lines, waiting, over }
    }

    /// What shows the history as it grows.
    pub(crate) fn observer(&self) -> Observer {
        let (lines, waiting) = (self.lines.clone(), self.waiting.clone());
        Box::new(move |entry| {
            if waiting.load(Ordering::Relaxed) < WAITING || is_of_people(&entry.event) {
                waiting.fetch_add(1, Ordering::Relaxed);
                // Nobody looks any more when it cannot be sent.
                let _ = lines.send(Box::new(entry.clone()));
            }
        })
    }

    /// Ends once everything is shown, or soon.
    pub(crate) fn end(self) {
        drop(self.lines);
        // Too late is as good as done.
        let _ = self.over.recv_timeout(LAST_LINES);
    }
}

/// What decides whom the screen asks, and when it asks no more.
const fn is_of_people(event: &Event) -> bool {
    matches!(
        event,
        Event::RunbookFollowed { .. }
            | Event::RunbookStepStarted { .. }
            | Event::RunbookStep { .. }
            | Event::StageStarted(_)
            | Event::Aborted { .. }
    )
}

/// Shows a drill as its history grows.
#[derive(Debug)]
struct Progress {
    live: Option<ProgressBar>,
    deciding: Vec<StreamFacts>,
    recent: VecDeque<(At, bool)>,
    acknowledged: u64,
    failed: u64,
    stage: &'static str,
    drawn: At,
    /// The runbook that is followed.
    steps: Vec<RunbookStep>,
    /// Where it says which question it has shown; `None` where it shows none.
    asks: Option<watch::Sender<usize>>,
    /// Whether somebody is asked now: the live line would be in the way of what they type.
    asking: bool,
}

impl Progress {
    /// A live line where standard error is a terminal and nobody says that this is a CI job; else plain lines.
    fn new(asks: Option<watch::Sender<usize>>) -> Self {
        let live = std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        let live = live.then(|| {
            let bar = ProgressBar::new_spinner();
            // The template is a constant; a wrong one would show in the first run.
            if let Ok(look) = ProgressStyle::with_template("{spinner:.cyan} {msg}") {
                bar.set_style(look);
            }
            bar.enable_steady_tick(REDRAW);
            bar
        });
        Self {
            live,
            deciding: Vec::new(),
            recent: VecDeque::new(),
            acknowledged: 0,
            failed: 0,
            stage: "starting",
            drawn: At::default(),
            steps: Vec::new(),
            asks,
            asking: false,
        }
    }

    /// Shows what happens before the history begins.
    fn say(&self, text: &str) {
        match &self.live {
            Some(bar) if !self.asking => bar.println(redacted(text)),
            _ => crate::out::error(text),
        }
    }

    /// Shows somebody what to do, and leaves the last line of the terminal to them.
    fn ask(&mut self, name: &str, who: &str) {
        self.asking = true;
        if let Some(bar) = &self.live {
            bar.disable_steady_tick();
            bar.set_draw_target(ProgressDrawTarget::hidden());
            // A terminal that is gone needs no clean line.
            let _ = Term::stderr().clear_line();
        }
        let Some(step) = self.steps.iter().find(|step| step.name == name) else { return };
        let number = 1 + self.steps.iter().take_while(|step| step.name != name).count();
        let mut text = format!(
            "\n{number}/{}  {}: {}   by {} ({}), within {}\n",
            self.steps.len(),
            step.phase.word(),
            step.name,
            step.owner,
            who,
            step.within
        );
        let lines = step.actions.iter().map(|action| ("do", action));
        let lines = lines.chain([("expect", &step.expect)]);
        for (what, said) in lines.chain(step.otherwise.iter().map(|said| ("else", said))) {
            let _infallible = writeln!(text, "    {what:<7} {said}");
        }
        text.push_str("    Is it done? d (done), f (failed) or s (skipped), and a note behind it:");
        crate::out::error(&crate::out::harmless(&text));
        if let Some(asks) = &self.asks {
            // Nobody waits for it any more when it cannot be told.
            let _ = asks.send(number);
        }
    }

    /// Nobody is asked any more.
    fn answered(&mut self) {
        self.asking = false;
        if let Some(bar) = &self.live {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(REDRAW);
        }
    }

    /// Ends the live line.
    fn end(&self) {
        if let Some(bar) = &self.live {
            bar.finish_and_clear();
        }
    }

    /// Shows one line of the history.
    fn show(&mut self, entry: &Entry) {
        if let Event::DrillStarted(started) = &entry.event {
            let decides = |stream: &&StreamFacts| {
                stream.connection == Connection::Fresh
                    && matches!(stream.purpose, Purpose::Write | Purpose::Read)
            };
            self.deciding = started.streams.iter().filter(decides).cloned().collect();
        }
        if let Event::RunbookFollowed { runbook, .. } = &entry.event {
            self.steps.clone_from(&runbook.steps);
        }
        if self.asking && matches!(entry.event, Event::RunbookStep { .. } | Event::Aborted { .. }) {
            self.answered();
        }
        if let Event::Sample(sample) = &entry.event {
            self.count(sample);
        } else if let Some(text) = words(&entry.event) {
            let seconds = format!("{:>7.2} s", entry.at.ms() / 1e3);
            self.say(&format!("{}  {text}", style(seconds).for_stderr().dim()));
        }
        if let Event::StageStarted(stage) = entry.event {
            self.stage = stage.word();
            if self.asking {
                // The drill went on without an answer.
                self.answered();
            }
        }
        if let Event::RunbookStepStarted { step, by: StepBy::Person, who, .. } = &entry.event
            && self.asks.is_some()
        {
            self.ask(step, who);
        }
        if entry.at.since(self.drawn) >= REDRAW {
            self.drawn = entry.at;
            self.draw(entry.at);
        }
    }

    fn count(&mut self, sample: &Sample) {
        let ok = sample.outcome.is_ok();
        let Some(stream) = self.deciding.iter().find(|stream| stream.id == sample.stream) else {
            return;
        };
        if !ok && !sample.outcome.is_failure() {
            return;
        }
        self.recent.push_back((sample.done, ok));
        while self.recent.front().is_some_and(|(at, _)| sample.done.since(*at) > WINDOW) {
            self.recent.pop_front();
        }
        self.acknowledged += u64::from(ok && stream.purpose == Purpose::Write);
        self.failed += u64::from(!ok);
    }

    fn draw(&self, now: At) {
        let Some(bar) = &self.live else { return };
        let good = self.recent.iter().filter(|(_, ok)| *ok).count();
        let availability = if self.recent.is_empty() {
            style("  -  ".to_owned()).dim()
        } else {
            let percent = 100 * good / self.recent.len();
            let text = format!("{percent:>3} %");
            if good == self.recent.len() { style(text).green() } else { style(text).red().bold() }
        };
        bar.set_message(format!(
            "{:<9} {:>6.1} s   availability {availability}   {} writes acknowledged   {} attempts failed",
            self.stage,
            now.ms() / 1e3,
            self.acknowledged,
            self.failed,
        ));
    }
}

fn by_whom(by: StepBy, who: &str) -> String {
    match by {
        StepBy::Person => who.to_owned(),
        StepBy::Machinery => "the machinery".to_owned(),
        StepBy::Command => "a command".to_owned(),
        StepBy::Checks => "functionality checks".to_owned(),
    }
}

/// An event in words; `None` for what would only be noise.
pub(crate) fn words(event: &Event) -> Option<String> {
    let red = |text: &str| style(text.to_owned()).for_stderr().red().bold().to_string();
    let green = |text: &str| style(text.to_owned()).for_stderr().green().to_string();
    let foreign = |text: &str| escape::ci_log(text);
    Some(match event {
        Event::StageStarted(stage) => {
            let text = match stage {
                Stage::Preparing => "preparing",
                Stage::Baseline => "baseline: probes without faults",
                Stage::Fault => "fault",
                Stage::Recovery => "recovery: waiting for the service",
                Stage::Soak => "soak: the restored service is watched",
                Stage::Undo => "undo: faults are taken back",
                Stage::Failback => "failback",
                Stage::Audit => "audit: every write is accounted for",
                Stage::Closing => "closing",
            };
            style(text).for_stderr().bold().to_string()
        }
        Event::FaultPlanned { kind, target, via, .. } => {
            format!("  {} {} through {}", red(&foreign(kind)), foreign(target), foreign(via))
        }
        Event::FaultInEffect { proof, .. } => format!("  in effect: {}", foreign(proof)),
        Event::FaultWithoutEffect { detail, .. } => {
            format!("  {}: {}", red("without effect"), foreign(detail))
        }
        Event::FaultEnded { detail, .. } => {
            format!("  {}: {}", red("ended by itself"), foreign(detail))
        }
        Event::FaultApplyFailed { error, .. } => {
            format!("  {}: {}", red("not injected"), foreign(error))
        }
        Event::FaultReverted { .. } => format!("  {}", green("taken back")),
        Event::FaultStuck { error, .. } | Event::EnvironmentStuck { error, .. } => {
            format!("  {}: {}", red("STUCK"), foreign(error))
        }
        Event::Milestone { milestone, .. } => match milestone {
            Milestone::Detected => format!("  {}", green("detected")),
            Milestone::Decided => format!("  {}", green("failover decided")),
            Milestone::FailedOver => format!("  {}", green("failed over")),
            Milestone::Restored => format!("  {}", green("restored")),
            Milestone::FailbackStarted => return None,
            Milestone::FailbackFinished => format!("  {}", green("failed back")),
        },
        Event::Step { name, outcome, rollback, detail, .. } => {
            let mark = match outcome {
                StepOutcome::Done => green("done"),
                StepOutcome::Failed => red("failed"),
                StepOutcome::Skipped => "skipped".to_owned(),
            };
            let rollback = if *rollback { "rollback of " } else { "" };
            format!("  {mark}  {rollback}{} ({})", foreign(name), foreign(detail))
        }
        Event::RunbookFollowed { runbook, scripted, .. } => {
            let answers = if *scripted { "; what people answer comes from a file" } else { "" };
            format!("  the runbook {} is followed{answers}", foreign(&runbook.runbook))
        }
        Event::RunbookStepStarted { step, by, who, .. } => {
            format!("  step {} by {}", foreign(step), by_whom(*by, &foreign(who)))
        }
        Event::RunbookStep { step, outcome, note, .. } => {
            let mark = match outcome {
                StepOutcome::Done => green("done"),
                StepOutcome::Failed => red("failed"),
                StepOutcome::Skipped => "skipped".to_owned(),
            };
            let note =
                if note.is_empty() { String::new() } else { format!(" ({})", foreign(note)) };
            format!("  {mark}  step {}{note}", foreign(step))
        }
        Event::CommandTakenBack { .. } => format!("  {}", green("command taken back")),
        Event::CommandStuck { error, .. } => format!("  {}: {}", red("STUCK"), foreign(error)),
        Event::FunctionChecked { name, verdict, detail, .. } => {
            let mark = if *verdict == Verdict::Pass { green("works") } else { red("fails") };
            format!("  {mark}  {} ({})", foreign(name), foreign(detail))
        }
        Event::Notified { to, by, error: Some(error), .. } => {
            format!("  {} {} by {by}: {}", red("not told:"), foreign(to), foreign(error))
        }
        Event::Aborted { reason, .. } => format!("{}: {}", red("aborted"), foreign(reason)),
        Event::Note { text } => format!("  note: {}", foreign(text)),
        Event::WritesUnreadable { site, error, .. } => {
            format!("  writes of {} cannot be read: {}", foreign(site), foreign(error))
        }
        _ => return None,
    })
}
