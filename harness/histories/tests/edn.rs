//! What is exported is EDN, is a history in Jepsen's eyes, and comes back as it was.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap};

use drdrill_core::time::At;
use drdrill_histories::bank::{Snapshot, Transfer};
use drdrill_histories::edn::{self, Nemesis, Op, Value};
use drdrill_histories::{Access, Operation, Outcome};
use edn_format::{Keyword, Value as Read};
use proptest::prelude::*;

type Map = BTreeMap<Read, Read>;

/// Each line, read by somebody else's reader.
fn lines(operations: &[Op], nemesis: &[Nemesis]) -> Vec<Map> {
    let mut out = Vec::new();
    edn::write(&mut out, operations, nemesis).unwrap();
    let text = String::from_utf8(out).unwrap();
    let read = |line: &str| match edn_format::parse_str(line) {
        Ok(Read::Map(map)) => map,
        other => panic!("{line}: {other:?}"),
    };
    text.lines().map(read).collect()
}

fn get<'a>(map: &'a Map, key: &str) -> &'a Read {
    &map[&Read::from(Keyword::from_name(key))]
}

fn word(map: &Map, key: &str) -> String {
    match get(map, key) {
        Read::Keyword(keyword) => keyword.name().to_owned(),
        other => panic!("{other:?} is no keyword"),
    }
}

fn number(value: &Read) -> u64 {
    match value {
        Read::Integer(number) => (*number).try_into().unwrap(),
        other => panic!("{other:?} is no number"),
    }
}

/// Pairs the lines as Jepsen does: by process, each doing one thing after the other, none after `:info`.
fn pairs(lines: &[Map]) -> Vec<(&Map, &Map)> {
    let mut open: HashMap<u64, &Map> = HashMap::new();
    let mut crashed: Vec<u64> = Vec::new();
    let mut pairs = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(number(get(line, "index")), index as u64);
        assert!(index == 0 || number(get(&lines[index - 1], "time")) <= number(get(line, "time")));
        if matches!(get(line, "process"), Read::Keyword(_)) {
            continue;
        }
        let process = number(get(line, "process"));
        if word(line, "type") == "invoke" {
            assert!(!crashed.contains(&process), "process {process} goes on after :info");
            assert!(open.insert(process, line).is_none(), "process {process} does two things");
            continue;
        }
        if word(line, "type") == "info" {
            crashed.push(process);
        }
        pairs.push((open.remove(&process).unwrap(), line));
    }
    assert!(open.is_empty());
    pairs
}

