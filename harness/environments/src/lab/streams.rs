//! What clients of the lab do.

use std::sync::Arc;
use std::time::Duration;

use drdrill_core::action::ActionError;
use drdrill_core::environment::ProbeStream;
use drdrill_core::probe::{Call, Connection, HeaderValue, Purpose};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::up::LANDMARK;
use super::workloads::{self, Entrances};
use super::{OPTIONAL_STREAMS, STREAMS, Shared};

/// Bytes of payload of one write.
const VALUE_BYTES: usize = 64;
/// What the bystander belongs to; it is none of the environment's services.
const BYSTANDER: &str = "bystander";

/// What the ids of this drill's writes begin with. The landmark is none of them.
pub(super) const WRITE_PREFIX: &str = "w-";

/// The value of write number `sequence`: unique, so that it tells whose it is.
fn value(sequence: u64) -> String {
    format!("{sequence:0>VALUE_BYTES$}")
}

/// The body of write number `sequence`.
pub(super) fn entry(sequence: u64) -> Value {
    let value = value(sequence);
    let checksum = hex::encode(Sha256::digest(value.as_bytes()));
    json!({ "sequence": sequence, "value": value, "checksum": checksum })
}

impl Shared {
    /// The service that clients of the lab use.
    pub(super) fn written_service(&self) -> String {
        self.services.first().map(|service| service.name.clone()).unwrap_or_default()
    }

    pub(super) fn streams(&self) -> Result<Vec<ProbeStream>, ActionError> {
        let addresses = self.addresses()?;
        let bystander = &addresses.bystander;
        let fronts = self.fronts()?;
        let (front, others) = fronts.split_first().unwrap_or((&"", &[]));
        let others: Vec<String> = others.iter().map(|&other| other.to_owned()).collect();
        let service = self.written_service();
        // After credentials were made anew clients go on with the token of a new login.
        let bearer = HeaderValue::Current(Arc::new(self.bearer()?));
        let login = vec![("Authorization".to_owned(), bearer)];
        let [write, read, read_kept, by] = STREAMS;
        let get =
            |url: String, else_at, headers: Vec<(String, HeaderValue)>, body_contains| Call::Http {
                method: "GET",
                url,
                else_at,
                headers,
                body: None,
                body_contains,
                deed: None,
            };
        // A client that gets another value than was written has not been served.
        let landmark = || {
            let url = format!("http://{front}/entries/{LANDMARK}");
            get(url, others.clone(), login.clone(), Some(value(0)))
        };
        let stream = |name: &str, service: &str, purpose, connection, call| ProbeStream {
            name: name.to_owned(),
            service: service.to_owned(),
            purpose,
            connection,
            write_bytes: if purpose == Purpose::Write { VALUE_BYTES as u64 } else { 0 },
            call,
            asked_for_as: OPTIONAL_STREAMS.contains(&name).then(|| name.to_owned()),
            at_least_every: Duration::ZERO,
        };
        let put = Call::Http {
            method: "PUT",
            url: format!("http://{front}/entries/{WRITE_PREFIX}{{sequence}}"),
            else_at: others.clone(),
            headers: login.clone(),
            body: Some(Arc::new(|sequence| entry(sequence).to_string().into_bytes())),
            body_contains: None,
            deed: None,
        };
        let [optional, ..] = OPTIONAL_STREAMS;
        let password = self.login_body();
        let password_login = Call::Http {
            method: "POST",
            url: format!("http://{front}/login"),
            else_at: others.clone(),
            headers: vec![(
                "Content-Type".to_owned(),
                HeaderValue::Plain("application/json".to_owned()),
            )],
            body: Some(Arc::new(move |_| password().to_string().into_bytes())),
            body_contains: Some("token".to_owned()),
            deed: None,
        };
        let mut all = vec![
            stream(write, &service, Purpose::Write, Connection::Fresh, put),
            stream(read, &service, Purpose::Read, Connection::Fresh, landmark()),
            stream(read_kept, &service, Purpose::Read, Connection::Kept, landmark()),
            stream(
                by,
                BYSTANDER,
                Purpose::Bystander,
                Connection::Fresh,
                get(format!("http://{bystander}/health"), Vec::new(), Vec::new(), None),
            ),
            // No write: what it changes is counted by nobody, and a broken one certainly let nobody in.
            stream(optional, &service, Purpose::Read, Connection::Fresh, password_login),
        ];
        let entrances = Entrances { front, others: &others, login: &login };
        all.extend(workloads::streams(&service, &entrances));
        Ok(all)
    }
}
