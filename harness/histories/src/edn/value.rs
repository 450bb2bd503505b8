//! Values of EDN, as far as histories need them. Source: github.com/edn-format/edn.

use std::fmt;

/// A value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// `nil`.
    Nil,
    /// An integer. Outside of 64 bits with sign Clojure reads a big one.
    Integer(i128),
    /// A keyword, without its colon.
    Keyword(&'static str),
    /// A string.
    Text(String),
    /// A vector.
    Vector(Vec<Value>),
    /// A map. Keys must differ.
    Map(Vec<(Value, Value)>),
}

impl<T: Into<i128>> From<T> for Value {
    fn from(number: T) -> Self {
        Self::Integer(number.into())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Keyword(name) => write!(f, ":{name}"),
            Self::Text(text) => quoted(f, text),
            Self::Vector(all) => {
                f.write_str("[")?;
                for (index, value) in all.iter().enumerate() {
                    let gap = if index == 0 { "" } else { " " };
                    write!(f, "{gap}{value}")?;
                }
                f.write_str("]")
            }
            Self::Map(all) => {
                f.write_str("{")?;
                for (index, (key, value)) in all.iter().enumerate() {
                    let gap = if index == 0 { "" } else { ", " };
                    write!(f, "{gap}{key} {value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

/// A string in quotes. Control characters are escaped, so that a value never spans two lines.
fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for char in text.chars() {
        match char {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            char if char.is_control() => write!(f, "\\u{:04x}", u32::from(char))?,
            char => write!(f, "{char}")?,
        }
    }
    f.write_str("\"")
}
