//! A system that is already there: drdrill watches it, and may disturb the network of its nodes, end and start again its
//! processes, and fill its disks, where the environment file says so.

mod processes;
mod writes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Undo};
use drdrill_core::directory::Directory;
use drdrill_core::dns::DnsCall;
use drdrill_core::environment::{Environment, Power, ProbeStream, ProcessControl, WriteAudit};
use drdrill_core::inventory::{
    Attempt, HostDirectory, HostNode, HostProbe, HostSpec, Inventory, PostgresAttempt,
    RedisAttempt, RedisCommand, S3Attempt, S3Request, SecretSource, ServiceFacts, SiteName,
    StatementSpec,
};
use drdrill_core::network::NetworkNode;
use drdrill_core::postgres::{OpenTable, PostgresCall, Rows, Server, Statement};
use drdrill_core::probe::Call;
use drdrill_core::redis::{Command, RedisCall};
use drdrill_core::s3::{Request, S3Call};
use drdrill_core::secret::Secret;

use crate::secrets;

/// A system that is already there.
#[derive(Debug)]
pub struct Host {
    name: String,
    services: Vec<ServiceFacts>,
    spec: HostSpec,
    /// Whether the file has functionality checks.
    has_checks: bool,
    /// Where the evidence of the run goes.
    run_dir: PathBuf,
    /// What tells the writes of this drill from those of others.
    run_id: String,
    open_table: OpenTable,
    /// Whether the table of the writes was created, once that is known.
    created: OnceLock<bool>,
}

impl Host {
    /// The system of `inventory`, whose provider is `spec`, for the run `run_id` whose evidence goes to `run_dir`.
    #[must_use]
    pub fn new(
        inventory: &Inventory,
        spec: &HostSpec,
        run_id: &str,
        run_dir: &Path,
        open_table: OpenTable,
    ) -> Self {
        Self {
            name: inventory.environment.clone(),
            services: inventory.services.clone(),
            spec: spec.clone(),
            has_checks: !inventory.checks.is_empty(),
            run_dir: run_dir.to_owned(),
            run_id: run_id.to_owned(),
            open_table,
            created: OnceLock::new(),
        }
    }
}

/// The sites of a system's nodes, processes and directories, which are the roles that scenarios may use, in the order of
/// the file.
#[must_use]
pub fn sites(spec: &HostSpec) -> Vec<SiteName> {
    let nodes = spec.nodes.iter().map(|node| &node.site);
    let processes = spec.processes.iter().map(|process| &process.site);
    let directories = spec.directories.iter().map(|directory| &directory.site);
    let mut sites: Vec<SiteName> = Vec::new();
    for site in nodes.chain(processes).chain(directories) {
        if !sites.contains(site) {
            sites.push(site.clone());
        }
    }
    sites
}

/// Names of the processes of each site.
#[must_use]
pub fn components(spec: &HostSpec) -> BTreeMap<SiteName, Vec<String>> {
    by_site(spec.processes.iter().map(|process| (&process.site, &process.name)))
}

/// Names of the directories of each site.
#[must_use]
pub fn directories(spec: &HostSpec) -> BTreeMap<SiteName, Vec<String>> {
    by_site(spec.directories.iter().map(|directory| (&directory.site, &directory.name)))
}

/// Names of the nodes of each site.
#[must_use]
pub fn nodes(spec: &HostSpec) -> BTreeMap<SiteName, Vec<String>> {
    by_site(spec.nodes.iter().map(|node| (&node.site, &node.name)))
}

fn by_site<'a>(
    all: impl Iterator<Item = (&'a SiteName, &'a String)>,
) -> BTreeMap<SiteName, Vec<String>> {
    let mut names: BTreeMap<SiteName, Vec<String>> = BTreeMap::new();
    for (site, name) in all {
        names.entry(site.clone()).or_default().push(name.clone());
    }
    names
}

#[async_trait]
impl Environment for Host {
    fn name(&self) -> &str {
        &self.name
    }

    fn sites(&self) -> Vec<SiteName> {
        sites(&self.spec)
    }

    fn services(&self) -> Vec<ServiceFacts> {
        self.services.clone()
    }

