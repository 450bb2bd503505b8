//! The processes of one site.

use std::ffi::OsString;
use std::time::Duration;

use drdrill_core::action::ActionError;
use drdrill_core::environment::ProcessIdentity;
use drdrill_core::inventory::{Planted, SiteName};
use serde_json::json;

use super::containers::CONTAINERS;
use super::node::Node;
use super::peers::PeerAddresses;
use super::units::{Unit, meant, not_in_stand_by, units};
use super::volumes::BACKUP;
use super::{COMPONENTS, DR, Shared};

/// The one user of the lab.
pub(super) const USER: &str = "drill";
/// The component that clients use.
pub(super) const SERVICE: &str = "service";
/// The component that runs jobs.
pub(super) const WORKER: &str = "worker";
/// The component that checks passwords.
pub(super) const AUTH: &str = "auth";
/// How long a login is good for: longer than any drill.
pub(super) const LOGIN_LIFETIME: Duration = Duration::from_hours(24);
/// Rounds of the password hash. Passwords of the lab are 128 random bits, which need no stretching.
pub(super) const PASSWORD_ITERATIONS: u32 = 16;
/// A job that waits longer than this makes the queue unhealthy.
const QUEUE_STALL: Duration = Duration::from_secs(5);
/// Full backups that a site keeps: more than a drill takes, so that none that a restore may need is pruned.
const BACKUPS_KEPT: usize = 100;

/// Where a site listens: the processes themselves, and the proxies in front of them.
#[derive(Clone, Debug)]
pub(super) struct SiteAddresses {
    /// The service itself; nobody outside the site uses these.
    pub(super) direct: ServiceAddresses,
    /// The proxies in front of it.
    pub(super) proxied: ServiceAddresses,
    /// The proxies in front of it that only the other site uses.
    pub(super) peer: PeerAddresses,
    /// Those that only the other zone of its site uses, where it has one.
    pub(super) within: Option<ZoneAddresses>,
    /// Where its logins are checked; only its service asks there.
    pub(super) auth: String,
    /// Names of these proxies.
    pub(super) names: Vec<String>,
    /// By this address the clients' traffic reaches the site.
    pub(super) client_path: String,
}

/// The proxies in front of a zone that only the other zone of its site uses.
#[derive(Clone, Debug)]
pub(super) struct ZoneAddresses {
    pub(super) http: String,
    pub(super) replication: String,
}

impl SiteAddresses {
    /// What `follower` follows where this one, `unit`, leads.
    pub(super) fn leader(&self, unit: &Unit, follower: &Unit) -> Leader<'_> {
        match &self.within {
            Some(within) if unit.role == follower.role => {
                Leader { replication: &within.replication, http: &within.http }
            }
            _ => Leader { replication: &self.proxied.replication, http: &self.peer.http },
        }
    }
}

/// The three listeners of a service.
#[derive(Clone, Debug)]
pub(super) struct ServiceAddresses {
    pub(super) http: String,
    pub(super) admin: String,
    pub(super) replication: String,
}

impl ServiceAddresses {
    /// Any free ports of `host`.
    pub(super) fn any(host: &str) -> Self {
        let any = || format!("{host}:0");
        Self { http: any(), admin: any(), replication: any() }
    }
}

/// The processes of one site.
#[derive(Debug, Default)]
pub(super) struct Site {
    nodes: Vec<Node>,
}

impl Site {
    pub(super) fn alive(&self) -> impl Iterator<Item = &ProcessIdentity> {
        self.nodes.iter().map(Node::identity).filter(|process| drdrill_process::is_alive(process))
    }

    /// Whether the process of a component runs.
    pub(super) fn runs(&self, node: &str) -> bool {
        self.alive().any(|process| process.node == node)
    }

    pub(super) async fn kill(self) -> Result<(), ActionError> {
        for node in self.nodes {
            node.kill().await?;
        }
        Ok(())
    }

