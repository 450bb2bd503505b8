//! Lines of `.pub` and `allowed_signers` files (ssh-keygen(1), "ALLOWED SIGNERS"). What is not understood trusts nobody.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};

use super::NAMESPACE;
use super::key::ALGORITHM;

/// A time without a zone is one of whoever wrote it, which is at most so far from UTC.
const FARTHEST_ZONE: TimeDelta = TimeDelta::hours(14);

/// The key of a line, in base64; `None` when it has none that may sign evidence at this time.
pub(super) fn blob(line: &str, now: DateTime<Utc>) -> Option<&str> {
    let mut words = words(line).into_iter();
    let mut next = || words.next();
    let first = next()?;
    if first.starts_with('#') {
        return None;
    }
    if first == ALGORITHM {
        return next();
    }
    // Behind the names of those whose key it is: options, where there are any.
    let second = next()?;
    if second == ALGORITHM {
        return next();
    }
    (split(second, ',').into_iter().all(|option| holds(option, now)) && next()? == ALGORITHM)
        .then(next)?
}

/// Whether an option lets the key sign evidence at this time.
fn holds(option: &str, now: DateTime<Utc>) -> bool {
    let Some((name, value)) = option.split_once('=') else { return false };
    let value = value.trim_matches('"');
    match name.to_ascii_lowercase().as_str() {
        "namespaces" => value.split(',').any(|one| one == NAMESPACE),
        "valid-after" => time(value).is_some_and(|(_, latest)| now >= latest),
        "valid-before" => time(value).is_some_and(|(earliest, _)| now < earliest),
        _ => false,
    }
}

/// The time `YYYYMMDD[HHMM[SS]][Z]`, between two bounds.
fn time(text: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let (digits, zone) = match text.strip_suffix('Z') {
        Some(digits) => (digits, TimeDelta::zero()),
        None => (text, FARTHEST_ZONE),
    };
    let time = match digits.len() {
        8 => NaiveDate::parse_from_str(digits, "%Y%m%d").ok()?.and_hms_opt(0, 0, 0)?,
        12 => NaiveDateTime::parse_from_str(&format!("{digits}00"), "%Y%m%d%H%M%S").ok()?,
        14 => NaiveDateTime::parse_from_str(digits, "%Y%m%d%H%M%S").ok()?,
        _ => return None,
    };
    let time = time.and_utc();
    Some((time - zone, time + zone))
}

/// The words of a line; blanks in quotes part none.
fn words(line: &str) -> Vec<&str> {
    let blank = |c: char| if c.is_ascii_whitespace() { ' ' } else { c };
    let parts = split_by(line, |c| blank(c) == ' ');
    parts.into_iter().filter(|word| !word.is_empty()).collect()
}

fn split(text: &str, at: char) -> Vec<&str> {
    split_by(text, |c| c == at)
}

fn split_by(text: &str, ends: impl Fn(char) -> bool) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c: char| {
        quoted ^= c == '"';
        !quoted && ends(c)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_that_may_sign_evidence_now_are_found() {
        let now: DateTime<Utc> = "2026-11-22T12:00:00Z".parse().unwrap();
        for line in [
            "ssh-ed25519 KEY a comment",
            "  ssh-ed25519 KEY",
            "drdrill ssh-ed25519 KEY",
            "\"a b\",c ssh-ed25519 KEY",
            "drdrill namespaces=\"drdrill.report\" ssh-ed25519 KEY",
            "drdrill namespaces=\"git,drdrill.report\",valid-after=\"20261122Z\" ssh-ed25519 KEY c",
            "drdrill valid-before=\"202611221201Z\" ssh-ed25519 KEY",
            "drdrill valid-before=\"20261124\" ssh-ed25519 KEY",
        ] {
            assert_eq!(blob(line, now), Some("KEY"), "{line}");
        }
        for line in [
            "",
            "#ssh-ed25519 KEY",
            "  # drdrill ssh-ed25519 KEY",
            "drdrill namespaces=\"git\" ssh-ed25519 KEY",
            "drdrill namespaces=\"drdrill.reports\" ssh-ed25519 KEY",
            "drdrill cert-authority ssh-ed25519 KEY",
            "drdrill cert-authority,namespaces=\"drdrill.report\" ssh-ed25519 KEY",
            "drdrill valid-before=\"20261122120000Z\" ssh-ed25519 KEY",
            "drdrill valid-after=\"20261122120001Z\" ssh-ed25519 KEY",
            // Somewhere on earth it is over already, or has not begun.
            "drdrill valid-before=\"20261123\" ssh-ed25519 KEY",
            "drdrill valid-after=\"20261122\" ssh-ed25519 KEY",
            "drdrill valid-before=\"soon\" ssh-ed25519 KEY",
            "drdrill ssh-rsa AAAA ssh-ed25519 KEY",
            "ssh-rsa AAAA was ssh-ed25519 KEY",
            "drdrill ssh-ed25519",
        ] {
            assert_eq!(blob(line, now), None, "{line}");
        }
    }
}
