//! The writes of a drill in a database that is already there: the table they go into, and reading them back.

use std::sync::Arc;

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::environment::{FoundWrites, Side, WriteAudit};
use drdrill_core::inventory::{HostProbe, InsertSpec, PostgresAttempt};
use drdrill_core::postgres::WriteTable;

use super::{Host, server};

/// Bytes of payload of one row, at least: what a lost one is counted as.
pub(super) const ROW_BYTES: u64 = 64;

/// The probe that inserts rows, with its attempt and its statement.
type Writer<'a> = (&'a HostProbe, &'a PostgresAttempt, &'a InsertSpec);

impl Host {
    /// Who writes, if anybody.
    pub(super) fn writer(&self) -> Option<Writer<'_>> {
        self.spec.probes.iter().find_map(|probe| {
            let (attempt, insert) = probe.inserts()?;
            Some((probe, attempt, insert))
        })
    }

    /// The table of the writes, if there are any.
    pub(super) fn table(&self) -> Result<Option<Arc<dyn WriteTable>>, ActionError> {
        let Some((probe, attempt, insert)) = self.writer() else { return Ok(None) };
        let rows = self.rows(&insert.table, &probe.name);
        (self.open_table)(&server(attempt)?, &rows).map(Some)
    }

    /// What becomes of the rows.
    pub(super) fn remark(&self, (_, attempt, insert): &Writer<'_>) -> String {
        let (table, drill) = (&insert.table, &self.run_id);
        let made = match self.created.get() {
            Some(true) => "was created by drdrill and stays",
            _ => "was there",
        };
        format!(
            "the table {table} of {}/{} {made}; the rows of this drill stay in it until somebody says DELETE FROM {table} WHERE \
             drill = '{drill}'",
            attempt.address, attempt.database
        )
    }

    /// What reads the rows back: where clients write, which decides, and from each copy.
    pub(super) fn rows_audit(&self) -> Option<Arc<dyn WriteAudit>> {
        let (probe, attempt, insert) = self.writer()?;
        let copies = insert.copies.iter().map(|copy| (copy.clone(), false));
        let sides = [(attempt.address.clone(), true)].into_iter().chain(copies);
        let sides = sides.map(|(name, authoritative)| Side { name, authoritative }).collect();
        let table = self.table().map_err(|error| error.reason);
        Some(Arc::new(RowsAudit { service: probe.service.clone(), table, sides }))
    }
}

/// Reads the rows of a drill back.
#[derive(Debug)]
struct RowsAudit {
    service: String,
    table: Result<Option<Arc<dyn WriteTable>>, String>,
    sides: Vec<Side>,
}

#[async_trait]
impl WriteAudit for RowsAudit {
    fn service(&self) -> String {
        self.service.clone()
    }

    fn sides(&self) -> Option<Vec<Side>> {
        Some(self.sides.clone())
    }

    async fn read_all(&self, side: &str) -> Result<FoundWrites, ActionError> {
        let why = match &self.table {
            Ok(Some(table)) => return table.read_all(side).await,
            Ok(None) => "nobody writes",
            Err(why) => why,
        };
        Err(ActionError::new("read back all writes from", side, why))
    }
}
