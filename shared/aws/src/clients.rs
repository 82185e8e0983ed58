//! The AWS SDK clients of the functions.

use std::error::Error;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_ecs::config::SharedHttpClient;
use aws_sdk_ecs::error::ErrorMetadata;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// The SDK's texts for the kind of an error.
const KINDS: [&str; 8] = [
    "service error",
    "dispatch failure",
    "response error",
    "client error (Connect)",
    "io error",
    "timeout",
    "user error",
    "other",
];

/// A call with all its retries is given up after this time: less than half of the engine's margin before the end of an
/// invocation (16 s), so that a call that hangs is recorded.
pub(crate) const CALL_MAX: Duration = Duration::from_secs(7);

/// Loads the SDK's configuration from the environment that Lambda sets: Region, credentials, and `AWS_ENDPOINT_URL` for
/// an emulator. Every call has a timeout, because a sandbox that was frozen finds its connections dead.
pub async fn sdk_config() -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(5))
        .operation_timeout(CALL_MAX)
        .build();
    aws_config::defaults(BehaviorVersion::latest()).http_client(https()).timeout_config(timeouts).load().await
}

/// Creates an ECS client.
pub fn ecs(config: &SdkConfig) -> aws_sdk_ecs::Client {
    aws_sdk_ecs::Client::new(config)
}

/// Creates a DynamoDB client.
pub fn dynamodb(config: &SdkConfig) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(config)
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
    let sources = std::iter::successors(error.source(), |error: &&(dyn Error + 'static)| (*error).source());
    let of_source = |source: &(dyn Error + 'static)| match source.downcast_ref::<ErrorMetadata>() {
        Some(answer) => [answer.code(), answer.message()].into_iter().flatten().collect::<Vec<_>>().join(": "),
        None => source.to_string(),
    };
    let mut texts: Vec<String> = std::iter::once(error.to_string()).chain(sources.map(of_source)).collect();
    let last = texts.pop().unwrap_or_default();
    // The kind of an error says nothing once there is a cause.
    let is_kind = |text: &str| text.is_empty() || KINDS.contains(&text) || text.starts_with("unhandled error");
    texts.retain(|text| !is_kind(text));
    texts.push(last);
    // An error that the SDK knows has the text of its cause.
    texts.dedup();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::error::{ConnectorError, ErrorMetadata, SdkError};
    use aws_sdk_ecs::operation::list_tasks::ListTasksError;
    use aws_sdk_ecs::types::error::ClusterNotFoundException;

    use super::causes;

    #[test]
    fn an_answer_is_told_by_its_code_and_message_and_a_failure_by_its_cause() {
        let answer = |code: &str, message: &str| {
            let metadata = ErrorMetadata::builder().code(code).message(message).custom("aws_request_id", "1").build();
            SdkError::service_error(ListTasksError::generic(metadata), ())
        };
        let missing = ClusterNotFoundException::builder().message("no cluster").build();
        let missing = SdkError::service_error(ListTasksError::ClusterNotFoundException(missing), ());
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let unreachable: SdkError<ListTasksError, ()> = SdkError::dispatch_failure(ConnectorError::io(refused.into()));
        let silent: SdkError<ListTasksError, ()> = SdkError::timeout_error("no answer after 5 s");
        for (error, expected) in [
            (answer("AccessDenied", "you may not"), "AccessDenied: you may not"),
            (missing, "ClusterNotFoundException: no cluster"),
            (unreachable, "connection refused"),
            (silent, "request has timed out: no answer after 5 s"),
        ] {
            assert_eq!(causes(&error), expected);
        }
    }
}
