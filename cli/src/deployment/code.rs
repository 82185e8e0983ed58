//! Uploads the functions' code to the bucket.

use aws_sdk_s3::primitives::ByteStream;

use super::progress::step;
use crate::account::{Account, refused};
use crate::artifacts::Artifact;
use crate::exit::Failed;

pub(super) async fn upload_code(account: &Account, bucket: &str, artifact: &Artifact) -> Result<(), Failed> {
    let place = format!("s3://{bucket}/{}", artifact.key);
    match account.s3.head_object().bucket(bucket).key(&artifact.key).send().await {
        Ok(_) => return Ok(()),
        Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => {}
        Err(error) => return Err(refused(&place, &error)),
    }
    step(&format!("uploading {} ({} KiB)", artifact.function.name(), artifact.archive.len() / 1024));
    let body = ByteStream::from(artifact.archive.clone());
    let put = account.s3.put_object().bucket(bucket).key(&artifact.key).body(body).send().await;
    put.map(drop).map_err(|error| refused(&place, &error))
}
