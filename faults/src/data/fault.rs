//! Corrupt, encrypted and missing rows as faults of scenarios.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Belt, Presence, Tag, Undo};
use drdrill_core::containers::Containers;
use drdrill_core::data::{DataAccess, DataPlace, DataTable, PostgresPlace, Reading};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::postgres::{Client, StruckServer};
use super::reverter::{DataUndo, StruckFile};
use super::rows;
pub use super::rows::Harm;
use super::saved::{Cell, Saved};

/// Rows that a client looks at to see that the fault is in effect: the first, the last, and some between.
const LOOKED_AT: usize = 3;

/// What follows the server answers within this time, where it is only looked at so that the undo knows it.
const FOLLOWER_ANSWERS: Duration = Duration::from_secs(2);

/// Rows of a table are changed, encrypted or removed.
#[derive(Debug)]
pub struct DataFault {
    /// What is done to them.
    pub harm: Harm,
    /// The table, and then its copies that are struck alike.
    pub tables: Vec<DataTable>,
    /// How clients read.
    pub access: Arc<dyn DataAccess>,
    /// Whether what follows a server is to be seen struck, too. Replication carries it there either way, and so the undo looks
    /// there either way.
    pub replicated: bool,
    /// The container engine, for data of servers in containers.
    pub containers: Option<Arc<dyn Containers>>,
    /// What was planned and seen.
    pub planned: Mutex<Planned>,
}

/// A table of a file.
trait OfFile {
    fn file(&self) -> Result<&Path, rows::RowsError>;
}

impl OfFile for DataTable {
    fn file(&self) -> Result<&Path, rows::RowsError> {
        match &self.place {
            DataPlace::File(path) => Ok(path),
            DataPlace::Postgres { .. } => {
                let why = "copies of it are in files and at servers, and not struck alike";
                Err(rows::RowsError::Refused(why.to_owned()))
            }
        }
    }
}

/// What was chosen before the fault, and what was seen of it since.
#[derive(Clone, Debug, Default)]
pub struct Planned {
    keys: Vec<Cell>,
    undo: Option<DataUndo>,
    struck: Vec<Saved>,
    /// What a client saw of it.
    seen: Option<String>,
    /// What was seen when it first was in effect.
    proof: Option<String>,
}

impl DataFault {
    fn first(&self) -> Result<&DataTable, ActionError> {
        self.tables
            .first()
            .ok_or_else(|| ActionError::new("damage", "the data", "there is no table"))
    }

    fn error(&self, doing: &str, reason: impl std::fmt::Display) -> ActionError {
        ActionError::new(doing, self.target(), reason)
    }

    fn planned(&self) -> std::sync::MutexGuard<'_, Planned> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    const fn doing(&self) -> &'static str {
        match self.harm {
            Harm::Corrupt(_) => "change rows of",
            Harm::Encrypt(_) => "encrypt rows of",
            Harm::Revoke => "revoke credentials of",
            Harm::Delete(_) | Harm::Drop(_) => "remove rows of",
        }
    }

    fn engine(&self) -> Result<&dyn Containers, ActionError> {
        let lacks = || self.error("strike", "there is no power over containers");
        self.containers.as_deref().ok_or_else(lacks)
    }

    /// The server and its followers, where the first table is one of a server.
    fn servers(&self) -> Result<Option<(Vec<&PostgresPlace>, &str)>, ActionError> {
        Ok(match &self.first()?.place {
            DataPlace::File(_) => None,
            DataPlace::Postgres { server, followers, saved_at } => {
                Some((std::iter::once(server).chain(followers).collect(), saved_at))
            }
        })
    }

    /// What is to be known of servers before their rows are struck: first of the one that decides.
    async fn plan_servers(
        &self,
        servers: &[&PostgresPlace],
        saved_at: &str,
        tag: &Tag,
    ) -> Result<Vec<StruckServer>, ActionError> {
        let (containers, table) = (self.engine()?, self.first()?);
        let file = format!("{}.saved", tag.as_str());
        let mut struck = Vec::new();
        for (number, server) in servers.iter().enumerate() {
            let client = Client { containers, server };
            if number == 0 {
                client.check(table, &self.harm).await?;
            }
            let intend = client.intend(table, &self.harm, (saved_at, &file));
            let one = if number == 0 || self.replicated {
                intend.await?
            } else {
                // One that stands still is not asked for, and takes nothing over.
                timeout(FOLLOWER_ANSWERS, intend).await.unwrap_or(Ok(None))?
            };
            if number == 0 && one.is_none() {
                return Err(self.error(self.doing(), "its server does not run"));
            }
            struck.extend(one);
        }
        Ok(struck)
    }

    /// What each server itself says: how many rows are struck there, and of how many.
    async fn look_at_servers(&self) -> Result<Vec<(usize, usize)>, ActionError> {
        let (servers, all) = {
            let planned = self.planned();
            let servers = planned.undo.clone().map(|undo| undo.servers).unwrap_or_default();
            (servers, planned.struck.first().map_or(0, |saved| saved.rows.len()))
        };
        let mut looks = Vec::new();
        for server in servers.iter().take(self.looks_at()) {
            looks.push((server.still_struck(self.engine()?).await?, all));
        }
        Ok(looks)
    }

