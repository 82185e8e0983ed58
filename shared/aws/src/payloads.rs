//! The payloads port on S3.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use trigger_engine::ports::{PayloadError, Payloads};

use crate::clients::causes;

/// A payloads port that stores events in S3.
#[derive(Debug, Clone)]
pub struct S3Payloads {
    client: Client,
}

impl S3Payloads {
    /// Creates a port that calls S3 through `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

/// Returns the bucket and the key of an `s3://` URI.
pub(crate) fn place(uri: &str) -> Option<(&str, &str)> {
    uri.strip_prefix("s3://").and_then(|place| place.split_once('/'))
}

impl Payloads for S3Payloads {
    async fn put(&self, uri: &str, event: &str) -> Result<(), PayloadError> {
        let Some((bucket, key)) = place(uri) else { return Err(PayloadError(format!("`{uri}` is not an S3 URI"))) };
        let body = ByteStream::from(event.as_bytes().to_vec());
        let put = self.client.put_object().bucket(bucket).key(key).content_type("application/json").body(body);
        put.send().await.map(drop).map_err(|error| PayloadError(causes(&error)))
    }

    async fn get(&self, uri: &str) -> Result<String, PayloadError> {
        let refused = |error: String| PayloadError(format!("cannot read {uri}: {error}"));
        let Some((bucket, key)) = place(uri) else { return Err(refused("it is not an S3 URI".to_owned())) };
        let got = self.client.get_object().bucket(bucket).key(key).send().await;
        let body = got.map_err(|error| refused(causes(&error)))?.body.collect().await;
        let bytes = body.map_err(|error| refused(causes(&error)))?.into_bytes();
        String::from_utf8(bytes.into()).map_err(|error| refused(error.to_string()))
    }
}
