//! HAProxy as the gateway of a region: its configuration, and its runtime API.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use drdrill_core::action::ActionError;
use drdrill_core::inventory::SiteName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

use super::site::SiteAddresses;

/// The one backend, whose servers are the sites.
const BACKEND: &str = "sites";
/// Time a command may take. HAProxy answers within a millisecond.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// The configuration of a gateway that listens on two ports, for clients and for commands.
///
/// It decides nothing by itself: no checks, no retries, no connection to a site that is used twice. A request that did not
/// get through to a site is answered 503, one whose answer got lost 502 or 504.
pub(super) fn config(
    http: u16,
    commands: u16,
    sites: &BTreeMap<SiteName, SiteAddresses>,
    shares: &BTreeMap<SiteName, u32>,
) -> String {
    let mut text = format!(
        "global\n  stats socket ipv4@0.0.0.0:{commands} level admin\n  maxconn 4000\n  nbthread 1\n\
         defaults\n  mode http\n  timeout connect 500ms\n  timeout client 1h\n  timeout server 5s\n  retries 0\n  \
         http-reuse never\n  option http-server-close\n\
         frontend clients\n  bind :{http}\n  default_backend {BACKEND}\n\
         backend {BACKEND}\n  balance roundrobin\n"
    );
    for (name, site) in sites {
        let weight = shares.get(name).copied().unwrap_or(0);
        let _ = writeln!(text, "  server {name} {} weight {weight}", site.client_path);
    }
    text
}

/// The share of each site, as HAProxy says.
pub(super) async fn shares(
    commands: &str,
    sites: impl Iterator<Item = &SiteName>,
) -> Result<BTreeMap<SiteName, u32>, ActionError> {
    let mut shares = BTreeMap::new();
    for site in sites {
        let answer = tell(commands, &format!("get weight {BACKEND}/{site}")).await?;
        // Such as `100 (initial 100)`.
        let weight = answer.split_whitespace().next().and_then(|word| word.parse().ok());
        let weight = weight.ok_or_else(|| {
            ActionError::new("ask for the share of", site, format!("HAProxy answered {answer:?}"))
        })?;
        shares.insert(site.clone(), weight);
    }
    Ok(shares)
}

/// Sets the share of each site. Those that grow come first, so that there is always somebody to serve.
pub(super) async fn set_shares(
    commands: &str,
    shares: &BTreeMap<SiteName, u32>,
) -> Result<(), ActionError> {
    let mut ordered: Vec<_> = shares.iter().collect();
    ordered.sort_by_key(|(_, share)| std::cmp::Reverse(**share));
    for (site, share) in ordered {
        let answer = tell(commands, &format!("set weight {BACKEND}/{site} {share}")).await?;
        if !answer.trim().is_empty() {
            let reason = format!("HAProxy answered {:?}", answer.trim());
            return Err(ActionError::new("set the share of", site, reason));
        }
    }
    Ok(())
}

/// Gives one command; returns the answer.
async fn tell(commands: &str, command: &str) -> Result<String, ActionError> {
    let talk = async {
        let mut stream = TcpStream::connect(commands).await?;
        stream.write_all(format!("{command}\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let fail = |reason: String| ActionError::new("give a command to HAProxy at", commands, reason);
    let told = timeout(ANSWERS_WITHIN, talk).await;
    told.map_err(|_| fail(format!("no answer within {ANSWERS_WITHIN:?}")))?
        .map_err(|error| fail(error.to_string()))
}
