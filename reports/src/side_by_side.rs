//! The same work on many things, as many at a time as this machine has cores.

use std::num::NonZero;
use std::{panic, thread};

/// What `work` makes of each of `items`, in their order.
pub fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let shares = items.chunks(items.len().div_ceil(threads).max(1));
    let work = &work;
    thread::scope(|scope| {
        let shares: Vec<_> = shares
            .map(|share| scope.spawn(move || share.iter().map(work).collect::<Vec<R>>()))
            .collect();
        let join = |share: thread::ScopedJoinHandle<'_, Vec<R>>| {
            share.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked))
        };
        shares.into_iter().flat_map(join).collect()
    })
}
