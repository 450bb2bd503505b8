//! A plan: steps in order, rolled back in reverse when one fails (requirement C2).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::environment::{HealthSource, Role, SiteControl, TrafficControl};
use drdrill_core::event::{Event, Journal, StepOutcome};
use drdrill_core::inventory::SiteName;
use tokio::time::{Instant, sleep, timeout};

/// A site is close enough to begin with, in changes, when it is so far behind one that still takes writes.
pub(crate) const CLOSE_ENOUGH: u64 = 200;

/// Time between two looks at whether a site caught up.
const POLL: Duration = Duration::from_millis(20);

/// Time a site that was just started may take until it is healthy. A plan's step timeout may be shorter.
const HEALTHY_WITHIN: Duration = Duration::from_secs(5);

/// Time the site that takes over may take to get what the fenced one still has. Clients wait meanwhile.
const DRAINED_WITHIN: Duration = Duration::from_secs(2);

/// What plans act on.
#[derive(Clone, Debug)]
pub struct Powers {
    /// Data of sites.
    pub sites: Arc<dyn SiteControl>,
    /// Clients' traffic.
    pub traffic: Arc<dyn TrafficControl>,
    /// Health of sites.
    pub health: Arc<dyn HealthSource>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its name in records.
    pub name: String,
    /// The site it acts on.
    pub site: SiteName,
    /// What it does.
    pub act: Act,
    /// What becomes of the plan when it fails.
    pub on_failure: OnFailure,
}

/// What becomes of a plan when a step fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnFailure {
    /// Everything done so far is taken back.
    RollBack,
    /// The plan goes on as if nothing had been wanted: a lost site cannot be told anything.
    Skip,
    /// The plan goes on, and the step counts as failed: what comes before it can no longer be taken back.
    GoOn,
}

/// What a step of another part of the machinery does, and what takes it back.
#[async_trait]
pub trait OwnAct: std::fmt::Debug + Send + Sync {
    /// Its name in records.
    fn word(&self) -> &'static str;
    /// Does it, and says what was done.
    async fn carry_out(&self, site: &str, powers: &Powers) -> Result<String, ActionError>;
    /// Takes it back, as far as it was done.
    async fn take_back(&self, site: &str, powers: &Powers) -> Result<String, ActionError>;
}

/// A step of another part of the machinery.
#[derive(Clone, Debug)]
pub struct Own(pub Arc<dyn OwnAct>);

impl PartialEq for Own {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// What a step does; what takes it back stands beside it in [`Act::take_back`].
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// See that the site can be told something.
    Reach,
    /// Make the site refuse writes.
    Fence,
    /// Make the site refuse writes, and let the one that takes over get what it lacks: a site that only part of has failed
    /// acknowledged writes until now.
    FenceAndDrain {
        /// The one that takes over.
        into: SiteName,
    },
    /// Start what of the site does not run, and wait until it is healthy.
    Activate,
    /// Make the site the primary, under a higher epoch than any site that answers.
    Promote {
        /// Whom it follows again if the plan is rolled back.
        instead_of: SiteName,
        /// Whom that one waited for before it acknowledged.
        waited_for: Vec<SiteName>,
    },
    /// Make the site, which takes writes beside another, the only one that does. Where the other one is lost that is not taken
    /// back: it would have to wait for it.
    DecideAlone {
        /// The other.
        instead_of: SiteName,
    },
    /// Make the site, fenced, take writes beside another that has all of its changes.
    Pair {
        /// The other.
        with: SiteName,
    },
    /// Make the site follow another.
    Follow {
        /// The other.
        source: SiteName,
    },
    /// Wait until the site has everything that the other has.
    CatchUp {
        /// The other.
        source: SiteName,
        /// How far it may be behind, in changes. 0 only when the source takes no writes.
        within: u64,
    },
    /// Make the site, a primary, acknowledge only what others have too.
    WaitFor {
        /// The others; nobody when empty. They have all but the last changes first: until they have those too nothing is
        /// acknowledged.
        standbys: Vec<SiteName>,
        /// Those it waited for before.
        before: Vec<SiteName>,
    },
    /// End what of the site does not run while it stands by.
    StandDown,
    /// Give each site its share of the traffic.
    Share {
        /// Percent of the requests, by site.
        shares: BTreeMap<SiteName, u32>,
        /// What they were before.
        before: BTreeMap<SiteName, u32>,
    },
    /// Hold, and see that the site stays healthy.
    Hold {
        /// How long.
        time: Duration,
        /// Time between two looks.
        every: Duration,
    },
    /// Something that only another part of the machinery knows.
    Own(Own),
}

