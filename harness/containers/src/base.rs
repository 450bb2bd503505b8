//! What the images are built on: an image of Debian.
//!
//! Where Debian's own image is not there and cannot be pulled, one is made of Debian's packages by `debootstrap`.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use bollard::query_parameters::{
    CreateImageOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder,
};
use futures_util::StreamExt as _;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_util::io::ReaderStream;

use crate::engine::{Engine, EngineError, failed};
use crate::images::{How, Image, Say};
use crate::last_lines::LastLines;

/// Debian's own image.
const PUBLIC: &str = "docker.io/library/debian";
const PUBLIC_TAG: &str = "bookworm-slim";
/// The image made of Debian's packages.
const OURS: &str = "drdrill/base";
/// Debian 12.
const SUITE: &str = "bookworm";
/// Where Debian's packages are.
const MIRROR: &str = "http://deb.debian.org/debian";
/// A registry that says nothing for so long is not there.
const REGISTRY_WITHIN: Duration = Duration::from_secs(30);

/// An image that others are built on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Base {
    /// Its name.
    pub name: String,
    /// Its identity: the digest of what is in it.
    pub id: String,
}

/// Why there is none.
#[derive(Debug, Error)]
pub enum BaseError {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The one that was named is nowhere.
    #[error("image {name} is not there and cannot be pulled: {why}")]
    Nowhere {
        /// Its name.
        name: String,
        /// The engine's words.
        why: String,
    },
    /// No image, no registry, and no way to make one.
    #[error(
        "{PUBLIC}:{PUBLIC_TAG} cannot be pulled ({pull}), and without it a base image cannot be made here: {why}"
    )]
    CannotBeMade {
        /// Why it cannot be pulled.
        pull: String,
        /// What is missing.
        why: String,
    },
    /// It began and failed.
    #[error("the base image could not be made of Debian's packages: {why}{last_lines}")]
    Bootstrap {
        /// What went wrong.
        why: String,
        /// The last lines that `debootstrap` said.
        last_lines: LastLines,
    },
}

/// The base image that is there, if any: Debian's own before ours.
///
/// # Errors
/// When the engine cannot tell.
pub async fn here(engine: &Engine) -> Result<Option<Base>, EngineError> {
    for name in [format!("{PUBLIC}:{PUBLIC_TAG}"), format!("{OURS}:{SUITE}")] {
        if let Some(base) = look(engine, &name).await? {
            return Ok(Some(base));
        }
    }
    Ok(None)
}

async fn look(engine: &Engine, name: &str) -> Result<Option<Base>, EngineError> {
    let found = engine.image(name).await?;
    let id = found.and_then(|image| image.id);
    Ok(id.map(|id| Base { name: name.to_owned(), id }))
}

/// Finds the base image, pulls it, or makes it in a directory below `scratch`.
///
/// # Errors
/// When there is none and none can be made.
pub async fn find_or_make(
    engine: &Engine,
    named: Option<&str>,
    scratch: &Path,
    say: Say<'_>,
) -> Result<(Base, Image), BaseError> {
    let began = Instant::now();
    let came = |base: Base, how: How| {
        let image = Image { name: base.name.clone(), how, took: began.elapsed() };
        Ok((base, image))
    };
    if let Some(name) = named {
        if let Some(base) = look(engine, name).await? {
            return came(base, How::Found);
        }
        let nowhere = |why: String| BaseError::Nowhere { name: name.to_owned(), why };
        pull(engine, name, None, say).await.map_err(nowhere)?;
        let base = look(engine, name).await?;
        return came(
            base.ok_or_else(|| nowhere("it is not there after it was pulled".into()))?,
            How::Pulled,
        );
    }
    if let Some(base) = here(engine).await? {
        return came(base, How::Found);
    }
    let how = match pull(engine, PUBLIC, Some(PUBLIC_TAG), say).await {
        Ok(()) => How::Pulled,
        Err(why) => {
            bootstrap(engine, why, scratch, say).await?;
            How::Bootstrapped
        }
    };
    let base = here(engine).await?.ok_or_else(|| BaseError::Bootstrap {
        why: "the engine does not show it".to_owned(),
        last_lines: LastLines::default(),
    })?;
    came(base, how)
}

/// Pulls an image; `Err` says why that did not work.
async fn pull(engine: &Engine, name: &str, tag: Option<&str>, say: Say<'_>) -> Result<(), String> {
    say(&format!("{name}: pulling"));
    let options = CreateImageOptionsBuilder::new().from_image(name);
    let options = tag.into_iter().fold(options, CreateImageOptionsBuilder::tag).build();
    let mut events = engine.client().create_image(Some(options), None, None).boxed();
    loop {
        match timeout(REGISTRY_WITHIN, events.next()).await {
            Ok(Some(Ok(_))) => {}
            Ok(None) => return Ok(()),
            Ok(Some(Err(error))) => {
                return Err(match failed("pull it", &error) {
                    EngineError::Failed { why, .. } => why,
                    other => other.to_string(),
                });
            }
            Err(_) => return Err(format!("the registry said nothing for {REGISTRY_WITHIN:?}")),
        }
    }
}

