//! Pages of a table that are damaged below the server of `PostgreSQL`, in its own file.
//!
//! One bit of each page is flipped on the disk. A server would not notice for as long as it has the pages in memory, and
//! could write those over the damage; so it is made to crash once, which it recovers from by itself. Rows and pages were
//! seen and written back before, so that its log has nothing that would make the chosen pages whole again.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Belt, Presence, Tag, Undo};
use drdrill_core::containers::Containers;
use drdrill_core::data::{DataAccess, DataPlace, DataTable, PostgresPlace, Reading};
use tokio::task::spawn_blocking;

use super::postgres::Client;
use super::rows::quoted;
use crate::backups::reverter::BackupUndo;
use crate::backups::spoil::{Spoilt, SpoiltFile};

/// Rows that a client looks at to see that the fault is in effect.
const LOOKED_AT: usize = 3;
/// Ends the session that asks for it as a crash: the program's parent is the session's process.
const CRASH: &str = "COPY (SELECT 1) TO PROGRAM 'kill -KILL $PPID'";

/// Pages of a table are damaged on the disk.
#[derive(Debug)]
pub struct PageFault {
    /// The table.
    pub table: DataTable,
    /// Where this machine has the files of its server.
    pub files: PathBuf,
    /// So many pages at most.
    pub pages: u32,
    /// How clients read.
    pub access: Arc<dyn DataAccess>,
    /// The container engine.
    pub containers: Arc<dyn Containers>,
    /// What was planned and seen.
    pub planned: Mutex<Planned>,
}

/// What was chosen before the fault, and what was seen of it since.
#[derive(Clone, Debug, Default)]
pub struct Planned {
    undo: Option<BackupUndo>,
    /// The pages, by their numbers.
    pages: Vec<u64>,
    /// Some rows that are on them.
    keys: Vec<String>,
    /// What was seen when it first was in effect.
    proof: Option<String>,
}

/// What the server says of a table.
struct Facts {
    block: u64,
    /// Its file, below the directory of the server.
    file: String,
}

impl PageFault {
    fn error(&self, doing: &str, reason: impl std::fmt::Display) -> ActionError {
        ActionError::new(doing, self.target(), reason)
    }

    fn refused(&self, reason: impl std::fmt::Display) -> ActionError {
        self.error("damage pages of", reason)
    }

    fn planned(&self) -> std::sync::MutexGuard<'_, Planned> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn server(&self) -> Result<&PostgresPlace, ActionError> {
        match &self.table.place {
            DataPlace::Postgres { server, .. } => Ok(server),
            DataPlace::File(_) => Err(self.refused("it is in no server of PostgreSQL")),
        }
    }

    fn client(&self) -> Result<Client<'_>, ActionError> {
        Ok(Client { containers: &*self.containers, server: self.server()? })
    }

    /// Sees that the server would notice damage, and come back from a crash; has it write all pages to its disk.
    async fn look_at_server(&self) -> Result<Facts, ActionError> {
        let (client, table) = (self.client()?, quoted(&self.table.table));
        if client.follows().await? {
            let reason = "its server follows another one, and clients do not see its pages";
            return Err(self.refused(reason));
        }
        let setting = |name: &str| format!("current_setting('{name}')");
        let sql = format!(
            "SELECT {}, {}, {}, pg_relation_filepath('{}')",
            setting("data_checksums"),
            setting("restart_after_crash"),
            setting("block_size"),
            table.replace('\'', "''"),
        );
        let said = client.ask(&sql).await?;
        let [checksums, restarts, block, file] = said.split('|').collect::<Vec<_>>()[..] else {
            return Err(self.refused(format!("its server says {said:?}")));
        };
        if checksums != "on" {
            return Err(self.refused("its pages have no checksums: nobody would notice"));
        }
        if restarts != "on" {
            let reason = "its server would not come back from a crash (restart_after_crash), and without one it goes on \
                          with the pages that it has in memory";
            return Err(self.refused(reason));
        }
        let block = block.parse().map_err(|error| self.refused(error))?;
        // Who reads a row first marks it as committed, which changes its page; and the log has a copy of each page that was
        // changed since the last checkpoint.
        client.ask(&format!("SELECT count(*) FROM {table}; CHECKPOINT")).await?;
        Ok(Facts { block, file: file.to_owned() })
    }

    /// Rows that are on pages, the first of each.
    async fn rows_on(&self, pages: &[u64]) -> Result<Vec<String>, ActionError> {
        let firsts: Vec<String> = pages.iter().map(|page| format!("\"({page},1)\"")).collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE ctid = ANY('{{{}}}'::tid[])",
            quoted(&self.table.key),
            quoted(&self.table.table),
            firsts.join(",")
        );
        let said = self.client()?.ask(&sql).await?;
        Ok(said.lines().map(str::to_owned).collect())
    }

    /// How many of the pages the server cannot read, and what it says of the last.
    async fn unreadable(&self, pages: &[u64]) -> Result<(usize, String), ActionError> {
        let numbers: Vec<String> = pages.iter().map(u64::to_string).collect();
        let look = format!(
            "DO $$ DECLARE page bigint; bad int := 0; said text := ''; BEGIN
               SET LOCAL enable_seqscan = off;
               FOREACH page IN ARRAY '{{{}}}'::bigint[] LOOP
                 BEGIN
                   PERFORM FROM {} WHERE ctid = format('(%s,1)', page)::tid;
                 EXCEPTION WHEN data_corrupted THEN bad := bad + 1; said := SQLERRM;
                 END;
               END LOOP;
               PERFORM set_config('drdrill.bad', bad::text, false), set_config('drdrill.said', said, false);
             END $$",
            numbers.join(","),
            quoted(&self.table.table)
        );
        let tell = "SELECT current_setting('drdrill.bad'), current_setting('drdrill.said')";
        let client = self.client()?;
        let said = client.tell(&["-c", &look, "-c", tell]).await?;
        let said = said.ok_or_else(|| self.error("look at pages of", "its server does not run"))?;
        let (bad, why) = said.split_once('|').unwrap_or((&said, ""));
        let bad = bad.parse().map_err(|error| self.error("look at pages of", error))?;
        Ok((bad, why.to_owned()))
    }

    /// What a client of the site reads of the rows: `Err` where it gets one of them.
    async fn look_as_a_client(
        &self,
        keys: &[String],
    ) -> Result<Result<String, String>, ActionError> {
        let site = &self.table.site;
        let mut seen = Vec::new();
        for key in keys.iter().take(LOOKED_AT) {
            match self.access.read(site, key).await? {
                Reading::Value(_) => return Ok(Err(format!("a client still reads {key}"))),
                Reading::Missing => seen.push(format!("no {key}")),
                Reading::Broken(why) => seen.push(format!("no {key} ({why})")),
            }
        }
        Ok(Ok(format!("a client of {site} reads {}", seen.join(", "))))
    }
}

