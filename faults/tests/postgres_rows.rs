//! Rows of a PostgreSQL server that are struck, and put back only where they still are as the fault left them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod postgres {
    mod copies;
    mod pages;
}

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Presence, Reverter, Tag, Undo};
use drdrill_core::containers::{
    ContainerNetwork, ContainerSpec, Containers, RunningContainer, Said,
};
use drdrill_core::data::{DataAccess, DataPlace, DataTable, PostgresPlace, Reading};
use drdrill_faults::data::fault::{DataFault, Harm};
use drdrill_faults::data::reverter::DataReverter;
use tempfile::TempDir;

/// Where Debian has the programs of the server.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
/// Rows of the table.
const ROWS: u32 = 100;

/// A server of this machine, as a container would have it.
#[derive(Debug)]
struct Host {
    dir: TempDir,
    /// The container that does not run.
    absent: Mutex<&'static str>,
}

impl Host {
    fn new() -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let host = Self { dir, absent: Mutex::default() };
        let made =
            host.program(&["initdb", "-A", "trust", "-k", "--no-sync", "-D"], &host.path("data"));
        assert!(made.status.success(), "{made:?}");
        let settings = format!(
            "listen_addresses = ''\nunix_socket_directories = '{}'\nfsync = off\n",
            host.dir.path().display()
        );
        let file = host.path("data/postgresql.conf");
        fs::write(&file, fs::read_to_string(&file).unwrap() + &settings).unwrap();
        fs::create_dir(host.path("saved")).unwrap();
        fs::set_permissions(host.path("saved"), fs::Permissions::from_mode(0o777)).unwrap();
        host.start();
        host.psql(&format!(
            "CREATE EXTENSION pgcrypto;
             CREATE TABLE entries (id text PRIMARY KEY, value text NOT NULL, lsn bigserial NOT NULL, \"odd'\" text);
             GRANT SELECT ON entries TO pg_monitor;
             INSERT INTO entries (id, value, \"odd'\")
               SELECT 'e-' || n, repeat(n::text, 3), E'a\\\\b\\n\"' || n FROM generate_series(1, {ROWS}) n"
        ));
        Arc::new(host)
    }

    fn start(&self) {
        let log = self.path("data/log").display().to_string();
        let started =
            self.program(&["pg_ctl", "-w", "-l", &log, "start", "-D"], &self.path("data"));
        assert!(started.status.success(), "{started:?}");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs a program as a user that may run a server.
    fn program(&self, words: &[&str], last: &Path) -> std::process::Output {
        let program = format!("{PROGRAMS}/{}", words[0]);
        Command::new("setpriv")
            .args(["--reuid=postgres", "--regid=postgres", "--init-groups", &program])
            .args(&words[1..])
            .arg(last)
            .env("LC_ALL", "C.UTF-8")
            .current_dir("/")
            // What it starts would hold a pipe open.
            .stdout(fs::File::create(self.path("said")).unwrap())
            .stderr(fs::File::create(self.path("errors")).unwrap())
            .output()
            .unwrap()
    }

    fn psql(&self, sql: &str) -> String {
        let words = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h"].map(str::to_owned);
        let more = ["-d", "postgres", "-c", sql].map(str::to_owned);
        let said = run(&[&words[..], &[self.dir.path().display().to_string()], &more].concat());
        assert_eq!(said.code, 0, "{said:?}");
        said.output.trim_end().to_owned()
    }

    /// All that the table has, in one text.
    fn rows(&self) -> String {
        self.psql("SELECT e FROM entries e ORDER BY lsn")
    }

    fn stop(&self) {
        let words = ["pg_ctl", "-w", "-m", "fast", "stop", "-D"];
        let stopped = self.program(&words, &self.path("data"));
        assert!(stopped.status.success(), "{stopped:?}");
    }

    fn place(&self) -> PostgresPlace {
        PostgresPlace {
            container: "one".to_owned(),
            volume: self.path("data").display().to_string(),
            sockets: self.dir.path().display().to_string(),
            database: "postgres".to_owned(),
        }
    }

    fn fault(self: &Arc<Self>, harm: Harm) -> DataFault {
        let server = self.place();
        let saved_at = self.path("saved").display().to_string();
        let table = DataTable {
            site: "one".to_owned(),
            place: DataPlace::Postgres { server, followers: Vec::new(), saved_at },
            table: "entries".to_owned(),
            key: "id".to_owned(),
            value: "value".to_owned(),
            saved_in: self.path("saved"),
        };
        let (tables, access) = (vec![table], Arc::new(Clients(self.clone())));
        let containers = Some(self.clone() as Arc<dyn Containers>);
        DataFault { harm, tables, access, replicated: false, containers, planned: Mutex::default() }
    }

    fn reverter(self: &Arc<Self>) -> DataReverter {
        DataReverter { containers: Some(self.clone()) }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.program(&["pg_ctl", "-w", "-m", "immediate", "stop", "-D"], &self.path("data"));
    }
}

/// Runs a program as the superuser of the server.
fn run(words: &[String]) -> Said {
    let output = Command::new("setpriv")
        .args(["--reuid=postgres", "--regid=postgres", "--init-groups"])
        .args(words)
        .current_dir("/")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = i64::from(output.status.code().unwrap());
    Said { code, output: text(&output.stdout), errors: text(&output.stderr) }
}

#[async_trait]
impl Containers for Host {
    fn address(&self) -> String {
        "unix:///nowhere".to_owned()
    }

    async fn run(
        &self,
        id: &str,
        _: &str,
        program: &[String],
    ) -> Result<Option<Said>, ActionError> {
        Ok((id != *self.absent.lock().unwrap()).then(|| run(program)))
    }
    async fn image(&self) -> Result<String, ActionError> {
        Ok(String::new())
    }
    async fn make_networks(
        &self,
        _: &str,
        _: &[&str],
        _: u64,
    ) -> Result<BTreeMap<String, ContainerNetwork>, ActionError> {
        Ok(BTreeMap::new())
    }
    async fn start(&self, _: &str, _: &ContainerSpec) -> Result<RunningContainer, ActionError> {
        Err(ActionError::new("start", "one", "nobody starts anything here"))
    }
    async fn kill(&self, _: &str) -> Result<(), ActionError> {
        Ok(())
    }
    async fn is_there(&self, id: &str) -> Result<bool, ActionError> {
        Ok(id == "one")
    }
    async fn discard(&self, _: &str) -> Result<(), ActionError> {
        Ok(())
    }
    async fn last_words(&self, _: &str) -> String {
        String::new()
    }
    async fn found(&self, _: &str) -> Result<Vec<String>, ActionError> {
        Ok(Vec::new())
    }
    async fn remove(&self, _: &str) -> Result<(), ActionError> {
        Ok(())
    }
}

/// Clients that ask the server itself.
#[derive(Debug)]
struct Clients(Arc<Host>);

#[async_trait]
impl DataAccess for Clients {
    fn table(&self, _: &str) -> Option<DataTable> {
        None
    }

    async fn read(&self, _: &str, key: &str) -> Result<Reading, ActionError> {
        if self.0.psql("SELECT to_regclass('entries') IS NULL") == "t" {
            return Ok(Reading::Broken("there is no table".to_owned()));
        }
        let value = self.0.psql(&format!("SELECT value FROM entries WHERE id = '{key}'"));
        Ok(if value.is_empty() { Reading::Missing } else { Reading::Value(value) })
    }
}

fn undone(undo: Undo) -> (String, serde_json::Value) {
    let Undo::Revert { node, params, .. } = undo else { panic!("{undo:?}") };
    (node, params)
}

#[tokio::test]
async fn what_was_struck_is_as_before_after_the_undo_and_what_others_wrote_stays() {
    let host = Host::new();
    let before = host.rows();
    let harms = [Harm::Corrupt(7), Harm::Encrypt(7), Harm::Delete(7), Harm::Drop(1000)];
    for (number, harm) in (1..).zip(harms) {
        let (fault, reverter) = (host.fault(harm.clone()), host.reverter());
        let tag = Tag::new("20261122-a1", number);
        let (node, params) = undone(fault.plan(&tag).await.unwrap());
        // Planned is not done.
        assert_eq!(reverter.residue(&node, &params).await.unwrap(), Vec::<String>::new());
        reverter.revert(&node, &params).await.unwrap();
        assert_eq!(host.rows(), before);
        fault.apply(&tag).await.unwrap();
        let seen = fault.observe(&tag).await.unwrap();
        assert!(matches!(seen, Presence::InEffect { .. }), "{harm:?}: {seen:?}");
        let struck = match harm {
            Harm::Corrupt(_) | Harm::Encrypt(_) => {
                "SELECT count(*) FROM entries WHERE value <> repeat(substr(id, 3), 3)"
            }
            Harm::Delete(_) => "SELECT 100 - count(*) FROM entries",
            _ => "SELECT 7 WHERE to_regclass('entries') IS NULL",
        };
        assert_eq!(host.psql(struck), "7", "{harm:?}");
        let left = reverter.residue(&node, &params).await.unwrap();
        assert_eq!(left.len(), 1, "{harm:?}");
        for _ in 0..2 {
            reverter.revert(&node, &params).await.unwrap();
            assert_eq!(reverter.residue(&node, &params).await.unwrap(), Vec::<String>::new());
            assert_eq!(host.rows(), before, "{harm:?}");
        }
        // As before are the rights and the numbers that come next, too.
        host.psql("SET ROLE pg_monitor; SELECT count(*) FROM entries");
        host.psql("INSERT INTO entries (id, value) VALUES ('next', 'x')");
        let next = host.psql("DELETE FROM entries WHERE id = 'next' RETURNING lsn > 100");
        assert_eq!(next, "t", "{harm:?}");
    }
    let (fault, reverter) = (host.fault(Harm::Corrupt(2)), host.reverter());
    let tag = Tag::new("20261122-a1", 9);
    let (node, params) = undone(fault.plan(&tag).await.unwrap());
    fault.apply(&tag).await.unwrap();
    host.psql("UPDATE entries SET value = 'mine' WHERE id = 'e-1'");
    // Another volume in its place is none of the fault's.
    let elsewhere: serde_json::Value = {
        let mut params = params.clone();
        params["servers"][0]["identity"] = "1:1".into();
        params
    };
    reverter.revert(&node, &elsewhere).await.unwrap();
    assert_eq!(reverter.residue(&node, &elsewhere).await.unwrap(), Vec::<String>::new());
    assert_eq!(reverter.residue(&node, &params).await.unwrap().len(), 1);
    reverter.revert(&node, &params).await.unwrap();
    assert_eq!(host.rows(), before.replace("(e-1,111,", "(e-1,mine,"));
}

#[tokio::test]
async fn what_cannot_be_struck_is_refused_before_anything_is_done() {
    let host = Host::new();
    let (before, tag) = (host.rows(), Tag::new("20261122-a1", 1));
    let error = host.fault(Harm::Drop(99)).plan(&tag).await.unwrap_err().to_string();
    assert!(error.contains("has 100 rows, and max_rows is 99"), "{error}");
    assert_eq!(host.rows(), before);
    host.psql("TRUNCATE entries");
    let error = host.fault(Harm::Delete(1)).plan(&tag).await.unwrap_err().to_string();
    assert!(error.contains("entries has no rows"), "{error}");
}
