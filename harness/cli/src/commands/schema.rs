//! `drdrill schema`.

use drdrill_core::backup_plan::BackupPlan;
use drdrill_core::inventory::Inventory;
use drdrill_core::program::Program;
use drdrill_core::record::Record;
use drdrill_core::runbook::Runbook;
use drdrill_core::scenario::Scenario;
use drdrill_core::tabletop::Script;
use drdrill_reports::quarter::Quarter;
use schemars::{Schema, schema_for};

use crate::args::SchemaOf;
use crate::exit::Code;

/// The JSON Schema of a format, from the types that read it.
pub(crate) fn schema_of(of: SchemaOf) -> Schema {
    match of {
        SchemaOf::Scenario => schema_for!(Scenario),
        SchemaOf::Environment => schema_for!(Inventory),
        SchemaOf::Record => schema_for!(Record),
        SchemaOf::Runbook => schema_for!(Runbook),
        SchemaOf::Script => schema_for!(Script),
        SchemaOf::Backup => schema_for!(BackupPlan),
        SchemaOf::Program => schema_for!(Program),
        SchemaOf::Quarter => schema_for!(Quarter),
    }
}

/// Prints a schema.
pub(crate) fn schema(of: SchemaOf) -> Code {
    crate::out::json(&schema_of(of));
    Code::Passed
}