    /// Ends one process, where it runs.
    pub(super) async fn end(&mut self, node: &str) -> Result<(), ActionError> {
        let (ended, left) = std::mem::take(&mut self.nodes)
            .into_iter()
            .partition(|process| process.identity().node == node);
        self.nodes = left;
        Self { nodes: ended }.kill().await
    }

    /// Lets go of the processes that have ended.
    async fn bury(&mut self) -> Result<(), ActionError> {
        let (alive, ended) = std::mem::take(&mut self.nodes)
            .into_iter()
            .partition(|node| drdrill_process::is_alive(node.identity()));
        self.nodes = alive;
        Self { nodes: ended }.kill().await
    }
}

pub(super) fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The name of a process of a site.
pub(super) fn node_name(site: &str, component: &str) -> String {
    format!("{site}/{component}")
}

/// The command line of a program of the lab.
pub(super) fn arguments(program: &str) -> Vec<OsString> {
    ["lab-node", program, "-"].map(OsString::from).to_vec()
}

/// What the service of a site follows.
pub(super) struct Leader<'a> {
    pub(super) replication: &'a str,
    pub(super) http: &'a str,
}

impl Shared {
    /// Names of the processes of a site, in the order in which they start.
    pub(super) const fn components(&self) -> &'static [&'static str] {
        if self.hosts().is_some() { &CONTAINERS } else { &COMPONENTS }
    }

    /// Starts the service of a site; returns where it listens.
    pub(super) async fn start_service(
        &self,
        site: &str,
        at: &ServiceAddresses,
        auth: &str,
        leader: Option<&Leader<'_>>,
        again: bool,
    ) -> Result<(Node, ServiceAddresses), ActionError> {
        let secrets = self.secrets();
        let config = json!({
            "site": site,
            "data_dir": self.volume(site).directory,
            "http": at.http,
            "admin": at.admin,
            "replication": at.replication,
            "role": if leader.is_none() { "primary" } else { "standby" },
            "follow": leader.map(|leader| json!({
                "source": leader.replication,
                "leader_url": format!("http://{}", leader.http),
            })),
            "synchronous": self.waited_for_by(site),
            // One that comes back must not decide anything before it is told its role.
            "fenced_at_start": again,
            "token_secret": secrets.token.expose(),
            "user": { "name": USER, "password": secrets.password.expose() },
            "worker_token": secrets.worker.expose(),
            "planted": self.planted_at(site),
            "auth_url": format!("http://{auth}"),
            "timing": {
                "password_iterations": PASSWORD_ITERATIONS,
                "replication_lag_ms": whole_millis(self.spec.replication_lag.0),
                "think_time_ms": whole_millis(self.spec.think_time.0),
                "queue_stall_ms": whole_millis(QUEUE_STALL),
            },
        });
        let name = node_name(site, SERVICE);
        let (node, ready) = self.starter.start(&name, &arguments(SERVICE), Some(&config)).await?;
        let address = |field: &str| {
            ready[field].as_str().map(str::to_owned).ok_or_else(|| {
                ActionError::new("start", &name, format!("it does not say its address `{field}`"))
            })
        };
        let bound = ServiceAddresses {
            http: address("http")?,
            admin: address("admin")?,
            replication: address("replication")?,
        };
        Ok((node, bound))
    }

    /// The defect that a site has on purpose. Where it is at the DR site only, the baseline is sound.
    fn planted_at(&self, site: &str) -> Option<Planted> {
        self.spec.planted.filter(|planted| *planted == Planted::OldValues || site == DR)
    }

    /// Whom a site waits for before it acknowledges, when it serves normally.
    pub(super) fn waited_for_by(&self, site: &str) -> Vec<SiteName> {
        let mut units = units(&self.spec).into_iter();
        let first = units.next().filter(|first| first.name == site && self.spec.is_synchronous());
        first.and(units.next()).map(|second| second.name).into_iter().collect()
    }

    /// Starts what checks the passwords of a site; returns where it listens.
    pub(super) async fn start_auth(
        &self,
        site: &str,
        at: &str,
    ) -> Result<(Node, String), ActionError> {
        let config = json!({
            "http": at,
            "data_dir": self.volume(site).directory,
            "token_secret": self.secrets().token.expose(),
            "token_lifetime_ms": whole_millis(LOGIN_LIFETIME),
        });
        let name = node_name(site, AUTH);
        let (node, ready) = self.starter.start(&name, &arguments(AUTH), Some(&config)).await?;
        let bound = ready["http"].as_str().map(str::to_owned);
        let unsaid = || ActionError::new("start", &name, "it does not say its address");
        Ok((node, bound.ok_or_else(unsaid)?))
    }

    /// Starts what works behind the service of a site, which listens already.
    pub(super) async fn start_helpers(
        &self,
        site: &str,
        at: &ServiceAddresses,
    ) -> Result<Vec<Node>, ActionError> {
        let mut nodes = Vec::new();
        for component in [WORKER, BACKUP] {
            nodes.push(self.start_helper(site, component, at).await?);
        }
        Ok(nodes)
    }

    async fn start_helper(
        &self,
        site: &str,
        component: &str,
        at: &ServiceAddresses,
    ) -> Result<Node, ActionError> {
        let config = if component == WORKER {
            json!({
                "service_url": format!("http://{}", at.http),
                "worker_token": self.secrets().worker.expose(),
            })
        } else {
            json!({
                "site": site,
                "database": self.volume(site).data,
                "directory": self.backups_of(site),
                "keep": BACKUPS_KEPT,
                "interval_ms": whole_millis(self.spec.backup_interval.0),
                "log_interval_ms": whole_millis(self.spec.log_interval.0),
            })
        };
        let name = node_name(site, component);
        Ok(self.starter.start(&name, &arguments(component), Some(&config)).await?.0)
    }

    /// Starts what of a site does not run, on the addresses it always had.
    pub(super) async fn start_site(&self, name: &str) -> Result<(), ActionError> {
        for unit in meant(&self.spec, name) {
            self.start_unit(&unit.name).await?;
        }
        Ok(())
    }

    /// Ends what of a site does not run while it stands by.
    pub(super) async fn stand_down(&self, name: &str) -> Result<(), ActionError> {
        self.end(name, &not_in_stand_by(self.spec.strategy)).await
    }

    async fn start_unit(&self, name: &str) -> Result<(), ActionError> {
        let addresses = self.site(name)?.clone();
        self.start_entrance(name).await?;
        let mut running = self.running.lock().await;
        let site = running.sites.entry(name.to_owned()).or_default();
        site.bury().await?;
        let held = self.volumes().held.contains(name);
        let wanted = |site: &Site, component: &str| {
            !(held && component == BACKUP || site.runs(&node_name(name, component)))
        };
        if let Some(hosts) = self.hosts() {
            let started = self.start_wanted(hosts, name, |one| wanted(site, one)).await?;
            site.nodes.extend(started);
            return Ok(());
        }
        for &component in self.components() {
            if !wanted(site, component) {
                continue;
            }
            let (direct, auth) = (&addresses.direct, &addresses.auth);
            let node = match component {
                // Its role is in its database; this one only fills an empty one, which a lost site does not have.
                SERVICE => self.start_service(name, direct, auth, None, true).await?.0,
                AUTH => self.start_auth(name, auth).await?.0,
                helper => self.start_helper(name, helper, direct).await?,
            };
            site.nodes.push(node);
        }
        Ok(())
    }

    pub(super) async fn add_to_site(&self, name: &str, node: Node) {
        self.running.lock().await.sites.entry(name.to_owned()).or_default().nodes.push(node);
    }

    pub(super) async fn adopt_site(&self, name: &str, nodes: Vec<Node>) {
        self.running.lock().await.sites.insert(name.to_owned(), Site { nodes });
    }
}