impl Step {
    /// What it does, in a word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.act.word()
    }
}

impl Act {
    /// How long it is meant to last.
    const fn lasts(&self) -> Duration {
        match self {
            Self::Hold { time, .. } => *time,
            _ => Duration::ZERO,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Reach => "reach",
            Self::Fence | Self::FenceAndDrain { .. } => "fence",
            Self::Activate => "activate",
            Self::Promote { .. } | Self::DecideAlone { .. } => "promote",
            Self::Pair { .. } => "pair",
            Self::Follow { .. } => "follow",
            Self::CatchUp { .. } => "catch_up",
            Self::WaitFor { .. } => "wait_for_standbys",
            Self::StandDown => "stand_down",
            Self::Share { .. } => "share_traffic",
            Self::Hold { .. } => "hold",
            Self::Own(own) => own.0.word(),
        }
    }

    async fn carry_out(&self, site: &str, powers: &Powers) -> Result<String, ActionError> {
        let sites = &powers.sites;
        match self {
            Self::Reach => sites.status(site).await.map(|_| "answers".to_owned()),
            Self::Fence => sites.fence(site).await.map(|()| "refuses writes".to_owned()),
            Self::FenceAndDrain { into } => {
                sites.fence(site).await?;
                let drained = timeout(DRAINED_WITHIN, catch_up(into, site, 0, powers)).await;
                // It takes over all the same: what it lacks then is lost either way.
                let seen = match drained {
                    Ok(Ok(seen)) => format!("{into} is {seen}"),
                    Ok(Err(error)) => format!("what {into} lacks is not known: {error}"),
                    Err(_) => format!("{into} did not get everything within {DRAINED_WITHIN:?}"),
                };
                Ok(format!("refuses writes; {seen}"))
            }
            Self::Activate => {
                sites.start(site).await?;
                become_healthy(site, powers).await.map(|()| "healthy".to_owned())
            }
            Self::Promote { instead_of, .. } => {
                let epoch = next_epoch([site, instead_of], powers).await;
                sites.promote(site, epoch).await.map(|()| format!("primary of epoch {epoch}"))
            }
            Self::DecideAlone { instead_of } => {
                let epoch = next_epoch([site, instead_of], powers).await;
                let conflicts = sites.status(site).await?.conflicts;
                sites.promote(site, epoch).await?;
                Ok(format!("decides alone in epoch {epoch}; conflicts until then: {conflicts}"))
            }
            Self::Pair { with } => {
                let epoch = next_epoch([site, with], powers).await;
                sites.pair(site, with, epoch).await?;
                Ok(format!("takes writes beside {with} in epoch {epoch}"))
            }
            Self::Follow { source } => {
                sites.follow(site, source).await.map(|()| format!("follows {source}"))
            }
            Self::CatchUp { source, within } => catch_up(site, source, *within, powers).await,
            Self::WaitFor { standbys, .. } => {
                for standby in standbys {
                    catch_up(standby, site, CLOSE_ENOUGH, powers).await?;
                }
                sites.wait_for(site, standbys).await?;
                Ok(match standbys.as_slice() {
                    [] => "acknowledges on its own".to_owned(),
                    names => format!("acknowledges what {} has too", names.join(" and ")),
                })
            }
            Self::StandDown => sites.stand_down(site).await.map(|()| "stands by".to_owned()),
            Self::Share { shares, .. } => {
                powers.traffic.set_shares(shares).await.map(|()| in_words(shares))
            }
            Self::Hold { time, every } => hold(site, *time, *every, powers).await,
            Self::Own(own) => own.0.carry_out(site, powers).await,
        }
    }

