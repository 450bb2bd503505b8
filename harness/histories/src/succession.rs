//! Registers of a system whose sites take over from each other, and may lose what they had acknowledged.
//!
//! A site that takes over after a disaster goes on from what it has: some first part of what the one before had
//! acknowledged. So the history falls into stretches. Each of them has to be that of a register; from one to the next
//! values may be lost, but only the last ones, and none of them may come back. Where a site takes over without a disaster
//! before (a failback, say) nothing may be lost, and what both did is one stretch.
//!
//! Who decided each answer says itself, by its epoch: a number that grows with each change of who decides. An operation
//! that was sent after somebody of a newer epoch had answered belongs to that one's stretch: whoever still answers under
//! an older epoch is judged by what the newer one has.

use std::collections::{BTreeMap, BTreeSet};

use drdrill_core::time::At;

use crate::operation::{Access, Operation, Outcome};

/// An operation, and the epoch of the one who answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The operation.
    pub operation: Operation,
    /// The epoch, where an acknowledged operation says it.
    pub epoch: Option<u64>,
}

/// When something was broken: after `from` and before `at`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Disaster {
    /// Not before this.
    pub from: At,
    /// Not after this.
    pub at: At,
    /// When it was over.
    pub until: At,
    /// Whether the recovery point counts from it: of several, a loss is measured from this one.
    pub decisive: bool,
}

/// A value that was there, and is not among what the next stretch went on from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lost {
    /// Its write.
    pub write: Operation,
    /// The first operation that shows that it was there: its write, or a read of it.
    pub shown: Operation,
    /// The read that shows that it is gone.
    pub read: Operation,
    /// The disaster before the stretch that lacks it.
    pub disaster: Disaster,
    /// Whether that had been in effect already when the one who had it took over: then it has no age.
    pub again: bool,
}

/// A value of before a disaster, read although another one of before it had been found in its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Returned {
    /// The read.
    pub read: Operation,
    /// The read that had found the other one.
    pub before: Operation,
}

/// A history, taken apart into stretches.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Succession {
    /// The operations of each stretch, each to be judged by itself.
    pub stretches: Vec<Vec<Operation>>,
    /// Registers of which the last stretch, and each between, first shows what it went on from: only of them is known
    /// what was lost.
    pub compared: usize,
    /// Values that were lost between stretches.
    pub lost: Vec<Lost>,
    /// Values that came back.
    pub returned: Vec<Returned>,
    /// Acknowledged operations that do not say who answered: their stretch is that of their time.
    pub untold: usize,
}

impl Succession {
    /// Takes a history apart. The order in which answers and disasters are given does not matter. Who first answers after
    /// `way_back` took over as was planned, and not on account of a disaster that still lasted.
    #[must_use]
    pub fn of(answers: &[Answer], disasters: &[Disaster], way_back: Option<At>) -> Self {
        let mut answers = answers.to_vec();
        answers.sort_unstable_by_key(|answer| (answer.operation.rank(), answer.operation.key));
        let mut disasters = disasters.to_vec();
        disasters.sort_unstable();
        let reigns = Reigns::of(&answers, &disasters, way_back);
        let mut found = Self {
            stretches: vec![Vec::new(); reigns.begun_after.len()],
            untold: answers
                .iter()
                .filter(|answer| answer.operation.is_ok() && answer.epoch.is_none())
                .count(),
            ..Self::default()
        };
        let mut keys: BTreeMap<u32, Key> = BTreeMap::new();
        for answer in &answers {
            let key = keys.entry(answer.operation.key).or_default();
            key.enter(answer.operation, || reigns.stretch_of(answer));
        }
        for key in keys.values() {
            found.compared += usize::from(key.judge(&reigns, &mut found));
        }
        found
    }
}

/// Why a stretch may lack something.
#[derive(Clone, Copy)]
struct Cut {
    disaster: Disaster,
    /// Whether it had been in effect when the one before took over.
    again: bool,
}

