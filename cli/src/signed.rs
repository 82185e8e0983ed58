//! Signs calls of AWS services of which only one or two operations are needed, and whose SDKs would be larger than all
//! else.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde_json::Value;
use tokio::sync::OnceCell;
use trigger_aws::clients::causes;

/// An answer is awaited for this long.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// The service, as its host and its signature name it.
    pub(crate) service: &'a str,
    pub(crate) method: &'a str,
    /// The path, with the query.
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a str,
}

impl<'a> Call<'a> {
    pub(crate) fn get(service: &'a str, path: &'a str) -> Self {
        Self { service, method: "GET", path, headers: &[], body: "" }
    }

    pub(crate) fn post(service: &'a str, headers: &'a [(&'a str, &'a str)], body: &'a str) -> Self {
        Self { service, method: "POST", path: "/", headers, body }
    }
}

/// Signs and sends calls of one account. All calls share the credentials and the connections.
#[derive(Debug)]
pub(crate) struct Signer {
    config: SdkConfig,
    agent: ureq::Agent,
    credentials: OnceCell<Credentials>,
}

impl Signer {
    pub(crate) fn new(config: SdkConfig) -> Self {
        let agent = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).build();
        Self { config, agent: agent.into(), credentials: OnceCell::new() }
    }

    /// Sends a signed call. Returns whether it succeeded, and the body of the answer.
    ///
    /// # Errors
    /// The service could not be reached.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<(bool, String), String> {
        let config = &self.config;
        let region = config.region().ok_or("no AWS Region is configured")?.to_string();
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let own = format!("https://{}.{region}.amazonaws.com{suffix}", call.service);
        let url = config.endpoint_url().map_or(own, |url| url.trim_end_matches('/').to_owned()) + call.path;
        let identity = self.credentials().await?.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&region)
            .name(call.service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| causes(&error))?
            .into();
        let body = SignableBody::Bytes(call.body.as_bytes());
        let request = SignableRequest::new(call.method, &url, call.headers.iter().copied(), body);
        let signed = sign(request.map_err(|error| causes(&error))?, &parameters).map_err(|error| causes(&error))?;
        let (instructions, _) = signed.into_parts();
        let headers = call.headers.iter().copied().chain(instructions.headers());
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let request = Request { agent: self.agent.clone(), method: call.method.to_owned(), url, headers };
        let body = call.body.to_owned();
        // The client blocks, and calls may run side by side.
        tokio::task::spawn_blocking(move || request.exchange(&body)).await.map_err(|error| causes(&error))?
    }

    /// Sends a signed call whose answer is JSON.
    ///
    /// # Errors
    /// The service refused the call, or could not be reached.
    pub(crate) async fn json(&self, call: Call<'_>) -> Result<Value, String> {
        let (is_done, text) = self.send(call).await?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        if is_done {
            return Ok(answer);
        }
        let part = |names: [&str; 2]| names.iter().find_map(|name| answer[*name].as_str()).map(str::to_owned);
        let message = part(["message", "Message"]).unwrap_or_default();
        let kind = part(["__type", "Type"]).unwrap_or_else(|| format!("{} refused the call", call.service));
        Err(format!("{}: {message}", kind.rsplit('#').next().unwrap_or(&kind)))
    }

    async fn credentials(&self) -> Result<&Credentials, String> {
        let provider = self.config.credentials_provider().ok_or("no AWS credentials are configured")?;
        self.credentials.get_or_try_init(|| provider.provide_credentials()).await.map_err(|error| causes(&error))
    }
}

/// A signed request.
struct Request {
    agent: ureq::Agent,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// Sends the request with a body. Returns whether it succeeded, and the body of the answer.
    fn exchange(&self, body: &str) -> Result<(bool, String), String> {
        let Self { agent, method, url, headers } = self;
        let sent = match method.as_str() {
            "GET" => headers.iter().fold(agent.get(url), |get, (name, value)| get.header(name, value)).call(),
            _ => {
                let post = headers.iter().fold(agent.post(url), |post, (name, value)| post.header(name, value));
                post.send(body.as_bytes())
            }
        };
        let mut answer = sent.map_err(|error| causes(&error))?;
        let text = answer.body_mut().read_to_string().map_err(|error| causes(&error))?;
        Ok((answer.status().is_success(), text))
    }
}
