//! The failover and the failback that drdrill brings along (requirements C2 to C5, C10).

use std::collections::BTreeMap;
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
use crate::plan::{self, Act, OnFailure, Powers, Step};
use crate::state::State;
use crate::verify::verify;

/// A site is close enough to begin with, in changes, when it is so far behind one that still takes writes.
const CLOSE_ENOUGH: u64 = 200;

/// Built-in machinery for a primary site and its DR site.
#[derive(Debug)]
pub struct BuiltIn {
    /// The site that serves normally.
    primary: SiteName,
    /// The site that takes over.
    standby: SiteName,
    powers: Powers,
    functions: Arc<dyn Functions>,
    settings: Machinery,
    state: State,
    serving: Mutex<SiteName>,
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
        Self { primary, standby, powers, functions, settings, state: State::healthy(), serving }
    }

    fn all_to(&self, site: &str) -> BTreeMap<SiteName, u32> {
        self.shares(site, Share::percent(100))
    }

    /// This share of the traffic to a site, and the rest to the other.
    fn shares(&self, site: &str, share: Share) -> BTreeMap<SiteName, u32> {
        let share = percent(share);
        [&self.primary, &self.standby]
            .into_iter()
            .map(|one| (one.clone(), if one == site { share } else { 100 - share }))
            .collect()
    }

    fn now_serves(&self, site: &str) {
        site.clone_into(&mut self.serving.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The failover plan (requirement C2), rolled back in reverse order when a step fails.
    #[must_use]
    pub fn failover_plan(&self) -> Vec<Step> {
        let (from, to) = (&self.primary, &self.standby);
        let step = |name: &str, site: &SiteName, act| step(name, site, act, OnFailure::RollBack);
        let every = self.settings.monitor.interval.0;
        let redirected = self.shares(to, self.settings.redirect);
        let shares = Act::Share { shares: redirected, before: self.all_to(from) };
        let fence = step("fence the lost site", from, Act::FenceAndDrain { into: to.clone() });
        let mut steps = match self.settings.fence {
            // A site that is lost cannot be told; the higher epoch keeps it from deciding anything when it returns.
            Fence::IfReached => vec![Step { on_failure: OnFailure::Skip, ..fence }],
            // First of all, so that a plan that may not go on has touched nothing.
            Fence::Required => vec![step("reach the lost site", from, Act::Reach), fence],
        };
        steps.extend([
            step("activate the DR site", to, Act::Activate),
            step("promote the DR site", to, Act::Promote { instead_of: from.clone() }),
            step("redirect the traffic", to, shares),
            step("see that it serves", to, Act::Hold { time: Duration::ZERO, every }),
        ]);
        steps
    }

    /// The failback plan (requirement C5). The traffic moves first, while the DR site still decides about writes;
    /// the decision moves last, fenced, so that going back at any time before loses nothing.
    #[must_use]
    pub fn failback_plan(&self, plan: &Failback) -> Vec<Step> {
        let (home, away) = (&self.primary, &self.standby);
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
            let shares = self.shares(home, *share);
            let act = Act::Share { shares: shares.clone(), before };
            steps.push(step(format!("shift {share} of the traffic"), home, act));
            let act = Act::Hold { time: plan.hold.0, every };
            steps.push(step(format!("hold {share}"), home, act));
            before = shares;
        }
        steps.extend([
            step("fence the DR site".into(), away, Act::Fence),
            step(
                "wait for the last change".into(),
                home,
                Act::CatchUp { source: away.clone(), within: 0 },
            ),
            step(
                "promote the original site".into(),
                home,
                Act::Promote { instead_of: away.clone() },
            ),
        ]);
        // From here on the original site takes writes: going back would lose them, so nothing below is rolled back.
        let after = |name: &str, site: &SiteName, act| Step {
            on_failure: OnFailure::GoOn,
            ..step(name.to_owned(), site, act)
        };
        steps.extend([
            after("see that it serves", home, Act::Hold { time: Duration::ZERO, every }),
            after("DR site follows again", away, Act::Follow { source: home.clone() }),
        ]);
        steps
    }

    async fn carry_out(&self, steps: &[Step], journal: &dyn Journal) -> Result<(), ActionError> {
        plan::carry_out(steps, &self.powers, self.settings.step_timeout.0, journal).await
    }
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
        let journal = &*journal;
        let (health, settings) = (&self.powers.health, &self.settings.monitor);
        let reason = monitor::watch(&self.primary, health, settings, &self.state, journal).await;
        self.state.change(SystemState::FailingOver, &reason, journal);
        if let Err(error) = self.carry_out(&self.failover_plan(), journal).await {
            self.state.change(SystemState::Degraded, &error.to_string(), journal);
            return Err(error);
        }
        self.now_serves(&self.standby);
        journal.record(Event::Milestone { milestone: Milestone::FailedOver, at: journal.now() });
        self.state.change(SystemState::FailedOver, "the failover plan was carried out", journal);
        Ok(())
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
        let journal = &*journal;
        if self.serving_site() != self.standby {
            let reason = "the original site serves already: there is nothing to fail back";
            return Err(ActionError::new("fail back", &self.primary, reason));
        }
        let milestone = Milestone::FailbackStarted;
        journal.record(Event::Milestone { milestone, at: journal.now() });
        self.state.change(SystemState::FailingBack, "failback began", journal);
        if let Err(error) = self.carry_out(&self.failback_plan(plan), journal).await {
            self.state.change(SystemState::FailedOver, &error.to_string(), journal);
            return Err(error);
        }
        self.now_serves(&self.primary);
        self.state.change(SystemState::Healthy, "failback is done", journal);
        Ok(())
    }

    async fn rejoin(&self, journal: Arc<dyn Journal>) -> Result<(), ActionError> {
        let (decides, follows) = (&self.primary, &self.standby);
        if self.serving_site() != *decides {
            let reason = "it was failed over to: it follows nobody";
            return Err(ActionError::new("wait for", follows, reason));
        }
        let caught_up = Act::CatchUp { source: decides.clone(), within: 0 };
        let name = "the standby has everything again";
        // Nothing comes after it: a failure stays one.
        let steps = [step(name, follows, caught_up, OnFailure::GoOn)];
        self.carry_out(&steps, &*journal).await
    }

    fn serving_site(&self) -> String {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests;
