//! kill -9 at random moments, over all kinds of faults: nothing stays broken.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod cut;
    pub(crate) mod daemon;
    pub(crate) mod drill;
    pub(crate) mod full;
    pub(crate) mod ground;
    pub(crate) mod iptables;
    pub(crate) mod machine;
    pub(crate) mod net;
    pub(crate) mod number;
    pub(crate) mod quick;
    pub(crate) mod random;
    pub(crate) mod sandbox;
    pub(crate) mod tmpfs;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::ground::Ground;
use support::number::number_of;
use support::random::Random;
use support::wait::{alone, until};
use support::world::nothing_is_left;

/// How often the harness is killed, unless `DRDRILL_KILLS` says otherwise.
const KILLS: u64 = 20;
/// The drills are over after about so long.
const LENGTH: Duration = Duration::from_millis(4500);
/// A fault that the kernel holds is gone so long after the death of its holder.
///
/// Source: undo-and-security goals, R1: 250 ms. Four times as much, for machines that are busy with other tests; what it
/// took is printed.
const KERNEL: Duration = Duration::from_secs(1);

/// What was seen of one kind of fault.
#[derive(Default)]
struct Seen {
    kills: u32,
    while_held: u32,
    trees: u32,
    /// `None` where nothing was there for the kernel to take back.
    kernel: Option<Duration>,
    keeper: Duration,
    recover: Duration,
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.while_held += other.while_held;
        self.trees += other.trees;
        self.kernel = self.kernel.max(other.kernel);
        self.keeper = self.keeper.max(other.keeper);
        self.recover = self.recover.max(other.recover);
    }
}

/// Kills the harness after `moment`, and its keeper before it when the whole `tree` is meant; then looks until nothing is
/// left.
fn strike(ground: &Ground, moment: Duration, tree: bool, seen: &mut Seen) {
    let starts = ground.starts();
    let mut drill = ground.start();
    thread::sleep(moment);
    let held = ground.in_effect();
    if tree && let Some(keeper) = ground.keeper() {
        let killed = kill(Pid::from_raw(keeper), Signal::SIGKILL);
        assert!(matches!(killed, Ok(()) | Err(Errno::ESRCH)), "{killed:?}");
    }
    drill.signal(Signal::SIGKILL);
    let began = Instant::now();
    seen.while_held += u32::from(held);
    if ground.ends_with_its_holder() {
        until("the kernel takes back what it held", KERNEL, || (!ground.in_effect()).then_some(()));
        ground.is_whole();
        if held {
            seen.kernel = Some(began.elapsed()).max(seen.kernel);
        }
    }
    let outcome = drill.end();
    // The drill before this one was killed, and this one was allowed to begin. What it found, if it came to its end first,
    // is not asked here: machines are busy.
    assert!(matches!(outcome.code, None | Some(0 | 10 | 11)), "{outcome:#?}");
    assert!(!outcome.stderr.contains("panicked at"), "{outcome:#?}");
    if tree {
        let recovered = ground.sandbox.run("recover").exits(0);
        seen.recover = seen.recover.max(began.elapsed());
        seen.trees += 1;
        assert!(!recovered.stdout.contains("STILL IN PLACE"), "{recovered:#?}");
        // A second recover has nothing to do.
        nothing_is_left(&ground.sandbox);
    } else {
        nothing_is_left(&ground.sandbox);
        seen.keeper = seen.keeper.max(began.elapsed());
    }
    assert!(!ground.in_effect());
    ground.is_whole();
    assert!(ground.starts() <= starts + 1, "it was started more than once");
    seen.kills += 1;
}

#[test]
fn a_harness_killed_at_any_moment_leaves_nothing() {
    let _alone = alone();
    let kills = number_of("DRDRILL_KILLS").unwrap_or(KILLS);
    let random = Mutex::new((0, Random::new()));
    let seen: Mutex<BTreeMap<&str, Seen>> = Mutex::default();
    let lane = || {
        let grounds = Ground::all();
        loop {
            let (number, moment) = {
                let (number, random) = &mut *random.lock().unwrap();
                *number += 1;
                (*number, random.below(LENGTH))
            };
            if number > kills {
                return;
            }
            let place = usize::try_from(number).unwrap() % grounds.len();
            // Every third time, and not always on the same grounds.
            let turn = number / u64::try_from(grounds.len()).unwrap();
            let (ground, tree) = (&grounds[place], (number + turn) % 3 == 0);
            println!("kill {number} of {kills}: {}, tree {tree}, after {moment:?}", ground.kind);
            let mut one = Seen::default();
            strike(ground, moment, tree, &mut one);
            seen.lock().unwrap().entry(ground.kind).or_default().add(&one);
        }
    };
    // Side by side: what is left does not depend on who else is at work.
    let lanes = number_of("DRDRILL_LANES").unwrap_or(2);
    thread::scope(|scope| (0..lanes).map(|_| scope.spawn(lane)).for_each(drop));
    let seen = seen.into_inner().unwrap();
    for (kind, seen) in &seen {
        println!(
            "{kind}: {} kills ({} of harness and keeper), {} seen in effect; longest: kernel {}, keeper {:?}, recover {:?}; left: 0",
            seen.kills,
            seen.trees,
            seen.while_held,
            seen.kernel.map_or("-".to_owned(), |took| format!("{took:?}")),
            seen.keeper,
            seen.recover
        );
    }
    assert_eq!(seen.values().map(|seen| u64::from(seen.kills)).sum::<u64>(), kills);
    if kills >= KILLS {
        assert!(
            seen.values().map(|seen| seen.while_held).sum::<u32>() > 0,
            "no fault was in effect"
        );
    }
}

#[test]
fn while_a_network_is_down_the_keeper_takes_it_back() {
    let _alone = alone();
    let mut grounds = Ground::all().into_iter();
    let ground = grounds.find(|ground| ground.kind == "network_down").unwrap();
    for pause in [0, 150, 400] {
        let mut drill = ground.start();
        drill.says("in effect");
        thread::sleep(Duration::from_millis(pause));
        drill.signal(Signal::SIGKILL);
        drill.end();
        nothing_is_left(&ground.sandbox);
    }
}
