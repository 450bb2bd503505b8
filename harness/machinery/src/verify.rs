//! Functionality checks after a recovery (requirement C10): tried until they work, or until the time is up.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::environment::{Function, Functions};
use drdrill_core::event::{Event, Journal, When};
use drdrill_core::parts::Recovery;
use drdrill_core::scenario::Failback;
use drdrill_core::verdict::Verdict;
use tokio::time::{Instant, sleep, timeout};

/// Time between two tries of a functionality check.
const TRY_AGAIN: Duration = Duration::from_millis(100);
/// Time one functionality check may take. Source: requirement C10, job submission to completion within 600 s.
const CHECK_TIMEOUT: Duration = Duration::from_mins(10);

/// Tries each function, on the site that serves, until it works or `give_up` has passed; every try goes to the journal.
pub(crate) async fn verify(
    functions: &dyn Functions,
    journal: &dyn Journal,
    names: &[String],
    when: When,
    give_up: Duration,
    serving_site: impl Fn() -> String,
) {
    let end = Instant::now() + give_up;
    for name in names {
        for attempt in 0_u32.. {
            let started = journal.now();
            let limit = CHECK_TIMEOUT.min(end.saturating_duration_since(Instant::now()));
            let (verdict, detail) = if limit.is_zero() {
                if attempt > 0 {
                    break;
                }
                (Verdict::Unknown, "not tried: the time was up".to_owned())
            } else {
                match timeout(limit, functions.check(name)).await {
                    Ok(Function { works: true, detail }) => (Verdict::Pass, detail),
                    Ok(Function { works: false, detail }) => (Verdict::Fail, detail),
                    Err(_) => (Verdict::Fail, "not done in time".to_owned()),
                }
            };
            let site = serving_site();
            let (name, finished) = (name.clone(), journal.now());
            journal.record(Event::FunctionChecked {
                name,
                site,
                when,
                started,
                finished,
                verdict,
                detail,
            });
            if verdict != Verdict::Fail {
                break;
            }
            sleep(TRY_AGAIN).await;
        }
    }
}

/// What there is of machinery where drdrill heals nothing and only looks whether functions work again.
#[derive(Debug)]
pub struct LookOnly {
    environment: String,
    functions: Arc<dyn Functions>,
}

impl LookOnly {
    /// Looks at functions of an environment.
    #[must_use]
    pub fn new(environment: &str, functions: Arc<dyn Functions>) -> Self {
        Self { environment: environment.to_owned(), functions }
    }

    fn cannot(&self, what: &str) -> ActionError {
        ActionError::new(what, &self.environment, "drdrill has no power over its sites")
    }
}

#[async_trait]
impl Recovery for LookOnly {
    async fn watch_and_fail_over(&self, _: Arc<dyn Journal>) -> Result<(), ActionError> {
        Err(self.cannot("fail over"))
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

    async fn fail_back(&self, _: Arc<dyn Journal>, _: &Failback) -> Result<(), ActionError> {
        Err(self.cannot("fail back"))
    }

    async fn rejoin(&self, _: Arc<dyn Journal>) -> Result<(), ActionError> {
        Err(self.cannot("tell whether the standby follows again"))
    }

    /// Which of its sites serves is not known: the name of the environment.
    fn serving_site(&self) -> String {
        self.environment.clone()
    }
}
