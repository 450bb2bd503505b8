//! Striking and putting back rows of a server of `PostgreSQL`, through its own client, as a superuser in its container.
//!
//! The rows as they were are a line of JSON each, in a file that the server itself writes inside the transaction that
//! strikes them, before it does, and flushes.

use std::path::{Path, PathBuf};

use drdrill_core::action::ActionError;
use drdrill_core::containers::Containers;
use drdrill_core::data::{DataTable, PostgresPlace};
use serde::{Deserialize, Serialize};

use super::rows::{Harm, quoted};
use super::saved::{Cell, MOST_BYTES, Saved, SavedRow};

/// How a line of JSON is a line of a file, whatever is in it: none of these bytes is ever in JSON.
const LINES: &str = r"WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')";
/// How long others may hold the table.
const LOCKED_WITHIN: &str = "5s";
/// A session that was ended may take so long until it is gone.
const ENDED_WITHIN_MS: u32 = 5000;

/// What the ledger knows of a server whose rows were struck.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StruckServer {
    pub(super) server: PostgresPlace,
    /// What tells its volume from one that was restored: numbers of a device and of a directory.
    identity: String,
    table: String,
    key: String,
    value: String,
    /// Whether the table itself is dropped.
    dropped: bool,
    /// Where the server sees the rows as they were. When this is not there nothing was struck.
    saved: String,
}

/// One row as the server saved it.
#[derive(Debug, Deserialize)]
struct Line {
    key: String,
    before: Option<String>,
    became: Option<String>,
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A server's own client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client<'a> {
    pub(super) containers: &'a dyn Containers,
    pub(super) server: &'a PostgresPlace,
}

impl Client<'_> {
    fn error(&self, doing: &str, reason: impl std::fmt::Display) -> ActionError {
        ActionError::new(doing, &self.server.container, reason)
    }

    /// Runs a program in the container; `None` where that does not run.
    async fn run(&self, program: &[&str]) -> Result<Option<String>, ActionError> {
        let words: Vec<String> = program.iter().map(|&word| word.to_owned()).collect();
        let said = self.containers.run(&self.server.container, "postgres", &words).await?;
        let Some(said) = said else { return Ok(None) };
        if said.code == 0 {
            return Ok(Some(said.output.trim_end().to_owned()));
        }
        Err(self.error("use the data of", said.errors.trim()))
    }

    /// Asks the server; `words` are those of its client.
    pub(super) async fn tell(&self, words: &[&str]) -> Result<Option<String>, ActionError> {
        let PostgresPlace { sockets, database, .. } = self.server;
        let client = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", sockets, "-d", database];
        self.run(&[&client, words].concat()).await
    }

    pub(super) async fn ask(&self, sql: &str) -> Result<String, ActionError> {
        let said = self.tell(&["-c", sql]).await?;
        said.ok_or_else(|| self.error("use the data of", "it does not run"))
    }

    /// What tells the volume that the server has now from any other; `None` where it does not run.
    async fn identity(&self) -> Result<Option<String>, ActionError> {
        self.identity_of(&self.server.volume).await
    }

    /// What tells a file that the server has from any other; `None` where it does not run.
    pub(super) async fn identity_of(&self, path: &str) -> Result<Option<String>, ActionError> {
        self.run(&["stat", "-c", "%d:%i", path]).await
    }

