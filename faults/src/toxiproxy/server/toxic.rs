//! A toxic of a proxy: name, place, chance and numbers.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::plane::Way;
use super::toxics::Attributes;

#[derive(Debug, Clone)]
pub(crate) struct Toxic {
    pub(crate) name: String,
    /// As the client wrote it; [`Toxic::way`] is what it means.
    pub(crate) stream: String,
    pub(crate) way: Way,
    /// The part of all connections that is struck. The original takes any number, so this does.
    pub(crate) toxicity: f32,
    pub(crate) attributes: Attributes,
}

impl Serialize for Toxic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Toxic", 5)?;
        fields.serialize_field("attributes", &self.attributes)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("type", self.attributes.schema.kind)?;
        fields.serialize_field("stream", &self.stream)?;
        fields.serialize_field("toxicity", &Shortest(self.toxicity))?;
        fields.end()
    }
}

/// A number without a fraction if it has none: `1`, not `1.0`.
struct Shortest(f32);

impl Serialize for Shortest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(number) = *self;
        if number.fract() == 0.0 && number.abs() < 1e15 {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and small")]
            return serializer.serialize_i64(number as i64);
        }
        serializer.serialize_f32(number)
    }
}
