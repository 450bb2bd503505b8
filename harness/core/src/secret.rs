//! Secrets: values that cannot be printed, and that are taken out of whatever is printed all the same.
//!
//! Not to print a secret is not enough: the system under drill may send it back, in the body of an error or in a
//! redirect. So making a [`Secret`] also makes it known to [`redacted`], through which everything goes out: the history
//! before it is written down, and with it record and reports, and each line for the terminal.

mod forms;

use std::borrow::Cow;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use forms::Forms;

/// Stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// In the message of every error about a credential in a file; such an error does not show the line.
pub(crate) const NOT_IN_FILES: &str = "credentials never stand in a file";

/// Shortest secret, in bytes. A shorter one cannot be told from ordinary text and so not be redacted either.
pub const SHORTEST: usize = 8;

/// What all secrets of this process are recognised by.
static KNOWN: RwLock<Vec<Forms>> = RwLock::new(Vec::new());

/// A secret. It has neither `Display` nor `Serialize` nor `PartialEq`, and its memory is wiped when it is dropped.
/// The forms by which it is recognised in what goes out stay until the process ends.
#[derive(Clone)]
pub struct Secret(SecretString);

/// A secret that is too short to be one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the secret has {0} bytes; it needs {SHORTEST}, so that it can be told from ordinary text and be redacted"
)]
pub struct TooShort(pub usize);

impl Secret {
    /// Keeps a secret, and makes it known to [`redacted`].
    ///
    /// # Errors
    /// When it is shorter than [`SHORTEST`].
    pub fn new(value: String) -> Result<Self, TooShort> {
        let secret = Self(SecretString::from(value));
        let value = secret.expose();
        if value.len() < SHORTEST {
            return Err(TooShort(value.len()));
        }
        let forms = Forms::of(value);
        let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(&forms) {
            known.push(forms);
        }
        drop(known);
        Ok(secret)
    }

    /// The value, for the one who sends it to where it belongs.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// `text` without any known secret in it, in whatever form.
///
/// To be called before a text is cut or escaped: half a secret is not recognised.
#[must_use]
pub fn redacted(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    // The longest form at each place, so that a secret inside another does not keep that from being recognised.
    let found_at = |rest: &str| known.iter().map(|forms| forms.found_at(rest)).max().unwrap_or(0);
    let mut clean = String::new();
    let (mut from, mut at) = (0, 0);
    while let Some(rest) = text.get(at..) {
        let Some(c) = rest.chars().next() else { break };
        let found = found_at(rest);
        if found > 0 {
            clean.push_str(text.get(from..at).unwrap_or_default());
            clean.push_str(REDACTED);
            from = at + found;
        }
        at += found.max(c.len_utf8());
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(clean)
}

/// Whether there is any secret that could be redacted.
#[must_use]
pub fn any_known() -> bool {
    !KNOWN.read().unwrap_or_else(PoisonError::into_inner).is_empty()
}

/// Takes known secrets out of all strings of a value. Returns whether there were any.
pub(crate) fn redact_value(value: &mut Value) -> bool {
    match value {
        Value::String(text) => match redacted(text) {
            Cow::Owned(clean) => {
                *text = clean;
                true
            }
            Cow::Borrowed(_) => false,
        },
        // All of them, not only the first that holds one.
        Value::Array(items) => {
            items.iter_mut().filter_map(|item| redact_value(item).then_some(())).count() > 0
        }
        Value::Object(fields) => {
            fields.values_mut().filter_map(|field| redact_value(field).then_some(())).count() > 0
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests;
