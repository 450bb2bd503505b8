//! Requests to buckets: signed by the library that backups use, sent as any other HTTP request, so that they mean the same.

use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::probe::{Probe, Purpose};
use drdrill_core::s3::{Request, S3Call};
use drdrill_core::sample::Outcome;
use object_store::ClientOptions;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::path::Path;
use object_store::signer::Signer;

use super::http::HttpProbe;
use super::target::TargetError;

/// A signature is good for so long.
const GOOD_FOR: Duration = Duration::from_mins(1);

/// One request an attempt, on a new connection.
#[derive(Debug)]
pub(super) struct S3Probe {
    signer: AmazonS3,
    request: Request,
    purpose: Purpose,
}

impl S3Probe {
    /// A probe that makes this call.
    ///
    /// # Errors
    /// When the endpoint is not valid.
    pub(super) fn new(call: &S3Call, purpose: Purpose) -> Result<Self, TargetError> {
        let endpoint = call.endpoint.trim_end_matches('/');
        // The address is looked at as that of any other probe.
        HttpProbe::new("GET", endpoint)?;
        let mut builder = AmazonS3Builder::new()
            .with_endpoint(endpoint)
            .with_allow_http(true)
            .with_region(&call.region)
            .with_bucket_name(&call.bucket)
            .with_access_key_id(call.access_key.expose())
            .with_secret_access_key(call.secret_key.expose())
            .with_http_connector(Nothing);
        if let Some(token) = &call.session_token {
            builder = builder.with_token(token.expose());
        }
        let bad = |_| TargetError::BadRequest { what: "the endpoint", text: endpoint.to_owned() };
        let signer = builder.build().map_err(bad)?;
        Ok(Self { signer, request: call.request.clone(), purpose })
    }

    /// The request of attempt number `sequence`; nothing is sent yet.
    async fn signed(&self, sequence: u64) -> Result<HttpProbe, String> {
        let (method, url, key) = self.url(sequence).await?;
        let probe = HttpProbe::new(method, &url).map_err(|error| error.to_string())?;
        let probe = probe.purpose(self.purpose);
        Ok(match &self.request {
            Request::Put { .. } => probe.body(move |_| key.clone().into_bytes()),
            Request::Get { body_contains: Some(text), .. } => probe.body_contains(text),
            Request::Get { .. } | Request::Head { .. } => probe,
        })
    }

    /// The method and the signed address of attempt number `sequence`, and its object.
    async fn url(&self, sequence: u64) -> Result<(&'static str, String, String), String> {
        let (method, key) = match &self.request {
            Request::Put { prefix, drill } => {
                ("PUT", format!("{}/{drill}/{sequence}", prefix.trim_end_matches('/')))
            }
            Request::Get { key, .. } => ("GET", key.clone()),
            Request::Head { key } => ("HEAD", key.clone()),
        };
        let word = method.parse().map_err(|_| "no such method".to_owned())?;
        // As it is: names that the library makes up itself are escaped, and this one stands in the bucket as it stands here.
        let path = Path::parse(&key).map_err(|error| error.to_string())?;
        let url = self.signer.signed_url(word, &path, GOOD_FOR).await;
        // What a signature is made of is nobody's business.
        let url = url.map_err(|_| "the request cannot be signed".to_owned())?;
        Ok((method, url.into(), key))
    }
}

#[async_trait]
impl Probe for S3Probe {
    async fn attempt(&self, sequence: u64) -> Outcome {
        match self.signed(sequence).await {
            Ok(request) => request.attempt(sequence).await,
            Err(why) => Outcome::ProberError(why.into()),
        }
    }
}

/// No way to any service: the library only signs.
#[derive(Debug)]
struct Nothing;

impl HttpConnector for Nothing {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Self))
    }
}

#[async_trait]
impl HttpService for Nothing {
    async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
        let why = std::io::Error::other("requests are only signed here");
        Err(HttpError::new(HttpErrorKind::Connect, why))
    }
}

#[cfg(test)]
mod tests {
    use drdrill_core::secret::Secret;

    use super::*;

    async fn asked_for(request: Request) -> String {
        let secret = || Secret::new("0123456789abcdef".to_owned()).unwrap();
        let call = S3Call {
            endpoint: "http://127.0.0.1:9000".to_owned(),
            region: "us-east-1".to_owned(),
            bucket: "drills".to_owned(),
            access_key: secret(),
            secret_key: secret(),
            session_token: None,
            request,
        };
        let probe = S3Probe::new(&call, Purpose::Read).unwrap();
        let (_, url, _) = probe.url(7).await.unwrap();
        let (path, _) = url.split_once("?X-Amz-").unwrap();
        path.strip_prefix("http://127.0.0.1:9000/drills/").unwrap().to_owned()
    }

    #[tokio::test]
    async fn the_object_is_the_one_of_that_name() {
        let head = |key: &str| Request::Head { key: key.to_owned() };
        // Escaped once, for the URL, and not before.
        assert_eq!(asked_for(head("a~b/c#d")).await, "a~b/c%23d");
        assert_eq!(asked_for(head("a*b?c%41[d]")).await, "a%2Ab%3Fc%2541%5Bd%5D");
        let put = |prefix: &str| Request::Put { prefix: prefix.to_owned(), drill: "d".to_owned() };
        assert_eq!(asked_for(put("p~")).await, "p~/d/7");
        assert_eq!(asked_for(put("p/")).await, "p/d/7");
    }
}
