use std::sync::atomic::{AtomicUsize, Ordering};

use drdrill_core::environment::{
    Function, HealthKind, HealthSource, Role, SiteControl, SiteStatus, TrafficControl,
};
use drdrill_core::event::StepOutcome;
use drdrill_core::time::At;
use drdrill_core::units::{Share, Span};
use drdrill_core::verdict::Verdict;

use super::*;

/// A site: its name, its role, and whether it is fenced.
type SiteSeen = (String, Role, bool);

/// Two sites in memory. Changing call number `fail_at` fails after it took effect: the worst place to fail.
#[derive(Debug)]
struct World {
    sites: Mutex<BTreeMap<String, SiteStatus>>,
    shares: Mutex<BTreeMap<String, u32>>,
    sick: Mutex<Option<String>>,
    calls: AtomicUsize,
    fail_at: Option<usize>,
    /// The same, set later.
    fails_later: AtomicUsize,
    /// The primary site cannot be told anything.
    deaf: bool,
    /// A site that answers nobody.
    gone: Mutex<Option<String>>,
    /// Whom a site waits for.
    waits_for: Mutex<BTreeMap<String, Vec<String>>>,
    /// The site turns sick when its share reaches this.
    overload_at: Option<(String, u32)>,
}

impl World {
    fn new(fail_at: Option<usize>) -> Self {
        let site = |role, epoch, following| SiteStatus {
            role,
            epoch,
            fenced: false,
            position: 7,
            lag_ms: None,
            following,
            merged: None,
            conflicts: 0,
        };
        let sites = [
            ("primary".to_owned(), site(Role::Primary, 1, false)),
            ("dr".to_owned(), site(Role::Standby, 1, true)),
        ];
        let shares = [("primary".to_owned(), 100), ("dr".to_owned(), 0)];
        Self {
            sites: Mutex::new(sites.into_iter().collect()),
            shares: Mutex::new(shares.into_iter().collect()),
            sick: Mutex::new(None),
            calls: AtomicUsize::new(0),
            fail_at,
            fails_later: AtomicUsize::new(usize::MAX),
            deaf: false,
            gone: Mutex::default(),
            waits_for: Mutex::default(),
            overload_at: None,
        }
    }

    /// One with three: zone a, which waits for zone b, and the DR site.
    fn with_zones(fail_at: Option<usize>) -> Self {
        let world = Self::new(fail_at);
        {
            let mut sites = world.sites.lock().unwrap();
            let (leads, follows) = (sites["primary"].clone(), sites["dr"].clone());
            sites.remove("primary");
            sites.extend([("a".to_owned(), leads), ("b".to_owned(), follows)]);
            let shares = [("a", 100), ("b", 0), ("dr", 0)];
            *world.shares.lock().unwrap() =
                shares.map(|(name, share)| (name.to_owned(), share)).into();
            world.waits_for.lock().unwrap().insert("a".to_owned(), vec!["b".to_owned()]);
        }
        world
    }

    fn change(&self, site: &str, change: impl FnOnce(&mut SiteStatus)) -> Result<(), ActionError> {
        change(self.sites.lock().unwrap().get_mut(site).unwrap());
        self.count(site)
    }

    /// Makes a call fail, counted from now on.
    fn fails_at(&self, call: usize) {
        let now = self.calls.load(Ordering::Relaxed);
        self.fails_later.store(now + call, Ordering::Relaxed);
    }

    fn hears(&self, site: &str) -> Result<(), ActionError> {
        let gone = self.gone.lock().unwrap().as_deref() == Some(site);
        if gone || self.deaf && site == "primary" {
            return Err(ActionError::new("test", site, "it cannot be told"));
        }
        Ok(())
    }

    fn count(&self, site: &str) -> Result<(), ActionError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if self.fail_at == Some(call) || self.fails_later.load(Ordering::Relaxed) == call {
            return Err(ActionError::new("test", site, "made to fail"));
        }
        Ok(())
    }

    /// Roles, fences and shares: what clients depend on.
    fn seen(&self) -> (Vec<SiteSeen>, BTreeMap<String, u32>) {
        let sites = self.sites.lock().unwrap();
        let roles = sites.iter().map(|(name, s)| (name.clone(), s.role, s.fenced)).collect();
        (roles, self.shares.lock().unwrap().clone())
    }
}

