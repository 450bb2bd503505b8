//! The pin: facts that are read from the target itself, and not believed from a file.

use std::fs;
use std::time::Duration;

use drdrill_core::inventory::{IdentityPage, Pin};
use drdrill_core::secret::redacted;
use drdrill_environments::secrets;
use drdrill_measure::HttpProbe;

/// Where a machine says which one it is.
const MACHINE_ID: &str = "/etc/machine-id";
const HOSTNAME: &str = "/proc/sys/kernel/hostname";

/// Time the page may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// So much of a page that is not the expected one is shown, in characters.
const SHOWN: usize = 500;

/// Reads the facts of a pin.
#[derive(Debug)]
pub(crate) struct PinReader {
    pin: Pin,
    page: Option<HttpProbe>,
}

/// A fact by name, and what was seen of it: `Err` says what was found and what was expected.
pub(crate) type Seen = (&'static str, Result<String, String>);

impl PinReader {
    /// A reader of `pin`.
    ///
    /// # Errors
    /// When a secret that its page needs is not there.
    pub(crate) fn new(pin: &Pin) -> Result<Self, String> {
        let page = pin.http.as_ref().map(probe).transpose()?;
        Ok(Self { pin: pin.clone(), page })
    }

    /// Reads all facts now.
    pub(crate) async fn read(&self) -> Vec<Seen> {
        let mut seen = Vec::new();
        if let Some(expected) = &self.pin.machine_id {
            seen.push(("machine_id", same(this_machine(), expected, MACHINE_ID)));
        }
        if let Some(expected) = &self.pin.hostname {
            seen.push(("hostname", same(first_line(HOSTNAME), expected, HOSTNAME)));
        }
        if let (Some(page), Some(expected)) = (&self.page, &self.pin.http) {
            seen.push(("http", identity(page, expected).await));
        }
        seen
    }
}

/// The id of this machine.
pub(crate) fn this_machine() -> Result<String, String> {
    first_line(MACHINE_ID)
}

fn first_line(path: &str) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("read {path}: {error}"))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

fn same(found: Result<String, String>, expected: &str, path: &str) -> Result<String, String> {
    match found {
        Ok(found) if found == expected => Ok(found),
        Ok(found) => Err(format!("{path} says {found:?}, the environment file {expected:?}")),
        Err(why) => Err(format!("{why}; the environment file says {expected:?}")),
    }
}

fn probe(page: &IdentityPage) -> Result<HttpProbe, String> {
    let mut probe = HttpProbe::new("GET", &page.url).map_err(|error| error.to_string())?;
    for (name, value) in secrets::headers(&page.headers).map_err(|error| error.to_string())? {
        probe = probe.header(&name, &value.expose()).map_err(|error| error.to_string())?;
    }
    Ok(probe)
}

async fn identity(probe: &HttpProbe, page: &IdentityPage) -> Result<String, String> {
    let IdentityPage { url, contains, .. } = page;
    let answer = tokio::time::timeout(TIMEOUT, probe.ask(0)).await;
    let (status, body) = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(broken)) => {
            return Err(format!("{url}: {}; expected was {contains:?}", broken.text()));
        }
        Err(_) => return Err(format!("{url} did not answer in {} s", TIMEOUT.as_secs())),
    };
    let body = String::from_utf8_lossy(&body);
    if (200..300).contains(&status) && body.contains(contains.as_str()) {
        return Ok(format!("{url} contains {contains:?}"));
    }
    // Whole before it is cut: half a secret would not be recognised.
    let clean = redacted(&body);
    let shown: String = clean.chars().take(SHOWN).collect();
    Err(format!("{url} answered {status} {shown:?}, expected was {contains:?}"))
}
