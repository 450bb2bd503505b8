//! The restore from backups (requirements C7 and C8).
//!
//! 1. [`walk`] — restore points from the newest back to the first that is clean.
//! 2. `acts` — the steps of a restore, and what takes them back.
//! 3. [`Restore`] — looks at the data, and carries the steps out when it is damaged.

mod acts;
#[cfg(test)]
mod tests;
pub mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::backup::RestoreControl;
use drdrill_core::environment::{HealthKind, HealthSource};
use drdrill_core::event::{Event, Journal, Milestone, SystemState, When};
use drdrill_core::inventory::{Machinery, Monitor, SiteName};
use drdrill_core::parts::Recovery;
use drdrill_core::scenario::{Failback, RestorePlan};
use drdrill_core::units::Span;

use crate::builtin::BuiltIn;
use crate::monitor;
use crate::plan::CLOSE_ENOUGH;
use crate::plan::{self, Act, OnFailure, Own, Powers, Step};
use crate::state::State;
use acts::{Doing, RestoreAct, Session};

/// Looks in a row that must find damage: a look may be unlucky.
const LOOKS: u32 = 2;
/// Time one look at all data may take. What it may not take is for the operator to say, by the time between two.
const LOOK_TIMEOUT: Duration = Duration::from_mins(10);

/// Built-in machinery that restores the primary site from its backups.
#[derive(Debug)]
pub struct Restore {
    primary: SiteName,
    standby: SiteName,
    powers: Powers,
    control: Arc<dyn RestoreControl>,
    settings: Machinery,
    plan: RestorePlan,
    /// The functionality checks are those after a failover.
    checks: BuiltIn,
    state: State,
}

/// The health of a site's data, and nothing else of it.
#[derive(Debug)]
struct DataHealth(Arc<dyn RestoreControl>);

#[async_trait]
impl HealthSource for DataHealth {
    fn kinds(&self) -> Vec<HealthKind> {
        vec![HealthKind::Data]
    }

    async fn look(&self, site: &str, _: HealthKind) -> Result<(), String> {
        self.0.look_at_data(site).await.map(drop)
    }
}

impl Restore {
    /// Machinery that restores `primary`, and then makes `standby` a copy of it again.
    #[must_use]
    pub fn new(
        (primary, standby): (SiteName, SiteName),
        powers: Powers,
        control: Arc<dyn RestoreControl>,
        settings: Machinery,
        plan: RestorePlan,
        checks: BuiltIn,
    ) -> Self {
        let state = State::healthy();
        Self { primary, standby, powers, control, settings, plan, checks, state }
    }

    /// The restore plan, rolled back in reverse order when a step fails. Until the restored data is served nothing that
    /// was there is touched but to stop it: the damaged volume stays as it is, and going back is attaching it again.
    #[must_use]
    pub fn restore_plan(&self) -> Vec<Step> {
        let (here, copy) = (&self.primary, &self.standby);
        let session = self.session();
        let own = |doing| Act::Own(Own(Arc::new(RestoreAct::new(&session, doing))));
        let step = |name: &str, site: &SiteName, act| Step {
            name: name.to_owned(),
            site: site.clone(),
            act,
            on_failure: OnFailure::RollBack,
        };
        // What is lost cannot be told anything, and has nothing more to back up.
        let skip = |name: &str, act| Step { on_failure: OnFailure::Skip, ..step(name, here, act) };
        let shares: BTreeMap<_, _> = [(here.clone(), 100), (copy.clone(), 0)].into();
        let RestorePlan { isolated, new_credentials, from_nothing, .. } = self.plan;
        let mut steps = Vec::new();
        if isolated {
            steps.push(step("isolate the site", here, own(Doing::Isolate)));
            steps.push(step("isolate the copy", copy, own(Doing::Isolate)));
        }
        steps.extend([
            skip("fence the writers", Act::Fence),
            skip("back up the last changes", own(Doing::TakeTheRest)),
            step("hold the backups", here, own(Doing::HoldBackups)),
            step("verify the backups", here, own(Doing::Verify)),
        ]);
        if from_nothing {
            steps.push(step("provision the site", here, own(Doing::Provision)));
        }
        steps.extend([
            step("make an empty target", here, own(Doing::MakeTarget)),
            step("restore", here, own(Doing::Restore)),
            step("check what was restored", here, own(Doing::Check)),
        ]);
        if new_credentials {
            steps.push(step("make new credentials", here, own(Doing::MakeCredentials)));
        }
        steps.push(step("serve what was restored", here, own(Doing::Serve)));
        if new_credentials {
            steps.push(step("let nobody in with the old ones", here, own(Doing::RenewCredentials)));
        }
        if isolated {
            steps.push(step("open the site", here, own(Doing::Open)));
        }
        steps.extend([
            step("see that it serves", here, Act::Activate),
            step("send the traffic there", here, Act::Share { before: shares.clone(), shares }),
        ]);
        if new_credentials {
            steps.push(step("clients log in again", here, own(Doing::LogClientsIn)));
        }
        steps
    }

