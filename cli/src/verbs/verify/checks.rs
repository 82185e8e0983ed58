//! The checks of `verify`.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{GlobalSecondaryIndexDescription, KeySchemaElement, TableDescription};
use aws_sdk_ecs::types::{Cluster, Compatibility, ContainerDefinition, LogDriver, NetworkMode, TaskDefinition};
use aws_sdk_s3::types::{EventBridgeConfiguration, NotificationConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use infra::{Drift, Owner};
use trigger_aws::clients::causes;
use trigger_core::config::stack::Origin;
use trigger_core::ecs::{AwsvpcConfiguration, CapacityProviderStrategyItem, LaunchType, limits};
use trigger_core::event::{Queue, RECEIVES_MIN, visibility_timeout_min};
use trigger_core::routing::{RoutingConfig, RunsAs, Task};
use trigger_core::storage::{Index, Storage, TABLE_KEY};

use super::denied::{FORBIDDEN, named};
use super::ec2::{self, Kind};
use crate::account::Account;
use crate::deployment::{drifted, existing};
use crate::keys::{self, Key};

#[derive(Debug)]
pub(super) struct Check {
    pub(super) what: String,
    pub(super) verdict: Verdict,
}

#[derive(Debug)]
pub(super) enum Verdict {
    Passed,
    /// The check does not apply or is not possible, with the reason.
    NotChecked(String),
    Failed {
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: String,
    },
}

/// Runs all checks. A check that fails does not stop the others.
pub(super) async fn all(account: &Account, config: &RoutingConfig, enable_eventbridge: bool) -> Vec<Check> {
    let mut checks = Checks { account, config, done: Vec::new() };
    checks.boundary().await;
    checks.key().await;
    checks.storage().await;
    let clusters = checks.clusters().await;
    checks.tasks(&clusters).await;
    checks.networks().await;
    checks.vpc().await;
    checks.services().await;
    checks.queues().await;
    checks.buckets(enable_eventbridge).await;
    checks.drift().await;
    checks.done
}

struct Checks<'a> {
    account: &'a Account,
    config: &'a RoutingConfig,
    done: Vec<Check>,
}

