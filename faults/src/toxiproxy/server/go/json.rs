//! Reading the first JSON value of a body, and complaining about a broken one in the words of the original.

use serde_json::{Deserializer, Value};

/// The first value of `body`; what follows is not looked at.
pub(crate) fn parse(body: &[u8]) -> Result<Value, String> {
    let mut values = Deserializer::from_slice(body).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(complaint(body).unwrap_or_else(|| error.to_string())),
        None => Err("EOF".to_owned()),
    }
}

fn complaint(body: &[u8]) -> Option<String> {
    let mut scanner = Scanner { rest: body };
    scanner.value("looking for beginning of value").err()
}

/// Walks through a value until something is wrong with it.
struct Scanner<'a> {
    rest: &'a [u8],
}

type Scanned = Result<(), String>;

impl Scanner<'_> {
    fn value(&mut self, context: &str) -> Scanned {
        match self.next_solid()? {
            b'{' => self.object(),
            b'[' => self.array(),
            b'"' => self.string(),
            first @ (b'-' | b'0'..=b'9') => self.number(first),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            other => Err(invalid(other, context)),
        }
    }

    fn object(&mut self) -> Scanned {
        let mut first = true;
        loop {
            match self.next_solid()? {
                b'}' if first => return Ok(()),
                b'"' => self.string()?,
                other => return Err(invalid(other, "looking for beginning of object key string")),
            }
            first = false;
            match self.next_solid()? {
                b':' => self.value("looking for beginning of value")?,
                other => return Err(invalid(other, "after object key")),
            }
            match self.next_solid()? {
                b',' => {}
                b'}' => return Ok(()),
                other => return Err(invalid(other, "after object key:value pair")),
            }
        }
    }

    fn array(&mut self) -> Scanned {
        self.skip_space();
        if self.rest.first() == Some(&b']') {
            self.next()?;
            return Ok(());
        }
        loop {
            self.value("looking for beginning of value")?;
            match self.next_solid()? {
                b',' => {}
                b']' => return Ok(()),
                other => return Err(invalid(other, "after array element")),
            }
        }
    }

    fn string(&mut self) -> Scanned {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                control @ 0..0x20 => return Err(invalid(control, "in string literal")),
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Scanned {
        match self.next()? {
            b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => Ok(()),
            b'u' => {
                for _ in 0..4 {
                    let digit = self.next()?;
                    if !digit.is_ascii_hexdigit() {
                        return Err(invalid(digit, "in \\u hexadecimal character escape"));
                    }
                }
                Ok(())
            }
            other => Err(invalid(other, "in string escape code")),
        }
    }

    fn number(&mut self, first: u8) -> Scanned {
        if first == b'-' {
            self.digit("in numeric literal")?;
        }
        self.skip_digits();
        if self.rest.first() == Some(&b'.') {
            self.next()?;
            self.digit("after decimal point in numeric literal")?;
            self.skip_digits();
        }
        if matches!(self.rest.first(), Some(b'e' | b'E')) {
            self.next()?;
            if matches!(self.rest.first(), Some(b'+' | b'-')) {
                self.next()?;
            }
            self.digit("in exponent of numeric literal")?;
            self.skip_digits();
        }
        Ok(())
    }

    fn literal(&mut self, word: &str) -> Scanned {
        for expected in word.bytes().skip(1) {
            let found = self.next()?;
            if found != expected {
                let expected = char::from(expected);
                let context = format!("in literal {word} (expecting '{expected}')");
                return Err(invalid(found, &context));
            }
        }
        Ok(())
    }

    fn digit(&mut self, context: &str) -> Scanned {
        match self.next()? {
            b'0'..=b'9' => Ok(()),
            other => Err(invalid(other, context)),
        }
    }

    fn skip_digits(&mut self) {
        while let [b'0'..=b'9', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn skip_space(&mut self) {
        while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn next_solid(&mut self) -> Result<u8, String> {
        self.skip_space();
        self.next()
    }

    fn next(&mut self) -> Result<u8, String> {
        match self.rest {
            [first, rest @ ..] => {
                self.rest = rest;
                Ok(*first)
            }
            [] => Err("unexpected EOF".to_owned()),
        }
    }
}

fn invalid(found: u8, context: &str) -> String {
    let shown = match found {
        b'\'' => r"'\''".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        0..0x20 | 0x7f => format!(r"'\x{found:02x}'"),
        _ => format!("'{}'", char::from(found)),
    };
    format!("invalid character {shown} {context}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_read_as_those_of_the_original() {
        for (body, complaint) in [
            ("", "EOF"),
            ("  ", "EOF"),
            ("{", "unexpected EOF"),
            (r#"{"a": 1"#, "unexpected EOF"),
            ("{bad", "invalid character 'b' looking for beginning of object key string"),
            ("bad", "invalid character 'b' looking for beginning of value"),
            (r#"{"a" 1}"#, "invalid character '1' after object key"),
            (r#"{"a": 1 2}"#, "invalid character '2' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            (r#"{"a":1,}"#, "invalid character '}' looking for beginning of object key string"),
            ("tru3", "invalid character '3' in literal true (expecting 'e')"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            (r#""\x""#, "invalid character 'x' in string escape code"),
            ("\"\n\"", r"invalid character '\n' in string literal"),
        ] {
            assert_eq!(parse(body.as_bytes()).unwrap_err(), complaint, "{body:?}");
        }
    }

    #[test]
    fn what_follows_the_first_value_is_not_looked_at() {
        assert_eq!(parse(b"{} {bad").unwrap(), serde_json::json!({}));
    }
}
