use std::time::Instant;

use rusqlite::Connection;

use super::*;

fn exec(command: &[&str]) -> ExecCheck {
    let command = command.iter().map(|&word| word.to_owned()).collect();
    ExecCheck { command, output_contains: None }
}

fn checks(what: Try, limit: Duration) -> Checks {
    Checks::new(vec![NamedTry { name: "mine".to_owned(), timeout: limit, what }], None)
}

async fn tried(what: Try) -> (bool, String) {
    let Function { works, detail } = checks(what, Duration::from_mins(1)).check("mine").await;
    (works, detail)
}

#[tokio::test]
async fn a_program_works_when_it_ends_with_exit_code_0() {
    let (works, said) = tried(Try::Exec(exec(&["/bin/echo", "hello", "$HOME;", "*"]))).await;
    assert!(works && said == "exit code 0: hello $HOME; *", "no shell reads it: {said}");
    let (works, said) = tried(Try::Exec(exec(&["/bin/ls", "/nowhere"]))).await;
    assert!(!works && said.contains("exit status: 2: ") && said.contains("/nowhere"), "{said}");
    let (works, said) = tried(Try::Exec(exec(&["/nowhere/program"]))).await;
    assert!(!works && said.contains("start /nowhere/program: No such file"), "{said}");
}

#[tokio::test]
async fn what_a_program_prints_can_be_asked_for() {
    let mut check = exec(&["/bin/echo", "3 orders"]);
    check.output_contains = Some("3 orders".to_owned());
    assert!(tried(Try::Exec(check.clone())).await.0);
    check.output_contains = Some("4 orders".to_owned());
    let (works, said) = tried(Try::Exec(check)).await;
    assert!(!works && said == "it printed no `4 orders`: 3 orders", "{said}");
}

#[tokio::test]
async fn a_program_gets_nothing_of_our_environment() {
    let (works, said) = tried(Try::Exec(exec(&["/usr/bin/env"]))).await;
    assert!(works && !said.contains("CARGO") && said.contains("PATH="), "{said}");
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_killed_with_all_it_started() {
    let word = format!("3600.{}", std::process::id());
    // Two sleeps: the shell's own, and one in the background that would keep the output open.
    let script = format!("sleep {word} & sleep {word}");
    let what = Try::Exec(exec(&["/bin/sh", "-c", &script]));
    let began = Instant::now();
    let function = checks(what, Duration::from_millis(500)).check("mine").await;
    assert!(!function.works && function.detail == "not done within 500ms", "{function:?}");
    assert!(began.elapsed() < Duration::from_secs(30));
    let sleeping = || {
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let lines = processes.filter_map(|one| std::fs::read(one.path().join("cmdline")).ok());
        lines.filter(|line| String::from_utf8_lossy(line).contains(&format!("{word}\0"))).count()
    };
    let give_up = Instant::now() + Duration::from_secs(10);
    while sleeping() > 0 {
        assert!(Instant::now() < give_up, "{} sleep on", sleeping());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_program_that_prints_for_ever_costs_no_memory_and_no_more_than_its_time() {
    let what = Try::Exec(exec(&["/usr/bin/yes"]));
    let function = checks(what, Duration::from_millis(300)).check("mine").await;
    assert_eq!(function.detail, "not done within 300ms");
    let mut check = exec(&["/usr/bin/seq", "1", "200000"]);
    check.output_contains = Some("200000".to_owned());
    let (works, said) = tried(Try::Exec(check)).await;
    assert!(!works && said.starts_with("it printed no `200000`: 1\n2\n"), "only so much is kept");
}

#[tokio::test]
async fn a_query_is_asked_and_judged() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("shop.db");
    let database = Connection::open(&file).unwrap();
    database
        .execute_batch(
            "CREATE TABLE orders (id, state); INSERT INTO orders VALUES (1, 'paid'), (2, 'paid')",
        )
        .unwrap();
    let ask = async |query: &str, at_least: Option<i64>, equals: Option<&str>| {
        let file = file.to_str().unwrap().to_owned();
        let equals = equals.map(str::to_owned);
        tried(Try::Sqlite(SqliteCheck { file, query: query.to_owned(), at_least, equals })).await
    };
    let count = "SELECT count(*) FROM orders";
    assert_eq!(ask(count, Some(2), None).await, (true, "the query found 2".to_owned()));
    assert_eq!(ask(count, Some(3), None).await, (false, "2, which is less than 3".to_owned()));
    let state = "SELECT state FROM orders WHERE id = 1";
    assert!(ask(state, None, Some("paid")).await.0);
    assert_eq!(ask(state, None, Some("open")).await, (false, "`paid`, not `open`".to_owned()));
    assert_eq!(ask(state, Some(1), None).await, (false, "`paid` is no number".to_owned()));
    let none = ask("SELECT id FROM orders WHERE id = 9", None, None).await;
    assert_eq!(none, (false, "the query found no row".to_owned()));
    assert!(ask("SELECT no FROM orders", None, None).await.1.contains("no such column"));
    for change in ["DELETE FROM orders", "DROP TABLE orders"] {
        assert!(!ask(change, None, None).await.0, "{change}");
    }
    assert!(ask(count, Some(2), None).await.0, "nothing was changed");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("absent.db");
    let query = "SELECT 1".to_owned();
    let check = SqliteCheck {
        file: file.to_str().unwrap().to_owned(),
        query,
        at_least: None,
        equals: None,
    };
    let (works, said) = tried(Try::Sqlite(check)).await;
    assert!(!works && said.contains("open ") && said.contains("absent.db"), "{said}");
    assert!(!file.exists());
}

#[tokio::test]
async fn a_query_without_an_end_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("shop.db");
    Connection::open(&file).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let query =
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n";
    let check = SqliteCheck {
        file: file.to_str().unwrap().to_owned(),
        query: query.to_owned(),
        at_least: None,
        equals: None,
    };
    let function = checks(Try::Sqlite(check), Duration::from_millis(200)).check("mine").await;
    // The runtime of this test waits for its blocking tasks, so it would hang if the query went on.
    assert_eq!(function.detail, "not done within 200ms");
}

#[derive(Debug)]
struct Others;

#[async_trait]
impl Functions for Others {
    fn names(&self) -> Vec<String> {
        vec!["mine".to_owned(), "theirs".to_owned()]
    }
    async fn check(&self, name: &str) -> Function {
        Function { works: name == "theirs", detail: name.to_owned() }
    }
}

#[tokio::test]
async fn ones_own_check_takes_the_place_of_the_environments() {
    let own = NamedTry {
        name: "mine".to_owned(),
        timeout: Duration::from_mins(1),
        what: Try::Exec(exec(&["/bin/true"])),
    };
    let checks = Checks::new(vec![own], Some(Arc::new(Others)));
    assert_eq!(checks.names(), ["mine", "theirs"]);
    assert!(checks.check("mine").await.works);
    assert_eq!(checks.check("theirs").await.detail, "theirs");
    let alone = Checks::new(Vec::new(), None).check("mine").await;
    assert_eq!(alone.detail, "there is no check `mine`; there are none");
}
