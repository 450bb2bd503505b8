//! The failover and the failback that drdrill brings along (requirements C2 to C5, C10).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::environment::Functions;
use drdrill_core::event::{Event, Journal, Milestone, SystemState, When};
use drdrill_core::inventory::{Fence, Machinery, SiteName};
use drdrill_core::parts::Recovery;
use drdrill_core::scenario::Failback;
use drdrill_core::units::Share;

use crate::monitor;
use crate::plan::{self, Act, CLOSE_ENOUGH, OnFailure, Powers, Step};
use crate::standing::Standing;
use crate::state::State;
use crate::verify::verify;

/// What was lost.
struct Lost {
    /// Only the standby that acknowledgements wait for.
    alone: bool,
    /// Who takes over otherwise.
    to: SiteName,
}

/// A failover that the health monitor has decided.
#[derive(Debug)]
pub struct Decided {
    /// The site that was lost.
    from: SiteName,
    reason: String,
}

/// A failover for somebody else to carry out.
pub(crate) struct Piecemeal {
    lost: Lost,
    /// Its steps, in order.
    pub(crate) steps: Vec<Step>,
}

/// Built-in machinery for a primary site and its DR site.
#[derive(Debug)]
pub struct BuiltIn {
    /// The site that serves normally.
    primary: SiteName,
    /// Those that take over, the first that can.
    standbys: Vec<SiteName>,
    standing: Standing,
    powers: Powers,
    functions: Arc<dyn Functions>,
    settings: Machinery,
    state: State,
    serving: Mutex<SiteName>,
    /// Whether the primary goes on without the standby that it waited for.
    alone: AtomicBool,
    /// Whether a plan was carried out.
    failed_over: AtomicBool,
}

impl BuiltIn {
    /// Machinery that protects `primary` by `standby`.
    #[must_use]
    pub fn new(
        primary: SiteName,
        standby: SiteName,
        powers: Powers,
        functions: Arc<dyn Functions>,
        settings: Machinery,
    ) -> Self {
        let serving = Mutex::new(primary.clone());
        Self {
            primary,
            standbys: vec![standby],
            standing: Standing::default(),
            powers,
            functions,
            settings,
            state: State::healthy(),
            serving,
            alone: AtomicBool::new(false),
            failed_over: AtomicBool::new(false),
        }
    }

    /// The same with others behind the first standby, and all of them standing by as given.
    #[must_use]
    pub fn standing(mut self, others: &[SiteName], standing: Standing) -> Self {
        self.standbys.extend_from_slice(others);
        self.standing = standing;
        self
    }

    /// How those that take over stand by.
    pub(crate) const fn stands_by(&self) -> &Standing {
        &self.standing
    }

    /// The one that takes over first.
    fn heir(&self) -> &SiteName {
        // There is one from the beginning.
        self.standbys.first().unwrap_or(&self.primary)
    }

    fn all_to(&self, site: &str) -> BTreeMap<SiteName, u32> {
        self.shares(site, Share::percent(100), site)
    }

    /// This share of the traffic to a site, and the rest to another.
    fn shares(&self, site: &str, share: Share, rest: &str) -> BTreeMap<SiteName, u32> {
        let share = percent(share);
        let of = |one: &str| match one {
            one if one == site => share,
            one if one == rest => 100 - share,
            _ => 0,
        };
        [&self.primary]
            .into_iter()
            .chain(&self.standbys)
            .map(|one| (one.clone(), of(one)))
            .collect()
    }

