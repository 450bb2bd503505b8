//! A container engine (Docker, or what speaks its API), and the images of the container environment.
//!
//! - [`engine`]: the way to the engine, and why there is none.
//! - [`hosts`]: containers, networks and volumes of a run.
//! - [`images`]: the images, built where they are not there yet.
//! - `ranges`: which addresses the networks get.
//! - [`last_lines`]: what is shown of a build that failed.
//! - [`base`]: what they are built on: an image of Debian, from a registry or made of Debian's packages.

pub mod base;
pub mod engine;
pub mod hosts;
pub mod images;
pub mod last_lines;
mod ranges;
