//! What the operations of workloads prove: registers and accounts of one service.
//!
//! What a failover after a fault loses is measured by the recovery point objective, here as for other writes, and is no
//! inconsistency: each stretch between two such failovers is judged by itself (`drdrill_histories::succession`).

mod words;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use drdrill_core::record::{BankFound, Consistency, RegistersFound};
use drdrill_core::sample::{Deed, Sample};
use drdrill_core::time::{At, Bounds, millis};
use drdrill_core::verdict::Verdict;
use drdrill_histories::bank::{Bank, Rules};
use drdrill_histories::operation::{Access, Operation, Outcome};
use drdrill_histories::registers::{Reason as Why, Violation};
use drdrill_histories::stale::Stale;
use drdrill_histories::succession::{Answer, Disaster, Lost, Succession};
use drdrill_histories::{KeyOrder, Registers, StaleReads, workload};

use super::case::{Case, ServiceStory};
use super::digest::FaultFacts;
use super::recovery::Recovery;

/// Examples of what is wrong that the record has.
const EXAMPLES: usize = 5;

/// The verdict of one workload, and why.
type Reason = (Verdict, String);

/// Judges one service; `None` where no workload touched it.
pub(crate) fn judge(
    case: &Case<'_>,
    story: &ServiceStory<'_>,
) -> Option<(Consistency, Vec<Reason>)> {
    let service = story.facts;
    let streams = &case.digest.start.streams;
    let own = |sample: &&Sample| {
        let mut streams = streams.iter();
        streams.any(|stream| stream.id == sample.stream && stream.service == service.name)
    };
    let deeds: Vec<&Sample> = case.digest.deeds.iter().copied().filter(own).collect();
    let target = service.targets.rpo.map(|target| target.0);
    let after = After::of(case, story);
    let registers = registers(case, &deeds, target, &after);
    let bank = bank(&case.digest.start.environment.accounts, &deeds, &after);
    if registers.is_none() && bank.is_none() {
        return None;
    }
    let mut reasons = Vec::new();
    if let Some((found, text)) = &registers {
        reasons.push((found.verdict, format!("{}: registers: {text}", service.name)));
    }
    if let Some(found) = &bank {
        reasons
            .push((found.verdict, format!("{}: accounts: {}", service.name, words::bank(found))));
    }
    let record = Consistency { registers: registers.map(|(found, _)| found), bank };
    Some((record, reasons))
}

fn registers(
    case: &Case<'_>,
    deeds: &[&Sample],
    target: Option<Duration>,
    after: &After,
) -> Option<(RegistersFound, String)> {
    let mut answers: Vec<Answer> =
        deeds.iter().filter_map(|sample| workload::register(sample)).collect();
    if answers.is_empty() {
        return None;
    }
    let unexplained =
        if case.digest.finished.is_some() { 0 } else { drop_unexplained(&mut answers) };
    let sites: words::Sites<'_> = deeds
        .iter()
        .filter_map(|sample| {
            let operation = workload::register(sample)?.operation;
            Some(((operation.process, operation.sent), &*sample.decider.as_ref()?.site))
        })
        .collect();
    let mut seen = Seen::of(case, &answers, target, &sites);
    let answered = answers.iter().map(|answer| &answer.operation);
    let answered = answered.filter(|one| one.is_ok() && matches!(one.access, Access::Read(_)));
    seen.found.reads_after_fault = after.count(answered.map(|one| one.sent));
    let mut unsure = seen.verdict == Verdict::Fail && !seen.certain && seen.found.untold > 0;
    if unsure {
        let sure = Seen::of(case, &told(&answers), target, &sites);
        if sure.verdict == Verdict::Fail {
            // What is wrong without them is wrong.
            let RegistersFound { writes, unknown_writes, reads, reads_after_fault, untold, .. } =
                seen.found;
            let counts = RegistersFound { writes, unknown_writes, reads, untold, ..sure.found };
            seen = Seen { found: RegistersFound { reads_after_fault, ..counts }, ..sure };
            unsure = false;
        }
    }
    let Seen { mut found, certain, verdict: seen } = seen;
    let (verdict, text) = if certain {
        (Verdict::Fail, words::wrong(&found))
    } else if unsure {
        (Verdict::Unknown, words::untold(&found))
    } else if seen == Verdict::Fail && case.failed_over_early() {
        (Verdict::Unknown, words::early(&found))
    } else if seen == Verdict::Fail {
        (Verdict::Fail, words::wrong(&found))
    } else if let Some(nothing) = words::nothing_read(&found) {
        (Verdict::Unknown, nothing.to_owned())
    } else if found.unjudged + unexplained > 0 {
        (Verdict::Unknown, words::unjudged(&found, unexplained))
    } else if found.compared == Some(0) && target.is_some() && found.lost == 0 {
        (Verdict::Unknown, words::not_compared().to_owned())
    } else {
        (seen, words::registers(&found, target))
    };
    found.verdict = verdict;
    Some((found, text))
}

