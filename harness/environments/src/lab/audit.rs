//! Reading every write of the drill back from one side.

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::environment::{FoundWrites, WriteAudit};
use drdrill_core::inventory::Strategy;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Duration, Instant, sleep};

use super::reach::status_at;
use super::streams::WRITE_PREFIX;
use super::{DR, PRIMARY, Shared};

/// One line of a site's audit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    sequence: u64,
    #[serde(rename = "value_bytes")]
    _value_bytes: u64,
    checksum_ok: bool,
    copies: u64,
}

/// Time that two sites which both take writes may need to exchange what they have: more than any lag of a drill.
const EXCHANGED_WITHIN: Duration = Duration::from_secs(10);

impl Shared {
    /// Where two sites take writes, one has all of them once it has merged what the other one has. One that is lost has
    /// nothing more to give.
    async fn exchanged(&self, site: &str) -> Result<(), ActionError> {
        let merged = async |site: &str| {
            let status = status_at(&self.http, &self.site(site)?.proxied.admin).await?;
            Ok::<_, ActionError>((status.merged, status.position))
        };
        if self.spec.strategy != Strategy::ActiveActive {
            return Ok(());
        }
        let other = if site == PRIMARY { DR } else { PRIMARY };
        let Ok((Some(_), goal)) = merged(other).await else { return Ok(()) };
        let give_up = Instant::now() + EXCHANGED_WITHIN;
        while let Some(here) = merged(site).await?.0.filter(|here| *here < goal) {
            if Instant::now() >= give_up {
                let reason = format!("it has merged {other} up to {here} of {goal}");
                return Err(ActionError::new("read back all writes from", site, reason));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

#[async_trait]
impl WriteAudit for Shared {
    fn service(&self) -> String {
        self.written_service()
    }

    async fn read_all(&self, site: &str) -> Result<FoundWrites, ActionError> {
        self.exchanged(site).await?;
        let url = format!("http://{}/entries?prefix={WRITE_PREFIX}", self.site(site)?.proxied.http);
        let login = self.login()?;
        let text = self.http.text(Method::GET, &url, Some(&login), None::<&Value>).await?;
        let mut found = FoundWrites::default();
        for line in text.lines() {
            let line: Line = serde_json::from_str(line)
                .map_err(|error| ActionError::new("read the writes of", site, error))?;
            take(&mut found, &line);
        }
        Ok(found)
    }
}

fn take(found: &mut FoundWrites, line: &Line) {
    let number = line.id.strip_prefix(WRITE_PREFIX).and_then(|digits| digits.parse().ok());
    let Some(sequence) = number else {
        found.phantom.push(line.id.clone());
        return;
    };
    found.present.insert(sequence);
    if line.copies > 1 {
        found.duplicate.insert(sequence);
    }
    // The id and the row have to name the same write, and its content has to be what was written.
    if !line.checksum_ok || line.sequence != sequence {
        found.corrupt.insert(sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(id: &str, sequence: u64, checksum_ok: bool, copies: u64) -> FoundWrites {
        let mut found = FoundWrites::default();
        let line = Line { id: id.into(), sequence, _value_bytes: 64, checksum_ok, copies };
        take(&mut found, &line);
        found
    }

    #[test]
    fn each_defect_has_its_class() {
        assert!(found("w-7", 7, true, 1).present.contains(7));
        assert!(found("w-7", 7, true, 2).duplicate.contains(7));
        assert!(found("w-7", 7, false, 1).corrupt.contains(7));
        assert!(found("w-7", 8, true, 1).corrupt.contains(7));
        assert_eq!(found("w-x", 7, true, 1).phantom, ["w-x"]);
    }
}
