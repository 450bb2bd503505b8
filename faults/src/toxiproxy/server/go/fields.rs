//! The fields of a JSON object, with types, as the original takes them.
//!
//! The case of names does not matter, unknown fields are ignored, `null` is as good as nothing.

use serde_json::{Map, Value};

/// An object whose fields belong to a struct of the original.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    object: Option<&'a Map<String, Value>>,
    go_struct: &'a str,
    /// Where in that struct, as it appears in error texts: `attributes.` or nothing.
    path: &'a str,
}

impl<'a> Fields<'a> {
    /// The fields of `value`. `go_type` is what the original wants to make of it.
    pub(crate) fn of(value: &'a Value, go_struct: &'a str, go_type: &str) -> Result<Self, String> {
        let object = match value {
            Value::Object(object) => Some(object),
            Value::Null => None,
            other => {
                let found = kind(other);
                return Err(format!(
                    "json: cannot unmarshal {found} into Go value of type {go_type}"
                ));
            }
        };
        Ok(Self { object, go_struct, path: "" })
    }

    /// The fields of an object inside this one.
    pub(crate) fn inside(
        &self,
        name: &str,
        go_struct: &'a str,
        path: &'a str,
    ) -> Result<Self, String> {
        let object = match self.get(name) {
            None => None,
            Some(Value::Object(object)) => Some(object),
            Some(other) => return Err(self.mismatch(name, other, &format!("toxics.{go_struct}"))),
        };
        Ok(Self { object, go_struct, path })
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.mismatch(name, other, "string")),
        }
    }

    pub(crate) fn truth(&self, name: &str) -> Result<Option<bool>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(*truth)),
            Some(other) => Err(self.mismatch(name, other, "bool")),
        }
    }

    pub(crate) fn integer(&self, name: &str, go_type: &str) -> Result<Option<i64>, String> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let integer = value.as_i64();
        let found = integer.ok_or_else(|| self.mismatch(name, value, go_type));
        found.map(Some)
    }

    pub(crate) fn fraction(&self, name: &str) -> Result<Option<f32>, String> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        #[expect(clippy::cast_possible_truncation, reason = "the original keeps 32 bits, too")]
        let fraction = value.as_f64().map(|wide| wide as f32);
        let found = fraction.filter(|narrow| narrow.is_finite());
        let found = found.ok_or_else(|| self.mismatch(name, value, "float32"));
        found.map(Some)
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        let object = self.object?;
        let exact = object.get(name);
        let found = exact.or_else(|| {
            let mut entries = object.iter();
            let same = entries.find(|(key, _)| key.eq_ignore_ascii_case(name));
            same.map(|(_, value)| value)
        });
        found.filter(|value| !value.is_null())
    }

    fn mismatch(&self, name: &str, value: &Value, go_type: &str) -> String {
        let found = match value {
            Value::Number(number) => format!("number {number}"),
            other => kind(other).to_owned(),
        };
        // A number is only shown if a number was wanted.
        let found = match go_type {
            "string" | "bool" => kind(value).to_owned(),
            _ => found,
        };
        let Self { go_struct, path, .. } = self;
        format!(
            "json: cannot unmarshal {found} into Go struct field {go_struct}.{path}{name} of type {go_type}"
        )
    }
}

/// What the original calls a value of this type.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wrong_types_are_reported_as_in_the_original() {
        let value = json!({"name": 1, "rate": 1.5, "enabled": "yes", "toxicity": []});
        let fields = Fields::of(&value, "Proxy", "toxiproxy.Proxy").unwrap();
        let complaint =
            "json: cannot unmarshal number into Go struct field Proxy.name of type string";
        assert_eq!(fields.text("name").unwrap_err(), complaint);
        let complaint =
            "json: cannot unmarshal number 1.5 into Go struct field Proxy.rate of type int64";
        assert_eq!(fields.integer("rate", "int64").unwrap_err(), complaint);
        assert!(fields.truth("enabled").is_err());
        assert!(fields.fraction("toxicity").is_err());
        let complaint = "json: cannot unmarshal array into Go value of type toxiproxy.Proxy";
        let list = json!([]);
        let found = Fields::of(&list, "Proxy", "toxiproxy.Proxy");
        assert_eq!(found.unwrap_err(), complaint);
    }

    #[test]
    fn case_does_not_matter_and_null_is_nothing() {
        let value = json!({"NAME": "a", "listen": null});
        let fields = Fields::of(&value, "Proxy", "toxiproxy.Proxy").unwrap();
        assert_eq!(fields.text("name").unwrap(), Some("a".to_owned()));
        assert_eq!(fields.text("listen").unwrap(), None);
        assert_eq!(fields.text("upstream").unwrap(), None);
    }
}
