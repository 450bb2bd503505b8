use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use drdrill_core::backup::{Archive, Described, RestorePoint, Restored, Volume};
use drdrill_core::environment::{Functions, Role, SiteControl, SiteStatus, TrafficControl};
use drdrill_core::event::StepOutcome;
use drdrill_core::time::At;

use super::walk::{Terms, walk};
use super::*;

/// What may be wrong with a backup.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ill {
    Undescribed,
    Altered,
    Unrestorable,
    Inconsistent,
    /// Nobody could look.
    Unseen,
}

/// A backup in memory: its age, and what is wrong with it.
#[derive(Clone, Copy, Debug)]
struct Planted {
    age_ms: u64,
    ill: Option<Ill>,
}

impl Planted {
    fn has(self, ill: Ill) -> bool {
        self.ill == Some(ill)
    }
}

const GOOD: Planted = Planted { age_ms: 1000, ill: None };
const NOW_MS: u64 = 1_000_000_000;

/// Backups in memory, newest first.
#[derive(Debug)]
struct Shelf(Vec<Planted>);

impl Shelf {
    fn of(&self, point: &RestorePoint) -> &Planted {
        &self.0[point.name.strip_prefix("full-").unwrap().parse::<usize>().unwrap()]
    }
}

impl Archive for Shelf {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    fn points(&self) -> Result<Vec<RestorePoint>, String> {
        let points = self.0.iter().enumerate().map(|(number, planted)| RestorePoint {
            name: format!("full-{number}"),
            full: PathBuf::new(),
            files: Vec::new(),
            described: if planted.has(Ill::Undescribed) {
                Err("no description".to_owned())
            } else {
                Ok(Described { taken_at_ms: NOW_MS - planted.age_ms, bytes: 10, position: 7 })
            },
        });
        Ok(points.collect())
    }

    fn newest_position(&self) -> Result<u64, String> {
        Ok(7)
    }

    fn check(&self, point: &RestorePoint) -> Result<u64, String> {
        match self.of(point).ill {
            Some(Ill::Altered) => Err("another checksum".to_owned()),
            Some(Ill::Unseen) => Err("no answer".to_owned()),
            _ => Ok(10),
        }
    }

    fn trouble(&self) -> Option<String> {
        let unseen = self.0.iter().any(|planted| planted.has(Ill::Unseen));
        unseen.then(|| "no answer".to_owned())
    }

    fn open_up(&self, restored: &Path) {
        note(restored, "opened");
    }

    fn restore(&self, point: &RestorePoint, target: &Path) -> Result<Restored, String> {
        note(target, "restored");
        let planted = self.of(point);
        fs::write(target, if planted.has(Ill::Inconsistent) { "bad" } else { "good" }).unwrap();
        if planted.has(Ill::Unrestorable) {
            return Err("does not restore".to_owned());
        }
        Ok(Restored {
            bytes: 10,
            replayed: 3,
            position: 7,
            reaches_ms: NOW_MS - planted.age_ms,
            stopped: None,
            took: Duration::from_millis(5),
        })
    }

    fn consistent(&self, restored: &Path) -> Result<u64, String> {
        match fs::read_to_string(restored).unwrap().as_str() {
            "good" => Ok(42),
            _ => Err("rows are missing".to_owned()),
        }
    }
}

/// Notes the name of a test restore beside the scratch directory.
fn note(restored: &Path, what: &str) {
    let noted = restored.parent().unwrap().with_file_name(what);
    let before = fs::read_to_string(&noted).unwrap_or_default();
    fs::write(noted, format!("{before}{}\n", restored.display())).unwrap();
}

fn walked(planted: Vec<Planted>) -> walk::Walk {
    let scratch = tempfile::tempdir().unwrap();
    let scratch = scratch.path().join("scratch");
    let terms = Terms { now_ms: NOW_MS, max_age: Duration::from_hours(24), scratch: &scratch };
    let walk = walk(&Shelf(planted), terms).unwrap();
    assert!(!scratch.exists(), "the test restores are left");
    // Whatever became of them: closed directories could not be removed by anybody but root.
    let noted = |what: &str| fs::read_to_string(scratch.with_file_name(what)).unwrap_or_default();
    assert_eq!(noted("opened"), noted("restored"));
    walk
}

