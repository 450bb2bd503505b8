//! Commands to Redis servers, one an attempt, written and read directly on the socket.
//!
//! | what was answered | meaning |
//! |---|---|
//! | while logging in: any error | nothing was done |
//! | `READONLY`, `LOADING`, `OOM`, `MISCONF` and the like | nothing was done |
//! | `ERR`, which proxies say too when they lost the server, or an error nobody knows | doubtful |
//!
//! `OK` says that the one server has it in memory, and nothing of its replicas.

use std::io;

use async_trait::async_trait;
use drdrill_core::probe::{Connection, Probe, Purpose};
use drdrill_core::redis::{Command, RedisCall};
use drdrill_core::sample::Outcome;
use redis::{Cmd, Parser, ServerError, Value, cmd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::policy::Broken;
use super::pool::{Pool, still_open};
use super::socket::{close_at_once, connect};
use super::target::{Target, TargetError};

/// An answer longer than this is not read to its end: probes ask for something small.
const LONGEST: usize = 8 << 20;

/// Errors of which Redis promises that the command was not carried out.
const REFUSALS: [&str; 16] = [
    "ASK",
    "BUSY",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOAUTH",
    "NOPERM",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "WRONGPASS",
    "WRONGTYPE",
];

/// One command an attempt.
#[derive(Debug)]
pub(super) struct RedisProbe {
    target: Target,
    call: RedisCall,
    purpose: Purpose,
    connection: Connection,
    pool: Pool,
}

impl RedisProbe {
    /// A probe that makes this call.
    ///
    /// # Errors
    /// When the server's address is not valid.
    pub(super) fn new(
        call: &RedisCall,
        purpose: Purpose,
        connection: Connection,
    ) -> Result<Self, TargetError> {
        let target = Target::parse(&call.address)?;
        Ok(Self { target, call: call.clone(), purpose, connection, pool: Pool::default() })
    }

    /// A connection that was kept and is still there, or a new one on which the server knows who asks.
    async fn stream(&self) -> Result<TcpStream, Broken> {
        if self.connection == Connection::Kept
            && let Some(kept) = self.pool.take()
        {
            return still_open(kept).map_err(Broken::BeforeSending);
        }
        let mut stream = connect(&self.target).await.map_err(Broken::Connecting)?;
        for step in self.log_in() {
            match ask(&mut stream, &step).await {
                Ok(Value::ServerError(error)) => {
                    return Err(Broken::Refused(format!("log in: {}", text(&error))));
                }
                Ok(_) => {}
                // What was asked for was not sent yet.
                Err(Broken::AfterSending(error)) => return Err(Broken::BeforeSending(error)),
                Err(broken) => return Err(broken),
            }
        }
        Ok(stream)
    }

    fn log_in(&self) -> Vec<Cmd> {
        let mut steps = Vec::new();
        if let Some(password) = &self.call.password {
            let mut auth = cmd("AUTH");
            if let Some(user) = &self.call.user {
                auth.arg(user);
            }
            auth.arg(password.expose());
            steps.push(auth);
        }
        if self.call.database != 0 {
            let mut select = cmd("SELECT");
            select.arg(self.call.database);
            steps.push(select);
        }
        steps
    }

    async fn carry_out(&self, sequence: u64) -> Result<(), Broken> {
        let mut stream = self.stream().await?;
        let answer = match ask(&mut stream, &command(&self.call.command, sequence)).await? {
            Value::ServerError(error) => {
                let known = REFUSALS.contains(&error.code());
                let text = text(&error);
                return Err(if known { Broken::Refused(text) } else { Broken::Doubtful(text) });
            }
            answer => answer,
        };
        match self.connection {
            Connection::Fresh => close_at_once(&stream),
            Connection::Kept => self.pool.keep(stream),
        }
        let as_expected = match (&self.call.command, &answer) {
            (Command::Ping, Value::SimpleString(word)) => word == "PONG",
            (Command::Get { answers: Some(wanted), .. }, Value::BulkString(found)) => {
                wanted.as_bytes() == found
            }
            (Command::Get { answers: None, .. }, Value::BulkString(_))
            | (Command::Set { .. }, Value::Okay) => true,
            // It is set only once: it was there, so somebody on the way has sent it twice.
            (Command::Set { .. }, _) => {
                return Err(Broken::Doubtful("the key was there already".to_owned()));
            }
            (Command::Get { .. }, Value::Nil) => {
                return Err(Broken::Refused("answered that there is no such key".to_owned()));
            }
            _ => false,
        };
        if as_expected {
            return Ok(());
        }
        Err(Broken::Refused("answered something else than expected".to_owned()))
    }
}

/// An error as the server said it.
fn text(error: &ServerError) -> String {
    format!("{} {}", error.code(), error.details().unwrap_or_default())
}

fn command(command: &Command, sequence: u64) -> Cmd {
    match command {
        Command::Ping => cmd("PING"),
        Command::Get { key, .. } => {
            let mut get = cmd("GET");
            get.arg(key);
            get
        }
        Command::Set { prefix, drill, expires_s } => {
            let mut set = cmd("SET");
            let key = format!("{prefix}:{drill}:{sequence}");
            set.arg(key).arg(sequence).arg("NX").arg("EX").arg(*expires_s);
            set
        }
    }
}

/// One command out, one answer back.
async fn ask(stream: &mut TcpStream, command: &Cmd) -> Result<Value, Broken> {
    let bytes = command.get_packed_command();
    let first = stream.write(&bytes).await.map_err(Broken::BeforeSending)?;
    stream.write_all(bytes.get(first..).unwrap_or_default()).await.map_err(Broken::AfterSending)?;
    let lost =
        |why: String| Broken::AfterSending(io::Error::new(io::ErrorKind::UnexpectedEof, why));
    let mut received = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut received).await.map_err(Broken::AfterSending)? == 0 {
            return Err(lost("the connection was closed before the answer".to_owned()));
        }
        match Parser::new().parse_value(received.as_slice()) {
            Ok(answer) => return Ok(answer),
            // What is read from memory breaks only where it ends.
            Err(error) if error.is_io_error() && received.len() < LONGEST => {}
            Err(error) => return Err(lost(format!("the answer makes no sense: {error}"))),
        }
    }
}

#[async_trait]
impl Probe for RedisProbe {
    async fn attempt(&self, sequence: u64) -> Outcome {
        match self.carry_out(sequence).await {
            Ok(()) => Outcome::Ok,
            Err(broken) => broken.outcome(self.purpose),
        }
    }
}
