//! Where the routing config is read from: `ECS_TRIGGER_CONFIG=s3://bucket/key` or `file:///path`.

use std::env;
use std::str::FromStr;

use aws_sdk_s3::Client;
use sha2::{Digest, Sha256};
use trigger_core::environment;
use trigger_core::load::includes;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

use crate::clients;

/// HTTP's status of an object that is as it was.
const NOT_MODIFIED: u16 = 304;

/// A place that a config is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigSource {
    /// An object in S3.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// The object's key.
        key: String,
    },
    /// A file beside the function.
    File {
        /// Its absolute path.
        path: String,
    },
}

/// Why a function has no config and cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigSourceError {
    /// The variable is not set.
    #[error("{} is not set; set it to s3://BUCKET/KEY or file:///PATH", environment::CONFIG)]
    NotSet,
    /// The variable holds something else.
    #[error("{variable} is `{0}`; it must be s3://BUCKET/KEY or file:///PATH", variable = environment::CONFIG)]
    NotAPlace(String),
    /// The place cannot be read.
    #[error("the config {place} cannot be read: {reason}")]
    Unreadable {
        /// The place.
        place: String,
        /// Why.
        reason: String,
    },
    /// What was read is refused; each problem with its place.
    #[error("the config has errors: {}", .0.join("; "))]
    Invalid(Vec<String>),
}

impl FromStr for ConfigSource {
    type Err = ConfigSourceError;

    fn from_str(text: &str) -> Result<Self, ConfigSourceError> {
        let s3 = text.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        match (s3, text.strip_prefix("file://")) {
            (Some((bucket, key)), _) if !bucket.is_empty() && !key.is_empty() => {
                Ok(Self::S3 { bucket: bucket.to_owned(), key: key.to_owned() })
            }
            (_, Some(path)) if path.starts_with('/') => Ok(Self::File { path: path.to_owned() }),
            _ => Err(ConfigSourceError::NotAPlace(text.to_owned())),
        }
    }
}

impl ConfigSource {
    /// The place that the environment names.
    ///
    /// # Errors
    /// The variable is not set, or names no place.
    pub fn from_environment() -> Result<Self, ConfigSourceError> {
        env::var(environment::CONFIG).map_err(|_| ConfigSourceError::NotSet)?.parse()
    }

    /// Reads the config and the files that it includes; nothing if none of them has changed since `seen`.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub async fn read(&self, s3: &Client, seen: Option<&Version>) -> Result<Option<Version>, ConfigSourceError> {
        let main = self.part(s3, self.clone(), seen).await?;
        let source = Source::new(self.to_string(), main.text.clone());
        let mut parts = vec![main];
        for path in includes(&source, &variable) {
            parts.push(self.part(s3, self.beside(&path), seen).await?);
        }
        let version = Version { parts };
        Ok((seen != Some(&version)).then_some(version))
    }

    /// One file, as it was seen before if it has not changed.
    async fn part(&self, s3: &Client, place: Self, seen: Option<&Version>) -> Result<Part, ConfigSourceError> {
        let name = place.to_string();
        let known = seen.and_then(|seen| seen.parts.iter().find(|part| part.name == name));
        let unreadable = |reason| ConfigSourceError::Unreadable { place: name.clone(), reason };
        let fetched = match &place {
            Self::S3 { bucket, key } => {
                read_object(s3, bucket, key, known.map(|part| part.etag.as_str())).await.map_err(unreadable)?
            }
            Self::File { path } => {
                let text = tokio::fs::read_to_string(path).await.map_err(|error| unreadable(error.to_string()))?;
                // A file has no entity tag; its content tells versions apart as well.
                let etag = format!("{:x}", Sha256::digest(&text))[..16].to_owned();
                Some((etag, text))
            }
        };
        match (fetched, known) {
            (Some((etag, text)), _) => Ok(Part { name, etag, text }),
            (None, Some(known)) => Ok(known.clone()),
            (None, None) => {
                Err(unreadable("S3 says that it has not changed, though it was not read before".to_owned()))
            }
        }
    }

    /// The place of an included file: its path is relative to this one's folder.
    fn beside(&self, path: &str) -> Self {
        let beside = |own: &str| own.rsplit_once('/').map_or(path.to_owned(), |(folder, _)| format!("{folder}/{path}"));
        match self {
            Self::S3 { bucket, key } => Self::S3 { bucket: bucket.clone(), key: beside(key) },
            Self::File { path: own } => Self::File { path: beside(own) },
        }
    }
}

/// One version of a config: the texts of its file and of those that it includes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    name: String,
    etag: String,
    text: String,
}

impl Version {
    /// What tells this version from others: the file's ETag, joined by those of included files.
    pub fn etag(&self) -> String {
        self.parts.iter().map(|part| part.etag.as_str()).collect::<Vec<_>>().join("+")
    }

    /// Checks the config. `${env:NAME}` is the function's own environment.
    ///
    /// # Errors
    /// It is refused.
    pub fn parse(&self) -> Result<RoutingConfig, ConfigSourceError> {
        let mut parts = self.parts.iter();
        let mut source = parts.next().map_or_else(|| Source::new("", ""), |main| Source::new(&main.name, &main.text));
        parts.for_each(|part| source.include(&part.name, &part.text));
        let mut config = RoutingConfig::parse_with(source.clone(), &variable).map_err(|problems| {
            ConfigSourceError::Invalid(problems.iter().map(|problem| problem.line(&source)).collect())
        })?;
        config.etag = Some(self.etag());
        Ok(config)
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

impl std::fmt::Display for ConfigSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::S3 { bucket, key } => write!(formatter, "s3://{bucket}/{key}"),
            Self::File { path } => write!(formatter, "file://{path}"),
        }
    }
}

/// An object's ETag and text; nothing if its ETag is still `etag`.
async fn read_object(
    s3: &Client,
    bucket: &str,
    key: &str,
    etag: Option<&str>,
) -> Result<Option<(String, String)>, String> {
    let request = s3.get_object().bucket(bucket).key(key).set_if_none_match(etag.map(|etag| format!("\"{etag}\"")));
    let object = match request.send().await {
        Ok(object) => object,
        Err(error) if error.raw_response().is_some_and(|reply| reply.status().as_u16() == NOT_MODIFIED) => {
            return Ok(None);
        }
        Err(error) => return Err(clients::causes(&error)),
    };
    let etag = object.e_tag().unwrap_or_default().trim_matches('"').to_owned();
    let body = object.body.collect().await.map_err(|error| clients::causes(&error))?;
    String::from_utf8(body.to_vec()).map(|text| Some((etag, text))).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
