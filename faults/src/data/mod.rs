//! Rows of a database that are changed, encrypted or removed behind the application's back.
//!
//! 1. [`fault`] — the fault: chosen rows, saved as they were, then struck in one transaction.
//! 2. `saved` — the rows as they were, on disk before they are struck.
//! 3. `rows` — the SQL of it in a file of `SQLite`, `postgres` at a server; `encrypted` — values under a key that is thrown away.
//! 4. [`pages`] — the pages that rows are on, damaged below the server; `heap` reads them.
//! 5. [`reverter`] — puts back what still is as the fault left it, and nothing else.

mod encrypted;
pub mod fault;
mod heap;
pub mod pages;
mod postgres;
pub mod reverter;
mod rows;
mod saved;
