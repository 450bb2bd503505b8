//! Statements to `PostgreSQL` servers, as clients make them.
//!
//! All of them go by the simple query protocol: one message there, the answer back, and nothing that a connection pooler
//! would have to remember. An attempt has succeeded when the server says that it is ready for the next statement: what it
//! sends before may come before the commit.

mod rows;
mod said;
mod session;
mod table;
mod tls;

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use drdrill_core::postgres::{PostgresCall, Statement};
use drdrill_core::probe::{Connection, Probe, Purpose};
use drdrill_core::sample::Outcome;

use super::policy::Broken;
use super::target::TargetError;
use session::{Answer, Login, Session};

pub(super) use table::Table;

/// Most idle connections that are kept.
const MOST_IDLE: usize = 8;

/// One statement an attempt.
#[derive(Debug)]
pub(super) struct PostgresProbe {
    login: Login,
    statement: Statement,
    purpose: Purpose,
    connection: Connection,
    /// Kept connections that carry no statement at the moment, the last used at the end.
    idle: Mutex<Vec<Session>>,
}

impl PostgresProbe {
    /// A probe that makes this call.
    ///
    /// # Errors
    /// When the server's address or certificates are not valid.
    pub(super) fn new(
        call: &PostgresCall,
        purpose: Purpose,
        connection: Connection,
    ) -> Result<Self, TargetError> {
        Ok(Self {
            login: Login::new(&call.server)?,
            statement: call.statement.clone(),
            purpose,
            connection,
            idle: Mutex::default(),
        })
    }

    /// A session that was kept and is still there, or a new one.
    async fn session(&self) -> Result<Session, Broken> {
        if self.connection == Connection::Kept {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            if let Some(session) = kept {
                // As an old client sees it, once: its connection is gone, and nothing was sent.
                return session.still_open();
            }
        }
        self.login.connect().await
    }

    async fn carry_out(&self, sequence: u64) -> Result<(), Broken> {
        let mut session = self.session().await?;
        match &self.statement {
            Statement::Select { query, answers } => {
                let answer = session.ask(&rows::read_only(query)).await?;
                expected(answers.as_deref(), &answer)?;
            }
            Statement::Insert(rows) => {
                let answer = session.ask(&rows::insert(rows, sequence)).await?;
                if answer.first() != Some(sequence.to_string().as_str()) {
                    return Err(Broken::Doubtful("answered, but with no new row".to_owned()));
                }
            }
            Statement::Newest(rows) => {
                let answer = session.ask(&rows::read_only(&rows::newest(rows))).await?;
                if let Some(row) = &answer.row {
                    rows::Row::of(row)
                        .filter(|row| row.is_whole(&rows.drill))
                        .ok_or_else(|| Broken::Refused("the newest row is not whole".to_owned()))?;
                }
            }
        }
        match self.connection {
            Connection::Fresh => session.close(),
            Connection::Kept => {
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                if idle.len() < MOST_IDLE {
                    idle.push(session);
                } else {
                    drop(idle);
                    session.close();
                }
            }
        }
        Ok(())
    }
}

fn expected(wanted: Option<&str>, answer: &Answer) -> Result<(), Broken> {
    let Some(wanted) = wanted else { return Ok(()) };
    match answer.first() {
        Some(found) if found == wanted => Ok(()),
        Some(_) => Err(Broken::Refused("answered something else than expected".to_owned())),
        None => Err(Broken::Refused("answered nothing".to_owned())),
    }
}

#[async_trait]
impl Probe for PostgresProbe {
    async fn attempt(&self, sequence: u64) -> Outcome {
        match self.carry_out(sequence).await {
            Ok(()) => Outcome::Ok,
            Err(broken) => broken.outcome(self.purpose),
        }
    }
}