/// So many of the pages that are full, spread evenly, the first among them.
fn choose(full: u64, wanted: u64) -> Vec<u64> {
    (0..full).filter(|page| wanted >= full || page * wanted % full < wanted).collect()
}

#[async_trait]
impl Action for PageFault {
    fn kind(&self) -> &'static str {
        "page_corruption"
    }

    fn target(&self) -> String {
        format!("{} of {}", self.table.table, self.table.site)
    }

    fn via(&self) -> String {
        "one bit of each page in the file of PostgreSQL, and a crash, so that it reads them from there".to_owned()
    }

    fn belts(&self) -> Vec<Belt> {
        vec![Belt::Journal]
    }

    async fn plan(&self, tag: &Tag) -> Result<Undo, ActionError> {
        let Facts { block, file } = self.look_at_server().await?;
        let seen_there = format!("{}/{file}", self.client()?.data_directory().await?);
        let there = self.client()?.identity_of(&seen_there).await?;
        let (path, wanted) = (self.files.join(file), u64::from(self.pages));
        let chosen = spawn_blocking(move || {
            let failed = |error| format!("{}: {error}", path.display());
            let facts = fs::metadata(&path).map_err(failed)?;
            let identity = (facts.dev(), facts.ino());
            if there.as_deref() != Some(&*format!("{}:{}", identity.0, identity.1)) {
                return Err(format!("{} is not the file that its server has", path.display()));
            }
            // The last one is still being written.
            let pages = choose((facts.len() / block).saturating_sub(1), wanted);
            if pages.is_empty() {
                return Err("none of its pages is full".to_owned());
            }
            let open = File::open(&path).map_err(failed)?;
            let mut files = Vec::new();
            for page in &pages {
                let (at, mut byte) = (page * block + block / 2, [0]);
                open.read_exact_at(&mut byte, at).map_err(failed)?;
                let spoilt = Spoilt::Flipped { at, before: byte[0] };
                files.push(SpoiltFile { path: path.clone(), identity, spoilt });
            }
            Ok((pages, files))
        });
        let chosen = chosen.await.map_err(|error| self.error("look at pages of", error))?;
        let (pages, files) = chosen.map_err(|why| self.refused(why))?;
        let keys = self.rows_on(&pages).await?;
        if keys.is_empty() {
            return Err(self.refused("no row is on the pages that would be damaged"));
        }
        let undo = BackupUndo { tag: tag.as_str().to_owned(), files };
        let told = undo.clone().into_undo(&self.target());
        *self.planned() = Planned { undo: Some(undo), pages, keys, proof: None };
        Ok(told)
    }

    async fn apply(&self, _: &Tag) -> Result<(), ActionError> {
        let Some(undo) = self.planned().undo.clone() else {
            return Err(self.refused("it was not planned"));
        };
        let done = spawn_blocking(move || undo.files.iter().try_for_each(SpoiltFile::spoil));
        let done = done.await.map_err(|error| self.refused(error))?;
        done.map_err(|error| self.refused(error))?;
        // Its client cannot say how it went: the session is gone. What the server reads then tells.
        let _ = self.client()?.tell(&["-c", CRASH]).await;
        Ok(())
    }

    async fn observe(&self, _: &Tag) -> Result<Presence, ActionError> {
        let Planned { pages, keys, proof, .. } = self.planned().clone();
        // As with rows: that they were put right since is the recovery, which the probes time.
        if let Some(proof) = proof {
            return Ok(Presence::InEffect { proof });
        }
        let (bad, why) = self.unreadable(&pages).await?;
        let all = pages.len();
        if bad < all || all == 0 {
            let detail = format!("the server reads all but {bad} of {all} damaged pages");
            return Ok(Presence::Absent { detail });
        }
        Ok(match self.look_as_a_client(&keys).await? {
            Err(detail) => Presence::Absent { detail },
            Ok(seen) => {
                let proof = format!("the server reads none of {all} pages: {why}; {seen}");
                self.planned().proof = Some(proof.clone());
                Presence::InEffect { proof }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn pages_are_spread_evenly_and_the_first_is_among_them() {
        assert_eq!(choose(0, 4), [0; 0]);
        assert_eq!(choose(3, 4), [0, 1, 2]);
        assert_eq!(choose(8, 4), [0, 2, 4, 6]);
        for (full, wanted) in [(7, 3), (100, 99), (1000, 100), (131_071, 7)] {
            let pages = choose(full, wanted);
            assert_eq!((pages.len() as u64, pages[0]), (wanted, 0), "{full} {wanted}");
            assert!(pages.iter().all(|page| *page < full));
        }
    }
}
