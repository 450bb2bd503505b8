//! Starting programs, writing entries, looking into databases.

pub(crate) mod databases;
pub(crate) mod load;
pub(crate) mod node;
pub(crate) mod proxy;
pub(crate) mod site;

use std::time::{Duration, Instant};

/// The longest that anything in these tests may take to come true.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again and again until the answer is there.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
