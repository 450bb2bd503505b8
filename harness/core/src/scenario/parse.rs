//! The one place where text becomes a scenario or an inventory. Nothing else knows the YAML library.

use std::borrow::Cow;

use garde::Validate;
use serde::de::DeserializeOwned;
use serde_saphyr::{Error, MessageFormatter, UserMessageFormatter};

use super::{Known, Scenario};
use crate::inventory::Inventory;
use crate::names::known_names;

/// Largest file that is looked at. A scenario is a page or two; anything larger is a mistake or an attack.
pub const LARGEST_FILE_BYTES: usize = 1024 * 1024;

/// A file that is not acceptable. The message names file, line and column, shows the line and says what is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{rendered}")]
pub struct FileError {
    rendered: String,
}

/// Reads a scenario from the text of the file `name`, whose names must be among the `known`.
///
/// # Errors
/// When the text is no scenario; the message says where and what to write instead.
pub fn parse_scenario(name: &str, text: &str, known: &Known) -> Result<Scenario, FileError> {
    parse(name, text, known)
}

/// Reads an environment from the text of the file `name`.
///
/// # Errors
/// When the text is no environment; the message says where and what to write instead.
pub fn parse_inventory(name: &str, text: &str) -> Result<Inventory, FileError> {
    parse(name, text, &())
}

fn parse<T: DeserializeOwned + Validate>(
    name: &str,
    text: &str,
    context: &T::Context,
) -> Result<T, FileError> {
    if text.len() > LARGEST_FILE_BYTES {
        let size = text.len();
        let rendered =
            format!("{name}: {size} bytes are more than the {LARGEST_FILE_BYTES} that are read");
        return Err(FileError { rendered });
    }
    // Anchors and aliases save a scenario nothing and are how small files grow in memory.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_anchors: 0, max_aliases: 0 },
    };
    serde_saphyr::from_str_with_options_context_valid(text, options, context).map_err(|error| {
        let body = error.render_with_options(serde_saphyr::render_options! {
            formatter: &Words,
            source_name: Some(name),
        });
        // The library heads a snippet with the position alone; editors and people look for FILE:LINE:COLUMN first.
        let place = error
            .location()
            .map_or_else(|| name.to_owned(), |at| format!("{name}:{}:{}", at.line(), at.column()));
        FileError { rendered: format!("{place}: {}", body.trim_end()) }
    })
}

/// Our words where the library's do not say what to write instead.
struct Words;

impl MessageFormatter for Words {
    fn format_message<'a>(&self, error: &'a Error) -> Cow<'a, str> {
        match error {
            Error::SerdeUnknownField { field, expected, .. } => {
                format!("unknown key `{field}`; {}", known_names(field, expected.iter().copied())).into()
            }
            Error::SerdeUnknownVariant { variant, expected, .. } => {
                format!("unknown name `{variant}`; {}", known_names(variant, expected.iter().copied())).into()
            }
            Error::SerdeMissingField { field, .. } => format!("the key `{field}` is missing").into(),
            Error::Budget { .. } => {
                "too deep, too large, or with anchors (&name) and aliases (*name), which are not accepted".into()
            }
            other => UserMessageFormatter.format_message(other),
        }
    }
}

#[cfg(test)]
mod tests {
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
            roles: names(&["primary", "dr"]),
            functions: names(&["data_access", "job_submission"]),
            probes: names(&["write", "read", "bystander"]),
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
        let cases: [(&str, &str, &str, &str); 16] = [
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
            ("deadline: 900ms", "deadline: 2s", "s.yaml:5:34: ", "from 1ms to 900ms"),
            ("kind: simulated", "kind: real", "s.yaml:3:7: ", "unknown name `real`"),
            (
                "on: primary",
                "on: primry",
                "s.yaml:8:13: ",
                "no role `primry`; known, the nearest first: primary, dr",
            ),
            ("[data_access]", "[data_acces]", "s.yaml:9:10: ", "nearest first: data_access"),
            ("title: A site is lost\n", "", "s.yaml:8:1: ", "the key `title` is missing"),
            ("scenario: site", "scenario: Site!", "s.yaml:1:11: ", "scenario"),
            ("title: A", "title: &a A", "s.yaml:2:11: ", "anchors"),
            ("kind: simulated", "kind: simulated\nkind: full", "s.yaml:4:1: ", "duplicate"),
            ("at: 5s", "at: 5ms", "s.yaml:7:9: ", "from 1s to 1h"),
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
}
