//! Those who must not be let in, and what they try.

use std::fmt;

use async_trait::async_trait;

use crate::action::ActionError;

/// What came of an attempt to get in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Access {
    /// Somebody was let in, and did this.
    LetIn(String),
    /// They were refused, with this answer.
    Refused(String),
}

/// Attempts to get into a site by the way of its clients. None of them changes anything.
#[async_trait]
pub trait Intruder: fmt::Debug + Send + Sync {
    /// Reads with a token that was issued to a client when the environment came up, as somebody does who stole it.
    async fn with_a_stolen_token(&self, site: &str) -> Result<Access, ActionError>;
    /// Reads with a token that nobody issued.
    async fn with_a_forged_token(&self, site: &str) -> Result<Access, ActionError>;
}
