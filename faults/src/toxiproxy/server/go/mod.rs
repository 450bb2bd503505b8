//! What the original gets from its language: how it reads JSON and addresses, and what it says when it cannot.
//!
//! Clients compare these texts, so they are part of the behaviour.

pub(crate) mod address;
pub(crate) mod fields;
pub(crate) mod json;
