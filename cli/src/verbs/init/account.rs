//! What an AWS account has that a config can name.

use aws_sdk_ecs::types::{Compatibility, ContainerDefinition, NetworkMode, TaskDefinition, TaskDefinitionFamilyStatus};
use clap::Args;
use tokio::runtime::{Builder, Runtime};
use trigger_aws::clients::causes;

use super::answers::LaunchType;
use super::offers::{Described, Offer, Offers};
use super::prompt::Prompt;
use crate::account::{Account, AccountOptions, refused};
use crate::diagnostics;
use crate::exit::Failed;
use crate::verbs::verify::ec2::{Kind, vpcs};

/// The stack whose name is shown with the account: the one that a config has if it names none.
const STACK: &str = "ecs-trigger";

/// SQS answers with pages only if it is asked for at most this many queues.
const QUEUES_PER_PAGE: i32 = 1000;

/// Options about the account to look at.
#[derive(Debug, Args)]
pub(super) struct AccountFlags {
    /// Look at the AWS account, and offer its clusters, task definitions, buckets, queues, subnets and security groups.
    #[arg(long)]
    from_account: bool,
    /// Take the container, the launch type and the network mode from this task definition of the account.
    #[arg(long, value_name = "FAMILY[:REVISION]", conflicts_with = "task_definition")]
    from_task_definition: Option<String>,
    #[command(flatten)]
    account: AccountOptions,
}

/// An account that was looked at.
#[derive(Debug)]
pub(super) struct Looked {
    offers: Offers,
    account: Account,
    /// Drives the connections that the account's clients keep.
    runtime: Runtime,
}

impl AccountFlags {
    /// Looks at the account, if a flag or the user wants it.
    pub(super) fn look(&self, prompt: Option<&mut Prompt<'_>>) -> Result<Option<Looked>, Failed> {
        let is_named = self.from_account || self.from_task_definition.is_some();
        let is_wanted = match prompt {
            Some(prompt) if !is_named => {
                prompt.yes("Look at your AWS account for clusters, task definitions and the like?")?
            }
            _ => is_named,
        };
        if !is_wanted {
            return Ok(None);
        }
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let account = runtime.block_on(self.account.connect(STACK))?;
        let is_listed = self.from_account || !is_named;
        let offers = if is_listed { runtime.block_on(offers(&account)) } else { Offers::default() };
        Ok(Some(Looked { offers, account, runtime }))
    }

    /// Returns the task definition that the user named to be looked at.
    pub(super) fn task_definition(&self) -> Option<&str> {
        self.from_task_definition.as_deref()
    }
}

impl Looked {
    /// Returns what the account has to choose from.
    pub(super) fn offers(&self) -> &Offers {
        &self.offers
    }

    /// Returns what the account's task definition of this name says.
    ///
    /// # Errors
    /// ECS did not answer, or has no such task definition.
    pub(super) fn describe(&self, name: &str) -> Result<Described, Failed> {
        let asked = self.account.ecs.describe_task_definition().task_definition(name);
        let answer = self.runtime.block_on(asked.send());
        let answer = answer.map_err(|error| refused(&format!("task definition {name}"), &error))?;
        Ok(described(&answer.task_definition.unwrap_or_else(|| TaskDefinition::builder().build())))
    }
}

fn described(definition: &TaskDefinition) -> Described {
    let (essential, others): (Vec<&ContainerDefinition>, Vec<&ContainerDefinition>) =
        definition.container_definitions().iter().partition(|container| container.essential() != Some(false));
    let containers = essential.into_iter().chain(others).filter_map(|container| container.name());
    let suits = |compatibility| definition.requires_compatibilities().contains(&compatibility);
    Described {
        containers: containers.map(Offer::from).collect(),
        launch_type: match () {
            () if suits(Compatibility::Fargate) => LaunchType::Fargate,
            () if suits(Compatibility::External) && !suits(Compatibility::Ec2) => LaunchType::External,
            () => LaunchType::Ec2,
        },
        is_awsvpc: definition.network_mode() == Some(&NetworkMode::Awsvpc),
    }
}

/// Returns what the account has. What cannot be listed is a warning, and offers nothing.
async fn offers(account: &Account) -> Offers {
    let named = |arns: Result<Vec<String>, String>, what: &str| {
        let arns = listed(arns, what);
        arns.iter().map(|arn| Offer::from(arn.rsplit(['/', ':']).next().unwrap_or(arn))).collect()
    };
    let clusters = account.ecs.list_clusters().into_paginator().items().send();
    let families = account.ecs.list_task_definition_families().status(TaskDefinitionFamilyStatus::Active);
    let buckets = account.s3.list_buckets().into_paginator().items().send();
    let queues = account.sqs.list_queues().max_results(QUEUES_PER_PAGE).into_paginator().items().send();
    let of_vpcs = async |kind, what| {
        let found = listed(vpcs(&account.signer, kind, &[]).await.map(|found| found.into_iter().collect()), what);
        found.into_iter().map(|(id, vpc)| Offer { label: format!("{id} ({vpc})"), value: id }).collect()
    };
    let buckets = buckets.collect::<Result<Vec<_>, _>>().await.map_err(|error| causes(&error));
    let buckets = listed(buckets, "buckets");
    Offers {
        clusters: named(clusters.collect::<Result<_, _>>().await.map_err(|error| causes(&error)), "clusters"),
        task_definitions: named(
            families.into_paginator().items().send().collect::<Result<_, _>>().await.map_err(|error| causes(&error)),
            "task definitions",
        ),
        buckets: buckets.iter().filter_map(|bucket| bucket.name()).map(Offer::from).collect(),
        queues: named(queues.collect::<Result<_, _>>().await.map_err(|error| causes(&error)), "queues"),
        subnets: of_vpcs(Kind::Subnets, "subnets").await,
        security_groups: of_vpcs(Kind::SecurityGroups, "security groups").await,
    }
}

fn listed<T>(found: Result<Vec<T>, String>, what: &str) -> Vec<T> {
    found.unwrap_or_else(|reason| {
        diagnostics::warning(&format!("the {what} of the account cannot be listed: {reason}"));
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{Compatibility, ContainerDefinition, NetworkMode, TaskDefinition};

    use super::{Described, described};
    use crate::verbs::init::answers::LaunchType;

    #[test]
    fn a_task_definition_says_container_launch_type_and_network_mode() {
        let container = |name: &str, essential| ContainerDefinition::builder().name(name).essential(essential).build();
        for (compatibilities, launch_type) in [
            (vec![], LaunchType::Ec2),
            (vec![Compatibility::Ec2, Compatibility::Fargate], LaunchType::Fargate),
            (vec![Compatibility::Ec2, Compatibility::External], LaunchType::Ec2),
            (vec![Compatibility::External], LaunchType::External),
        ] {
            let definition = TaskDefinition::builder()
                .container_definitions(container("log", false))
                .container_definitions(container("app", true))
                .set_requires_compatibilities(Some(compatibilities))
                .network_mode(NetworkMode::Awsvpc)
                .build();
            let containers = vec!["app".into(), "log".into()];
            assert_eq!(described(&definition), Described { containers, launch_type, is_awsvpc: true });
        }
    }
}