/// The operation that two lines of a transaction tell of. Processes are the file's own.
fn operation(begin: &Map, end: &Map) -> Operation {
    let micro = |line: &Map| match get(line, "value") {
        Read::Vector(all) => match all.as_slice() {
            [Read::Vector(one)] => one.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let (asked, answered) = (micro(begin), micro(end));
    let value = match &answered[2] {
        Read::Nil => None,
        value => Some(number(value)),
    };
    let writes = answered[0] == Read::from(Keyword::from_name("w"));
    assert_eq!(asked[2], if writes { answered[2].clone() } else { Read::Nil });
    Operation {
        process: number(get(end, "process")).try_into().unwrap(),
        key: number(&answered[1]).try_into().unwrap(),
        access: if writes { Access::Write(value.unwrap()) } else { Access::Read(value) },
        sent: At(number(get(begin, "time"))),
        done: At(number(get(end, "time"))),
        outcome: match word(end, "type").as_str() {
            "ok" => Outcome::Ok,
            "fail" => Outcome::Failed,
            "info" => Outcome::Indeterminate,
            other => panic!("{other}"),
        },
    }
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let outcome =
        prop_oneof![Just(Outcome::Ok), Just(Outcome::Failed), Just(Outcome::Indeterminate)];
    let access = prop_oneof![
        (0..=i64::MAX as u64).prop_map(Access::Write),
        prop::option::of(0..=i64::MAX as u64).prop_map(Access::Read),
    ];
    let one = (0_u32..4, 0_u32..3, access, 0_u64..40, 0_u64..10, outcome);
    let one = one.prop_map(|(process, key, access, sent, length, outcome)| Operation {
        process,
        key,
        // What a read without an answer saw is not exported.
        access: match access {
            Access::Read(_) if outcome != Outcome::Ok => Access::Read(None),
            access => access,
        },
        sent: At(sent),
        done: At(sent + length),
        outcome,
    });
    prop::collection::vec(one, 0..20)
}

fn sorted(mut all: Vec<Operation>) -> Vec<Operation> {
    all.sort_by_key(|one| (one.sent, one.done, one.key, one.access, one.outcome));
    all
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn what_is_exported_comes_back_as_it_was(history in operations()) {
        let lines = lines(&edn::transactions(&history), &[]);
        let pairs = pairs(&lines);
        let back = pairs.iter().map(|(begin, end)| operation(begin, end)).collect::<Vec<_>>();
        // The file has processes of its own, and claims no order that was not there.
        let anonymous = |all: &[Operation]| {
            sorted(all.iter().map(|one| Operation { process: 0, ..*one }).collect())
        };
        prop_assert_eq!(anonymous(&back), anonymous(&history));
        for (_, end) in &pairs {
            for (begin, _) in &pairs {
                let follows = number(get(end, "index")) < number(get(begin, "index"));
                let is_later = number(get(end, "time")) < number(get(begin, "time"));
                prop_assert_eq!(follows, is_later);
            }
        }
    }

    #[test]
    fn any_text_is_read_back(text in any::<String>()) {
        let value = Value::Text(text.clone()).to_string();
        prop_assert!(!value.contains('\n'));
        prop_assert_eq!(edn_format::parse_str(&value).unwrap(), Read::String(text));
    }
}

#[test]
fn a_history_is_written_as_jepsen_writes_it() {
    let one = |process, access, sent, done, outcome| Operation {
        process,
        key: 7,
        access,
        sent: At(sent),
        done: At(done),
        outcome,
    };
    let history = [
        one(0, Access::Write(5), 10, 30, Outcome::Indeterminate),
        one(1, Access::Read(None), 20, 25, Outcome::Ok),
        one(0, Access::Read(Some(5)), 40, 50, Outcome::Ok),
    ];
    let nemesis = [Nemesis { at: At(22), f: "inject", value: Value::from(1) }];
    let mut out = Vec::new();
    edn::write(&mut out, &edn::register(&history, 7), &nemesis).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "{:index 0, :time 10, :type :invoke, :process 0, :f :write, :value 5}\n\
         {:index 1, :time 20, :type :invoke, :process 1, :f :read, :value nil}\n\
         {:index 2, :time 22, :type :info, :process :nemesis, :f :inject, :value 1}\n\
         {:index 3, :time 25, :type :ok, :process 1, :f :read, :value nil}\n\
         {:index 4, :time 30, :type :info, :process 0, :f :write, :value 5}\n\
         {:index 5, :time 40, :type :invoke, :process 2, :f :read, :value nil}\n\
         {:index 6, :time 50, :type :ok, :process 2, :f :read, :value 5}\n"
    );
    assert_eq!(edn::transactions(&history)[2].answered.to_string(), "[[:r 7 5]]");
}

#[test]
fn a_bank_is_written_as_jepsen_writes_it() {
    let transfer = Transfer {
        process: 0,
        from: 1,
        to: 2,
        amount: 5,
        sent: At(1),
        done: At(2),
        outcome: Outcome::Failed,
    };
    let snapshot = Snapshot {
        process: 1,
        balances: BTreeMap::from([(1, 97), (2, -3)]),
        atomic: true,
        sent: At(3),
        done: At(4),
    };
    let mut out = Vec::new();
    edn::write(&mut out, &edn::bank(&[transfer], &[snapshot]), &[]).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "{:index 0, :time 1, :type :invoke, :process 0, :f :transfer, :value {:from 1, :to 2, :amount 5}}\n\
         {:index 1, :time 2, :type :fail, :process 0, :f :transfer, :value {:from 1, :to 2, :amount 5}}\n\
         {:index 2, :time 3, :type :invoke, :process 1, :f :read, :value nil}\n\
         {:index 3, :time 4, :type :ok, :process 1, :f :read, :value {1 97, 2 -3}}\n"
    );
}