    /// At how many servers rows are to be seen struck.
    const fn looks_at(&self) -> usize {
        if self.replicated { usize::MAX } else { 1 }
    }

    /// Where rows are looked at, a name each.
    fn looked_at(&self) -> Vec<String> {
        if let Ok(Some(_)) = self.servers() {
            let undo = self.planned().undo.clone();
            let servers = undo.map(|undo| undo.servers).unwrap_or_default();
            let servers = servers.into_iter().take(self.looks_at());
            return servers.map(|one| one.server.container).collect();
        }
        self.tables.iter().map(|table| table.site.clone()).collect()
    }

    /// What the data itself says, past everybody who may have cached it.
    async fn look_at_data(&self) -> Result<Vec<(usize, usize)>, ActionError> {
        if self.servers()?.is_some() {
            return self.look_at_servers().await;
        }
        let (undo, struck) = {
            let planned = self.planned();
            (planned.undo.clone(), planned.struck.clone())
        };
        let files = undo.map(|undo| undo.files).unwrap_or_default();
        let looked = spawn_blocking(move || {
            let looks = files.iter().zip(&struck).map(|(file, saved)| {
                let connection = rows::open(&file.path)?;
                Ok::<_, rows::RowsError>((
                    rows::still_struck(&connection, saved)?,
                    saved.rows.len(),
                ))
            });
            looks.collect::<Result<Vec<_>, _>>()
        });
        let looked = looked.await.map_err(|error| self.error("look at", error))?;
        looked.map_err(|error| self.error("look at", error))
    }

    /// What a client of the site reads: `Err` where it gets what was there before.
    async fn look_as_a_client(&self) -> Result<Result<String, String>, ActionError> {
        let site = &self.first()?.site;
        let Some(saved) = self.planned().struck.first().cloned() else {
            return Ok(Err("nothing was struck".to_owned()));
        };
        let (count, value_at) =
            (saved.rows.len(), saved.columns.iter().position(|column| *column == saved.value));
        let mut seen = Vec::new();
        let mut looked_at: Vec<usize> = (0..LOOKED_AT)
            .map(|place| place * count.saturating_sub(1) / (LOOKED_AT - 1).max(1))
            .collect();
        looked_at.dedup();
        for row in looked_at.into_iter().filter_map(|place| saved.rows.get(place)) {
            let Cell::Text(key) = &row.key else {
                return Err(self.error("read", "its keys are no texts"));
            };
            let before = value_at.and_then(|at| row.cells.get(at));
            match self.access.read(site, key).await? {
                Reading::Value(_) if self.harm == Harm::Revoke => {
                    return Ok(Err(format!("{key} still gets in at {site}")));
                }
                Reading::Missing if self.harm == Harm::Revoke => {
                    seen.push(format!("that {key} is refused"));
                }
                Reading::Value(value) if before == Some(&Cell::Text(value.clone())) => {
                    return Ok(Err(format!("a client still reads {key} as it was")));
                }
                Reading::Value(_) if row.became.is_none() => {
                    return Ok(Err(format!("a client still reads {key}")));
                }
                Reading::Value(_) => seen.push(format!("{key} with another value")),
                Reading::Missing => seen.push(format!("no {key}")),
                Reading::Broken(why) => seen.push(format!("no {key} ({why})")),
            }
        }
        Ok(Ok(format!("a client of {site} reads {}", seen.join(", "))))
    }
}

