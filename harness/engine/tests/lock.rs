//! Eight want the same environment: one gets it, and the others are told who did.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use drdrill_engine::lock::{EnvironmentLock, LockError};
use drdrill_engine::state::StateDir;

/// Races, unless `DRDRILL_RACES` says otherwise.
const RACES: usize = 20;
/// Source: undo-and-security goals, R8.
const CONTENDERS: usize = 8;
/// Where the second process of a test finds the state directory.
const HOLD_IN: &str = "DRDRILL_TEST_HOLD_IN";
/// What it says when it has the lock.
const HELD: &str = "the lock is held";

fn races() -> usize {
    std::env::var("DRDRILL_RACES").map_or(RACES, |races| races.parse().unwrap())
}

/// What one contender came to, and after how long.
struct Attempt {
    name: String,
    won: bool,
    /// What it was told, when it lost.
    error: String,
    took: Duration,
}

fn contend(state: &StateDir, name: String, start: &Barrier, end: &Barrier) -> Attempt {
    start.wait();
    let began = Instant::now();
    let result = EnvironmentLock::take(state, "lab", &name);
    let took = began.elapsed();
    // Whoever has it keeps it until everybody was answered.
    end.wait();
    let error = match &result {
        Ok(_) => String::new(),
        Err(error @ LockError::Held { .. }) => error.to_string(),
        Err(error) => panic!("{error}"),
    };
    Attempt { name, won: result.is_ok(), error, took }
}

#[test]
fn of_eight_contenders_exactly_one_wins_and_is_named_to_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::at(dir.path().join("state"));
    state.prepare().unwrap();
    let mut slowest = Duration::ZERO;
    for race in 0..races() {
        let (start, end) = (Barrier::new(CONTENDERS), Barrier::new(CONTENDERS));
        let attempts: Vec<Attempt> = thread::scope(|scope| {
            let contender = |number| {
                let name = format!("run {race}-{number} (process {number}) since noon");
                let (state, start, end) = (&state, &start, &end);
                scope.spawn(move || contend(state, name, start, end))
            };
            let all: Vec<_> = (0..CONTENDERS).map(contender).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let winners: Vec<_> = attempts.iter().filter(|attempt| attempt.won).collect();
        assert_eq!(winners.len(), 1, "race {race}");
        let said = format!("environment lab is in use: {}", winners[0].name);
        for loser in attempts.iter().filter(|attempt| !attempt.won) {
            assert_eq!(loser.error, said, "race {race}");
            assert!(loser.took < Duration::from_secs(1), "race {race}: {:?}", loser.took);
            slowest = slowest.max(loser.took);
        }
    }
    println!("{} races, slowest answer to a loser: {slowest:?}", races());
}

/// A process that takes the lock and keeps it until it is killed. Killed when dropped.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The second process of the test below: this program again, told where to hold the lock. By itself it does nothing.
#[test]
fn holder() {
    let Some(dir) = std::env::var_os(HOLD_IN).map(PathBuf::from) else { return };
    let me = format!("run held (process {}) since noon", std::process::id());
    let _lock = EnvironmentLock::take(&StateDir::at(dir), "lab", &me).unwrap();
    println!("{HELD}");
    // Until it is killed; should that never come, not for ever.
    thread::sleep(Duration::from_mins(2));
}

#[test]
fn the_lock_of_a_killed_holder_is_free_and_its_name_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::at(dir.path().join("state"));
    state.prepare().unwrap();
    let mut slowest = Duration::ZERO;
    for _ in 0..races() {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "holder", "--nocapture"]).env(HOLD_IN, state.root());
        let mut holder = Holder(command.stdout(Stdio::piped()).spawn().unwrap());
        let said = BufReader::new(holder.0.stdout.take().unwrap()).lines();
        let held = said.map(Result::unwrap).any(|line| line.contains(HELD));
        assert!(held, "the holder did not get the lock");
        let named = format!(": run held (process {}) since noon", holder.0.id());
        let refused = EnvironmentLock::take(&state, "lab", "me").unwrap_err().to_string();
        assert!(refused.ends_with(&named), "{refused}");
        holder.0.kill().unwrap();
        let killed = Instant::now();
        let lock = loop {
            match EnvironmentLock::take(&state, "lab", "me") {
                Ok(lock) => break lock,
                Err(error) => assert!(killed.elapsed() < Duration::from_secs(1), "{error}"),
            }
        };
        slowest = slowest.max(killed.elapsed());
        let next = EnvironmentLock::take(&state, "lab", "you").unwrap_err().to_string();
        assert!(next.ends_with(": me"), "{next}");
        drop(lock);
    }
    println!("{} kills, slowest until the lock was free: {slowest:?}", races());
}
