//! A bucket of a service that speaks the API of S3.
//!
//! The objects of a point are written and read back first, `MANIFEST` last: it makes them a point.

mod http;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use drdrill_core::backup_plan::S3Place;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{
    Attribute, Attributes, ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions,
    PutOptions, PutPayload, RetryConfig,
};
use tokio::runtime::Runtime;

use super::{Credentials, Reader, Store, Written, same};
use crate::digest;
use crate::point::{MANIFEST, Object, is_name};
use crate::trouble::Trouble;

/// What is larger is written in parts of at least this size, in bytes.
const PART: u64 = 16 << 20;
/// Most parts of an object. Source: the limits of S3 (10,000).
const MOST_PARTS: u64 = 10_000;
/// So often a request is tried again, and for so long.
const RETRIES: usize = 3;
const RETRY_FOR: Duration = Duration::from_mins(1);
/// Longest pause of an answer.
const STALL: Duration = Duration::from_mins(1);
/// What a run that was killed has left is removed when it is that old: before, another machine may be writing it.
const ORPHANED: Duration = Duration::from_hours(24);

/// The restore points of a plan in a bucket.
#[derive(Debug)]
pub(super) struct S3 {
    store: AmazonS3,
    runtime: Runtime,
    prefix: Key,
    attributes: Attributes,
    place: String,
    identity: String,
}

impl S3 {
    pub(super) fn new(
        spec: &S3Place,
        credentials: &Credentials,
        plan: &str,
    ) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", spec.endpoint);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| wrong(&error))?;
        let retry = RetryConfig {
            max_retries: RETRIES,
            retry_timeout: RETRY_FOR,
            ..RetryConfig::default()
        };
        let mut builder = AmazonS3Builder::new()
            .with_endpoint(spec.endpoint.trim_end_matches('/'))
            .with_allow_http(spec.endpoint.starts_with("http://"))
            .with_region(&spec.region)
            .with_bucket_name(&spec.bucket)
            .with_access_key_id(credentials.access_key.expose())
            .with_secret_access_key(credentials.secret_key.expose())
            .with_retry(retry)
            .with_http_connector(http::Connector);
        if let Some(token) = &credentials.session_token {
            builder = builder.with_token(token.expose());
        }
        let store = builder.build().map_err(|error| wrong(&error))?;
        let mut attributes = Attributes::new();
        if let Some(class) = spec.storage_class {
            attributes.insert(Attribute::StorageClass, class.word().into());
        }
        let parts = spec.prefix.split('/').filter(|part| !part.is_empty()).chain([plan]);
        let prefix: Key = parts.map(object_store::path::PathPart::from).collect();
        let identity = format!("{}/{}", spec.endpoint.trim_end_matches('/'), spec.bucket);
        let place = format!("{identity}/{prefix}");
        Ok(Self { store, runtime, prefix, attributes, place, identity })
    }

    fn key(&self, point: &str, object: &str) -> Key {
        self.prefix.clone().join(point).join(object)
    }

    fn wrong(&self, error: &dyn std::fmt::Display) -> String {
        format!("{}: {error}", self.place)
    }

    fn list(&self, under: &Key) -> Result<Vec<ObjectMeta>, String> {
        let mut found = self.store.list(Some(under));
        self.runtime.block_on(async {
            let mut all = Vec::new();
            while let Some(one) = found.next().await {
                all.push(one.map_err(|error| self.wrong(&error))?);
            }
            Ok(all)
        })
    }

    /// Whatever lies below the prefix, by what would be the name of its point.
    fn by_point(&self) -> Result<BTreeMap<String, Vec<ObjectMeta>>, String> {
        let mut points: BTreeMap<String, Vec<ObjectMeta>> = BTreeMap::new();
        for found in self.list(&self.prefix)? {
            let Some(mut parts) = found.location.prefix_match(&self.prefix) else { continue };
            let Some(point) = parts.next().map(|part| part.as_ref().to_owned()) else { continue };
            drop(parts);
            if is_name(&point) {
                points.entry(point).or_default().push(found);
            }
        }
        Ok(points)
    }

    fn delete(&self, keys: impl IntoIterator<Item = Key>) -> Result<(), String> {
        keys.into_iter().try_for_each(|key| match self.runtime.block_on(self.store.delete(&key)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.wrong(&error)),
        })
    }

    fn write_all(&self, staged: &Path, point: &Written<'_>) -> Result<(), String> {
        for object in &point.objects {
            let key = self.key(point.name, &object.name);
            let file = File::open(staged.join(&object.name))
                .map_err(|error| format!("{}: {error}", object.name))?;
            self.write(&key, file, object.bytes)?;
            self.read_back(point.name, object)?;
        }
        for (name, bytes) in point.descriptions() {
            let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.write(&self.key(point.name, name), bytes, size)?;
            let object = Object { name: name.to_owned(), bytes: size, sha256: digest::of(bytes) };
            self.read_back(point.name, &object)?;
        }
        Ok(())
    }

    fn write(&self, key: &Key, mut from: impl Read, bytes: u64) -> Result<(), String> {
        let read = |from: &mut dyn Read, most: u64| {
            let mut part = Vec::new();
            from.take(most).read_to_end(&mut part).map_err(|error| self.wrong(&error))?;
            Ok::<Vec<u8>, String>(part)
        };
        let wrong = |error: object_store::Error| self.wrong(&error);
        if bytes <= PART {
            let options =
                PutOptions { attributes: self.attributes.clone(), ..PutOptions::default() };
            let payload = PutPayload::from(read(&mut from, PART)?);
            return self
                .runtime
                .block_on(self.store.put_opts(key, payload, options))
                .map(drop)
                .map_err(wrong);
        }
        let options = PutMultipartOptions {
            attributes: self.attributes.clone(),
            ..PutMultipartOptions::default()
        };
        let part = PART.max(bytes.div_ceil(MOST_PARTS));
        let mut upload =
            self.runtime.block_on(self.store.put_multipart_opts(key, options)).map_err(wrong)?;
        let written = loop {
            let payload = match read(&mut from, part) {
                Ok(payload) if payload.is_empty() => {
                    break self.runtime.block_on(upload.complete()).map(drop).map_err(wrong);
                }
                Ok(payload) => payload,
                Err(why) => break Err(why),
            };
            if let Err(error) = self.runtime.block_on(upload.put_part(payload.into())) {
                break Err(wrong(error));
            }
        };
        if written.is_err() {
            // What cannot be given up now is left to the life cycle of the bucket.
            let _ = self.runtime.block_on(upload.abort());
        }
        written
    }

    fn read_back(&self, point: &str, object: &Object) -> Result<(), String> {
        let read = digest::of_reader(self.open(point, &object.name)?);
        let (sha256, bytes) = read.map_err(|error| self.wrong(&error))?;
        same(object, &sha256, bytes).map_err(|why| self.wrong(&why))
    }
}

