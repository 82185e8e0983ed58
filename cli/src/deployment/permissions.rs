//! Asks the account for what the functions' permissions depend on: the roles that they pass to ECS, and the keys of
//! what the config adopts.

use std::collections::BTreeSet;

use aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionOutput;
use infra::{OfAccount, TaskRoles};
use trigger_core::config::stack::Origin;
use trigger_core::routing::RoutingConfig;

use crate::account::{Account, refused};
use crate::exit::Failed;
use crate::keys::{self, Key};

/// Returns what the functions' permissions depend on.
pub(super) async fn of_account(account: &Account, config: &RoutingConfig) -> Result<OfAccount, Failed> {
    let roles = roles(account, config).await?;
    let mut queue_keys = BTreeSet::new();
    for queue in config.queues().into_iter().filter(|queue| !config.stack.queue(queue).is_created) {
        let name = keys::of_queue(account, queue).await;
        queue_keys.extend(key_arn(account, &format!("the queue {}", queue.name), name).await?);
    }
    let adopted = config.storage.as_ref().filter(|_| config.stack.storage_bucket == Some(Origin::Adopt));
    let bucket_key = match adopted.map(|storage| &storage.bucket.0) {
        Some(bucket) => {
            let name = keys::of_bucket(account, bucket).await;
            key_arn(account, &format!("the bucket {bucket}"), name).await?
        }
        None => None,
    };
    Ok(OfAccount { roles, queue_keys, bucket_key })
}

/// Returns the ARN of the customer's key with which something is encrypted, if there is one. `name` is the key's name,
/// or why it cannot be read.
async fn key_arn(
    account: &Account,
    what: &str,
    name: Result<Option<String>, String>,
) -> Result<Option<String>, Failed> {
    let unknown = |reason: String| Failed::Aws(format!("cannot read the key of {what}: {reason}"));
    let Some(name) = name.map_err(unknown)? else { return Ok(None) };
    let key = Key::find(&account.signer, &name).await.map_err(unknown)?;
    Ok(key.map(|key| key.arn))
}

/// Returns the roles of the task definitions that the functions start.
async fn roles(account: &Account, config: &RoutingConfig) -> Result<TaskRoles, Failed> {
    let (mut roles, mut missing) = (TaskRoles::new(), Vec::new());
    let functions = infra::functions(config);
    let started = functions.into_iter().flat_map(|function| function.tasks(config));
    for definition in started.map(|task| task.task_definition()).collect::<BTreeSet<_>>() {
        match account.ecs.describe_task_definition().task_definition(definition).send().await {
            Ok(described) => drop(roles.insert(definition.to_owned(), roles_of(&described))),
            Err(error) if error.as_service_error().is_some() => {
                missing.push(format!("{definition} ({})", trigger_aws::clients::causes(&error)));
            }
            Err(error) => return Err(refused("cannot read task definitions", &error)),
        }
    }
    match missing.as_slice() {
        [] => Ok(roles),
        missing => Err(Failed::Aws(format!(
            "these task definitions cannot be read; register them first, as the functions need permission to pass \
             their roles: {}",
            missing.join(", ")
        ))),
    }
}

fn roles_of(described: &DescribeTaskDefinitionOutput) -> BTreeSet<String> {
    let of = described.task_definition().into_iter();
    let arns = of.flat_map(|of| [of.task_role_arn(), of.execution_role_arn()]).flatten();
    arns.filter(|arn| !arn.is_empty()).map(str::to_owned).collect()
}