impl Checks<'_> {
    fn note(&mut self, what: impl Into<String>, verdict: Verdict) {
        self.done.push(Check { what: what.into(), verdict });
    }

    /// Notes a check that passes if there is no `problem`.
    fn expect(&mut self, what: impl Into<String>, problem: Option<String>, remedy: impl Into<String>) {
        let failed = |reason| Verdict::Failed { reason, remedy: remedy.into() };
        self.note(what, problem.map_or(Verdict::Passed, failed));
    }

    /// Checks that the policy exists that bounds the stack's roles.
    async fn boundary(&mut self) {
        let Some(policy) = self.config.stack.permissions_boundary.as_ref().map(|policy| policy.value.clone()) else {
            return;
        };
        let identity = &self.account.identity;
        let arn = match policy.starts_with("arn:") {
            true => policy.clone(),
            false => format!("arn:{}:iam::{}:policy/{policy}", identity.partition(), identity.account),
        };
        let problem = self.account.iam.get_policy().policy_arn(arn).send().await.err().map(|error| causes(&error));
        self.expect(format!("permissions boundary {policy}"), problem, "create the policy, or name one that exists");
    }

    /// Checks the stack's key, and that its policy allows the services that use it.
    async fn key(&mut self) {
        let stack = &self.config.stack;
        let Some(name) = &stack.kms_key else { return };
        self.region("key of `kms_key`".to_owned(), stack.kms_key_region().unwrap_or_default());
        let Some(policy) = self.usable_key("`kms_key`", name).await else { return };
        let region = self.account.identity.region.clone();
        for infra::KeyUse { service, purpose } in infra::key_users(self.config) {
            let principal = match service {
                "logs" => format!("logs.{region}.amazonaws.com"),
                service => format!("{service}.amazonaws.com"),
            };
            let is_allowed = keys::allows(&policy, &principal);
            let problem = (!is_allowed).then(|| format!("the key's policy does not let {principal} use it"));
            let remedy = "allow kms:Decrypt and kms:GenerateDataKey* to it; docs/deploying.md shows the statements";
            self.expect(format!("key of `kms_key` for {purpose}"), problem, remedy);
        }
    }

    /// Checks that a key is enabled and that roles of the account may use it. Returns its policy, if it can be read.
    async fn usable_key(&mut self, of: &str, name: &str) -> Option<serde_json::Value> {
        let what = format!("key of {of}");
        let remedy = "enable the key, or name another one";
        let signer = &self.account.signer;
        let key = match Key::find(signer, name).await {
            Ok(Some(key)) => key,
            // Every principal in the account may use AWS's own keys.
            Ok(None) => return None,
            Err(reason) => {
                self.note(what, Verdict::Failed { reason, remedy: remedy.to_owned() });
                return None;
            }
        };
        self.expect(what.clone(), key.problem.clone(), remedy);
        let identity = &self.account.identity;
        let what = format!("{what}: policy");
        if key.account() != identity.account {
            let why = format!("it is in the account {}, whose owner has to allow this account", key.account());
            self.note(what, Verdict::NotChecked(why));
            return None;
        }
        let root = format!("arn:{}:iam::{}:root", identity.partition(), identity.account);
        match key.policy(signer).await {
            Ok(policy) => {
                let problem = (!keys::allows(&policy, &root))
                    .then(|| "it does not let roles use the key by their own policies".to_owned());
                self.expect(what, problem, format!("allow kms:* to {root}, or name the stack's roles"));
                Some(policy)
            }
            Err(reason) => {
                self.note(what, Verdict::NotChecked(format!("KMS does not show it: {reason}")));
                None
            }
        }
    }

    async fn storage(&mut self) {
        self.bucket_of_storage().await;
        self.table_of_storage().await;
    }

    async fn bucket_of_storage(&mut self) {
        let adopted = self.config.storage.as_ref().filter(|_| self.config.stack.storage_bucket == Some(Origin::Adopt));
        let Some(bucket) = adopted.map(|storage| storage.bucket.0.clone()) else { return };
        let head = self.account.s3.head_bucket().bucket(&bucket).send().await;
        let problem = head.err().map(|error| {
            // The answer has no body that says so.
            let is_denied = error.raw_response().is_some_and(|answer| answer.status().as_u16() == 403);
            let reason = if is_denied { FORBIDDEN.to_owned() } else { causes(&error) };
            named(reason, "s3:ListBucket", &self.arn_of_bucket(&bucket))
        });
        let is_there = problem.is_none();
        self.expect(format!("bucket {bucket} of `storage`"), problem, "create it, or remove `storage_bucket: adopt`");
        if !is_there {
            return;
        }
        match keys::of_bucket(self.account, &bucket).await {
            Ok(None) => {}
            Ok(Some(key)) => drop(self.usable_key(&format!("the bucket {bucket}"), &key).await),
            Err(reason) => {
                let reason = named(reason, "s3:GetEncryptionConfiguration", &self.arn_of_bucket(&bucket));
                let remedy = "try again, or remove `storage_bucket: adopt`".to_owned();
                self.note(format!("key of the bucket {bucket}"), Verdict::Failed { reason, remedy });
            }
        }
    }

    /// Checks that the table, if it exists, is one that the storage stack makes: the stack takes over no other.
    async fn table_of_storage(&mut self) {
        let Some(table) = self.config.ledger().map(Storage::table) else { return };
        let what = format!("table {table} of `storage`");
        match self.account.dynamodb.describe_table().table_name(&table).send().await {
            Ok(described) => {
                let problem = described.table().filter(|table| !has_our_keys(table));
                let problem = problem.map(|_| "it has other keys than the launches need".to_owned());
                self.expect(what, problem, "name a table that does not exist yet: `storage: { table: NAME }`");
            }
            Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => {
                self.note(what, Verdict::NotChecked("the stack creates it".to_owned()));
            }
            Err(error) => {
                let remedy = "try again when DynamoDB answers".to_owned();
                self.note(what, Verdict::Failed { reason: causes(&error), remedy });
            }
        }
    }

    /// Checks the clusters, and returns them by the names that the config uses.
    async fn clusters(&mut self) -> BTreeMap<String, Cluster> {
        let of_tasks = self.config.all_tasks().iter().map(Task::cluster);
        let of_workers = self.config.workers.iter().filter_map(|worker| match &worker.runs_as {
            RunsAs::Service { cluster, .. } => Some(cluster.as_deref()),
            RunsAs::Task(_) => None,
        });
        let names: BTreeSet<String> =
            of_tasks.chain(of_workers).map(|name| name.unwrap_or("default").to_owned()).collect();
        let mut clusters = BTreeMap::new();
        for name in names {
            let what = format!("cluster {name}");
            let described = self.account.ecs.describe_clusters().clusters(&name).send().await;
            let remedy = format!("create it: aws ecs create-cluster --cluster-name {name}");
            match described {
                Ok(described) => {
                    let cluster = described.clusters().iter().find(|cluster| cluster.status() == Some("ACTIVE"));
                    let problem = cluster.is_none().then(|| "no active cluster has this name".to_owned());
                    self.expect(what, problem, remedy);
                    clusters.extend(cluster.map(|cluster| (name, cluster.clone())));
                }
                Err(error) => self.note(what, Verdict::Failed { reason: causes(&error), remedy }),
            }
        }
        clusters
    }

    async fn tasks(&mut self, clusters: &BTreeMap<String, Cluster>) {
        let mut definitions: BTreeMap<String, Option<TaskDefinition>> = BTreeMap::new();
        let config = self.config;
        for task in config.all_tasks() {
            let name = task.task_definition().to_owned();
            if !definitions.contains_key(&name) {
                let definition = self.task_definition(&name).await;
                if let Some(definition) = &definition {
                    self.roles(&name, definition).await;
                    self.images(&name, definition).await;
                    self.log_groups(&name, definition).await;
                }
                definitions.insert(name.clone(), definition);
            }
            if let Some(Some(definition)) = definitions.get(&name) {
                self.overridden_roles(task).await;
                self.containers(task, definition);
                self.network(task, definition);
                self.fargate(task, definition);
            }
            if let Some(cluster) = clusters.get(task.cluster().unwrap_or("default")) {
                self.capacity_providers(task, cluster);
            }
        }
    }

    async fn task_definition(&mut self, name: &str) -> Option<TaskDefinition> {
        let what = format!("task definition {name}");
        let remedy = "register it: aws ecs register-task-definition";
        match self.account.ecs.describe_task_definition().task_definition(name).send().await {
            Ok(described) => {
                let definition = described.task_definition().cloned();
                let status =
                    definition.as_ref().and_then(|definition| definition.status()).map(|status| status.as_str());
                let problem =
                    (status != Some("ACTIVE")).then(|| format!("its status is {}", status.unwrap_or("unknown")));
                self.expect(what, problem, remedy);
                definition
            }
            Err(error) => {
                self.note(what, Verdict::Failed { reason: causes(&error), remedy: remedy.to_owned() });
                None
            }
        }
    }

    fn containers(&mut self, task: &Task, definition: &TaskDefinition) {
        let known: Vec<&str> =
            definition.container_definitions().iter().filter_map(|container| container.name()).collect();
        for container in &task.request().overrides.container_overrides {
            let problem = (!known.contains(&container.name.as_str()))
                .then(|| format!("{} has no such container; it has {}", task.task_definition(), known.join(", ")));
            let what = format!("task {}: container {}", task.name, container.name);
            self.expect(what, problem, "name a container of the task definition in `container_overrides`");
        }
    }

    fn network(&mut self, task: &Task, definition: &TaskDefinition) {
        let is_awsvpc = definition.network_mode() == Some(&NetworkMode::Awsvpc);
        let has_network = task.request().network_configuration.is_some();
        let mode = definition.network_mode().map_or("bridge", NetworkMode::as_str);
        let (problem, remedy) = match (is_awsvpc, has_network) {
            (true, false) => (Some("it needs a `network`".to_owned()), "add `network: { subnets: [...] }`"),
            (false, true) => (Some("it takes no `network`".to_owned()), "remove `network`"),
            _ => (None, ""),
        };
        self.expect(format!("task {}: network mode {mode}", task.name), problem, remedy);
    }

    fn fargate(&mut self, task: &Task, definition: &TaskDefinition) {
        if !runs_on_fargate(task) {
            return;
        }
        let is_able = definition.compatibilities().contains(&Compatibility::Fargate)
            || definition.requires_compatibilities().contains(&Compatibility::Fargate);
        let problem = (!is_able).then(|| format!("{} is not compatible with Fargate", task.task_definition()));
        let remedy = "register it with `requiresCompatibilities: [FARGATE]`, or choose another capacity";
        self.expect(format!("task {}: Fargate", task.name), problem, remedy);
        let of_definition = (definition.cpu(), definition.memory());
        let overrides = &task.request().overrides;
        let cpu = overrides.cpu.as_deref().or(of_definition.0).and_then(limits::cpu_units);
        let memory = overrides.memory.as_deref().or(of_definition.1).and_then(limits::memory_mib);
        let Some((cpu, memory)) = cpu.zip(memory) else { return };
        let problem = (!limits::is_fargate_size(cpu, memory)).then(|| "Fargate does not offer this size".to_owned());
        let what = format!("task {}: cpu {cpu} with memory {memory}", task.name);
        self.expect(what, problem, "choose a size from https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html");
    }

    fn capacity_providers(&mut self, task: &Task, cluster: &Cluster) {
        let attached: BTreeSet<&str> = cluster.capacity_providers().iter().map(String::as_str).collect();
        let wanted: BTreeSet<&str> = strategies(task).map(|item| item.capacity_provider.as_str()).collect();
        for provider in wanted {
            let name = cluster.cluster_name().unwrap_or_default();
            let problem = (!attached.contains(provider)).then(|| format!("it is not attached to the cluster {name}"));
            let remedy = format!("attach it: aws ecs put-cluster-capacity-providers --cluster {name}");
            self.expect(format!("task {}: capacity provider {provider}", task.name), problem, remedy);
        }
    }

    async fn roles(&mut self, definition_name: &str, definition: &TaskDefinition) {
        let roles = [("task role", definition.task_role_arn()), ("execution role", definition.execution_role_arn())];
        self.passable(definition_name, roles).await;
    }

    async fn overridden_roles(&mut self, task: &Task) {
        let overrides = &task.request().overrides;
        let roles = [("task role", &overrides.task_role_arn), ("execution role", &overrides.execution_role_arn)];
        self.passable(&format!("task {}", task.name), roles.map(|(which, arn)| (which, arn.as_deref()))).await;
    }

    async fn passable(&mut self, of: &str, roles: [(&str, Option<&str>); 2]) {
        for (which, arn) in
            roles.into_iter().filter_map(|(which, arn)| Some((which, arn.filter(|arn| !arn.is_empty())?)))
        {
            let name = arn.rsplit('/').next().unwrap_or(arn);
            let what = format!("{which} {name} of {of}");
            let remedy = "allow sts:AssumeRole to ecs-tasks.amazonaws.com in its trust policy".to_owned();
            match self.account.iam.get_role().role_name(name).send().await {
                Ok(got) => {
                    let trust = got.role().and_then(|role| role.assume_role_policy_document()).unwrap_or_default();
                    // The document is URL-encoded, which leaves the service's name as it is.
                    let problem =
                        (!trust.contains("ecs-tasks.amazonaws.com")).then(|| "ECS tasks cannot assume it".to_owned());
                    self.expect(what, problem, remedy);
                }
                Err(error) => self.note(what, Verdict::Failed { reason: causes(&error), remedy }),
            }
        }
    }

    async fn images(&mut self, name: &str, definition: &TaskDefinition) {
        for container in definition.container_definitions() {
            let Some(image) = container.image() else { continue };
            let what = format!("image {image} of {name}");
            let own = &self.account.identity.region;
            let in_ecr = EcrImage::parse(image);
            if let Some(region) = in_ecr.as_ref().map(|image| image.region).filter(|region| region != own) {
                self.note(what, Verdict::NotChecked(format!("it is in the Region {region}")));
                continue;
            }
            let Some(EcrImage { account, repository, tag, digest, .. }) = in_ecr else {
                self.note(what, Verdict::NotChecked("it is not in a private ECR repository".to_owned()));
                continue;
            };
            let id = aws_sdk_ecr::types::ImageIdentifier::builder().set_image_tag(tag).set_image_digest(digest).build();
            let describe = self.account.ecr.describe_images().registry_id(account).repository_name(repository);
            let found = describe.image_ids(id).send().await;
            let problem = match found {
                Ok(found) if found.image_details().is_empty() => Some("the repository has no such image".to_owned()),
                Ok(_) => None,
                Err(error) => Some(causes(&error)),
            };
            self.expect(what, problem, "push it with `docker push`");
        }
    }

    async fn log_groups(&mut self, name: &str, definition: &TaskDefinition) {
        let groups: BTreeSet<&str> = definition.container_definitions().iter().filter_map(log_group).collect();
        for group in groups {
            let found = self.account.logs.describe_log_groups().log_group_name_prefix(group).send().await;
            let problem = match found {
                Ok(found) if found.log_groups().iter().any(|known| known.log_group_name() == Some(group)) => None,
                Ok(_) => Some("it does not exist, so the tasks would not start".to_owned()),
                Err(error) => Some(causes(&error)),
            };
            self.expect(
                format!("log group {group} of {name}"),
                problem,
                format!("create it: aws logs create-log-group --log-group-name {group}"),
            );
        }
    }

    /// Checks that the subnets and security groups of each task exist and belong to one VPC.
    async fn networks(&mut self) {
        let config = self.config;
        let mut seen: Vec<&AwsvpcConfiguration> = Vec::new();
        for task in config.all_tasks() {
            for network in networks(task) {
                if seen.contains(&network) {
                    continue;
                }
                seen.push(network);
                let subnets: Vec<&str> = network.subnets.iter().map(String::as_str).collect();
                let groups: Vec<&str> = network.security_groups.iter().flatten().map(String::as_str).collect();
                let what =
                    format!("task {}: subnets {} in one VPC", task.name, [&subnets[..], &groups].concat().join(", "));
                let problem = self.apart(&subnets, &groups).await.err();
                self.expect(what, problem, "name subnets and security groups of one VPC, in this account and Region");
            }
        }
    }

    /// Checks that the functions' subnets and security groups belong to one VPC, and says which services have no endpoint
    /// there.
    async fn vpc(&mut self) {
        let config = self.config;
        let Some(vpc) = &config.stack.vpc else { return };
        let subnets: Vec<&str> = vpc.subnets.iter().map(|id| id.as_str()).collect();
        let groups: Vec<&str> = vpc.security_groups.iter().map(|id| id.as_str()).collect();
        let what = format!("functions: subnets {} in one VPC", [&subnets[..], &groups].concat().join(", "));
        let remedy = "name subnets and security groups of one VPC, in this account and Region";
        let found = self.apart(&subnets, &groups).await;
        self.expect(what, found.as_ref().err().cloned(), remedy);
        let Ok(Some(id)) = found else { return };
        let what = format!("functions: a way from {id} to AWS's services");
        let endpoints = ec2::endpoints(&self.account.signer, &id).await;
        let lacking: Vec<&str> = match &endpoints {
            Ok(there) => infra::endpoints(config).into_iter().filter(|service| !there.contains(*service)).collect(),
            Err(reason) => return self.note(what, Verdict::NotChecked(format!("EC2 does not say: {reason}"))),
        };
        self.note(
            what,
            match lacking.as_slice() {
                [] => Verdict::Passed,
                lacking => Verdict::NotChecked(format!(
                    "the VPC has no endpoint for {}: the subnets need a route to a NAT gateway",
                    lacking.join(", ")
                )),
            },
        );
    }

    /// Returns the VPC. Fails unless all of these exist and belong to one VPC.
    async fn apart(&self, subnets: &[&str], groups: &[&str]) -> Result<Option<String>, String> {
        let mut vpcs = BTreeMap::new();
        for (kind, ids) in [(Kind::Subnets, subnets), (Kind::SecurityGroups, groups)] {
            if ids.is_empty() {
                continue;
            }
            let found = ec2::vpcs(&self.account.signer, kind, ids).await?;
            if let Some(missing) = ids.iter().find(|id| !found.contains_key(**id)) {
                return Err(format!("{missing} does not exist"));
            }
            vpcs.extend(found.into_iter().filter(|(id, _)| ids.contains(&id.as_str())));
        }
        let distinct: BTreeSet<&String> = vpcs.values().collect();
        match distinct.len() {
            0 | 1 => Ok(distinct.first().map(|vpc| (*vpc).clone())),
            _ => Err(vpcs.iter().map(|(id, vpc)| format!("{id} is in {vpc}")).collect::<Vec<_>>().join(", ")),
        }
    }

    async fn services(&mut self) {
        let config = self.config;
        for worker in &config.workers {
            let RunsAs::Service { cluster, service } = &worker.runs_as else { continue };
            let describe = self.account.ecs.describe_services().set_cluster(cluster.clone()).services(service);
            let problem = match describe.send().await {
                Ok(described) if described.services().iter().any(|known| known.status() == Some("ACTIVE")) => None,
                Ok(_) => Some("no active service has this name".to_owned()),
                Err(error) => Some(causes(&error)),
            };
            self.expect(
                format!("service {service} of worker {}", worker.name),
                problem,
                "create it; its desired count may be 0",
            );
        }
    }

    async fn queues(&mut self) {
        let config = self.config;
        if let Some(region) = config.stack.alarm_topic_region() {
            self.region("topic of `alarm_topic`".to_owned(), region);
        }
        let of_routes = config.queues().into_iter().map(|queue| (queue, true));
        let of_workers = config.worker_queues().into_iter().map(|queue| (queue, false));
        for (queue, is_of_route) in of_routes.chain(of_workers) {
            if config.stack.queue(queue).is_created {
                self.note(format!("queue {}", queue.name), Verdict::NotChecked("the stack creates it".to_owned()));
            } else {
                self.queue(queue, is_of_route).await;
            }
        }
    }

    async fn queue(&mut self, queue: &Queue, is_of_route: bool) {
        let name = &queue.name;
        if let Some(region) = queue.region.as_deref().filter(|_| is_of_route) {
            self.region(format!("queue {name}"), region);
        }
        let get =
            self.account.sqs.get_queue_url().queue_name(name).set_queue_owner_aws_account_id(queue.account.clone());
        let url = match get.send().await {
            Ok(got) => got.queue_url().unwrap_or_default().to_owned(),
            Err(error) => {
                let remedy = format!(
                    "create it, or let the stack create it: `stack: {{ queues: {{ {name}: {{ queue: create }} }} }}`"
                );
                self.note(format!("queue {name}"), Verdict::Failed { reason: causes(&error), remedy });
                return;
            }
        };
        let (visibility, redrive) = (QueueAttributeName::VisibilityTimeout, QueueAttributeName::RedrivePolicy);
        let get = self.account.sqs.get_queue_attributes().queue_url(&url);
        let get = get.attribute_names(QueueAttributeName::KmsMasterKeyId);
        let attributes = match get.attribute_names(visibility.clone()).attribute_names(redrive.clone()).send().await {
            Ok(got) => got.attributes.unwrap_or_default(),
            Err(error) => {
                let remedy = "try again when SQS answers".to_owned();
                self.note(format!("queue {name}"), Verdict::Failed { reason: causes(&error), remedy });
                return;
            }
        };
        if let Some(key) = attributes.get(&QueueAttributeName::KmsMasterKeyId).filter(|_| is_of_route) {
            self.usable_key(&format!("the queue {name}"), key).await;
        }
        let wanted = self.config.stack.queue(queue);
        let redrive: Option<serde_json::Value> =
            attributes.get(&redrive).and_then(|text| serde_json::from_str(text).ok());
        // Some write the number as a string.
        let count = |redrive: &serde_json::Value| {
            let count = &redrive["maxReceiveCount"];
            count.as_u64().or_else(|| count.as_str()?.parse().ok())
        };
        let receives = redrive.as_ref().and_then(count);
        let least = if is_of_route { RECEIVES_MIN } else { 1 };
        let problem = match receives {
            None => Some(
                "it has no dead-letter queue, so a message that never succeeds is received again and again".to_owned(),
            ),
            Some(receives) if receives < u64::from(least) => Some(format!(
                "its maxReceiveCount is {receives}, so messages are dead-lettered while Lambda is throttled"
            )),
            Some(_) => None,
        };
        let remedy = format!("set its RedrivePolicy with a maxReceiveCount of at least {least}");
        self.expect(format!("queue {name}: dead-letter queue"), problem, remedy);
        if is_of_route {
            let visible: u64 = attributes.get(&visibility).and_then(|text| text.parse().ok()).unwrap_or(0);
            let least = visibility_timeout_min(wanted.batch_window);
            let problem = (visible < u64::from(least)).then(|| {
                format!(
                    "its visibility timeout is {visible} s, less than six times the function's timeout plus the batch \
                     window"
                )
            });
            let remedy = format!("set its VisibilityTimeout to at least {least}");
            self.expect(format!("queue {name}: visibility timeout"), problem, remedy);
        }
    }

    /// Checks whether the deployed stack was changed outside of deployments.
    async fn drift(&mut self) {
        let (name, owner) = (self.config.stack.name().to_owned(), Owner::of_functions(self.config));
        let what = format!("stack {name}: as it was deployed");
        let stack = match existing(self.account, &name, &owner).await {
            Ok(Some(stack)) if !stack.is_leftover() => stack,
            Ok(_) => return self.note(what, Verdict::NotChecked("it is not deployed".to_owned())),
            Err(failed) => {
                let remedy = "see what the message says".to_owned();
                return self.note(what, Verdict::Failed { reason: failed.to_string(), remedy });
            }
        };
        let drifted = drifted(self.account, &stack).await;
        if drifted.found.is_empty() && drifted.unread.is_empty() {
            self.note(what, Verdict::Passed);
        }
        for (Drift { id, kind, path, deployed, actual }, remedy) in drifted.found {
            let reason = format!("it is {actual}, but {deployed} was deployed, and `deploy` does not set it back");
            self.note(format!("{kind} {id}: {path}"), Verdict::Failed { reason, remedy });
        }
        for (resource, reason) in drifted.unread {
            self.note(resource, Verdict::NotChecked(format!("it cannot be read: {reason}")));
        }
    }

    /// Checks that something is in the Region of the stack: Lambda receives messages only from queues of its own Region, and
    /// alarms notify only topics of theirs.
    fn region(&mut self, what: String, region: &str) {
        let own = self.account.identity.region.as_str();
        let problem = (own != region).then(|| format!("it is in {region}, but the stack is in {own}"));
        self.expect(format!("{what}: Region"), problem, "name one of the stack's Region, or pass --region");
    }

    fn arn_of_bucket(&self, bucket: &str) -> String {
        format!("arn:{}:s3:::{bucket}", self.account.identity.partition())
    }

    async fn buckets(&mut self, enable: bool) {
        let config = self.config;
        for bucket in config.buckets() {
            let what = format!("bucket {bucket}: EventBridge");
            let remedy = "turn it on: ecs-trigger verify --enable-eventbridge".to_owned();
            let got = self.account.s3.get_bucket_notification_configuration().bucket(bucket).send().await;
            let there = match got {
                Ok(there) => there,
                Err(error) => {
                    let reason = named(causes(&error), "s3:GetBucketNotification", &self.arn_of_bucket(bucket));
                    self.note(what, Verdict::Failed { reason, remedy: "create the bucket".to_owned() });
                    continue;
                }
            };
            if there.event_bridge_configuration().is_some() {
                self.note(what, Verdict::Passed);
                continue;
            }
            if !enable {
                let reason = "it is off, so the bucket's events do not arrive".to_owned();
                self.note(what, Verdict::Failed { reason, remedy });
                continue;
            }
            let with = NotificationConfiguration::builder()
                .set_topic_configurations(there.topic_configurations)
                .set_queue_configurations(there.queue_configurations)
                .set_lambda_function_configurations(there.lambda_function_configurations)
                .event_bridge_configuration(EventBridgeConfiguration::builder().build())
                .build();
            let put = self.account.s3.put_bucket_notification_configuration().bucket(bucket);
            let problem = put.notification_configuration(with).send().await.err();
            let problem =
                problem.map(|error| named(causes(&error), "s3:PutBucketNotification", &self.arn_of_bucket(bucket)));
            self.expect(what, problem, "turn it on in the bucket's properties");
        }
    }
}

