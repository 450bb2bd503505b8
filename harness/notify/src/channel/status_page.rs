//! A maintenance on a status page that speaks the API of Statuspage.
//!
//! A drill is a planned maintenance. Such a one ends by itself when it should be over, so that it does not stay when
//! drdrill dies.

use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use drdrill_core::notice::{Notice, NoticeKind, Severity};
use drdrill_core::probe::HeaderValue;
use hyper::Method;
use serde_json::{Map, Value, json};

use super::Words;
use super::web::{Web, WebError};

/// Longest name of a maintenance. Source: API of Statuspage.
const LONGEST_NAME: usize = 255;

/// A page, and the maintenance on it once there is one.
#[derive(Debug)]
pub struct StatusPage {
    /// URL of the maintenances of the page.
    incidents: String,
    headers: Vec<(String, HeaderValue)>,
    components: Vec<String>,
    /// The maintenance is over after so long at the latest.
    longest: Duration,
    open: Option<String>,
    web: Web,
}

impl StatusPage {
    /// A maintenance on `page` of the API at `api`, of `components`, for `longest` at most.
    ///
    /// # Errors
    /// When the certificates of this machine cannot be read.
    pub fn new(
        api: &str,
        page: &str,
        authorization: HeaderValue,
        components: Vec<String>,
        longest: Duration,
    ) -> Result<Self, WebError> {
        Ok(Self {
            incidents: format!("{}/pages/{page}/incidents", api.trim_end_matches('/')),
            headers: vec![("Authorization".to_owned(), authorization)],
            components,
            longest,
            open: None,
            web: Web::new()?,
        })
    }

    pub(super) async fn send(&mut self, notice: &Notice, words: &Words) -> Result<(), WebError> {
        let mut incident = self.change(notice, words);
        if let Some(id) = &self.open {
            let url = format!("{}/{id}", self.incidents);
            let body = json!({ "incident": incident }).to_string();
            self.web.send(Method::PATCH, &url, &self.headers, body).await?;
            return Ok(());
        }
        incident.extend(self.beginning(words));
        let body = json!({ "incident": incident }).to_string();
        let answer = self.web.send(Method::POST, &self.incidents, &self.headers, body).await?;
        let answer: Value =
            serde_json::from_slice(&answer).map_err(|error| WebError::Answer(error.to_string()))?;
        let id = answer["id"].as_str();
        // It becomes part of a URL.
        let simple = |id: &&str| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric());
        let id = id.filter(simple).ok_or_else(|| WebError::Answer("it has no id".to_owned()))?;
        self.open = Some(id.to_owned());
        Ok(())
    }

    /// What every notice changes.
    fn change(&self, notice: &Notice, words: &Words) -> Map<String, Value> {
        if notice.kind == NoticeKind::Withdrawn {
            // Whatever was told: what is broken is as it was.
            return Map::from_iter([("body".to_owned(), Value::from(words.text.as_str()))]);
        }
        let left = notice.severity == Severity::Critical;
        let (status, state) = match notice.kind {
            NoticeKind::Over | NoticeKind::Test if !left => ("completed", "operational"),
            NoticeKind::Restored => ("verifying", "under_maintenance"),
            _ => ("in_progress", "under_maintenance"),
        };
        let components: Map<String, Value> =
            self.components.iter().map(|id| (id.clone(), Value::from(state))).collect();
        let mut change = Map::from_iter([
            ("status".to_owned(), Value::from(status)),
            ("body".to_owned(), Value::from(words.text.as_str())),
            ("components".to_owned(), Value::from(components)),
        ]);
        if left {
            // Somebody has to look, and ends it then.
            change.insert("scheduled_auto_completed".to_owned(), Value::from(false));
        }
        change
    }

    /// What stands at its beginning only.
    fn beginning(&self, words: &Words) -> Map<String, Value> {
        let now = Utc::now();
        let instant = |at: chrono::DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let name: String = words.title.chars().take(LONGEST_NAME).collect();
        Map::from_iter([
            ("name".to_owned(), Value::from(name)),
            ("scheduled_for".to_owned(), Value::from(instant(now))),
            ("scheduled_until".to_owned(), Value::from(instant(now + self.longest))),
            ("scheduled_auto_completed".to_owned(), Value::from(true)),
            ("auto_transition_to_operational_state".to_owned(), Value::from(true)),
            ("component_ids".to_owned(), Value::from(self.components.clone())),
        ])
    }
}
