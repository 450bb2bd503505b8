use std::sync::Arc;
use std::time::Duration;

use drdrill_core::event::StepOutcome;
use drdrill_core::program::{ProgramNames, parse_program};
use drdrill_core::record::{Interval, Step};
use drdrill_core::scenario::{Kind, Targets};
use drdrill_core::units::{Share, Span};
use drdrill_core::verdict::Verdict;

use super::coverage::{Cell, Status};
use super::drills::Conclusion;
use super::standing::StandingVerdict;
use super::*;
use crate::findings::Say;
use crate::history::Problem;
use crate::testkit::{Case, Fixture};

const PROGRAM: &str = "\
program: shop
title: The shop
currency: EUR
people: [{ name: Ada, role: commander }, { name: Bob, role: database }]
services: [{ name: orders, tier: 1, targets: { rto: 10s } }]
functions:
  - name: selling
    title: Selling
    services: [orders]
    impact: { hourly_revenue: 3600 EUR, hourly_reputation: 360 EUR, penalties: [{ after: 5s, amount: 100 EUR }], tolerable: 1min }
plans: [{ name: site, version: \"2\", since: 2026-10-01 }]
drills:
  - { scenario: complete_site_failure, environments: [lab], class: full, plan: site, participants: [commander, database], owner: Ada }
  - { scenario: complete_site_failure, environments: [lab], class: tabletop }
  - { scenario: az_failure, environments: [lab], class: component }
controls:
  - { framework: ISO 22301, control: \"8.5\", scenarios: [complete_site_failure] }
  - { framework: DORA, control: \"11\", scenarios: [az_failure] }
";

const SHA: &str = "aa";
const DEFINITION: &str = "dd";

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn targets() -> Targets {
    Targets { rto: Some(Span(Duration::from_secs(5))), rpo: None, rlo: Some(Share::percent(80)) }
}

fn present(scenario: &str) -> PresentDrill {
    PresentDrill {
        scenario: scenario.to_owned(),
        title: "T".to_owned(),
        sha256: SHA.to_owned(),
        runbook_sha256: Some("rr".to_owned()),
        places: vec![PresentPlace {
            environment: "lab".to_owned(),
            emulated: false,
            production: false,
            definition: DEFINITION.to_owned(),
            services: vec![ServiceFacts { name: "orders".to_owned(), tier: 1, targets: targets() }],
        }],
    }
}

/// A drill of the whole site that passed on that day, on what is there today, in 1.5 s.
fn row(id: &str, on: &str) -> RunRow {
    let mut row = RunRow::of(&Fixture::build(Case::Passed).record).unwrap();
    row.run_id = id.to_owned();
    row.started = format!("{on}T12:00:00Z").parse().unwrap();
    Arc::make_mut(&mut row.scenario).sha256 = SHA.to_owned();
    Arc::make_mut(&mut row.environment).definition = Some(DEFINITION.to_owned());
    row.problems.clear();
    let service = &mut row.services[0];
    service.rto.target_ms = Some(5_000.0);
    (service.rto.at_least_ms, service.rto.at_most_ms) = (Some(1_490.0), Some(1_500.0));
    service.rto.verdict = Verdict::Pass;
    service.outage = Some(Interval { at_least_ms: 1_000.0, at_most_ms: Some(2_000.0) });
    service.rpo.as_mut().unwrap().target_ms = None;
    (service.rlo.target, service.rlo.achieved) = (Some(0.8), Some(1.0));
    row
}

/// The same, and it failed.
fn failed(id: &str, on: &str) -> RunRow {
    let problem = Problem {
        key: "recovery_time:orders".to_owned(),
        severity: drdrill_core::checker::Severity::Critical,
        verdict: Verdict::Fail,
        seen: vec!["orders: recovery time 9 s, objective 5 s".to_owned()],
        owner: None,
        due: None,
    };
    let mut row =
        RunRow { verdict: Verdict::Fail, exit_code: 10, problems: vec![problem], ..row(id, on) };
    row.services[0].rto.verdict = Verdict::Fail;
    row
}

fn exercise(id: &str, on: &str) -> RunRow {
    let mut row = RunRow {
        kind: Kind::Tabletop,
        runbook: Some(("site".to_owned(), "rr".to_owned())),
        ..row(id, on)
    };
    let service = &mut row.services[0];
    service.rto.target_ms = None;
    (service.rto.at_least_ms, service.rto.at_most_ms, service.outage) = (None, None, None);
    row
}

/// A world as of 22 November 2026.
struct World {
    program: Program,
    present: Vec<PresentDrill>,
    rows: Vec<RunRow>,
    records: Vec<Record>,
    cut_off: Vec<CutOff>,
    evidence: BTreeMap<String, EvidenceState>,
    words: Vec<Line>,
    today: Date,
}

impl World {
    fn new(rows: impl Into<Vec<RunRow>>) -> Self {
        Self::of(PROGRAM, rows)
    }

    fn of(program: &str, rows: impl Into<Vec<RunRow>>) -> Self {
        let program = parse_program("p.yaml", program, &ProgramNames::default()).unwrap();
        let present = program.drills.iter().map(|drill| present(&drill.scenario)).collect();
        Self {
            program,
            present,
            rows: rows.into(),
            records: Vec::new(),
            cut_off: Vec::new(),
            evidence: BTreeMap::new(),
            words: Vec::new(),
            today: day("2026-11-22"),
        }
    }

    fn quarter(&self) -> Quarter {
        let proven = self.rows.iter().map(|row| (row.run_id.clone(), EvidenceState::Proven));
        let mut evidence: BTreeMap<String, EvidenceState> = proven.collect();
        evidence.extend(self.evidence.clone());
        self.ask(&evidence, quarter)
    }

    /// Ids of the runs that the quarter relies on, of which nobody has looked at any.
    fn relied_on(&self) -> Vec<String> {
        self.ask(&BTreeMap::new(), relied_on).into_iter().collect()
    }

    fn ask<T>(
        &self,
        evidence: &BTreeMap<String, EvidenceState>,
        ask: impl Fn(&Inputs<'_>) -> T,
    ) -> T {
        let tool = Tool { version: "0".to_owned(), commit: None };
        ask(&Inputs {
            quarter: "2026-Q4".parse().unwrap(),
            today: self.today,
            tool: &tool,
            program: &self.program,
            present: &self.present,
            rows: &self.rows,
            records: &self.records,
            cut_off: &self.cut_off,
            evidence,
            words: &self.words,
            unreadable: &[],
            gaps: &[],
        })
    }

    /// The cell of the full failover.
    fn site(&self) -> Cell {
        self.quarter().coverage.swap_remove(0)
    }
}

#[test]
fn without_a_drill_everything_was_never_tested_and_no_figure_is_made_up() {
    let quarter = World::new([]).quarter();
    assert_eq!(quarter.coverage.len(), 3);
    for cell in &quarter.coverage {
        assert_eq!((cell.status, cell.overdue), (Status::NeverTested, true));
        assert_eq!(cell.next, Some(day("2026-11-22")));
        assert!(cell.last.is_none() && cell.achieved.is_none());
    }
    let kpis = &quarter.kpis;
    assert_eq!((kpis.drills.rate, kpis.rto.rate, kpis.lost_writes), (None, None, None));
    assert_eq!((kpis.recovery.median_ms, kpis.recovery.mean_ms), (None, None));
    assert_eq!(quarter.standing.verdict, StandingVerdict::Inconclusive);
    assert_eq!(quarter.emulated_kpis, None);
    assert!(quarter.costs.is_empty() && quarter.trends.is_empty());
    assert_eq!(quarter.plans[0].last, None);
}

#[test]
fn what_passed_on_what_is_there_today_is_verified_until_its_time_comes_again() {
    let world = World::new([row("a", "2026-11-01")]);
    let cell = world.site();
    assert_eq!((cell.status, cell.overdue), (Status::Verified, false), "{:?}", cell.because);
    // 90 days after the last one.
    assert_eq!((cell.next, cell.every_days), (Some(day("2027-01-30")), 90));
    assert_eq!(cell.achieved.unwrap().rto.at_most_ms, Some(1_500.0));
    // The same drill, long ago, is still the last word, and overdue.
    let mut old = World::new([row("a", "2026-08-01")]);
    old.program.plans.clear();
    old.program.drills[0].plan = None;
    let cell = old.site();
    assert_eq!(
        (cell.status, cell.overdue, cell.next),
        (Status::Verified, true, Some(day("2026-10-30")))
    );
    assert_eq!(old.quarter().standing.verdict, StandingVerdict::Inconclusive);
}

#[test]
fn a_pass_on_something_else_is_not_verified() {
    type Change = fn(&mut World);
    let changes: [(Change, &str); 10] = [
        (|world| world.present[0].sha256 = "other".to_owned(), "the scenario has changed"),
        (
            |world| world.present[0].places[0].definition = "other".to_owned(),
            "the environment has changed",
        ),
        (
            |world| Arc::make_mut(&mut world.rows[0].environment).definition = None,
            "was not recorded",
        ),
        (
            |world| {
                world.present[0].places[0].services[0].targets.rto =
                    Some(Span(Duration::from_secs(4)));
            },
            "RTO objective was ≤ 5 s and is ≤ 4 s",
        ),
        (|world| world.present[0].places[0].services[0].targets.rto = None, "is none set"),
        (
            |world| world.present[0].places[0].services[0].targets.rlo = Some(Share::percent(90)),
            "RLO objective was ≥ 80 % and is ≥ 90 %",
        ),
        (|world| world.program.plans[0].since = day("2026-11-02"), "version 2 of the plan site"),
        (
            |world| world.rows[0].runbook = Some(("site".to_owned(), "old".to_owned())),
            "the runbook site has changed",
        ),
        (
            |world| world.program.services[0].targets.rto = Some(Span(Duration::from_secs(1))),
            "asks for a recovery time ≤ 1 s",
        ),
        (
            |world| {
                world.program.services[0].targets.rpo = Some(Span(Duration::from_secs(1)));
                world.rows[0].services[0].rpo = None;
            },
            "asks for a recovery point ≤ 1 s; it was not measured",
        ),
    ];
    for (change, why) in changes {
        let mut world = World::new([row("a", "2026-11-01")]);
        change(&mut world);
        let cell = world.site();
        assert_eq!(cell.status, Status::NotVerified, "{why}");
        assert!(cell.because.iter().any(|text| text.contains(why)), "{why}: {:?}", cell.because);
        // It is to be drilled now, and the pass is still named.
        assert_eq!(
            (cell.next, cell.last_pass.unwrap().run_id.as_str()),
            (Some(day("2026-11-22")), "a")
        );
        assert!(world.quarter().controls[0].evidence.is_empty(), "{why}");
    }
}

#[test]
fn a_later_failure_outweighs_an_earlier_pass_and_asks_for_a_retest() {
    let world = World::new([row("a", "2026-11-01"), failed("b", "2026-11-02")]);
    let cell = world.site();
    assert_eq!((cell.status, cell.next), (Status::Failed, Some(day("2026-12-02"))));
    assert_eq!(cell.last_pass.unwrap().run_id, "a");
    let quarter = world.quarter();
    assert_eq!(quarter.standing.verdict, StandingVerdict::NotMet);
    assert_eq!((quarter.facts.failed, quarter.facts.findings_critical), (1, 1));
    assert_eq!(quarter.drills[1].findings, [quarter.findings[0].id.clone()]);
    // And a later pass closes it.
    let world = World::new([failed("b", "2026-11-02"), row("c", "2026-11-03")]);
    assert_eq!(world.site().status, Status::Verified);
    assert_eq!(
        (world.quarter().facts.findings_open, world.quarter().facts.findings_closed),
        (0, 1)
    );
}

#[test]
fn what_could_not_be_told_is_no_pass() {
    let mut unclear = row("a", "2026-11-01");
    unclear.verdict = Verdict::Unknown;
    let world = World::new([unclear]);
    assert_eq!(world.site().status, Status::Unknown);
    let kpis = world.quarter().kpis;
    assert_eq!((kpis.drills.unknown, kpis.drills.rate), (1, Some(0.0)));
}

#[test]
fn a_drill_that_breaks_nothing_meets_no_objective() {
    let mut watched = row("a", "2026-11-01");
    watched.faults = 0;
    let quarter = World::new([watched]).quarter();
    assert_eq!(
        (quarter.kpis.drills.passed, quarter.kpis.rto.n, quarter.kpis.recovery.n),
        (1, 0, 0)
    );
    assert!(quarter.trends.is_empty());
}

#[test]
fn an_exercise_is_no_drill_and_a_drill_no_exercise() {
    let world = World::new([exercise("a", "2026-11-01")]);
    let quarter = world.quarter();
    assert_eq!(quarter.coverage[0].status, Status::NeverTested);
    assert_eq!(quarter.coverage[1].status, Status::Verified, "{:?}", quarter.coverage[1].because);
    assert_eq!(quarter.coverage[1].achieved, None);
    assert_eq!((quarter.kpis.drills.n, quarter.kpis.exercises.n), (0, 1));
    assert_eq!(quarter.kpis.recovery.n, 0);
    assert!(quarter.trends.is_empty() && quarter.costs.is_empty());
}

#[test]
fn what_must_fail_counts_nowhere() {
    let mut twin = failed("a", "2026-11-01");
    Arc::make_mut(&mut twin.scenario).must_fail = true;
    let quarter = World::new([twin]).quarter();
    assert_eq!((quarter.kpis.drills.n, quarter.facts.must_fail, quarter.drills.len()), (0, 1, 1));
    assert!(quarter.findings.is_empty() && quarter.costs.is_empty() && quarter.trends.is_empty());
    assert_eq!(quarter.coverage[0].status, Status::NeverTested);
}

#[test]
fn an_experiment_is_listed_and_counts_nowhere() {
    let tried = |mut row: RunRow| {
        Arc::make_mut(&mut row.scenario).settings = vec!["targets.rto=10h".to_owned()];
        row
    };
    let both = [tried(row("a", "2026-11-01")), tried(failed("b", "2026-11-02"))];
    let quarter = World::new(both.clone()).quarter();
    assert_eq!((quarter.facts.experiments, quarter.facts.drills, quarter.drills.len()), (2, 0, 2));
    assert_eq!((quarter.kpis.drills.n, quarter.kpis.rto.n, quarter.findings.len()), (0, 0, 0));
    assert!(
        quarter.trends.is_empty() && quarter.costs.is_empty() && quarter.plans[0].last.is_none()
    );
    let cell = &quarter.coverage[0];
    assert_eq!(cell.status, Status::NeverTested);
    assert!(cell.because.iter().any(|text| text.contains("targets.rto=10h")), "{:?}", cell.because);
    // Nor does it take a pass away.
    let [first, second] = both;
    let cell = World::new([row("c", "2026-11-01"), first, second]).site();
    assert_eq!((cell.status, cell.last.unwrap().run_id.as_str()), (Status::Verified, "c"));
}

#[test]
fn emulated_figures_are_kept_apart_and_marked() {
    let mut emulated = row("a", "2026-11-01");
    Arc::make_mut(&mut emulated.environment).emulated = true;
    let mut world = World::new([emulated, exercise("b", "2026-11-02")]);
    world.present[0].places[0].emulated = true;
    let mut zone = row("c", "2026-11-03");
    Arc::make_mut(&mut zone.scenario).name = "az_failure".to_owned();
    world.rows.push(zone);
    let quarter = world.quarter();
    assert!(quarter.coverage[0].emulated && quarter.trends.iter().any(|trend| trend.emulated));
    assert_eq!((quarter.kpis.drills.n, quarter.emulated_kpis.unwrap().drills.n), (1, 1));
    assert_eq!(
        quarter.standing.verdict,
        StandingVerdict::MetWithConditions,
        "{:?}",
        quarter.standing
    );
    // The exercise is about the same place.
    assert!(quarter.controls[0].emulated_only && !quarter.controls[1].emulated_only);
    assert_eq!(quarter.facts.verified_on_emulated, 1);
}

#[test]
fn a_quarter_in_which_all_is_shown_is_met() {
    let mut zone = row("c", "2026-11-03");
    Arc::make_mut(&mut zone.scenario).name = "az_failure".to_owned();
    let quarter = World::new([row("a", "2026-11-01"), exercise("b", "2026-11-02"), zone]).quarter();
    assert_eq!(quarter.standing.verdict, StandingVerdict::Met, "{:?}", quarter.standing);
    assert_eq!(quarter.controls[0].verified, 2);
    assert_eq!(quarter.plans[0].last.as_ref().unwrap().run_id, "a");
}

#[test]
fn what_is_excluded_is_so_until_a_day() {
    let exclude = |until: &str| {
        let text = format!(
            "{PROGRAM}exclusions: [{{ scenario: az_failure, because: no zones, by: Ada, until: {until} }}]\n"
        );
        World::of(&text, []).quarter()
    };
    let holds = exclude("2026-11-22");
    assert_eq!((holds.coverage[2].status, holds.coverage[2].next), (Status::Excluded, None));
    assert_eq!((holds.facts.asked, holds.facts.excluded, holds.exclusions[0].holds), (2, 1, true));
    assert!(holds.next.iter().all(|due| due.scenario != "az_failure"));
    let over = exclude("2026-11-21");
    assert_eq!((over.coverage[2].status, over.exclusions[0].holds), (Status::NeverTested, false));
}

#[test]
fn an_outage_costs_what_the_analysis_says_between_its_bounds() {
    let mut long = row("b", "2026-11-02");
    long.services[0].outage = Some(Interval { at_least_ms: 10_000.0, at_most_ms: None });
    let mut unseen = row("c", "2026-11-03");
    unseen.services[0].outage = None;
    let mut unmeasured = unseen.clone();
    unmeasured.run_id = "d".to_owned();
    unmeasured.services[0].rto.at_least_ms = None;
    let costs = World::new([row("a", "2026-11-01"), long, unseen, unmeasured]).quarter().costs;
    let totals = |cost: &costs::Cost| {
        (cost.at_least.as_ref().map(|one| one.total), cost.at_most.as_ref().map(|one| one.total))
    };
    // A second costs 1 EUR of revenue and 0.10 EUR of reputation; what nobody said is no zero, and bounds nothing.
    for said in ["hourly_revenue: 3600 EUR, ", "hourly_reputation: 360 EUR, "] {
        let costs = World::of(&PROGRAM.replace(said, ""), [row("a", "2026-11-01")]).quarter().costs;
        let low = costs[0].at_least.as_ref().unwrap();
        assert_eq!([low.revenue, low.reputation].iter().flatten().count(), 1, "{said}");
        assert_eq!(costs[0].at_most, None, "{said}");
    }
    assert_eq!(totals(&costs[0]), (Some(1.1), Some(2.2)));
    assert_eq!((costs[0].hypothetical, costs[0].tolerated), (true, Some(true)));
    // More than five seconds, and no end: a penalty, and no upper bound.
    assert_eq!(totals(&costs[1]), (Some(111.0), None));
    assert_eq!(costs[1].tolerated, None);
    // Probes saw nothing; what did not work may have been out until the recovery.
    assert_eq!(totals(&costs[2]), (Some(0.0), Some(1.65)));
    assert_eq!((totals(&costs[3]), costs[3].outage), ((None, None), None));
}

#[test]
fn trends_show_each_quarter_and_what_their_drills_allow_to_say() {
    let mut slow = row("b", "2026-08-02");
    slow.services[0].rto.at_most_ms = Some(4_000.0);
    let world = World::new([row("c", "2026-11-01"), slow, row("a", "2026-08-01")]);
    let quarter = world.quarter();
    let [trend] = quarter.trends.as_slice() else { panic!("{:?}", quarter.trends) };
    let names: Vec<&str> = trend.quarters.iter().map(|point| point.quarter.as_str()).collect();
    assert_eq!(names, ["2025-Q4", "2026-Q1", "2026-Q2", "2026-Q3", "2026-Q4"]);
    let counts: Vec<u64> = trend.quarters.iter().map(|point| point.n).collect();
    assert_eq!(counts, [0, 0, 0, 2, 1]);
    assert_eq!(trend.quarters[3].rto.median_ms, Some(2_750.0));
    assert_eq!((trend.quarters[0].rto.median_ms, trend.quarters[0].lost_writes), (None, None));
    assert_eq!(trend.claim.unwrap().n, 3);
    // Under another objective, another scenario or on another environment it was another drill.
    let changes: [fn(&mut RunRow); 3] = [
        |row| row.services[0].rto.target_ms = Some(28_800_000.0),
        |row| Arc::make_mut(&mut row.scenario).sha256 = "older".to_owned(),
        |row| Arc::make_mut(&mut row.environment).definition = Some("older".to_owned()),
    ];
    for change in changes {
        let mut older = World::new([row("a", "2026-08-01"), row("b", "2026-11-01")]);
        change(&mut older.rows[0]);
        assert_eq!(older.quarter().trends[0].claim.unwrap().n, 1);
    }
    let mut cut = World::new([row("a", "2026-08-01"), row("b", "2026-11-01")]);
    cut.cut_off = vec![site_cut_off("c", "2026-09-01")];
    assert_eq!(cut.quarter().trends[0].claim, None);
    // What the environment was is not known of either: they are not known to be alike.
    let mut unknown = World::new([row("a", "2026-08-01"), row("b", "2026-11-01")]);
    for row in &mut unknown.rows {
        Arc::make_mut(&mut row.environment).definition = None;
    }
    assert_eq!(unknown.quarter().trends[0].claim, None);
    // One miss, and nothing can be claimed of the next.
    let missed = World::new([row("a", "2026-11-01"), failed("b", "2026-11-02")]).quarter();
    assert_eq!(missed.trends[0].claim, None);
}

#[test]
fn who_was_to_take_part_is_compared_with_who_did() {
    let quarter = World::new([row("a", "2026-11-01")]).quarter();
    let [nobody] = quarter.participation.as_slice() else { panic!("{:?}", quarter.participation) };
    assert_eq!(nobody.planned, ["Ada (commander)", "Bob (database)"]);
    // Somebody who stands in for another is there for them; another of the same role is not.
    let text = PROGRAM.replace("role: commander }", "role: commander, deputy: Eve }");
    let mut world = World::of(&text, [exercise("a", "2026-11-01")]);
    world.program.drills[1].participants = vec!["commander".to_owned(), "database".to_owned()];
    let mut record = Fixture::build(Case::Passed).record;
    record.run_id = "a".to_owned();
    let came = |name: &str, role: &str| drdrill_core::tabletop::Participant {
        name: name.to_owned(),
        role: role.to_owned(),
        planned: false,
        present: true,
    };
    record.runbook = Some(drdrill_core::record::FollowedRunbook {
        name: "site".to_owned(),
        sha256: "rr".to_owned(),
        scripted: false,
        participants: vec![came("Eve", "commander"), came("Zoe", "database")],
        steps: Vec::new(),
        by_people_ms: 0.0,
        to_take_back: Vec::new(),
    });
    world.records = vec![record];
    assert_eq!(world.quarter().participation[0].absent, Some(vec!["Bob (database)".to_owned()]));
    // Nobody wrote it down: that is not the same as nobody was there.
    assert_eq!((&nobody.present, &nobody.absent), (&None, &None));
    assert!(
        quarter
            .gaps
            .iter()
            .any(|gap| gap.contains("the record of run a of 2026-11-01 is not here"))
    );
}

#[test]
fn deviations_come_from_the_records() {
    let mut record = Fixture::build(Case::Failed).record;
    record.run_id = "a".to_owned();
    record.scenario.settings = vec!["soak=1s".to_owned()];
    let mut world = World::new([failed("a", "2026-11-01")]);
    world.records = vec![record];
    let quarter = world.quarter();
    assert!(quarter.gaps.is_empty(), "{:?}", quarter.gaps);
    let kinds: Vec<&str> = quarter.deviations.iter().map(|one| one.kind.as_str()).collect();
    assert!(kinds.contains(&"settings"), "{kinds:?}");
    assert!(quarter.drills[0].reasons.is_some());
    assert_eq!(quarter.drills[0].conclusion, Conclusion::Failed);
}

/// A run of which nothing is known but when it was.
fn cut_off(id: &str, on: Option<&str>) -> CutOff {
    CutOff {
        run_id: id.to_owned(),
        scenario: None,
        environment: None,
        started: on.map(|on| format!("{on}T13:00:00Z").parse().unwrap()),
        unreadable: None,
        tabletop: None,
        emulated: None,
        counts: None,
    }
}

/// The same of the drill of the whole site.
fn site_cut_off(id: &str, on: &str) -> CutOff {
    CutOff {
        scenario: Some("complete_site_failure".to_owned()),
        environment: Some("lab".to_owned()),
        tabletop: Some(false),
        emulated: Some(false),
        counts: Some(true),
        ..cut_off(id, Some(on))
    }
}

#[test]
fn a_later_drill_that_was_cut_off_takes_a_pass_away_until_the_next_one() {
    let mut world = World::new([row("a", "2026-11-01")]);
    world.cut_off = vec![site_cut_off("b", "2026-11-10")];
    let cell = world.site();
    assert_eq!((cell.status, cell.next), (Status::Unknown, Some(day("2026-12-10"))));
    assert!(cell.because[0].contains("on 2026-11-10, was cut off"), "{:?}", cell.because);
    assert_eq!(cell.last_pass.unwrap().run_id, "a");
    world.rows.push(row("c", "2026-11-11"));
    assert_eq!(world.site().status, Status::Verified);
    // One that was an experiment, an exercise, somewhere else or earlier says nothing.
    let others: [fn(&mut CutOff); 4] = [
        |run| run.counts = Some(false),
        |run| run.tabletop = Some(true),
        |run| run.environment = Some("elsewhere".to_owned()),
        |run| run.started = Some("2026-10-30T12:00:00Z".parse().unwrap()),
    ];
    for change in others {
        let mut other = site_cut_off("b", "2026-11-10");
        change(&mut other);
        let mut world = World::new([row("a", "2026-11-01")]);
        world.cut_off = vec![other];
        assert_eq!(world.site().status, Status::Verified, "{:?}", world.cut_off);
    }
    // What was emulated is counted there, and an experiment nowhere.
    let mut world = World::new([row("a", "2026-11-01")]);
    let emulated = CutOff { emulated: Some(true), ..site_cut_off("b", "2026-11-02") };
    let tried = CutOff { counts: Some(false), ..site_cut_off("c", "2026-11-02") };
    world.cut_off = vec![emulated, tried];
    let quarter = world.quarter();
    assert_eq!((quarter.kpis.drills.n, quarter.kpis.drills.rate), (1, Some(1.0)));
    assert_eq!(quarter.emulated_kpis.unwrap().drills.cut_off, 1);
}

#[test]
fn nothing_is_told_from_damaged_evidence() {
    let mut world =
        World::new([failed("a", "2026-10-05"), row("b", "2026-11-01"), row("c", "2026-11-10")]);
    let whole = world.quarter();
    assert_eq!((whole.facts.findings_open, whole.kpis.drills.passed), (0, 2));
    for id in ["b", "c"] {
        world.evidence.insert(id.to_owned(), EvidenceState::Damaged);
    }
    let quarter = world.quarter();
    assert_eq!(quarter.coverage[0].status, Status::Unknown, "{:?}", quarter.coverage[0].because);
    assert_eq!((quarter.kpis.drills.passed, quarter.kpis.drills.cut_off), (0, 2));
    assert_eq!(quarter.facts.findings_open, 1);
    assert_eq!((quarter.drills.len(), quarter.kpis.rto.n), (1, 1));
    assert!(
        quarter.gaps.iter().any(|gap| gap.contains("evidence is damaged")),
        "{:?}",
        quarter.gaps
    );
}

#[test]
fn a_pass_that_nothing_proves_is_a_condition() {
    let mut zone = row("c", "2026-11-03");
    Arc::make_mut(&mut zone.scenario).name = "az_failure".to_owned();
    let mut world = World::new([row("a", "2026-08-24"), exercise("b", "2026-11-02"), zone]);
    world.program.plans.clear();
    assert_eq!(world.quarter().standing.verdict, StandingVerdict::Met);
    world.evidence.insert("a".to_owned(), EvidenceState::RecordAlone);
    let quarter = world.quarter();
    assert_eq!(quarter.standing.verdict, StandingVerdict::MetWithConditions);
    assert_eq!(
        (quarter.facts.doubted, quarter.coverage[0].evidence),
        (1, Some(EvidenceState::RecordAlone))
    );
    // A record that nobody can read may be of any of them.
    world.evidence.clear();
    world.cut_off = vec![CutOff { unreadable: Some("torn".to_owned()), ..cut_off("x", None) }];
    assert_eq!(world.quarter().standing.verdict, StandingVerdict::Inconclusive);
}

#[test]
fn what_is_not_in_force_yet_makes_nothing_stale_and_what_expired_is_a_condition() {
    let mut zone = row("c", "2026-11-03");
    Arc::make_mut(&mut zone.scenario).name = "az_failure".to_owned();
    let mut world = World::new([row("a", "2026-11-01"), exercise("b", "2026-11-02"), zone]);
    world.program.plans[0].since = day("2027-01-01");
    assert_eq!(world.quarter().standing.verdict, StandingVerdict::Met);
    let risk = |until: &str| {
        let text = format!(
            "{PROGRAM}accepted_risks: [{{ risk: one router, because: dear, by: Ada, on: 2026-01-01, until: {until} }}]\n"
        );
        let mut with = World::of(&text, world.rows.clone());
        with.program.plans.clear();
        with.quarter().standing
    };
    for until in ["2026-11-22", "2026-11-21"] {
        assert_eq!(risk(until).verdict, StandingVerdict::MetWithConditions, "{until}");
    }
    assert!(risk("2026-11-21").because[0].contains("accepted by nobody any more"));
}

#[test]
fn services_may_have_been_out_one_after_the_other() {
    let text = PROGRAM
        .replace(
            "services: [{ name: orders,",
            "services: [{ name: mail, tier: 2 }, { name: orders,",
        )
        .replace("services: [orders]", "services: [orders, mail]");
    let mut two = row("a", "2026-11-01");
    let mut mail = two.services[0].clone();
    mail.name = "mail".to_owned();
    mail.outage = Some(Interval { at_least_ms: 500.0, at_most_ms: Some(1_500.0) });
    two.services.push(mail);
    let costs = World::of(&text, [two]).quarter().costs;
    assert_eq!(costs[0].outage, Some(Interval { at_least_ms: 1_000.0, at_most_ms: Some(3_500.0) }));
}

#[test]
fn what_was_cut_off_did_not_pass_and_what_has_no_time_is_a_gap() {
    let mut world = World::new([row("a", "2026-11-01")]);
    world.cut_off = vec![
        cut_off("b", Some("2026-11-02")),
        cut_off("c", Some("2026-08-02")),
        cut_off("d", None),
    ];
    let quarter = world.quarter();
    assert_eq!((quarter.facts.cut_off, quarter.kpis.drills.rate), (1, Some(0.5)));
    assert!(quarter.gaps.iter().any(|gap| gap.contains("run d was cut off")), "{:?}", quarter.gaps);
}

#[test]
fn a_quarter_that_is_over_knows_nothing_of_what_came_after() {
    let mut world = World::new([failed("a", "2026-12-20"), row("b", "2027-01-05")]);
    world.today = day("2027-02-01");
    let quarter = world.quarter();
    assert_eq!((quarter.period.as_of, quarter.period.complete), (day("2026-12-31"), true));
    assert_eq!(quarter.coverage[0].status, Status::Failed);
    assert_eq!(quarter.facts.findings_open, 1);
}

#[test]
fn a_risk_that_was_accepted_is_a_condition() {
    let mut zone = row("c", "2026-11-03");
    Arc::make_mut(&mut zone.scenario).name = "az_failure".to_owned();
    let mut warned = row("a", "2026-11-01");
    warned.problems = vec![Problem {
        key: "blip".to_owned(),
        severity: drdrill_core::checker::Severity::Warning,
        verdict: Verdict::Pass,
        seen: vec!["a blip".to_owned()],
        owner: None,
        due: None,
    }];
    let mut world = World::new([warned, exercise("b", "2026-11-02"), zone]);
    let open = world.quarter();
    assert_eq!(
        (open.standing.verdict, open.facts.findings_open),
        (StandingVerdict::MetWithConditions, 1)
    );
    assert_eq!(open.drills[0].conclusion, Conclusion::PassedWithConditions);
    world.words = vec![Line {
        at: "2026-11-04T12:00:00Z".parse().unwrap(),
        by: "ada".to_owned(),
        finding: open.findings[0].id.clone(),
        about: String::new(),
        say: Say::Accept {
            by: "Ada".to_owned(),
            until: day("2026-12-31"),
            because: "rare".to_owned(),
        },
    }];
    let accepted = world.quarter();
    assert_eq!((accepted.facts.findings_open, accepted.facts.findings_accepted), (0, 1));
    assert_eq!(accepted.accepted_risks[0].finding.as_ref(), Some(&open.findings[0].id));
    assert_eq!(accepted.standing.verdict, StandingVerdict::MetWithConditions);
}

#[test]
fn what_is_not_in_the_program_is_told_apart() {
    let mut other = failed("a", "2026-11-01");
    Arc::make_mut(&mut other.environment).name = "elsewhere".to_owned();
    let quarter = World::new([other]).quarter();
    assert_eq!(quarter.outside.len(), 1);
    assert_eq!(
        (quarter.outside[0].environment.as_str(), quarter.outside[0].runs),
        ("elsewhere", 1)
    );
    assert_eq!(quarter.drills[0].class, None);
    // Its findings are shown, and are not those of the program.
    assert_eq!((quarter.findings.len(), quarter.facts.findings_outside), (1, 1));
    assert_eq!((quarter.facts.findings_open, quarter.facts.findings_critical), (0, 0));
    assert_eq!(quarter.standing.verdict, StandingVerdict::Inconclusive);
}

#[test]
fn the_order_of_what_it_is_made_of_is_none() {
    let rows = [failed("a", "2026-10-05"), row("b", "2026-11-01"), exercise("c", "2026-11-02")];
    let mut backwards = rows.clone();
    backwards.reverse();
    assert_eq!(World::new(rows).quarter(), World::new(backwards).quarter());
}

#[test]
fn the_most_urgent_is_due_first_and_a_drill_once_for_all_services() {
    let mut world = World::new([row("a", "2026-11-01"), exercise("b", "2026-11-02")]);
    let second = ServiceFacts { name: "mail".to_owned(), tier: 2, targets: targets() };
    world.present[0].places[0].services.push(second);
    let quarter = world.quarter();
    assert_eq!(quarter.coverage.len(), 4);
    let due: Vec<(&str, Date)> =
        quarter.next.iter().map(|due| (due.scenario.as_str(), due.on)).collect();
    assert_eq!(
        due,
        [
            ("az_failure", day("2026-11-22")),
            ("complete_site_failure", day("2026-11-22")),
            ("complete_site_failure", day("2026-12-03")),
        ]
    );
}

/// Ids of the rules that apply.
fn rules(quarter: &Quarter) -> Vec<&str> {
    quarter.recommendations.iter().map(|one| one.rule.as_str()).collect()
}

#[test]
fn every_rule_over_the_history_applies_when_it_says_and_not_otherwise() {
    let mut zone = row("c", "2026-11-03");
    Arc::make_mut(&mut zone.scenario).name = "az_failure".to_owned();
    let good = [row("a", "2026-11-01"), exercise("b", "2026-11-02"), zone];
    assert_eq!(rules(&World::new(good.clone()).quarter()), [""; 0]);
    let changed = |change: &dyn Fn(&mut World)| {
        let mut world = World::new(good.clone());
        change(&mut world);
        rules(&world.quarter()).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(changed(&|world| drop(world.rows.pop())), ["never_drilled"]);
    assert_eq!(changed(&|world| world.present[0].sha256.clear()), ["stale_evidence"]);
    assert_eq!(
        changed(&|world| world.program.drills[0].every = Some("5days".parse().unwrap())),
        ["overdue"]
    );
    assert_eq!(changed(&|world| world.program.functions[0].impact = None), ["impact_unknown"]);
    assert_eq!(
        changed(&|world| world.rows.push(failed("d", "2026-11-04"))),
        ["critical_finding_unowned"]
    );
    assert_eq!(
        changed(&|world| {
            world.rows.push(failed("0", "2026-10-31"));
            world.rows.push(failed("d", "2026-11-04"));
        }),
        ["finding_repeats", "critical_finding_unowned"]
    );
    // What is not in the program is counted, and not told at length.
    let with_outside = |ids: &[&str]| {
        let mut world = World::new(good.clone());
        for id in ids {
            let mut outside = failed(id, "2026-11-04");
            Arc::make_mut(&mut outside.scenario).name = format!("other_{id}");
            world.rows.push(outside);
        }
        world.rows.push(failed("z", "2026-11-05"));
        world.quarter().recommendations.remove(0).evidence
    };
    assert_eq!(with_outside(&[]).len(), 1);
    let told = with_outside(&["d", "e"]);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].starts_with("2 findings more of what is not in the program"), "{told:?}");
    // Slower than every one of the quarter before; one that overlaps is not.
    let slower = |before: f64| {
        changed(&|world| {
            let mut old = row("0", "2026-08-01");
            old.services[0].rto.at_most_ms = Some(before);
            world.rows.push(old);
        })
    };
    assert_eq!(slower(1_000.0), ["recovery_gets_slower"]);
    assert_eq!(slower(1_500.0), [""; 0]);
    // Three drills with more than ten times to spare.
    let roomy = |drills: &[&str], emulated: bool| {
        changed(&|world| {
            world.rows.remove(0);
            for id in drills {
                let mut fast = row(id, "2026-11-04");
                fast.services[0].rto.at_most_ms = Some(499.0);
                Arc::make_mut(&mut fast.environment).emulated = emulated;
                world.rows.push(fast);
            }
        })
    };
    assert_eq!(roomy(&["d", "e", "f"], false), ["targets_have_room"]);
    assert_eq!(roomy(&["d", "e"], false), [""; 0]);
    assert_eq!(roomy(&["d", "e", "f"], true), [""; 0]);
}

/// A record of a run that restored, whose steps ended so.
fn restored(id: &str, on: &str, outcomes: &[StepOutcome]) -> (RunRow, Record) {
    let mut record = Fixture::build(Case::Passed).record;
    record.run_id = id.to_owned();
    let step = record.steps[0].clone();
    let actions = ["verify_backups", "restore", "check_consistency"];
    record.steps = actions
        .iter()
        .zip(outcomes)
        .map(|(action, outcome)| Step {
            action: (*action).to_owned(),
            outcome: *outcome,
            detail: "what was seen".to_owned(),
            ..step.clone()
        })
        .collect();
    (row(id, on), record)
}

#[test]
fn backups_that_failed_or_that_nobody_restored_are_told() {
    use StepOutcome::{Done, Failed};
    let rules_of = |runs: Vec<(RunRow, Record)>, change: &dyn Fn(&mut World)| {
        let mut world = World::new(runs.iter().map(|(row, _)| row.clone()).collect::<Vec<_>>());
        world.records = runs.into_iter().map(|(_, record)| record).collect();
        change(&mut world);
        let quarter = world.quarter();
        let backups = rules(&quarter).into_iter().filter(|rule| rule.starts_with("backups_"));
        backups.map(str::to_owned).collect::<Vec<_>>()
    };
    let good = || restored("a", "2026-11-01", &[Done, Done, Done]);
    assert_eq!(rules_of(vec![good()], &|_| ()), [""; 0]);
    for outcomes in [vec![Failed], vec![Done, Failed], vec![Done, Done, Failed]] {
        let failed = restored("b", "2026-11-02", &outcomes);
        assert_eq!(rules_of(vec![good(), failed.clone()], &|_| ()), ["backups_failed"]);
        // What failed before and works now is mended; what must fail shows nothing of backups.
        let later = restored("c", "2026-11-03", &[Done, Done, Done]);
        assert_eq!(rules_of(vec![failed.clone(), later], &|_| ()), [""; 0]);
        let must_fail =
            |world: &mut World| Arc::make_mut(&mut world.rows[1].scenario).must_fail = true;
        assert_eq!(rules_of(vec![good(), failed], &must_fail), [""; 0]);
    }
    let without = restored("a", "2026-11-01", &[]);
    assert_eq!(rules_of(vec![without.clone()], &|_| ()), ["backups_untested"]);
    // Of what has no record nobody can tell, and where nothing was drilled it goes without saying.
    assert_eq!(rules_of(vec![without.clone()], &|world| world.records.clear()), [""; 0]);
    assert_eq!(rules_of(vec![without], &|world| world.rows.clear()), [""; 0]);
    let (row, record) = restored("a", "2026-11-01", &[Done, Done, Done]);
    let mut world = World::new([row]);
    world.records = vec![record];
    let quarter = world.quarter();
    assert_eq!(quarter.restores[0].consistent, Some(Done));
}

#[test]
fn what_is_told_is_relied_on_and_what_nobody_looked_at_claims_nothing() {
    let world = World::new([row("a", "2026-08-01"), row("b", "2026-11-01")]);
    // A claim stands on both.
    assert_eq!(world.relied_on(), ["a", "b"]);
    let mut half = World::new(world.rows.clone());
    half.evidence.insert("a".to_owned(), EvidenceState::NotChecked);
    let trend = &half.quarter().trends[0];
    assert_eq!(trend.claim.unwrap().n, 1);
    let unchecked: Vec<u64> = trend.quarters.iter().map(|point| point.unchecked).collect();
    assert_eq!(unchecked, [0, 0, 0, 1, 0]);
    // A finding that is open: the run that opened it and the last that shows it. One that was closed within a year: what closed it.
    let long_ago =
        [failed("a", "2025-01-01"), failed("b", "2025-02-01"), failed("c", "2025-03-01")];
    assert_eq!(World::new(long_ago.clone()).relied_on(), ["a", "c"]);
    let [first, ..] = long_ago;
    for (closed, relied_on) in [("2025-12-01", &["d", "e"][..]), ("2025-03-01", &["e"])] {
        let rows = [first.clone(), row("d", closed), row("e", "2026-11-01")];
        assert_eq!(World::new(rows).relied_on(), relied_on, "{closed}");
    }
    // A plan that was tested, though by no pass, and what is not in the program.
    let mut tested = failed("a", "2024-01-01");
    tested.problems.clear();
    assert_eq!(World::new([tested]).relied_on(), ["a"]);
    let mut outside = row("a", "2026-05-01");
    Arc::make_mut(&mut outside.environment).name = "elsewhere".to_owned();
    outside.faults = 0;
    assert_eq!(World::new([outside]).relied_on(), ["a"]);
}

#[test]
fn a_run_of_which_nothing_is_known_may_have_been_the_last_drill_of_anything() {
    let mut zone = row("c", "2026-11-03");
    Arc::make_mut(&mut zone.scenario).name = "az_failure".to_owned();
    let mut world = World::new([row("a", "2026-11-01"), exercise("b", "2026-11-02"), zone]);
    let with = |world: &mut World, on: &str| {
        world.cut_off = vec![cut_off("x", Some(on))];
        let quarter = world.quarter();
        (quarter.standing.verdict, quarter.facts.unreadable)
    };
    // All of it was drilled after the first of these; the second came after one of them.
    assert_eq!(with(&mut world, "2026-10-31"), (StandingVerdict::Met, 0));
    assert_eq!(with(&mut world, "2026-11-02"), (StandingVerdict::Inconclusive, 1));
    assert_eq!(with(&mut world, "2026-12-01"), (StandingVerdict::Met, 0));
    // Ids have whole seconds: it may have begun after a drill of the same second.
    for row in &mut world.rows {
        row.started = "2026-11-02T13:00:00.900Z".parse().unwrap();
    }
    assert_eq!(with(&mut world, "2026-11-02").1, 1);
}

#[test]
fn what_was_only_walked_through_is_not_called_proved() {
    let mut zone = row("c", "2026-11-03");
    Arc::make_mut(&mut zone.scenario).name = "az_failure".to_owned();
    let quarter = World::new([row("a", "2026-11-01"), exercise("b", "2026-11-02"), zone]).quarter();
    assert_eq!((quarter.facts.proved_in_time, quarter.facts.on_paper_alone), (2, 0));
    assert_eq!(
        quarter.standing.because,
        ["2 of 3 recoveries proved in time, and 1 walked through on paper beside it"]
    );
    // Without a drill of the same beside it, nothing was tried.
    let class = "{ scenario: complete_site_failure, environments: [lab], class: full, plan: site, participants: [commander, database], owner: Ada }";
    let text = PROGRAM.replace(&format!("  - {class}\n"), "");
    assert_ne!(text, PROGRAM);
    let mut world = World::of(&text, quarter_rows());
    world.program.plans.clear();
    let quarter = world.quarter();
    assert_eq!(quarter.facts.on_paper_alone, 1);
    assert_eq!(quarter.standing.verdict, StandingVerdict::MetWithConditions);
    assert!(quarter.standing.because[0].contains("on paper alone"), "{:?}", quarter.standing);
}

/// An exercise of the site, and a drill of a zone.
fn quarter_rows() -> [RunRow; 2] {
    let mut zone = row("c", "2026-11-03");
    Arc::make_mut(&mut zone.scenario).name = "az_failure".to_owned();
    [exercise("b", "2026-11-02"), zone]
}

#[test]
fn a_drill_that_was_cut_off_puts_nothing_off() {
    for (passed, next, overdue) in [
        ("2026-10-10", "2026-12-10", false),
        ("2026-08-30", "2026-11-28", false),
        ("2026-08-01", "2026-10-30", true),
    ] {
        let mut world = World::new([row("a", passed)]);
        world.cut_off = vec![site_cut_off("b", "2026-11-10")];
        let cell = world.site();
        assert_eq!((cell.next, cell.overdue), (Some(day(next)), overdue), "{passed}");
    }
    // What was cut off is to be repeated soon, however young the pass before it.
    let mut world = World::new([row("a", "2026-10-01")]);
    world.cut_off = vec![site_cut_off("b", "2026-10-10")];
    assert_eq!((world.site().next, world.site().overdue), (Some(day("2026-11-09")), true));
}

#[test]
fn what_was_damaged_is_not_said_to_have_been_cut_off() {
    let mut world = World::new([row("a", "2026-11-01"), row("b", "2026-11-02")]);
    world.evidence.insert("b".to_owned(), EvidenceState::Damaged);
    let tried = CutOff { counts: Some(false), ..site_cut_off("c", "2026-11-03") };
    world.cut_off = vec![tried, site_cut_off("d", "2026-11-04")];
    let facts = world.quarter().facts;
    assert_eq!((facts.cut_off, facts.damaged), (1, 1));
}
