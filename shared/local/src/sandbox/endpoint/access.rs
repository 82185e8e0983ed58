//! Who may call the endpoint, and which of its services a request is for.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use hyper::{HeaderMap, Request, header};

use crate::sandbox::reach::Reach;

/// The service that a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Service {
    /// The ECS agent of the task with this id.
    Agent(String),
    /// SQS. Its queues' URLs begin with this one.
    Sqs { url: String },
    /// S3.
    S3,
}

/// The reason why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("this endpoint answers only to the host {0}, and never to web pages")]
    Foreign(String),
    #[error(
        "only the tasks of this `dev` may call this endpoint: by the credentials in their environment, which are also in \
         the project's .ecs-trigger/endpoint.env; a container that sets AWS_ENDPOINT_URL or AWS_ACCESS_KEY_ID itself does \
         not get them"
    )]
    Unknown,
    #[error(
        "`dev` has S3 and SQS, but not the service `{0}`; set its own endpoint, such as AWS_ENDPOINT_URL_DYNAMODB, in the \
         container's `environment`"
    )]
    NoService(String),
}

/// A request's credential: the access key id, and the service that it was signed for.
#[derive(Debug, PartialEq, Eq)]
struct Credential {
    key: String,
    service: String,
}

/// Returns the service that a request is for, if it comes from a task of this `dev`.
pub(super) fn admit<T>(reach: &Reach, request: &Request<T>) -> Result<Service, Refused> {
    if !is_for(&reach.host, request.headers()) {
        return Err(Refused::Foreign(reach.host.clone()));
    }
    if let Some(path) = request.uri().path().strip_prefix(&reach.path).filter(|path| is_whole(path)) {
        let task = path.strip_prefix("/agent/").and_then(|path| path.strip_suffix("/task-protection/v1/state"));
        return Ok(match task {
            Some(task) => Service::Agent(task.to_owned()),
            None => Service::Sqs { url: format!("{}{}", reach.url(), reach.path) },
        });
    }
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let credential = authorization.and_then(of_header).or_else(|| of_query(request.uri().query()?));
    match credential.filter(|credential| credential.key == reach.key) {
        None => Err(Refused::Unknown),
        Some(Credential { service, .. }) => match service.as_str() {
            "s3" => Ok(Service::S3),
            "sqs" => Ok(Service::Sqs { url: reach.url() }),
            _ => Err(Refused::NoService(service)),
        },
    }
}

fn is_whole(path: &str) -> bool {
    path.is_empty() || path.starts_with('/')
}

/// Returns whether a request names this host and was not made by a web page. Browsers send `Origin` with every request
/// that can change something, and `Sec-Fetch-Site` with every request; programs send neither. The site is `none` if the
/// user entered the URL, of an object for example.
/// Source: <https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site>
fn is_for(host: &str, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let is_this_host = hosts.next().is_some_and(|named| named == host) && hosts.next().is_none();
    let is_of_page =
        headers.contains_key(header::ORIGIN) || headers.get_all("sec-fetch-site").iter().any(|site| site != "none");
    is_this_host && !is_of_page
}

/// Reads `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, ...`.
fn of_header(authorization: &str) -> Option<Credential> {
    let (_, credential) = authorization.split_once("Credential=")?;
    of_scope(credential.split([',', ' ']).next()?)
}

/// Reads the credential of a presigned URL: of version 4, or of version 2, which only S3 has.
fn of_query(query: &str) -> Option<Credential> {
    let parameters = || query.split('&').filter_map(|parameter| parameter.split_once('='));
    let named = |name: &str| parameters().find(|(other, _)| *other == name).map(|(_, value)| value);
    if let Some(credential) = named("X-Amz-Credential") {
        return of_scope(&credential.replace("%2F", "/").replace("%2f", "/"));
    }
    Some(Credential { key: named("AWSAccessKeyId")?.to_owned(), service: "s3".to_owned() })
}

fn of_scope(scope: &str) -> Option<Credential> {
    match scope.split('/').collect::<Vec<_>>().as_slice() {
        [key, _, _, service, _] => Some(Credential { key: (*key).to_owned(), service: (*service).to_owned() }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_task_of_this_dev_signs_is_admitted() {
        let reach = Reach { host: "127.0.0.1:1".into(), key: "KEY".into(), secret: "S".into(), path: "/PATH".into() };
        let (own, at) = ("http://127.0.0.1:1", "127.0.0.1:1");
        let signed = |key: &str, service: &str| {
            format!("AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/{service}/aws4_request, Signature=x")
        };
        let s3 = || Ok(Service::S3);
        let foreign = || Err(Refused::Foreign(at.to_owned()));
        let presigned = "/b/k?X-Amz-Credential=KEY%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=x";
        for (case, path, headers, expected) in [
            ("S3", "/b", vec![("host", at), ("authorization", &signed("KEY", "s3"))], s3()),
            (
                "SQS",
                "/",
                vec![("host", at), ("authorization", &signed("KEY", "sqs"))],
                Ok(Service::Sqs { url: own.to_owned() }),
            ),
            ("a worker's SQS", "/PATH/0/q", vec![("host", at)], Ok(Service::Sqs { url: format!("{own}/PATH") })),
            ("the agent", "/PATH/agent/t/task-protection/v1/state", vec![("host", at)], Ok(Service::Agent("t".into()))),
            ("a presigned URL", presigned, vec![("host", at)], s3()),
            ("a presigned URL that a user enters", presigned, vec![("host", at), ("sec-fetch-site", "none")], s3()),
            ("a presigned URL of version 2", "/b/k?AWSAccessKeyId=KEY&Signature=x&Expires=1", vec![("host", at)], s3()),
            (
                "another service",
                "/",
                vec![("host", at), ("authorization", &signed("KEY", "dynamodb"))],
                Err(Refused::NoService("dynamodb".into())),
            ),
            ("nobody", "/b", vec![("host", at)], Err(Refused::Unknown)),
            ("another key", "/b", vec![("host", at), ("authorization", &signed("K", "s3"))], Err(Refused::Unknown)),
            ("a longer key", "/b", vec![("host", at), ("authorization", &signed("KEYS", "s3"))], Err(Refused::Unknown)),
            ("a longer path", "/PATHS/0/q", vec![("host", at)], Err(Refused::Unknown)),
            ("a page whose host leads here", "/PATH/0/q", vec![("host", "evil.example:1")], foreign()),
            ("another port", "/PATH/0/q", vec![("host", "127.0.0.1:2")], foreign()),
            ("no host", "/PATH/0/q", vec![], foreign()),
            ("two hosts", "/PATH/0/q", vec![("host", at), ("host", "evil.example")], foreign()),
            ("a page", presigned, vec![("host", at), ("origin", "https://evil.example")], foreign()),
            ("a page without an origin", presigned, vec![("host", at), ("origin", "null")], foreign()),
            ("a request across sites", presigned, vec![("host", at), ("sec-fetch-site", "cross-site")], foreign()),
        ] {
            let mut request = Request::builder().uri(path);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            assert_eq!(admit(&reach, &request.body(()).expect("is a request")), expected, "{case}");
        }
    }
}
