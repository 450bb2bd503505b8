//! Long histories of a register with many clients, for benchmarks.

use drdrill_core::time::At;
use drdrill_histories::{Access, Operation, Outcome};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What `clients` that never pause get from registers that work. Half of the operations write, one write in a
/// thousand times out, and may take effect much later.
pub(crate) fn history(seed: u64, operations: usize, clients: u32, keys: u32) -> Vec<Operation> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut free = vec![0_u64; usize::try_from(clients).unwrap()];
    let mut planned: Vec<(u64, Operation)> = Vec::with_capacity(operations);
    for number in 0..operations {
        let client = number % free.len();
        let sent = free[client] + random.random_range(1..20_000);
        let done = sent + random.random_range(50_000..2_000_000);
        free[client] = done;
        let writes = random.random_bool(0.5);
        let lost = writes && random.random_bool(0.001);
        let value = u64::try_from(number).unwrap();
        let operation = Operation {
            process: u32::try_from(client).unwrap(),
            key: random.random_range(0..keys),
            access: if writes { Access::Write(value) } else { Access::Read(None) },
            sent: At(sent),
            done: At(done),
            outcome: if lost { Outcome::Indeterminate } else { Outcome::Ok },
        };
        let latest = if lost { done + 10_000_000 } else { done };
        planned.push((random.random_range(sent..=latest), operation));
    }
    planned.sort_unstable_by_key(|(effect, _)| *effect);
    let mut values = vec![None; usize::try_from(keys).unwrap()];
    for (_, operation) in &mut planned {
        let value = &mut values[usize::try_from(operation.key).unwrap()];
        match &mut operation.access {
            Access::Write(written) => *value = Some(*written),
            Access::Read(answer) => *answer = *value,
        }
    }
    // As a recorder has them: in the order of their ends.
    planned.sort_unstable_by_key(|(_, operation)| operation.done);
    planned.into_iter().map(|(_, operation)| operation).collect()
}

/// Makes one read return what was overwritten long before. Returns its key.
pub(crate) fn make_stale(history: &mut [Operation]) -> u32 {
    let middle = history.len() / 2;
    let read_from = |from: usize, history: &[Operation]| {
        let reads = |one: &Operation| matches!(one.access, Access::Read(Some(_)));
        from + history[from..].iter().position(reads).unwrap()
    };
    let old = history[read_from(middle, history)];
    let same_key = |one: &Operation| one.key == old.key && matches!(one.access, Access::Read(_));
    let late = history.len() - 1 - history.iter().rev().position(same_key).unwrap();
    history[late].access = old.access;
    old.key
}
