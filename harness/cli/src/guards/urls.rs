//! Where the names in an environment file lead. Literal addresses were looked at when the file was read.

use std::time::Duration;

use drdrill_core::address::{HostPort, HttpUrl, allowed};
use drdrill_core::inventory::{
    Attempt, Channel, CheckSpec, Inventory, Provider, SecretUrl, StatusPage, Webhook, web_host,
};

use crate::exit::{Code, Failure};

/// Time a name may take. One that takes longer, or is not known, is for the probes to record.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Refuses an environment with a name that leads to an address that is never probed. Each probe looks again whenever it
/// connects.
pub(crate) async fn lead_nowhere_else(inventory: &Inventory) -> Result<(), Failure> {
    for target in targets(inventory).map_err(Failure::with(Code::InvalidFile))? {
        if target.literal.is_some() {
            continue;
        }
        let lookup = tokio::net::lookup_host((target.host.as_str(), target.port));
        let Ok(Ok(found)) = tokio::time::timeout(TIMEOUT, lookup).await else { continue };
        for address in found {
            allowed(address.ip()).map_err(|error| {
                Failure::new(Code::Refused, format!("{} leads to {error}", target.host))
            })?;
        }
    }
    Ok(())
}

fn targets(inventory: &Inventory) -> Result<Vec<HostPort>, String> {
    let parsed =
        |url: &str| HttpUrl::parse(url).map(|url| url.target).map_err(|error| error.to_string());
    let host_port = |text: &str| HostPort::parse(text, None).map_err(|error| error.to_string());
    let mut targets = Vec::new();
    if let Some(page) = inventory.pin.as_ref().and_then(|pin| pin.http.as_ref()) {
        targets.push(parsed(&page.url)?);
    }
    if let Provider::Host(spec) = &inventory.provider {
        for probe in &spec.probes {
            targets.push(match &probe.attempt {
                Attempt::Http(http) => parsed(&http.url)?,
                Attempt::Tcp(tcp) => host_port(&tcp.address)?,
                Attempt::Postgres(postgres) => host_port(&postgres.address)?,
                Attempt::Redis(redis) => host_port(&redis.address)?,
                Attempt::Dns(dns) => host_port(&dns.server)?,
                Attempt::S3(s3) => parsed(&s3.endpoint)?,
            });
            if let Some((_, insert)) = probe.inserts() {
                for copy in &insert.copies {
                    targets.push(host_port(copy)?);
                }
            }
        }
    }
    let told = inventory.notify.iter().flat_map(|notify| &notify.to);
    for recipient in told {
        let target = match &recipient.by {
            Channel::Email(email) => Some(host_port(&email.server)?),
            Channel::Webhook(Webhook { url: SecretUrl::Plain(url), .. })
            | Channel::StatusPage(StatusPage { api: SecretUrl::Plain(url), .. }) => {
                Some(web_host(url)?)
            }
            Channel::Webhook(_) | Channel::StatusPage(_) => None,
        };
        targets.extend(target);
    }
    for check in &inventory.checks {
        match &check.check {
            CheckSpec::Http(http) => targets.push(parsed(&http.url)?),
            CheckSpec::Tcp(tcp) => targets.push(host_port(&tcp.address)?),
            CheckSpec::Exec(_) | CheckSpec::Sqlite(_) => {}
        }
    }
    Ok(targets)
}