impl Cut {
    /// Between the first answers of two epochs.
    fn between(
        before: At,
        begins: At,
        disasters: &[Disaster],
        way_back: Option<At>,
    ) -> Option<Self> {
        let mut earlier = disasters.iter().filter(|one| one.from < begins);
        // Until the last one a site acknowledged rightly, unless it is known which one counts.
        let mut new = earlier.clone().filter(|one| one.at > before);
        let decisive = new.clone().find(|one| one.decisive).or_else(|| new.next_back());
        if let Some(disaster) = decisive {
            return Some(Self { disaster: *disaster, again: false });
        }
        let planned = way_back.is_some_and(|back| begins > back);
        let lasting = earlier.rfind(|one| one.until > before && !planned);
        lasting.map(|disaster| Self { disaster: *disaster, again: true })
    }
}

/// Who decided, one after the other.
struct Reigns {
    /// Each epoch with the end of the first operation that was answered under it, and its stretch.
    epochs: BTreeMap<u64, (At, usize)>,
    /// What came before each stretch; nothing before the first.
    begun_after: Vec<Option<Cut>>,
}

impl Reigns {
    fn of(answers: &[Answer], disasters: &[Disaster], way_back: Option<At>) -> Self {
        let mut begun: BTreeMap<u64, At> = BTreeMap::new();
        for answer in answers.iter().filter(|answer| answer.operation.is_ok()) {
            let Some(epoch) = answer.epoch else { continue };
            let first = begun.entry(epoch).or_insert(answer.operation.done);
            *first = answer.operation.done.min(*first);
        }
        let mut reigns = Self { epochs: BTreeMap::new(), begun_after: vec![None] };
        let mut before: Option<At> = None;
        for (epoch, begins) in begun {
            let cut = before.and_then(|before| Cut::between(before, begins, disasters, way_back));
            if cut.is_some() {
                reigns.begun_after.push(cut);
            }
            reigns.epochs.insert(epoch, (begins, reigns.begun_after.len() - 1));
            before = Some(begins);
        }
        reigns
    }

    fn stretch_of(&self, answer: &Answer) -> usize {
        let own = answer.epoch.and_then(|epoch| self.epochs.get(&epoch)).map_or(0, |(_, own)| *own);
        let sent = answer.operation.sent;
        let by_time = self.epochs.values().filter(|(begins, _)| *begins < sent);
        by_time.map(|(_, stretch)| *stretch).fold(own, usize::max)
    }
}

/// What is known of one register.
#[derive(Default)]
struct Key {
    writes: BTreeMap<u64, Operation>,
    /// Writes that do not say anything by themselves, and the same value written again.
    loose: Vec<Operation>,
    /// Acknowledged operations of each stretch.
    acknowledged: BTreeMap<usize, Vec<Operation>>,
    /// For each value and stretch the acknowledged operation on it that ended first.
    shown: BTreeMap<Option<u64>, BTreeMap<usize, Operation>>,
}

impl Key {
    fn enter(&mut self, operation: Operation, stretch: impl Fn() -> usize) {
        if let Access::Write(value) = operation.access {
            let twice = self.writes.contains_key(&value);
            if operation.outcome != Outcome::Failed && !twice {
                self.writes.insert(value, operation);
            }
            if !operation.is_ok() {
                self.loose.push(operation);
            }
        }
        if !operation.is_ok() {
            return;
        }
        let stretch = stretch();
        self.acknowledged.entry(stretch).or_default().push(operation);
        let shown = self.shown.entry(operation.value()).or_default();
        let first = shown.entry(stretch).or_insert(operation);
        if operation.done < first.done {
            *first = operation;
        }
    }

    /// The stretch in which a value was first there. Before the first write nothing was, and that came first of all.
    fn home(&self, value: Option<u64>) -> Option<usize> {
        match value {
            None => Some(0),
            Some(_) => self.shown.get(&value)?.keys().next().copied(),
        }
    }

