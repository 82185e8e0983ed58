//! Uploads the functions' code to the bucket, and finds the roles that the functions pass to ECS.

use std::collections::BTreeSet;

use aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionOutput;
use aws_sdk_s3::primitives::ByteStream;
use infra::TaskRoles;
use trigger_core::routing::RoutingConfig;

use super::progress::step;
use crate::account::{Account, refused};
use crate::artifacts::Artifact;
use crate::exit::Failed;

/// Returns the roles of the task definitions that the functions start.
pub(super) async fn roles(account: &Account, config: &RoutingConfig) -> Result<TaskRoles, Failed> {
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

pub(super) async fn upload_code(account: &Account, bucket: &str, artifact: &Artifact) -> Result<(), Failed> {
    let place = format!("s3://{bucket}/{}", artifact.key);
    match account.s3.head_object().bucket(bucket).key(&artifact.key).send().await {
        Ok(_) => return Ok(()),
        Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => {}
        Err(error) => return Err(refused(&place, &error)),
    }
    step(&format!("uploading {} ({} KiB)", artifact.function.name(), artifact.archive.len() / 1024));
    let body = ByteStream::from(artifact.archive.clone());
    let put = account.s3.put_object().bucket(bucket).key(&artifact.key).body(body).send().await;
    put.map(drop).map_err(|error| refused(&place, &error))
}
