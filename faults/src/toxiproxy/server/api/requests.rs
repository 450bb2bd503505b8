//! What the body of a request means.

use serde_json::Value;

use super::ApiError;
use crate::toxiproxy::server::go::fields::{Fields, kind};
use crate::toxiproxy::server::go::json;
use crate::toxiproxy::server::plane::Way;
use crate::toxiproxy::server::proxies::Wanted;
use crate::toxiproxy::server::proxy::{Proxy, Snapshot};
use crate::toxiproxy::server::toxic::Toxic;
use crate::toxiproxy::server::toxics::{Attributes, find};

/// What the original reads the body of `POST /populate` into; it says so when it cannot.
const GO_PROXY_LIST: &str = r#"[]struct { toxiproxy.Proxy; Enabled *bool "json:\"enabled\"" }"#;

/// The body of `POST /proxies`.
pub(super) fn proxy_to_create(body: &[u8]) -> Result<Wanted, ApiError> {
    let value = json::parse(body).map_err(ApiError::bad_request_body)?;
    let wanted = read_proxy(&value, Wanted::enabled()).map_err(ApiError::bad_request_body)?;
    check(&wanted, "")?;
    Ok(wanted)
}

/// The body of `PATCH /proxies/{proxy}`: what it does not say stays as it is.
pub(super) fn proxy_to_update(current: &Snapshot, body: &[u8]) -> Result<Wanted, ApiError> {
    let value = json::parse(body).map_err(ApiError::bad_request_body)?;
    let defaults = Wanted {
        name: String::new(),
        listen: current.listen.clone(),
        upstream: current.upstream.clone(),
        enabled: current.enabled,
    };
    read_proxy(&value, defaults).map_err(ApiError::bad_request_body)
}

/// The body of `POST /populate`. All of it is checked before any of it is done.
pub(super) fn proxies_to_populate(body: &[u8]) -> Result<Vec<Wanted>, ApiError> {
    let value = json::parse(body).map_err(ApiError::bad_request_body)?;
    let entries = match value {
        Value::Array(entries) => entries,
        Value::Null => Vec::new(),
        other => {
            let found = kind(&other);
            let complaint =
                format!("json: cannot unmarshal {found} into Go value of type {GO_PROXY_LIST}");
            return Err(ApiError::bad_request_body(complaint));
        }
    };
    let read = |entry| read_proxy(entry, Wanted::enabled());
    let wanted: Result<Vec<_>, _> = entries.iter().map(read).collect();
    let wanted = wanted.map_err(ApiError::bad_request_body)?;
    for (index, wanted) in wanted.iter().enumerate() {
        check(wanted, &format!(" at proxy {}", index + 1))?;
    }
    Ok(wanted)
}

/// The body of `POST /proxies/{proxy}/toxics`.
pub(super) fn toxic_to_add(proxy: &Proxy, body: &[u8]) -> Result<Toxic, ApiError> {
    let value = json::parse(body).map_err(ApiError::bad_request_body)?;
    let fields = Fields::of(&value, "ToxicWrapper", "toxics.ToxicWrapper");
    let fields = fields.map_err(ApiError::bad_request_body)?;
    let text = |name| fields.text(name).map_err(ApiError::bad_request_body);
    let name = text("name")?.unwrap_or_default();
    let kind = text("type")?.unwrap_or_default();
    let stream = text("stream")?.unwrap_or_else(|| "downstream".to_owned());
    let toxicity = fields.fraction("toxicity").map_err(ApiError::bad_request_body)?;
    let way = match stream.to_lowercase().as_str() {
        "upstream" => Way::Up,
        "downstream" => Way::Down,
        _ => return Err(ApiError::invalid_stream()),
    };
    let name = if name.is_empty() { format!("{kind}_{stream}") } else { name };
    let schema = find(&kind).ok_or_else(ApiError::invalid_toxic_type)?;
    if proxy.toxic(&name).is_some() {
        return Err(ApiError::toxic_already_exists());
    }
    let mut attributes = Attributes::zero(schema);
    read_attributes(&mut attributes, &fields).map_err(ApiError::bad_request_body)?;
    Ok(Toxic { name, stream, way, toxicity: toxicity.unwrap_or(1.0), attributes })
}

/// The body of `PATCH /proxies/{proxy}/toxics/{toxic}`: only chance and numbers can change.
pub(super) fn change_toxic(toxic: &mut Toxic, body: &[u8]) -> Result<(), ApiError> {
    let value = json::parse(body).map_err(ApiError::bad_request_body)?;
    let go_type = "struct { Attributes interface {}; Toxicity float32 }";
    let mut read = || -> Result<(), String> {
        let fields = Fields::of(&value, "", go_type)?;
        read_attributes(&mut toxic.attributes, &fields)?;
        if let Some(toxicity) = fields.fraction("toxicity")? {
            toxic.toxicity = toxicity;
        }
        Ok(())
    };
    read().map_err(ApiError::bad_request_body)
}

fn read_attributes(attributes: &mut Attributes, toxic: &Fields<'_>) -> Result<(), String> {
    let schema = attributes.schema;
    let fields = toxic.inside("attributes", schema.go_struct, "attributes.")?;
    for (name, value) in schema.fields.iter().zip(&mut attributes.values) {
        if let Some(given) = fields.integer(name, schema.go_integer)? {
            *value = given;
        }
    }
    Ok(())
}

fn read_proxy(value: &Value, defaults: Wanted) -> Result<Wanted, String> {
    let fields = Fields::of(value, "Proxy", "toxiproxy.Proxy")?;
    Ok(Wanted {
        name: fields.text("name")?.unwrap_or(defaults.name),
        listen: fields.text("listen")?.unwrap_or(defaults.listen),
        upstream: fields.text("upstream")?.unwrap_or(defaults.upstream),
        enabled: fields.truth("enabled")?.unwrap_or(defaults.enabled),
    })
}

fn check(wanted: &Wanted, place: &str) -> Result<(), ApiError> {
    for (field, value) in [("name", &wanted.name), ("upstream", &wanted.upstream)] {
        if value.is_empty() {
            return Err(ApiError::missing_field(&format!("{field}{place}")));
        }
    }
    Ok(())
}

impl Wanted {
    /// Nothing said yet: a proxy is enabled unless a client says otherwise.
    fn enabled() -> Self {
        Self { enabled: true, ..Self::default() }
    }
}
