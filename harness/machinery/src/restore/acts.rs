//! The steps of a restore, and what takes each back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::backup::{Archive, RestoreControl, RestorePoint, Restored, Volume};
use drdrill_core::environment::Role;
use drdrill_core::inventory::SiteName;
use drdrill_core::scenario::RestorePlan;
use tokio::time::sleep;

use super::walk::{Terms, megabytes, walk};
use crate::plan::{OwnAct, Powers, next_epoch};

/// Time between two looks at whether the backups have the last change.
const POLL: Duration = Duration::from_millis(50);

/// One restore: what its steps hand to each other.
#[derive(Debug)]
pub(super) struct Session {
    control: Arc<dyn RestoreControl>,
    max_age: Duration,
    /// Whether nothing is there that could serve again as before.
    from_nothing: bool,
    /// Whose backups.
    of: SiteName,
    /// The other site, whose epoch counts too.
    other: SiteName,
    found: Mutex<Found>,
}

#[derive(Clone, Debug, Default)]
struct Found {
    /// The restore point that is clean.
    point: Option<RestorePoint>,
    /// Where it is restored.
    target: Option<Volume>,
    /// What served before.
    before: Option<Volume>,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(super) enum Doing {
    Isolate,
    TakeTheRest,
    HoldBackups,
    Verify,
    Provision,
    MakeTarget,
    Restore,
    Check,
    MakeCredentials,
    Serve,
    RenewCredentials,
    Open,
    LogClientsIn,
    /// Start from it, in no role yet.
    Attach,
    ResumeBackups,
    Rebuild {
        source: SiteName,
    },
}

/// A step of a restore.
#[derive(Debug)]
pub(super) struct RestoreAct {
    session: Arc<Session>,
    doing: Doing,
}

impl Session {
    pub(super) fn new(
        control: Arc<dyn RestoreControl>,
        plan: RestorePlan,
        of: &str,
        other: &str,
    ) -> Self {
        let RestorePlan { max_age, from_nothing, .. } = plan;
        let (max_age, of, other) = (max_age.0, of.to_owned(), other.to_owned());
        Self { control, max_age, from_nothing, of, other, found: Mutex::default() }
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an earlier step has found.
    fn of<T>(&self, site: &str, what: impl FnOnce(&Found) -> Option<T>) -> Result<T, ActionError> {
        let missing = || ActionError::new("restore", site, "an earlier step has not found it");
        what(&self.found()).ok_or_else(missing)
    }
}

/// Runs what may block off the runtime.
async fn blocking<T: Send + 'static>(
    (doing, site): (&'static str, &str),
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, ActionError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| ActionError::new(doing, site, error))?;
    done.map_err(|error| ActionError::new(doing, site, error))
}

impl RestoreAct {
    pub(super) fn new(session: &Arc<Session>, doing: Doing) -> Self {
        Self { session: session.clone(), doing }
    }

    fn archive(&self) -> Result<Arc<dyn Archive>, ActionError> {
        self.session.control.archive(&self.session.of)
    }

    /// Waits until the backups hold all that the site ever acknowledged: it is fenced, so that nothing more comes.
    async fn take_the_rest(&self, site: &str, powers: &Powers) -> Result<String, ActionError> {
        let status = powers.sites.status(site).await;
        self.session.control.hand_over_log(site).await?;
        // One that had to be ended to fence it answers again when its log is handed over.
        let last = match status {
            Ok(status) => status.position,
            Err(_) => powers.sites.status(site).await?.position,
        };
        loop {
            let archive = self.archive()?;
            let doing = ("look at the backups", site);
            let saved = blocking(doing, move || archive.newest_position()).await?;
            if saved >= last {
                return Ok(format!("the backups have change {last}, the last one"));
            }
            sleep(POLL).await;
        }
    }