    fn powers(&self) -> Vec<Power> {
        let HostSpec { nodes, processes, directories, .. } = &self.spec;
        let powers = [
            (Power::Network, nodes.is_empty()),
            (Power::Partition, nodes.is_empty()),
            (Power::Processes, processes.is_empty()),
            (Power::Functions, !self.has_checks),
            (Power::Directories, directories.is_empty()),
        ];
        powers.into_iter().filter_map(|(power, lacks)| (!lacks).then_some(power)).collect()
    }

    fn fingerprint(&self) -> String {
        let targets = self.spec.probes.iter().map(|probe| match &probe.attempt {
            Attempt::Http(http) => http.url.clone(),
            Attempt::Tcp(tcp) => tcp.address.clone(),
            Attempt::Postgres(postgres) => {
                format!("postgres://{}@{}/{}", postgres.user, postgres.address, postgres.database)
            }
            Attempt::Redis(redis) => format!("redis://{}/{}", redis.address, redis.database),
            Attempt::S3(s3) => format!("s3 {}/{}", s3.endpoint, s3.bucket),
            Attempt::Dns(dns) => format!("dns://{}/{}", dns.server, dns.name),
        });
        targets.collect::<Vec<_>>().join(" ")
    }

    fn network_nodes(&self, of: &str) -> Vec<NetworkNode> {
        let (site, name) = match of.split_once('/') {
            Some((site, name)) => (site, Some(name)),
            None => (of, None),
        };
        let nodes = self.spec.nodes.iter().filter(|node| node.site == site);
        let nodes = nodes.filter(|node| name.is_none_or(|name| node.name == name));
        let known = |node: &HostNode| NetworkNode {
            node: node.name.clone(),
            place: node.network.clone(),
            addresses: node.addresses.clone(),
            canary: node.canary.clone(),
        };
        nodes.map(known).collect()
    }

    fn processes(&self) -> Option<Arc<dyn ProcessControl>> {
        Some(Arc::new(processes::Processes(self.spec.processes.clone())))
    }

    fn directories(&self, site: &str) -> Vec<Directory> {
        let known = |directory: &HostDirectory| Directory {
            name: directory.name.clone(),
            path: PathBuf::from(&directory.path),
            at_most: directory.at_most.bytes,
            spared: vec![PathBuf::from("/"), self.run_dir.clone()],
        };
        let all = self.spec.directories.iter();
        all.filter(|directory| directory.site == site).map(known).collect()
    }

    fn undo(&self) -> Undo {
        let because = match self.writer() {
            Some((_, _, insert)) => format!(
                "drdrill starts nothing in this environment; the rows of its clients stay in the table {}",
                insert.table
            ),
            None => "drdrill starts nothing in this environment".to_owned(),
        };
        Undo::Nothing { because }
    }

    async fn up(&self) -> Result<(), ActionError> {
        if let Some((_, _, insert)) = self.writer()
            && let Some(table) = self.table()?
        {
            let created = table.prepare(insert.create).await?;
            // Coming up again finds what the first time has made.
            let _ = self.created.set(created);
        }
        Ok(())
    }

    fn remarks(&self) -> Vec<String> {
        self.writer().map(|writer| self.remark(&writer)).into_iter().collect()
    }

    fn audit(&self) -> Option<Arc<dyn WriteAudit>> {
        self.rows_audit()
    }

    async fn down(&self) -> Result<(), ActionError> {
        Ok(())
    }

