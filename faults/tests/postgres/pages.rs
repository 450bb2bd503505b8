//! Pages that are damaged in the file of a PostgreSQL server, and put back only where they still are as the fault left them.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Presence, Reverter, Tag};
use drdrill_core::data::{DataAccess, DataTable, Reading};
use drdrill_faults::backups::reverter::BackupReverter;
use drdrill_faults::data::fault::Harm;
use drdrill_faults::data::pages::PageFault;

use crate::{Host, run, undone};

/// A crash is recovered from in less.
const BACK: Duration = Duration::from_secs(20);
/// Pages of each fault.
const PAGES: u32 = 4;

/// A client that tells an error from what is not there.
#[derive(Debug)]
struct Reader(Arc<Host>);

impl Host {
    /// What the server answers, or why it does not.
    fn ask(&self, sql: &str) -> Result<String, String> {
        let sockets = self.path("").display().to_string();
        let words = ["psql", "-XqAt", "-h", &sockets, "-d", "postgres", "-c", sql];
        let said = run(&words.map(str::to_owned));
        if said.code == 0 { Ok(said.output.trim_end().to_owned()) } else { Err(said.errors) }
    }

    /// Pages of the stopped server that have not their checksum.
    fn bad(&self) -> u32 {
        self.program(&["pg_checksums", "-c", "-D"], &self.path("data"));
        let said = fs::read_to_string(self.path("said")).unwrap();
        let line = said.lines().find_map(|line| line.strip_prefix("Bad checksums:"));
        line.unwrap_or_else(|| panic!("{said}")).trim().parse().unwrap()
    }

    fn with_many_rows() -> Arc<Self> {
        let host = Self::new();
        host.psql(
            "INSERT INTO entries (id, value) SELECT 'm-' || n, 'v' FROM generate_series(1, 3000) n",
        );
        host
    }

    fn page_fault(self: &Arc<Self>) -> PageFault {
        let table = self.fault(Harm::Revoke).tables.remove(0);
        PageFault {
            table,
            files: self.path("data"),
            pages: PAGES,
            access: Arc::new(Reader(self.clone())),
            containers: self.clone(),
            planned: Mutex::default(),
        }
    }
}

#[async_trait]
impl DataAccess for Reader {
    fn table(&self, _: &str) -> Option<DataTable> {
        None
    }

    async fn read(&self, _: &str, key: &str) -> Result<Reading, ActionError> {
        Ok(match self.0.ask(&format!("SELECT value FROM entries WHERE id = '{key}'")) {
            Ok(value) if value.is_empty() => Reading::Missing,
            Ok(value) => Reading::Value(value),
            Err(why) => Reading::Broken(why),
        })
    }
}

/// Waits until a fault is in effect; returns the proof.
async fn in_effect(fault: &PageFault, tag: &Tag) -> String {
    let give_up = Instant::now() + BACK;
    loop {
        match fault.observe(tag).await {
            Ok(Presence::InEffect { proof }) => return proof,
            other => assert!(Instant::now() < give_up, "{other:?}"),
        }
    }
}

#[tokio::test]
async fn damaged_pages_are_refused_by_the_server_and_whole_after_the_undo() {
    let host = Host::with_many_rows();
    let (before, tag) = (host.rows(), Tag::new("20261122-a1", 1));
    let (fault, reverter) = (host.page_fault(), BackupReverter);
    let (node, params) = undone(fault.plan(&tag).await.unwrap());
    // Planned is not done.
    assert_eq!(reverter.residue(&node, &params).await.unwrap(), Vec::<String>::new());
    assert!(matches!(fault.observe(&tag).await.unwrap(), Presence::Absent { .. }));
    let written = "UPDATE entries SET value = 'mine' WHERE id = 'm-3000' RETURNING 1";
    assert_eq!(host.psql(written), "1");

    fault.apply(&tag).await.unwrap();
    let proof = in_effect(&fault, &tag).await;
    assert!(proof.contains("reads none of 4 pages: invalid page in block "), "{proof}");
    assert!(proof.contains("a client of one reads no e-1 ("), "{proof}");
    let error = host.ask("SELECT e FROM entries e").unwrap_err();
    assert!(error.contains("invalid page in block 0 of relation"), "{error}");
    // What is on other pages is there, and more can be written.
    assert_eq!(host.psql("SELECT value FROM entries WHERE id = 'm-3000'"), "mine");
    host.psql("INSERT INTO entries (id, value) VALUES ('later', 'x')");
    assert_eq!(reverter.residue(&node, &params).await.unwrap().len(), 4);
    host.stop();
    assert_eq!(host.bad(), PAGES);
    host.start();

    for _ in 0..2 {
        reverter.revert(&node, &params).await.unwrap();
        assert_eq!(reverter.residue(&node, &params).await.unwrap(), Vec::<String>::new());
    }
    host.psql("DELETE FROM entries WHERE id = 'later'; UPDATE entries SET value = 'v' WHERE id = 'm-3000'");
    assert_eq!(host.rows(), before);
    host.stop();
    assert_eq!(host.bad(), 0);
    host.start();

    // A file that somebody put in its place is theirs, whatever is in it.
    let (fault, tag) = (host.page_fault(), Tag::new("20261122-a1", 2));
    let (node, params) = undone(fault.plan(&tag).await.unwrap());
    fault.apply(&tag).await.unwrap();
    in_effect(&fault, &tag).await;
    let file = host.path("data").join(host.psql("SELECT pg_relation_filepath('entries')"));
    host.stop();
    fs::rename(&file, host.path("aside")).unwrap();
    // As the server's user, whose file it has to be.
    let copied =
        run(&["cp".into(), host.path("aside").display().to_string(), file.display().to_string()]);
    assert_eq!(copied.code, 0, "{copied:?}");
    reverter.revert(&node, &params).await.unwrap();
    assert_eq!(reverter.residue(&node, &params).await.unwrap(), Vec::<String>::new());
    assert_eq!(host.bad(), PAGES);
}

#[tokio::test]
async fn pages_that_nobody_would_miss_are_not_damaged() {
    let host = Host::new();
    let (before, tag) = (host.rows(), Tag::new("20261122-a1", 1));
    let refusal = async |host: &Arc<Host>, files: &str| {
        let fault = PageFault { files: host.path(files), ..host.page_fault() };
        fault.plan(&tag).await.unwrap_err().to_string()
    };
    let why = refusal(&host, "data").await;
    assert!(why.contains("none of its pages is full"), "{why}");
    fs::create_dir_all(host.path("other/base/5")).unwrap();
    let file = host.psql("SELECT pg_relation_filepath('entries')");
    fs::copy(host.path("data").join(&file), host.path("other").join(&file)).unwrap();
    let why = refusal(&host, "other").await;
    assert!(why.contains("is not the file that its server has"), "{why}");
    host.psql("ALTER SYSTEM SET restart_after_crash = off");
    host.psql("SELECT pg_reload_conf(), pg_sleep(0)");
    let give_up = Instant::now() + BACK;
    while host.psql("SHOW restart_after_crash") == "on" {
        assert!(Instant::now() < give_up);
    }
    let why = refusal(&host, "data").await;
    assert!(why.contains("would not come back from a crash"), "{why}");
    host.stop();
    host.program(&["pg_checksums", "--disable", "-D"], &host.path("data"));
    host.start();
    let why = refusal(&host, "data").await;
    assert!(why.contains("have no checksums"), "{why}");
    assert_eq!(host.rows(), before);
}
