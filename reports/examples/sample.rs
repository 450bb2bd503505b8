//! Writes sample reports, to be looked at: `cargo run -p drdrill-reports --example sample -- DIRECTORY`.
//!
//! For each way a drill can end there is every format (PDF with the feature `pdf`); the terminal summaries are
//! printed.

#[path = "../src/testkit/mod.rs"]
mod testkit;

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;

use drdrill_core::reporter::{Reporter, Run};
use drdrill_reports::{Csv, Html, Json, Junit, Look, Markdown, recommend, summary_table};
use testkit::{Case, Fixture};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let Some(directory) = arguments.next() else {
        return Err("usage: sample DIRECTORY [WIDTH]".into());
    };
    let width = arguments.next().map_or(Ok(100), |width| width.parse())?;
    for (case, name) in Case::ALL {
        let mut fixture = Fixture::build(case);
        fixture.record.recommendations = recommend(&fixture.record);
        let run = Run { record: &fixture.record, history: &fixture.history, doubt: None };
        let directory = Path::new(&directory).join(name);
        fs::create_dir_all(&directory)?;
        let reporters: [&dyn Reporter; 5] = [&Html, &Markdown, &Json, &Csv, &Junit];
        for reporter in reporters.into_iter().chain(drdrill_reports::pdf()) {
            let mut file = File::create(directory.join(reporter.file_name()))?;
            reporter.render(run, &mut file)?;
        }
        let report = directory.join("report.html");
        println!("{}", summary_table(&fixture.record, Look::terminal(width, true), Some(&report)));
        println!("{}", summary_table(&fixture.record, Look::plain(), Some(&report)));
    }
    Ok(())
}
