//! The report as one HTML file: no script, no font, no picture, nothing loaded from anywhere.
//!
//! The template escapes nothing by itself: everything that is not one of our own drawings goes through
//! [`escape::html`], in one formatter.

mod blocks;
mod view;

use std::io;

use drdrill_core::reporter::{Reporter, Run};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Value};

use crate::doc::Doc;
use crate::escape;

/// Writes the whole report as one HTML file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Html;

const TEMPLATE: &str = include_str!("html/report.html");
const DOC: &str = include_str!("html/doc.html");
const STYLE: &str = include_str!("html/report.css");

impl Reporter for Html {
    fn file_name(&self) -> &'static str {
        "report.html"
    }

    fn render(&self, run: Run<'_>, out: &mut dyn io::Write) -> io::Result<()> {
        let page = page(run).map_err(io::Error::other)?;
        out.write_all(page.as_bytes())
    }
}

fn page(run: Run<'_>) -> Result<String, minijinja::Error> {
    filled("report.html", TEMPLATE, view::view(run, STYLE))
}

/// A report of blocks as one page.
pub(crate) fn of_doc(doc: &Doc) -> Result<String, minijinja::Error> {
    filled("doc.html", DOC, blocks::view(doc, STYLE))
}

fn filled(name: &str, template: &str, view: Value) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    environment.set_syntax(syntax);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(|out, _, value| {
        if value.is_undefined() || value.is_none() {
            return Ok(());
        }
        let text = value.to_string();
        if value.is_safe() {
            out.write_str(&text)?;
        } else {
            out.write_str(&escape::html(&text))?;
        }
        Ok(())
    });
    environment.add_template_owned(name.to_owned(), template.to_owned())?;
    environment.get_template(name)?.render(view)
}

#[cfg(test)]
mod tests;
