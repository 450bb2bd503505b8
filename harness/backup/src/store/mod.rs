//! Where restore points are kept. A store has all of a point, or nothing that claims to be one.

pub mod directory;
#[cfg(feature = "s3")]
mod s3;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use drdrill_core::backup_plan::S3Place;
use drdrill_core::secret::Secret;

use crate::digest;
use crate::point::{LARGEST, MANIFEST, Manifest, Object, POINT_FILE, Point};
use crate::trouble::Trouble;

/// What reads an object.
pub type Reader = Box<dyn Read + Send>;

/// Where restore points of one plan are kept. Every call may take as long as the data takes to be moved. Errors are for
/// people.
pub trait Store: fmt::Debug + Send + Sync {
    /// Where it is, for people.
    fn place(&self) -> String;
    /// What tells it from others: two with the same are one copy.
    ///
    /// # Errors
    /// When it cannot be looked at.
    fn identity(&self) -> Result<String, String>;
    /// The names of all points, oldest first.
    ///
    /// # Errors
    /// When it cannot be looked at.
    fn points(&self) -> Result<Vec<String>, String>;
    /// The files of a point with their sizes.
    ///
    /// # Errors
    /// When it cannot be looked at.
    fn objects(&self, point: &str) -> Result<BTreeMap<String, u64>, String>;
    /// Opens a file of a point.
    ///
    /// # Errors
    /// When it cannot be opened: [`Trouble::Unusable`] when it is known not to be there.
    fn open(&self, point: &str, object: &str) -> Result<Reader, Trouble>;
    /// Writes a point whose objects lie in the directory `staged`. All of it is read back before it counts.
    ///
    /// # Errors
    /// When it cannot be written, or reads back as something else. Then nothing claims to be this point.
    fn put(&self, staged: &Path, point: &Written<'_>) -> Result<(), String>;
    /// Removes a point. From the first moment on nothing claims to be it.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove(&self, point: &str) -> Result<(), String>;
    /// Removes what runs that were killed have left.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn tidy(&self) -> Result<(), String>;
}

/// The credentials for a bucket.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Id of the access key.
    pub access_key: Secret,
    /// The secret access key.
    pub secret_key: Secret,
    /// The session token, for credentials that end.
    pub session_token: Option<Secret>,
}

/// The points of `plan` in a bucket. Nothing is asked of the service yet.
///
/// # Errors
/// When something is wrong with the endpoint, or this drdrill was built without the feature `s3`.
#[cfg_attr(not(feature = "s3"), expect(unused_variables, reason = "nothing can be done with them"))]
pub fn bucket(
    spec: &S3Place,
    credentials: &Credentials,
    plan: &str,
) -> Result<Arc<dyn Store>, String> {
    #[cfg(feature = "s3")]
    return s3::S3::new(spec, credentials, plan).map(|store| -> Arc<dyn Store> { Arc::new(store) });
    #[cfg(not(feature = "s3"))]
    Err("this drdrill was built without S3: build it with `cargo build --release --features s3`"
        .to_owned())
}

/// A point to be written.
#[derive(Clone, Debug)]
pub struct Written<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its objects.
    pub objects: Vec<Object>,
    /// `point.json`.
    pub description: Vec<u8>,
    /// `MANIFEST`.
    pub manifest: Vec<u8>,
}

impl<'a> Written<'a> {
    /// A point as its store gets it.
    ///
    /// # Errors
    /// When its description does not become JSON.
    pub fn of(point: &'a Point) -> Result<Self, String> {
        let mut description =
            serde_json::to_vec_pretty(point).map_err(|error| error.to_string())?;
        description.push(b'\n');
        let manifest = Manifest::of(point, &description).to_string().into_bytes();
        Ok(Self {
            name: &point.point,
            objects: point.objects().cloned().collect(),
            description,
            manifest,
        })
    }

    /// The two files that describe it: the last one makes it a point.
    fn descriptions(&self) -> [(&'static str, &[u8]); 2] {
        [(POINT_FILE, &self.description), (MANIFEST, &self.manifest)]
    }
}

/// What a point says of itself, when its manifest and all that this names is there.
///
/// # Errors
/// With what is wrong with it.
pub fn read_point(store: &dyn Store, name: &str) -> Result<Point, Trouble> {
    let unusable = Trouble::Unusable;
    let manifest = Manifest::parse(&read_all(store, name, MANIFEST)?).map_err(unusable)?;
    let point = manifest.point(name, &read_all(store, name, POINT_FILE)?).map_err(unusable)?;
    let mut there = store.objects(name)?;
    there.retain(|name, _| name != MANIFEST && name != POINT_FILE);
    for object in point.objects() {
        match there.remove(&object.name) {
            None => return Err(unusable(format!("{} is missing", object.name))),
            Some(bytes) if bytes != object.bytes => {
                return Err(unusable(format!(
                    "{} has {bytes} bytes and should have {}",
                    object.name, object.bytes
                )));
            }
            Some(_) => {}
        }
    }
    match there.keys().next() {
        Some(other) => {
            Err(unusable(format!("{other} lies there, which the {MANIFEST} does not name")))
        }
        None => Ok(point),
    }
}

fn read_all(store: &dyn Store, point: &str, object: &str) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    let read = store.open(point, object)?.take(LARGEST).read_to_end(&mut bytes);
    read.map_err(|error| format!("{object}: {error}"))?;
    Ok(bytes)
}

/// Reads an object and compares its checksum.
///
/// # Errors
/// When it is not what it should be.
pub fn check(store: &dyn Store, point: &str, object: &Object) -> Result<(), Trouble> {
    let read = digest::of_reader(store.open(point, &object.name)?);
    let (sha256, bytes) = read.map_err(|error: io::Error| format!("{}: {error}", object.name))?;
    same(object, &sha256, bytes).map_err(Trouble::Unusable)
}

/// Compares what was read of an object with what it should be.
pub(crate) fn same(object: &Object, sha256: &str, bytes: u64) -> Result<(), String> {
    if sha256 == object.sha256 && bytes == object.bytes {
        return Ok(());
    }
    Err(format!("{} does not have the SHA-256 it was written with", object.name))
}
