//! `noop`: lets everything pass.

use super::{Moment, Schema, Stage};
use crate::toxiproxy::server::plane::Queue;

pub(super) const SCHEMA: Schema = Schema {
    kind: "noop",
    go_struct: "NoopToxic",
    go_integer: "int64",
    fields: &[],
    stage: |_| Box::new(Noop),
};

struct Noop;

impl Stage for Noop {
    fn advance(
        &mut self,
        _: &mut Moment<'_>,
        input: &mut Queue,
        output: &mut Queue,
    ) -> Option<u64> {
        input.pour_into(output);
        None
    }

    fn retune(&mut self, _: &[i64]) {}

    fn is_transparent(&self) -> bool {
        true
    }
}
