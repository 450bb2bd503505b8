//! The one place where text becomes a scenario or an inventory. Nothing else knows the YAML library.

use std::borrow::Cow;

use garde::Validate;
use serde::de::DeserializeOwned;
use serde_saphyr::{Error, MessageFormatter, UserMessageFormatter};

use super::{Known, Scenario};
use crate::backup_plan::BackupPlan;
use crate::inventory::Inventory;
use crate::names::known_names;
use crate::runbook::{Followed, Runbook, RunbookNames};
use crate::secret::NOT_IN_FILES;
use crate::tabletop::{Names, Script};

/// Largest file that is looked at. A scenario is a page or two; anything larger is a mistake or an attack.
pub const LARGEST_FILE_BYTES: usize = 1024 * 1024;

/// A file that is not acceptable. The message names file, line and column, shows the line and says what is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{rendered}")]
pub struct FileError {
    rendered: String,
}

/// Reads a scenario from what stands in the file `name`, whose names must be among the `known`.
///
/// # Errors
/// When it is no scenario; the message says where and what to write instead.
pub fn parse_scenario(
    name: &str,
    text: impl AsRef<[u8]>,
    known: &Known,
) -> Result<Scenario, FileError> {
    parse(name, text.as_ref(), known)
}

/// Reads an environment from what stands in the file `name`.
///
/// # Errors
/// When it is no environment; the message says where and what to write instead.
pub fn parse_inventory(name: &str, text: impl AsRef<[u8]>) -> Result<Inventory, FileError> {
    parse(name, text.as_ref(), &())
}

/// Reads a backup plan from what stands in the file `name`.
///
/// # Errors
/// When it is no backup plan; the message says where and what to write instead.
pub fn parse_backup_plan(name: &str, text: impl AsRef<[u8]>) -> Result<BackupPlan, FileError> {
    parse(name, text.as_ref(), &())
}

/// Reads a runbook from what stands in the file `name`; its steps belong to roles of its contacts.
///
/// # Errors
/// When it is no runbook; the message says where and what to write instead.
pub fn parse_runbook(name: &str, text: impl AsRef<[u8]>) -> Result<Runbook, FileError> {
    // Who may own a step stands in the same file, so it is read twice.
    let alone: Runbook = parse(name, text.as_ref(), &RunbookNames::default())?;
    parse(name, text.as_ref(), &RunbookNames { roles: Some(alone.roles()), followed: None })
}

/// Reads a runbook that a drill is to follow from what stands in the file `name`: besides, what its steps name must be
/// there, and they must make a plan.
///
/// # Errors
/// As [`parse_runbook`].
pub fn parse_followed(
    name: &str,
    text: impl AsRef<[u8]>,
    followed: Followed,
) -> Result<Runbook, FileError> {
    let alone = parse_runbook(name, text.as_ref())?;
    let known = RunbookNames { roles: Some(alone.roles()), followed: Some(followed) };
    parse(name, text.as_ref(), &known)
}

/// Reads the answers to a tabletop exercise from what stands in the file `name`, whose names must be among the `known`.
///
/// # Errors
/// When it is no such thing; the message says where and what to write instead.
pub fn parse_script(
    name: &str,
    text: impl AsRef<[u8]>,
    known: &Names,
) -> Result<Script, FileError> {
    parse(name, text.as_ref(), known)
}

/// Reads any format of files; the `context` knows the names that it may use.
pub(crate) fn parse<T: DeserializeOwned + Validate>(
    name: &str,
    bytes: &[u8],
    context: &T::Context,
) -> Result<T, FileError> {
    let refused = |good: &[u8], why: &str| {
        let (line, column) = end_of(good);
        FileError { rendered: format!("{name}:{line}:{column}: {why}") }
    };
    if let Some(read) = bytes.get(..LARGEST_FILE_BYTES)
        && bytes.len() > read.len()
    {
        return Err(refused(
            read,
            &format!("more than the {LARGEST_FILE_BYTES} bytes that are read"),
        ));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| refused(&bytes[..error.valid_up_to()], "not UTF-8 text from here on"))?;
    // Anchors and aliases save a scenario nothing and are how small files grow in memory.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_anchors: 0, max_aliases: 0 },
    };
    serde_saphyr::from_str_with_options_context_valid(text, options, context).map_err(|error| {
        let render = |error: &Error| {
            error.render_with_options(serde_saphyr::render_options! {
                formatter: &Words,
                source_name: Some(name),
            })
        };
        let mut body = render(&error);
        if body.contains(NOT_IN_FILES) {
            // Without the lines of the file, in which the credential stands.
            body = render(error.without_snippet());
        }
        // The library heads a snippet with the position alone; editors and people look for FILE:LINE:COLUMN first.
        let (line, column) = error.location().map_or(THE_FILE, |at| (at.line(), at.column()));
        FileError { rendered: format!("{name}:{line}:{column}: {}", body.trim_end()) }
    })
}

