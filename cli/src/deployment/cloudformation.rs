//! Reads CloudFormation stacks, and changes them by change sets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput;
use aws_sdk_cloudformation::types::{
    Capability, ChangeSetStatus, ChangeSetType, Parameter, Replacement, ResourceChange, StackEvent, StackStatus, Tag,
};
use aws_sdk_s3::primitives::ByteStream;
use infra::{Body, Owner};
use serde_json::Value;
use sha2::{Digest, Sha256};
use trigger_core::text::{json, yaml};

use super::difference::Difference;
use super::progress::{Progress, step};
use super::stack::Stack;
use crate::account::{Account, refused};
use crate::exit::Failed;

/// A template of more bytes than this is uploaded to S3, as CloudFormation does not accept it in a call.
/// Source: <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>
const TEMPLATE_BYTES_MAX: usize = 51_200;
/// The start of the names of our change sets.
const CHANGE_SETS: &str = "ecs-trigger-";
/// After this many failed polls in a row, which take some minutes, the CLI stops following a change.
const UNANSWERED_MAX: u32 = 20;
/// If a stack has no new event after this many polls, its status counts as final.
const LOOKS_BEFORE_IT_BEGINS: u32 = 20;
/// The pause between two polls.
const PAUSE: Duration = Duration::from_millis(500);

/// Returns the stack of this name, if it exists. Refuses a stack that is being changed, and one of another owner.
pub(crate) async fn existing(account: &Account, name: &str, owner: &Owner) -> Result<Option<Stack>, Failed> {
    let Some(stack) = describe(account, name).await? else { return Ok(None) };
    let status = stack.stack_status().cloned().unwrap_or(StackStatus::ReviewInProgress);
    if status == StackStatus::DeleteComplete {
        return Ok(None);
    }
    if status.as_str().ends_with("_IN_PROGRESS") && status != StackStatus::ReviewInProgress {
        return Err(Failed::Refused(format!(
            "the stack {name} is being changed ({status}); wait until the change has ended"
        )));
    }
    let mut template = Value::Null;
    let (mut physical_ids, mut queues) = (BTreeMap::new(), BTreeMap::new());
    if status != StackStatus::ReviewInProgress {
        let got = account.cloudformation.get_template().stack_name(name).send().await;
        let got = got.map_err(|error| refused(&format!("cannot read the template of the stack {name}"), &error))?;
        template = got.template_body().map(read_template).unwrap_or_default();
        let mut pages = account.cloudformation.list_stack_resources().stack_name(name).into_paginator().items().send();
        while let Some(resource) = pages.next().await {
            let resource =
                resource.map_err(|error| refused(&format!("cannot list the resources of {name}"), &error))?;
            let ids = resource.logical_resource_id().zip(resource.physical_resource_id());
            let Some((id, physical)) = ids.map(|(id, physical)| (id.to_owned(), physical.to_owned())) else { continue };
            if resource.resource_type() == Some("AWS::SQS::Queue") {
                queues.insert(id.clone(), physical.clone());
            }
            physical_ids.insert(id, physical);
        }
    }
    match status {
        StackStatus::ReviewInProgress => refuse_review_of_another(account, name).await?,
        _ => refuse_another_owner(name, owner, &template)?,
    }
    let parameters = stack
        .parameters()
        .iter()
        .filter_map(|parameter| Some((parameter.parameter_key()?.to_owned(), parameter.parameter_value()?.to_owned())));
    let outputs = stack.outputs().iter();
    let outputs =
        outputs.filter_map(|output| Some((output.output_key()?.to_owned(), output.output_value()?.to_owned())));
    let (parameters, outputs) = (parameters.collect(), outputs.collect());
    let tags = stack.tags().iter();
    let tags = tags.filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned()))).collect();
    Ok(Some(Stack { name: name.to_owned(), status, template, parameters, outputs, tags, physical_ids, queues }))
}

/// Refuses a stack whose template does not name this owner.
fn refuse_another_owner(name: &str, owner: &Owner, template: &Value) -> Result<(), Failed> {
    let known = Owner::read(template);
    if known.as_ref() == Some(owner) {
        return Ok(());
    }
    let whose = known.map_or_else(|| "is not ecs-trigger's".to_owned(), |known| format!("has {known}"));
    Err(Failed::Refused(format!(
        "the stack {name} {whose}, not {owner}; nothing was changed. Give this config a stack of its own: `stack: {{ \
         name: ... }}`"
    )))
}

