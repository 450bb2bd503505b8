//! What people are told of a drill while it runs (requirement C11).

use std::fmt;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How urgent a notice is.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For whoever follows the drill: it begins, it passed.
    Info,
    /// For those who answer for the system: clients are affected, or the drill did not pass.
    #[default]
    High,
    /// For everybody: something was left broken.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "info",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// What a notice is about.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// A drill begins.
    Begun,
    /// A fault is in effect: services may be affected.
    Affected,
    /// Failing over, or restoring, was decided.
    Recovering,
    /// Clients are still affected; the word that was promised.
    Update,
    /// The service is back, as clients see it.
    Restored,
    /// A fault or an environment could not be taken back.
    LeftInPlace,
    /// The drill ends before its end.
    Aborted,
    /// The drill is over and judged.
    Over,
    /// What was said of the end does not hold.
    Withdrawn,
    /// Nothing happened: somebody tries whether notices arrive.
    Test,
}

/// A service that a drill is about.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct NoticeService {
    /// Its name.
    pub name: String,
    /// Its tier, 1 (most critical) to 4.
    pub tier: u8,
    /// Its recovery time objective, such as `15s`.
    pub rto: Option<String>,
    /// Its recovery point objective.
    pub rpo: Option<String>,
}

/// A notice: what templates know. Instants are RFC 3339 in UTC.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Notice {
    /// Unique among all notices: one that arrives twice can be told.
    pub id: String,
    /// What it is about.
    pub kind: NoticeKind,
    /// How urgent it is.
    pub severity: Severity,
    /// It in a line.
    pub headline: String,
    /// More of it.
    pub detail: String,
    /// When it was written.
    pub at: String,
    /// Unique id of the run.
    pub run: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Title of the scenario.
    pub scenario_title: String,
    /// Name of the environment.
    pub environment: String,
    /// Whether real users depend on it.
    pub production: bool,
    /// The services that the drill is about.
    pub services: Vec<NoticeService>,
    /// By when the services are to be back, by their recovery time objective; while clients are affected.
    pub expected_back: Option<String>,
    /// When the next word comes at the latest; while clients are affected.
    pub next_update: Option<String>,
}

/// Title of a notice, where the environment file gives no other.
pub const TITLE: &str = "[DRILL] {{ environment }}: {{ headline }}";

/// Text of a notice, where the environment file gives no other.
pub const TEXT: &str = include_str!("notice.txt");

/// Instructions that filling in a template may take: a loop that never ends is none that anybody wants.
const FUEL: u64 = 100_000;

impl Notice {
    /// One with everything in it, to try templates on.
    #[must_use]
    pub fn example() -> Self {
        let at = "2026-01-02T03:04:05Z".to_owned();
        Self {
            id: "20260102-030405-abcdef-1".to_owned(),
            kind: NoticeKind::Affected,
            severity: Severity::High,
            headline: "a \"fault\" is in effect".to_owned(),
            detail: "site_loss on primary\nsecond line".to_owned(),
            at: at.clone(),
            run: "20260102-030405-abcdef".to_owned(),
            scenario: "complete_site_failure".to_owned(),
            scenario_title: "The primary site is lost".to_owned(),
            environment: "lab".to_owned(),
            production: false,
            services: vec![NoticeService {
                name: "store".to_owned(),
                tier: 1,
                rto: Some("15s".to_owned()),
                rpo: None,
            }],
            expected_back: Some(at.clone()),
            next_update: Some(at),
        }
    }

    /// The template filled in, as plain text.
    ///
    /// # Errors
    /// When the template is wrong, or names something that a notice does not have.
    pub fn text_of(&self, template: &str) -> Result<String, String> {
        self.fill(template, |_| AutoEscape::None)
    }

    /// The template filled in, each value as JSON, quotes included.
    ///
    /// # Errors
    /// As [`Notice::text_of`], and when the outcome is not JSON.
    pub fn json_of(&self, template: &str) -> Result<String, String> {
        let text = self.fill(template, |_| AutoEscape::Json)?;
        serde_json::from_str::<serde::de::IgnoredAny>(&text)
            .map_err(|error| format!("filled in, this is not JSON: {error}"))?;
        Ok(text)
    }

    fn fill(&self, template: &str, escape: fn(&str) -> AutoEscape) -> Result<String, String> {
        let filled = || {
            let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
            let mut environment = Environment::new();
            environment.set_syntax(syntax);
            environment.set_undefined_behavior(UndefinedBehavior::Strict);
            environment.set_auto_escape_callback(escape);
            environment.set_fuel(Some(FUEL));
            environment.render_str(template, Serde(self))
        };
        // The line of a template is not the line of the file that it stands in.
        let told = |error: minijinja::Error| {
            let line = error.line().map_or_else(String::new, |line| format!(", line {line}"));
            let detail = error.detail().map_or_else(String::new, |detail| format!(": {detail}"));
            format!("in this template{line}: {}{detail}", error.kind())
        };
        filled().map_err(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_along_says_what_happens_and_that_it_is_a_drill() {
        let notice = Notice::example();
        assert_eq!(notice.text_of(TITLE).unwrap(), "[DRILL] lab: a \"fault\" is in effect");
        let text = notice.text_of(TEXT).unwrap();
        assert_eq!(
            text,
            "This is a disaster-recovery drill.\n\nsite_loss on primary\nsecond line\n\n\
             Services: store (tier 1, to be back within 15s)\n\
             Expected back by: 2026-01-02T03:04:05Z, by the recovery time objective\n\
             Next word at the latest: 2026-01-02T03:04:05Z\n\n\
             Scenario: complete_site_failure (The primary site is lost)\n\
             Environment: lab\nRun: 20260102-030405-abcdef"
        );
        let short =
            Notice { expected_back: None, next_update: None, production: true, ..notice.clone() };
        let text = short.text_of(TEXT).unwrap();
        assert!(!text.contains("Expected") && !text.contains("Next word"), "{text}");
        assert!(text.contains("Environment: lab (production: real users depend on it)"), "{text}");
    }

    #[test]
    fn values_in_json_are_json() {
        let text = Notice::example().json_of(r#"{"what": {{ headline }}, "n": 1}"#).unwrap();
        assert_eq!(text, r#"{"what": "a \"fault\" is in effect", "n": 1}"#);
        let wrong = Notice::example().json_of(r#"{"what": "{{ headline }}"}"#).unwrap_err();
        assert!(wrong.starts_with("filled in, this is not JSON: "), "{wrong}");
    }

    #[test]
    fn what_a_notice_does_not_have_is_named() {
        let wrong = Notice::example().text_of("{{ severty }}").unwrap_err();
        assert!(wrong.contains("undefined"), "{wrong}");
        let wrong = Notice::example().text_of("{% if %}").unwrap_err();
        assert!(wrong.contains("unexpected"), "{wrong}");
    }
}
