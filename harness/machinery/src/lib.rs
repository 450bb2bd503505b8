//! machinery (being built).
