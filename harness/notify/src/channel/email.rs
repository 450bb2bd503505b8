//! A mail.

use std::time::Duration;

use drdrill_core::inventory::MailTls;
use drdrill_core::notice::Notice;
use drdrill_core::secret::Secret;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::Words;

/// Time that one exchange with a mail server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A mail that was not taken.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// An address is wrong.
    #[error("`{0}` is no address of a mail: {1}")]
    Address(String, lettre::address::AddressError),
    /// The mail could not be put together.
    #[error("put the mail together: {0}")]
    Message(#[from] lettre::error::Error),
    /// The server did not take it.
    #[error("{}", told(.0))]
    Smtp(#[from] smtp::Error),
}

/// An error of SMTP with what is behind it, which it does not always say itself.
fn told(error: &smtp::Error) -> String {
    let behind = std::error::Error::source(error).map(ToString::to_string);
    let text = error.to_string();
    match behind {
        Some(behind) if !text.contains(&behind) => format!("{text}: {behind}"),
        _ => text,
    }
}

impl MailError {
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Smtp(error) if !error.is_permanent() && !error.is_client())
    }
}

/// A mail server, and who writes to whom.
#[derive(Debug)]
pub struct Mail {
    sender: Mailbox,
    to: Vec<Mailbox>,
    server: AsyncSmtpTransport<Tokio1Executor>,
}

/// Where mails go and how.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: MailTls,
    /// Name and password, where it wants them.
    pub login: Option<(String, Secret)>,
}

impl Mail {
    /// Mails from `sender` to all of `to`.
    ///
    /// # Errors
    /// When an address is wrong, or the certificates of this machine cannot be read.
    pub fn new(server: Server, sender: &str, to: &[String]) -> Result<Self, MailError> {
        let mailbox = |text: &str| {
            text.parse::<Mailbox>().map_err(|error| MailError::Address(text.to_owned(), error))
        };
        let Server { host, port, tls, login } = server;
        let tls = match tls {
            MailTls::Starttls => Tls::Required(TlsParameters::new(host.clone())?),
            MailTls::Implicit => Tls::Wrapper(TlsParameters::new(host.clone())?),
            MailTls::None => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(tls)
            .timeout(Some(PATIENCE));
        if let Some((user, password)) = login {
            builder = builder.credentials(Credentials::new(user, password.expose().to_owned()));
        }
        Ok(Self {
            sender: mailbox(sender)?,
            to: to.iter().map(|text| mailbox(text)).collect::<Result<_, _>>()?,
            server: builder.build(),
        })
    }

    pub(super) async fn send(&self, notice: &Notice, words: &Words) -> Result<(), MailError> {
        let mut message = Message::builder()
            .from(self.sender.clone())
            .subject(&words.title)
            // One conversation a run; and one mail that comes twice is known as one.
            .message_id(Some(format!("<{}@drdrill>", notice.id)))
            .references(format!("<{}@drdrill>", notice.run))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            message = message.to(to.clone());
        }
        self.server.send(message.body(words.text.clone())?).await?;
        Ok(())
    }
}
