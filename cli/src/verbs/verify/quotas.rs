//! Counts what the account has of the quotas that all of its stacks share.

use infra::{Function, Limit};
use serde_json::json;
use trigger_core::routing::RoutingConfig;

use super::checks::{Check, Verdict};
use crate::account::Account;
use crate::signed::{Call, Signer};

/// Each queue whose `maximum_concurrency` is not set counts as this many invocations at once: Lambda begins with them.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>
const BEGINS_WITH: u64 = 5;

/// AWS's default quota of groups of schedules in a Region.
const SCHEDULE_GROUPS_MAX: u64 = 500;

/// Checks that the account has room for the config's stack.
pub(super) async fn all(account: &Account, config: &RoutingConfig) -> Vec<Check> {
    let rules = rules(&account.signer, config).await;
    let groups = schedule_groups(&account.signer, config).await;
    let invocations = invocations(&account.signer, config).await;
    let check = |what: &str, counted: Result<(u64, u64), String>, remedy: &str| match counted {
        Ok((used, max)) => {
            let reason = format!("the stack needs {used} in all, but the account has {max}");
            let failed = Verdict::Failed { reason, remedy: remedy.to_owned() };
            Check {
                what: format!("{what}: {used} of {max}"),
                verdict: if used > max { failed } else { Verdict::Passed },
            }
        }
        Err(reason) => {
            Check { what: what.to_owned(), verdict: Verdict::NotChecked(format!("AWS does not say: {reason}")) }
        }
    };
    vec![
        check("rules of the event bus", rules, "remove unused rules, or ask AWS for more (Service Quotas)"),
        check("groups of schedules", groups, "remove unused groups, or ask AWS for more (Service Quotas)"),
        check("functions invoked at once", invocations, "ask AWS for more concurrent executions (Service Quotas)"),
    ]
}

/// Returns how many rules the bus has with those of the stack, and AWS's default quota.
async fn rules(signer: &Signer, config: &RoutingConfig) -> Result<(u64, u64), String> {
    let own = format!("{}.", config.stack.name());
    let (mut others, mut token) = (0, None);
    loop {
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "AWSEvents.ListRules")];
        let mut request = json!({ "Limit": 100 });
        if let Some(token) = &token {
            request["NextToken"] = json!(token);
        }
        let page = signer.json(Call::post("events", &headers, &request.to_string())).await?;
        let names = page["Rules"].as_array().into_iter().flatten().filter_map(|rule| rule["Name"].as_str());
        others += names.filter(|name| !name.starts_with(&own)).count() as u64;
        token = page["NextToken"].as_str().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    let of_tasks = infra::functions(config).contains(&Function::TaskLifecycle);
    let needed = infra::rules(config).len() + usize::from(of_tasks);
    Ok((others + needed as u64, Limit::Rules.parts().1 as u64))
}

/// Returns how many groups of schedules the account has with that of the stack, and AWS's default quota. Of schedules
/// themselves, AWS allows so many that no stack comes near.
/// Source: <https://docs.aws.amazon.com/scheduler/latest/UserGuide/scheduler-quotas.html>
async fn schedule_groups(signer: &Signer, config: &RoutingConfig) -> Result<(u64, u64), String> {
    let own = config.stack.name();
    let (mut others, mut token) = (0, String::new());
    loop {
        let of_page = if token.is_empty() { String::new() } else { format!("&NextToken={}", percent_encoded(&token)) };
        let page = signer.json(Call::get("scheduler", &format!("/schedule-groups?MaxResults=100{of_page}"))).await?;
        let groups = page["ScheduleGroups"].as_array().into_iter().flatten();
        others += groups.filter(|group| group["Name"] != own).count() as u64;
        token = page["NextToken"].as_str().unwrap_or_default().to_owned();
        if token.is_empty() {
            break;
        }
    }
    Ok((others + u64::from(infra::has_schedules(config)), SCHEDULE_GROUPS_MAX))
}

/// Returns a text in the form that a query takes, as a signature demands it.
fn percent_encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let encoded = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encoded).collect()
}

/// Returns how many invocations the stack's queues make at once, and how many the account allows for all functions.
async fn invocations(signer: &Signer, config: &RoutingConfig) -> Result<(u64, u64), String> {
    let settings = signer.json(Call::get("lambda", "/2016-08-19/account-settings")).await?;
    let max = settings["AccountLimit"]["ConcurrentExecutions"].as_u64().ok_or("the limit is missing")?;
    let queues = config.queues().into_iter().map(|queue| config.stack.queue(queue).maximum_concurrency);
    let of_queues: u64 = queues.map(|maximum| maximum.map_or(BEGINS_WITH, u64::from)).sum();
    let of_work = if config.ledger().is_some() { BEGINS_WITH } else { 0 };
    let others = infra::functions(config).into_iter().filter(|function| *function != Function::SqsTrigger);
    Ok((of_queues + of_work + others.count() as u64, max))
}