/// Returns whether a table and its indexes have the keys of the launches.
fn has_our_keys(table: &TableDescription) -> bool {
    let names = |keys: &[KeySchemaElement]| keys.iter().map(|key| key.attribute_name().to_owned()).collect::<Vec<_>>();
    let is_there = |index: Index| {
        let is_it = |there: &GlobalSecondaryIndexDescription| {
            there.index_name() == Some(index.name()) && names(there.key_schema()) == index.key()
        };
        table.global_secondary_indexes().iter().any(is_it)
    };
    names(table.key_schema()) == TABLE_KEY && Index::ALL.into_iter().all(is_there)
}

/// Returns every network that a launch of the task may use.
fn networks(task: &Task) -> impl Iterator<Item = &AwsvpcConfiguration> {
    let of_ladder = task.capacity.iter().map(|rung| &rung.network_configuration);
    let all = [&task.request().network_configuration].into_iter().chain(of_ladder);
    all.flatten().map(|network| &network.awsvpc_configuration)
}

/// Returns every capacity provider that a launch of the task may use.
fn strategies(task: &Task) -> impl Iterator<Item = &CapacityProviderStrategyItem> {
    let of_ladder = task.capacity.iter().flat_map(|rung| &rung.capacity_provider_strategy);
    task.request().capacity_provider_strategy.iter().chain(of_ladder)
}