/// What the answers come to.
struct Seen {
    found: RegistersFound,
    verdict: Verdict,
    /// Something that no loss and no failover explains.
    certain: bool,
}

impl Seen {
    fn of(
        case: &Case<'_>,
        answers: &[Answer],
        target: Option<Duration>,
        sites: &words::Sites<'_>,
    ) -> Self {
        let succession = Succession::of(answers, &disasters(case), case.way_back());
        let mut found = counted(answers, &succession);
        let wrong = Wrong::of(&succession);
        found.stale_reads = wrong.stale_reads;
        found.stale_for_ms = wrong.stale.first().map(|worst| millis(worst.at_least));
        found.contradictory = count(wrong.contradictory.len());
        found.out_of_order = count(wrong.out_of_order.len());
        found.unjudged = count(wrong.unjudged.len());
        found.findings = wrong.stale.iter().map(|one| words::stale(one, sites)).collect();
        found.findings.extend(wrong.violations.iter().map(|one| words::violation(one, sites)));
        let mut told = BTreeSet::new();
        let returned = succession.returned.iter().filter(|one| told.insert(one.read.key));
        found.findings.extend(returned.map(|one| words::returned(one, sites)));
        let restored = case.digest.start.scenario.recovery.restore.is_some();
        let lost = Losses::of(&succession.lost, target, restored);
        if lost.verdict == Verdict::Fail {
            found.findings.extend(lost.worst.iter().map(|one| words::lost(one, sites)));
        }
        if found.findings.is_empty() {
            found.findings.extend(wrong.out_of_order.first().map(|key| words::out_of_order(*key)));
        }
        found.findings.truncate(EXAMPLES);
        found.lost_after_fault = count(lost.after);
        found.lost_at_least_ms = lost.age.map(|age| millis(age.at_least));
        found.lost_at_most_ms = lost.age.and_then(|age| age.at_most).map(millis);
        let broken =
            found.contradictory + found.stale_reads + found.out_of_order + found.returned > 0;
        let verdict = if broken { Verdict::Fail } else { Verdict::Pass }.max(lost.verdict);
        Self { found, verdict, certain: wrong.certain }
    }
}

/// The answers that say who decided. Writes that do not may have been anybody's, at any time.
fn told(answers: &[Answer]) -> Vec<Answer> {
    let told = |answer: &Answer| {
        let mut answer = *answer;
        if answer.epoch.is_none() && answer.operation.is_ok() {
            if matches!(answer.operation.access, Access::Read(_)) {
                return None;
            }
            answer.operation.outcome = Outcome::Indeterminate;
        }
        Some(answer)
    };
    answers.iter().filter_map(told).collect()
}

/// The time in which answers are evidence of what the faults left: from the last fault and the service's return to the way
/// back, after which the drill mends things itself.
enum After {
    /// Nothing was broken: all of the drill is looked at alike.
    Nothing,
    /// The service never came back.
    Never,
    /// Within this time.
    Within(Range<At>),
}

impl After {
    fn of(case: &Case<'_>, story: &ServiceStory<'_>) -> Self {
        let faults = disasters(case);
        let Some(mut since) = faults.iter().map(|fault| fault.at).max() else {
            return Self::Nothing;
        };
        for (_, recovery, _) in story.headline().iter().flat_map(|stream| &stream.recoveries) {
            match recovery {
                Recovery::Unharmed { .. } => {}
                Recovery::Restored { by, .. } => since = since.max(*by),
                Recovery::Unseen | Recovery::NotEstablished { .. } | Recovery::Never { .. } => {
                    return Self::Never;
                }
            }
        }
        let until = case.way_back().filter(|until| *until > since);
        Self::Within(since..until.unwrap_or(At(u64::MAX)))
    }

