//! However the process ends or hangs, the fault ends too.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use drdrill_core::network::{NetworkPlace, Way};
use drdrill_faults::namespace::Namespace;
use drdrill_faults::nft::{Found, Strike, Table, find};
use rand::RngExt;
use rustix::process::{Pid, Signal, kill_process};

use crate::world::{Host, LONG, PATIENCE, Stream, World, rules, until};

/// Says to this very program that it is the holder: `pid,lease in ms,how often to renew in ms,child`.
const HOLD: &str = "DRDRILL_TEST_NFT_HOLD";

/// A byte that the test's own framework never writes.
const BELL: u8 = 7;

/// A process that holds a cut of everything.
struct Holder(Child);

impl Holder {
    fn new(host: &Host, lease: Duration, renew: Duration, child: bool) -> Self {
        let (lease, renew) = (lease.as_millis(), renew.as_millis());
        let holder = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "death::holder", "--nocapture"])
            .env(HOLD, format!("{},{lease},{renew},{child}", host.pid()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self(holder)
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The holder itself; with nothing to hold it is done.
#[test]
fn holder() {
    let Ok(order) = std::env::var(HOLD) else { return };
    let words: Vec<&str> = order.split(',').collect();
    let number = |index: usize| words[index].parse::<u64>().unwrap();
    let place = NetworkPlace::Pid(words[0].parse().unwrap());
    let namespace = Namespace::open(&place).unwrap();
    let lease = Duration::from_millis(number(1));
    let cut = rules(Strike::Drop, Way::Both);
    let mut table = Table::install(&namespace, "t", &cut, lease).unwrap();
    // It has the pipes of this process, and lives for as long as the test keeps them.
    let child = (words[3] == "true").then(|| Command::new("cat").spawn().unwrap());
    let end = Instant::now() + Duration::from_mins(1);
    while Instant::now() < end {
        std::thread::sleep(Duration::from_millis(number(2)));
        table.renew().unwrap();
    }
    child.map(|mut child| child.kill());
}

fn held(world: &World) -> bool {
    find(&world.node.namespace, "t").unwrap() == Some(Found { owned: true })
}

/// How long it takes until traffic flows in both directions.
fn flows(streams: &mut [Stream; 2]) -> Duration {
    let start = Instant::now();
    for stream in streams {
        until("traffic flows", PATIENCE, || stream.flows());
    }
    start.elapsed()
}

#[test]
fn killed_at_any_moment_it_leaves_nothing() {
    let kills = std::env::var("DRDRILL_KILLS").map_or(50, |kills| kills.parse().unwrap());
    let world = World::new();
    let mut streams = Stream::both(&world, false, 1, 0);
    let mut times = Vec::new();
    for round in 0..kills {
        let holder = Holder::new(&world.node, LONG, Duration::from_millis(1), false);
        if round % 2 == 0 {
            until("the cut is there", PATIENCE, || held(&world));
        }
        let moment = rand::rng().random_range(0..10_000);
        std::thread::sleep(Duration::from_micros(moment));
        let was_held = held(&world);
        holder.signal(Signal::KILL);
        let time = flows(&mut streams);
        if was_held {
            times.push(time);
        }
        until("the process is gone", PATIENCE, || {
            find(&world.node.namespace, "t").unwrap().is_none()
        });
        drop(holder);
        assert_eq!(world.node.tables(), "", "round {round}");
    }
    times.sort();
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    let (median, most, last) = (at(50), at(99), at(100));
    println!(
        "{kills} kills, {} while cut: p50 {median:?}, p99 {most:?}, max {last:?}",
        times.len()
    );
    assert!(times.len() >= kills / 2);
    assert!(last < Duration::from_millis(250), "{last:?}");
}

#[test]
fn a_hanging_process_holds_nothing_beyond_its_lease() {
    const LEASE: Duration = Duration::from_secs(2);
    let world = World::new();
    let mut streams = Stream::both(&world, true, 1, 0);
    let holder = Holder::new(&world.node, LEASE, Duration::from_millis(200), false);
    until("the cut is there", PATIENCE, || held(&world));

    // Renewed, it lasts longer than the lease.
    let start = Instant::now();
    while start.elapsed() < LEASE + Duration::from_secs(1) {
        for stream in &mut streams {
            assert!(!stream.flows(), "after {:?}", start.elapsed());
        }
        std::thread::sleep(Duration::from_millis(20));
    }

    let stopped = Instant::now();
    holder.signal(Signal::STOP);
    let time = flows(&mut streams);
    println!("stopped: traffic flows after {time:?}, lease {LEASE:?}");
    assert!(stopped.elapsed() < LEASE + Duration::from_secs(1));
    // The last renewal was at most 200 ms before the stop, if the machine was not very busy.
    assert!(time > LEASE / 2, "{time:?}");
    assert!(held(&world), "the table is still there, without effect");
}

#[test]
fn a_lease_that_was_over_can_begin_again() {
    let lease = Duration::from_millis(300);
    let world = World::new();
    let mut streams = Stream::both(&world, false, 1, 0);
    let cut = rules(Strike::Drop, Way::Both);
    let mut table = Table::install(&world.node.namespace, "t", &cut, lease).unwrap();
    for _ in 0..3 {
        assert!(flows(&mut streams) >= lease / 2);
        table.renew().unwrap();
        // Renewed again before it was over: the next round begins anew, too.
        table.renew().unwrap();
        for stream in &mut streams {
            assert!(!stream.flows());
        }
    }
    table.remove().unwrap();
}

#[test]
fn a_child_does_not_keep_it() {
    let world = World::new();
    let mut streams = Stream::both(&world, false, 1, 0);
    let mut holder = Holder::new(&world.node, LONG, Duration::from_millis(100), true);
    let mut input = holder.0.stdin.take().unwrap();
    let mut output = holder.0.stdout.take().unwrap();
    let mut child_answers = || {
        input.write_all(&[BELL]).unwrap();
        let mut byte = [0];
        while byte[0] != BELL {
            output.read_exact(&mut byte).unwrap();
        }
    };
    child_answers();
    assert!(held(&world));
    holder.signal(Signal::KILL);
    let time = flows(&mut streams);
    child_answers();
    assert!(time < Duration::from_millis(250), "{time:?}");
    assert_eq!(world.node.tables(), "");
}

#[test]
fn dropping_it_takes_it_back() {
    let world = World::new();
    let mut streams = Stream::both(&world, false, 1, 0);
    let cut = rules(Strike::Drop, Way::Both);
    let table = Table::install(&world.node.namespace, "t", &cut, LONG).unwrap();
    for stream in &mut streams {
        stream.send(8);
    }
    drop(table);
    for stream in &mut streams {
        stream.passes("after the drop");
    }
    assert_eq!(world.node.tables(), "");
}

/// The kernel cleans up behind a socket that was closed when the next may already be there.
#[test]
fn the_end_of_one_is_not_the_end_of_the_next() {
    let world = World::new();
    let cut = rules(Strike::Drop, Way::Both);
    let install = || Table::install(&world.node.namespace, "t", &cut, LONG).unwrap();
    for round in 0..50 {
        install().remove().unwrap();
        let mut next = install();
        // As long as the kernel ever took (27 ms) and some more.
        std::thread::sleep(Duration::from_millis(if round % 10 == 0 { 100 } else { 0 }));
        next.renew().unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        next.remove().unwrap_or_else(|error| panic!("round {round}: {error:?}"));
    }
}
