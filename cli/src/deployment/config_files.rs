//! Compares the config's files with those in the bucket, and uploads them.

use aws_sdk_s3::primitives::ByteStream;
use trigger_core::text::Source;

use super::progress::step;
use crate::account::{Account, refused};
use crate::exit::Failed;

/// A file of the config: its text in the bucket before the deployment, and after it.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    pub(crate) key: String,
    pub(crate) before: Option<String>,
    pub(crate) after: String,
}

impl ConfigFile {
    pub(crate) fn has_changed(&self) -> bool {
        self.before.as_ref() != Some(&self.after)
    }
}

/// Compares the config's files with those in the bucket, if the bucket exists.
pub(crate) async fn compare(
    account: &Account,
    bucket: Option<&str>,
    stack: &str,
    source: &Source,
) -> Result<Vec<ConfigFile>, Failed> {
    let mut parts = source.parts();
    let main = parts.next();
    let folder = main.as_ref().map(|main| std::path::Path::new(main.name)).and_then(std::path::Path::parent);
    let folder = folder.map(|folder| folder.display().to_string()).unwrap_or_default();
    let mut files = Vec::new();
    // With an overlay, the main file is what both say together.
    let effective = trigger_core::config::effective(source);
    let main = main.map(|part| (infra::CONFIG_FILE.to_owned(), effective.as_deref().unwrap_or(part.text)));
    let included = parts.skip(usize::from(effective.is_some())).map(|part| {
        // The name begins with the config's folder, which the key leaves out.
        let path = part.name.strip_prefix(&folder).unwrap_or(part.name).trim_start_matches('/');
        (path.to_owned(), part.text)
    });
    for (path, text) in main.into_iter().chain(included) {
        let key = infra::config_key(stack, &path);
        let before = match bucket {
            Some(bucket) => read(account, bucket, &key).await?,
            None => None,
        };
        files.push(ConfigFile { key, before, after: text.to_owned() });
    }
    Ok(files)
}

/// Returns an object's text, if the object exists.
pub(super) async fn read(account: &Account, bucket: &str, key: &str) -> Result<Option<String>, Failed> {
    let place = format!("s3://{bucket}/{key}");
    let got = match account.s3.get_object().bucket(bucket).key(key).send().await {
        Ok(got) => got,
        Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => return Ok(None),
        Err(error) => return Err(refused(&place, &error)),
    };
    let body = got.body.collect().await.map_err(|error| refused(&place, &error))?;
    Ok(Some(String::from_utf8_lossy(&body.into_bytes()).into_owned()))
}

/// Uploads the files that changed. Included files come first: a function must never find a config without them.
pub(crate) async fn upload(account: &Account, bucket: &str, files: &[ConfigFile]) -> Result<(), Failed> {
    for file in files.iter().rev().filter(|file| file.has_changed()) {
        step(&format!("uploading s3://{bucket}/{}", file.key));
        put(account, bucket, &file.key, &file.after).await?;
    }
    Ok(())
}

/// Restores the previous version of each file that changed.
pub(crate) async fn restore(account: &Account, bucket: &str, files: &[ConfigFile]) -> Result<(), Failed> {
    for file in files.iter().filter(|file| file.has_changed()) {
        if let Some(before) = &file.before {
            step(&format!("restoring s3://{bucket}/{}", file.key));
            put(account, bucket, &file.key, before).await?;
        }
    }
    Ok(())
}

pub(super) async fn put(account: &Account, bucket: &str, key: &str, text: &str) -> Result<(), Failed> {
    let body = ByteStream::from(text.as_bytes().to_vec());
    let put = account.s3.put_object().bucket(bucket).key(key).content_type("application/yaml").body(body);
    put.send().await.map(drop).map_err(|error| refused(&format!("s3://{bucket}/{key}"), &error))
}
