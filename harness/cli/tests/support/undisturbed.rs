//! Drills that are judged by the clock, on a machine that stands still now and then.
//!
//! What a drill says of an outage is true, whoever caused it: where the machine itself stood still, the drill says so too,
//! and the test that expected something else learns nothing about drdrill. So a failed test is taken again when
//! there is evidence from elsewhere that the machine was the cause, and only then.

use std::io::{Write, stderr};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::wait::alone;
use super::world::LEFT;

/// A processor that did nothing for somebody who wanted it for so long was not ours. The probes call an answer slow
/// from the same delay on; the monitors of these drills call a service lost after 150 ms.
const STOOD_STILL: Duration = Duration::from_millis(50);
const TRIES: u32 = 3;

/// The longest that a processor kept somebody waiting, looked for on each as long as `body` runs.
fn longest_wait(body: impl FnOnce()) -> Duration {
    let done = AtomicBool::new(false);
    let watch = |cpu: usize| {
        let mut only = CpuSet::new();
        only.set(cpu).unwrap();
        // One that may not be chosen is not ours to watch.
        let _ = sched_setaffinity(Pid::from_raw(0), &only);
        let nap = Duration::from_millis(5);
        let mut longest = Duration::ZERO;
        while !done.load(Ordering::Relaxed) {
            let began = Instant::now();
            thread::sleep(nap);
            longest = longest.max(began.elapsed().saturating_sub(nap));
        }
        longest
    };
    let cpus = thread::available_parallelism().unwrap().get();
    thread::scope(|scope| {
        let watchers: Vec<_> = (0..cpus).map(|cpu| scope.spawn(move || watch(cpu))).collect();
        body();
        done.store(true, Ordering::Relaxed);
        watchers.into_iter().map(|watcher| watcher.join().unwrap()).max().unwrap()
    })
}

/// Runs a test while no other runs; again, up to three times in all, when it fails and a processor stood still
/// meanwhile. What was left in the world is never excused.
pub(crate) fn undisturbed<T>(body: impl Fn() -> T) -> T {
    let _alone = alone();
    let mut tries = 0;
    loop {
        tries += 1;
        let mut result = None;
        let waited = longest_wait(|| result = Some(catch_unwind(AssertUnwindSafe(&body))));
        match result.unwrap() {
            Ok(value) => return value,
            Err(why) => {
                let text = why.downcast_ref::<String>().map_or("", String::as_str);
                if tries == TRIES || waited < STOOD_STILL || text.contains(LEFT) {
                    resume_unwind(why);
                }
                // Not `eprintln!`: of a test that passes nobody would see that.
                let name = thread::current().name().unwrap_or_default().to_owned();
                let again = "so the test is taken again";
                let line = format!("{name}: a processor stood still for {waited:?}, {again}\n");
                stderr().write_all(line.as_bytes()).unwrap();
            }
        }
    }
}
