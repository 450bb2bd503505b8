//! What a broken attempt means: did it certainly not happen, can it not be told, or was it our own fault?
//!
//! | what happened | read | write |
//! |---|---|---|
//! | we had no descriptor, port, buffer, memory or thread for a name lookup | prober error | prober error |
//! | the name led to an address that is never probed | prober error | prober error |
//! | no connection: refused, reset, unreachable, no such name | failed | failed |
//! | connection closed before a byte was sent | failed | failed |
//! | answer lost after a byte was sent (reset, closed, not HTTP) | failed | **unknown** |
//! | answered 500, 502, 504 or another 5xx | failed | **unknown** |
//! | answered 501, 503 or 505, any 4xx, an unexpected 3xx | failed | failed |
//! | an expected status, but not the expected body | failed | **unknown** |
//! | answered an error that promises that nothing was done | failed | failed |
//! | answered anything else, such as a warning or the end of the session | failed | **unknown** |
//! | deadline passed (decided by the sampler) | unknown | unknown |
//!
//! An operation of a workload counts as a write: what a read that was not answered would have said, nobody asks.
//!
//! A write is called failed only when it certainly was not applied, because a failed write that is found later
//! counts as a phantom. Of the 5xx only 501 (not implemented), 503 (unavailable) and 505 (version) promise that
//! nothing was done (RFC 9110, section 15.6); behind a gateway's 502 or 504, and behind a 500, the write may have
//! been carried out. For the recovery time the difference does not matter: unknown counts as a failure there.

use std::error::Error;
use std::io;

use drdrill_core::address::AddressError;
use drdrill_core::probe::Purpose;
use drdrill_core::sample::Outcome;
use rustix::io::Errno;

use super::target::LookupsHang;

/// How an attempt broke.
#[derive(Debug)]
pub enum Broken {
    /// There was no connection.
    Connecting(io::Error),
    /// The connection broke before a byte of the request was sent.
    BeforeSending(io::Error),
    /// The connection broke, or made no sense, after the first byte of the request.
    AfterSending(io::Error),
    /// The answer had a status that was not expected.
    Status(u16),
    /// The status was expected and the body was not: an error in a successful answer.
    Body(u16),
    /// The service said, in words of its own protocol, that it has not done it.
    Refused(String),
    /// What the service said does not tell whether it has done it.
    Doubtful(String),
}

impl Broken {
    /// The outcome of an attempt of this purpose that broke in this way.
    #[must_use]
    pub fn outcome(&self, purpose: Purpose) -> Outcome {
        let text = self.text().into();
        match self {
            Self::Connecting(error) | Self::BeforeSending(error) | Self::AfterSending(error)
                if is_our_own(error) =>
            {
                Outcome::ProberError(text)
            }
            _ if matches!(purpose, Purpose::Write | Purpose::Workload)
                && self.may_have_been_applied() =>
            {
                Outcome::Unknown(text)
            }
            _ => Outcome::Failed(text),
        }
    }

    fn may_have_been_applied(&self) -> bool {
        match self {
            Self::Connecting(_) | Self::BeforeSending(_) | Self::Refused(_) => false,
            Self::AfterSending(_) | Self::Body(_) | Self::Doubtful(_) => true,
            Self::Status(status) => {
                (500..600).contains(status) && !matches!(status, 501 | 503 | 505)
            }
        }
    }

    /// How it broke, in words.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Connecting(error) => format!("connect: {error}"),
            Self::BeforeSending(error) => format!("before the request was sent: {error}"),
            Self::AfterSending(error) => format!("after the request was sent: {error}"),
            Self::Status(status) => format!("answered {status}"),
            Self::Refused(text) | Self::Doubtful(text) => text.clone(),
            Self::Body(status) => format!("answered {status} without the expected text"),
        }
    }
}

/// Whether an error says something about this host rather than about the service.
///
/// `EAGAIN` is among them: it is no outcome at all. Scoring it as the service's failure has cost a prober its
/// containment of the truth (measurement.md section 2, "Evidence that the bracket works").
fn is_our_own(error: &io::Error) -> bool {
    const OURS: [Errno; 8] = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::ADDRNOTAVAIL,
        Errno::ADDRINUSE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::AGAIN,
        Errno::BADF,
    ];
    let refused = error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<AddressError>);
    let hang = error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<LookupsHang>);
    refused
        || hang
        || error
            .raw_os_error()
            .is_some_and(|code| OURS.iter().any(|errno| errno.raw_os_error() == code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.raw_os_error())
    }

    fn kind(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Ok => "ok",
            Outcome::Failed(_) => "failed",
            Outcome::Unknown(_) => "unknown",
            Outcome::ProberError(_) => "prober_error",
        }
    }

    #[test]
    fn the_table_holds() {
        let cases = [
            (Broken::Connecting(os(Errno::MFILE)), "prober_error", "prober_error"),
            (Broken::AfterSending(os(Errno::NOBUFS)), "prober_error", "prober_error"),
            (Broken::Connecting(os(Errno::CONNREFUSED)), "failed", "failed"),
            (Broken::BeforeSending(os(Errno::CONNRESET)), "failed", "failed"),
            (Broken::AfterSending(os(Errno::CONNRESET)), "failed", "unknown"),
            (Broken::Status(500), "failed", "unknown"),
            (Broken::Status(502), "failed", "unknown"),
            (Broken::Status(504), "failed", "unknown"),
            (Broken::Status(503), "failed", "failed"),
            (Broken::Status(409), "failed", "failed"),
            (Broken::Body(200), "failed", "unknown"),
            (Broken::Refused("read-only".to_owned()), "failed", "failed"),
            (Broken::Doubtful("committed here only".to_owned()), "failed", "unknown"),
        ];
        for (broken, read, write) in cases {
            assert_eq!(kind(&broken.outcome(Purpose::Read)), read, "{broken:?}");
            assert_eq!(kind(&broken.outcome(Purpose::Write)), write, "{broken:?}");
        }
    }
}
