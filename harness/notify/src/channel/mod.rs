//! Ways to tell somebody.

mod email;
mod status_page;
mod web;
mod webhook;

pub use email::{Mail, MailError, Server};
pub use status_page::StatusPage;
pub use web::WebError;
pub use webhook::Webhook;

use std::time::Duration;

use drdrill_core::notice::{Notice, TEXT, TITLE};

/// A notice that did not arrive, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// A template of the environment file could not be filled in.
    #[error("fill in a template: {0}")]
    Template(String),
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
    /// By HTTP.
    #[error(transparent)]
    Web(#[from] WebError),
    /// By mail.
    #[error(transparent)]
    Mail(#[from] MailError),
}

impl SendError {
    /// Whether another try may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Template(_) => false,
            Self::Late(_) => true,
            Self::Web(error) => error.is_transient(),
            Self::Mail(error) => error.is_transient(),
        }
    }
}

/// A way, ready to be used.
#[derive(Debug)]
pub enum Way {
    /// An HTTP POST.
    Webhook(Webhook),
    /// A mail.
    Mail(Mail),
    /// A maintenance on a status page.
    StatusPage(StatusPage),
}

/// A notice in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Words {
    /// One line.
    pub title: String,
    /// The text.
    pub text: String,
}

impl Words {
    /// A notice by the templates of a recipient, or by those that come along.
    ///
    /// # Errors
    /// When a template cannot be filled in.
    pub fn of(notice: &Notice, title: Option<&str>, text: Option<&str>) -> Result<Self, SendError> {
        let fill = |template| notice.text_of(template).map_err(SendError::Template);
        // A title with a line break in it would be two headers of a mail.
        let title = fill(title.unwrap_or(TITLE))?.replace(['\r', '\n'], " ");
        Ok(Self { title, text: fill(text.unwrap_or(TEXT))? })
    }
}

impl Way {
    /// Tells somebody.
    ///
    /// # Errors
    /// When it did not arrive, as far as is known.
    pub async fn send(&mut self, notice: &Notice, words: &Words) -> Result<(), SendError> {
        match self {
            Self::Webhook(webhook) => webhook.send(notice, words).await,
            Self::Mail(mail) => Ok(mail.send(notice, words).await?),
            Self::StatusPage(page) => Ok(page.send(notice, words).await?),
        }
    }

    /// Whether everything that comes later is for it too, once it was told anything.
    #[must_use]
    pub const fn follows(&self) -> bool {
        matches!(self, Self::StatusPage(_))
    }

    /// Its name in files, records and reports.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Mail(_) => "email",
            Self::StatusPage(_) => "status_page",
        }
    }
}
