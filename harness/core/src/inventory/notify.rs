//! Who is told of drills, and how (requirement C11), as written in an environment file.

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::headers::{Headers, SecretSource};
use super::url::{SecretUrl, host_and_port};
use crate::names::{distinct, simple_name};
use crate::notice::{Notice, Severity};
use crate::units::{Span, within};

/// Who is told of drills.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// While clients are affected, the next word comes after so long at the latest.
    #[serde(default = "default_update")]
    #[garde(custom(within(Duration::from_secs(1), Duration::from_hours(24))))]
    pub update_every: Span,
    /// Those who are told.
    #[garde(length(min = 1, max = 50), custom(distinct(|one: &Recipient| &one.name)), dive)]
    pub to: Vec<Recipient>,
}

const fn default_update() -> Span {
    Span(Duration::from_mins(15))
}

/// Somebody who is told.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    /// Name, for the report.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub name: String,
    /// How urgent a notice must be at least. Who was told anything is told the end as well.
    #[serde(default)]
    #[garde(skip)]
    pub from: Severity,
    /// Template of the title, in one line, where another one is wanted.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 1000), custom(template)))]
    pub title: Option<String>,
    /// Template of the text, where another one is wanted.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 20_000), custom(template)))]
    pub text: Option<String>,
    /// The way.
    #[garde(dive)]
    pub by: Channel,
}

/// A way to tell somebody: a map with one key.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// An HTTP POST.
    Webhook(#[garde(dive)] Webhook),
    /// A mail.
    Email(#[garde(dive)] Email),
    /// A maintenance on a status page.
    StatusPage(#[garde(dive)] StatusPage),
}

impl Channel {
    /// Its name in files, records and reports.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Email(_) => "email",
            Self::StatusPage(_) => "status_page",
        }
    }
}

/// An HTTP POST of JSON: `text` with title and text, as chats understand it, and `notice` with everything.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where to; a URL that is itself a secret, as those of chats are: `{ env: NAME }` or `{ file: PATH }`.
    #[garde(skip)]
    pub url: SecretUrl,
    /// Headers of the request.
    #[serde(default)]
    #[garde(skip)]
    pub headers: Headers,
    /// Template of another body. Each value is filled in as JSON: `{"summary": {{ headline }}}`.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 20_000), custom(json_template)))]
    pub body: Option<String>,
}

/// A mail.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// The mail server, `host:port`.
    #[serde(deserialize_with = "host_and_port")]
    #[garde(skip)]
    pub server: String,
    /// How the connection is encrypted.
    #[serde(default)]
    #[garde(custom(no_bare_password(self.password.is_some())))]
    pub tls: MailTls,
    /// Name to log in with.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 200)))]
    pub user: Option<String>,
    /// Password to log in with.
    #[serde(default)]
    #[garde(custom(goes_with(self.user.is_some())))]
    pub password: Option<SecretSource>,
    /// Who it is from, such as `drdrill <drdrill@example.org>`.
    #[garde(custom(mailbox))]
    pub sender: String,
    /// Who gets it.
    #[garde(length(min = 1, max = 50), inner(custom(mailbox)))]
    pub to: Vec<String>,
}

/// How a connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// Plain at first, then encrypted, or not at all used (port 587).
    #[default]
    Starttls,
    /// From the first byte (port 465).
    Implicit,
    /// Never: for a mail server on this machine.
    None,
}

/// A maintenance on a status page that speaks the API of Statuspage. It ends by itself when the drill should be over,
/// so that it does not stay when drdrill dies.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct StatusPage {
    /// Its API.
    #[serde(default = "statuspage")]
    #[garde(skip)]
    pub api: SecretUrl,
    /// Id of the page.
    #[garde(custom(id))]
    pub page: String,
    /// Key of the API.
    #[garde(skip)]
    pub token: SecretSource,
    /// Ids of the components that are shown as under maintenance.
    #[serde(default)]
    #[garde(length(max = 100), inner(custom(id)))]
    pub components: Vec<String>,
}

fn statuspage() -> SecretUrl {
    SecretUrl::Plain("https://api.statuspage.io/v1".to_owned())
}

fn template<C>(text: &str, _: &C) -> garde::Result {
    Notice::example().text_of(text).map(drop).map_err(garde::Error::new)
}

fn json_template<C>(text: &str, _: &C) -> garde::Result {
    Notice::example().json_of(text).map(drop).map_err(garde::Error::new)
}

fn no_bare_password<C>(password: bool) -> impl Fn(&MailTls, &C) -> garde::Result {
    move |tls, _| {
        if password && *tls == MailTls::None {
            return Err(garde::Error::new(
                "a password is not sent without encryption: starttls or implicit",
            ));
        }
        Ok(())
    }
}

fn goes_with<T, C>(user: bool) -> impl Fn(&Option<T>, &C) -> garde::Result {
    move |password, _| {
        if password.is_some() == user {
            return Ok(());
        }
        Err(garde::Error::new("user and password go together: write both or none"))
    }
}

/// The rough form of an address; who sends reads it exactly, before the drill.
fn mailbox<C>(text: &str, _: &C) -> garde::Result {
    let one = text.matches('@').count() == 1 && !text.starts_with('@') && !text.ends_with('@');
    if one && text.len() <= 320 && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(garde::Error::new("must be an address, such as drdrill@example.org"))
}

fn id<C>(text: &str, _: &C) -> garde::Result {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if (1..=64).contains(&text.len()) && text.chars().all(fine) {
        return Ok(());
    }
    Err(garde::Error::new("must be an id of 1 to 64 letters, digits, `-` and `_`"))
}