    /// What plans call a site: by its name where several may take over.
    fn called<'a>(&self, site: &'a SiteName) -> &'a str {
        if self.standbys.len() > 1 || self.standing.both_decide { site } else { "the DR site" }
    }

    /// All but these two.
    fn others<'a>(&'a self, home: &'a str, away: &'a str) -> impl Iterator<Item = &'a SiteName> {
        let all = [&self.primary].into_iter().chain(&self.standbys);
        all.filter(move |one| *one != home && *one != away)
    }

    /// What was lost, once it is decided that something was.
    async fn lost(&self) -> Lost {
        let first = self.heir().clone();
        // One that runs nothing before it takes over answers nobody.
        if self.standing.from_backups.is_some() {
            return Lost { alone: false, to: first };
        }
        let mut answering = None;
        for one in &self.standbys {
            if self.powers.sites.status(one).await.is_ok() {
                answering = Some(one.clone());
                break;
            }
        }
        // Whoever is behind the one that is waited for may lack what was acknowledged.
        let alone = self.standing.synchronous
            && answering.as_ref() != Some(&first)
            && self.powers.sites.status(&self.primary).await.is_ok_and(|one| !one.fenced);
        Lost { alone, to: answering.unwrap_or(first) }
    }

    fn now_serves(&self, site: &str) {
        site.clone_into(&mut self.serving.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The failover plan (requirement C2), rolled back in reverse order when a step fails.
    #[must_use]
    pub fn failover_plan(&self, from: &SiteName, to: &SiteName) -> Vec<Step> {
        let step = |name: &str, site: &SiteName, act| step(name, site, act, OnFailure::RollBack);
        let every = self.settings.monitor.interval.0;
        let redirected = self.shares(to, self.settings.redirect, from);
        let both = self.standing.both_decide;
        let before =
            if both { self.shares(from, Share::percent(50), to) } else { self.all_to(from) };
        let shares = Act::Share { shares: redirected, before };
        // One that has all that is acknowledged lacks nothing, and one that does not run can be given nothing.
        let waits = self.standing.synchronous && !self.alone.load(Ordering::Relaxed);
        let has_all = waits && to == self.heir();
        let fence = if has_all || self.standing.from_backups.is_some() {
            Act::Fence
        } else {
            Act::FenceAndDrain { into: to.clone() }
        };
        let fence = step("fence the lost site", from, fence);
        let mut steps = match self.settings.fence {
            // A site that is lost cannot be told; the higher epoch keeps it from deciding anything when it returns.
            Fence::IfReached => vec![skipped(fence)],
            // First of all, so that a plan that may not go on has touched nothing.
            Fence::Required => vec![step("reach the lost site", from, Act::Reach), fence],
        };
        // Two that took writes cannot both be asked to go on with them: what was decided stays.
        let last = if both { OnFailure::GoOn } else { OnFailure::RollBack };
        let serves = Act::Hold { time: Duration::ZERO, every };
        let called = self.called(to);
        let instead_of = from.clone();
        let waited_for = if waits { vec![self.heir().clone()] } else { Vec::new() };
        let promote = if both {
            Act::DecideAlone { instead_of }
        } else {
            Act::Promote { instead_of, waited_for }
        };
        steps.extend(self.standing.activate(from, to));
        steps.extend([
            step(&format!("activate {called}"), to, Act::Activate),
            step(&format!("promote {called}"), to, promote),
            Step { on_failure: last, ..step("redirect the traffic", to, shares) },
            Step { on_failure: last, ..step("see that it serves", to, serves) },
        ]);
        // One that is lost too cannot be told.
        let follow = |other: &SiteName| {
            let name = format!("{other} follows it");
            skipped(step(&name, other, Act::Follow { source: to.clone() }))
        };
        steps.extend(self.others(from, to).map(follow));
        steps
    }

    /// What is done when the lost one is the standby that acknowledgements wait for: the primary goes on without. It says so,
    /// and nobody is promoted before the standby has everything again.
    #[must_use]
    pub fn alone_plan(&self) -> Vec<Step> {
        let here = &self.primary;
        let alone = Act::WaitFor { standbys: Vec::new(), before: vec![self.heir().clone()] };
        vec![
            step("go on without the lost standby", here, alone, OnFailure::RollBack),
            step("see that it serves", here, Act::Activate, OnFailure::RollBack),
        ]
    }

    /// The way back from [`BuiltIn::alone_plan`].
    #[must_use]
    pub fn together_plan(&self) -> Vec<Step> {
        let (home, back) = (&self.primary, self.heir());
        let mut steps = vec![
            step("the standby is healthy", back, Act::Activate, OnFailure::RollBack),
            step(
                "resync the standby",
                back,
                Act::Follow { source: home.clone() },
                OnFailure::RollBack,
            ),
        ];
        steps.extend(self.standing.together(home, back));
        steps
    }

    /// The failback plan (requirement C5). The traffic moves first, while the DR site still decides about writes;
    /// the decision moves last, fenced, so that going back at any time before loses nothing.
    #[must_use]
    pub fn failback_plan(&self, plan: &Failback, away: &SiteName) -> Vec<Step> {
        let home = &self.primary;
        let step = |name: String, site: &SiteName, act| step(&name, site, act, OnFailure::RollBack);
        let every = self.settings.monitor.interval.0;
        let mut steps = vec![
            step("original site is healthy".into(), home, Act::Activate),
            step("resync the original site".into(), home, Act::Follow { source: away.clone() }),
            step(
                "wait for the resync".into(),
                home,
                Act::CatchUp { source: away.clone(), within: CLOSE_ENOUGH },
            ),
        ];
        let mut before = self.all_to(away);
        for share in &plan.shift {
            let shares = self.shares(home, *share, away);
            let act = Act::Share { shares: shares.clone(), before };
            steps.push(step(format!("shift {share} of the traffic"), home, act));
            let act = Act::Hold { time: plan.hold.0, every };
            steps.push(step(format!("hold {share}"), home, act));
            before = shares;
        }
        steps.extend([
            step(format!("fence {}", self.called(away)), away, Act::Fence),
            step(
                "wait for the last change".into(),
                home,
                Act::CatchUp { source: away.clone(), within: 0 },
            ),
            step(
                "promote the original site".into(),
                home,
                Act::Promote { instead_of: away.clone(), waited_for: Vec::new() },
            ),
        ]);
        // From here on the original site takes writes: going back would lose them, so nothing below is rolled back.
        let after = |name: &str, site: &SiteName, act| Step {
            on_failure: OnFailure::GoOn,
            ..step(name.to_owned(), site, act)
        };
        steps.push(after("see that it serves", home, Act::Hold { time: Duration::ZERO, every }));
        steps.extend(self.standing.stand_by_again(home, away, self.called(away)));
        let follow = |other: &SiteName| {
            let name = format!("{other} follows it");
            after(&name, other, Act::Follow { source: home.clone() })
        };
        steps.extend(self.others(home, away).map(follow));
        steps.extend(self.standing.together(home, self.heir()));
        steps
    }

    /// The way back to two sites that both take writes: the one that was lost follows, takes its half, and then decides too.
    #[must_use]
    pub fn both_again_plan(&self, plan: &Failback, serves: &SiteName) -> Vec<Step> {
        let back = if *serves == self.primary { self.heir() } else { &self.primary };
        let step = |name: &str, site: &SiteName, act| step(name, site, act, OnFailure::RollBack);
        let every = self.settings.monitor.interval.0;
        let caught_up = |within| Act::CatchUp { source: serves.clone(), within };
        let mut steps = vec![
            step("the site that was lost is healthy", back, Act::Activate),
            step("resync it", back, Act::Follow { source: serves.clone() }),
            step("wait for the resync", back, caught_up(CLOSE_ENOUGH)),
        ];
        let half = Share::percent(50);
        let mut before = self.all_to(serves);
        for share in plan.shift.iter().copied().filter(|share| *share < half).chain([half]) {
            let shares = self.shares(back, share, serves);
            let act = Act::Share { shares: shares.clone(), before };
            steps.push(step(&format!("shift {share} of the traffic"), back, act));
            let hold = Act::Hold { time: plan.hold.0, every };
            steps.push(step(&format!("hold {share}"), back, hold));
            before = shares;
        }
        steps.extend([
            step(&format!("fence {serves}"), serves, Act::Fence),
            step("wait for the last change", back, caught_up(0)),
            step("both take writes", serves, Act::Pair { with: back.clone() }),
        ]);
        let serving = Act::Hold { time: Duration::ZERO, every };
        let seen = |site: &SiteName| Step {
            on_failure: OnFailure::GoOn,
            ..step("see that it serves", site, serving.clone())
        };
        steps.extend([seen(serves), seen(back)]);
        steps
    }

    /// Fails over now, because somebody wants it.
    ///
    /// # Errors
    /// As [`BuiltIn::failover_steps`], and when the plan was rolled back.
    pub async fn fail_over(&self, reason: &str, journal: &dyn Journal) -> Result<(), ActionError> {
        let (to, plan) = self.asked_for().await?;
        journal.record(Event::Milestone { milestone: Milestone::Decided, at: journal.now() });
        self.go_over(Lost { alone: false, to }, &plan, reason, journal).await
    }

    /// The steps of [`BuiltIn::fail_over`], as they would be now.
    ///
    /// # Errors
    /// When another site serves already, or the one that would take over lacks what was acknowledged meanwhile.
    pub async fn failover_steps(&self) -> Result<Vec<Step>, ActionError> {
        Ok(self.asked_for().await?.1)
    }

    /// Who takes over when somebody wants it, and how. From a primary site that answers nothing is lost: whoever takes over
    /// runs and has everything before it is promoted, or all is taken back.
    async fn asked_for(&self) -> Result<(SiteName, Vec<Step>), ActionError> {
        let from = &self.primary;
        let refused = |reason: String| ActionError::new("fail over", from, reason);
        let serving = self.serving_site();
        if serving != *from {
            return Err(refused(format!(
                "{serving} serves already: there is nothing to fail over"
            )));
        }
        if self.failed_over.load(Ordering::Relaxed) {
            let reason = "it went on alone, so nobody else has everything: fail back first";
            return Err(refused(reason.to_owned()));
        }
        let to = self.lost().await.to;
        let mut steps = self.failover_plan(from, &to);
        if self.powers.sites.status(from).await.is_err() {
            return Ok((to, steps));
        }
        for step in steps.iter_mut().filter(|step| step.site == *from) {
            // One that lives can be told.
            step.on_failure = OnFailure::RollBack;
        }
        // What is built from backups gets the last change from them.
        if self.standing.from_backups.is_none() {
            steps.retain(|step| step.site != to || step.act != Act::Activate);
            let runs = format!("activate {}", self.called(&to));
            steps.insert(0, step(&runs, &to, Act::Activate, OnFailure::RollBack));
            let fences = |step: &Step| matches!(step.act, Act::Fence | Act::FenceAndDrain { .. });
            if let Some(fence) = steps.iter().position(fences) {
                steps[fence].act = Act::Fence;
                let act = Act::CatchUp { source: from.clone(), within: 0 };
                let last = step("wait for the last change", &to, act, OnFailure::RollBack);
                steps.insert(fence + 1, last);
            }
        }
        Ok((to, steps))
    }

    /// Whether the original site serves as it should, so that it can be watched.
    #[must_use]
    pub fn is_home(&self) -> bool {
        self.serving_site() == self.primary && !self.failed_over.load(Ordering::Relaxed)
    }

    /// The steps of a failback, as they would be now.
    ///
    /// # Errors
    /// When the original site serves already.
    pub fn failback_steps(&self, plan: &Failback) -> Result<Vec<Step>, ActionError> {
        let away = self.serving_site();
        let alone = self.alone.load(Ordering::Relaxed);
        let half = self.standing.both_decide && self.failed_over.load(Ordering::Relaxed);
        if away == self.primary && !alone && !half {
            let reason = "the original site serves already: there is nothing to fail back";
            return Err(ActionError::new("fail back", &self.primary, reason));
        }
        Ok(if half {
            self.both_again_plan(plan, &away)
        } else if alone {
            self.together_plan()
        } else {
            self.failback_plan(plan, &away)
        })
    }

    /// Watches the system until a failover is decided. Nothing is changed, so that it may be dropped at any time.
    pub async fn watch(&self, journal: &dyn Journal) -> Decided {
        let (health, settings) = (&self.powers.health, &self.settings.monitor);
        let (home, heir) = (&self.primary, self.heir());
        let (from, reason) = if self.standing.both_decide {
            let other = State::healthy();
            tokio::select! {
                reason = monitor::watch(home, health, settings, &self.state, journal) => (home, reason),
                reason = monitor::watch(heir, health, settings, &other, journal) => (heir, reason),
            }
        } else {
            (home, monitor::watch(home, health, settings, &self.state, journal).await)
        };
        Decided { from: from.clone(), reason }
    }

    /// Does what the health monitor has decided.
    ///
    /// # Errors
    /// When the plan was rolled back.
    pub async fn fail_over_from(
        &self,
        Decided { from, reason }: Decided,
        journal: &dyn Journal,
    ) -> Result<(), ActionError> {
        journal.record(Event::Milestone { milestone: Milestone::Decided, at: journal.now() });
        let (lost, plan) = self.plan_from(&from).await;
        self.go_over(lost, &plan, &reason, journal).await
    }

    /// Who takes over from a site that was lost, and how, as things are now.
    async fn plan_from(&self, from: &SiteName) -> (Lost, Vec<Step>) {
        let lost = if from == self.heir() {
            Lost { alone: false, to: self.primary.clone() }
        } else {
            self.lost().await
        };
        let plan = if lost.alone { self.alone_plan() } else { self.failover_plan(from, &lost.to) };
        (lost, plan)
    }

    /// As [`BuiltIn::fail_over_from`], but step by step: what would be done, for somebody else to carry it out.
    pub(crate) async fn piecemeal(&self, decided: &Decided) -> Piecemeal {
        let (lost, steps) = self.plan_from(&decided.from).await;
        Piecemeal { lost, steps }
    }

    /// A failover begins.
    pub(crate) fn begins(&self, decided: &Decided, journal: &dyn Journal) {
        self.state.change(SystemState::FailingOver, &decided.reason, journal);
    }

    /// A failover came to nothing.
    pub(crate) fn came_to_nothing(&self, error: &ActionError, journal: &dyn Journal) {
        if self.stays_decided() && self.failed_over.load(Ordering::Relaxed) {
            return;
        }
        self.failed_over.store(false, Ordering::Relaxed);
        self.alone.store(false, Ordering::Relaxed);
        self.now_serves(&self.primary);
        self.state.change(SystemState::Degraded, &error.to_string(), journal);
    }

    /// Others took over, or the primary goes on alone.
    pub(crate) fn is_over(&self, plan: &Piecemeal) {
        if plan.lost.alone {
            self.alone.store(true, Ordering::Relaxed);
        } else {
            self.now_serves(&plan.lost.to);
        }
        self.failed_over.store(true, Ordering::Relaxed);
    }

    /// It is said that they did.
    pub(crate) fn says_it_is_over(&self, journal: &dyn Journal) {
        journal.record(Event::Milestone { milestone: Milestone::FailedOver, at: journal.now() });
        self.state.change(SystemState::FailedOver, "the failover plan was carried out", journal);
    }

    /// Whether what was decided is not taken back: of two sites that take writes, the one that was lost would have to be
    /// waited for.
    pub(crate) const fn stays_decided(&self) -> bool {
        self.standing.both_decide
    }

    /// What its plans act on.
    pub(crate) const fn powers(&self) -> &Powers {
        &self.powers
    }

    /// Time that a step of its plans has.
    pub(crate) const fn step_timeout(&self) -> Duration {
        self.settings.step_timeout.0
    }

    /// Whether it goes on only where the lost site was fenced.
    pub(crate) fn needs_a_fence(&self) -> bool {
        self.settings.fence == Fence::Required
    }

    /// Brings the original site back as the primary.
    ///
    /// # Errors
    /// When the plan was rolled back, or there is nothing to fail back.
    pub async fn go_back(&self, journal: &dyn Journal, plan: &Failback) -> Result<(), ActionError> {
        let steps = self.failback_steps(plan)?;
        let milestone = Milestone::FailbackStarted;
        journal.record(Event::Milestone { milestone, at: journal.now() });
        self.state.change(SystemState::FailingBack, "failback began", journal);
        if let Err(error) = self.carry_out(&steps, journal).await {
            self.state.change(SystemState::FailedOver, &error.to_string(), journal);
            return Err(error);
        }
        self.now_serves(&self.primary);
        self.alone.store(false, Ordering::Relaxed);
        self.failed_over.store(false, Ordering::Relaxed);
        self.state.change(SystemState::Healthy, "failback is done", journal);
        Ok(())
    }

    async fn go_over(
        &self,
        lost: Lost,
        plan: &[Step],
        reason: &str,
        journal: &dyn Journal,
    ) -> Result<(), ActionError> {
        self.state.change(SystemState::FailingOver, reason, journal);
        if let Err(error) = self.carry_out(plan, journal).await {
            self.state.change(SystemState::Degraded, &error.to_string(), journal);
            return Err(error);
        }
        self.is_over(&Piecemeal { lost, steps: Vec::new() });
        self.says_it_is_over(journal);
        Ok(())
    }

    async fn carry_out(&self, steps: &[Step], journal: &dyn Journal) -> Result<(), ActionError> {
        plan::carry_out(steps, &self.powers, self.settings.step_timeout.0, journal).await
    }
}

/// The same step, but a failure of it is none of the plan.
fn skipped(step: Step) -> Step {
    Step { on_failure: OnFailure::Skip, ..step }
}

/// Whole percent of a share.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share is from 0 to 100 percent"
)]
fn percent(share: Share) -> u32 {
    (share.ratio() * 100.0).round() as u32
}

