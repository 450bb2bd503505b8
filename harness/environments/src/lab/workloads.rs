//! Workloads that scenarios may ask for: registers that are written and read, and money that moves between accounts.
//!
//! What an attempt does follows from its number alone, so that the history knows it also of one that never ended. Every
//! value is written to a register only once: with that, whether the answers can be those of a register is quickly told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drdrill_core::environment::ProbeStream;
use drdrill_core::probe::{Call, Connection, HeaderValue, MakeDeed, Purpose};
use drdrill_core::sample::Deed;
use serde_json::{Value, json};

/// Registers.
const KEYS: u32 = 5;
/// Accounts.
const ACCOUNTS: u32 = 5;
/// What each account has when the lab comes up.
const BALANCE: i64 = 100;
/// What a read is no closer to the one before than. Many enough to see what is there only for a moment, and few beside
/// the 200 attempts a second that every drill makes.
const READ_EVERY: Duration = Duration::from_millis(50);
/// The same of what changes something. A register is written less often than it is read, so that its values are seen.
const CHANGE_EVERY: Duration = Duration::from_millis(100);

/// Where clients come, and who they are.
pub(super) struct Entrances<'a> {
    pub(super) front: &'a str,
    pub(super) others: &'a [String],
    pub(super) login: &'a [(String, HeaderValue)],
}

/// The accounts, and what each has when the lab comes up.
pub(super) fn accounts() -> BTreeMap<u32, i64> {
    (0..ACCOUNTS).map(|account| (account, BALANCE)).collect()
}

/// What opens the accounts.
pub(super) fn opening() -> Value {
    json!({ "balances": accounts() })
}

/// The streams of all workloads.
pub(super) fn streams(service: &str, entrances: &Entrances<'_>) -> Vec<ProbeStream> {
    let [_, registers, bank] = super::OPTIONAL_STREAMS;
    let stream = |name: &str, workload: &str, at_least_every, call| ProbeStream {
        name: name.to_owned(),
        service: service.to_owned(),
        purpose: Purpose::Workload,
        connection: Connection::Fresh,
        write_bytes: 0,
        call,
        asked_for_as: Some(workload.to_owned()),
        at_least_every,
    };
    let write = entrances.call("PUT", "/registers/{key}", write);
    let read = entrances.call("GET", "/registers/{key}", read);
    let transfer = entrances.call("POST", "/transfers", transfer);
    let balances =
        entrances.call("GET", "/accounts", |_| Deed::Balances { balances: BTreeMap::new() });
    vec![
        stream("register_write", registers, CHANGE_EVERY, write),
        stream("register_read", registers, READ_EVERY, read),
        stream("transfer", bank, CHANGE_EVERY, transfer),
        stream("balances", bank, READ_EVERY, balances),
    ]
}

impl Entrances<'_> {
    fn call(&self, method: &'static str, path: &str, deed: fn(u64) -> Deed) -> Call {
        let deed: MakeDeed = Arc::new(deed);
        let asked = Arc::clone(&deed);
        let body = move |sequence| body(sequence, &asked(sequence));
        Call::Http {
            method,
            url: format!("http://{}{path}", self.front),
            else_at: self.others.to_vec(),
            headers: self.login.to_vec(),
            body: (method != "GET").then(|| Arc::new(body) as _),
            body_contains: None,
            deed: Some(deed),
        }
    }
}

/// The remainder of a number, as the number of a register or an account.
fn nth(number: u64, of: u32) -> u32 {
    u32::try_from(number % u64::from(of)).unwrap_or(0)
}

fn write(sequence: u64) -> Deed {
    Deed::Write { key: nth(sequence, KEYS), value: sequence + 1 }
}

/// In another order than they are written, so that the time from a write to the next read differs from register to register.
fn read(sequence: u64) -> Deed {
    Deed::Read { key: nth(sequence * 2, KEYS), value: None }
}

/// Each account gives to each other one in turn, and as much as it gets: none runs out of money.
fn transfer(sequence: u64) -> Deed {
    let from = nth(sequence, ACCOUNTS);
    let distance = 1 + nth(sequence / u64::from(ACCOUNTS), ACCOUNTS - 1);
    let to = (from + distance) % ACCOUNTS;
    Deed::Transfer { from, to, amount: 1 + u64::from(distance) }
}

fn body(sequence: u64, deed: &Deed) -> Vec<u8> {
    let body = match deed {
        Deed::Write { value, .. } => json!({ "value": value }),
        Deed::Transfer { from, to, amount } => {
            let id = format!("t-{sequence}");
            json!({ "id": id, "from": from.to_string(), "to": to.to_string(), "amount": amount })
        }
        Deed::Read { .. } | Deed::Balances { .. } => return Vec::new(),
    };
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_value_is_written_twice_and_every_register_is_written_and_read() {
        let mut written = BTreeSet::new();
        let mut read_keys = BTreeSet::new();
        for sequence in 0..1_000 {
            let Deed::Write { key, value } = write(sequence) else { panic!() };
            assert!(written.insert((key, value)));
            read_keys.extend(read(sequence).key());
        }
        let keys: BTreeSet<u32> = written.iter().map(|(key, _)| *key).collect();
        assert_eq!((keys.len(), &keys), (5, &read_keys));
    }

    #[test]
    fn no_account_runs_out_of_money_however_long_it_goes_on() {
        let mut balances = [BALANCE; 5];
        for sequence in 0..10_000 {
            let Deed::Transfer { from, to, amount } = transfer(sequence) else { panic!() };
            assert_ne!(from, to);
            let amount = i64::try_from(amount).unwrap();
            balances[from as usize] -= amount;
            balances[to as usize] += amount;
            // Lost transfers move the balances away from these, so there is some room.
            assert!(balances.iter().all(|balance| *balance > 50), "{balances:?}");
        }
    }
}
