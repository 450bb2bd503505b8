//! The table of unique writes, read back as a whole.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::environment::FoundWrites;
use drdrill_core::postgres::{Rows, Server, WriteTable};
use tokio::time::timeout;

use super::super::policy::Broken;
use super::super::target::TargetError;
use super::rows::{self, Row};
use super::session::Login;

/// Longest time to see that the table is there, or to create it.
const PREPARED: Duration = Duration::from_secs(30);
/// Longest time to read all rows.
const READ: Duration = Duration::from_mins(10);
/// Most rows with a number that no row can have which are named.
const MOST_NAMED: usize = 100;

/// The table of unique writes of one server.
#[derive(Debug)]
pub(crate) struct Table {
    server: Server,
    login: Login,
    rows: Rows,
}

impl Table {
    /// The table into which these rows go.
    ///
    /// # Errors
    /// When the server's address or certificates are not valid.
    pub(crate) fn new(server: &Server, rows: &Rows) -> Result<Self, TargetError> {
        Ok(Self { server: server.clone(), login: Login::new(server)?, rows: rows.clone() })
    }

    /// `table of server`, for errors.
    fn name(&self, server: &Server) -> String {
        format!("table {} of {server}", self.rows.table)
    }

    async fn ask(&self, sql: &str) -> Result<(), Broken> {
        let mut session = self.login.connect().await?;
        session.ask(sql).await?;
        session.close();
        Ok(())
    }

    async fn prepared(&self, create: bool) -> Result<bool, String> {
        let sql = rows::create(&self.rows);
        match self.ask(&rows::look(&self.rows)).await {
            Ok(()) => return Ok(false),
            Err(Broken::Refused(text)) if text.contains(" 42P01: ") => {
                if !create {
                    return Err(format!(
                        "{text}; drdrill creates it with `create: true`, or by hand: {sql};"
                    ));
                }
            }
            Err(broken) => return Err(broken.text()),
        }
        self.ask(&sql).await.map_err(|broken| broken.text())?;
        Ok(true)
    }
}

#[async_trait]
impl WriteTable for Table {
    async fn prepare(&self, create: bool) -> Result<bool, ActionError> {
        let done = in_time(PREPARED, self.prepared(create)).await;
        done.map_err(|why| ActionError::new("prepare", self.name(&self.server), why))
    }

    async fn read_all(&self, address: &str) -> Result<FoundWrites, ActionError> {
        let server = Server { address: address.to_owned(), ..self.server.clone() };
        let wrong =
            |why: String| ActionError::new("read back all writes from", self.name(&server), why);
        let login = Login::new(&server).map_err(|error| wrong(error.to_string()))?;
        let mut all = All::default();
        let read = async {
            let mut session = login.connect().await.map_err(|broken| broken.text())?;
            let sql = rows::read_only(&rows::all(&self.rows));
            let took = session.ask_for_all(&sql, |row| all.take(&self.rows.drill, &row)).await;
            took.map_err(|broken| broken.text())?;
            session.close();
            Ok(())
        };
        in_time(READ, read).await.map_err(wrong)?;
        Ok(all.found())
    }
}

async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(format!("not done within {limit:?}")))
}

/// Rows as they come.
#[derive(Debug, Default)]
struct All {
    found: FoundWrites,
    /// How often each number came.
    copies: BTreeMap<u64, u64>,
}

impl All {
    fn take(&mut self, drill: &str, columns: &[Option<String>]) {
        let Some(row) = Row::of(columns) else {
            if self.found.phantom.len() < MOST_NAMED {
                let text = columns.iter().flatten().take(2).cloned().collect::<Vec<_>>().join(" ");
                self.found.phantom.push(text);
            }
            return;
        };
        *self.copies.entry(row.seq).or_default() += 1;
        if !row.is_whole(drill) {
            self.found.corrupt.insert(row.seq);
        }
    }

    fn found(mut self) -> FoundWrites {
        for (seq, copies) in self.copies {
            self.found.present.insert(seq);
            if copies > 1 {
                self.found.duplicate.insert(seq);
            }
        }
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_defect_has_its_class() {
        let mut all = All::default();
        let mut take = |seq: &str, id: &str, row: u64| {
            let sql = rows::insert(
                &Rows { table: "t".into(), drill: "d".into(), client: "c".into() },
                row,
            );
            let mut texts = sql.split('\'').skip(1).step_by(2).map(|text| Some(text.to_owned()));
            let (_, _, _, checksum, payload) =
                (texts.next(), texts.next(), texts.next(), texts.next(), texts.next());
            all.take(
                "d",
                &[Some(seq.to_owned()), Some(id.to_owned()), checksum.flatten(), payload.flatten()],
            );
        };
        take("7", "d-7", 7);
        take("8", "d-8", 8);
        take("8", "d-8", 8);
        take("9", "d-8", 9);
        take("10", "d-10", 11);
        take("-1", "d-1", 1);
        let found = all.found();
        assert_eq!(found.present.to_string(), "7-10");
        assert_eq!(found.duplicate.to_string(), "8");
        assert_eq!(found.corrupt.to_string(), "9-10");
        assert_eq!(found.phantom, ["-1 d-1"]);
    }
}
