//! The tables that hold faults in effect. The kernel removes them when this process ends, however it ends.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::nft::{NftError, Table};

/// A fault ends so long after the harness has stopped to renew it, as a harness that hangs does.
///
/// Source: undo-and-security goals, R3. Shorter than the keeper's patience: the network is back before the keeper acts.
pub(super) const LEASE: Duration = Duration::from_secs(10);
/// Time between two renewals: two may be late before a lease runs out.
const RENEWAL: Duration = Duration::from_secs(3);

/// Faults in effect, by the tag of their tables. One for the process, because the kernel keeps them for the process.
static HELD: Mutex<BTreeMap<String, Lease>> = Mutex::new(BTreeMap::new());

struct Lease {
    end: Sender<()>,
    thread: JoinHandle<Result<(), NftError>>,
}

/// Holds `tables` in effect until they are released.
///
/// # Errors
/// When no thread can be had to renew the lease; the tables are gone then.
pub(super) fn hold(tag: &str, tables: Vec<Table>) -> io::Result<()> {
    let (end, ended) = channel();
    let thread = Builder::new().name("lease".into()).spawn(move || renew(tables, &ended))?;
    all().insert(tag.to_owned(), Lease { end, thread });
    Ok(())
}

/// Removes the tables of `tag`; returns when the kernel has done so. Without such tables nothing is done.
///
/// # Errors
/// When the kernel would not remove one. It is gone all the same: its socket is closed.
pub(super) fn release(tag: &str) -> Result<(), NftError> {
    let lease = all().remove(tag);
    let Some(lease) = lease else { return Ok(()) };
    drop(lease.end);
    // A thread that failed has dropped its tables.
    lease.thread.join().unwrap_or(Ok(()))
}

/// Whether the tables of `tag` are held and were always renewed.
pub(super) fn holds(tag: &str) -> bool {
    all().get(tag).is_some_and(|lease| !lease.thread.is_finished())
}

fn all() -> MutexGuard<'static, BTreeMap<String, Lease>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Renews until the sender is dropped.
fn renew(mut tables: Vec<Table>, ended: &Receiver<()>) -> Result<(), NftError> {
    while ended.recv_timeout(RENEWAL) == Err(RecvTimeoutError::Timeout) {
        for table in &mut tables {
            table.renew()?;
        }
    }
    tables.into_iter().map(Table::remove).fold(Ok(()), Result::and)
}