fn step(name: &str, site: &SiteName, act: Act, on_failure: OnFailure) -> Step {
    Step { name: name.to_owned(), site: site.clone(), act, on_failure }
}

#[async_trait]
impl Recovery for BuiltIn {
    async fn watch_and_fail_over(&self, journal: Arc<dyn Journal>) -> Result<(), ActionError> {
        let decided = self.watch(&*journal).await;
        self.fail_over_from(decided, &*journal).await
    }

    async fn verify(
        &self,
        journal: Arc<dyn Journal>,
        names: &[String],
        when: When,
        give_up: Duration,
    ) {
        let site = || self.serving_site();
        verify(&*self.functions, &*journal, names, when, give_up, site).await;
    }

    async fn fail_back(
        &self,
        journal: Arc<dyn Journal>,
        plan: &Failback,
    ) -> Result<(), ActionError> {
        self.go_back(&*journal, plan).await
    }

    async fn rejoin(&self, journal: Arc<dyn Journal>) -> Result<(), ActionError> {
        let decides = &self.primary;
        let serving = self.serving_site();
        if serving != *decides {
            let reason = "it was failed over to: it follows nobody";
            return Err(ActionError::new("wait for", serving, reason));
        }
        if self.standing.from_backups.is_some() {
            return Ok(());
        }
        let name = "the standby has everything again";
        // Nothing comes after it: a failure stays one.
        let caught_up = |follows: &SiteName| {
            let act = Act::CatchUp { source: decides.clone(), within: 0 };
            step(name, follows, act, OnFailure::GoOn)
        };
        let steps: Vec<Step> = self.standbys.iter().map(caught_up).collect();
        self.carry_out(&steps, &*journal).await
    }

    fn serving_site(&self) -> String {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests;
