//! The images that the container environment is made of, each built where it is not there yet.
//!
//! An image has a tag made of everything that goes into it: its files and the identity of what it is built on. So one
//! that is there is the right one, and one whose files have changed is built anew.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use bollard::query_parameters::{
    BuildImageOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::base::{self, Base, BaseError};
use crate::engine::{Engine, EngineError, failed};
use crate::last_lines::LastLines;

/// What is said while something is made, a line each.
pub type Say<'a> = &'a (dyn Fn(&str) + Sync);

/// A file of a build, by its name in the build's directory.
#[derive(Clone, Copy, Debug)]
pub struct BuildFile {
    /// Its name.
    pub name: &'static str,
    /// What is in it.
    pub text: &'static str,
}

/// How to build an image.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// The image's name, without a tag.
    pub name: &'static str,
    /// The files of the build, `Dockerfile` among them.
    pub files: &'static [BuildFile],
}

/// A file of the image of hosts.
macro_rules! file {
    ($name:literal) => {
        BuildFile { name: $name, text: include_str!(concat!("../../../localstack/node/", $name)) }
    };
}

/// All images, in the order in which they are built.
pub const RECIPES: [Recipe; 1] = [Recipe {
    name: "drdrill/node",
    files: &[
        file!("Dockerfile"),
        file!("web.py"),
        file!("schema.sql"),
        file!("look.py"),
        file!("service.py"),
        file!("database.py"),
        file!("auth.py"),
        file!("worker.py"),
        file!("backup.py"),
        file!("restore.py"),
        file!("archive.sh"),
    ],
}];

/// The label with what an image was made of, by which all of ours are known.
pub const LABEL: &str = "drdrill.content";

/// How an image came to be there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum How {
    /// It was there.
    Found,
    /// It came from a registry.
    Pulled,
    /// It was made of Debian's packages.
    Bootstrapped,
    /// It was built.
    Built,
}

impl How {
    /// In a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Pulled => "pulled",
            Self::Bootstrapped => "bootstrapped",
            Self::Built => "built",
        }
    }
}

/// An image that is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Image {
    /// Its name and tag.
    pub name: String,
    /// How it came to be there.
    pub how: How,
    /// How long that took.
    pub took: Duration,
}

/// Why there is no image.
#[derive(Debug, Error)]
pub enum ImageError {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What it is built on.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// A command of the build failed.
    #[error("{image} could not be built: {why}{last_lines}")]
    Build {
        /// The image.
        image: String,
        /// The engine's words.
        why: String,
        /// The last lines of the build's output.
        last_lines: LastLines,
    },
}

/// The name and tag under which a recipe's image is known when built on the image with identity `base`.
#[must_use]
pub fn tagged(recipe: &Recipe, base: &str) -> String {
    format!("{}:{}", recipe.name, digest(recipe, Some(base)))
}

/// The tag of a recipe's image that somebody had built on an image of their own choice. Whatever that is, the image has the
/// files of this recipe.
fn chosen(recipe: &Recipe) -> String {
    format!("chosen-{}", digest(recipe, None))
}

fn digest(recipe: &Recipe, base: Option<&str>) -> String {
    let mut all = Sha256::new();
    for part in recipe.files.iter().flat_map(|file| [file.name, file.text]).chain(base) {
        all.update((part.len() as u64).to_le_bytes());
        all.update(part);
    }
    let mut content = hex::encode(all.finalize());
    content.truncate(12);
    content
}