    /// Ends what a strike or an undo of `tag` has left going on here when it was given up; whether the server follows another
    /// one then.
    async fn ends(&self, tag: &str) -> Result<bool, ActionError> {
        let name = literal(tag);
        let sql = format!(
            "SELECT pg_is_in_recovery(), (SELECT bool_and(pg_terminate_backend(pid, {ENDED_WITHIN_MS})) FROM pg_stat_activity
               WHERE application_name = {name} AND pid <> pg_backend_pid()) IS FALSE"
        );
        let said = self.ask(&sql).await?;
        if said.ends_with("|t") {
            return Err(self.error("end what still strikes rows of", "it does not end"));
        }
        Ok(said.starts_with('t'))
    }

    /// Whether it has what another server has, and nobody can change it here.
    pub(super) async fn follows(&self) -> Result<bool, ActionError> {
        Ok(self.ask("SELECT pg_is_in_recovery()").await? == "t")
    }

    /// Sees that rows can be struck here as meant; changes nothing.
    pub(super) async fn check(&self, table: &DataTable, harm: &Harm) -> Result<(), ActionError> {
        let doing = "strike rows of";
        if self.follows().await? {
            let reason = "it follows another server, and has what that one has; strike that one";
            return Err(self.error(doing, reason));
        }
        let sql = format!(
            "SELECT count(*), coalesce(sum(pg_column_size(t.*)), 0) FROM {} t",
            quoted(&table.table)
        );
        let said = self.ask(&sql).await?;
        let mut numbers = said.split('|').map(|number| number.parse().unwrap_or(0_usize));
        let (rows, bytes) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let name = &table.table;
        if rows == 0 {
            return Err(self.error(doing, format!("{name} has no rows")));
        }
        if bytes > MOST_BYTES {
            let most = MOST_BYTES >> 20;
            let reason = format!("they take more than {most} MiB, too much to be saved first");
            return Err(self.error(doing, reason));
        }
        match harm {
            Harm::Drop(most) if rows > usize::try_from(*most).unwrap_or(usize::MAX) => {
                let reason = format!(
                    "{name} has {rows} rows, and max_rows is {most}; raise it in the scenario if that is meant"
                );
                Err(self.error(doing, reason))
            }
            _ => Ok(()),
        }
    }

    /// What is to be known of the server before its rows are struck; `None` where it does not run.
    pub(super) async fn intend(
        &self,
        table: &DataTable,
        harm: &Harm,
        (saved_at, file): (&str, &str),
    ) -> Result<Option<StruckServer>, ActionError> {
        Ok(self.identity().await?.map(|identity| StruckServer {
            server: self.server.clone(),
            identity,
            table: table.table.clone(),
            key: table.key.clone(),
            value: table.value.clone(),
            dropped: matches!(harm, Harm::Drop(_)),
            saved: format!("{saved_at}/{file}"),
        }))
    }
}

impl StruckServer {
    fn client<'a>(&'a self, containers: &'a dyn Containers) -> Client<'a> {
        Client { containers, server: &self.server }
    }

    /// A statement that makes a table again, in a file beside the rows.
    fn schema(&self) -> String {
        format!("{}.sql", self.saved)
    }

    /// The file of the rows as the server sees it.
    pub(super) fn saved(&self) -> &str {
        &self.saved
    }

    /// The file of the rows as this machine sees it.
    pub(super) fn saved_in(&self, directory: &Path) -> PathBuf {
        directory.join(Path::new(&self.saved).file_name().unwrap_or_default())
    }

    /// Strikes rows in one transaction, which saves them first.
    pub(super) async fn strike(
        &self,
        containers: &dyn Containers,
        harm: &Harm,
        seed: &str,
    ) -> Result<(), ActionError> {
        let client = self.client(containers);
        if client.identity().await?.as_ref() != Some(&self.identity) {
            let why = "another volume is in its place since it was looked at";
            return Err(client.error("strike rows of", why));
        }
        let whole = |path: &str| format!("> {path}.new && sync {path}.new && mv {path}.new {path}");
        if self.dropped {
            let PostgresPlace { sockets, database, .. } = &self.server;
            let (table, kept) = (quoted(&self.table), whole(&self.schema()));
            let dump = format!("umask 077; pg_dump -h {sockets} -s -t '{table}' {database} {kept}");
            client.run(&["sh", "-c", &dump]).await?;
        }
        let save = literal(&format!("umask 077; cat {}", whole(&self.saved)));
        let sql = self.striking(harm, seed, &save);
        client.ask(&sql).await.map(drop)
    }

