//! `drdrill halt`: ends the drills of an environment, and refuses new ones until it is released.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use drdrill_core::names::known_names;
use drdrill_engine::state::StateDir;
use drdrill_engine::stop::halt::{self, Levers, Note};
use serde::Serialize;

use super::status::{InPlace, Running, halts, in_place, locked_once, running};
use crate::args::{Format, HaltArgs};
use crate::catalog;
use crate::exit::{Code, Failure, Outcome};
use crate::out;

/// Time between two looks at the drills that are waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What a halt came to.
#[derive(Debug, Serialize)]
struct Halted {
    /// `null` for every environment.
    environment: Option<String>,
    /// Drills that ran when the lever was pulled and have ended.
    ended: Vec<Running>,
    /// Drills that still run.
    running: Vec<Running>,
    /// What is still in place.
    in_place: Vec<InPlace>,
    release: String,
}

/// Refuses a drill on a halted environment.
pub(super) fn refuse_when_halted(state: &StateDir, environment: &str) -> Result<(), Failure> {
    let name = catalog::environment(environment)?.inventory()?.environment;
    match Levers::of(state, &name).look() {
        Ok(None) => Ok(()),
        Ok(Some(halt)) => {
            let release = release_command(halt.environment.as_deref());
            let message = format!("{name} is {halt}\n  release it: {release}");
            Err(Failure::new(Code::Refused, message))
        }
        // Where there is no directory at all, no drill can begin, and `run` has the better words for it.
        Err(_) if !state.root().is_dir() => Ok(()),
        Err(error) => {
            let message = format!("it cannot be told whether {name} is halted: {error}");
            Err(Failure::new(Code::Refused, message))
        }
    }
}

/// What releases a lever.
pub(super) fn release_command(environment: Option<&str>) -> String {
    environment.map_or_else(
        || "drdrill halt --release".to_owned(),
        |name| format!("drdrill halt {name} --release"),
    )
}

/// Pulls a lever, or releases it.
pub(crate) fn halt(state: &StateDir, args: &HaltArgs) -> Outcome {
    let environment = args.environment.as_deref().map(|name| resolve(state, name)).transpose()?;
    if args.release {
        return release(state, environment.as_deref(), args.format.format);
    }
    pull(state, environment.as_deref())?;
    let mut lines = Lines { on: args.format.format == Format::Text };
    let release = release_command(environment.as_deref());
    let what = environment.as_deref().unwrap_or("every environment");
    lines.say(&format!("{what} is halted in {}", state.root().display()));
    lines.say(&format!("new drills are refused until: {release}"));
    let mut halted =
        Halted { environment, ended: vec![], running: vec![], in_place: vec![], release };
    let patience = if args.no_wait { Duration::ZERO } else { args.wait.0 };
    watch(state, &mut halted, patience, &mut lines)?;
    if args.format.format == Format::Json {
        out::json(&halted);
    }
    // Without waiting, what its drill is about to take back is not left.
    let unfinished = !args.no_wait && !halted.running.is_empty();
    let left = halted.in_place.iter().any(|one| !(args.no_wait && one.busy));
    Ok(if unfinished || left { Code::LeftInPlace } else { Code::Passed })
}

/// The environment that is meant: one that drdrill knows, or that of a file. A name that nobody knows is more likely
/// mistyped than meant, and would halt nothing.
fn resolve(state: &StateDir, name: &str) -> Result<String, Failure> {
    let mut known: BTreeSet<String> = locked_once(state)?.into_iter().collect();
    known.extend(catalog::ENVIRONMENTS.iter().map(|one| one.name.to_owned()));
    known.extend(halts(state)?.into_iter().filter_map(|halt| halt.environment));
    if known.contains(name) {
        return Ok(name.to_owned());
    }
    let is_file = name.contains('/') || name.contains('.');
    if is_file {
        return Ok(catalog::environment(name)?.inventory()?.environment);
    }
    let now = running(state)?.into_iter().map(|one| one.environment).collect::<Vec<_>>();
    let now = if now.is_empty() { "none".to_owned() } else { now.join(", ") };
    let known = known_names(name, known.iter().map(String::as_str));
    let message = format!(
        "there is no environment `{name}`; {known}; with a drill running now: {now}\n  halt all of them: drdrill halt"
    );
    Err(Failure::new(Code::Usage, message))
}

fn release(state: &StateDir, environment: Option<&str>, format: Format) -> Outcome {
    let what = environment.unwrap_or("every environment");
    let released = halt::release(state, environment).map_err(|error| {
        Failure::new(Code::NotReady, format!("{what} is still halted: release it: {error}"))
    })?;
    let still = halts(state)?;
    if format == Format::Json {
        out::json(&serde_json::json!({ "released": released, "still_halted": still }));
        return Ok(Code::Passed);
    }
    let said = if released { "is released" } else { "was not halted" };
    out::line(&out::harmless(&format!("{what} {said} in {}", state.root().display())));
    for halt in still {
        let name = halt.environment.as_deref().unwrap_or("every environment");
        let command = release_command(halt.environment.as_deref());
        out::line(&out::harmless(&format!("{name} is still {halt}; release it: {command}")));
    }
    Ok(Code::Passed)
}

