//! People who take part in a drill: whom a step of a runbook asks, and what they say.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::runbook::RunbookStep;
use crate::tabletop::StepResult;

/// So much of what somebody says of a step is kept, in characters.
pub const LONGEST_NOTE: usize = 2000;

/// What somebody says of a step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Said {
    /// What came of it.
    pub result: StepResult,
    /// In their words.
    pub note: String,
    /// How long it took until they were shown the question: that time is not theirs.
    pub shown_after: Duration,
}

/// Asks people to do steps of a runbook.
#[async_trait]
pub trait People: fmt::Debug + Send + Sync {
    /// Who does the steps of a role.
    fn who(&self, role: &str) -> String;
    /// Asks for a step, which is `number` of `of`, and returns once it is answered. Dropping the future ends the asking.
    ///
    /// # Errors
    /// When nobody can answer any more.
    async fn ask(&self, number: usize, of: usize, step: &RunbookStep) -> Result<Said, String>;
}
