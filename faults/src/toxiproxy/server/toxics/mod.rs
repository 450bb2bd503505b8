//! The toxics: one file each. To add one, write its file and name its [`Schema`] in [`ALL`].

mod bandwidth;
mod latency;
mod limit_data;
mod noop;
mod reset_peer;
mod slicer;
mod slow_close;
mod timeout;

use rand::rngs::StdRng;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::plane::{Ending, Queue};

/// Every toxic there is.
const ALL: [&Schema; 8] = [
    &latency::SCHEMA,
    &bandwidth::SCHEMA,
    &slow_close::SCHEMA,
    &timeout::SCHEMA,
    &reset_peer::SCHEMA,
    &slicer::SCHEMA,
    &limit_data::SCHEMA,
    &noop::SCHEMA,
];

/// What a toxic is called, which numbers it takes, and how it is made.
#[derive(Debug)]
pub(crate) struct Schema {
    /// The word in the API, `latency`.
    pub(crate) kind: &'static str,
    /// The name of its struct in the original, which appears in error texts.
    pub(crate) go_struct: &'static str,
    /// The integer type in the original, which appears in error texts.
    pub(crate) go_integer: &'static str,
    /// Its attributes, in the order in which they are shown. All are integers; 0 unless given.
    pub(crate) fields: &'static [&'static str],
    /// Makes its effect on one direction of one connection.
    pub(crate) stage: fn(&[i64]) -> Box<dyn Stage>,
}

/// The effect of a toxic on one direction of one connection.
///
/// A stage keeps no data: what has not passed stays in `input`. So a toxic can be changed or removed at any
/// moment and everything it held back flows on, in order.
pub(crate) trait Stage: Send {
    /// Moves what may pass at this moment from `input` to `output`; returns when to call again (in
    /// nanoseconds of the monotonic clock) if time alone will let more pass.
    fn advance(
        &mut self,
        moment: &mut Moment<'_>,
        input: &mut Queue,
        output: &mut Queue,
    ) -> Option<u64>;

    /// Takes new attributes. What is already held back is judged by the new ones.
    fn retune(&mut self, values: &[i64]);

    /// How many bytes may wait before this stage until the sender is held up.
    fn capacity_bytes(&self) -> usize {
        64 * 1024
    }

    /// How the connection ends when this toxic is taken away, if that has to end it.
    fn ending_on_removal(&self) -> Option<Ending> {
        None
    }

    /// Whether this stage never does anything.
    fn is_transparent(&self) -> bool {
        false
    }
}

/// The present, as a stage sees it.
pub(crate) struct Moment<'a> {
    /// The monotonic clock.
    pub(crate) now: u64,
    /// Seeded by the server, so that a run can be repeated.
    pub(crate) random: &'a mut StdRng,
}

/// The schema of a kind of toxic.
pub(crate) fn find(kind: &str) -> Option<&'static Schema> {
    ALL.into_iter().find(|schema| schema.kind == kind)
}

/// The numbers of one toxic.
#[derive(Debug, Clone)]
pub(crate) struct Attributes {
    pub(crate) schema: &'static Schema,
    pub(crate) values: Vec<i64>,
}

impl Attributes {
    pub(crate) fn zero(schema: &'static Schema) -> Self {
        Self { schema, values: vec![0; schema.fields.len()] }
    }

    pub(crate) fn stage(&self) -> Box<dyn Stage> {
        (self.schema.stage)(&self.values)
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        for (field, value) in self.schema.fields.iter().zip(&self.values) {
            map.serialize_entry(field, value)?;
        }
        map.end()
    }
}

/// A number of milliseconds from the API, in nanoseconds. Negative times are no time.
fn millis(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0).saturating_mul(1_000_000)
}

#[cfg(test)]
mod testkit;