#[async_trait]
impl SiteControl for World {
    async fn status(&self, site: &str) -> Result<SiteStatus, ActionError> {
        self.hears(site)?;
        Ok(self.sites.lock().unwrap()[site].clone())
    }
    async fn fence(&self, site: &str) -> Result<(), ActionError> {
        self.hears(site)?;
        self.change(site, |s| s.fenced = true)
    }
    async fn unfence(&self, site: &str) -> Result<(), ActionError> {
        self.change(site, |s| s.fenced = false)
    }
    async fn promote(&self, site: &str, epoch: u64) -> Result<(), ActionError> {
        self.waits_for.lock().unwrap().insert(site.to_owned(), Vec::new());
        self.change(site, |s| {
            s.role = Role::Primary;
            s.epoch = epoch;
            s.fenced = false;
            s.following = false;
        })
    }
    async fn follow(&self, site: &str, _: &str) -> Result<(), ActionError> {
        self.hears(site)?;
        self.change(site, |s| {
            s.role = Role::Standby;
            s.fenced = false;
            s.following = true;
        })
    }
    async fn start(&self, site: &str) -> Result<(), ActionError> {
        self.count(site)
    }
    async fn pair(&self, site: &str, with: &str, epoch: u64) -> Result<(), ActionError> {
        for one in [with, site] {
            let paired = |s: &mut SiteStatus| {
                s.role = Role::Primary;
                s.epoch = epoch;
                s.fenced = false;
                s.following = true;
            };
            self.change(one, paired)?;
        }
        Ok(())
    }
    async fn wait_for(&self, site: &str, standbys: &[SiteName]) -> Result<(), ActionError> {
        self.waits_for.lock().unwrap().insert(site.to_owned(), standbys.to_vec());
        self.count(site)
    }
}

#[async_trait]
impl TrafficControl for World {
    async fn shares(&self) -> Result<BTreeMap<SiteName, u32>, ActionError> {
        Ok(self.shares.lock().unwrap().clone())
    }
    async fn set_shares(&self, shares: &BTreeMap<SiteName, u32>) -> Result<(), ActionError> {
        shares.clone_into(&mut self.shares.lock().unwrap());
        if let Some((site, share)) = &self.overload_at
            && shares[site] >= *share
        {
            *self.sick.lock().unwrap() = Some(site.clone());
        }
        self.count("traffic")
    }
}

#[async_trait]
impl HealthSource for World {
    fn kinds(&self) -> Vec<HealthKind> {
        vec![HealthKind::Service, HealthKind::Database]
    }
    async fn look(&self, site: &str, _: HealthKind) -> Result<(), String> {
        if self.sick.lock().unwrap().as_deref() == Some(site) { Err("sick".into()) } else { Ok(()) }
    }
}

#[async_trait]
impl Functions for World {
    fn names(&self) -> Vec<String> {
        vec!["works".to_owned(), "broken".to_owned()]
    }
    async fn check(&self, name: &str) -> Function {
        Function { works: name == "works", detail: name.to_owned() }
    }
}

#[derive(Debug, Default)]
struct Notes(Mutex<Vec<Event>>);

