//! The bank: transfers move money between accounts and never make or destroy any.
//!
//! Source: Jepsen's bank test. A transfer of unknown outcome changes no total either: it happened or it did not. Only
//! a snapshot that reads one account after the other may see half of a transfer that is under way, and one of unknown
//! outcome is under way for ever: what such a transfer may explain is *torn*, and proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use drdrill_core::time::At;
use drdrill_core::verdict::Verdict;

use crate::operation::Outcome;
use crate::registers::EXAMPLES;

/// Money moved from one account to another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Transfer {
    /// The client.
    pub process: u32,
    /// The account that is debited.
    pub from: u32,
    /// The account that is credited.
    pub to: u32,
    /// How much.
    pub amount: u64,
    /// When it was sent.
    pub sent: At,
    /// When its outcome was known, or the client gave up.
    pub done: At,
    /// What came of it.
    pub outcome: Outcome,
}

/// The balances of all accounts, as a client got them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Snapshot {
    /// The client.
    pub process: u32,
    /// Each account and its balance.
    pub balances: BTreeMap<u32, i64>,
    /// Whether the system promises that all balances are of one instant.
    pub atomic: bool,
    /// When it was asked for.
    pub sent: At,
    /// When it arrived.
    pub done: At,
}

impl Snapshot {
    fn total(&self) -> i128 {
        self.balances.values().copied().map(i128::from).sum()
    }

    fn rank(&self) -> impl Ord + use<> {
        (self.sent, self.done, self.process, self.total())
    }
}

/// The rules of a bank.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rules {
    /// The money that there is; where it is not known, that of the first snapshot that can be trusted.
    pub total: Option<i128>,
    /// Whether an account may be overdrawn.
    pub overdraft: bool,
    /// Accounts that there are, beside those that snapshots have.
    pub accounts: BTreeSet<u32>,
}

/// What no bank can have answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wrong {
    /// The total is another one.
    Total {
        /// The snapshot.
        snapshot: Snapshot,
        /// Its total.
        total: i128,
        /// The total that there is.
        expected: i128,
    },
    /// An account is not there that other snapshots have.
    Missing {
        /// The snapshot.
        snapshot: Snapshot,
        /// The account.
        account: u32,
    },
    /// An account is overdrawn, which is against the rules.
    Overdrawn {
        /// The snapshot.
        snapshot: Snapshot,
        /// The account.
        account: u32,
        /// Its balance.
        balance: i64,
    },
}

/// What is known of a bank.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Bank {
    /// The money that there is, where it is known.
    pub total: Option<i128>,
    /// Snapshots that were compared with a total, and for which no transfer under way is an excuse.
    pub compared: usize,
    /// Snapshots with another total, which transfers under way may explain.
    pub torn: usize,
    /// Snapshots that no bank can have answered.
    pub wrong_snapshots: usize,
    /// What is wrong with the first of them.
    pub wrong: Vec<Wrong>,
}

impl Bank {
    /// Judges all snapshots. The order in which transfers and snapshots are given does not matter.
    #[must_use]
    pub fn judge(rules: &Rules, transfers: &[Transfer], snapshots: &[Snapshot]) -> Self {
        let mut sorted: Vec<&Snapshot> = snapshots.iter().collect();
        sorted.sort_by_key(|snapshot| snapshot.rank());
        let told = sorted.iter().flat_map(|snapshot| snapshot.balances.keys().copied());
        let accounts: BTreeSet<u32> = told.chain(rules.accounts.iter().copied()).collect();
        let whole = |snapshot: &&&Snapshot| {
            accounts.len() == snapshot.balances.len() && under_way(transfers, snapshot) == 0
        };
        let reference = sorted.iter().find(whole).map(|snapshot| snapshot.total());
        let expected = rules.total.or(reference);
        let mut bank = Self { total: expected, ..Self::default() };
        for snapshot in sorted {
            let wrong = broken(rules, &accounts, snapshot)
                .or_else(|| bank.compare(expected, transfers, snapshot));
            bank.wrong_snapshots += usize::from(wrong.is_some());
            if bank.wrong.len() < EXAMPLES {
                bank.wrong.extend(wrong);
            }
        }
        if rules.total.is_none() {
            // The one that the others were compared with was not compared itself.
            bank.compared = bank.compared.saturating_sub(1);
        }
        bank
    }