    async fn take_back(&self, site: &str, powers: &Powers) -> Result<String, ActionError> {
        let sites = &powers.sites;
        match self {
            Self::Fence | Self::FenceAndDrain { .. } => {
                sites.unfence(site).await.map(|()| "takes writes again".to_owned())
            }
            Self::Promote { instead_of, waited_for } => {
                give_back(site, instead_of, waited_for, powers).await
            }
            Self::DecideAlone { instead_of } => match sites.status(instead_of).await {
                Ok(_) => give_back(site, instead_of, &[], powers).await,
                Err(_) => Ok(format!("{instead_of} is lost, so it stays as it is")),
            },
            Self::WaitFor { before, .. } => {
                sites.wait_for(site, before).await.map(|()| "waits as before".to_owned())
            }
            Self::Pair { with } => {
                let epoch = next_epoch([site, with], powers).await;
                sites.promote(site, epoch).await?;
                sites.follow(with, site).await.map(|()| format!("decides alone in epoch {epoch}"))
            }
            Self::Share { before, .. } => {
                powers.traffic.set_shares(before).await.map(|()| in_words(before))
            }
            Self::Own(own) => own.0.take_back(site, powers).await,
            Self::Reach
            | Self::Activate
            | Self::Follow { .. }
            | Self::CatchUp { .. }
            | Self::StandDown
            | Self::Hold { .. } => Ok("nothing to take back".to_owned()),
        }
    }
}

/// Carries a plan out. When a step fails that the plan cannot do without, those before it and it itself are taken back
/// in reverse order: a step that failed half-way has to be taken back too.
///
/// # Errors
/// The error of the step that failed; errors of the rollback go to the journal.
pub async fn carry_out(
    steps: &[Step],
    powers: &Powers,
    step_timeout: Duration,
    journal: &dyn Journal,
) -> Result<(), ActionError> {
    match forward(steps, powers, step_timeout, journal).await {
        Ok(_) => Ok(()),
        Err((reached, error)) => {
            roll_back(&steps[..reached], powers, step_timeout, journal).await;
            Err(error)
        }
    }
}

/// Carries a plan out as far as it goes, and takes nothing back. Returns how each step ended.
///
/// # Errors
/// The error of the step that failed, and how many steps were begun: those are to be taken back.
pub(crate) async fn forward(
    steps: &[Step],
    powers: &Powers,
    step_timeout: Duration,
    journal: &dyn Journal,
) -> Result<Vec<StepOutcome>, (usize, ActionError)> {
    let mut outcomes = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let started = journal.now();
        let limit = step_timeout + step.act.lasts();
        let done = timeout(limit, step.act.carry_out(&step.site, powers)).await;
        let done = done.unwrap_or_else(|_| Err(late(step, limit)));
        let outcome = match &done {
            Ok(_) => StepOutcome::Done,
            Err(_) if step.on_failure == OnFailure::Skip => StepOutcome::Skipped,
            Err(_) => StepOutcome::Failed,
        };
        outcomes.push(outcome);
        let detail = done.as_ref().map_or_else(ToString::to_string, Clone::clone);
        journal.record(entry(step, started, journal, outcome, false, detail));
        if let Err(error) = done
            && step.on_failure == OnFailure::RollBack
        {
            return Err((index + 1, error));
        }
    }
    Ok(outcomes)
}

/// Takes steps back, the last first.
pub(crate) async fn roll_back(
    steps: &[Step],
    powers: &Powers,
    step_timeout: Duration,
    journal: &dyn Journal,
) {
    for step in steps.iter().rev() {
        let started = journal.now();
        let done = timeout(step_timeout, step.act.take_back(&step.site, powers)).await;
        let done = done.unwrap_or_else(|_| Err(late(step, step_timeout)));
        let outcome = if done.is_ok() { StepOutcome::Done } else { StepOutcome::Failed };
        let detail = done.unwrap_or_else(|error| error.to_string());
        journal.record(entry(step, started, journal, outcome, true, detail));
    }
}

fn late(step: &Step, after: Duration) -> ActionError {
    ActionError::new(&step.name, &step.site, format!("not done within {after:?}"))
}