impl Journal for Notes {
    fn now(&self) -> At {
        At(self.0.lock().unwrap().len() as u64)
    }
    fn record(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

fn machinery(world: &Arc<World>) -> BuiltIn {
    let powers = Powers { sites: world.clone(), traffic: world.clone(), health: world.clone() };
    let mut settings = Machinery::default();
    settings.monitor.interval = Span(Duration::from_millis(5));
    BuiltIn::new("primary".into(), "dr".into(), powers, world.clone(), settings)
}

/// Machinery that moves half of the traffic, and goes on without a fence or not.
fn careful(world: &Arc<World>, fence: Fence) -> BuiltIn {
    let mut machinery = machinery(world);
    machinery.settings.fence = fence;
    machinery.settings.redirect = Share::percent(50);
    machinery
}

/// Machinery for zone a, behind which are zone b and then the DR site.
fn zones(world: &Arc<World>) -> BuiltIn {
    let mut machinery = machinery(world);
    machinery.primary = "a".into();
    machinery.serving = Mutex::new("a".into());
    machinery.standbys = vec!["b".into()];
    let standing = Standing { synchronous: true, ..Standing::default() };
    machinery.standing(&["dr".into()], standing)
}

/// Fails over from zone a, which is sick, while another may be gone.
async fn lose(
    world: &Arc<World>,
    machinery: &BuiltIn,
    gone: Option<&str>,
) -> (Arc<Notes>, Result<(), ActionError>) {
    let notes = Arc::new(Notes::default());
    *world.gone.lock().unwrap() = gone.map(str::to_owned);
    *world.sick.lock().unwrap() = Some("a".into());
    let told = world.clone();
    // A zone that is let go on alone is well again; one that is lost is not looked at any more.
    let heals = tokio::spawn(async move {
        while !told.waits_for.lock().unwrap()["a"].is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        *told.sick.lock().unwrap() = None;
    });
    let result = machinery.watch_and_fail_over(notes.clone()).await;
    heals.abort();
    *world.sick.lock().unwrap() = None;
    *world.gone.lock().unwrap() = None;
    (notes, result)
}

/// Two sites that both take writes, and machinery for them.
fn both(fail_at: Option<usize>) -> (Arc<World>, BuiltIn) {
    let world = Arc::new(World::new(fail_at));
    world.sites.lock().unwrap().get_mut("dr").unwrap().role = Role::Primary;
    *world.shares.lock().unwrap() = [("dr", 50), ("primary", 50)].map(named).into();
    let standing = Standing { both_decide: true, ..Standing::default() };
    let machinery = machinery(&world).standing(&[], standing);
    (world, machinery)
}

#[tokio::test]
async fn of_two_that_decide_whichever_is_lost_the_other_decides_alone_until_both_do_again() {
    for (lost, survivor) in [("primary", "dr"), ("dr", "primary")] {
        let (world, machinery) = both(None);
        let before = world.seen();
        *world.sick.lock().unwrap() = Some(lost.into());
        machinery.watch_and_fail_over(Arc::new(Notes::default())).await.unwrap();
        *world.sick.lock().unwrap() = None;
        assert_eq!(machinery.serving_site(), survivor);
        assert_eq!(world.seen().1, [(lost, 0), (survivor, 100)].map(named).into());
        assert!(world.sites.lock().unwrap()[lost].fenced, "{lost} may decide nothing more");
        machinery.fail_back(Arc::new(Notes::default()), &way_back()).await.unwrap();
        assert_eq!(world.seen(), before, "{lost}");
    }
}

#[tokio::test]
async fn whichever_step_fails_on_the_way_back_to_both_one_of_them_decides() {
    for call in 0..100 {
        let (world, machinery) = both(None);
        *world.sick.lock().unwrap() = Some("primary".into());
        machinery.watch_and_fail_over(Arc::new(Notes::default())).await.unwrap();
        *world.sick.lock().unwrap() = None;
        world.fails_at(call);
        let back = machinery.fail_back(Arc::new(Notes::default()), &way_back()).await;
        if back.is_ok() {
            assert!(call >= 8, "only {call} calls could fail");
            return;
        }
        let (roles, shares) = world.seen();
        assert_eq!(shares["dr"], 100, "call {call} failed");
        let dr = roles.iter().find(|(name, ..)| name == "dr").unwrap();
        assert_eq!((dr.1, dr.2), (Role::Primary, false), "call {call} failed");
        let home = roles.iter().find(|(name, ..)| name == "primary").unwrap();
        assert!(home.1 == Role::Standby || home.2, "two that decide after call {call}");
    }
    panic!("it never succeeds");
}

fn waits_for(world: &World, site: &str) -> Vec<String> {
    world.waits_for.lock().unwrap()[site].clone()
}

#[tokio::test]
async fn the_other_zone_takes_over_and_on_the_way_back_it_is_waited_for_again() {
    let world = Arc::new(World::with_zones(None));
    let machinery = zones(&world);
    let before = world.seen();
    lose(&world, &machinery, None).await.1.unwrap();
    assert_eq!(machinery.serving_site(), "b");
    assert_eq!(world.seen().1, [("a", 0), ("b", 100), ("dr", 0)].map(named).into());
    assert!(waits_for(&world, "b").is_empty(), "there is nobody to wait for");
    machinery.fail_back(Arc::new(Notes::default()), &way_back()).await.unwrap();
    assert_eq!(world.seen(), before);
    assert_eq!(waits_for(&world, "a"), ["b"]);
}

#[tokio::test]
async fn when_the_other_zone_does_not_answer_the_dr_site_takes_over_from_a_lost_one() {
    let world = Arc::new(World::with_zones(None));
    let machinery = zones(&world);
    // It cannot be told anything either, so it is no zone that could go on alone.
    world.sites.lock().unwrap().get_mut("a").unwrap().fenced = true;
    lose(&world, &machinery, Some("b")).await.1.unwrap();
    assert_eq!(machinery.serving_site(), "dr");
    assert_eq!(world.seen().1["dr"], 100);
    machinery.fail_back(Arc::new(Notes::default()), &way_back()).await.unwrap();
    assert_eq!(world.seen().1["a"], 100);
    assert_eq!(waits_for(&world, "a"), ["b"]);
}

#[tokio::test]
async fn a_zone_that_only_lost_its_standby_goes_on_alone_and_waits_again_later() {
    let world = Arc::new(World::with_zones(None));
    let machinery = zones(&world);
    let before = world.seen();
    lose(&world, &machinery, Some("b")).await.1.unwrap();
    assert_eq!(world.seen(), before, "nobody was promoted and no traffic moved");
    assert_eq!(machinery.serving_site(), "a");
    assert!(waits_for(&world, "a").is_empty());
    // The other one lacks what was acknowledged meanwhile.
    let refused = machinery.failover_steps().await.unwrap_err().to_string();
    assert!(refused.contains("it went on alone") && !machinery.is_home(), "{refused}");
    machinery.fail_back(Arc::new(Notes::default()), &way_back()).await.unwrap();
    assert!(machinery.failover_steps().await.is_ok() && machinery.is_home());
    assert_eq!(world.seen(), before);
    assert_eq!(waits_for(&world, "a"), ["b"]);
}

fn named<T>((name, value): (&str, T)) -> (String, T) {
    (name.to_owned(), value)
}

fn way_back() -> Failback {
    let shift = [10, 25, 50, 75, 100].map(Share::percent).to_vec();
    Failback { shift, hold: Span(Duration::from_millis(10)) }
}

async fn fail_over(
    world: &Arc<World>,
    machinery: &BuiltIn,
) -> (Arc<Notes>, Result<(), ActionError>) {
    let notes = Arc::new(Notes::default());
    *world.sick.lock().unwrap() = Some("primary".into());
    let result = machinery.watch_and_fail_over(notes.clone()).await;
    *world.sick.lock().unwrap() = None;
    (notes, result)
}

#[tokio::test]
async fn failover_moves_everything_and_failback_moves_it_back() {
    let world = Arc::new(World::new(None));
    let machinery = machinery(&world);
    let before = world.seen();
    let (notes, result) = fail_over(&world, &machinery).await;
    result.unwrap();
    assert_eq!(machinery.serving_site(), "dr");
    assert_eq!(world.seen().1["dr"], 100);
    let milestones: Vec<_> = notes
        .0
        .lock()
        .unwrap()
        .iter()
        .filter_map(|event| match event {
            Event::Milestone { milestone, .. } => Some(*milestone),
            _ => None,
        })
        .collect();
    assert_eq!(milestones, [Milestone::Detected, Milestone::Decided, Milestone::FailedOver]);
    machinery.fail_back(Arc::new(Notes::default()), &way_back()).await.unwrap();
    assert_eq!(world.seen(), before);
    assert_eq!(machinery.serving_site(), "primary");
}

#[tokio::test]
async fn whichever_step_of_the_failover_fails_the_roles_are_as_before() {
    let healthy = World::new(None).seen();
    let mut failures = 0;
    for call in 0..100 {
        let world = Arc::new(World::new(Some(call)));
        let machinery = machinery(&world);
        let (_, result) = fail_over(&world, &machinery).await;
        if result.is_ok() {
            if call == 0 {
                // Fencing a lost site is optional.
                continue;
            }
            break;
        }
        failures += 1;
        assert_eq!(world.seen(), healthy, "call {call} failed");
        assert_eq!(machinery.serving_site(), "primary");
    }
    assert!(failures >= 3, "only {failures} calls could fail");
}

#[tokio::test]
async fn a_fence_that_is_required_and_fails_leaves_all_as_it_was() {
    let (healthy, calls) =
        (World::new(None).seen(), |world: &World| world.calls.load(Ordering::Relaxed));
    let told = Arc::new(World { deaf: true, ..World::new(None) });
    let machinery = careful(&told, Fence::Required);
    let (notes, result) = fail_over(&told, &machinery).await;
    result.unwrap_err();
    assert_eq!((told.seen(), calls(&told)), (healthy, 0), "nothing was touched");
    assert_eq!(machinery.serving_site(), "primary");
    let failed = notes.0.lock().unwrap().iter().any(|event| {
        matches!(event, Event::Step { rollback: true, outcome: StepOutcome::Failed, .. })
    });
    assert!(!failed, "there was nothing to take back");

    let goes_on = careful(&told, Fence::IfReached);
    fail_over(&told, &goes_on).await.1.unwrap();
    assert_eq!(told.seen().1, [("dr".to_owned(), 50), ("primary".to_owned(), 50)].into());

    let reached = Arc::new(World::new(None));
    let machinery = careful(&reached, Fence::Required);
    fail_over(&reached, &machinery).await.1.unwrap();
    let fenced = reached.seen().0.into_iter().find(|(name, ..)| name == "primary").unwrap().2;
    assert!(fenced && machinery.serving_site() == "dr");
}

#[tokio::test]
async fn a_standby_that_was_cut_off_is_waited_for_and_one_that_decides_is_not() {
    let world = Arc::new(World::new(None));
    let machinery = machinery(&world);
    let notes = Arc::new(Notes::default());
    machinery.rejoin(notes.clone()).await.unwrap();
    let done = matches!(
        &notes.0.lock().unwrap()[..],
        [Event::Step { outcome: StepOutcome::Done, action, .. }] if action == "catch_up"
    );
    assert!(done);
    fail_over(&world, &machinery).await.1.unwrap();
    machinery.rejoin(notes).await.unwrap_err();
}

#[tokio::test]
async fn whichever_step_of_the_failback_fails_the_dr_site_goes_on_serving() {
    let calls = |world: &Arc<World>| world.calls.load(Ordering::Relaxed);
    let (first, last) = {
        let world = Arc::new(World::new(None));
        let machinery = machinery(&world);
        fail_over(&world, &machinery).await.1.unwrap();
        let first = calls(&world);
        machinery.fail_back(Arc::new(Notes::default()), &way_back()).await.unwrap();
        (first, calls(&world))
    };
    assert!(last - first >= 10);
    for call in first..last {
        let world = Arc::new(World::new(Some(call)));
        let machinery = machinery(&world);
        fail_over(&world, &machinery).await.1.unwrap();
        let notes = Arc::new(Notes::default());
        let back = machinery.fail_back(notes.clone(), &way_back()).await;
        if call == last - 1 {
            // The original site takes writes by then: only the redundancy is missing.
            back.unwrap();
            assert_eq!(machinery.serving_site(), "primary");
            let failed = StepOutcome::Failed;
            let events = notes.0.lock().unwrap();
            let told =
                |event: &Event| matches!(event, Event::Step { outcome, .. } if *outcome == failed);
            assert!(events.iter().any(told), "a missing DR copy has to be told");
            continue;
        }
        back.unwrap_err();
        assert_eq!(machinery.serving_site(), "dr", "call {call} failed");
        let (roles, shares) = world.seen();
        assert_eq!(shares["dr"], 100, "call {call} failed");
        let dr = roles.iter().find(|(name, ..)| name == "dr").unwrap();
        assert_eq!((dr.1, dr.2), (Role::Primary, false), "call {call} failed");
        let home = roles.iter().find(|(name, ..)| name == "primary").unwrap();
        assert!(
            home.1 == Role::Standby || home.2 || call == first,
            "two primaries after call {call}"
        );
    }
}

#[tokio::test]
async fn a_failback_stops_and_goes_back_when_the_original_site_degrades() {
    let overload = Some(("primary".to_owned(), 50));
    let world = Arc::new(World { overload_at: overload, ..World::new(None) });
    let machinery = machinery(&world);
    fail_over(&world, &machinery).await.1.unwrap();
    let notes = Arc::new(Notes::default());
    let error = machinery.fail_back(notes.clone(), &way_back()).await.unwrap_err();
    assert!(error.to_string().contains("sick"), "{error}");
    assert_eq!(world.seen().1["dr"], 100);
    let reached_75 = notes
        .0
        .lock()
        .unwrap()
        .iter()
        .any(|event| matches!(event, Event::Step { name, .. } if name.contains("75%")));
    assert!(!reached_75, "it must stop at 50%");
}

#[tokio::test]
async fn a_failback_refuses_an_unhealthy_original() {
    let world = Arc::new(World::new(None));
    let machinery = machinery(&world);
    fail_over(&world, &machinery).await.1.unwrap();
    *world.sick.lock().unwrap() = Some("primary".into());
    let before = world.seen();
    machinery.fail_back(Arc::new(Notes::default()), &way_back()).await.unwrap_err();
    assert_eq!(world.seen(), before);
}

#[tokio::test]
async fn a_function_that_never_works_is_written_down_as_failed() {
    let world = Arc::new(World::new(None));
    let machinery = machinery(&world);
    let notes = Arc::new(Notes::default());
    let names = ["works".to_owned(), "broken".to_owned()];
    let patience = Duration::from_millis(250);
    machinery.verify(notes.clone(), &names, When::AfterRecovery, patience).await;
    let verdicts: Vec<(String, Verdict)> = notes
        .0
        .lock()
        .unwrap()
        .iter()
        .filter_map(|event| match event {
            Event::FunctionChecked { name, verdict, .. } => Some((name.clone(), *verdict)),
            _ => None,
        })
        .collect();
    assert_eq!(verdicts[0], ("works".to_owned(), Verdict::Pass));
    assert!(verdicts[1..].iter().all(|one| *one == ("broken".to_owned(), Verdict::Fail)));
    assert!(verdicts.len() >= 3, "it must be tried again");
}
