//! The ledger port on S3.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use trigger_engine::ports::{Entry, Expected, Ledger, LedgerError};

use crate::clients::causes;
use crate::payloads::place;

/// A ledger in S3 that uses conditional writes.
#[derive(Debug, Clone)]
pub struct S3Ledger {
    client: Client,
}

impl S3Ledger {
    /// Creates a ledger that calls S3 through `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

impl Ledger for S3Ledger {
    async fn read(&self, uri: &str) -> Result<Option<Entry>, LedgerError> {
        let (bucket, key) = place(uri).ok_or_else(|| no_place(uri))?;
        let got = match self.client.get_object().bucket(bucket).key(key).send().await {
            Ok(got) => got,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => return Ok(None),
            Err(error) => return Err(unavailable(uri, &error)),
        };
        let version = got.e_tag().unwrap_or_default().to_owned();
        let body = got.body.collect().await.map_err(|error| unavailable(uri, &error))?.into_bytes();
        let text = String::from_utf8(body.into()).map_err(|error| unavailable(uri, &error))?;
        Ok(Some(Entry { text, version }))
    }

    async fn write(&self, uri: &str, text: &str, expected: &Expected) -> Result<String, LedgerError> {
        let (bucket, key) = place(uri).ok_or_else(|| no_place(uri))?;
        let body = ByteStream::from(text.as_bytes().to_vec());
        let put = self.client.put_object().bucket(bucket).key(key).content_type("application/json").body(body);
        let put = match expected {
            Expected::Anything => put,
            Expected::Nothing => put.if_none_match("*"),
            Expected::Version(version) => put.if_match(version),
        };
        match put.send().await {
            Ok(put) => Ok(put.e_tag().unwrap_or_default().to_owned()),
            Err(error) if *expected != Expected::Anything && has_changed(&error) => Err(LedgerError::Changed),
            Err(error) => Err(unavailable(uri, &error)),
        }
    }

    async fn delete(&self, uri: &str) -> Result<(), LedgerError> {
        let (bucket, key) = place(uri).ok_or_else(|| no_place(uri))?;
        let deleted = self.client.delete_object().bucket(bucket).key(key).send().await;
        deleted.map(drop).map_err(|error| unavailable(uri, &error))
    }

    async fn list(&self, prefix: &str, after: Option<&str>, until: &str) -> Result<Vec<String>, LedgerError> {
        let (bucket, key) = place(prefix).ok_or_else(|| no_place(prefix))?;
        let after = after.and_then(place).map(|(_, key)| key.to_owned());
        let listed = self.client.list_objects_v2().bucket(bucket).prefix(key).set_start_after(after).send().await;
        let listed = listed.map_err(|error| unavailable(prefix, &error))?;
        // S3 lists keys in their order, at most a thousand.
        let uris = listed.contents().iter().filter_map(|object| Some(format!("s3://{bucket}/{}", object.key()?)));
        Ok(uris.take_while(|uri| uri.as_str() <= until).collect())
    }
}

/// Returns whether a conditional write failed by its condition. 412: the object is not as expected; 409: another write
/// to it is under way; 404: the expected object no longer exists.
fn has_changed<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.raw_response().is_some_and(|response| matches!(response.status().as_u16(), 404 | 409 | 412))
        && error.code() != Some("NoSuchBucket")
}

fn no_place(uri: &str) -> LedgerError {
    LedgerError::Unavailable(format!("`{uri}` is not an S3 URI"))
}

fn unavailable(uri: &str, error: &dyn std::error::Error) -> LedgerError {
    LedgerError::Unavailable(format!("{uri}: {}", causes(error)))
}

#[cfg(test)]
mod tests;
