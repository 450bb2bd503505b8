//! Where text becomes a program.

use super::names::Own;
use super::{Program, ProgramNames};
use crate::scenario::{FileError, parse};

/// Reads a program from what stands in the file `name`, whose names must be among the `known` and its own.
///
/// # Errors
/// When it is no program; the message says where and what to write instead.
pub fn parse_program(
    name: &str,
    text: impl AsRef<[u8]>,
    known: &ProgramNames,
) -> Result<Program, FileError> {
    // What it names itself stands in the same file, so it is read twice.
    let alone: Program = parse(name, text.as_ref(), known)?;
    let known = ProgramNames { own: Some(Own::of(&alone)), ..known.clone() };
    parse(name, text.as_ref(), &known)
}

#[cfg(test)]
mod tests {
    use super::super::Class::{Component, Full, Replication, Tabletop};
    use super::*;

    const GOOD: &str = "\
program: shop
title: The shop keeps selling
currency: EUR
people:
  - { name: Ada, role: commander }
services:
  - { name: store, tier: 1, targets: { rto: 1h } }
functions:
  - name: orders
    title: Order intake
    services: [store]
    impact:
      hourly_revenue: 12000 EUR
      penalties: [{ after: 4h, amount: 50000 EUR }]
plans:
  - { name: site_loss, version: \"1.2\", since: 2026-10-01 }
drills:
  - scenario: complete_site_failure
    environments: [lab]
    class: full
    participants: [commander]
    plan: site_loss
controls:
  - { framework: ISO 22301, control: \"8.5\", scenarios: [complete_site_failure] }
exclusions:
  - { environment: lab, because: it is a lab, by: Ada, until: 2026-12-31 }
";

    fn known() -> ProgramNames {
        ProgramNames::shipped(["complete_site_failure", "az_failure"], ["lab", "lab_zones"])
    }

    #[test]
    fn the_good_program_is_good_and_has_the_usual_cadence() {
        let program = parse_program("p.yaml", GOOD, &known()).unwrap();
        let days = |class| program.cadence.of(class).days;
        assert_eq!([Full, Component, Replication, Tabletop].map(days), [90, 31, 7, 31]);
    }

    #[test]
    fn every_mistake_is_placed_and_answered() {
        let cases = [
            (
                "title",
                "titel",
                "p.yaml:2:1: ",
                "unknown key `titel`; known, the nearest first: title, ",
            ),
            ("tier: 1", "tier: 9", "p.yaml:7:26: ", "greater than 4"),
            ("rto: 1h", "rto: 1", "p.yaml:7:45: ", "has no unit"),
            (
                "[store]",
                "[stroe]",
                "p.yaml:11:16: ",
                "no service `stroe`; known, the nearest first: store",
            ),
            ("12000 EUR", "12000", "p.yaml:13:23: ", "has no currency"),
            ("12000 EUR", "12000 USD", "p.yaml:13:23: ", "in the program's currency, EUR"),
            ("currency: EUR\n", "", "p.yaml:12:23: ", "write `currency: EUR`"),
            ("2026-10-01", "1.10.2026", "p.yaml:16:47: ", "such as 2026-12-31"),
            (
                "scenario: complete_site_failure",
                "scenario: complete_site_faliure",
                "p.yaml:18:15: ",
                "nearest first: complete_site_failure, az_failure; or give the path",
            ),
            (
                "environments: [lab]",
                "environments: [labb]",
                "p.yaml:19:20: ",
                "no environment `labb`; known",
            ),
            ("class: full", "class: whole", "p.yaml:20:12: ", "unknown name `whole`"),
            ("class: full", "class: full\n    every: 30", "p.yaml:21:12: ", "has no unit"),
            (
                "participants: [commander]",
                "participants: [comander]",
                "p.yaml:21:20: ",
                "nearest first: commander",
            ),
            (
                "plan: site_loss\n",
                "plan: site_lost\n",
                "p.yaml:22:11: ",
                "nearest first: site_loss",
            ),
            (
                "scenarios: [complete_site_failure]",
                "scenarios: [az_failure]",
                "p.yaml:24:",
                "no entry of `drills`",
            ),
            ("environment: lab, because", "because", "p.yaml:26:", "says what it excludes"),
            (
                "environment: lab, because",
                "environment: lab_zones, because",
                "p.yaml:26:",
                "no entry of `drills` has the environment",
            ),
            ("by: Ada, ", "", "p.yaml:26:", "the key `by` is missing"),
        ];
        for (from, to, place, what) in cases {
            assert!(GOOD.contains(from), "{from} is not in the program");
            let text = GOOD.replacen(from, to, 1);
            let error = parse_program("p.yaml", text, &known()).unwrap_err().to_string();
            assert!(error.starts_with(place), "{from} -> {to}: expected {place}, got: {error}");
            assert!(error.contains(what), "{from} -> {to}: expected {what}, got: {error}");
        }
    }

    #[test]
    fn a_file_is_not_compared_with_what_is_shipped() {
        let text = GOOD.replace("complete_site_failure", "mine/site.yaml");
        parse_program("p.yaml", text, &known()).unwrap();
    }
}