fn runs_on_fargate(task: &Task) -> bool {
    let launch_types = task.capacity.iter().map(|rung| rung.launch_type).chain([task.request().launch_type]);
    launch_types.into_iter().any(|kind| kind == Some(LaunchType::Fargate))
        || strategies(task).any(|item| item.capacity_provider.starts_with("FARGATE"))
}

/// Returns the log group that must exist when the container starts.
fn log_group(container: &ContainerDefinition) -> Option<&str> {
    let logs = container.log_configuration().filter(|logs| logs.log_driver() == &LogDriver::Awslogs)?;
    let options = logs.options()?;
    let is_made = options.get("awslogs-create-group").is_some_and(|made| made == "true");
    options.get("awslogs-group").filter(|_| !is_made).map(String::as_str)
}

/// An image in a private ECR repository.
/// Source: <https://docs.aws.amazon.com/AmazonECR/latest/userguide/docker-pull-ecr-image.html>
struct EcrImage<'a> {
    account: &'a str,
    region: &'a str,
    repository: &'a str,
    tag: Option<String>,
    digest: Option<String>,
}

impl<'a> EcrImage<'a> {
    fn parse(image: &'a str) -> Option<Self> {
        let (host, path) = image.split_once('/')?;
        let (account, rest) = host.split_once('.')?;
        let region = rest.strip_prefix("dkr.ecr.")?.split('.').next()?;
        if account.len() != 12 {
            return None;
        }
        if let Some((repository, digest)) = path.split_once('@') {
            let repository = repository.split(':').next().unwrap_or(repository);
            return Some(Self { account, region, repository, tag: None, digest: Some(digest.to_owned()) });
        }
        let (repository, tag) = path.split_once(':').unwrap_or((path, "latest"));
        Some(Self { account, region, repository, tag: Some(tag.to_owned()), digest: None })
    }
}

#[cfg(test)]
mod tests {
    use super::EcrImage;

    fn check(image: &str, expect: Option<(&str, &str, Option<&str>, Option<&str>)>) {
        let found = EcrImage::parse(image);
        let found = found
            .as_ref()
            .map(|image| (image.account, image.repository, image.tag.as_deref(), image.digest.as_deref()));
        assert_eq!(found, expect, "{image}");
    }

    #[test]
    fn images_in_ecr_are_told_from_others() {
        const HOST: &str = "111122223333.dkr.ecr.eu-west-1.amazonaws.com";
        check(&format!("{HOST}/team/app:1.2"), Some(("111122223333", "team/app", Some("1.2"), None)));
        check(&format!("{HOST}/app"), Some(("111122223333", "app", Some("latest"), None)));
        check(&format!("{HOST}/app@sha256:ab"), Some(("111122223333", "app", None, Some("sha256:ab"))));
        check(&format!("{HOST}/app:1@sha256:ab"), Some(("111122223333", "app", None, Some("sha256:ab"))));
        check("public.ecr.aws/nginx/nginx:1", None);
        check("nginx", None);
    }
}
