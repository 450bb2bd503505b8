//! What the words of a server mean for an attempt.
//!
//! | what was said | meaning |
//! |---|---|
//! | while logging in: anything (wrong password, starting up 57P03, no more connections 53300) | nothing was done |
//! | an error that ended the statement, such as read-only (25006), no such table (42P01), disk full (53100) | nothing was done |
//! | unique violation (23505) of an id that is sent once | **doubtful**: somebody on the way sent it twice, and one is there |
//! | statement cancelled, server shutting down (57xxx), I/O or internal error (58xxx, XX…), a pooler's trouble (08xxx), 40003 | **doubtful**: it may come after the commit |
//! | an error that ended the session (FATAL, PANIC), or any after the statement was called complete | **doubtful** |
//! | a warning, and then success | **doubtful** |
//!
//! The last one is why success is not enough: a server whose wait for a synchronous standby is cancelled has committed
//! locally, warns of that, and then answers as it always does (`SyncRepWaitForLSN`). The text of the warning is translated,
//! and its code is that of any warning, so any warning counts.

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity};

use super::super::policy::Broken;

/// What an error means that came while logging in.
pub(super) fn logging_in(error: &Error) -> Broken {
    match (error.as_db_error(), io_of(error)) {
        (Some(said), _) => Broken::Refused(format!("log in: {}", text(said))),
        (None, Some(error)) => Broken::Connecting(error),
        (None, None) => Broken::Refused(format!("log in: {error}{}", cause(error))),
    }
}

/// What an error means that came after the statement was sent, and perhaps after it was called complete.
pub(super) fn after_sending(error: &Error, complete: bool) -> Broken {
    match (error.as_db_error(), io_of(error)) {
        (Some(said), _) if !complete && rolled_back(said) => Broken::Refused(text(said)),
        (Some(said), _) => Broken::Doubtful(text(said)),
        (None, Some(error)) => Broken::AfterSending(error),
        (None, None) => Broken::Doubtful(format!("{error}{}", cause(error))),
    }
}

/// Whether an error says that the statement, and with it its transaction, certainly has no effect.
fn rolled_back(said: &DbError) -> bool {
    let code = said.code().code();
    said.parsed_severity() == Some(Severity::Error)
        && !["08", "57", "58", "XX"].iter().any(|class| code.starts_with(class))
        && !["23505", "40003"].contains(&code)
}

/// What a server said, without what it quotes of the data.
pub(super) fn text(said: &DbError) -> String {
    format!("{} {}: {}", said.severity(), said.code().code(), said.message())
}

/// The error of the operating system in an error, if it is one.
fn io_of(error: &Error) -> Option<io::Error> {
    let found = error.source()?.downcast_ref::<io::Error>()?;
    Some(match found.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(found.kind(), found.to_string()),
    })
}

fn cause(error: &Error) -> String {
    error.source().map(|cause| format!(": {cause}")).unwrap_or_default()
}