/// A recipe's image, under the name that says exactly what is in it: the one on a base that somebody chose before the one
/// on Debian's.
async fn here(engine: &Engine, recipe: &Recipe) -> Result<Option<String>, EngineError> {
    let mut names = Vec::new();
    let kept = engine.image(&format!("{}:{}", recipe.name, chosen(recipe))).await?;
    let labels = kept.and_then(|image| image.config?.labels);
    names.extend(labels.and_then(|mut labels| labels.remove(LABEL)));
    names.extend(base::here(engine).await?.map(|base| tagged(recipe, &base.id)));
    for name in names {
        if engine.image(&name).await?.is_some() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The image of hosts; `None` where it is not built.
///
/// # Errors
/// When the engine cannot tell.
pub async fn node(engine: &Engine) -> Result<Option<String>, EngineError> {
    let [recipe] = &RECIPES;
    here(engine, recipe).await
}

/// What a look at the images found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Missing {
    /// Names of the images that are not there.
    pub images: Vec<String>,
}

/// Looks which images are not there.
///
/// # Errors
/// When the engine cannot tell.
pub async fn missing(engine: &Engine) -> Result<Missing, EngineError> {
    let mut images = Vec::new();
    for recipe in &RECIPES {
        if here(engine, recipe).await?.is_none() {
            images.push(recipe.name.to_owned());
        }
    }
    Ok(Missing { images })
}

/// Builds all images that are not there, on `base` or on Debian's, which is made in a directory below `scratch` where it
/// has to be. From then on these are the ones that are used. `say` hears how it goes on.
///
/// # Errors
/// When one cannot be built; the others that were built before stay.
pub async fn build(
    engine: &Engine,
    base: Option<&str>,
    scratch: &Path,
    say: Say<'_>,
) -> Result<Vec<Image>, ImageError> {
    let is_chosen = base.is_some();
    let (base, first) = base::find_or_make(engine, base, scratch, say).await?;
    let mut images = vec![first];
    for recipe in &RECIPES {
        let image = build_one(engine, recipe, &base, say).await?;
        choose(engine, recipe, is_chosen.then_some(image.name.as_str())).await?;
        images.push(image);
    }
    Ok(images)
}

/// Keeps in mind that this image of a recipe is to be used, or that none was chosen.
async fn choose(engine: &Engine, recipe: &Recipe, image: Option<&str>) -> Result<(), EngineError> {
    let client = engine.client();
    let tag = chosen(recipe);
    let Some(image) = image else {
        let name = format!("{}:{tag}", recipe.name);
        if engine.image(&name).await?.is_some() {
            // Only this name goes: the image has another one.
            let gone = client.remove_image(&name, None::<RemoveImageOptions>, None).await;
            gone.map_err(|error| failed("take a name from an image", &error))?;
        }
        return Ok(());
    };
    let name = TagImageOptionsBuilder::new().repo(recipe.name).tag(&tag).build();
    let named = client.tag_image(image, Some(name)).await;
    named.map_err(|error| failed("name an image", &error))
}

async fn build_one(
    engine: &Engine,
    recipe: &Recipe,
    base: &Base,
    say: Say<'_>,
) -> Result<Image, ImageError> {
    let began = Instant::now();
    let name = tagged(recipe, &base.id);
    if engine.image(&name).await?.is_some() {
        return Ok(Image { name, how: How::Found, took: began.elapsed() });
    }
    say(&format!("{name}: building on {}", base.name));
    let options = BuildImageOptionsBuilder::new()
        .t(&name)
        .rm(true)
        // What a build leaves that fails, or whose caller is killed, goes too.
        .forcerm(true)
        .buildargs(&HashMap::from([("BASE", base.name.as_str())]))
        .labels(&HashMap::from([(LABEL, name.as_str())]))
        .build();
    let context = bollard::body_full(context(recipe).map_err(|error| ImageError::Build {
        image: name.clone(),
        why: error.to_string(),
        last_lines: LastLines::default(),
    })?);
    let mut events = engine.client().build_image(options, None, Some(context));
    let mut last_lines = LastLines::default();
    while let Some(event) = events.next().await {
        let event = event.map_err(|error| ImageError::Build {
            image: name.clone(),
            why: match failed("build it", &error) {
                EngineError::Failed { why, .. } => why,
                other => other.to_string(),
            },
            last_lines: std::mem::take(&mut last_lines),
        })?;
        for line in event.stream.unwrap_or_default().lines() {
            if line.starts_with("Step ") {
                say(&format!("{name}: {}", shortened(line)));
            }
            last_lines.push(line);
        }
    }
    Ok(Image { name, how: How::Built, took: began.elapsed() })
}

/// A line of a build as it fits into a terminal: commands are long, and have wide gaps.
fn shortened(line: &str) -> String {
    const WIDTH: usize = 80;
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The files of a build as the engine wants them: a tar archive.
fn context(recipe: &Recipe) -> std::io::Result<Bytes> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in recipe.files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.text.len() as u64);
        header.set_mode(0o755);
        archive.append_data(&mut header, file.name, file.text.as_bytes())?;
    }
    archive.into_inner().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: [BuildFile; 1] = [BuildFile { name: "Dockerfile", text: "FROM a" }];
    const OTHER: [BuildFile; 1] = [BuildFile { name: "Dockerfile", text: "FROM b" }];
    // The same bytes, cut elsewhere.
    const SHIFTED: [BuildFile; 1] = [BuildFile { name: "DockerfileF", text: "ROM a" }];

    #[test]
    fn a_tag_changes_with_the_files_and_with_what_they_are_built_on() {
        let tag = |files, base| tagged(&Recipe { name: "drdrill/x", files }, base);
        let first = tag(&ONE, "sha256:1");
        assert_eq!(first, tag(&ONE, "sha256:1"));
        assert_eq!(first.len(), "drdrill/x:".len() + 12);
        for other in [tag(&OTHER, "sha256:1"), tag(&ONE, "sha256:2"), tag(&SHIFTED, "sha256:1")] {
            assert_ne!(first, other);
        }
    }
}
