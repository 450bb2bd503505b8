//! The one place where text becomes a scenario or an inventory. Nothing else knows the YAML library.

use garde::Validate;
use serde::de::DeserializeOwned;

use super::Scenario;
use crate::inventory::Inventory;

/// Largest file that is looked at. A scenario is a page or two; anything larger is a mistake or an attack.
pub const LARGEST_FILE_BYTES: usize = 1024 * 1024;

/// A file that is not acceptable. The message names file, line and column, shows the line and says what is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{rendered}")]
pub struct FileError {
    rendered: String,
}

/// Reads a scenario from the text of the file `name`.
///
/// # Errors
/// When the text is no scenario; the message says where and what to write instead.
pub fn parse_scenario(name: &str, text: &str) -> Result<Scenario, FileError> {
    parse(name, text)
}

/// Reads an environment from the text of the file `name`.
///
/// # Errors
/// When the text is no environment; the message says where and what to write instead.
pub fn parse_inventory(name: &str, text: &str) -> Result<Inventory, FileError> {
    parse(name, text)
}

fn parse<T: DeserializeOwned + Validate<Context = ()>>(
    name: &str,
    text: &str,
) -> Result<T, FileError> {
    if text.len() > LARGEST_FILE_BYTES {
        let rendered = format!(
            "{name}: {} bytes are more than the {LARGEST_FILE_BYTES} that are read",
            text.len()
        );
        return Err(FileError { rendered });
    }
    let value = serde_saphyr::from_str_valid::<T>(text);
    value.map_err(|error| FileError {
        rendered: format!("{name}: {error}"),
    })
}
