//! Random histories: a register as it is, then perhaps spoilt.

use drdrill_core::time::At;
use drdrill_histories::{Access, Operation, Outcome};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// From `DRDRILL_SEED`, else one of its own. It is printed, so that a failure can be repeated.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("DRDRILL_SEED").ok();
    let seed = given.map_or_else(rand::random, |text| text.parse().unwrap());
    println!("seed: DRDRILL_SEED={seed}");
    seed
}

/// Histories without end.
pub(crate) struct Histories(StdRng);

impl Histories {
    pub(crate) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// Some operations on one key, and whether it is what a register answered, unspoilt. Instants are few, so that
    /// many operations touch or overlap.
    pub(crate) fn small(&mut self) -> (Vec<Operation>, bool) {
        let random = &mut self.0;
        let length: usize = random.random_range(1..=9);
        let line: u64 = random.random_range(4..=24);
        let mut planned: Vec<(f64, Operation)> = Vec::new();
        for number in 0..length {
            let sent = random.random_range(0..line);
            let done = random.random_range(sent..=(sent + line / 3).min(line));
            let outcome = match random.random_range(0..10) {
                0 => Outcome::Failed,
                1 | 2 => Outcome::Indeterminate,
                _ => Outcome::Ok,
            };
            let value = number as u64;
            let access =
                if random.random_bool(0.45) { Access::Write(value) } else { Access::Read(None) };
            let process = u32::try_from(number).unwrap();
            let one =
                Operation { process, key: 0, access, sent: At(sent), done: At(done), outcome };
            // When it takes effect; a timed-out one at any later time, or never.
            let (from, to) = match outcome {
                Outcome::Ok => (sent as f64, done as f64),
                Outcome::Indeterminate => (sent as f64, 2.0 * line as f64),
                Outcome::Failed => (f64::MAX, f64::MAX),
            };
            planned.push((from + (to - from) * random.random::<f64>(), one));
        }
        planned.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut value = None;
        for (at, one) in &mut planned {
            match &mut one.access {
                Access::Write(written) if *at < f64::MAX => value = Some(*written),
                Access::Read(seen) => *seen = value,
                Access::Write(_) => {}
            }
        }
        let mut history: Vec<Operation> = planned.into_iter().map(|(_, one)| one).collect();
        let spoilt = random.random_range(0..3);
        for _ in 0..spoilt {
            self.spoil(&mut history);
        }
        (history, spoilt == 0)
    }

    /// Changes what one read saw, or when something happened.
    fn spoil(&mut self, history: &mut [Operation]) {
        let random = &mut self.0;
        let count = history.len() as u64;
        let chosen = random.random_range(0..history.len());
        let one = &mut history[chosen];
        match &mut one.access {
            Access::Read(seen) if random.random_bool(0.7) => {
                // Any value that may have been written, now and then one that was not, or none.
                let value = random.random_range(0..=count);
                *seen = (value < count || random.random_bool(0.5)).then_some(value);
            }
            _ => {
                let length = one.done.since(one.sent);
                one.sent = At(random.random_range(0..24));
                one.done = one.sent.plus(length);
            }
        }
    }

    /// The same operations in another order.
    pub(crate) fn shuffle(&mut self, history: &mut [Operation]) {
        for last in (1..history.len()).rev() {
            history.swap(last, self.0.random_range(0..=last));
        }
    }
}
