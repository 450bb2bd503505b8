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