    fn striking(&self, harm: &Harm, seed: &str, save: &str) -> String {
        let (table, key, value) = (quoted(&self.table), quoted(&self.key), quoted(&self.value));
        let old = format!("(chosen.whole).{value}");
        let other = format!(
            "left(repeat(encode(sha256(convert_to({} || (chosen.whole).{key} || {old}, 'UTF8')), 'hex'), \
             length({old}) / 64 + 1), greatest(length({old}), 1))",
            literal(seed)
        );
        let encrypted = format!(
            "encode(once.iv || encrypt_iv(convert_to({old}, 'UTF8'), secret.key, once.iv, 'aes'), 'hex')"
        );
        // A share of the table's rows, spread evenly over all in the order in which they were made.
        let some = |rows: &u32| format!("WHERE count <= {rows} OR place * {rows} % count < {rows}");
        let (lock, which, became, strike) = match harm {
            Harm::Corrupt(rows) => ("SHARE ROW EXCLUSIVE", some(rows), &*other, "change"),
            Harm::Encrypt(rows) => ("SHARE ROW EXCLUSIVE", some(rows), &*encrypted, "change"),
            Harm::Revoke => ("SHARE ROW EXCLUSIVE", String::new(), &*other, "change"),
            Harm::Delete(rows) => ("SHARE ROW EXCLUSIVE", some(rows), "NULL::text", "delete"),
            Harm::Drop(_) => ("ACCESS EXCLUSIVE", String::new(), "NULL::text", "drop"),
        };
        let strike = match strike {
            "change" => format!(
                "UPDATE {table} SET {value} = struck.became FROM pg_temp.struck WHERE {key}::text = struck.key"
            ),
            "delete" => {
                format!("DELETE FROM {table} USING pg_temp.struck WHERE {key}::text = struck.key")
            }
            _ => format!("DROP TABLE {table}"),
        };
        // The key of an encryption is known inside of this statement, and nowhere else.
        let keys = if matches!(harm, Harm::Encrypt(_)) {
            (
                "WITH secret AS MATERIALIZED (SELECT gen_random_bytes(32) AS key)",
                ", secret, LATERAL (SELECT gen_random_bytes(16) AS iv WHERE chosen.place >= 0) once",
            )
        } else {
            ("", "")
        };
        format!(
            "SET lock_timeout = '{LOCKED_WITHIN}'; SET synchronous_commit = local; SET application_name = {};
             BEGIN; LOCK TABLE {table} IN {lock} MODE;
             CREATE TEMP TABLE struck ON COMMIT DROP AS {}
               SELECT to_jsonb(chosen.whole) AS row, (chosen.whole).{key}::text AS key, {old}::text AS before,
                 {became} AS became
               FROM (SELECT t AS whole, row_number() OVER (ORDER BY t.ctid) - 1 AS place, count(*) OVER () AS count
                     FROM {table} t) chosen {}
               {which} ORDER BY place;
             COPY (SELECT to_jsonb(struck) FROM pg_temp.struck) TO PROGRAM {save} {LINES};
             {strike}; COMMIT",
            literal(seed),
            keys.0,
            keys.1
        )
    }