#[test]
fn the_newest_clean_point_is_found_whatever_is_wrong_with_those_before_it() {
    let too_old = 25 * 3_600_000;
    let broken = [
        (Planted { ill: Some(Ill::Undescribed), ..GOOD }, "no description"),
        (Planted { ill: Some(Ill::Altered), ..GOOD }, "another checksum"),
        (Planted { ill: Some(Ill::Unrestorable), ..GOOD }, "does not restore"),
        (Planted { ill: Some(Ill::Inconsistent), ..GOOD }, "rows are missing"),
        (Planted { age_ms: too_old, ..GOOD }, "1day 1h old, and 1day is the limit"),
    ];
    for (one, why) in &broken {
        let walk = walked(vec![*one, GOOD, GOOD]);
        assert_eq!(walk.clean.unwrap().point.name, "full-1");
        assert_eq!(walk.unfit.len(), 1);
        assert!(walk.unfit[0].why.contains(why), "{:?}", walk.unfit);
    }
    let all: Vec<Planted> = broken.iter().map(|(one, _)| *one).collect();
    let walk = walked(all);
    assert_eq!((&walk.clean, walk.unfit.len()), (&None, broken.len()));
    for (number, (_, why)) in broken.iter().enumerate() {
        assert!(walk.words().contains(&format!("full-{number}: ")) && walk.words().contains(why));
    }
    assert_eq!(walked(Vec::new()).words(), "there is no backup");
    assert_eq!(walked(vec![GOOD]).clean.unwrap().rows, 42);
}

#[test]
fn where_nobody_could_look_no_older_state_is_taken() {
    let scratch = tempfile::tempdir().unwrap();
    let terms =
        Terms { now_ms: NOW_MS, max_age: Duration::from_hours(24), scratch: scratch.path() };
    let shelf = Shelf(vec![Planted { ill: Some(Ill::Unseen), ..GOOD }, GOOD]);
    assert_eq!(walk(&shelf, terms), Err("no answer".to_owned()));
}

/// A site whose data can be restored. Changing call number `fail_at` fails after it took effect.
#[derive(Debug)]
struct World {
    calls: AtomicUsize,
    fail_at: Option<usize>,
    seen: Mutex<Seen>,
    dir: tempfile::TempDir,
    plan: RestorePlan,
}

/// What clients and operators depend on.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Seen {
    attached: String,
    held: BTreeSet<String>,
    fenced: bool,
    role: Role,
    epoch: u64,
    rebuilt: bool,
    isolated: BTreeSet<String>,
    /// What processes that start now are given, what those that run have, and what clients have: each with the number of
    /// times that it was made.
    credentials: u32,
    running_with: u32,
    clients_have: u32,
    provisioned: BTreeSet<String>,
}

impl World {
    fn new(fail_at: Option<usize>, plan: RestorePlan) -> Arc<Self> {
        let seen = Seen {
            attached: "primary".to_owned(),
            held: BTreeSet::new(),
            fenced: false,
            role: Role::Primary,
            epoch: 1,
            rebuilt: false,
            isolated: BTreeSet::new(),
            credentials: 1,
            running_with: 1,
            clients_have: 1,
            provisioned: BTreeSet::new(),
        };
        let (calls, dir) = (AtomicUsize::new(0), tempfile::tempdir().unwrap());
        Arc::new(Self { calls, fail_at, seen: Mutex::new(seen), dir, plan })
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) -> Result<(), ActionError> {
        change(&mut self.seen.lock().unwrap());
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if self.fail_at == Some(call) {
            return Err(ActionError::new("test", "primary", "made to fail"));
        }
        Ok(())
    }

    fn volume(&self, name: &str) -> Volume {
        let directory = self.dir.path().join(name);
        Volume { name: name.to_owned(), data: directory.join("data"), directory }
    }
}