impl Store for S3 {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn identity(&self) -> Result<String, String> {
        Ok(self.identity.clone())
    }

    fn points(&self) -> Result<Vec<String>, String> {
        let finished = |objects: &Vec<ObjectMeta>| {
            objects.iter().any(|object| object.location.filename() == Some(MANIFEST))
        };
        let points = self.by_point()?.into_iter();
        Ok(points.filter(|(_, objects)| finished(objects)).map(|(point, _)| point).collect())
    }

    fn objects(&self, point: &str) -> Result<BTreeMap<String, u64>, String> {
        let found = self.list(&self.prefix.clone().join(point))?;
        let one = |object: ObjectMeta| {
            (object.location.filename().unwrap_or_default().to_owned(), object.size)
        };
        Ok(found.into_iter().map(one).collect())
    }

    fn open(&self, point: &str, object: &str) -> Result<Reader, Trouble> {
        let got = self.runtime.block_on(self.store.get(&self.key(point, object)));
        let got = got.map_err(|error| match &error {
            object_store::Error::NotFound { .. } => Trouble::Unusable(self.wrong(&error)),
            _ => Trouble::Hindered(self.wrong(&error)),
        });
        let stream = got?.into_stream();
        let runtime = self.runtime.handle().clone();
        Ok(Box::new(Download { stream, runtime, rest: Bytes::new() }))
    }

    fn put(&self, staged: &Path, point: &Written<'_>) -> Result<(), String> {
        self.write_all(staged, point).inspect_err(|_| {
            // `MANIFEST` first, should it be there; the rest is removed by a later run if not now.
            let _ = self.remove(point.name);
        })
    }

    fn remove(&self, point: &str) -> Result<(), String> {
        self.delete([self.key(point, MANIFEST)])?;
        let rest = self.list(&self.prefix.clone().join(point))?;
        self.delete(rest.into_iter().map(|object| object.location))
    }

    fn tidy(&self) -> Result<(), String> {
        let old = chrono::Utc::now() - ORPHANED;
        for (_, objects) in self.by_point()? {
            let finished = objects.iter().any(|one| one.location.filename() == Some(MANIFEST));
            if !finished && objects.iter().all(|one| one.last_modified < old) {
                self.delete(objects.into_iter().map(|object| object.location))?;
            }
        }
        Ok(())
    }
}

/// An object that is being read.
struct Download {
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    runtime: tokio::runtime::Handle,
    rest: Bytes,
}

impl Read for Download {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            let next = async { tokio::time::timeout(STALL, self.stream.next()).await };
            match self.runtime.block_on(next) {
                Err(_) => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "the answer stalled"));
                }
                Ok(None) => return Ok(0),
                Ok(Some(bytes)) => self.rest = bytes.map_err(io::Error::other)?,
            }
        }
        let some = self.rest.split_to(self.rest.len().min(into.len()));
        into.get_mut(..some.len()).unwrap_or_default().copy_from_slice(&some);
        Ok(some.len())
    }
}