    /// What was struck, from the file of the rows.
    pub(super) fn struck(&self, directory: &Path) -> Result<Saved, String> {
        let path = self.saved_in(directory);
        let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(&error))?;
        let mut rows = Vec::new();
        for line in text.lines() {
            let line: Line = serde_json::from_str(line).map_err(|error| wrong(&error))?;
            let cell = |text: Option<String>| text.map_or(Cell::Null, Cell::Text);
            rows.push(SavedRow {
                key: Cell::Text(line.key),
                cells: vec![cell(line.before)],
                became: line.became.map(Cell::Text),
            });
        }
        let (table, key, value) = (self.table.clone(), self.key.clone(), self.value.clone());
        Ok(Saved { columns: vec![value.clone()], table, key, value, schema: Vec::new(), rows })
    }

    /// The saved rows, a column `saved`, also where nothing can be written; none where nothing was saved.
    fn lines(&self) -> String {
        let file = literal(&self.saved);
        format!(
            "(SELECT line::jsonb AS saved FROM regexp_split_to_table(
               rtrim(pg_read_file({file}, 0, 1000000000, true), E'\\n'), E'\\n') line WHERE line <> '') lines"
        )
    }

    /// Whether the table is there.
    async fn is_there(&self, client: &Client<'_>) -> Result<bool, ActionError> {
        let sql = format!("SELECT to_regclass({}) IS NOT NULL", literal(&quoted(&self.table)));
        Ok(client.ask(&sql).await? == "t")
    }

    /// How many of the rows still are as the fault left them.
    pub(super) async fn still_struck(
        &self,
        containers: &dyn Containers,
    ) -> Result<usize, ActionError> {
        let client = self.client(containers);
        let (table, key, value) = (quoted(&self.table), quoted(&self.key), quoted(&self.value));
        let lines = self.lines();
        let sql = if self.is_there(&client).await? {
            format!(
                "SELECT count(*) FROM {lines} LEFT JOIN {table} t ON t.{key}::text = saved->>'key'
                 WHERE CASE WHEN saved->>'became' IS NULL THEN t.{key} IS NULL ELSE t.{value} = saved->>'became' END"
            )
        } else if self.dropped {
            format!("SELECT count(*) FROM {lines}")
        } else {
            // It was there after the fault: whoever removed it did more than the fault.
            return Ok(0);
        };
        let said = client.ask(&sql).await?;
        said.parse().map_err(|error| client.error("look at the data of", error))
    }

    /// Whether what was struck is still there to be put right: not where the server does not run, has another volume, or
    /// has what another one has.
    async fn is_here(&self, client: &Client<'_>, tag: &str) -> Result<bool, ActionError> {
        Ok(client.identity().await?.as_ref() == Some(&self.identity) && !client.ends(tag).await?)
    }

    /// Puts back what still is as the fault left it, and nothing else.
    pub(super) async fn put_back(
        &self,
        containers: &dyn Containers,
        tag: &str,
    ) -> Result<(), ActionError> {
        let client = self.client(containers);
        if !self.is_here(&client, tag).await? || self.still_struck(containers).await? == 0 {
            return Ok(());
        }
        let (table, key, value) = (quoted(&self.table), quoted(&self.key), quoted(&self.value));
        let lines = self.lines();
        let (name, tag) = (literal(&table), literal(tag));
        let sql = format!(
            "SET lock_timeout = '{LOCKED_WITHIN}'; SET synchronous_commit = local; SET application_name = {tag};
             SET search_path = public;
             UPDATE {table} t SET {value} = saved->>'before' FROM {lines}
               WHERE t.{key}::text = saved->>'key' AND t.{value} = saved->>'became';
             INSERT INTO {table} SELECT (jsonb_populate_record(NULL::{table}, saved->'row')).* FROM {lines}
               WHERE saved->>'became' IS NULL ON CONFLICT DO NOTHING;
             DO $$ DECLARE counted record; BEGIN
               FOR counted IN SELECT attname, pg_get_serial_sequence({name}, attname) AS numbers FROM pg_attribute
                   WHERE attrelid = {name}::regclass AND attnum > 0
                   AND pg_get_serial_sequence({name}, attname) IS NOT NULL LOOP
                 -- Never backwards: others have numbers that are in no row yet.
                 EXECUTE format('SELECT setval(%L, greatest((SELECT max(%I) FROM {table}), last_value)) FROM %s',
                   counted.numbers, counted.attname, counted.numbers);
               END LOOP; END $$"
        );
        let schema = self.schema();
        let mut words = vec!["-1"];
        if !self.is_there(&client).await? {
            words.extend(["-f", &schema]);
        }
        words.extend(["-c", &sql]);
        client.tell(&words).await.map(drop)
    }

    /// What is left of the fault here.
    pub(super) async fn residue(
        &self,
        containers: &dyn Containers,
        tag: &str,
    ) -> Result<Option<String>, ActionError> {
        if !self.is_here(&self.client(containers), tag).await? {
            return Ok(None);
        }
        let still = self.still_struck(containers).await?;
        let (table, place) = (&self.table, &self.server.container);
        Ok((still > 0)
            .then(|| format!("{still} rows of {table} in {place} are as the fault left them")))
    }
}
