//! How a scenario that must fail has to end: a drill that ends otherwise shows that drdrill can be fooled.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Known;
use crate::names::simple_name;

/// The end that a scenario in `scenarios/must_fail` must come to. `drdrill run --must-fail` compares.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Known))]
pub struct Expect {
    /// The exit code: 10 (a target was missed or a check failed) or 11 (unknown or invalid).
    #[garde(custom(no_pass))]
    #[schemars(range(min = 10, max = 11))]
    pub exit: u8,
    /// Words that stand in one of the reasons of the record.
    #[garde(length(min = 1, max = 200))]
    pub reason: String,
    /// The shipped environment that it is meant for, where that is not `lab`.
    #[serde(default)]
    #[garde(inner(custom(simple_name)))]
    #[schemars(inner(regex(pattern = r"^[a-z0-9_-]{1,64}$")))]
    pub environment: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what garde calls it with")]
fn no_pass<C>(exit: &u8, _: &C) -> garde::Result {
    if matches!(exit, 10 | 11) {
        return Ok(());
    }
    Err(garde::Error::new("must be 10 (a target was missed) or 11 (unknown or invalid)"))
}

impl Expect {
    /// Compares with the exit code and the reasons of a record.
    ///
    /// # Errors
    /// When the drill did not end as stated; says how it ended instead.
    pub fn compare(&self, exit: u8, reasons: &[String]) -> Result<(), String> {
        if exit != self.exit {
            return Err(format!("exit code {exit}, not {}: {}", self.exit, reasons.join("; ")));
        }
        if reasons.iter().any(|reason| reason.contains(&self.reason)) {
            return Ok(());
        }
        Err(format!("no reason says `{}`: {}", self.reason, reasons.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_the_exit_code_and_the_reason_must_be_as_stated() {
        let expect = Expect { exit: 10, reason: "never restored".into(), environment: None };
        let reasons = ["lost 3".to_owned(), "store: never restored within 8 s".to_owned()];
        assert_eq!(expect.compare(10, &reasons), Ok(()));
        for (exit, reasons) in [(0, &reasons[..]), (11, &reasons), (10, &reasons[..1]), (10, &[])] {
            assert!(expect.compare(exit, reasons).is_err(), "{exit} {reasons:?}");
        }
    }
}