    /// Whether it is known of every change of stretches what it lost of this register.
    fn judge(&self, reigns: &Reigns, found: &mut Succession) -> bool {
        let (mut changes, mut compared) = (0, 0);
        for (&stretch, own) in &self.acknowledged {
            let base = self.base(stretch, own);
            let mut kept = Vec::new();
            for operation in own {
                match &base {
                    Some(base)
                        if self.is_inherited(operation, stretch)
                            && operation.value() != base.value() =>
                    {
                        found.returned.push(Returned { read: *operation, before: *base });
                    }
                    _ => kept.push(*operation),
                }
            }
            changes += 1;
            // What was written anew before tells nothing of what was there: to read an older value then is stale.
            let fair = base.filter(|base| {
                !overwritten(own, base, |one| self.home(one.value()) == Some(stretch))
            });
            if let Some(base) = fair {
                compared += 1;
                self.compare(stretch, &base, reigns, found);
            }
            let written: BTreeSet<u64> = kept
                .iter()
                .filter(|one| matches!(one.access, Access::Write(_)))
                .filter_map(Operation::value)
                .collect();
            let read: BTreeSet<u64> = kept.iter().filter_map(Operation::value).collect();
            let elsewhere = read.difference(&written).filter_map(|value| self.writes.get(value));
            kept.extend(elsewhere.filter(|write| write.is_ok()).copied());
            kept.extend(&self.loose);
            if let Some(all) = found.stretches.get_mut(stretch) {
                all.extend(kept);
            }
        }
        let last = self.acknowledged.keys().next_back().copied();
        // The first stretch has nothing to be compared with.
        compared > 0
            && compared + 1 == changes
            && last.map(|last| last + 1) == Some(reigns.begun_after.len())
    }

    /// The read that shows what a stretch went on from.
    fn base(&self, stretch: usize, own: &[Operation]) -> Option<Operation> {
        let inherited = own.iter().filter(|one| self.is_inherited(one, stretch));
        inherited.min_by_key(|one| (one.done, one.rank())).copied()
    }

    /// Whether a read returned a value of an earlier stretch.
    fn is_inherited(&self, operation: &Operation, stretch: usize) -> bool {
        matches!(operation.access, Access::Read(_))
            && self.home(operation.value()).is_some_and(|home| home < stretch)
    }

    /// What the stretch before had, and this one does not.
    fn compare(&self, stretch: usize, base: &Operation, reigns: &Reigns, found: &mut Succession) {
        let before = self.acknowledged.range(..stretch).next_back();
        let Some((&before, own)) = before else { return };
        let value = base.value();
        let there = self.shown.get(&value).and_then(|shown| shown.get(&before));
        if there.is_none()
            && let Some(older) = self.base(before, own)
            && let (Some(write), Some(known)) =
                (value.and_then(|value| self.writes.get(&value)), self.first_shown(older.value()))
            && known.precedes(write)
        {
            found.returned.push(Returned { read: *base, before: older });
            return;
        }
        let cut = reigns.begun_after.get(before + 1).copied().flatten();
        let Some(Cut { disaster, again }) = cut else { return };
        // What is read later was not lost, whatever was read first, and what it had replaced was not either.
        let survivors: Vec<&Operation> = self
            .shown
            .values()
            .filter(|shown| shown.range(stretch..).next().is_some())
            .filter_map(|shown| shown.range(..stretch).next_back().map(|(_, first)| first))
            .collect();
        for (other, shown) in &self.shown {
            let (Some(other), Some(shown)) = (other, shown.get(&before)) else { continue };
            let Some(write) = self.writes.get(other) else { continue };
            if survivors.iter().all(|survivor| survivor.done < write.sent) {
                found.lost.push(Lost {
                    write: *write,
                    shown: *shown,
                    read: *base,
                    disaster,
                    again,
                });
            }
        }
    }

    fn first_shown(&self, value: Option<u64>) -> Option<&Operation> {
        self.shown.get(&value)?.values().min_by_key(|one| one.done)
    }
}

/// Whether a write that was acknowledged before a read began had put something else there.
fn overwritten(own: &[Operation], read: &Operation, anew: impl Fn(&Operation) -> bool) -> bool {
    let mut writes = own.iter().filter(|one| matches!(one.access, Access::Write(_)) && anew(one));
    writes.any(|write| write.precedes(read))
}

#[cfg(test)]
mod tests;
