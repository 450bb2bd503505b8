//! Takes a whole lab down knowing only what the ledger knows: for the end of a drill and for the keeper alike.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Reverter, Undo};
use drdrill_core::containers::Containers;
use drdrill_core::environment::LinkControl;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::processes;

/// Kind of the undo.
const KIND: &str = "lab";
/// Time processes may take to be gone once they were killed. Tearing down memory dominates: measured 13 to 19 ms for
/// 256 MiB.
const GONE_TIMEOUT: Duration = Duration::from_secs(5);

/// What an engine was asked just before its client went away it has done after this time; measured: a container is made in 0.3 s.
const SETTLED: Duration = Duration::from_secs(2);
/// Time that removing containers may take in one try.
const REMOVED_WITHIN: Duration = Duration::from_secs(7);

/// What the ledger knows of a lab.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LabUndo {
    pub(super) run_id: String,
    pub(super) dir: String,
    /// Base URL of a Toxiproxy server that is not the lab's own, and outlives it.
    pub(super) external_proxies: Option<String>,
    /// Whether its sites are containers.
    #[serde(default)]
    pub(super) containers: bool,
    /// Where the engine is that has them.
    #[serde(default)]
    pub(super) engine: Option<String>,
}

impl LabUndo {
    pub(super) fn to_undo(&self) -> Undo {
        Undo::Revert {
            kind: KIND.to_owned(),
            node: format!("lab of run {}", self.run_id),
            // A struct of strings always becomes JSON.
            params: serde_json::to_value(self).unwrap_or_default(),
        }
    }

    /// What the names of this lab's proxies begin with.
    pub(super) fn proxy_prefix(&self) -> String {
        format!("drdrill-{}-", self.run_id)
    }
}

/// Makes the control of a proxy server from its base URL.
pub type MakeLinks = fn(&str) -> Result<Arc<dyn LinkControl>, ActionError>;

/// Finds the container engine at an address, or where it usually is.
pub type FindEngine = fn(Option<String>) -> Arc<dyn Containers>;

/// Takes labs down.
#[derive(Debug)]
pub struct LabReverter {
    make_links: MakeLinks,
    find_engine: FindEngine,
}

impl LabReverter {
    /// A reverter that reaches external proxy servers through `make_links`, and engines through `find_engine`.
    #[must_use]
    pub const fn new(make_links: MakeLinks, find_engine: FindEngine) -> Self {
        Self { make_links, find_engine }
    }