    async fn verify(&self, site: &str) -> Result<String, ActionError> {
        let (archive, scratch) = (self.archive()?, self.session.control.scratch(site));
        let max_age = self.session.max_age;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let doing = "verify the backups";
        let walked = blocking((doing, site), move || {
            walk(&*archive, Terms { now_ms, max_age, scratch: &scratch })
        });
        let walked = walked.await?;
        let words = walked.words();
        let Some(clean) = walked.clean else { return Err(ActionError::new(doing, site, words)) };
        self.session.found().point = Some(clean.point);
        Ok(words)
    }

    async fn make_target(&self, site: &str) -> Result<String, ActionError> {
        let control = &self.session.control;
        let target = control.make_volume(site).await?;
        let there = control.look_into(&target)?;
        if !there.is_empty() {
            let reason = format!("it is not empty: {}", there.join(", "));
            return Err(ActionError::new("restore into", &target.name, reason));
        }
        let words = format!("{} is there, and nothing is in it", target.name);
        self.session.found().target = Some(target);
        Ok(words)
    }

    async fn restore(&self, site: &str) -> Result<String, ActionError> {
        let archive = self.archive()?;
        let point = self.session.of(site, |found| found.point.clone())?;
        let target = self.session.of(site, |found| found.target.clone())?;
        let (name, into) = (point.name.clone(), target.name.clone());
        let restored =
            blocking(("restore", site), move || archive.restore(&point, &target.data)).await?;
        Ok(in_words(&name, &into, &restored))
    }

    async fn check(&self, site: &str) -> Result<String, ActionError> {
        let archive = self.archive()?;
        let target = self.session.of(site, |found| found.target.clone())?;
        let doing = ("check what was restored", site);
        let rows = blocking(doing, move || archive.consistent(&target.data)).await?;
        Ok(format!("{rows} rows, all of them hold together"))
    }

    /// Serves from the restored volume, as the primary of a newer epoch than anybody knows.
    async fn serve(&self, site: &str, powers: &Powers) -> Result<String, ActionError> {
        let control = &self.session.control;
        let target = self.session.of(site, |found| found.target.clone())?;
        let before = control.attached(site).await?;
        self.session.found().before = Some(before.clone());
        let known = next_epoch([site, &self.session.other], powers).await;
        control.attach(site, &target).await?;
        let epoch = known.max(next_epoch([site, &self.session.other], powers).await);
        powers.sites.promote(site, epoch).await?;
        let (now, was) = (&target.name, &before.name);
        let kept = if self.session.from_nothing { "gone" } else { "detached and kept" };
        Ok(format!("serves from {now} as primary of epoch {epoch}; {was} is {kept}"))
    }

    /// Runs on the restored volume, where nothing ran.
    async fn attach(&self, site: &str) -> Result<String, ActionError> {
        let target = self.session.of(site, |found| found.target.clone())?;
        self.session.control.attach(site, &target).await?;
        Ok(format!("runs on {}", target.name))
    }

