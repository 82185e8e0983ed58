//! Finds the VPC of subnets and security groups, and its endpoints, by EC2 calls.
//! Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSubnets.html>,
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html>

use std::collections::{BTreeMap, BTreeSet};

use crate::signed::{Call, Signer};

/// The version of the EC2 API.
const VERSION: &str = "2016-11-15";
const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// A kind of resource that belongs to a VPC.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
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

/// Returns the VPC of each of these, by id, or without ids of all that there are. Ids that do not exist are missing.
///
/// # Errors
/// EC2 refused the call, or could not be reached.
pub(crate) async fn vpcs(signer: &Signer, kind: Kind, ids: &[&str]) -> Result<BTreeMap<String, String>, String> {
    let (action, parameter, element) = kind.names();
    let ids: String = ids.iter().enumerate().map(|(index, id)| format!("&{parameter}.{}={id}", index + 1)).collect();
    let answer = ask(signer, format!("Action={action}&Version={VERSION}{ids}")).await?;
    let answer = roxmltree::Document::parse(&answer).map_err(|error| format!("EC2's response is not XML: {error}"))?;
    let items = answer.descendants().filter(|node| node.has_tag_name("item"));
    let text = |item: roxmltree::Node<'_, '_>, name: &str| {
        let child = item.children().find(|child| child.tag_name().name() == name)?;
        child.text().map(str::to_owned)
    };
    let vpc = |item| Some((text(item, element)?, text(item, "vpcId")?));
    Ok(items.filter_map(vpc).collect())
}

/// Returns the services that have an endpoint in a VPC, such as `ecs`.
///
/// # Errors
/// EC2 refused the call, or could not be reached.
pub(super) async fn endpoints(signer: &Signer, vpc: &str) -> Result<BTreeSet<String>, String> {
    let filter = format!("&Filter.1.Name=vpc-id&Filter.1.Value.1={vpc}");
    let answer = ask(signer, format!("Action=DescribeVpcEndpoints&Version={VERSION}{filter}")).await?;
    let answer = roxmltree::Document::parse(&answer).map_err(|error| format!("EC2's response is not XML: {error}"))?;
    let names = answer.descendants().filter(|node| node.has_tag_name("serviceName")).filter_map(|node| node.text());
    Ok(names.filter_map(|name| name.rsplit('.').next()).map(str::to_owned).collect())
}

async fn ask(signer: &Signer, body: String) -> Result<String, String> {
    let headers = [("content-type", CONTENT_TYPE)];
    match signer.send(Call::post("ec2", &headers, &body)).await? {
        (true, text) => Ok(text),
        (false, text) => Err(refusal(&text).unwrap_or_else(|| "EC2 refused the call".to_owned())),
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
