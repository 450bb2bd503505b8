//! A runbook that a drill followed, and a tabletop exercise that walked through one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::StepOutcome;
use crate::runbook::{Phase, StepBy};
use crate::tabletop::{Conclusion, Participant, StepResult};

/// A tabletop exercise.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Tabletop {
    /// Name of the runbook.
    pub runbook: String,
    /// SHA-256 of its file, in hexadecimal.
    pub runbook_sha256: String,
    /// Whether the answers came from a file, and not from people at a terminal.
    pub scripted: bool,
    /// Who was to take part, and who did.
    pub participants: Vec<Participant>,
    /// Each step of the runbook.
    pub steps: Vec<TabletopStep>,
    /// How long it takes until the service is restored, in the judgement of those present: the sum of the steps up to
    /// the end of `verify`. Absent when one of them was not walked through, or could not be done. Nothing was measured.
    pub judged_recovery_ms: Option<f64>,
    /// Issues, lessons and actions of the exercise as a whole.
    pub conclusion: Conclusion,
}

/// A runbook that a drill followed.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct FollowedRunbook {
    /// Its name.
    pub name: String,
    /// SHA-256 of its file, in hexadecimal.
    pub sha256: String,
    /// Whether what people answered came from a file, and not from somebody at a terminal.
    pub scripted: bool,
    /// Who took part, where somebody said so.
    pub participants: Vec<Participant>,
    /// Each of its steps, also those that the drill did not come to.
    pub steps: Vec<FollowedStep>,
    /// How long people took for their steps until the service was restored, together.
    pub by_people_ms: f64,
    /// How to give up and go back by hand, as the runbook says; only where what people did may have to be taken back.
    pub to_take_back: Vec<String>,
}

/// A step of a runbook, as a drill carried it out.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct FollowedStep {
    /// Its name.
    pub name: String,
    /// The stretch of the recovery that it belongs to.
    pub phase: Phase,
    /// The role that owns it.
    pub owner: String,
    /// Who does it.
    pub by: StepBy,
    /// The person who was asked, or the role; absent when the drill did not come to it.
    pub who: Option<String>,
    /// How long it may take, by the runbook.
    pub within_ms: f64,
    /// When it began; absent when the drill did not come to it.
    pub started_ms: Option<f64>,
    /// When it was done or answered; absent when it never was.
    pub finished_ms: Option<f64>,
    /// How it ended; absent when it did not.
    pub outcome: Option<StepOutcome>,
    /// What was said, or seen.
    pub note: String,
    /// What to do when it does not work, by the runbook.
    pub otherwise: Option<String>,
}

/// A step of a runbook, as people walked through it.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct TabletopStep {
    /// Its name.
    pub name: String,
    /// The stretch of the recovery that it belongs to.
    pub phase: Phase,
    /// The role that does it.
    pub owner: String,
    /// How long it may take, by the runbook.
    pub within_ms: f64,
    /// How long it takes, in the judgement of those present.
    pub takes_ms: Option<f64>,
    /// When it was presented; absent when it never was.
    pub presented_ms: Option<f64>,
    /// When it was answered.
    pub answered_ms: Option<f64>,
    /// What people say of it.
    pub result: StepResult,
    /// What was decided.
    pub decision: String,
    /// What stood in the way.
    pub issues: Vec<String>,
    /// What was learnt.
    pub lessons: Vec<String>,
}