fn entry(
    step: &Step,
    started: drdrill_core::time::At,
    journal: &dyn Journal,
    outcome: StepOutcome,
    rollback: bool,
    detail: String,
) -> Event {
    Event::Step {
        name: step.name.clone(),
        action: step.act.word().to_owned(),
        site: step.site.clone(),
        started,
        finished: journal.now(),
        outcome,
        rollback,
        detail,
    }
}

/// An epoch above that of every site that answers. A site that does not answer is the one that was lost; its epoch
/// was known to the one that followed it.
pub(crate) async fn next_epoch(sites: [&str; 2], powers: &Powers) -> u64 {
    let mut highest = 0;
    for site in sites {
        if let Ok(status) = powers.sites.status(site).await {
            highest = highest.max(status.epoch);
        }
    }
    highest + 1
}

/// Makes a site that was promoted follow the one before again. That one decides under an epoch above both from then on: under
/// its old one it would take the site that was promoted for a newer primary, and fence itself.
async fn give_back(
    site: &str,
    to: &str,
    waited_for: &[SiteName],
    powers: &Powers,
) -> Result<String, ActionError> {
    let sites = &powers.sites;
    sites.follow(site, to).await?;
    // One that is lost decides nothing, and cannot be told.
    if !sites.status(to).await.is_ok_and(|status| status.role == Role::Primary) {
        return Ok(format!("follows {to} again"));
    }
    let epoch = next_epoch([site, to], powers).await;
    sites.promote(to, epoch).await?;
    if !waited_for.is_empty() {
        sites.wait_for(to, waited_for).await?;
    }
    Ok(format!("follows {to} again, which is primary of epoch {epoch}"))
}

async fn healthy(site: &str, powers: &Powers) -> Result<(), ActionError> {
    for kind in powers.health.kinds() {
        powers.health.look(site, kind).await.map_err(|detail| {
            ActionError::new(format!("check {}", crate::monitor::word(kind)), site, detail)
        })?;
    }
    Ok(())
}

/// Waits until a site is healthy, so long that a service which just started can be.
async fn become_healthy(site: &str, powers: &Powers) -> Result<(), ActionError> {
    let give_up = Instant::now() + HEALTHY_WITHIN;
    loop {
        match healthy(site, powers).await {
            Err(_) if Instant::now() < give_up => sleep(POLL).await,
            other => return other,
        }
    }
}

/// One that is no farther behind than this has caught up with a source that goes on: the rest comes once that is fenced, and
/// clients wait for it.
const CLOSE_BEHIND: Duration = Duration::from_secs(1);

async fn catch_up(
    site: &str,
    source: &str,
    within: u64,
    powers: &Powers,
) -> Result<String, ActionError> {
    // A source that goes on is always ahead by what is under way: then it counts how long the way to where it was takes.
    let (mut mark, mut since) = (powers.sites.status(source).await?.position, Instant::now());
    loop {
        let goal = powers.sites.status(source).await?.position;
        let status = powers.sites.status(site).await?;
        let position = status.merged.unwrap_or(status.position);
        if status.following && position.saturating_add(within) >= goal {
            return Ok(format!("at change {position} of {goal}"));
        }
        if status.following && within > 0 && position >= mark {
            let took = since.elapsed();
            if took <= CLOSE_BEHIND {
                let took = took.as_millis();
                return Ok(format!("at change {position}, {took} ms behind the source at {goal}"));
            }
            (mark, since) = (goal, Instant::now());
        }
        sleep(POLL).await;
    }
}

async fn hold(
    site: &str,
    time: Duration,
    every: Duration,
    powers: &Powers,
) -> Result<String, ActionError> {
    let end = Instant::now() + time;
    loop {
        healthy(site, powers).await?;
        let now = Instant::now();
        if now >= end {
            return Ok(if time.is_zero() {
                "healthy".to_owned()
            } else {
                format!("healthy for {time:?}")
            });
        }
        sleep(every.min(end - now)).await;
    }
}

fn in_words(shares: &BTreeMap<SiteName, u32>) -> String {
    let parts: Vec<String> =
        shares.iter().map(|(site, share)| format!("{site} {share}%")).collect();
    parts.join(", ")
}