#[async_trait]
impl Action for DataFault {
    fn kind(&self) -> &'static str {
        match self.harm {
            Harm::Corrupt(_) => "data_corruption",
            Harm::Encrypt(_) => "data_encryption",
            Harm::Revoke => "credentials_revoked",
            Harm::Delete(_) | Harm::Drop(_) => "data_deletion",
        }
    }

    fn target(&self) -> String {
        let mut sites: Vec<&str> = self.tables.iter().map(|table| table.site.as_str()).collect();
        if let Some(DataPlace::Postgres { followers, .. }) =
            self.tables.first().map(|table| &table.place)
            && self.replicated
            && !followers.is_empty()
        {
            sites.push("what replicates from it");
        }
        let table = self.tables.first().map_or("data", |table| table.table.as_str());
        format!("{table} of {}", sites.join(" and "))
    }

    fn via(&self) -> String {
        let statement = match self.harm {
            Harm::Corrupt(_) | Harm::Revoke => "UPDATE",
            Harm::Encrypt(_) => "encryption with a random key that is thrown away, and UPDATE",
            Harm::Delete(_) => "DELETE",
            Harm::Drop(_) => "DROP TABLE",
        };
        let of = match self.tables.first().map(|table| &table.place) {
            Some(DataPlace::Postgres { .. }) => "PostgreSQL, by psql as a superuser",
            _ => "SQLite",
        };
        format!("{statement} in one transaction of {of}, past the application")
    }

    fn belts(&self) -> Vec<Belt> {
        vec![Belt::Journal]
    }

    async fn plan(&self, tag: &Tag) -> Result<Undo, ActionError> {
        if let Some((servers, saved_at)) = self.servers()? {
            let servers = self.plan_servers(&servers, saved_at, tag).await?;
            let (tag, engine) = (tag.as_str().to_owned(), Some(self.engine()?.address()));
            let undo = DataUndo { tag, files: Vec::new(), servers, engine };
            let told = undo.clone().into_undo(&self.target());
            *self.planned() = Planned { undo: Some(undo), ..Planned::default() };
            return Ok(told);
        }
        let (tables, harm, first) = (self.tables.clone(), self.harm.clone(), self.first()?.clone());
        let chosen = spawn_blocking(move || {
            let keys = rows::choose(&rows::open(first.file()?)?, &first, &harm)?;
            let files: Result<Vec<(PathBuf, (u64, u64))>, rows::RowsError> = tables
                .iter()
                .map(|table| {
                    let path = table.file()?;
                    Ok((path.to_owned(), rows::identity(path)?))
                })
                .collect();
            Ok::<_, rows::RowsError>((keys, files?))
        });
        let chosen = chosen.await.map_err(|error| self.error("look at", error))?;
        let (keys, files) = chosen.map_err(|error| self.error(self.doing(), error))?;
        let files = self.tables.iter().zip(files).enumerate();
        let files = files.map(|(number, (table, (path, identity)))| StruckFile {
            path,
            identity,
            saved: table.saved_in.join(format!("{}-{number}.saved", tag.as_str())),
        });
        let (tag, servers) = (tag.as_str().to_owned(), Vec::new());
        let undo = DataUndo { tag, files: files.collect(), servers, engine: None };
        let told = undo.clone().into_undo(&self.target());
        *self.planned() = Planned { keys, undo: Some(undo), ..Planned::default() };
        Ok(told)
    }

    async fn apply(&self, tag: &Tag) -> Result<(), ActionError> {
        let Planned { keys, undo, .. } = self.planned().clone();
        let Some(undo) = undo else { return Err(self.error(self.doing(), "it was not planned")) };
        if let (Some(_), Some(server)) = (self.servers()?, undo.servers.first()) {
            server.strike(self.engine()?, &self.harm, tag.as_str()).await?;
            let saved = server.struck(&self.first()?.saved_in);
            self.planned().struck = vec![saved.map_err(|error| self.error("look at", error))?];
            return Ok(());
        }
        let (tables, harm, seed) =
            (self.tables.clone(), self.harm.clone(), tag.as_str().to_owned());
        // Off the runtime: the database may be busy.
        let struck = spawn_blocking(move || {
            let mut struck = Vec::new();
            for (table, file) in tables.iter().zip(&undo.files) {
                if rows::identity(&file.path)? != file.identity {
                    let why = "another database is in its place since it was looked at";
                    return Err(rows::RowsError::Refused(why.to_owned()));
                }
                let mut connection = rows::open(&file.path)?;
                struck.push(rows::strike(&mut connection, table, &keys, &harm, &seed, |saved| {
                    saved.write(&file.saved)
                })?);
            }
            Ok(struck)
        });
        let struck = struck.await.map_err(|error| self.error(self.doing(), error))?;
        self.planned().struck = struck.map_err(|error| self.error(self.doing(), error))?;
        Ok(())
    }

    async fn observe(&self, _: &Tag) -> Result<Presence, ActionError> {
        // What was done to data stays done: that it was put right since is the recovery, which the probes time.
        if let Some(proof) = self.planned().proof.clone() {
            return Ok(Presence::InEffect { proof });
        }
        // First, and once: who restores may cut clients off as soon as they notice, while servers are still being asked.
        let seen = self.planned().seen.clone();
        let seen = match seen {
            Some(seen) => seen,
            None => match self.look_as_a_client().await? {
                Err(detail) => return Ok(Presence::Absent { detail }),
                Ok(seen) => seen,
            },
        };
        self.planned().seen = Some(seen.clone());
        let mut proof = Vec::new();
        for (place, (still, all)) in self.looked_at().iter().zip(self.look_at_data().await?) {
            if still < all || all == 0 {
                let detail = format!("{still} of {all} rows are struck in the data of {place}");
                return Ok(Presence::Absent { detail });
            }
            let what = match self.harm {
                Harm::Corrupt(_) | Harm::Revoke => "changed",
                Harm::Encrypt(_) => "encrypted",
                Harm::Delete(_) | Harm::Drop(_) => "missing",
            };
            proof.push(format!("{all} rows of {place} are {what} in the database"));
        }
        proof.push(seen);
        let proof = proof.join("; ");
        self.planned().proof = Some(proof.clone());
        Ok(Presence::InEffect { proof })
    }
}
