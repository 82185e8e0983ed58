//! The payloads port by S3.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use trigger_engine::ports::{PayloadError, Payloads};

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

/// Bucket and key of an `s3://` URI.
pub(crate) fn place(uri: &str) -> Option<(&str, &str)> {
    uri.strip_prefix("s3://").and_then(|place| place.split_once('/'))
}

impl Payloads for S3Payloads {
    async fn put(&self, uri: &str, event: &str) -> Result<(), PayloadError> {
        let Some((bucket, key)) = place(uri) else { return Err(PayloadError(format!("`{uri}` is no place in S3"))) };
        let body = ByteStream::from(event.as_bytes().to_vec());
        let put = self.client.put_object().bucket(bucket).key(key).content_type("application/json").body(body);
        put.send().await.map(drop).map_err(|error| PayloadError(causes(&error)))
    }
}
