//! environments (being built).
