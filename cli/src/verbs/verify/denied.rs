//! What to do about a call that AWS denied: the statement that allows it.

use serde_json::json;

use super::checks::{Check, Verdict};

/// The reason of a call that was denied without a code.
pub(super) const FORBIDDEN: &str = "Forbidden";
/// The codes of an answer that denies a call.
const CODES: [&str; 4] = ["AccessDenied", "AuthorizationError", "UnauthorizedOperation", FORBIDDEN];
/// What follows in AWS's message is the action, and then the resource.
const ACTION: &str = "not authorized to perform: ";
const RESOURCE: &str = " on resource: ";

/// Names, for each check that could not be made because AWS denied a call, the action and how to allow it.
pub(super) fn explained(mut checks: Vec<Check>) -> Vec<Check> {
    for check in &mut checks {
        match &mut check.verdict {
            Verdict::Passed => {}
            Verdict::NotChecked(why) => {
                if let Some(denied) = Denied::find(why) {
                    *why = format!("{why}; {}", denied.remedy());
                }
            }
            Verdict::Failed { reason, remedy } => {
                if let Some(denied) = Denied::find(reason) {
                    *remedy = denied.remedy();
                }
            }
        }
    }
    checks
}

/// Returns the reason of a failed call with its action and its resource, if AWS denied the call without naming them, as S3
/// does for some.
pub(super) fn named(reason: String, action: &str, resource: &str) -> String {
    let is_denied = CODES.iter().any(|code| reason.contains(code)) && !reason.contains(ACTION);
    if is_denied { format!("{reason} ({ACTION}{action}{RESOURCE}{resource})") } else { reason }
}

/// A call that AWS denied.
#[derive(Debug, PartialEq)]
struct Denied<'a> {
    /// For example `ecs:DescribeClusters`.
    action: &'a str,
    /// The resource's ARN, if AWS names it.
    resource: Option<&'a str>,
    /// The kind of policy that denies the call whatever another one allows.
    denying: Option<&'a str>,
}

impl<'a> Denied<'a> {
    fn find(reason: &'a str) -> Option<Self> {
        let word = |text: &'a str| {
            let word = text.split_whitespace().next().unwrap_or_default();
            word.trim_matches(|c: char| "\"'().,".contains(c))
        };
        let (_, after) = reason.split_once(ACTION)?;
        let action = Some(word(after)).filter(|action| action.contains(':'))?;
        let resource = after.split_once(RESOURCE).map(|(_, rest)| word(rest)).filter(|arn| arn.starts_with("arn:"));
        let denying =
            after.split_once("with an explicit deny in ").map(|(_, policy)| policy.trim_end_matches([')', '.']));
        Some(Self { action, resource, denying })
    }

    fn remedy(&self) -> String {
        let Self { action, resource, denying } = self;
        if let Some(policy) = denying {
            return format!("remove the deny of {action} from {policy}: no other policy can allow it");
        }
        let statement = json!({ "Effect": "Allow", "Action": action, "Resource": resource.unwrap_or("*") });
        format!("allow {action} to the identity that runs `verify`; add the statement {statement}")
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::{Check, Verdict, explained, named};

    #[test]
    fn a_denied_call_is_told_with_its_action_and_the_statement_that_allows_it() {
        let user = "User: arn:aws:sts::111122223333:assumed-role/ci/me is";
        let cluster = "arn:aws:ecs:eu-west-1:111122223333:cluster/web";
        let bucket = "arn:aws:s3:::uploads";
        let reasons = [
            format!(
                "AccessDeniedException: {user} not authorized to perform: ecs:DescribeClusters on resource: {cluster} because no identity-based policy allows the ecs:DescribeClusters action"
            ),
            format!(
                "AccessDenied: {user} not authorized to perform: s3:GetBucketNotification on resource: \"{bucket}\" because no identity-based policy allows the s3:GetBucketNotification action"
            ),
            format!(
                "UnauthorizedOperation: You are not authorized to perform this operation. {user} not authorized to perform: ec2:DescribeSubnets because no identity-based policy allows the ec2:DescribeSubnets action"
            ),
            format!(
                "AccessDenied: {user} not authorized to perform: iam:GetRole on resource: role worker with an explicit deny in a service control policy"
            ),
            named("AccessDenied: Access Denied".to_owned(), "s3:GetBucketNotification", bucket),
            named("NoSuchBucket: The specified bucket does not exist".to_owned(), "s3:GetBucketNotification", bucket),
            "no active cluster has this name".to_owned(),
        ];
        let failed = |reason: &String| {
            let verdict = Verdict::Failed { reason: reason.clone(), remedy: "create it".to_owned() };
            Check { what: "cluster web".to_owned(), verdict }
        };
        let mut checks: Vec<Check> = reasons.iter().map(failed).collect();
        let why = format!("EC2 does not say: {}", reasons[2]);
        checks.push(Check { what: "a way".to_owned(), verdict: Verdict::NotChecked(why) });
        let shown = |check: Check| match check.verdict {
            Verdict::Failed { remedy, .. } => remedy,
            Verdict::NotChecked(why) => why,
            Verdict::Passed => String::new(),
        };
        let shown: Vec<String> = explained(checks).into_iter().map(shown).collect();
        expect![[r#"
            allow ecs:DescribeClusters to the identity that runs `verify`; add the statement {"Effect":"Allow","Action":"ecs:DescribeClusters","Resource":"arn:aws:ecs:eu-west-1:111122223333:cluster/web"}
            allow s3:GetBucketNotification to the identity that runs `verify`; add the statement {"Effect":"Allow","Action":"s3:GetBucketNotification","Resource":"arn:aws:s3:::uploads"}
            allow ec2:DescribeSubnets to the identity that runs `verify`; add the statement {"Effect":"Allow","Action":"ec2:DescribeSubnets","Resource":"*"}
            remove the deny of iam:GetRole from a service control policy: no other policy can allow it
            allow s3:GetBucketNotification to the identity that runs `verify`; add the statement {"Effect":"Allow","Action":"s3:GetBucketNotification","Resource":"arn:aws:s3:::uploads"}
            create it
            create it
            EC2 does not say: UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:sts::111122223333:assumed-role/ci/me is not authorized to perform: ec2:DescribeSubnets because no identity-based policy allows the ec2:DescribeSubnets action; allow ec2:DescribeSubnets to the identity that runs `verify`; add the statement {"Effect":"Allow","Action":"ec2:DescribeSubnets","Resource":"*"}"#]]
        .assert_eq(&shown.join("\n"));
    }
}
