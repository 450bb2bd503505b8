//! Exit codes, and errors on their way out. The codes are a contract: release gates act on them.

use std::fmt;
use std::process::ExitCode;

/// What a run of the program came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Code {
    /// It did what was asked; a drill passed.
    Passed = 0,
    /// A bug in drdrill.
    Bug = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// A target was missed or a check failed.
    Failed = 10,
    /// Unknown, or the drill is invalid.
    Unknown = 11,
    /// Something was left in place. Outranks all others.
    LeftInPlace = 12,
    /// The environment lacks a power or is not ready.
    NotReady = 13,
    /// A scenario or environment file is invalid.
    InvalidFile = 14,
    /// Aborted by a stop condition, the operator or a signal.
    Aborted = 15,
    /// Refused by a guard.
    Refused = 16,
}

impl Code {
    /// The code of that number, as records carry it.
    pub(crate) const fn of_number(number: u8) -> Self {
        match number {
            0 => Self::Passed,
            2 => Self::Usage,
            10 => Self::Failed,
            11 => Self::Unknown,
            12 => Self::LeftInPlace,
            13 => Self::NotReady,
            14 => Self::InvalidFile,
            15 => Self::Aborted,
            16 => Self::Refused,
            _ => Self::Bug,
        }
    }
}

/// Codes of several drills, the worst first: what was left in place, what certainly failed, what nobody knows, what did
/// not happen. A release gate acts on the worst.
const WORST_FIRST: [Code; 10] = [
    Code::LeftInPlace,
    Code::Failed,
    Code::Bug,
    Code::Unknown,
    Code::Aborted,
    Code::Refused,
    Code::NotReady,
    Code::InvalidFile,
    Code::Usage,
    Code::Passed,
];

impl Code {
    /// The worst of several; `None` when there are none.
    pub(crate) fn worst(codes: impl IntoIterator<Item = Self>) -> Option<Self> {
        let codes: Vec<Self> = codes.into_iter().collect();
        WORST_FIRST.into_iter().find(|code| codes.contains(code))
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// An error on its way out: what to print, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }

    /// For `map_err`: an error that ends the program with `code`.
    pub(crate) fn with<E: fmt::Display>(code: Code) -> impl FnOnce(E) -> Self {
        move |error| Self::new(code, error)
    }
}

pub(crate) type Outcome = Result<Code, Failure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_codes_the_worst_counts() {
        let worst = |codes: &[Code]| Code::worst(codes.iter().copied());
        assert_eq!(worst(&[]), None);
        assert_eq!(worst(&[Code::Passed, Code::Passed]), Some(Code::Passed));
        assert_eq!(worst(&[Code::Passed, Code::Unknown, Code::Failed]), Some(Code::Failed));
        assert_eq!(worst(&[Code::Failed, Code::LeftInPlace]), Some(Code::LeftInPlace));
        assert_eq!(worst(&[Code::Refused, Code::Aborted]), Some(Code::Aborted));
    }

    #[test]
    fn every_code_has_its_rank_and_its_number() {
        for code in WORST_FIRST {
            assert_eq!(Code::worst([code]), Some(code));
            assert_eq!(Code::of_number(code as u8), code);
        }
    }
}