/// The place of what is wrong with the file as a whole, such as a key that is missing where there are none at all.
const THE_FILE: (u64, u64) = (1, 1);

/// The line and the column behind the last character, counted from 1. Lines end as YAML's do.
fn end_of(text: &[u8]) -> (usize, usize) {
    let text = String::from_utf8_lossy(text).replace("\r\n", "\n").replace('\r', "\n");
    let last = text.rsplit('\n').next().unwrap_or_default();
    (text.matches('\n').count() + 1, last.chars().count() + 1)
}

/// Our words where the library's do not say what to write instead.
struct Words;

impl MessageFormatter for Words {
    fn format_message<'a>(&self, error: &'a Error) -> Cow<'a, str> {
        match error {
            Error::SerdeUnknownField { field, expected, .. } => {
                let field = short(field);
                format!("unknown key `{field}`; {}", known_names(&field, expected.iter().copied())).into()
            }
            Error::SerdeUnknownVariant { variant, expected, .. } => {
                let variant = short(variant);
                format!("unknown name `{variant}`; {}", known_names(&variant, expected.iter().copied())).into()
            }
            Error::SerdeMissingField { field, .. } => format!("the key `{field}` is missing").into(),
            Error::Budget { .. } => {
                "too deep, too large, or with anchors (&name) and aliases (*name), which are not accepted".into()
            }
            other => UserMessageFormatter.format_message(other),
        }
    }
}

/// So much of a name is compared with the known ones and shown, in characters. No name is longer than 64, and to
/// compare 64 KiB with each of them takes seconds.
const LONGEST_SHOWN: usize = 100;