    fn compare(
        &mut self,
        expected: Option<i128>,
        transfers: &[Transfer],
        snapshot: &Snapshot,
    ) -> Option<Wrong> {
        let expected = expected?;
        let total = snapshot.total();
        // Half of a transfer moves the total by its amount, up or down.
        let excuse = under_way(transfers, snapshot);
        self.compared += usize::from(excuse == 0);
        if total == expected {
            return None;
        }
        if total.abs_diff(expected) <= excuse {
            self.torn += 1;
            return None;
        }
        Some(Wrong::Total { snapshot: snapshot.clone(), total, expected })
    }

    /// Fails on a wrong snapshot. Unknown when one may be torn, or nothing could be compared.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.wrong_snapshots > 0 {
            Verdict::Fail
        } else if self.torn > 0 || self.compared == 0 {
            Verdict::Unknown
        } else {
            Verdict::Pass
        }
    }
}

fn broken(rules: &Rules, accounts: &BTreeSet<u32>, snapshot: &Snapshot) -> Option<Wrong> {
    let missing = accounts.iter().find(|account| !snapshot.balances.contains_key(account));
    if let Some(account) = missing {
        return Some(Wrong::Missing { snapshot: snapshot.clone(), account: *account });
    }
    let mut overdrawn = snapshot.balances.iter().filter(|(_, balance)| **balance < 0);
    match overdrawn.next() {
        Some((account, balance)) if !rules.overdraft => Some(Wrong::Overdrawn {
            snapshot: snapshot.clone(),
            account: *account,
            balance: *balance,
        }),
        _ => None,
    }
}

