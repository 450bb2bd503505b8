//! Processes and directories of a system that is already there, as written in an environment file.

use std::path::Path;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SiteName, url};
use crate::names::simple_name;
use crate::units::Size;

/// A process of a system that is already there, which drdrill may pause and, where it knows how to start it again, end.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct HostProcess {
    /// Its name.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub name: String,
    /// The site it belongs to: the role by which scenarios know it.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub site: SiteName,
    /// Its number; either this or `pid_file`.
    #[serde(default)]
    #[garde(custom(either(self.pid_file.as_deref())), inner(range(min = 2)))]
    pub pid: Option<i32>,
    /// Absolute path of the file that holds its number while it runs.
    #[serde(default)]
    #[garde(inner(custom(absolute)))]
    pub pid_file: Option<String>,
    /// The command that starts it again: an absolute path of a program, and its arguments. It is not a line for a
    /// shell, and anybody can read it in the process list: no secrets. Needs `pid_file`.
    #[serde(default)]
    #[garde(custom(command(self.pid_file.is_some())))]
    pub start: Option<Vec<String>>,
    /// Where it accepts TCP connections while it runs, `address:port`.
    #[serde(default)]
    #[garde(inner(custom(url::address_and_port)))]
    pub canary: Option<String>,
}

/// A directory of a system that is already there, whose file system drdrill may fill.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct HostDirectory {
    /// Its name.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub name: String,
    /// The site it belongs to: the role by which scenarios know it.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub site: SiteName,
    /// Absolute path of the directory.
    #[garde(custom(absolute))]
    pub path: String,
    /// Filling the file system may take no more than this.
    #[garde(skip)]
    pub at_most: Size,
}

/// Longest command in a file: words, and bytes of all of them. A ledger entry has room for it.
const LONGEST_COMMAND: (usize, usize) = (100, 2000);

fn either<C>(pid_file: Option<&str>) -> impl Fn(&Option<i32>, &C) -> garde::Result {
    let named = pid_file.is_some();
    move |pid, _| match (pid, named) {
        (Some(_), true) => Err(garde::Error::new("give either `pid` or `pid_file`, not both")),
        (None, false) => Err(garde::Error::new("give either `pid` or `pid_file`")),
        _ => Ok(()),
    }
}

fn command<C>(has_pid_file: bool) -> impl Fn(&Option<Vec<String>>, &C) -> garde::Result {
    move |start: &Option<Vec<String>>, context: &C| {
        let Some(words) = start else { return Ok(()) };
        if has_pid_file {
            return argv(words, context);
        }
        Err(garde::Error::new(
            "needs `pid_file`: a process that was started again has another number",
        ))
    }
}

/// A check of a program and its arguments.
pub(crate) fn argv<C>(words: &[String], _: &C) -> garde::Result {
    let program = words.first().map_or("", String::as_str);
    let (most, bytes) = LONGEST_COMMAND;
    let wrong = if !Path::new(program).is_absolute() {
        "must begin with the absolute path of a program, such as [/usr/bin/systemctl, start, db]"
            .to_owned()
    } else if words.len() > most || words.iter().map(String::len).sum::<usize>() > bytes {
        format!("must have at most {most} words and {bytes} bytes")
    } else if words.iter().any(|word| word.contains('\0')) {
        "must not contain NUL".to_owned()
    } else {
        return Ok(());
    };
    Err(garde::Error::new(wrong))
}

pub(crate) fn absolute<C>(path: &str, _: &C) -> garde::Result {
    if Path::new(path).is_absolute() && !path.contains('\0') && path.len() <= 1000 {
        return Ok(());
    }
    Err(garde::Error::new("must be an absolute path of at most 1000 bytes, such as /run/db.pid"))
}
