//! A session with a server: logged in, one statement at a time, and what was said besides the answer.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use drdrill_core::postgres::{Server, Tls};
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::Severity;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::policy::Broken;
use super::super::socket::{close_at_once, connect};
use super::super::target::{Target, TargetError};
use super::{said, tls};

/// What programs of the server show of whoever is logged in.
const APPLICATION: &str = "drdrill";

/// Where to log in, and how.
pub(super) struct Login {
    target: Target,
    host: String,
    config: Config,
    tls: MakeRustlsConnect,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The configuration has the password.
        f.debug_struct("Login").field("target", &self.target).finish_non_exhaustive()
    }
}

/// What a server answered.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The first row, in texts.
    pub(super) row: Option<Vec<Option<String>>>,
}

impl Answer {
    /// The first column of the first row.
    pub(super) fn first(&self) -> Option<&str> {
        self.row.as_ref()?.first()?.as_deref()
    }
}

/// What came besides answers.
#[derive(Debug, Default)]
struct Heard {
    /// The first warning since the statement was sent.
    warning: Option<String>,
    /// How the session ended.
    end: Option<Broken>,
}

/// A session. When it is dropped in the middle of a statement, its connection is closed there and then.
#[derive(Debug)]
pub(super) struct Session {
    /// `None` once it is to be closed in order.
    client: Option<Client>,
    heard: Arc<Mutex<Heard>>,
    driver: AbortHandle,
}

impl Login {
    pub(super) fn new(server: &Server) -> Result<Self, TargetError> {
        let target = Target::parse(&server.address)?;
        let mut config = Config::new();
        config.user(&server.user).dbname(&server.database).application_name(APPLICATION);
        config.ssl_mode(match server.tls {
            Tls::Disable => SslMode::Disable,
            Tls::Prefer => SslMode::Prefer,
            Tls::Require | Tls::VerifyFull => SslMode::Require,
        });
        if let Some(password) = &server.password {
            config.password(password.expose());
        }
        let host = target.host().to_owned();
        Ok(Self { target, host, config, tls: tls::connector(server)? })
    }

    /// Logs in, on a new connection.
    pub(super) async fn connect(&self) -> Result<Session, Broken> {
        let stream = connect(&self.target).await.map_err(Broken::Connecting)?;
        close_at_once(&stream);
        let made = tokio_postgres::tls::MakeTlsConnect::<TcpStream>::make_tls_connect(
            &mut self.tls.clone(),
            &self.host,
        );
        let tls = made.map_err(|never| Broken::Refused(never.to_string()))?;
        let logged_in = self.config.connect_raw(stream, tls).await;
        let (client, connection) = logged_in.map_err(|error| said::logging_in(&error))?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        let driver = tokio::spawn(drive(connection, heard.clone())).abort_handle();
        Ok(Session { client: Some(client), heard, driver })
    }
}

/// Carries messages to and fro until the session ends.
async fn drive<S, T>(mut connection: Connection<S, T>, heard: Arc<Mutex<Heard>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    // What was heard is written down before whoever waits for the answer is told, and before the connection is gone.
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        match message {
            Ok(AsyncMessage::Notice(notice)) => {
                let harmless = matches!(
                    notice.parsed_severity(),
                    Some(Severity::Notice | Severity::Debug | Severity::Info | Severity::Log)
                );
                if !harmless && heard.warning.is_none() {
                    heard.warning = Some(said::text(&notice));
                }
            }
            Ok(_) => {}
            Err(error) => {
                heard.end = Some(said::after_sending(&error, false));
                break;
            }
        }
    }
}

impl Session {
    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session, when the server has not ended it meanwhile.
    pub(super) fn still_open(self) -> Result<Self, Broken> {
        let ended = self.heard().end.as_ref().map(Broken::text);
        if let Some(why) = ended {
            return Err(Broken::Refused(format!("the kept connection was ended: {why}")));
        }
        if self.client.as_ref().is_none_or(Client::is_closed) {
            return Err(Broken::Refused("the kept connection was ended".to_owned()));
        }
        Ok(self)
    }

    /// Sends one text of statements, and waits until the server is ready for the next. After an error the session is of
    /// no use any more.
    pub(super) async fn ask(&mut self, sql: &str) -> Result<Answer, Broken> {
        let mut answer = Answer::default();
        self.ask_for_all(sql, |row| {
            answer.row.get_or_insert(row);
        })
        .await?;
        Ok(answer)
    }

    /// As [`Self::ask`], and gives all rows away one by one.
    pub(super) async fn ask_for_all(
        &mut self,
        sql: &str,
        mut take: impl FnMut(Vec<Option<String>>) + Send,
    ) -> Result<(), Broken> {
        self.heard().warning = None;
        let gone = || Broken::Refused("the session was closed".to_owned());
        let client = self.client.as_ref().ok_or_else(gone)?;
        // It fails only when the session is over and nothing can be sent.
        let messages = client.simple_query_raw(sql).await.map_err(|_| gone())?;
        let mut messages = pin!(messages);
        let mut complete = false;
        while let Some(message) = messages.next().await {
            match message {
                Ok(SimpleQueryMessage::Row(row)) => {
                    take((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect());
                }
                Ok(SimpleQueryMessage::CommandComplete(_)) => complete = true,
                Ok(_) => {}
                Err(error) if error.is_closed() => {
                    let end = self.heard().end.take();
                    return Err(match end {
                        // Whatever it says, the statement was on its way.
                        Some(Broken::Refused(text)) => Broken::Doubtful(text),
                        Some(end) => end,
                        None => Broken::Doubtful("the session ended before the answer".to_owned()),
                    });
                }
                Err(error) => return Err(said::after_sending(&error, complete)),
            }
        }
        match self.heard().warning.take() {
            Some(warning) => Err(Broken::Doubtful(format!("answered with a warning: {warning}"))),
            None => Ok(()),
        }
    }

    /// Ends the session in order: the server is told. Nobody waits for it.
    pub(super) fn close(mut self) {
        self.client = None;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Without its client the driver says good-bye and ends by itself.
        if self.client.is_some() {
            self.driver.abort();
        }
    }
}