/// Refuses a stack that has no template yet, but a change set of somebody else.
async fn refuse_review_of_another(account: &Account, name: &str) -> Result<(), Failed> {
    let mut pages = account.cloudformation.list_change_sets().stack_name(name).into_paginator().items().send();
    while let Some(change_set) = pages.next().await {
        let change_set =
            change_set.map_err(|error| refused(&format!("cannot list the change sets of {name}"), &error))?;
        let named = change_set.change_set_name().unwrap_or_default();
        if !named.starts_with(CHANGE_SETS) {
            return Err(Failed::Refused(format!(
                "the stack {name} is about to be created by the change set {named}, which is not ecs-trigger's; nothing \
                 was changed. Give this config a stack of its own: `stack: {{ name: ... }}`"
            )));
        }
    }
    Ok(())
}

fn read_template(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|_| {
        let node = yaml::parse(body).0;
        node.and_then(|node| serde_json::from_str(&json::write(&node)).ok()).unwrap_or_default()
    })
}

async fn describe(account: &Account, name: &str) -> Result<Option<aws_sdk_cloudformation::types::Stack>, Failed> {
    match account.cloudformation.describe_stacks().stack_name(name).send().await {
        Ok(described) => Ok(described.stacks().first().cloned()),
        Err(error) if error.message().is_some_and(|message| message.contains("does not exist")) => Ok(None),
        Err(error) => Err(refused(&format!("cannot read the stack {name}"), &error)),
    }
}

/// Creates or updates a stack, and prints the progress.
pub(super) async fn apply(account: &Account, wanted: &Difference, bucket: Option<&str>) -> Result<Stack, Failed> {
    if !wanted.changes.is_empty() {
        refuse_invalid(&wanted.body)?;
        let leftover = wanted.existing.as_ref().filter(|stack| stack.is_leftover());
        if leftover.is_some_and(|stack| stack.status != StackStatus::ReviewInProgress) {
            step(&format!("deleting what is left of the stack {}, whose creation failed", wanted.body.stack));
            delete(account, &wanted.body.stack).await?;
        }
        if let Some(change_set) = change_set(account, wanted, bucket).await? {
            execute(account, wanted, &change_set.name).await?;
        }
    }
    let made = existing(account, &wanted.body.stack, &wanted.owner).await?;
    made.ok_or_else(|| Failed::Aws(format!("the stack {} was deleted meanwhile; deploy again", wanted.body.stack)))
}

/// Refuses a body that AWS would refuse, with all that is wrong with it.
pub(super) fn refuse_invalid(body: &Body) -> Result<(), Failed> {
    let findings: Vec<String> = infra::check(body).iter().map(|finding| format!("\n  {finding}")).collect();
    match findings.as_slice() {
        [] => Ok(()),
        findings => Err(Failed::Refused(format!(
            "AWS would refuse the template of the stack {}; nothing was sent:{}",
            body.stack,
            findings.concat()
        ))),
    }
}

/// A change set that is ready to be executed.
struct ChangeSet {
    name: String,
    /// The resources that it replaces.
    replaced: Vec<String>,
}