    fn streams(&self) -> Result<Vec<ProbeStream>, ActionError> {
        let stream = |probe: &HostProbe| {
            let call = match &probe.attempt {
                Attempt::Http(http) => Call::Http {
                    method: "GET",
                    url: http.url.clone(),
                    else_at: Vec::new(),
                    headers: secrets::headers(&http.headers)?,
                    body: None,
                    body_contains: http.body_contains.clone(),
                    deed: None,
                },
                Attempt::Tcp(tcp) => Call::Tcp { address: tcp.address.clone() },
                Attempt::Postgres(attempt) => Call::Postgres(Box::new(PostgresCall {
                    server: server(attempt)?,
                    statement: self.statement(attempt, &probe.name),
                })),
                Attempt::Redis(attempt) => Call::Redis(Box::new(self.redis(attempt)?)),
                Attempt::S3(attempt) => Call::S3(Box::new(self.s3(attempt)?)),
                Attempt::Dns(attempt) => Call::Dns(Box::new(DnsCall {
                    server: attempt.server.clone(),
                    name: attempt.name.clone(),
                    record: attempt.record,
                    answers: attempt.answers.clone(),
                })),
            };
            Ok(ProbeStream {
                name: probe.name.clone(),
                service: probe.service.clone(),
                purpose: probe.purpose,
                connection: probe.connection,
                write_bytes: if probe.inserts().is_some() { writes::ROW_BYTES } else { 0 },
                call,
                asked_for_as: None,
                at_least_every: Duration::ZERO,
            })
        };
        self.spec.probes.iter().map(stream).collect()
    }
}

impl Host {
    /// What a statement of the file is in this run.
    fn statement(&self, attempt: &PostgresAttempt, client: &str) -> Statement {
        match &attempt.statement {
            StatementSpec::Select(select) => {
                Statement::Select { query: select.query.clone(), answers: select.answers.clone() }
            }
            StatementSpec::Insert(insert) => Statement::Insert(self.rows(&insert.table, client)),
            StatementSpec::Newest(newest) => Statement::Newest(self.rows(&newest.table, client)),
        }
    }

    /// What a command of the file is in this run.
    fn redis(&self, attempt: &RedisAttempt) -> Result<RedisCall, ActionError> {
        let command = match &attempt.command {
            RedisCommand::Ping => Command::Ping,
            RedisCommand::Get(get) => {
                Command::Get { key: get.key.clone(), answers: get.answers.clone() }
            }
            RedisCommand::Set(set) => Command::Set {
                prefix: set.prefix.clone(),
                drill: self.run_id.clone(),
                expires_s: set.expires.0.as_secs(),
            },
        };
        Ok(RedisCall {
            address: attempt.address.clone(),
            user: attempt.user.clone(),
            password: password(attempt.password.as_ref(), &attempt.address)?,
            database: attempt.database,
            command,
        })
    }

    /// What a request of the file is in this run.
    fn s3(&self, attempt: &S3Attempt) -> Result<S3Call, ActionError> {
        let (key, of) = (|source| secret(source, &attempt.endpoint), &attempt.session_token);
        let request = match &attempt.request {
            S3Request::Put(put) => {
                Request::Put { prefix: put.prefix.clone(), drill: self.run_id.clone() }
            }
            S3Request::Get(get) => {
                Request::Get { key: get.key.clone(), body_contains: get.body_contains.clone() }
            }
            S3Request::Head(head) => Request::Head { key: head.key.clone() },
        };
        Ok(S3Call {
            endpoint: attempt.endpoint.clone(),
            region: attempt.region.clone(),
            bucket: attempt.bucket.clone(),
            access_key: key(&attempt.access_key)?,
            secret_key: key(&attempt.secret_key)?,
            session_token: of.as_ref().map(key).transpose()?,
            request,
        })
    }

    fn rows(&self, table: &str, client: &str) -> Rows {
        Rows { table: table.to_owned(), drill: self.run_id.clone(), client: client.to_owned() }
    }
}

/// The server of an attempt, with the password fetched.
fn server(attempt: &PostgresAttempt) -> Result<Server, ActionError> {
    Ok(Server {
        address: attempt.address.clone(),
        database: attempt.database.clone(),
        user: attempt.user.clone(),
        password: password(attempt.password.as_ref(), &attempt.address)?,
        tls: attempt.tls,
        ca: attempt.ca.as_ref().map(PathBuf::from),
    })
}

/// The password for a server, where the file says one.
fn password(source: Option<&SecretSource>, of: &str) -> Result<Option<Secret>, ActionError> {
    source.map(|source| secret(source, of)).transpose()
}

/// A secret that a server asks for.
fn secret(source: &SecretSource, of: &str) -> Result<Secret, ActionError> {
    let doing = format!("fetch the credentials for {of}");
    secrets::fetch(source).map_err(|why| ActionError::new(doing, source.to_string(), why))
}
