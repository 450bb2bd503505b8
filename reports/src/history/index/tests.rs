use super::*;
use crate::testkit::{Case, Fixture};
use std::sync::Arc;

fn row(id: &str) -> RunRow {
    RunRow { run_id: id.to_owned(), ..RunRow::of(&Fixture::build(Case::Failed).record).unwrap() }
}

fn ids(index: &Index, filter: &Filter) -> Vec<String> {
    index.query(filter).unwrap().into_iter().map(|row| row.run_id).collect()
}

#[test]
fn what_was_entered_is_found_again_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let row = row("a");
    let (index, why) = Index::open(&path).unwrap();
    assert_eq!(why.as_deref(), Some("there was none"));
    index.enter([&row]).unwrap();
    drop(index);
    let (index, why) = Index::open(&path).unwrap();
    assert_eq!(why, None);
    assert_eq!(index.query(&Filter::default()).unwrap(), std::slice::from_ref(&row));
    // Again, and changed: the newer entry counts, with its services alone.
    let changed = RunRow { services: Vec::new(), imported: true, ..row };
    index.enter([&changed]).unwrap();
    assert_eq!(index.query(&Filter::default()).unwrap(), [changed]);
    let services: u32 =
        index.connection.query_row("SELECT count(*) FROM services", [], |row| row.get(0)).unwrap();
    assert_eq!(services, 0);
    index.forget(["a"]).unwrap();
    assert_eq!(index.ids().unwrap(), BTreeSet::new());
}

#[test]
fn a_filter_leaves_what_it_asks_for() {
    let index = Index::in_memory().unwrap();
    let mut rows: Vec<RunRow> = ["a", "b", "c", "d"].map(row).to_vec();
    for (day, row) in (1..).zip(&mut rows) {
        row.started = format!("2026-11-0{day}T12:00:00Z").parse().unwrap();
    }
    Arc::make_mut(&mut rows[1].scenario).name = "az_failure".to_owned();
    Arc::make_mut(&mut rows[2].environment).name = "shop".to_owned();
    rows[3].verdict = Verdict::Pass;
    // The order in which they come in is none.
    index.enter(rows.iter().rev()).unwrap();
    let all = Filter::default();
    let cases = [
        (all.clone(), vec!["a", "b", "c", "d"]),
        (Filter { scenarios: vec!["az_failure".to_owned()], ..all.clone() }, vec!["b"]),
        (Filter { environments: vec!["lab".to_owned()], ..all.clone() }, vec!["a", "b", "d"]),
        (Filter { ended: vec![Ended::With(Verdict::Pass)], ..all.clone() }, vec!["d"]),
        (Filter { ended: vec![Ended::CutOff], ..all.clone() }, vec![]),
        (Filter { since: Some(rows[1].started), ..all.clone() }, vec!["b", "c", "d"]),
        (Filter { until: Some(rows[1].started), ..all.clone() }, vec!["a"]),
        (Filter { newest: Some(2), ..all.clone() }, vec!["c", "d"]),
        (Filter { scenarios: vec!["' OR 1 --".to_owned()], ..all.clone() }, vec![]),
    ];
    for (filter, expected) in cases {
        assert_eq!(ids(&index, &filter), expected, "{filter:?}");
    }
}

#[test]
fn what_is_damaged_or_of_another_schema_is_replaced_and_says_why() {
    type Spoil = fn(&Path);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let spoil: [(Spoil, &str); 4] = [
        (
            |path| fs::write(path, "not a database, but long enough to be looked at").unwrap(),
            "not a database",
        ),
        (|path| fs::write(path, "").unwrap(), "schema is 0"),
        (
            |path| {
                let connection = Connection::open(path).unwrap();
                connection.pragma_update(None, "user_version", 999).unwrap();
            },
            "schema is 999",
        ),
        (
            |path| {
                // The head is whole; what comes after it is not.
                let mut bytes = fs::read(path).unwrap();
                bytes.truncate(2000);
                fs::write(path, bytes).unwrap();
            },
            "malformed",
        ),
    ];
    for (spoil, why) in spoil {
        drop(Index::anew(&path).unwrap());
        spoil(&path);
        let (index, said) = Index::open(&path).unwrap();
        assert!(said.as_deref().is_some_and(|said| said.contains(why)), "{why}: {said:?}");
        index.enter([&row("a")]).unwrap();
        assert_eq!(ids(&index, &Filter::default()), ["a"]);
    }
}

#[test]
fn damage_that_shows_only_later_is_told_apart_from_other_errors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let (index, _) = Index::open(&path).unwrap();
    index.enter([&row("a")]).unwrap();
    index.connection.execute("UPDATE runs SET row = '{}'", []).unwrap();
    assert!(matches!(index.query(&Filter::default()), Err(IndexError::Damaged { .. })));
    index.connection.execute_batch("DROP TABLE services; DROP TABLE runs").unwrap();
    assert!(matches!(index.query(&Filter::default()), Err(IndexError::Damaged { .. })));
    let nowhere = dir.path().join("missing").join("history.db");
    assert!(matches!(Index::open(&nowhere), Err(IndexError::Unusable { .. })));
}

#[test]
fn one_that_others_use_is_not_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let (used, _) = Index::open(&path).unwrap();
    used.enter([&row("a")]).unwrap();
    assert!(matches!(Index::anew(&path), Err(IndexError::Busy { .. })));
    assert_eq!(ids(&used, &Filter::default()), ["a"]);
}

#[test]
fn many_write_at_once_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    thread::scope(|scope| {
        for writer in 0..8 {
            let path = &path;
            scope.spawn(move || {
                for number in 0..25 {
                    let (index, _) = Index::open(path).unwrap();
                    index.enter([&row(&format!("{writer}-{number}"))]).unwrap();
                }
            });
        }
    });
    let (index, why) = Index::open(&path).unwrap();
    assert_eq!(why, None);
    assert_eq!(index.ids().unwrap().len(), 200);
}

#[test]
fn a_hundred_thousand_runs_are_found_through_an_index() {
    let index = Index::in_memory().unwrap();
    let like = row("x");
    let rows: Vec<RunRow> = (0..100_000_i64)
        .map(|number| {
            let mut row = like.clone();
            row.run_id = format!("{number:06}");
            row.started += chrono::TimeDelta::minutes(number);
            Arc::make_mut(&mut row.scenario).name = format!("scenario_{}", number % 1000);
            row
        })
        .collect();
    index.enter(&rows).unwrap();
    let filter = Filter { scenarios: vec!["scenario_7".to_owned()], ..Filter::default() };
    let found = ids(&index, &filter);
    assert_eq!((found.len(), found[0].as_str()), (100, "000007"));
    let plan = index.query_plan(&filter).unwrap();
    assert!(plan.contains("USING INDEX runs_by_scenario") && !plan.contains("SCAN"), "{plan}");
    let newest = Filter { newest: Some(3), ..Filter::default() };
    assert_eq!(ids(&index, &newest), ["099997", "099998", "099999"]);
    assert!(index.query_plan(&newest).unwrap().contains("runs_by_time"));
}
