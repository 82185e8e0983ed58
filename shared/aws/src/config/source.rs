//! The place that the routing config is read from: `ECS_TRIGGER_CONFIG=s3://bucket/key` or `file:///path`.

use std::env;
use std::str::FromStr;

use aws_sdk_s3::Client;
use sha2::{Digest, Sha256};
use trigger_core::environment;
use trigger_core::load::{Variables, includes};
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

use crate::clients;

/// The HTTP status for an object that has not changed.
const NOT_MODIFIED: u16 = 304;

/// A place that a config is read from: an object in S3, or a file in the function's package by its absolute path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ConfigSource {
    S3 { bucket: String, key: String },
    File { path: String },
}

/// The reason why a function has no config and cannot start.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ConfigSourceError {
    #[error("{} is not set; set it to s3://BUCKET/KEY or file:///PATH", environment::CONFIG)]
    NotSet,
    #[error("{variable} is `{0}`; it must be s3://BUCKET/KEY or file:///PATH", variable = environment::CONFIG)]
    NotAPlace(String),
    #[error("the config {place} cannot be read: {reason}")]
    Unreadable { place: String, reason: String },
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
    /// Returns the place that the environment names.
    ///
    /// # Errors
    /// The variable is not set, or its value is not a place.
    pub fn from_environment() -> Result<Self, ConfigSourceError> {
        env::var(environment::CONFIG).map_err(|_| ConfigSourceError::NotSet)?.parse()
    }

    /// Reads the config and the files it includes. Returns `None` if none of them has changed since `seen`.
    ///
    /// # Errors
    /// One of the files cannot be read.
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

    /// Reads one file. Returns the part of `seen` if the file has not changed.
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
                // A file has no ETag; a hash of its content tells versions apart as well.
                let etag = format!("{:x}", Sha256::digest(&text))[..16].to_owned();
                Some((etag, text))
            }
        };
        match (fetched, known) {
            (Some((etag, text)), _) => Ok(Part { name, etag, text }),
            (None, Some(known)) => Ok(known.clone()),
            (None, None) => Err(unreadable("S3 answered `304 Not Modified` to an unconditional request".to_owned())),
        }
    }

    /// Returns the place of another file, whose path is relative to this config's folder.
    pub(crate) fn beside(&self, path: &str) -> Self {
        let beside = |own: &str| own.rsplit_once('/').map_or(path.to_owned(), |(folder, _)| format!("{folder}/{path}"));
        match self {
            Self::S3 { bucket, key } => Self::S3 { bucket: bucket.clone(), key: beside(key) },
            Self::File { path: own } => Self::File { path: beside(own) },
        }
    }
}

/// One version of a config: the texts of its file and of the files it includes.
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
    /// Returns what identifies this version: the file's ETag, joined with those of the included files.
    pub fn etag(&self) -> String {
        self.parts.iter().map(|part| part.etag.as_str()).collect::<Vec<_>>().join("+")
    }

    /// Parses and checks the config. `${env:NAME}` reads the function's own environment.
    ///
    /// # Errors
    /// The config is invalid.
    pub fn parse(&self) -> Result<RoutingConfig, ConfigSourceError> {
        self.parse_with(&variable)
    }

    /// Parses and checks the config, with `${env:NAME}` from these variables.
    ///
    /// # Errors
    /// The config is invalid.
    pub fn parse_with(&self, variables: Variables<'_>) -> Result<RoutingConfig, ConfigSourceError> {
        let mut parts = self.parts.iter();
        let mut source = parts.next().map_or_else(|| Source::new("", ""), |main| Source::new(&main.name, &main.text));
        parts.for_each(|part| source.include(&part.name, &part.text));
        let mut config = RoutingConfig::parse_with(source.clone(), variables).map_err(|problems| {
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

/// Returns an object's ETag and text, or `None` if its ETag is still `etag`.
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
