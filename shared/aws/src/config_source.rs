//! Where the routing config is read from: `ECS_TRIGGER_CONFIG=s3://bucket/key` or `file:///path`.

use std::env;
use std::str::FromStr;

use aws_config::SdkConfig;
use trigger_core::config::RoutingConfig;
use trigger_core::document::Source;

use crate::clients;

/// The environment variable that names the config's place.
pub const CONFIG_VARIABLE: &str = "ECS_TRIGGER_CONFIG";

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
    #[error("{CONFIG_VARIABLE} is not set; set it to s3://BUCKET/KEY or file:///PATH")]
    NotSet,
    /// The variable holds something else.
    #[error("{CONFIG_VARIABLE} is `{0}`; it must be s3://BUCKET/KEY or file:///PATH")]
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
        env::var(CONFIG_VARIABLE).map_err(|_| ConfigSourceError::NotSet)?.parse()
    }

    /// Reads and checks the config.
    ///
    /// # Errors
    /// It cannot be read, or is refused.
    pub async fn load(&self, sdk_config: &SdkConfig) -> Result<RoutingConfig, ConfigSourceError> {
        let place = self.to_string();
        let unreadable = |reason| ConfigSourceError::Unreadable { place: place.clone(), reason };
        let text = match self {
            Self::S3 { bucket, key } => read_object(sdk_config, bucket, key).await.map_err(unreadable)?,
            Self::File { path } => {
                tokio::fs::read_to_string(path).await.map_err(|error| unreadable(error.to_string()))?
            }
        };
        let source = Source::new(place, text);
        RoutingConfig::parse(source.clone()).map_err(|problems| {
            ConfigSourceError::Invalid(problems.iter().map(|problem| problem.line(&source)).collect())
        })
    }
}

impl std::fmt::Display for ConfigSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::S3 { bucket, key } => write!(formatter, "s3://{bucket}/{key}"),
            Self::File { path } => write!(formatter, "file://{path}"),
        }
    }
}

async fn read_object(sdk_config: &SdkConfig, bucket: &str, key: &str) -> Result<String, String> {
    let request = clients::s3(sdk_config).get_object().bucket(bucket).key(key);
    let object = request.send().await.map_err(|error| clients::causes(&error))?;
    let body = object.body.collect().await.map_err(|error| clients::causes(&error))?;
    String::from_utf8(body.to_vec()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
