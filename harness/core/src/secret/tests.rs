use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::json;

use super::*;

/// Secrets as people have them; each test needs its own, because what is known stays known.
fn shapes(mark: &str) -> Vec<String> {
    vec![
        format!("hunter2-{mark}"),
        format!("Bearer eyJ{mark}.eyJzdWIiOiIxIn0.c2ln_-{mark}"),
        format!("Basic {}", STANDARD.encode(format!("admin:pass-{mark}"))),
        format!("sid=s%3A{mark}/+x; theme=dark"),
        format!("q\"uo\\te's <{mark}> & ümläut 𝄞"),
        format!("AKIA{mark}/wJalr+XUtn=FEMI"),
    ]
}

fn hex_of(text: &str) -> String {
    hex::encode(text)
}

/// Every byte but letters and digits, or every byte.
fn url_of(text: &str, all: bool) -> String {
    let one = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() && !all => char::from(byte).to_string(),
        byte if all => format!("%{byte:02x}"),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// Every character by its number.
fn json_of(text: &str) -> String {
    let units: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    units.concat()
}

fn html_of(text: &str) -> String {
    let characters: Vec<String> = text.chars().map(|c| format!("&#{};", u32::from(c))).collect();
    characters.concat()
}

#[test]
fn no_form_of_a_secret_gets_through() {
    for secret in shapes("forms7f3a") {
        Secret::new(secret.clone()).unwrap();
        let forms = [
            secret.clone(),
            hex_of(&secret),
            hex_of(&secret).to_uppercase(),
            url_of(&secret, false),
            url_of(&secret, true),
            url_of(&secret, false).replace("%20", "+"),
            json_of(&secret),
            html_of(&secret),
            secret.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;"),
            serde_json::to_string(&secret).unwrap(),
            STANDARD.encode(&secret),
            URL_SAFE.encode(&secret),
            STANDARD.encode(format!("a{secret}")),
            STANDARD.encode(format!("xy{secret}z")),
            URL_SAFE.encode(format!("{{\"k\":\"{secret}\"}}")),
        ];
        for form in forms {
            let said = format!("error: bad credentials {form}!");
            let clean = redacted(&said);
            assert!(clean.contains(REDACTED), "{said} -> {clean}");
            assert!(!clean.contains("forms7f3a"), "{clean}");
            assert!(clean.len() < REDACTED.len() + 45, "too much is left: {clean}");
        }
    }
}

#[test]
fn what_is_a_secret_without_the_rest_is_redacted_too() {
    let parts = ["tok-parts91", "pass-parts92", "s%3Aparts93"];
    let basic = STANDARD.encode("admin:pass-parts92");
    for secret in ["Bearer tok-parts91", &format!("Basic {basic}"), "sid=s%3Aparts93; a=b"] {
        Secret::new(secret.to_owned()).unwrap();
    }
    for part in parts {
        assert_eq!(redacted(&format!("no user has {part}.")), "no user has [redacted].");
    }
}

#[test]
fn a_secret_inside_another_does_not_keep_the_longer_one_from_being_found() {
    Secret::new("inner-secret".to_owned()).unwrap();
    Secret::new("outer-inner-secret-outer".to_owned()).unwrap();
    assert_eq!(redacted("x outer-inner-secret-outer x inner-secret"), "x [redacted] x [redacted]");
}

#[test]
fn a_secret_shows_nothing_of_itself() {
    let secret = Secret::new("debug-me-not".to_owned()).unwrap();
    assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "[redacted] Some([redacted])");
    assert_eq!(secret.expose(), "debug-me-not");
}

#[test]
fn a_secret_too_short_to_be_recognised_is_refused() {
    let refused = Secret::new("1234567".to_owned()).unwrap_err();
    assert!(refused.to_string().starts_with("the secret has 7 bytes; it needs 8"), "{refused}");
    assert_eq!(redacted("1234567"), "1234567");
}

#[test]
fn text_that_only_begins_like_a_secret_or_an_escape_stays() {
    Secret::new("begin%&\\\\ning".to_owned()).unwrap();
    for text in [
        "begin",
        "begin%",
        "begin%2",
        "begin%25%26\\",
        "&",
        "&#",
        "&#x;",
        "%",
        "%+1",
        "\\u12",
        "\\ud800\\u",
        "ü%ü&ü\\ü",
    ] {
        assert_eq!(redacted(text), text);
    }
    assert_eq!(redacted("begin%25%26%5c%5Cning"), REDACTED);
}

#[test]
fn values_are_redacted_in_depth() {
    Secret::new("deep-secret-5".to_owned()).unwrap();
    let mut value = json!({ "a": [1, { "b": "x deep-secret-5" }], "c": "calm" });
    assert!(redact_value(&mut value));
    assert_eq!(value, json!({ "a": [1, { "b": "x [redacted]" }], "c": "calm" }));
    assert!(!redact_value(&mut value));
}
