//! Clients that write until they are stopped, and remember what was promised to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinHandle;

use super::site::{Site, entry};

/// One acknowledged write.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    pub(crate) id: String,
    pub(crate) lsn: u64,
    pub(crate) sent: Instant,
}

/// Clients at work.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Acknowledged>>>,
}

impl Load {
    /// Some clients that each write one entry after the other.
    pub(crate) fn start(site: &Site, token: &str, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..clients)
            .map(|number| {
                let (client, url, token) = (site.client.clone(), site.url(), token.to_owned());
                let stop = Arc::clone(&stop);
                tokio::spawn(async move {
                    let mut acknowledged = Vec::new();
                    for sequence in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let id = format!("load-{number}-{sequence}");
                        let body = entry(sequence, &format!("value of {id}")).to_string();
                        let sent = Instant::now();
                        let url = format!("{url}/entries/{id}");
                        match client.send(hyper::Method::PUT, &url, Some(&token), body).await {
                            Ok(answer) if answer.status == 201 => {
                                let lsn = answer.json::<Value>().unwrap()["lsn"].as_u64().unwrap();
                                acknowledged.push(Acknowledged { id, lsn, sent });
                            }
                            Ok(_) => break,
                            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                        }
                    }
                    acknowledged
                })
            })
            .collect();
        Self { stop, clients }
    }

    /// Stops the clients; what was acknowledged, in the order of the change log.
    pub(crate) async fn finish(self) -> Vec<Acknowledged> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for client in self.clients {
            all.extend(client.await.unwrap());
        }
        all.sort_by_key(|write| write.lsn);
        all
    }
}
