//! The bytes of a request, made beforehand as far as possible.

use std::fmt;

use drdrill_core::probe::MakeBody;

use super::super::target::TargetError;

/// Stands for the attempt's number.
const SEQUENCE: &str = "{sequence}";

/// A request, but for the attempt's number.
#[derive(Clone)]
pub(super) struct Request {
    method: String,
    /// Everything up to the `Connection` header, with `{sequence}` where the attempt's number belongs.
    head: String,
    close: bool,
    make_body: Option<MakeBody>,
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
        })
    }

    pub(super) fn close(&mut self, close: bool) {
        self.close = close;
    }

    pub(super) fn header(&mut self, name: &str, value: &str) -> Result<(), TargetError> {
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            return Err(bad("the header name", name));
        }
        if value.chars().any(|c| c.is_control() && c != '\t') {
            // Its name says enough: the value may be a secret.
            return Err(bad("the value of the header", name));
        }
        self.head.extend([name, ": ", value, "\r\n"]);
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
    pub(super) fn bytes(&self, sequence: u64) -> Vec<u8> {
        let mut text = filled(&self.head, sequence);
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
    fn nothing_can_be_smuggled_into_a_request() {
        assert!(Request::new("GET", "h", "/a b").is_err());
        assert!(Request::new("get", "h", "/").is_err());
        let mut request = Request::new("GET", "h", "/").unwrap();
        assert!(request.header("x", "a\r\nb: c").is_err());
        assert!(request.header("x y", "a").is_err());
    }
}
