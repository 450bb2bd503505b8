//! Who decided about the writes of a service, as the acknowledgements themselves say.

use drdrill_core::probe::Purpose;
use drdrill_core::record::SplitBrain as Recorded;
use drdrill_histories::split_brain::{Acknowledgement, Conflict, Reign, SplitBrain};

use super::digest::Digest;

/// Who decided, from the writes of one service.
#[derive(Clone, Debug)]
pub(crate) struct Reigns {
    pub(crate) found: SplitBrain,
    /// Acknowledged writes of which nobody said who decided.
    pub(crate) untold: usize,
}

impl Reigns {
    /// Those of one service; `None` where no acknowledgement says anything.
    pub(crate) fn of(digest: &Digest<'_>, service: &str) -> Option<Self> {
        let own = digest
            .start
            .streams
            .iter()
            .filter(|stream| stream.service == service && stream.purpose == Purpose::Write);
        let mut told = Vec::new();
        let mut untold = 0;
        for stream in own {
            let acknowledged =
                digest.acknowledged.iter().filter(|sample| sample.stream == stream.id);
            for sample in acknowledged {
                match &sample.decider {
                    Some(decider) => told.push(Acknowledgement {
                        site: &decider.site,
                        epoch: decider.epoch,
                        sent: sample.sent,
                        done: sample.done,
                    }),
                    None => untold += 1,
                }
            }
        }
        (!told.is_empty()).then(|| Self { found: SplitBrain::judge(&told), untold })
    }

    /// The conflicts, for the record.
    pub(crate) fn conflicts(&self, service: &str) -> Vec<Recorded> {
        let recorded = |conflict: &Conflict| Recorded {
            from_ms: conflict.from.ms(),
            to_ms: conflict.to.ms(),
            detail: format!("{service}: {conflict}"),
        };
        self.found.conflicts.iter().map(recorded).collect()
    }

    /// Everybody who decided, in the order of their epochs.
    pub(crate) fn in_words(&self) -> String {
        let one = |reign: &Reign| {
            let Reign { site, epoch, acknowledged, .. } = reign;
            format!("{site} in epoch {epoch} ({acknowledged} writes)")
        };
        let all: Vec<String> = self.found.reigns.iter().map(one).collect();
        all.join(", then ")
    }
}