#[async_trait]
impl RestoreControl for World {
    fn archive(&self, _: &str) -> Result<Arc<dyn Archive>, ActionError> {
        Ok(Arc::new(Shelf(vec![
            Planted { ill: Some(Ill::Altered), ..GOOD },
            Planted { age_ms: 0, ..GOOD },
        ])))
    }
    async fn look_at_data(&self, _: &str) -> Result<String, String> {
        Err("rows are missing".to_owned())
    }
    async fn hold_backups(&self, site: &str) -> Result<(), ActionError> {
        self.change(|seen| {
            seen.held.insert(site.to_owned());
        })
    }
    async fn resume_backups(&self, site: &str) -> Result<(), ActionError> {
        self.change(|seen| {
            seen.held.remove(site);
        })
    }
    fn scratch(&self, _: &str) -> PathBuf {
        self.dir.path().join("scratch")
    }
    fn kept(&self, _: &str) -> PathBuf {
        self.dir.path().join("kept")
    }
    async fn make_volume(&self, _: &str) -> Result<Volume, ActionError> {
        let volume = self.volume("primary-1");
        fs::create_dir(&volume.directory).unwrap();
        self.change(|_| ()).map(|()| volume)
    }
    fn look_into(&self, volume: &Volume) -> Result<Vec<String>, ActionError> {
        let names = fs::read_dir(&volume.directory).unwrap();
        Ok(names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect())
    }
    async fn attached(&self, _: &str) -> Result<Volume, ActionError> {
        Ok(self.volume(&self.seen().attached))
    }
    async fn attach(&self, _: &str, volume: &Volume) -> Result<(), ActionError> {
        self.change(|seen| {
            // A restored volume is that of a standby; the one before knows what it was.
            let restored = volume.name != "primary";
            seen.role = if restored { Role::Standby } else { Role::Primary };
            seen.fenced = !restored;
            seen.attached.clone_from(&volume.name);
            seen.running_with = seen.credentials;
        })
    }
    async fn provision(&self, site: &str) -> Result<String, ActionError> {
        let made = self.change(|seen| {
            seen.provisioned.insert(site.to_owned());
        });
        made.map(|()| "provisioned".to_owned())
    }
    async fn give_back(&self, site: &str) -> Result<(), ActionError> {
        // With it goes what runs there.
        self.change(|seen| {
            seen.provisioned.remove(site);
            "primary".clone_into(&mut seen.attached);
            (seen.role, seen.fenced) = (Role::Primary, false);
        })
    }
    async fn isolate(&self, site: &str) -> Result<String, ActionError> {
        let cut_off = self.change(|seen| {
            seen.isolated.insert(site.to_owned());
        });
        cut_off.map(|()| "isolated".to_owned())
    }
    async fn open(&self, site: &str) -> Result<(), ActionError> {
        let Seen { attached, running_with, .. } = self.seen();
        // Who gets in with what was stolen finds nothing that was restored.
        assert!(!self.plan.new_credentials || attached == "primary" || running_with == 2);
        self.change(|seen| {
            seen.isolated.remove(site);
        })
    }
    async fn make_credentials(&self) -> Result<(), ActionError> {
        self.change(|seen| seen.credentials = 2)
    }
    async fn keep_credentials(&self) -> Result<(), ActionError> {
        self.change(|seen| (seen.credentials, seen.clients_have) = (1, 1))
    }
    async fn renew_credentials(&self, _: &str) -> Result<String, ActionError> {
        self.change(|_| ()).map(|()| "renewed".to_owned())
    }
    async fn log_clients_in(&self) -> Result<(), ActionError> {
        let Seen { running_with, isolated, .. } = self.seen();
        assert!(!isolated.contains("primary"));
        self.change(|seen| seen.clients_have = running_with)
    }
    async fn rebuild(&self, _: &str, _: &str) -> Result<(), ActionError> {
        self.change(|seen| seen.rebuilt = true)
    }
}

#[async_trait]
impl SiteControl for World {
    async fn status(&self, _: &str) -> Result<SiteStatus, ActionError> {
        let Seen { role, epoch, fenced, .. } = self.seen();
        Ok(SiteStatus {
            role,
            epoch,
            fenced,
            position: 7,
            lag_ms: None,
            following: true,
            merged: None,
            conflicts: 0,
        })
    }
    async fn fence(&self, _: &str) -> Result<(), ActionError> {
        self.change(|seen| seen.fenced = true)
    }
    async fn unfence(&self, _: &str) -> Result<(), ActionError> {
        self.change(|seen| seen.fenced = false)
    }
    async fn promote(&self, _: &str, epoch: u64) -> Result<(), ActionError> {
        assert!(epoch > self.seen().epoch);
        self.change(|seen| (seen.role, seen.epoch, seen.fenced) = (Role::Primary, epoch, false))
    }
    async fn follow(&self, _: &str, _: &str) -> Result<(), ActionError> {
        unreachable!("a restore makes nobody follow");
    }
    async fn start(&self, _: &str) -> Result<(), ActionError> {
        self.change(|_| ())
    }
}

#[async_trait]
impl TrafficControl for World {
    async fn shares(&self) -> Result<BTreeMap<SiteName, u32>, ActionError> {
        Ok(BTreeMap::new())
    }
    async fn set_shares(&self, _: &BTreeMap<SiteName, u32>) -> Result<(), ActionError> {
        self.change(|_| ())
    }
}

#[async_trait]
impl HealthSource for World {
    fn kinds(&self) -> Vec<HealthKind> {
        vec![HealthKind::Service]
    }
    async fn look(&self, _: &str, _: HealthKind) -> Result<(), String> {
        Ok(())
    }
}

