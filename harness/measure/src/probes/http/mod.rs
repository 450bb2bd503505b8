//! An HTTP/1.1 request and what must come back.
//!
//! The exchange is written directly over the socket: one request of some hundred bytes, made beforehand, and one
//! answer. That is cheap enough for thousands of attempts a second, and it knows exactly whether a byte of a
//! write had left this host when the connection broke, on which [`policy`](super::policy) depends.

mod answer;
mod deed;
mod exchange;
mod request;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use drdrill_core::address::HttpUrl;
use drdrill_core::probe::{Connection, CurrentSecret, MakeBody, MakeDeed, Probe, Purpose};
use drdrill_core::sample::{Answered, Deed, Outcome};

use super::policy::Broken;
use super::pool::Pool;
use super::target::{Target, TargetError};
use answer::Answer;
use request::Request;

/// One HTTP request per attempt.
///
/// `Fresh`: each attempt opens its own connection with `TCP_NODELAY` and asks the server to close it. `Kept`: an
/// attempt takes an idle connection if there is one, else it opens one, and keeps it afterwards if the answer
/// allows that; so there is one connection as long as attempts do not overlap, and as many as overlap when they
/// do, of which at most eight are kept for long. A connection that broke is not used again: the next attempt connects anew.
///
/// In the path, in header values and in a body template, `{sequence}` stands for the attempt's number.
pub struct HttpProbe {
    /// Tried in turn.
    targets: Vec<Target>,
    request: Request,
    purpose: Purpose,
    connection: Connection,
    expected: Vec<u16>,
    body_contains: Option<Vec<u8>>,
    deed: Option<MakeDeed>,
    pool: Pool,
}

impl HttpProbe {
    /// A `GET` or whatever `method` says of `url`, on fresh connections, judged as a read; any 2xx is a success.
    ///
    /// # Errors
    /// When the URL is not `http://host[:port][/path]`, or method or path are not valid in a request.
    pub fn new(method: &str, url: &str) -> Result<Self, TargetError> {
        let HttpUrl { target, authority, path } =
            HttpUrl::parse(url).map_err(TargetError::Address)?;
        Ok(Self {
            request: Request::new(method, authority, &path)?,
            targets: vec![target.into()],
            purpose: Purpose::Read,
            connection: Connection::Fresh,
            expected: Vec::new(),
            body_contains: None,
            deed: None,
            pool: Pool::default(),
        })
    }

    /// What the attempts are evidence of: decides what a broken one means, see [`policy`](super::policy).
    #[must_use]
    pub fn purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = purpose;
        self
    }

    /// Whether each attempt opens its own connection.
    #[must_use]
    pub fn connection(mut self, connection: Connection) -> Self {
        self.connection = connection;
        self.request.close(connection == Connection::Fresh);
        self
    }

    /// Adds a header. `Host`, `Connection` and `Content-Length` are set already.
    ///
    /// # Errors
    /// When name or value are not valid in a request.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, TargetError> {
        self.request.header(name, value)?;
        Ok(self)
    }

    /// Tries another address of the same service where nobody accepts a connection at those before.
    ///
    /// # Errors
    /// When it is none, or one that is never probed.
    pub fn else_at(mut self, address: &str) -> Result<Self, TargetError> {
        self.targets.push(Target::parse(address)?);
        Ok(self)
    }

    /// Sends a header whose value is asked for at each attempt.
    pub(super) fn current_header(
        mut self,
        name: &str,
        value: CurrentSecret,
    ) -> Result<Self, TargetError> {
        self.request.current_header(name, value)?;
        Ok(self)
    }

    /// Sends a body made from the attempt's number.
    #[must_use]
    pub fn body(self, make: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static) -> Self {
        self.shared_body(Arc::new(make))
    }

    pub(super) fn shared_body(mut self, make: MakeBody) -> Self {
        self.request.body(make);
        self
    }

    /// Says what each attempt does to data; what one reads is taken from the answer.
    pub(super) fn shared_deed(mut self, make: MakeDeed) -> Self {
        self.deed = Some(make);
        self
    }

    /// Sends `template`, with `{sequence}` replaced by the attempt's number.
    #[must_use]
    pub fn body_template(self, template: &str) -> Self {
        let template = template.to_owned();
        self.body(move |sequence| request::filled(&template, sequence).into_bytes())
    }

    /// Statuses that are a success; any 2xx when never called.
    #[must_use]
    pub fn expect_statuses(mut self, statuses: &[u16]) -> Self {
        self.expected = statuses.to_vec();
        self
    }

    /// Text the body must contain: a 200 that carries an error is a failure.
    #[must_use]
    pub fn body_contains(mut self, text: &str) -> Self {
        self.body_contains = Some(text.as_bytes().to_vec());
        self
    }

    fn check(&self, answer: &Answer) -> Result<(), Broken> {
        let status = answer.status;
        let expected = if self.expected.is_empty() {
            (200..300).contains(&status)
        } else {
            self.expected.contains(&status)
        };
        if !expected {
            return Err(Broken::Status(status));
        }
        match &self.body_contains {
            Some(text) if !contains(&answer.body, text) => Err(Broken::Body(status)),
            _ => Ok(()),
        }
    }

    /// Asks once, and returns whatever status and body come back. A redirect is an answer like any other: it is not
    /// followed.
    ///
    /// # Errors
    /// When no answer comes back.
    pub async fn ask(&self, sequence: u64) -> Result<(u16, Vec<u8>), Broken> {
        let answer = self.exchange(sequence).await?;
        Ok((answer.status, answer.body))
    }

    async fn exchange(&self, sequence: u64) -> Result<Answer, Broken> {
        let key = self.deed.as_ref().and_then(|make| make(sequence).key());
        let request = self.request.bytes_of(sequence, key);
        match self.connection {
            Connection::Fresh => exchange::fresh(&self.targets, &request, &self.request).await,
            Connection::Kept => {
                exchange::kept(&self.targets, &self.pool, &request, &self.request).await
            }
        }
    }
}

impl fmt::Debug for HttpProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProbe")
            .field("targets", &self.targets)
            .field("request", &self.request)
            .field("purpose", &self.purpose)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Probe for HttpProbe {
    async fn attempt(&self, sequence: u64) -> Outcome {
        self.attempt_in_full(sequence).await.outcome
    }

    async fn attempt_in_full(&self, sequence: u64) -> Answered {
        let answer = self.exchange(sequence).await.and_then(|answer| {
            self.check(&answer)?;
            let read = match self.deed(sequence) {
                Some(deed) => deed::read(deed, &answer).ok_or(Broken::Body(answer.status))?,
                None => return Ok((answer.decider, None)),
            };
            Ok((answer.decider, Some(read)))
        });
        match answer {
            Ok((decider, read)) => Answered { outcome: Outcome::Ok, decider, read },
            Err(broken) => broken.outcome(self.purpose).into(),
        }
    }

    fn deed(&self, sequence: u64) -> Option<Deed> {
        self.deed.as_ref().map(|make| make(sequence))
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}
