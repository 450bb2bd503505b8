//! The undo where a copy has become the server, where the struck server is gone, and where a strike still goes on.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use drdrill_core::action::{Action, Reverter, Tag};
use drdrill_core::containers::Containers;
use drdrill_core::data::DataPlace;
use drdrill_faults::data::fault::Harm;
use drdrill_faults::data::reverter::DataReverter;

use crate::{Host, undone};

#[tokio::test]
async fn a_copy_that_has_taken_over_is_put_right_also_where_the_struck_server_is_gone() {
    let (one, two) = (Host::new(), Host::new());
    let before = one.rows();
    let mut fault = one.fault(Harm::Corrupt(7));
    let mut follower = two.place();
    follower.container = "two".to_owned();
    let DataPlace::Postgres { followers, .. } = &mut fault.tables[0].place else { panic!() };
    followers.push(follower);
    let tag = Tag::new("20261122-a1", 1);
    let (node, params) = undone(fault.plan(&tag).await.unwrap());
    fault.apply(&tag).await.unwrap();
    fault.observe(&tag).await.unwrap();
    // As replication would have brought them.
    let file = one.path("saved/replicated").display().to_string();
    one.psql(&format!("COPY entries TO '{file}'"));
    let replicate = || two.psql(&format!("TRUNCATE entries; COPY entries FROM '{file}'"));
    replicate();
    assert_ne!(two.rows(), before);
    let reverter = one.reverter();
    assert_eq!(reverter.residue(&node, &params).await.unwrap().len(), 2);

    // It is there, and answers nothing.
    one.stop();
    reverter.revert(&node, &params).await.unwrap_err();
    assert_eq!(two.rows(), before);
    reverter.residue(&node, &params).await.unwrap_err();

    // It is not there, and so goes with the run.
    replicate();
    *one.absent.lock().unwrap() = "one";
    reverter.revert(&node, &params).await.unwrap();
    assert_eq!(two.rows(), before);
    assert_eq!(reverter.residue(&node, &params).await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_strike_that_still_goes_on_is_ended_by_the_undo() {
    let host = Host::new();
    let before = host.rows();
    let fault = Arc::new(host.fault(Harm::Corrupt(7)));
    let tag = Tag::new("20261122-a1", 1);
    let (node, params) = undone(fault.plan(&tag).await.unwrap());
    // Somebody holds a row, so the strike waits before it is done.
    let holder = host.clone();
    let held = thread::spawn(move || {
        holder.psql("BEGIN; SELECT FROM entries FOR UPDATE; SELECT pg_sleep(60); COMMIT")
    });
    let waits = |what: &str, sql: &str| {
        let give_up = Instant::now() + Duration::from_secs(20);
        while host.psql(sql) != "1" {
            assert!(Instant::now() < give_up, "{what}");
            thread::sleep(Duration::from_millis(10));
        }
    };
    waits("it is held", "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    let (striking, struck_by) = (fault.clone(), tag.clone());
    let strike = tokio::spawn(async move { striking.apply(&struck_by).await });
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{}' AND wait_event_type = 'Lock'",
        tag.as_str()
    );
    waits("it strikes", &sql);
    let reverter = DataReverter { containers: Some(host.clone() as Arc<dyn Containers>) };
    reverter.revert(&node, &params).await.unwrap();
    assert_eq!(reverter.residue(&node, &params).await.unwrap(), Vec::<String>::new());
    strike.await.unwrap().unwrap_err();
    host.psql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    held.join().unwrap_err();
    assert_eq!(host.rows(), before);
}