    /// How many of the answers asked for at these instants are such evidence; `None` where nothing was broken.
    fn count(&self, sent: impl Iterator<Item = At>) -> Option<u64> {
        match self {
            Self::Nothing => None,
            Self::Never => Some(0),
            Self::Within(time) => Some(count(sent.filter(|sent| time.contains(sent)).count())),
        }
    }
}

/// What may have made a system fail over. A fault that was never seen in effect makes the drill invalid, and may have
/// done so all the same.
fn disasters(case: &Case<'_>) -> Vec<Disaster> {
    let decisive = case.decisive();
    let of = |fault: &FaultFacts| {
        let from = fault.applying?;
        let at = fault.in_effect.as_ref().map_or(from, |(at, _)| *at);
        let at = at.max(from);
        let until = fault.reverted.map_or(At(u64::MAX), |(_, at)| at);
        // The recovery point counts from the same one.
        let decisive = decisive.is_some_and(|one| (one.from, one.at) == (from, at));
        Some(Disaster { from, at, until, decisive })
    };
    case.digest.faults.values().filter_map(of).collect()
}

/// What is wrong with registers, each looked at in each stretch.
#[derive(Default)]
struct Wrong {
    stale_reads: u64,
    /// The stalest read of each register in a stretch.
    stale: Vec<Stale>,
    /// Contradictions of registers without a stale read.
    violations: Vec<Violation>,
    contradictory: BTreeSet<u32>,
    out_of_order: BTreeSet<u32>,
    unjudged: BTreeSet<u32>,
    /// Something that no loss and no failover explains: a value that nobody wrote.
    certain: bool,
}

impl Wrong {
    fn of(succession: &Succession) -> Self {
        let mut wrong = Self::default();
        for stretch in &succession.stretches {
            let mut keys: BTreeMap<u32, Vec<Operation>> = BTreeMap::new();
            for operation in stretch {
                keys.entry(operation.key).or_default().push(*operation);
            }
            for (key, operations) in keys {
                wrong.look(key, &operations);
            }
        }
        wrong.stale.sort_by_key(|stale| Reverse(stale.at_least));
        wrong
    }

    fn look(&mut self, key: u32, operations: &[Operation]) {
        let registers = Registers::judge(operations);
        let stale = StaleReads::judge(operations);
        self.stale_reads += count(stale.stale);
        self.certain |= registers
            .violations
            .iter()
            .any(|one| matches!(one.reason, Why::NeverWritten { .. } | Why::WriteFailed { .. }));
        if stale.worst.is_none() {
            self.violations.extend(registers.violations);
        }
        self.stale.extend(stale.worst);
        if registers.failing_keys > 0 {
            self.contradictory.insert(key);
        }
        if registers.unjudged_keys > 0 {
            self.unjudged.insert(key);
        }
        if KeyOrder::judge(operations).failing_keys > 0 {
            self.out_of_order.insert(key);
        }
    }
}

/// Takes away the reads of values that no sample wrote: a history that was cut off lacks the samples that were under way.
fn drop_unexplained(answers: &mut Vec<Answer>) -> u64 {
    let written: BTreeSet<(u32, u64)> = answers
        .iter()
        .map(|answer| answer.operation)
        .filter(|one| matches!(one.access, Access::Write(_)))
        .filter_map(|one| Some((one.key, one.value()?)))
        .collect();
    let before = answers.len();
    answers.retain(|answer| {
        let one = &answer.operation;
        let value = one.value().filter(|_| one.is_ok());
        value.is_none_or(|value| written.contains(&(one.key, value)))
    });
    count(before - answers.len())
}

fn counted(answers: &[Answer], succession: &Succession) -> RegistersFound {
    let of = |write: bool, outcome: Outcome| {
        let all = answers.iter().map(|answer| &answer.operation);
        let of = all.filter(|one| matches!(one.access, Access::Write(_)) == write);
        count(of.filter(|one| one.outcome == outcome).count())
    };
    let keys: BTreeSet<u32> = answers.iter().map(|answer| answer.operation.key).collect();
    RegistersFound {
        verdict: Verdict::Unknown,
        registers: count(keys.len()),
        writes: of(true, Outcome::Ok),
        unknown_writes: of(true, Outcome::Indeterminate),
        reads: of(false, Outcome::Ok),
        reads_after_fault: None,
        stale_reads: 0,
        stale_for_ms: None,
        contradictory: 0,
        out_of_order: 0,
        returned: count(succession.returned.len()),
        unjudged: 0,
        untold: count(succession.untold),
        compared: (succession.stretches.len() > 1).then(|| count(succession.compared)),
        lost: count(succession.lost.len()),
        lost_after_fault: 0,
        lost_at_least_ms: None,
        lost_at_most_ms: None,
        findings: Vec::new(),
    }
}

