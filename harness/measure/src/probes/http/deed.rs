//! What the answer to an operation of a workload says.

use std::collections::BTreeMap;

use drdrill_core::sample::Deed;
use serde::Deserialize;

use super::answer::Answer;

/// The answer to a read of a register. The value has to be there, if only as `null`.
#[derive(Deserialize)]
struct Value {
    #[serde(deserialize_with = "Option::deserialize")]
    value: Option<u64>,
}

/// The answer to a read of all balances.
#[derive(Deserialize)]
struct Balances {
    balances: BTreeMap<u32, i64>,
}

/// The deed, with what the answer says; `None` where it does not say it.
pub(super) fn read(deed: Deed, answer: &Answer) -> Option<Deed> {
    Some(match deed {
        Deed::Read { key, .. } => {
            let Value { value } = serde_json::from_slice(&answer.body).ok()?;
            Deed::Read { key, value }
        }
        Deed::Balances { .. } => {
            let Balances { balances } = serde_json::from_slice(&answer.body).ok()?;
            Deed::Balances { balances }
        }
        changed @ (Deed::Write { .. } | Deed::Transfer { .. }) => changed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Answer {
        Answer { status: 200, body: body.into(), reusable: false, decider: None }
    }

    #[test]
    fn what_was_read_is_taken_from_the_answer_and_nothing_is_made_up() {
        let asked = Deed::Read { key: 3, value: None };
        let told = |body: &str| read(asked.clone(), &answer(body));
        assert_eq!(told(r#"{"value": 7}"#), Some(Deed::Read { key: 3, value: Some(7) }));
        assert_eq!(told(r#"{"value": null}"#), Some(Deed::Read { key: 3, value: None }));
        for wrong in ["", "{}", r#"{"value": -1}"#, r#"{"value": "7"}"#] {
            assert_eq!(told(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn balances_are_those_of_the_answer() {
        let asked = || Deed::Balances { balances: BTreeMap::new() };
        let told = read(asked(), &answer(r#"{"balances": {"0": 98, "1": 102}}"#));
        assert_eq!(told, Some(Deed::Balances { balances: [(0, 98), (1, 102)].into() }));
        assert_eq!(read(asked(), &answer(r#"{"balances": {"x": 1}}"#)), None);
    }
}
