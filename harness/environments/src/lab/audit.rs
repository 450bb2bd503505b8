//! Reading every write of the drill back from one side.

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::environment::{FoundWrites, WriteAudit};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::Shared;
use super::streams::WRITE_PREFIX;

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

#[async_trait]
impl WriteAudit for Shared {
    async fn read_all(&self, site: &str) -> Result<FoundWrites, ActionError> {
        let url = format!("http://{}/entries?prefix={WRITE_PREFIX}", self.site(site)?.proxied.http);
        let login = &self.addresses()?.login;
        let text = self.http.text(Method::GET, &url, Some(login), None::<&Value>).await?;
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