/// What failovers lost, against the recovery point objective.
struct Losses {
    verdict: Verdict,
    /// Age at its disaster of the oldest that was there before it.
    age: Option<Bounds>,
    /// Written after the disaster, and not under it by one who had taken over.
    after: usize,
    /// The one that is furthest from the objective.
    worst: Option<Lost>,
}

impl Losses {
    /// Where data was restored from backups, what was written to the damaged data after the fault is lost, and nobody
    /// decided who should not have.
    fn of(lost: &[Lost], target: Option<Duration>, restored: bool) -> Self {
        let (again, once): (Vec<&Lost>, Vec<&Lost>) = lost.iter().partition(|one| one.again);
        let (after, before): (Vec<&Lost>, Vec<&Lost>) =
            once.into_iter().partition(|one| one.write.sent > one.disaster.at);
        let at_least = |one: &&&Lost| one.disaster.from.since(one.shown.done);
        let at_most = |one: &&Lost| one.disaster.at.since(one.write.sent);
        let oldest = before.iter().max_by_key(at_least);
        let age = oldest.map(|oldest| Bounds {
            at_least: at_least(&oldest),
            at_most: before.iter().map(at_most).max(),
        });
        let by_age = match (age, target) {
            (None, _) | (_, None) => Verdict::Pass,
            (Some(_), Some(target)) if target.is_zero() => Verdict::Fail,
            (Some(age), Some(target)) => age.within(target),
        };
        // How old it was at a fault that it was written under cannot be told.
        let by_age = match target {
            Some(target) if !again.is_empty() && target.is_zero() => Verdict::Fail,
            Some(_) if !again.is_empty() => by_age.max(Verdict::Unknown),
            _ => by_age,
        };
        let deposed = !after.is_empty() && !restored;
        let verdict = if deposed { Verdict::Fail } else { by_age };
        let worst = after.first().filter(|_| deposed).or(oldest).or(again.first());
        let worst = worst.map(|one| **one);
        Self { verdict, age, after: after.len(), worst }
    }
}

/// Judges accounts, of which the history may say what they were opened with.
fn bank(accounts: &BTreeMap<u32, i64>, deeds: &[&Sample], after: &After) -> Option<BankFound> {
    let touched = |sample: &&Sample| {
        matches!(sample.deed.as_deref(), Some(Deed::Transfer { .. } | Deed::Balances { .. }))
    };
    if !deeds.iter().any(touched) {
        return None;
    }
    let transfers: Vec<_> = deeds.iter().filter_map(|sample| workload::transfer(sample)).collect();
    let snapshots: Vec<_> = deeds.iter().filter_map(|sample| workload::snapshot(sample)).collect();
    let rules = Rules {
        total: (!accounts.is_empty()).then(|| accounts.values().copied().map(i128::from).sum()),
        overdraft: false,
        accounts: accounts.keys().copied().collect(),
    };
    let bank = Bank::judge(&rules, &transfers, &snapshots);
    let of = |outcome| count(transfers.iter().filter(|one| one.outcome == outcome).count());
    let mut found = BankFound {
        verdict: bank.verdict(),
        transfers: of(Outcome::Ok),
        unknown_transfers: of(Outcome::Indeterminate),
        snapshots: count(bank.compared),
        snapshots_after_fault: after.count(snapshots.iter().map(|one| one.sent)),
        wrong_snapshots: count(bank.wrong_snapshots),
        total: bank.total.and_then(|total| i64::try_from(total).ok()),
        findings: bank.wrong.iter().take(EXAMPLES).map(words::wrong_snapshot).collect(),
    };
    if words::nothing_moved(&found).is_some() {
        found.verdict = found.verdict.max(Verdict::Unknown);
    }
    Some(found)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
