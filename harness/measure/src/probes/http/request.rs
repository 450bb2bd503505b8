//! The bytes of a request, made beforehand as far as possible.

use std::fmt;

use drdrill_core::probe::{CurrentSecret, MakeBody};

use super::super::target::TargetError;

/// Stands for the attempt's number.
const SEQUENCE: &str = "{sequence}";

/// Stands for the register that the attempt is about.
const KEY: &str = "{key}";

/// A request, but for the attempt's number.
#[derive(Clone)]
pub(super) struct Request {
    method: String,
    /// Everything up to the `Connection` header, with `{sequence}` where the attempt's number belongs.
    head: String,
    close: bool,
    make_body: Option<MakeBody>,
    /// Headers whose values are asked for at each attempt.
    current: Vec<(String, CurrentSecret)>,
}

impl Request {
    pub(super) fn new(method: &str, authority: &str, path: &str) -> Result<Self, TargetError> {
        if method.is_empty() || !method.chars().all(|c| c.is_ascii_uppercase()) {
            return Err(bad("the method", method));
        }
        if !path.chars().all(|c| c.is_ascii_graphic()) {
            return Err(bad("the path", path));
        }
        Ok(Self {
            method: method.to_owned(),
            head: format!("{method} {path} HTTP/1.1\r\nhost: {authority}\r\n"),
            close: true,
            make_body: None,
            current: Vec::new(),
        })
    }

    pub(super) fn close(&mut self, close: bool) {
        self.close = close;
    }

    pub(super) fn header(&mut self, name: &str, value: &str) -> Result<(), TargetError> {
        check_header(name, value)?;
        self.head.extend([name, ": ", value, "\r\n"]);
        Ok(())
    }

    /// A header whose value is asked for at each attempt.
    pub(super) fn current_header(
        &mut self,
        name: &str,
        value: CurrentSecret,
    ) -> Result<(), TargetError> {
        check_header(name, value().expose())?;
        self.current.push((name.to_owned(), value));
        Ok(())
    }

    pub(super) fn body(&mut self, make: MakeBody) {
        self.make_body = Some(make);
    }

    /// Whether the answer to this request never has a body.
    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// The bytes of attempt number `sequence`.
    #[cfg(test)]
    pub(super) fn bytes(&self, sequence: u64) -> Vec<u8> {
        self.bytes_of(sequence, None)
    }

    /// The bytes of attempt number `sequence`, which is about a register.
    pub(super) fn bytes_of(&self, sequence: u64, key: Option<u32>) -> Vec<u8> {
        let mut text = filled(&self.head, sequence);
        if let Some(key) = key {
            text = text.replace(KEY, &key.to_string());
        }
        for (name, value) in &self.current {
            let value = value();
            // One that would end the line is left out: what comes back then is that it is missing.
            if check_header(name, value.expose()).is_ok() {
                text.extend([name, ": ", value.expose(), "\r\n"]);
            }
        }
        if self.close {
            text.push_str("connection: close\r\n");
        }
        let body = self.make_body.as_ref().map(|make| make(sequence));
        if let Some(body) = &body {
            text.push_str("content-length: ");
            text.push_str(&body.len().to_string());
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend(body.into_iter().flatten());
        bytes
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may carry secrets.
        let line = self.head.lines().next().unwrap_or_default();
        f.debug_tuple("Request").field(&line).finish()
    }
}

/// Refuses what is no header, or would be several.
fn check_header(name: &str, value: &str) -> Result<(), TargetError> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        return Err(bad("the header name", name));
    }
    if value.chars().any(|c| c.is_control() && c != '\t') {
        // Its name says enough: the value may be a secret.
        return Err(bad("the value of the header", name));
    }
    Ok(())
}

/// `template` with the attempt's number in it.
pub(super) fn filled(template: &str, sequence: u64) -> String {
    if template.contains(SEQUENCE) {
        template.replace(SEQUENCE, &sequence.to_string())
    } else {
        template.to_owned()
    }
}

fn bad(what: &'static str, text: &str) -> TargetError {
    let text = text.to_owned();
    TargetError::BadRequest { what, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_carries_its_number_where_asked() {
        let mut request = Request::new("PUT", "h:1", "/w/{sequence}").unwrap();
        request.header("x-id", "run-{sequence}").unwrap();
        request.body(std::sync::Arc::new(|sequence| format!("v{sequence}").into_bytes()));
        let text = String::from_utf8(request.bytes(42)).unwrap();
        assert_eq!(
            text,
            "PUT /w/42 HTTP/1.1\r\nhost: h:1\r\nx-id: run-42\r\nconnection: close\r\ncontent-length: 3\r\n\r\nv42"
        );
    }

    #[test]
    fn a_header_that_changes_is_as_it_is_at_each_attempt() {
        let value = std::sync::Arc::new(std::sync::Mutex::new("token-one".to_owned()));
        let mut request = Request::new("GET", "h", "/").unwrap();
        let now = value.clone();
        let secret =
            move || drdrill_core::secret::Secret::new(now.lock().unwrap().clone()).unwrap();
        request.current_header("x-token", std::sync::Arc::new(secret)).unwrap();
        let text = |request: &Request| String::from_utf8(request.bytes(1)).unwrap();
        assert!(text(&request).contains("\r\nx-token: token-one\r\n"));
        "token-two".clone_into(&mut value.lock().unwrap());
        assert!(text(&request).contains("\r\nx-token: token-two\r\n"));
        "token\r\nx-more: y".clone_into(&mut value.lock().unwrap());
        assert!(!text(&request).contains("x-more"));
    }

    #[test]
    fn nothing_can_be_smuggled_into_a_request() {
        assert!(Request::new("GET", "h", "/a b").is_err());
        assert!(Request::new("get", "h", "/").is_err());
        let mut request = Request::new("GET", "h", "/").unwrap();
        assert!(request.header("x", "a\r\nb: c").is_err());
        assert!(request.header("x y", "a").is_err());
    }
}
