//! Finds the VPC of subnets and security groups by two EC2 calls. They are signed here, because EC2's SDK is larger
//! than all the other SDKs together.
//! Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSubnets.html>,
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html>

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use trigger_aws::clients::causes;

/// The version of the EC2 API.
const VERSION: &str = "2016-11-15";
const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// A kind of resource that belongs to a VPC.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Subnets,
    SecurityGroups,
}

impl Kind {
    /// Returns the action, its parameter, and the element of the response that holds the id.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Subnets => ("DescribeSubnets", "SubnetId", "subnetId"),
            Self::SecurityGroups => ("DescribeSecurityGroups", "GroupId", "groupId"),
        }
    }
}

/// Returns the VPC of each of these, by id. Ids that do not exist are missing.
///
/// # Errors
/// EC2 refused the call, or could not be reached.
pub(super) async fn vpcs(config: &SdkConfig, kind: Kind, ids: &[&str]) -> Result<BTreeMap<String, String>, String> {
    let (action, parameter, element) = kind.names();
    let ids: String = ids.iter().enumerate().map(|(index, id)| format!("&{parameter}.{}={id}", index + 1)).collect();
    let answer = ask(config, format!("Action={action}&Version={VERSION}{ids}")).await?;
    let answer = roxmltree::Document::parse(&answer).map_err(|error| format!("EC2's response is not XML: {error}"))?;
    let items = answer.descendants().filter(|node| node.has_tag_name("item"));
    let text = |item: roxmltree::Node<'_, '_>, name: &str| {
        let child = item.children().find(|child| child.tag_name().name() == name)?;
        child.text().map(str::to_owned)
    };
    let vpc = |item| Some((text(item, element)?, text(item, "vpcId")?));
    Ok(items.filter_map(vpc).collect())
}

async fn ask(config: &SdkConfig, body: String) -> Result<String, String> {
    let region = config.region().ok_or("no AWS Region is configured")?.to_string();
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    let own = format!("https://ec2.{region}.amazonaws.com{suffix}/");
    let url = config.endpoint_url().map_or(own, |url| format!("{}/", url.trim_end_matches('/')));
    let provider = config.credentials_provider().ok_or("no AWS credentials are configured")?;
    let credentials = provider.provide_credentials().await.map_err(|error| causes(&error))?;
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(&region)
        .name("ec2")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| causes(&error))?
        .into();
    let headers = [("content-type", CONTENT_TYPE)];
    let request = SignableRequest::new("POST", &url, headers.into_iter(), SignableBody::Bytes(body.as_bytes()));
    let signed = sign(request.map_err(|error| causes(&error))?, &parameters).map_err(|error| causes(&error))?;
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(60)))
        .http_status_as_error(false)
        .build()
        .into();
    let mut post = agent.post(&url).header("content-type", CONTENT_TYPE);
    let (instructions, _) = signed.into_parts();
    for (name, value) in instructions.headers() {
        post = post.header(name, value);
    }
    let mut answer = post.send(body.as_bytes()).map_err(|error| causes(&error))?;
    let status = answer.status();
    let text = answer.body_mut().read_to_string().map_err(|error| causes(&error))?;
    match status.is_success() {
        true => Ok(text),
        false => Err(refusal(&text).unwrap_or_else(|| format!("EC2 answered {status}"))),
    }
}

/// Returns `CODE: MESSAGE` of an error response.
fn refusal(text: &str) -> Option<String> {
    let answer = roxmltree::Document::parse(text).ok()?;
    let find = |name: &str| answer.descendants().find(|node| node.tag_name().name() == name)?.text().map(str::to_owned);
    Some(format!("{}: {}", find("Code")?, find("Message")?))
}

#[cfg(test)]
mod tests {
    use super::refusal;

    #[test]
    fn a_refusal_is_told_by_its_code_and_message() {
        let text = "<Response><Errors><Error><Code>InvalidSubnetID.NotFound</Code><Message>The subnet ID 'subnet-1' does not \
                    exist</Message></Error></Errors><RequestID>1</RequestID></Response>";
        assert_eq!(refusal(text).as_deref(), Some("InvalidSubnetID.NotFound: The subnet ID 'subnet-1' does not exist"));
        assert_eq!(refusal("bad gateway"), None);
    }
}
