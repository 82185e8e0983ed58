//! The payloads port by S3.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use trigger_engine::{PayloadError, Payloads};

use crate::clients::causes;

/// Puts events into S3.
#[derive(Debug, Clone)]
pub struct S3Payloads {
    client: Client,
}

impl S3Payloads {
    /// Payloads put through `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

impl Payloads for S3Payloads {
    async fn put(&self, uri: &str, event: &str) -> Result<(), PayloadError> {
        let place = uri.strip_prefix("s3://").and_then(|place| place.split_once('/'));
        let Some((bucket, key)) = place else { return Err(PayloadError(format!("`{uri}` is no place in S3"))) };
        let body = ByteStream::from(event.as_bytes().to_vec());
        let put = self.client.put_object().bucket(bucket).key(key).content_type("application/json").body(body);
        put.send().await.map(drop).map_err(|error| PayloadError(causes(&error)))
    }
}