fn short(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("{}…", &name[..end]).into(),
        None => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const GOOD: &str = "\
scenario: site
title: A site is lost
kind: simulated
targets: { rto: 1h, rpo: 15min, rlo: 80% }
probes: { every: 20ms, deadline: 900ms }
faults:
  - at: 5s
    inject: { site_loss: { on: primary } }
verify: [data_access]
";

    fn known() -> Known {
        let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        Known {
            zones: None,
            roles: names(&["primary", "dr"]),
            functions: names(&["data_access", "job_submission"]),
            probes: names(&["write", "read", "bystander"]),
            also: names(&["login"]),
            workloads: Vec::new(),
            components: Some(BTreeMap::from([("primary".to_owned(), vec!["service".to_owned()])])),
            directories: None,
            nodes: None,
        }
    }

    /// The error of the good scenario with one thing changed.
    fn error_of(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from), "{from} is not in the scenario");
        let text = GOOD.replace(from, to);
        parse_scenario("s.yaml", &text, &known()).unwrap_err().to_string()
    }

    #[test]
    fn the_good_scenario_is_good() {
        parse_scenario("s.yaml", GOOD, &known()).unwrap();
    }

    #[test]
    fn every_mistake_is_placed_and_answered() {
        let cases: [(&str, &str, &str, &str); 22] = [
            ("every: 20ms", "every: 20", "s.yaml:5:18: ", "`20` has no unit"),
            ("rto: 1h", "rto: soon", "s.yaml:4:17: ", "50ms, 30s, 15min or 1h"),
            ("rlo: 80%", "rlo: 180%", "s.yaml:4:38: ", "from 0% to 100%"),
            ("rlo: 80%", "rlo: 0.8", "s.yaml:4:38: ", "has no unit"),
            ("site_loss", "site_lost", "s.yaml:8:15: ", "nearest first: site_loss, "),
            (
                "verify",
                "verfy",
                "s.yaml:9:1: ",
                "unknown key `verfy`; known, the nearest first: verify, ",
            ),
            (
                "every: 20ms",
                "every: 20ms, also: [logins]",
                "s.yaml:5:",
                "no optional probe `logins`; known, the nearest first: login",
            ),
            (
                "[data_access]",
                "[data_access]\nstop_when: [{ probe: login, success_below: 99% }]",
                "s.yaml:10:12: ",
                "nobody samples `login` here; ask for it: `probes: { also: [login] }`",
            ),
            ("deadline: 900ms", "deadline: 2s", "s.yaml:5:34: ", "from 1ms to 900ms"),
            ("kind: simulated", "kind: real", "s.yaml:3:7: ", "unknown name `real`"),
            (
                "on: primary",
                "on: primry",
                "s.yaml:8:13: ",
                "no role `primry`; known, the nearest first: primary, dr",
            ),
            (
                "site_loss: { on: primary }",
                "process_kill: { on: primary, component: servce }",
                "s.yaml:8:13: ",
                "no process of primary named `servce`; known, the nearest first: service",
            ),
            (
                "site_loss: { on: primary }",
                "process_stop: { on: primary, grace: 1min }",
                "s.yaml:8:13: ",
                "from 0s to 8s",
            ),
            ("[data_access]", "[data_acces]", "s.yaml:9:10: ", "nearest first: data_access"),
            ("title: A site is lost\n", "", "s.yaml:8:1: ", "the key `title` is missing"),
            ("scenario: site", "scenario: Site!", "s.yaml:1:11: ", "scenario"),
            ("title: A", "title: &a A", "s.yaml:2:11: ", "anchors"),
            ("kind: simulated", "kind: simulated\nkind: full", "s.yaml:4:1: ", "duplicate"),
            ("at: 5s", "at: 5ms", "s.yaml:7:9: ", "from 1s to 1h"),
            ("kind:", "tags: [site, A B]\nkind:", "s.yaml:3:14: ", "lower-case letters"),
            (
                "kind:",
                "expect: { exit: 0, reason: lost }\nkind:",
                "s.yaml:3:17: ",
                "must be 10 (a target was missed) or 11",
            ),
            ("{ on: primary } }", "{ on: primary }", "s.yaml:", ""),
        ];
        for (from, to, place, what) in cases {
            let error = error_of(from, to);
            assert!(error.starts_with(place), "{from} -> {to}: expected {place}, got: {error}");
            assert!(error.contains(what), "{from} -> {to}: expected {what}, got: {error}");
        }
    }

    #[test]
    fn hostile_text_is_refused_quickly() {
        let nested = "[".repeat(100_000);
        let huge = "x".repeat(LARGEST_FILE_BYTES + 1);
        for text in ["", "\0", "- - -", &nested, &huge, "scenario: &a [*a]"] {
            assert!(parse_scenario("s.yaml", text, &known()).is_err());
        }
    }

    #[test]
    fn what_is_wrong_with_the_whole_file_has_a_place_too() {
        let error_of = |text: &[u8]| parse_inventory("e.yaml", text).unwrap_err().to_string();
        for empty in ["---\n", "--- # nothing\n", "{}"] {
            let error = error_of(empty.as_bytes());
            assert!(error.starts_with("e.yaml:1:"), "{empty:?}: {error}");
            assert!(error.contains("the key `environment` is missing"), "{empty:?}: {error}");
        }
        let long = "x: y\n".repeat(LARGEST_FILE_BYTES / 5 + 1);
        let error = error_of(long.as_bytes());
        assert!(error.starts_with("e.yaml:209716:2: more than the 1048576 bytes"), "{error}");
        let error = error_of(b"a: b\r\nc: \xff");
        assert_eq!(error, "e.yaml:2:4: not UTF-8 text from here on");
    }

    #[test]
    fn a_huge_name_is_cut_before_it_is_compared_and_shown() {
        let error = error_of("site_loss", &"ü".repeat(30_000));
        let head = error.lines().next().unwrap_or_default();
        assert!(head.contains(&format!("unknown name `{}…`; known", "ü".repeat(100))), "{head}");
        assert!(head.len() < 1000, "{}", head.len());
    }
}
