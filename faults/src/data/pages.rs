//! Pages of a table that are damaged below the server of `PostgreSQL`, in its own file.
//!
//! One bit of each page is flipped on the disk. A server would not notice for as long as it has the pages in memory, and
//! could write those over the damage; so it is made to crash once, which it recovers from by itself. Rows and pages were
//! seen and written back before, and chosen are pages that nobody changes any more, so that its log has nothing that would make
//! them whole again. Several writers fill several pages at once: which are full, only the pages tell.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Belt, Presence, Tag, Undo};
use drdrill_core::containers::Containers;
use drdrill_core::data::{DataAccess, DataPlace, DataTable, PostgresPlace, Reading};
use tokio::task::spawn_blocking;

use super::heap::settled_pages;
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
    /// Bytes of a page.
    block: usize,
    /// Its file, below the directory of the server.
    file: String,
    /// What tells that file from any other, as the server sees it.
    identity: String,
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

    /// Sees that the server would notice damage, and come back from a crash.
    async fn look_at_server(&self) -> Result<Facts, ActionError> {
        let (client, table) = (self.client()?, quoted(&self.table.table));
        if client.follows().await? {
            let reason = "its server follows another one, and clients do not see its pages";
            return Err(self.refused(reason));
        }
        let name = table.replace('\'', "''");
        let sql = format!(
            "SELECT current_setting('data_checksums'), current_setting('restart_after_crash'),
               current_setting('block_size'), pg_relation_filepath('{name}'), current_setting('data_directory')"
        );
        let said = client.ask(&sql).await?;
        let [checksums, restarts, block, file, directory] = said.split('|').collect::<Vec<_>>()[..]
        else {
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
        let identity = client.identity_of(&format!("{directory}/{file}")).await?;
        let identity = identity.ok_or_else(|| self.refused("its server does not run"))?;
        Ok(Facts { block, file: file.to_owned(), identity })
    }

    /// Has the server write all rows to its disk as they will stay. Who reads a row first marks it as committed, which
    /// changes its page; and the log has a copy of each page that was changed since the last checkpoint.
    async fn settle(&self) -> Result<(), ActionError> {
        let read =
            format!("DO $$ BEGIN PERFORM count(*) FROM {}; END $$", quoted(&self.table.table));
        let said = self.client()?.tell(&["-c", &read, "-c", "CHECKPOINT"]).await?;
        said.map(drop).ok_or_else(|| self.refused("its server does not run"))
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

/// So many of the pages, spread evenly, the first among them.
fn choose(pages: &[u64], wanted: usize) -> Vec<u64> {
    let all = pages.len();
    let chosen = |place: usize| wanted >= all || place * wanted % all < wanted;
    pages.iter().enumerate().filter(|(place, _)| chosen(*place)).map(|(_, page)| *page).collect()
}

/// Some pages, and one bit in the middle of each.
fn bits(
    path: &Path,
    identity: (u64, u64),
    wanted: usize,
    block: usize,
) -> io::Result<(Vec<u64>, Vec<SpoiltFile>)> {
    let file = File::open(path)?;
    let pages = choose(&settled_pages(&file, block)?, wanted);
    let block = block as u64;
    let flipped = pages.iter().map(|page| {
        let (at, mut byte) = (page * block + block / 2, [0]);
        file.read_exact_at(&mut byte, at)?;
        let spoilt = Spoilt::Flipped { at, before: byte[0] };
        Ok(SpoiltFile { path: path.to_owned(), identity, spoilt })
    });
    let files = flipped.collect::<io::Result<_>>()?;
    Ok((pages, files))
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
        let Facts { block, file, identity: there } = self.look_at_server().await?;
        let path = self.files.join(file);
        let facts = fs::metadata(&path)
            .map_err(|error| self.refused(format!("{}: {error}", path.display())))?;
        let identity = (facts.dev(), facts.ino());
        if there != format!("{}:{}", identity.0, identity.1) {
            let path = path.display();
            return Err(self.refused(format!("{path} is not the file that its server has")));
        }
        self.settle().await?;
        let wanted = usize::try_from(self.pages).unwrap_or(usize::MAX);
        let bits = spawn_blocking(move || bits(&path, identity, wanted, block));
        let bits = bits.await.map_err(|error| self.error("look at pages of", error))?;
        let (pages, files) = bits.map_err(|error| self.error("look at pages of", error))?;
        if pages.is_empty() {
            return Err(self.refused("none of its pages is full"));
        }
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
        assert_eq!(choose(&[], 4), [0; 0]);
        assert_eq!(choose(&[3, 5, 6], 4), [3, 5, 6]);
        assert_eq!(choose(&[0, 1, 2, 3, 4, 5, 6, 9], 4), [0, 2, 4, 6]);
        for (all, wanted) in [(7, 3), (100, 99), (1000, 100)] {
            let pages = choose(&(7..7 + all).collect::<Vec<u64>>(), wanted);
            assert_eq!((pages.len(), pages[0]), (wanted, 7), "{all} {wanted}");
        }
    }
}
