//! One site: its service, and what clients and operators ask of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use drdrill_lab::client::{Answer, Client, ClientError};
use drdrill_lab::service::{FollowTarget, ServiceConfig, ServiceTiming, ServiceUser};
use drdrill_lab::{Role, database_path};
use hyper::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::eventually;
use super::node::Node;

pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const WORKER_TOKEN: &str = "worker";

/// A site with a running service.
pub(crate) struct Site {
    pub(crate) config: ServiceConfig,
    pub(crate) node: Node,
    pub(crate) client: Client,
}

/// The configuration of a service in a directory, on ports that the kernel chooses.
pub(crate) fn config(site: &str, directory: &Path, role: Role) -> ServiceConfig {
    let any = "127.0.0.1:0".parse().unwrap();
    ServiceConfig {
        site: site.to_owned(),
        data_dir: directory.join(site),
        http: any,
        admin: any,
        replication: any,
        role,
        epoch: 1,
        follow: None,
        synchronous: Vec::new(),
        fenced_at_start: false,
        token_secret: "shared by both sites".to_owned(),
        user: ServiceUser { name: "alice".to_owned(), password: PASSWORD.to_owned() },
        worker_token: WORKER_TOKEN.to_owned(),
        auth_url: None,
        timing: ServiceTiming { password_iterations: 16, ..ServiceTiming::default() },
        planted: None,
        die_with_starting_thread: false,
    }
}

impl Site {
    pub(crate) fn start(config: ServiceConfig) -> Self {
        let node = Node::start("service", &config);
        Self { config, node, client: Client::new(Duration::from_secs(10)) }
    }

    /// A primary, and a standby that follows it.
    pub(crate) fn pair(directory: &Path, timing: ServiceTiming) -> (Self, Self) {
        let mut primary = config("primary", directory, Role::Primary);
        primary.timing = timing;
        let primary = Self::start(primary);
        let mut standby = config("dr", directory, Role::Standby);
        standby.timing = timing;
        standby.follow = Some(primary.as_source());
        (primary, Self::start(standby))
    }

    /// Kills the service and starts it again on the same data and other ports.
    pub(crate) fn restart(&mut self) {
        self.node.kill();
        self.node = Node::start("service", &self.config);
    }

    pub(crate) fn database(&self) -> PathBuf {
        database_path(&self.config.data_dir)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.node.ready("http"))
    }

    /// What a standby of this site follows.
    pub(crate) fn as_source(&self) -> FollowTarget {
        FollowTarget { source: self.node.ready("replication"), leader_url: self.url() }
    }

    pub(crate) async fn login(&self) -> String {
        let body = json!({ "user": "alice", "password": PASSWORD });
        let answer = self.call(Method::POST, "/login", None, &body).await.unwrap();
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        answer.json::<Value>().unwrap()["token"].as_str().unwrap().to_owned()
    }

    /// Writes one entry.
    pub(crate) async fn put(
        &self,
        token: &str,
        id: &str,
        sequence: u64,
        value: &str,
    ) -> Result<Answer, ClientError> {
        let path = format!("/entries/{id}");
        self.call(Method::PUT, &path, Some(token), &entry(sequence, value)).await
    }

    /// Writes entries `<prefix>-0` and on, and expects each to be acknowledged as new.
    pub(crate) async fn put_many(&self, token: &str, prefix: &str, count: u64) {
        for sequence in 0..count {
            let id = format!("{prefix}-{sequence}");
            let answer = self.put(token, &id, sequence, &format!("value of {id}")).await.unwrap();
            assert_eq!(answer.status, 201, "{:?}", answer.body);
        }
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        let url = format!("{}{path}", self.url());
        self.client.send(Method::GET, &url, Some(token), "").await.unwrap()
    }

    /// The audit of a prefix, one value per line.
    pub(crate) async fn audit(&self, token: &str, prefix: &str) -> Vec<Value> {
        let answer = self.get(token, &format!("/entries?prefix={prefix}")).await;
        assert_eq!(answer.status, 200);
        let lines = answer.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> Result<Answer, ClientError> {
        let url = format!("{}{path}", self.url());
        self.client.send(method, &url, token, body.to_string()).await
    }

    /// An operator's step: its status code and the status of the site.
    pub(crate) async fn admin(&self, step: &str, body: Value) -> (u16, Value) {
        let url = format!("http://{}{step}", self.node.ready("admin"));
        let answer = self.client.send(Method::POST, &url, None, body.to_string()).await.unwrap();
        (answer.status.as_u16(), answer.json().unwrap())
    }

    pub(crate) async fn promote(&self, epoch: u64) {
        let (status, body) = self.admin("/promote", json!({ "epoch": epoch })).await;
        assert_eq!(status, 200, "{body}");
    }

    pub(crate) async fn status(&self) -> Value {
        let url = format!("http://{}/status", self.node.ready("admin"));
        let answer = self.client.send(Method::GET, &url, None, "").await.unwrap();
        answer.json().unwrap()
    }

    pub(crate) async fn lsn(&self) -> u64 {
        self.status().await["lsn"].as_u64().unwrap()
    }

    /// Waits until this site has everything up to an lsn.
    pub(crate) async fn catch_up(&self, lsn: u64) {
        eventually(&format!("{} has lsn {lsn}", self.config.site), async || {
            (self.lsn().await >= lsn).then_some(())
        })
        .await;
    }
}

/// The body of a write.
pub(crate) fn entry(sequence: u64, value: &str) -> Value {
    let checksum = hex::encode(Sha256::digest(value));
    json!({ "sequence": sequence, "value": value, "checksum": checksum })
}
