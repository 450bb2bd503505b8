//! What the template of a report of blocks is given.

use minijinja::{Value, context};

use super::view::cell;
use crate::doc::{Block, Doc, Table};

/// Everything that the template shows. Drawings and the style sheet are ours and marked as safe; nothing else is.
pub(super) fn view(doc: &Doc, style: &str) -> Value {
    let contents = doc.blocks.iter().filter_map(|block| match block {
        Block::Heading(2, id, text) => Some(context! { id => id, text => text }),
        _ => None,
    });
    context! {
        style => Value::from_safe_string(style.to_owned()),
        title => &doc.title,
        badge => doc.badge.as_ref().map(|(_, text)| text),
        class => doc.badge.as_ref().map(|(verdict, _)| verdict.word()),
        lead => &doc.lead,
        foot => &doc.foot,
        contents => contents.collect::<Vec<_>>(),
        blocks => doc.blocks.iter().map(block).collect::<Vec<_>>(),
    }
}

fn block(block: &Block) -> Value {
    match block {
        Block::Heading(level, id, text) => {
            context! { is => "heading", level => level, id => id, text => text }
        }
        Block::Text(text) => context! { is => "text", text => text },
        Block::Notice(verdict, text) => {
            context! { is => "notice", text => text, class => verdict.word() }
        }
        Block::List(points) => context! { is => "list", points => points },
        Block::Commands(points) => context! { is => "commands", points => points },
        Block::Drawing(drawing) => context! {
            is => "drawing",
            label => &drawing.title,
            drawing => Value::from_safe_string(drawing.svg()),
        },
        Block::Table(of) => table(of),
    }
}

fn table(table: &Table) -> Value {
    let columns = table.columns.iter().enumerate().map(|(number, name)| {
        context! { name => name, class => if table.is_figures(number) { "figure" } else { "" } }
    });
    let row = |row: &Vec<_>| {
        row.iter().zip(&table.columns).map(|(one, column)| cell(one, column)).collect::<Vec<_>>()
    };
    context! {
        is => "table",
        label => &table.label,
        columns => columns.collect::<Vec<_>>(),
        rows => table.rows.iter().map(row).collect::<Vec<_>>(),
    }
}
