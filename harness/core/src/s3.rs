//! Buckets of services that speak the API of S3, as clients use them.

use crate::secret::Secret;

/// A bucket, and what an attempt asks of it.
#[derive(Clone, Debug)]
pub struct S3Call {
    /// Where the service is, `http://host:port`. The bucket becomes part of the path.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// Id of the access key.
    pub access_key: Secret,
    /// The secret access key.
    pub secret_key: Secret,
    /// The session token, for credentials that end.
    pub session_token: Option<Secret>,
    /// What is asked.
    pub request: Request,
}

/// What is asked of a bucket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// Writes an object that is written only once: prefix, drill and the number of the attempt.
    Put {
        /// What its name begins with.
        prefix: String,
        /// What tells this drill from others.
        drill: String,
    },
    /// Reads an object.
    Get {
        /// Its name.
        key: String,
        /// Text that must be in it.
        body_contains: Option<String>,
    },
    /// Asks whether an object is there.
    Head {
        /// Its name.
        key: String,
    },
}
