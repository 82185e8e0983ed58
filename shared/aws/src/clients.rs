//! The AWS SDK clients of the functions.

use std::error::Error;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_ecs::config::SharedHttpClient;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// Loads the SDK's configuration from the environment that Lambda sets: Region, credentials, and `AWS_ENDPOINT_URL` for
/// an emulator. Every call has a timeout, because a sandbox that was frozen finds its connections dead. A call with all
/// its retries takes less than half of the engine's margin before the end of an invocation (16 s), so that one that hangs
/// is recorded.
pub async fn sdk_config() -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(5))
        .operation_timeout(Duration::from_secs(7))
        .build();
    aws_config::defaults(BehaviorVersion::latest()).http_client(https()).timeout_config(timeouts).load().await
}

/// Creates an ECS client.
pub fn ecs(config: &SdkConfig) -> aws_sdk_ecs::Client {
    aws_sdk_ecs::Client::new(config)
}

/// Creates a CloudWatch client.
pub fn cloudwatch(config: &SdkConfig) -> aws_sdk_cloudwatch::Client {
    aws_sdk_cloudwatch::Client::new(config)
}

/// Creates an SQS client.
pub fn sqs(config: &SdkConfig) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(config)
}

/// Creates an S3 client. With a custom endpoint it uses path-style bucket addressing, because the buckets have no host
/// names there.
pub fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    let path_style = config.endpoint_url().is_some();
    let config = aws_sdk_s3::config::Builder::from(config).force_path_style(path_style).build();
    aws_sdk_s3::Client::from_conf(config)
}

/// Creates an HTTPS client of rustls on ring: it needs no C library and starts quickly.
pub fn https() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}

/// Returns an error and its causes on one line. (The SDK's own texts name only the kind, or print whole responses.)
pub fn causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error: &&dyn Error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