/// Makes the base image of Debian's packages.
async fn bootstrap(
    engine: &Engine,
    pull: String,
    scratch: &Path,
    say: Say<'_>,
) -> Result<(), BaseError> {
    let cannot = |why: &str| BaseError::CannotBeMade { pull: pull.clone(), why: why.to_owned() };
    if !rustix::process::geteuid().is_root() {
        return Err(cannot("that needs root"));
    }
    let Some(debootstrap) = program("debootstrap") else {
        return Err(cannot(
            "the program debootstrap is missing; on Debian: apt-get install debootstrap",
        ));
    };
    let failed = |why: String, last_lines| BaseError::Bootstrap { why, last_lines };
    let tree = Tree::new(scratch).map_err(|why| failed(why, LastLines::default()))?;
    let name = format!("{OURS}:{SUITE}");
    say(&format!(
        "{name}: no registry ({pull}); making it of Debian's packages, which takes a minute or two"
    ));
    // It ends with us, and what it mounts is gone with it: its mount namespace is its own.
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare", "--mount", "--fork", "--kill-child", "--"])
        .arg(debootstrap)
        .args(["--variant=minbase", SUITE])
        .arg(&tree.root)
        .arg(MIRROR)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("setpriv: {error}"), LastLines::default()))?;
    let last_lines = listen(child.stdout.take(), &name, say).await;
    ended(&mut child, "debootstrap").await.map_err(|why| failed(why, last_lines))?;
    say(&format!("{name}: importing"));
    import(engine, &tree.root).await.map_err(|why| failed(why, LastLines::default()))
}

/// Passes on what stage a bootstrap is in; returns its last lines.
async fn listen(stdout: Option<impl AsyncRead + Unpin>, name: &str, say: Say<'_>) -> LastLines {
    let mut last_lines = LastLines::default();
    let mut stages = vec!["Retrieving", "Extracting", "Unpacking", "Configuring"];
    let Some(stdout) = stdout else { return last_lines };
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // "I: Retrieving gcc-12-base 12.2.0-14": the verb is the stage.
        let verb = line.strip_prefix("I: ").and_then(|rest| rest.split(' ').next());
        if let Some(new) = stages.iter().position(|stage| Some(*stage) == verb) {
            say(&format!("{name}: {}", stages.remove(new).to_lowercase()));
        }
        last_lines.push(&line);
    }
    last_lines
}

async fn ended(child: &mut Child, program: &str) -> Result<(), String> {
    match child.wait().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program}: {status}")),
        Err(error) => Err(format!("{program}: {error}")),
    }
}

/// Makes an image of a tree of files.
async fn import(engine: &Engine, root: &Path) -> Result<(), String> {
    let mut tar = Command::new("tar")
        .arg("-C")
        .arg(root)
        // The packages themselves are of no use in an image.
        .args(["--exclude=./var/cache/apt/archives/*.deb", "--exclude=./var/lib/apt/lists/*_*"])
        .args(["-c", "."])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("tar: {error}"))?;
    let Some(archive) = tar.stdout.take() else { return Err("tar: no output".to_owned()) };
    let client = engine.client();
    let options = CreateImageOptionsBuilder::new().from_src("-").build();
    let body = bollard::body_try_stream(ReaderStream::new(archive));
    let mut events = client.create_image(Some(options), Some(body), None).boxed();
    let mut id = None;
    while let Some(event) = events.next().await {
        let event = event.map_err(|error| failed("import it", &error).to_string())?;
        id = event.status.filter(|status| status.starts_with("sha256:")).or(id);
    }
    let id = id.ok_or("the engine named no image")?;
    // It has its name only when it is whole: of an archive that ends early the engine makes an image too.
    if let Err(why) = ended(&mut tar, "tar").await {
        let _ = client.remove_image(&id, None::<RemoveImageOptions>, None).await;
        return Err(why);
    }
    let name = TagImageOptionsBuilder::new().repo(OURS).tag(SUITE).build();
    client.tag_image(&id, Some(name)).await.map_err(|error| failed("name it", &error).to_string())
}

/// The directory in which a base image is made, gone afterwards. What one left that was killed goes before.
#[derive(Debug)]
struct Tree {
    root: PathBuf,
    _lock: File,
}

impl Tree {
    fn new(scratch: &Path) -> Result<Self, String> {
        let root = scratch.join("base-image");
        let at = |error: std::io::Error| format!("{}: {error}", root.display());
        fs::create_dir_all(scratch).map_err(at)?;
        let lock = File::create(scratch.join("base-image.lock")).map_err(at)?;
        lock.try_lock().map_err(|_| "another build is making it".to_owned())?;
        let tree = Self { root: root.clone(), _lock: lock };
        tree.clear().map_err(at)?;
        fs::create_dir(&root).map_err(at)?;
        Ok(tree)
    }

    fn clear(&self) -> std::io::Result<()> {
        match fs::remove_dir_all(&self.root) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // What was killed a moment ago may still be at work in it.
        for _ in 0..50 {
            if self.clear().is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Where a program is.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}
