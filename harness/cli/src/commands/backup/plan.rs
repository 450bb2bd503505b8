//! A backup plan, with its destinations opened.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drdrill_backup::archive::{SourceAt, Trust};
use drdrill_backup::copies::{self, Copy, Rule};
use drdrill_backup::run::At;
use drdrill_backup::store::directory::{Directory, Lock};
use drdrill_backup::store::{self, Credentials, Store};
use drdrill_core::backup_plan::{BackupPlan, Origin, Place, S3Place, Source};
use drdrill_core::inventory::SecretSource;
use drdrill_core::secret::Secret;
use drdrill_environments::secrets;

use super::written;
use crate::catalog;
use crate::exit::{Code, Failure};

/// A plan and its destinations; those that cannot be used among them, with the reason.
pub(super) struct Opened {
    pub(super) plan: BackupPlan,
    pub(super) at: Vec<At>,
    /// Directories that are written to.
    pub(super) directories: Vec<PathBuf>,
    /// Held for as long as this is.
    _locks: Vec<Lock>,
}

/// What is to be done with the destinations.
#[derive(Clone, Copy)]
pub(super) enum For<'a> {
    Reading,
    /// What was written to before stands in this directory; `None` when that is not to be asked.
    Writing(Option<&'a Path>),
}

pub(super) fn open(path: &Path, what: For<'_>) -> Result<Opened, Failure> {
    let plan = catalog::file(&path.to_string_lossy())?.backup_plan()?;
    let before = match what {
        For::Writing(Some(state)) => {
            written::read(state, &plan.backup).map_err(Failure::with(Code::NotReady))?
        }
        _ => BTreeSet::new(),
    };
    let (mut locks, mut directories) = (Vec::new(), Vec::new());
    let at = plan.destinations.iter().map(|destination| {
        let store = match &destination.to {
            Place::Directory(place) => {
                let directory = Directory::new(Path::new(&place.path), &plan.backup);
                let writes = matches!(what, For::Writing(_));
                let own = directory.own();
                let ready = if writes { directory.make(before.contains(own)) } else { Ok(()) };
                let locked = ready.and_then(|()| directory.lock(writes));
                directories.push(directory.own().to_owned());
                locked.map(|lock| -> Arc<dyn Store> {
                    locks.extend(lock);
                    Arc::new(directory)
                })
            }
            Place::S3(place) => bucket(place, &plan.backup),
        };
        At { name: destination.name.clone(), store }
    });
    let at = at.collect();
    Ok(Opened { plan, at, directories, _locks: locks })
}

fn bucket(place: &S3Place, plan: &str) -> Result<Arc<dyn Store>, String> {
    let fetch = |source: &SecretSource| -> Result<Secret, String> {
        secrets::fetch(source).map_err(|why| format!("{source}: {why}"))
    };
    let credentials = Credentials {
        access_key: fetch(&place.access_key)?,
        secret_key: fetch(&place.secret_key)?,
        session_token: place.session_token.as_ref().map(fetch).transpose()?,
    };
    store::bucket(place, &credentials, plan)
}

/// Programs are started when nobody else could have put them there.
pub(super) fn trust() -> Trust {
    Arc::new(|program| drdrill_process::check_program(program).map_err(|error| error.to_string()))
}

impl Opened {
    /// The backups of each source at a destination.
    pub(super) fn sources_at(&self, store: &Arc<dyn Store>) -> Vec<(String, SourceAt)> {
        let one = |source: &Source| {
            let at = SourceAt::new(store.clone(), &source.name, source.check.clone(), trust());
            (source.name.clone(), at)
        };
        self.plan.sources.iter().map(one).collect()
    }

    /// The 3-2-1 rule, when these destinations have everything.
    pub(super) fn rule(&self, have: &BTreeSet<&str>) -> Rule {
        let mut unknown = Vec::new();
        let named = self.plan.destinations.iter().zip(&self.at);
        let copies =
            named.filter(|(spec, _)| have.contains(spec.name.as_str())).filter_map(|(spec, at)| {
                match at.store.as_ref().map_err(Clone::clone).and_then(|store| store.identity()) {
                    Ok(identity) => Some(Copy {
                        name: spec.name.clone(),
                        media: spec.media.clone(),
                        offsite: spec.offsite,
                        identity,
                    }),
                    Err(why) => {
                        unknown.push(format!("{}: {why}", spec.name));
                        None
                    }
                }
            });
        let copies: Vec<Copy> = copies.collect();
        let mut rule = copies::judge(&self.plan.original.media, &self.originals(), &copies);
        rule.missing.extend(unknown);
        let absent =
            self.plan.destinations.iter().filter(|spec| !have.contains(spec.name.as_str()));
        rule.missing.extend(absent.map(|spec| format!("{} does not have all of it", spec.name)));
        for source in &self.plan.sources {
            let Some(path) = path_of(source) else {
                rule.missing.push(format!(
                    "not known where what {} prints comes from: taken to be none of the destinations",
                    source.name
                ));
                continue;
            };
            if let Err(error) = std::fs::metadata(path) {
                rule.kept = false;
                rule.missing
                    .push(format!("the original of {} is no copy: {path}: {error}", source.name));
            }
        }
        rule
    }

    /// The file systems that sources are on.
    fn originals(&self) -> BTreeSet<String> {
        let paths = self.plan.sources.iter().filter_map(path_of);
        let facts = paths.filter_map(|path| std::fs::metadata(path).ok());
        facts.map(|facts| format!("file system {}", facts.dev())).collect()
    }
}

/// Where the original of a source is, as far as that is known.
fn path_of(source: &Source) -> Option<&str> {
    match &source.from {
        Origin::Files(files) => Some(&files.path),
        Origin::Sqlite(sqlite) => Some(&sqlite.file),
        Origin::Command(_) => None,
    }
}