#[async_trait]
impl Functions for World {
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
    async fn check(&self, name: &str) -> drdrill_core::environment::Function {
        drdrill_core::environment::Function { works: true, detail: name.to_owned() }
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

/// A plan whose looks at the data are quick.
fn quick() -> RestorePlan {
    RestorePlan {
        check_every: Span(Duration::from_millis(1)),
        // What is planted is as old as the year 1970.
        max_age: Span(Duration::from_hours(24 * 366 * 1000)),
        ..RestorePlan::default()
    }
}

/// One for sites that were attacked.
fn attacked() -> RestorePlan {
    RestorePlan { isolated: true, new_credentials: true, ..quick() }
}

/// One for sites of which nothing is left.
fn destroyed() -> RestorePlan {
    RestorePlan { from_nothing: true, ..quick() }
}

async fn restore(world: &Arc<World>) -> (Arc<Notes>, Result<(), ActionError>) {
    let powers = Powers { sites: world.clone(), traffic: world.clone(), health: world.clone() };
    let settings = Machinery::default();
    let sites = || ("primary".to_owned(), "dr".to_owned());
    let (primary, standby) = sites();
    let checks = BuiltIn::new(primary, standby, powers.clone(), world.clone(), settings.clone());
    let restore = Restore::new(sites(), powers, world.clone(), settings, world.plan, checks);
    let notes = Arc::new(Notes::default());
    let result = restore.watch_and_fail_over(notes.clone()).await;
    (notes, result)
}

#[tokio::test]
async fn damaged_data_is_restored_into_an_empty_volume() {
    let world = World::new(None, quick());
    let (notes, result) = restore(&world).await;
    result.unwrap();
    let seen = world.seen();
    assert_eq!(
        (seen.attached.as_str(), seen.role, seen.fenced),
        ("primary-1", Role::Primary, false)
    );
    assert!(seen.held.is_empty() && seen.rebuilt && seen.epoch > 1);
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
}

#[tokio::test]
async fn whichever_step_of_the_restore_fails_the_site_serves_as_before() {
    for (plan, least) in [(quick(), 5), (attacked(), 10), (destroyed(), 6)] {
        assert!(failing_steps(plan).await >= least);
    }
}

/// Makes each call that changes something fail once; returns how many of them failed the restore.
async fn failing_steps(plan: RestorePlan) -> usize {
    let before = World::new(None, plan).seen();
    let mut failures = 0;
    for call in 0..100 {
        let world = World::new(Some(call), plan);
        let (notes, result) = restore(&world).await;
        if world.calls.load(Ordering::Relaxed) <= call {
            result.unwrap();
            break;
        }
        let failed = |event: &Event| {
            matches!(event, Event::Step { outcome: StepOutcome::Failed, rollback: false, .. })
        };
        let skipped =
            |event: &Event| matches!(event, Event::Step { outcome: StepOutcome::Skipped, .. });
        if notes.0.lock().unwrap().iter().any(skipped) {
            // Fencing what is lost is optional.
            continue;
        }
        if world.seen().rebuilt || world.seen().attached == "primary-1" {
            // It serves from the restored volume by then: what is missing is said.
            result.unwrap();
            let told = notes.0.lock().unwrap().iter().any(failed);
            assert!(told, "call {call}");
            continue;
        }
        failures += 1;
        result.unwrap_err();
        assert_eq!(Seen { epoch: before.epoch, ..world.seen() }, before, "call {call}");
    }
    failures
}

#[tokio::test]
async fn what_is_left_of_nothing_is_provisioned_before_anything_is_restored() {
    let world = World::new(None, destroyed());
    let (notes, result) = restore(&world).await;
    result.unwrap();
    let provisioned = world.seen().provisioned;
    assert_eq!(provisioned.iter().map(String::as_str).collect::<Vec<_>>(), ["dr", "primary"]);
    let notes = notes.0.lock().unwrap();
    let place = |wanted: &str| {
        notes.iter().position(|event| matches!(event, Event::Step { name, .. } if name == wanted))
    };
    // Where no backup is good for anything, nothing is provisioned.
    assert!(place("verify the backups") < place("provision the site"));
    assert!(place("provision the site") < place("make an empty target"));
    assert!(place("provision the other site") < place("rebuild the copy"));
}

#[tokio::test]
async fn after_an_attack_nobody_gets_in_before_the_old_credentials_are_refused() {
    let world = World::new(None, attacked());
    let (notes, result) = restore(&world).await;
    result.unwrap();
    let Seen { isolated, credentials, running_with, clients_have, .. } = world.seen();
    assert!(isolated.is_empty(), "{isolated:?}");
    assert_eq!((credentials, running_with, clients_have), (2, 2, 2));
    let notes = notes.0.lock().unwrap();
    let steps = notes.iter().filter_map(|event| match event {
        Event::Step { name, .. } => Some(name.as_str()),
        _ => None,
    });
    let steps: Vec<&str> = steps.collect();
    let place = |name: &str| steps.iter().position(|step| *step == name).unwrap();
    for (earlier, later) in [
        ("isolate the site", "fence the writers"),
        ("isolate the copy", "fence the writers"),
        ("check what was restored", "make new credentials"),
        ("serve what was restored", "let nobody in with the old ones"),
        ("let nobody in with the old ones", "open the site"),
        ("open the site", "clients log in again"),
        ("rebuild the copy", "open the copy"),
    ] {
        assert!(place(earlier) < place(later), "{steps:#?}");
    }
}
