//! The quarterly report: a quarter told to a manager, to engineers and to auditors.
//!
//! [`doc`] makes blocks of a [`Quarter`] and of the records of its drills; what each format makes of blocks is the same as
//! for any other report. `summary` is what a manager reads, `drawings` and `drills` what engineers do, `tables` the rest,
//! `lines` the same for spreadsheets.

mod drawings;
mod drills;
mod lines;
mod summary;
mod tables;

use std::io;

use drdrill_core::record::Record;
use drdrill_core::verdict::Verdict;

use crate::doc::Doc;
use crate::quarter::Quarter;
use crate::quarter::standing::StandingVerdict;
use crate::{html, markdown};

/// A quarter with what is known of its drills.
#[derive(Clone, Copy, Debug)]
pub struct Quarterly<'a> {
    /// The data.
    pub quarter: &'a Quarter,
    /// The records of the quarter's drills, as far as they can be read.
    pub records: &'a [Record],
}

impl Quarterly<'_> {
    /// As one HTML page that loads nothing.
    ///
    /// # Errors
    /// When the template cannot be filled in, which would be a bug.
    pub fn html(&self) -> io::Result<String> {
        html::of_doc(&self.doc()).map_err(io::Error::other)
    }

    /// In GitHub's Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        markdown::of_doc(&self.doc())
    }

    /// The data as indented JSON.
    ///
    /// # Errors
    /// Never, for our own types.
    pub fn json(&self) -> io::Result<String> {
        Ok(serde_json::to_string_pretty(self.quarter)? + "\n")
    }

    /// One line a cell of the coverage, drill, finding, risk, cost, date, control and gap.
    ///
    /// # Errors
    /// Never, into memory.
    pub fn csv(&self) -> io::Result<Vec<u8>> {
        lines::csv(self.quarter)
    }

    /// As PDF; `None` when this was built without the feature `pdf`.
    ///
    /// # Errors
    /// When the document cannot be made, which would be a bug.
    #[must_use]
    pub fn pdf(&self) -> Option<io::Result<Vec<u8>>> {
        #[cfg(feature = "pdf")]
        return Some(crate::pdf::document(&self.doc()));
        #[cfg(not(feature = "pdf"))]
        return None;
    }

    fn doc(&self) -> Doc {
        let Self { quarter, records } = *self;
        let mut blocks = summary::blocks(quarter);
        blocks.extend(drawings::blocks(quarter));
        blocks.extend(drills::blocks(quarter, records));
        blocks.extend(tables::blocks(quarter));
        let program = &quarter.program;
        let whose =
            if program.organisation.is_empty() { &program.title } else { &program.organisation };
        Doc {
            title: format!("Disaster recovery drills, {}: {whose}", quarter.period.quarter),
            badge: Some((
                colour(quarter.standing.verdict),
                quarter.standing.verdict.word().to_uppercase(),
            )),
            lead: summary::lead(quarter),
            date: format!("{}T00:00:00Z", quarter.period.as_of),
            foot: format!(
                "{} {}, as of {}, drdrill {}",
                program.name, quarter.period.quarter, quarter.period.as_of, quarter.tool.version
            ),
            blocks,
        }
    }
}

const fn colour(verdict: StandingVerdict) -> Verdict {
    match verdict {
        StandingVerdict::Met => Verdict::Pass,
        StandingVerdict::MetWithConditions | StandingVerdict::Inconclusive => Verdict::Unknown,
        StandingVerdict::NotMet => Verdict::Fail,
    }
}

#[cfg(test)]
mod tests;