/// Puts the lever in place, unless it is pulled already: who halted first stays named.
fn pull(state: &StateDir, environment: Option<&str>) -> Result<(), Failure> {
    let pulled = halts(state)?.into_iter().any(|halt| halt.environment.as_deref() == environment);
    if pulled {
        return Ok(());
    }
    let since = chrono::Utc::now().format("%Y-%m-%d %H:%M:%S UTC").to_string();
    let noted = halt::pull(state, environment, &Note { by: who(), since }).map_err(|error| {
        let message = format!(
            "could NOT halt: {}: {error}{}",
            state.root().display(),
            instead(state, environment)
        );
        Failure::new(Code::NotReady, message)
    })?;
    if let Err(error) = noted {
        out::error(&format!("drdrill: halted, but by whom and when could not be noted: {error}"));
    }
    Ok(())
}

/// What ends the drills where the lever cannot be pulled.
fn instead(state: &StateDir, environment: Option<&str>) -> String {
    let drills = match running(state) {
        Ok(drills) => drills,
        Err(error) => return format!("\n  which drills run cannot be told: {}", error.message),
    };
    let drills = drills.iter().filter(|one| concerns(environment, Some(&one.environment)));
    let line = |one: &Running| match one.process {
        Some(pid) => format!("\n  end the drill on {} instead: kill -INT {pid}", one.environment),
        None => format!("\n  a drill is running on {}", one.environment),
    };
    let lines: String = drills.map(line).collect();
    if lines.is_empty() { "\n  no drill is running".to_owned() } else { lines }
}

/// The person, the host and the process, as others will want to find them.
fn who() -> String {
    let uid = nix::unistd::getuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    let user = user.map_or_else(|| format!("user {uid}"), |user| user.name);
    let host = nix::sys::utsname::uname()
        .map_or_else(|_| "this host".into(), |name| name.nodename().to_string_lossy().into_owned());
    format!("{user} on {host}, process {}", std::process::id())
}

/// Whether a lever concerns something of that environment. What does not say where it belongs may belong anywhere.
fn concerns(lever: Option<&str>, environment: Option<&str>) -> bool {
    lever.is_none() || environment.is_none() || lever == environment
}

/// Waits until the drills have ended and nothing of them is in place, or for as long as `patience` lasts.
fn watch(
    state: &StateDir,
    halted: &mut Halted,
    patience: Duration,
    lines: &mut Lines,
) -> Result<(), Failure> {
    let give_up = Instant::now() + patience;
    let mut seen: Vec<Running> = Vec::new();
    loop {
        let lever = halted.environment.as_deref();
        let mut now = running(state)?;
        now.retain(|one| concerns(lever, Some(&one.environment)));
        let mut open = in_place(state)?;
        open.retain(|one| concerns(lever, one.environment.as_deref()));
        for one in &now {
            if !has(&seen, one) {
                lines.say(&format!("{}: running; it ends and puts everything back", name_of(one)));
                seen.push(one.clone());
            }
        }
        for one in seen.iter().filter(|one| !has(&now, one)) {
            if !halted.ended.contains(one) {
                lines.say(&format!("{}: ended", name_of(one)));
                halted.ended.push(one.clone());
            }
        }
        let at_work = !now.is_empty() || open.iter().any(|one| one.busy);
        (halted.running, halted.in_place) = (now, open);
        if !at_work || Instant::now() >= give_up {
            break;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    lines.tell(halted, patience);
    Ok(())
}

/// Whether a drill is among them. One that has no name yet, or has just wiped it, is the one of its environment.
fn has(drills: &[Running], one: &Running) -> bool {
    let nameless = |other: &Running| {
        other.environment == one.environment && (other.run.is_none() || one.run.is_none())
    };
    drills.iter().any(|other| other == one || nameless(other))
}

fn name_of(one: &Running) -> String {
    match (&one.run, one.process) {
        (Some(run), Some(pid)) => format!("run {run} on {} (process {pid})", one.environment),
        _ => format!("a drill on {}", one.environment),
    }
}

/// Lines for people, as things happen.
struct Lines {
    on: bool,
}

impl Lines {
    fn say(&mut self, line: &str) {
        if self.on {
            out::line(&out::harmless(line));
        }
    }

    /// The end of it.
    fn tell(&mut self, halted: &Halted, patience: Duration) {
        if halted.ended.is_empty() && halted.running.is_empty() {
            self.say("no drill was running");
        }
        if !patience.is_zero() {
            for one in &halted.running {
                let waited = drdrill_core::units::Span(patience);
                self.say(&format!("{}: STILL RUNNING after {waited}", name_of(one)));
            }
        }
        for one in &halted.in_place {
            let what = one.what.join(", ");
            if one.busy {
                self.say(&format!("run {}: being taken back: {what}", one.run));
            } else {
                self.say(&format!("run {}: STILL IN PLACE: {what}", one.run));
                self.say("    take it back: drdrill recover");
            }
        }
        if halted.running.is_empty() && halted.in_place.is_empty() {
            self.say("nothing is in place");
        }
    }
}
