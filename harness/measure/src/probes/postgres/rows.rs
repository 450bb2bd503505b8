//! The rows that probes write: what each must be follows from its drill and its number.

use drdrill_core::postgres::Rows;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use sha2::{Digest, Sha256};

/// Digits of the number at the end of a payload, which thereby has at least so many bytes.
const DIGITS: usize = 64;

/// What a row holds, but for who wrote it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Row {
    pub(super) seq: u64,
    pub(super) id: String,
    checksum: String,
    payload: String,
}

/// The columns of a [`Row`], in its order.
const COLUMNS: &str = "seq, id, checksum, payload";

impl Row {
    /// Row number `seq` of a drill, as it is written.
    pub(super) fn written(drill: &str, seq: u64) -> Self {
        let payload = format!("{drill} {seq:0>DIGITS$}");
        let checksum = hex::encode(Sha256::digest(payload.as_bytes()));
        Self { seq, id: format!("{drill}-{seq}"), checksum, payload }
    }

    /// A row from its columns; `None` when it is none, such as one with a negative number.
    pub(super) fn of(columns: &[Option<String>]) -> Option<Self> {
        let [Some(seq), id, checksum, payload] = columns else { return None };
        let text = |column: &Option<String>| column.clone().unwrap_or_default();
        Some(Self {
            seq: seq.parse().ok()?,
            id: text(id),
            checksum: text(checksum),
            payload: text(payload),
        })
    }

    /// Whether it is what was written under its number.
    pub(super) fn is_whole(&self, drill: &str) -> bool {
        *self == Self::written(drill, self.seq)
    }
}

/// `name` or `schema.name`, quoted.
fn table(rows: &Rows) -> String {
    rows.table.split('.').map(escape_identifier).collect::<Vec<_>>().join(".")
}

/// Writes row number `sequence`, in a transaction of its own.
pub(super) fn insert(rows: &Rows, sequence: u64) -> String {
    let row = Row::written(&rows.drill, sequence);
    let texts = [&row.id, &rows.client, &row.checksum, &row.payload, &rows.drill];
    let [id, client, checksum, payload, drill] = texts.map(|text| escape_literal(text));
    format!(
        "INSERT INTO {} (drill, seq, id, client, checksum, payload) \
         VALUES ({drill}, {sequence}, {id}, {client}, {checksum}, {payload}) RETURNING seq",
        table(rows)
    )
}

/// Asks for the newest row.
pub(super) fn newest(rows: &Rows) -> String {
    let (table, drill) = (table(rows), escape_literal(&rows.drill));
    format!("SELECT {COLUMNS} FROM {table} WHERE drill = {drill} ORDER BY seq DESC LIMIT 1")
}

/// Asks for all rows.
pub(super) fn all(rows: &Rows) -> String {
    let (table, drill) = (table(rows), escape_literal(&rows.drill));
    format!("SELECT {COLUMNS} FROM {table} WHERE drill = {drill}")
}

/// Fails where a row could not be written for want of the table or of one of its columns.
pub(super) fn look(rows: &Rows) -> String {
    format!("SELECT {COLUMNS}, drill, client FROM {} LIMIT 0", table(rows))
}

/// Creates the table.
pub(super) fn create(rows: &Rows) -> String {
    format!(
        "CREATE TABLE {} (drill text NOT NULL, seq bigint NOT NULL, id text NOT NULL, client text NOT NULL, \
         checksum text NOT NULL, payload text NOT NULL, written timestamptz NOT NULL DEFAULT clock_timestamp(), \
         PRIMARY KEY (drill, seq))",
        table(rows)
    )
}

/// `query`, which is one statement, in a transaction that may only read. What ends it is on a line of its own: a comment
/// may end the query.
pub(super) fn read_only(query: &str) -> String {
    format!("BEGIN READ ONLY; {query}\n; COMMIT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_was_changed_is_not_whole() {
        let columns = |row: &Row| {
            let texts = [&row.seq.to_string(), &row.id, &row.checksum, &row.payload];
            texts.map(|text| Some(text.clone())).to_vec()
        };
        let written = Row::written("d", 7);
        assert!(Row::of(&columns(&written)).unwrap().is_whole("d"));
        assert!(!written.is_whole("another"));
        for column in 0..4 {
            let mut changed = columns(&written);
            changed[column] = Some("8".to_owned());
            assert!(!Row::of(&changed).unwrap().is_whole("d"), "column {column}");
        }
        let mut none = columns(&written);
        none[0] = Some("-1".to_owned());
        assert_eq!(Row::of(&none), None);
    }

    #[test]
    fn names_and_values_end_nothing() {
        let rows = |table: &str| Rows {
            table: table.to_owned(),
            drill: "it's".to_owned(),
            client: "c".to_owned(),
        };
        assert!(all(&rows("a.b")).ends_with("FROM \"a\".\"b\" WHERE drill = 'it''s'"));
        assert!(all(&rows("a\"; b")).contains("FROM \"a\"\"; b\" "));
    }
}