/// Creates a change set, unless CloudFormation sees nothing to change.
async fn change_set(account: &Account, wanted: &Difference, bucket: Option<&str>) -> Result<Option<ChangeSet>, Failed> {
    let stack = &wanted.body.stack;
    let body = wanted.body.template.to_string();
    let hash = format!("{:x}", Sha256::digest(format!("{body}{:?}", wanted.body.parameters)));
    let name = format!("{CHANGE_SETS}{}", &hash[..16]);
    let parameter =
        |(name, value): (&String, &String)| Parameter::builder().parameter_key(name).parameter_value(value).build();
    let kind = if wanted.is_new { ChangeSetType::Create } else { ChangeSetType::Update };
    // An interrupted deployment may have left a change set of this name.
    let discard = || account.cloudformation.delete_change_set().stack_name(stack).change_set_name(&name).send();
    let _ = discard().await;
    let create =
        account
            .cloudformation
            .create_change_set()
            .stack_name(stack)
            .change_set_name(&name)
            .change_set_type(kind)
            .capabilities(Capability::CapabilityIam)
            .set_parameters(Some(wanted.body.parameters.iter().map(parameter).collect()))
            .set_tags(wanted.tags().map(|tags| {
                tags.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
            }));
    let create = match bucket.filter(|_| body.len() > TEMPLATE_BYTES_MAX) {
        Some(bucket) => create.template_url(upload_template(account, bucket, &body, &hash).await?),
        None => create.template_body(body),
    };
    create.send().await.map_err(|error| refused(&format!("cannot create a change set of {stack}"), &error))?;
    loop {
        let describe = account.cloudformation.describe_change_set().stack_name(stack).change_set_name(&name);
        let described = describe.send().await.map_err(|error| refused("cannot read the change set", &error))?;
        match described.status() {
            Some(ChangeSetStatus::CreateComplete) => {
                return Ok(Some(ChangeSet { name, replaced: replaced(&described) }));
            }
            Some(ChangeSetStatus::Failed) => {
                let reason = described.status_reason().unwrap_or_default();
                let _ = discard().await;
                let is_empty = ["didn't contain changes", "No updates are to be performed"];
                if is_empty.iter().any(|text| reason.contains(text)) {
                    return Ok(None);
                }
                return Err(Failed::Aws(format!("the change set of {stack} failed: {reason}")));
            }
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn replaced(described: &DescribeChangeSetOutput) -> Vec<String> {
    let changes = described.changes().iter().filter_map(|change| change.resource_change());
    let replaced = changes.filter(|change| change.replacement() == Some(&Replacement::True));
    let line = |change: &ResourceChange| {
        format!("{} {}", change.resource_type().unwrap_or_default(), change.logical_resource_id().unwrap_or_default())
    };
    replaced.map(line).collect()
}

/// Returns the resources that a change would replace. Only CloudFormation knows them: this creates a change set and
/// discards it.
pub(super) async fn replacements(
    account: &Account,
    wanted: &Difference,
    bucket: Option<&str>,
) -> Result<Vec<String>, Failed> {
    let Some(ChangeSet { name, replaced }) = change_set(account, wanted, bucket).await? else { return Ok(Vec::new()) };
    let discard = account.cloudformation.delete_change_set().stack_name(&wanted.body.stack).change_set_name(name);
    discard.send().await.map_err(|error| refused("cannot delete the change set", &error))?;
    Ok(replaced)
}

async fn upload_template(account: &Account, bucket: &str, body: &str, hash: &str) -> Result<String, Failed> {
    let key = format!("templates/{}.json", &hash[..16]);
    let put = account.s3.put_object().bucket(bucket).key(&key).body(ByteStream::from(body.as_bytes().to_vec()));
    put.send().await.map_err(|error| refused(&format!("s3://{bucket}/{key}"), &error))?;
    let region = &account.identity.region;
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    Ok(match account.sdk_config.endpoint_url() {
        Some(endpoint) => format!("{}/{bucket}/{key}", endpoint.trim_end_matches('/')),
        None => format!("https://s3.{region}.amazonaws.com{suffix}/{bucket}/{key}"),
    })
}

async fn execute(account: &Account, wanted: &Difference, change_set: &str) -> Result<(), Failed> {
    let mut events = Events::of(account, &wanted.body.stack).await?;
    let execute =
        account.cloudformation.execute_change_set().stack_name(&wanted.body.stack).change_set_name(change_set);
    execute
        .send()
        .await
        .map_err(|error| refused(&format!("cannot execute the changes of {}", wanted.body.stack), &error))?;
    let progress = Progress::new(wanted.changes.len());
    let ended = events.follow(account, &progress).await?;
    match ended {
        Some(StackStatus::CreateComplete | StackStatus::UpdateComplete) => Ok(()),
        ended => Err(events.failure(&wanted.body.stack, ended.as_ref())),
    }
}

/// Deletes a stack, and prints the progress.
pub(crate) async fn delete(account: &Account, name: &str) -> Result<(), Failed> {
    let Some(stack) = describe(account, name).await? else { return Ok(()) };
    let id = stack.stack_id().unwrap_or(name).to_owned();
    let mut events = Events::of(account, &id).await?;
    let deleted = account.cloudformation.delete_stack().stack_name(name).send().await;
    deleted.map_err(|error| refused(&format!("cannot delete the stack {name}"), &error))?;
    let ended = events.follow(account, &Progress::new(0)).await?;
    match ended {
        None | Some(StackStatus::DeleteComplete) => Ok(()),
        ended => Err(events.failure(name, ended.as_ref())),
    }
}

/// Follows the events of a stack.
struct Events {
    stack: String,
    seen: BTreeSet<String>,
    failed: Vec<String>,
}

impl Events {
    async fn of(account: &Account, stack: &str) -> Result<Self, Failed> {
        let mut events = Self { stack: stack.to_owned(), seen: BTreeSet::new(), failed: Vec::new() };
        events.new_ones(account).await?;
        Ok(events)
    }

    /// Prints events until the stack's change has ended. Returns the final status, or `None` if the stack no longer
    /// exists. The change goes on while CloudFormation does not answer, so a failed poll is repeated for a while.
    async fn follow(&mut self, account: &Account, progress: &Progress) -> Result<Option<StackStatus>, Failed> {
        let (mut unanswered, mut looks, mut has_begun) = (0, 0, false);
        loop {
            tokio::time::sleep(PAUSE).await;
            let (status, events) = match self.look(account).await {
                Ok(seen) => seen,
                Err(failed) if unanswered >= UNANSWERED_MAX => return Err(failed),
                Err(_) => {
                    unanswered += 1;
                    tokio::time::sleep(PAUSE * unanswered).await;
                    continue;
                }
            };
            (unanswered, looks) = (0, looks + 1);
            has_begun |= !events.is_empty();
            events.iter().for_each(|event| self.tell(event, progress));
            match status {
                Some(status) if status.as_str().ends_with("_IN_PROGRESS") => {}
                // The change has not begun yet.
                Some(_) if !has_begun && looks < LOOKS_BEFORE_IT_BEGINS => {}
                ended => return Ok(ended),
            }
        }
    }

    async fn look(&mut self, account: &Account) -> Result<(Option<StackStatus>, Vec<StackEvent>), Failed> {
        let status = describe(account, &self.stack).await?.and_then(|stack| stack.stack_status().cloned());
        Ok((status, self.new_ones(account).await?))
    }

    fn tell(&mut self, event: &StackEvent, progress: &Progress) {
        let Some(status) = event.resource_status() else { return };
        let (id, kind) = (event.logical_resource_id().unwrap_or_default(), event.resource_type().unwrap_or_default());
        let reason = event.resource_status_reason().unwrap_or_default();
        if status.as_str().ends_with("_FAILED") && !reason.contains("cancelled") && kind != "AWS::CloudFormation::Stack"
        {
            self.failed.push(format!("{id} ({kind}): {reason}"));
        }
        progress.event(status.as_str(), kind, id, reason);
    }

    /// Returns the events since the last poll, the oldest first.
    async fn new_ones(&mut self, account: &Account) -> Result<Vec<StackEvent>, Failed> {
        let mut new = Vec::new();
        let mut pages = account.cloudformation.describe_stack_events().stack_name(&self.stack).into_paginator().send();
        'pages: while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page,
                Err(error) if error.message().is_some_and(|message| message.contains("does not exist")) => break,
                Err(error) => return Err(refused(&format!("cannot read the events of {}", self.stack), &error)),
            };
            for event in page.stack_events() {
                // The newest come first: all events after a known one are known.
                if !self.seen.insert(event.event_id().unwrap_or_default().to_owned()) {
                    break 'pages;
                }
                new.push(event.clone());
            }
        }
        new.reverse();
        Ok(new)
    }

    fn failure(&self, name: &str, ended: Option<&StackStatus>) -> Failed {
        let ended = ended.map_or("gone", StackStatus::as_str);
        let became = match ended {
            "ROLLBACK_COMPLETE" | "UPDATE_ROLLBACK_COMPLETE" => "everything is rolled back".to_owned(),
            status => format!("it is now {status}"),
        };
        let reasons = match self.failed.as_slice() {
            [] => "CloudFormation gave no reason".to_owned(),
            failed => failed.join("\n  "),
        };
        Failed::RolledBack(format!("the stack {name} could not be changed; {became}:\n  {reasons}"))
    }
}