    /// Removes the containers of a lab, until none has appeared for a while. An engine carries out what it was asked also when
    /// nobody waits for that any more; and what somebody else is removing just now it refuses to remove.
    async fn remove_containers(&self, lab: &LabUndo) -> Result<(), ActionError> {
        let (containers, run_id) = ((self.find_engine)(lab.engine.clone()), &lab.run_id);
        let began = Instant::now();
        let (mut nothing_since, mut settled) = (None, SETTLED);
        loop {
            let asked = Instant::now();
            let removed = containers.remove(run_id).await;
            let left = match removed {
                Ok(()) => containers.found(run_id).await.map(|found| !found.is_empty()),
                Err(error) => Err(error),
            };
            let now = Instant::now();
            // An engine that is slow to answer is slow to make what it was asked for, too.
            settled = settled.max((now - asked) * 10).min(2 * SETTLED);
            match left {
                Ok(false) => {
                    let since = *nothing_since.get_or_insert(now);
                    if now - since >= settled {
                        return Ok(());
                    }
                }
                // Whoever called looks at what is left.
                Ok(true) if now - began >= REMOVED_WITHIN => return Ok(()),
                Err(error) if now - began >= REMOVED_WITHIN => return Err(error),
                Ok(true) | Err(_) => nothing_since = None,
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn external_proxies(
        &self,
        lab: &LabUndo,
    ) -> Result<Option<(Arc<dyn LinkControl>, Vec<String>)>, ActionError> {
        let Some(api) = &lab.external_proxies else { return Ok(None) };
        let links = (self.make_links)(api)?;
        let prefix = lab.proxy_prefix();
        let names =
            links.names().await?.into_iter().filter(|name| name.starts_with(&prefix)).collect();
        Ok(Some((links, names)))
    }
}

/// Reads an undo. What it names is removed, so it must be a lab's directory and nothing else.
fn parse(node: &str, params: &Value) -> Result<LabUndo, ActionError> {
    let fail = |reason: String| ActionError::new("read the undo of", node, reason);
    let lab: LabUndo =
        serde_json::from_value(params.clone()).map_err(|error| fail(error.to_string()))?;
    let is_id = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    let sound = !lab.run_id.is_empty()
        && lab.run_id.bytes().all(is_id)
        && Path::new(&lab.dir).ends_with(format!("runs/{}/lab", lab.run_id));
    if sound { Ok(lab) } else { Err(fail(format!("{} is no directory of a lab", lab.dir))) }
}

#[async_trait]
impl Reverter for LabReverter {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn revert(&self, node: &str, params: &Value) -> Result<(), ActionError> {
        let lab = parse(node, params)?;
        let fail = |error: io::Error| ActionError::new("end the processes of", node, error);
        let give_up = Instant::now() + GONE_TIMEOUT;
        loop {
            // Again and again, because a process may start another between the look and the kill.
            let left = processes::marked(&lab.run_id).map_err(fail)?;
            if left.is_empty() || Instant::now() >= give_up {
                break;
            }
            for process in &left {
                drdrill_process::kill(process).map_err(fail)?;
            }
            sleep(Duration::from_millis(2)).await;
        }
        if lab.containers {
            self.remove_containers(&lab).await?;
        }
        if let Some((links, names)) = self.external_proxies(&lab).await? {
            for name in names {
                links.delete(&name).await?;
            }
        }
        let dir = lab.dir.clone();
        // Off the runtime, so that a disk that hangs cannot outlast the try.
        let removed = tokio::task::spawn_blocking(move || fs::remove_dir_all(dir)).await;
        match removed.map_err(|error| ActionError::new("remove", &lab.dir, error))? {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ActionError::new("remove", &lab.dir, error))
            }
            _ => Ok(()),
        }
    }

    async fn residue(&self, node: &str, params: &Value) -> Result<Vec<String>, ActionError> {
        let lab = parse(node, params)?;
        let left = processes::marked(&lab.run_id)
            .map_err(|error| ActionError::new("look for the processes of", node, error))?;
        let mut residue: Vec<String> =
            left.iter().map(|process| format!("process {}", process.pid)).collect();
        if let Some((_, names)) = self.external_proxies(&lab).await? {
            residue.extend(names.into_iter().map(|name| format!("proxy {name}")));
        }
        if lab.containers {
            let containers = (self.find_engine)(lab.engine.clone());
            residue.extend(containers.found(&lab.run_id).await?);
        }
        if Path::new(&lab.dir).exists() {
            residue.push(format!("directory {}", lab.dir));
        }
        Ok(residue)
    }

    fn by_hand(&self, _: &str, params: &Value) -> String {
        let (run, dir) = (params["run_id"].as_str().unwrap_or_default(), &params["dir"]);
        let containers = if params["containers"] == Value::Bool(true) {
            let of_run = format!("--filter label=drdrill.run={run}");
            let engine = params["engine"].as_str();
            let docker = engine.map_or_else(|| "docker".to_owned(), |at| format!("docker -H {at}"));
            format!(
                "{docker} ps -aq {of_run} | xargs -r {docker} rm -fv; {docker} network ls -q {of_run} | \
                 xargs -r {docker} network rm; {docker} volume ls -q {of_run} | xargs -r {docker} volume rm; "
            )
        } else {
            String::new()
        };
        format!(
            "{containers}grep -lsz '^{}={run}$' /proc/[0-9]*/environ | cut -d/ -f3 | xargs -r kill -9; rm -rf {dir}",
            super::node::MARK,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_directory_of_a_lab_is_ever_removed() {
        let undo = |run_id: &str, dir: &str| {
            let params =
                serde_json::json!({ "run_id": run_id, "dir": dir, "external_proxies": null });
            parse("test", &params).is_ok()
        };
        assert!(undo("20261121-a1", "/state/runs/20261121-a1/lab"));
        for (run_id, dir) in [
            ("20261121-a1", "/home"),
            ("20261121-a1", "/state/runs/other/lab"),
            ("20261121-a1", "/state/runs/20261121-a1/lab/.."),
            ("..", "/state/runs/../lab"),
            ("", "/state/runs//lab"),
        ] {
            assert!(!undo(run_id, dir), "{dir}");
        }
    }
}