/// The money of all transfers of which a snapshot may have seen one half.
fn under_way(transfers: &[Transfer], snapshot: &Snapshot) -> u128 {
    if snapshot.atomic {
        return 0;
    }
    let open = transfers.iter().filter(|transfer| {
        let over = match transfer.outcome {
            Outcome::Ok => transfer.done < snapshot.sent,
            Outcome::Failed => true,
            Outcome::Indeterminate => false,
        };
        !over && transfer.sent <= snapshot.done && transfer.from != transfer.to
    });
    open.map(|transfer| u128::from(transfer.amount)).sum()
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Total { snapshot, .. }
        | Self::Missing { snapshot, .. }
        | Self::Overdrawn { snapshot, .. }) = self;
        let (sent, done) = (snapshot.sent.ms(), snapshot.done.ms());
        write!(f, "process {} read from {sent:.6} to {done:.6} ms ", snapshot.process)?;
        match self {
            Self::Total { total, expected, .. } => {
                write!(f, "a total of {total}; there is {expected}")
            }
            Self::Missing { account, .. } => write!(f, "no balance of account {account}"),
            Self::Overdrawn { account, balance, .. } => {
                write!(f, "a balance of {balance} of account {account}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer(amount: u64, sent: u64, done: u64, outcome: Outcome) -> Transfer {
        let (sent, done) = (At::from_millis(sent), At::from_millis(done));
        Transfer { process: 0, from: 0, to: 1, amount, sent, done, outcome }
    }

    fn snapshot(balances: &[i64], sent: u64) -> Snapshot {
        Snapshot {
            process: 1,
            balances: (0..).zip(balances.iter().copied()).collect(),
            atomic: true,
            sent: At::from_millis(sent),
            done: At::from_millis(sent + 1),
        }
    }

    fn one_by_one(balances: &[i64], sent: u64) -> Snapshot {
        Snapshot { atomic: false, ..snapshot(balances, sent) }
    }

    fn judge(transfers: &[Transfer], snapshots: &[Snapshot]) -> Bank {
        Bank::judge(&Rules { total: Some(100), ..Rules::default() }, transfers, snapshots)
    }

    #[test]
    fn money_that_only_moves_passes() {
        let transfers =
            [transfer(5, 10, 11, Outcome::Ok), transfer(7, 12, 13, Outcome::Indeterminate)];
        let snapshots = [snapshot(&[60, 40], 0), snapshot(&[55, 45], 20), snapshot(&[48, 52], 30)];
        let found = judge(&transfers, &snapshots);
        assert_eq!((found.verdict(), found.compared), (Verdict::Pass, 3));
        assert_eq!(Bank::judge(&Rules::default(), &transfers, &snapshots).verdict(), Verdict::Pass);
    }

    #[test]
    fn money_that_vanishes_fails_whatever_timed_out() {
        let transfers = [transfer(5, 10, 11, Outcome::Indeterminate)];
        let found = judge(&transfers, &[snapshot(&[60, 40], 0), snapshot(&[55, 40], 20)]);
        assert_eq!((found.verdict(), found.wrong_snapshots), (Verdict::Fail, 1));
        assert_eq!(
            found.wrong[0].to_string(),
            "process 1 read from 20.000000 to 21.000000 ms a total of 95; there is 100"
        );
        let between_themselves = [snapshot(&[60, 40], 0), snapshot(&[55, 40], 20)];
        assert_eq!(
            Bank::judge(&Rules::default(), &[], &between_themselves).verdict(),
            Verdict::Fail
        );
    }

    #[test]
    fn nothing_to_compare_is_unknown() {
        assert_eq!(judge(&[], &[]).verdict(), Verdict::Unknown);
        let alone = [snapshot(&[60, 40], 0)];
        assert_eq!(Bank::judge(&Rules::default(), &[], &alone).verdict(), Verdict::Unknown);
    }

    #[test]
    fn a_torn_snapshot_is_unknown_as_far_as_transfers_under_way_explain_it() {
        let open = [transfer(5, 10, 11, Outcome::Indeterminate)];
        assert_eq!(judge(&open, &[one_by_one(&[55, 40], 20)]).verdict(), Verdict::Unknown);
        assert_eq!(judge(&open, &[one_by_one(&[54, 40], 20)]).verdict(), Verdict::Fail);
        assert_eq!(judge(&open, &[one_by_one(&[55, 40], 0)]).verdict(), Verdict::Fail);
        for (sent, done) in [(10, 20), (21, 30)] {
            let touching = [transfer(5, sent, done, Outcome::Ok)];
            let found = judge(&touching, &[one_by_one(&[55, 40], 20)]);
            assert_eq!((found.verdict(), found.torn), (Verdict::Unknown, 1), "sent at {sent}");
        }
        let over = [transfer(5, 10, 11, Outcome::Ok)];
        assert_eq!(judge(&over, &[one_by_one(&[55, 40], 20)]).verdict(), Verdict::Fail);
        let refused = [transfer(5, 10, 11, Outcome::Failed)];
        assert_eq!(judge(&refused, &[one_by_one(&[55, 40], 10)]).verdict(), Verdict::Fail);
    }

    #[test]
    fn an_overdrawn_and_a_missing_account_fail() {
        let overdrawn = [snapshot(&[-1, 101], 0)];
        let found = judge(&[], &overdrawn);
        assert!(matches!(found.wrong[0], Wrong::Overdrawn { account: 0, balance: -1, .. }));
        let allowed = Rules { total: Some(100), overdraft: true, ..Rules::default() };
        assert_eq!(Bank::judge(&allowed, &[], &overdrawn).verdict(), Verdict::Pass);
        let found = judge(&[], &[snapshot(&[60, 40], 0), snapshot(&[100], 5)]);
        assert!(matches!(found.wrong[0], Wrong::Missing { account: 1, .. }));
        let known = Rules { accounts: [0, 1].into(), ..Rules::default() };
        let found = Bank::judge(&known, &[], &[snapshot(&[100], 0), snapshot(&[100], 5)]);
        assert_eq!((found.verdict(), found.wrong_snapshots), (Verdict::Fail, 2), "in no snapshot");
    }
}
