//! Split brain: two sites that acknowledge writes at the same time, each in the belief that it decides.
//!
//! Each change of the site that decides begins a new epoch (a term, a timeline, a generation), and an older epoch has
//! no business acknowledging anything that was sent after a newer one acknowledged its first write. Only what is
//! certain counts: a site decided at the latest when its first acknowledgement arrived, and still did when the last
//! write that it acknowledged was sent.

use std::collections::BTreeMap;
use std::fmt;

use drdrill_core::time::At;
use drdrill_core::verdict::Verdict;

/// A write that a site acknowledged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Acknowledgement<'a> {
    /// The site.
    pub site: &'a str,
    /// The epoch in which it acknowledged, as the site itself said. It grows with each change of who decides.
    pub epoch: u64,
    /// When the write was sent.
    pub sent: At,
    /// When its acknowledgement arrived.
    pub done: At,
}

/// The acknowledgements of one site in one epoch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reign {
    /// The site.
    pub site: String,
    /// The epoch.
    pub epoch: u64,
    /// Writes that it acknowledged.
    pub acknowledged: usize,
    /// When the first acknowledgement arrived: by then it decided.
    pub by: At,
    /// When the last acknowledged write was sent: until then it decided.
    pub until: At,
}

/// Two sites that decided at the same time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conflict {
    /// The one that should have stopped.
    pub deposed: Reign,
    /// The one that had taken over.
    pub newer: Reign,
    /// Both decided at the latest from here …
    pub from: At,
    /// … and at least until here.
    pub to: At,
    /// Writes sent after `from` that the deposed one acknowledged.
    pub writes: usize,
}

/// What is known of who decided.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SplitBrain {
    /// Who acknowledged, by epoch.
    pub reigns: Vec<Reign>,
    /// Who did at the same time.
    pub conflicts: Vec<Conflict>,
}

impl SplitBrain {
    /// Looks through all acknowledgements of one body of data. Their order does not matter.
    #[must_use]
    pub fn judge(acknowledgements: &[Acknowledgement<'_>]) -> Self {
        let mut reigns: BTreeMap<(u64, &str), Reign> = BTreeMap::new();
        for one in acknowledgements {
            let reign = reigns.entry((one.epoch, one.site)).or_insert_with(|| Reign {
                site: one.site.to_owned(),
                epoch: one.epoch,
                acknowledged: 0,
                by: one.done,
                until: one.sent,
            });
            reign.acknowledged += 1;
            reign.by = reign.by.min(one.done);
            reign.until = reign.until.max(one.sent);
        }
        let reigns: Vec<Reign> = reigns.into_values().collect();
        let mut conflicts = Vec::new();
        for (index, older) in reigns.iter().enumerate() {
            let later = reigns.get(index + 1..).into_iter().flatten();
            conflicts.extend(later.filter_map(|newer| conflict(older, newer, acknowledgements)));
        }
        Self { reigns, conflicts }
    }

    /// Fails on a conflict. Without an acknowledgement nothing was looked at.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match (self.conflicts.is_empty(), self.reigns.is_empty()) {
            (false, _) => Verdict::Fail,
            (true, true) => Verdict::Unknown,
            (true, false) => Verdict::Pass,
        }
    }
}

/// Whether two sites decided at once. One site that goes from epoch to epoch decides alone. In one epoch there must be
/// one site; whichever began later is taken for the newer.
fn conflict(a: &Reign, b: &Reign, all: &[Acknowledgement<'_>]) -> Option<Conflict> {
    let (deposed, newer) = if a.epoch == b.epoch && b.by < a.by { (b, a) } else { (a, b) };
    let one_after_the_other = a.epoch == b.epoch && newer.until <= deposed.by;
    if a.site == b.site || newer.by >= deposed.until || one_after_the_other {
        return None;
    }
    let too_late = all.iter().filter(|one| {
        (one.site, one.epoch) == (&deposed.site, deposed.epoch) && one.sent > newer.by
    });
    Some(Conflict {
        deposed: deposed.clone(),
        newer: newer.clone(),
        from: newer.by,
        to: deposed.until,
        writes: too_late.count(),
    })
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { deposed, newer, from, to, writes } = self;
        write!(
            f,
            "{} (epoch {}) acknowledged {writes} writes that were sent after {} (epoch {}) had acknowledged one, from \
             {:.6} to {:.6} ms or longer",
            deposed.site,
            deposed.epoch,
            newer.site,
            newer.epoch,
            from.ms(),
            to.ms()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(site: &str, epoch: u64, sent: u64, done: u64) -> Acknowledgement<'_> {
        Acknowledgement { site, epoch, sent: At::from_millis(sent), done: At::from_millis(done) }
    }

    #[test]
    fn failover_and_failback_pass() {
        let all = [
            ack("east", 1, 0, 1),
            ack("east", 1, 10, 11),
            ack("west", 2, 20, 21),
            ack("west", 2, 30, 31),
            ack("east", 3, 40, 41),
        ];
        let found = SplitBrain::judge(&all);
        assert_eq!((found.verdict(), found.reigns.len()), (Verdict::Pass, 3));
    }

    #[test]
    fn a_deposed_site_that_goes_on_fails_with_the_interval() {
        let all = [
            ack("east", 1, 0, 1),
            ack("west", 2, 20, 21),
            ack("east", 1, 19, 40),
            ack("east", 1, 25, 26),
            ack("east", 1, 30, 31),
            ack("west", 2, 50, 51),
        ];
        let found = SplitBrain::judge(&all);
        assert_eq!(found.verdict(), Verdict::Fail);
        assert_eq!(
            found.conflicts[0].to_string(),
            "east (epoch 1) acknowledged 2 writes that were sent after west (epoch 2) had acknowledged one, from \
             21.000000 to 30.000000 ms or longer"
        );
    }

    #[test]
    fn nothing_acknowledged_is_unknown() {
        assert_eq!(SplitBrain::judge(&[]).verdict(), Verdict::Unknown);
    }

    #[test]
    fn a_write_under_way_when_the_other_took_over_proves_nothing() {
        for sent in [19, 21] {
            let all = [ack("east", 1, sent, 40), ack("west", 2, 20, 21)];
            assert_eq!(SplitBrain::judge(&all).verdict(), Verdict::Pass, "sent at {sent}");
        }
    }

    #[test]
    fn two_sites_in_one_epoch_fail_only_when_at_the_same_time() {
        let apart = [ack("west", 1, 0, 1), ack("west", 1, 2, 3), ack("east", 1, 10, 11)];
        assert_eq!(SplitBrain::judge(&apart).verdict(), Verdict::Pass);
        let together = [ack("west", 1, 0, 1), ack("east", 1, 10, 11), ack("west", 1, 20, 21)];
        let found = SplitBrain::judge(&together);
        assert_eq!(found.verdict(), Verdict::Fail);
        assert_eq!(found.conflicts[0].deposed.site, "west");
    }

    #[test]
    fn one_site_may_go_from_epoch_to_epoch() {
        let all = [ack("east", 1, 5, 6), ack("east", 2, 1, 2)];
        assert_eq!(SplitBrain::judge(&all).verdict(), Verdict::Pass);
    }
}