    /// Serves from the volume before, in the role it had.
    async fn serve_as_before(&self, site: &str, powers: &Powers) -> Result<String, ActionError> {
        let Some(before) = self.session.found().before.clone() else {
            return Ok("nothing to take back".to_owned());
        };
        if self.session.from_nothing {
            return Ok(format!("{} is gone: what serves goes with the site", before.name));
        }
        let others = [site, &*self.session.other];
        let known = next_epoch(others, powers).await;
        // What starts now is what was there before, with what it had.
        self.session.control.keep_credentials().await?;
        self.session.control.attach(site, &before).await?;
        if powers.sites.status(site).await?.role == Role::Primary {
            let epoch = known.max(next_epoch(others, powers).await);
            powers.sites.promote(site, epoch).await?;
        }
        Ok(format!("serves from {} again", before.name))
    }
}

fn in_words(point: &str, target: &str, restored: &Restored) -> String {
    let Restored { bytes, replayed, position, stopped, took, .. } = restored;
    // Of a restore that took no time that was seen, no rate is known.
    let seconds = took.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
    let rate = (seconds > 0.0).then(|| format!(" ({:.1} MB/s)", *bytes as f64 / 1e6 / seconds));
    let rate = rate.unwrap_or_default();
    let stopped =
        stopped.as_ref().map_or_else(String::new, |why| format!("; no further, as {why}"));
    format!(
        "{point} into {target}: {} and {replayed} changes of the logs in {seconds:.3} s{rate}, up to change \
         {position}{stopped}",
        megabytes(*bytes)
    )
}

#[async_trait]
impl OwnAct for RestoreAct {
    fn word(&self) -> &'static str {
        match self.doing {
            Doing::Isolate => "isolate",
            Doing::MakeCredentials => "make_credentials",
            Doing::RenewCredentials => "renew_credentials",
            Doing::Open => "open",
            Doing::Provision => "provision",
            Doing::LogClientsIn => "log_in",
            Doing::TakeTheRest => "back_up_log",
            Doing::HoldBackups => "hold_backups",
            Doing::Verify => "verify_backups",
            Doing::MakeTarget => "make_volume",
            Doing::Restore => "restore",
            Doing::Check => "check_consistency",
            Doing::Serve | Doing::Attach => "attach",
            Doing::ResumeBackups => "resume_backups",
            Doing::Rebuild { .. } => "rebuild",
        }
    }

    async fn carry_out(&self, site: &str, powers: &Powers) -> Result<String, ActionError> {
        let control = &self.session.control;
        match &self.doing {
            Doing::Isolate => control.isolate(site).await,
            Doing::MakeCredentials => {
                let made = control.make_credentials().await;
                made.map(|()| "whatever starts from now on has them".to_owned())
            }
            Doing::Provision => control.provision(site).await,
            Doing::RenewCredentials => control.renew_credentials(site).await,
            Doing::Open => control.open(site).await.map(|()| "clients reach it again".to_owned()),
            Doing::LogClientsIn => {
                control.log_clients_in().await.map(|()| "with their new password".to_owned())
            }
            Doing::TakeTheRest => self.take_the_rest(site, powers).await,
            Doing::HoldBackups => {
                control.hold_backups(site).await.map(|()| "none is taken or pruned".to_owned())
            }
            Doing::Verify => self.verify(site).await,
            Doing::MakeTarget => self.make_target(site).await,
            Doing::Restore => self.restore(site).await,
            Doing::Check => self.check(site).await,
            Doing::Serve => self.serve(site, powers).await,
            Doing::Attach => self.attach(site).await,
            Doing::ResumeBackups => {
                control.resume_backups(site).await.map(|()| "taken again".to_owned())
            }
            Doing::Rebuild { source } => {
                let rebuilt = control.rebuild(site, source).await;
                rebuilt.map(|()| format!("follows {source} from an empty volume"))
            }
        }
    }

    async fn take_back(&self, site: &str, powers: &Powers) -> Result<String, ActionError> {
        let control = &self.session.control;
        match &self.doing {
            Doing::Isolate => {
                control.open(site).await.map(|()| "clients reach it again".to_owned())
            }
            Doing::Provision => {
                let given = control.give_back(site).await;
                given.map(|()| "nothing of it is there, as before".to_owned())
            }
            // Nobody is to write to what is about to be detached.
            Doing::Open => control.isolate(site).await,
            Doing::MakeCredentials | Doing::LogClientsIn => {
                let kept = control.keep_credentials().await;
                kept.map(|()| "the old credentials are good again".to_owned())
            }
            Doing::HoldBackups => {
                let resumed = control.resume_backups(site).await;
                resumed.map(|()| "taken again".to_owned())
            }
            Doing::Serve => self.serve_as_before(site, powers).await,
            Doing::Attach => {
                powers.sites.stand_down(site).await.map(|()| "nothing runs there".to_owned())
            }
            _ => Ok("nothing to take back".to_owned()),
        }
    }
}