    /// What is done once the service is back. It takes writes by then, which a rollback would lose.
    #[must_use]
    pub fn aftercare(&self) -> Vec<Step> {
        let (here, copy) = (&self.primary, &self.standby);
        let session = self.session();
        let own = |doing| Act::Own(Own(Arc::new(RestoreAct::new(&session, doing))));
        let step = |name: &str, site: &SiteName, act| Step {
            name: name.to_owned(),
            site: site.clone(),
            act,
            on_failure: OnFailure::GoOn,
        };
        let mut steps = vec![step("take backups again", here, own(Doing::ResumeBackups))];
        let standing = self.checks.stands_by();
        if standing.from_backups.is_some() {
            // The backups are the only copy there is.
            if self.plan.isolated {
                steps.push(step("open the copy", copy, own(Doing::Open)));
            }
            return steps;
        }
        if self.plan.from_nothing {
            steps.push(step("provision the other site", copy, own(Doing::Provision)));
        }
        let rebuild = own(Doing::Rebuild { source: here.clone() });
        steps.push(step("rebuild the copy", copy, rebuild));
        if self.plan.isolated {
            steps.push(step("open the copy", copy, own(Doing::Open)));
        }
        let caught_up = Act::CatchUp { source: here.clone(), within: CLOSE_ENOUGH };
        steps.push(step("wait for the copy", copy, caught_up));
        if standing.stands_down {
            steps.push(step("end what runs there only while it serves", copy, Act::StandDown));
        }
        steps.extend(standing.together(here, copy));
        steps
    }

    fn session(&self) -> Arc<Session> {
        Arc::new(Session::new(self.control.clone(), self.plan, &self.primary, &self.standby))
    }

    async fn carry_out(&self, steps: &[Step], journal: &dyn Journal) -> Result<(), ActionError> {
        plan::carry_out(steps, &self.powers, self.settings.step_timeout.0, journal).await
    }
}

/// The steps that build a site from the backups of another, into an empty volume; promoting it comes after them. The
/// backups are as the lost site left them, or with all that it acknowledged where it can still be fenced.
pub(crate) fn elsewhere(
    control: &Arc<dyn RestoreControl>,
    from: &SiteName,
    to: &SiteName,
) -> Vec<Step> {
    let session = Arc::new(Session::new(control.clone(), RestorePlan::default(), from, from));
    let own = |doing| Act::Own(Own(Arc::new(RestoreAct::new(&session, doing))));
    let step = |name: &str, site: &SiteName, act| Step {
        name: name.to_owned(),
        site: site.clone(),
        act,
        on_failure: OnFailure::RollBack,
    };
    let rest = step("back up the last changes", from, own(Doing::TakeTheRest));
    vec![
        // What is lost cannot be told anything, and has nothing more to back up.
        Step { on_failure: OnFailure::Skip, ..rest },
        step("verify the backups", to, own(Doing::Verify)),
        step("make an empty target", to, own(Doing::MakeTarget)),
        step("restore", to, own(Doing::Restore)),
        step("check what was restored", to, own(Doing::Check)),
        step("start the DR site from it", to, own(Doing::Attach)),
    ]
}

#[async_trait]
impl Recovery for Restore {
    async fn watch_and_fail_over(&self, journal: Arc<dyn Journal>) -> Result<(), ActionError> {
        let journal = &*journal;
        let health: Arc<dyn HealthSource> = Arc::new(DataHealth(self.control.clone()));
        let settings = Monitor {
            interval: self.plan.check_every,
            timeout: Span(LOOK_TIMEOUT),
            failures: LOOKS,
            kinds: 1,
            both: true,
        };
        let reason = monitor::watch(&self.primary, &health, &settings, &self.state, journal).await;
        journal.record(Event::Milestone { milestone: Milestone::Decided, at: journal.now() });
        self.state.change(SystemState::FailingOver, &reason, journal);
        if let Err(error) = self.carry_out(&self.restore_plan(), journal).await {
            self.state.change(SystemState::Degraded, &error.to_string(), journal);
            return Err(error);
        }
        journal.record(Event::Milestone { milestone: Milestone::FailedOver, at: journal.now() });
        self.state.change(SystemState::Healthy, "the restore plan was carried out", journal);
        self.carry_out(&self.aftercare(), journal).await
    }

    async fn verify(
        &self,
        journal: Arc<dyn Journal>,
        names: &[String],
        when: When,
        give_up: Duration,
    ) {
        self.checks.verify(journal, names, when, give_up).await;
    }

    async fn fail_back(&self, _: Arc<dyn Journal>, _: &Failback) -> Result<(), ActionError> {
        let reason = "it was restored where it was: there is no way back to go";
        Err(ActionError::new("fail back", &self.primary, reason))
    }

    async fn rejoin(&self, journal: Arc<dyn Journal>) -> Result<(), ActionError> {
        self.checks.rejoin(journal).await
    }

    fn serving_site(&self) -> String {
        self.primary.clone()
    }
}
