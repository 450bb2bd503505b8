//! Processes that are held and let go, seen in /proc.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{PipeReader, Read, pipe};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use drdrill_core::environment::ProcessIdentity;
use drdrill_faults::process::pauser::hold;

/// A process that never rests. Killed when dropped.
struct Busy(Child);

impl Busy {
    fn start() -> Self {
        Self(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap())
    }

    fn identity(&self) -> ProcessIdentity {
        drdrill_process::of_process("busy", self.0.id().try_into().unwrap()).unwrap()
    }

    fn field(&self, number: usize) -> String {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let rest = stat.rsplit_once(')').unwrap().1;
        rest.split_whitespace().nth(number - 3).unwrap().to_owned()
    }

    /// Clock ticks that it has run, in user mode and in the kernel.
    fn ticks(&self) -> u64 {
        self.field(14).parse::<u64>().unwrap() + self.field(15).parse::<u64>().unwrap()
    }

    #[track_caller]
    fn runs(&self) {
        let (before, give_up) = (self.ticks(), Instant::now() + Duration::from_secs(10));
        while self.ticks() < before + 3 {
            assert!(Instant::now() < give_up, "it does not run: state {}", self.field(3));
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn stands(mut said: PipeReader) {
    let mut ready = [0];
    said.read_exact(&mut ready).unwrap();
    assert_eq!(&ready, b"k");
}

#[test]
fn what_is_held_does_not_run_and_runs_on_afterwards() {
    let (one, other) = (Busy::start(), Busy::start());
    one.runs();
    let identities = [one.identity(), other.identity()];
    let (input, lifeline) = pipe().unwrap();
    let (said, output) = pipe().unwrap();
    let holder = thread::spawn(move || hold(&identities, input, output));
    stands(said);
    assert_eq!((one.field(3).as_str(), other.field(3).as_str()), ("t", "t"));
    let before = one.ticks();
    thread::sleep(Duration::from_millis(200));
    assert_eq!(one.ticks(), before);
    drop(lifeline);
    holder.join().unwrap().unwrap();
    one.runs();
    other.runs();
}

#[test]
fn a_later_process_of_the_same_number_is_not_held() {
    let busy = Busy::start();
    let earlier = ProcessIdentity { start_time: busy.identity().start_time - 1, ..busy.identity() };
    let (said, output) = pipe().unwrap();
    hold(&[earlier], std::io::empty(), output).unwrap();
    stands(said);
    busy.runs();
}

#[test]
fn when_one_cannot_be_held_none_is() {
    let busy = Busy::start();
    let me = drdrill_process::of_process("me", std::process::id().try_into().unwrap()).unwrap();
    let identities = [busy.identity(), me];
    let held = hold(&identities, std::io::empty(), std::io::sink());
    assert!(held.is_err());
    busy.runs();
}
