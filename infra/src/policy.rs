//! Least privilege: what each function may do, and nothing else.
//!
//! Each statement lists its actions in full and its resources by name. Where AWS accepts only `*` as the resource, the
//! statement has the reason, which the template shows in the role's metadata.
//! Source: <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use trigger_core::config::stack::Origin;
use trigger_core::ecs::TaskRequest;
use trigger_core::event::Queue;
use trigger_core::routing::{RoutingConfig, RunsAs, Task};
use trigger_core::storage::{DUE_SHARDS, Index, ItemKind, Storage, due_list};

use trigger_core::scaling::LEASE_NAME;

use crate::function::{Function, functions};
use crate::names::{
    ADOPTED_KEYS_PARAMETER, BUCKET_PARAMETER, HAS_ADOPTED_KEYS, config_key, identifier, queue_arn, table_arn,
};
use crate::queues::WORK_ID;
use crate::template::{arn, attribute, iam_arn, reference, sub};

/// The roles of task definitions, by task definition as the config writes it.
pub type TaskRoles = BTreeMap<String, BTreeSet<String>>;

/// What only an account knows of the resources that a config names, as far as permissions depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfAccount {
    /// The roles of the task definitions.
    pub roles: TaskRoles,
    /// The ARNs of the customers' KMS keys of the adopted queues that routes are on.
    pub queue_keys: BTreeSet<String>,
    /// The ARN of the customer's KMS key of an adopted bucket.
    pub bucket_key: Option<String>,
}

/// A statement of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The statement's name within the policy.
    pub sid: String,
    /// `Allow` or `Deny`.
    pub effect: &'static str,
    /// The actions, without wildcards.
    pub actions: Vec<&'static str>,
    pub(crate) resources: Vec<Value>,
    conditions: Option<Value>,
    /// Why the resource is `*`, if it is.
    pub reason: Option<&'static str>,
    /// The template's condition under which the statement applies.
    only_if: Option<String>,
}

impl Statement {
    pub(crate) fn new(sid: &str, actions: &[&'static str], resources: Vec<Value>) -> Self {
        let sid = sid.to_owned();
        let (effect, actions) = ("Allow", actions.to_vec());
        Self { sid, effect, actions, resources, conditions: None, reason: None, only_if: None }
    }

    /// Returns a statement on all resources, for actions that have no narrower resource.
    fn on_everything(sid: &str, actions: &[&'static str], reason: &'static str) -> Self {
        Self { reason: Some(reason), ..Self::new(sid, actions, vec!["*".into()]) }
    }

    /// Returns the same statement on other resources.
    pub(crate) fn on(&self, resources: Vec<Value>) -> Self {
        Self { resources, ..self.clone() }
    }

    fn under(self, conditions: Value) -> Self {
        Self { conditions: Some(conditions), ..self }
    }

    pub(crate) fn to_json(&self) -> Value {
        let one_or_many = |values: &[Value]| match values {
            [one] => one.clone(),
            many => json!(many),
        };
        let actions: Vec<Value> = self.actions.iter().map(|action| (*action).into()).collect();
        let mut statement = json!({
            "Sid": self.sid,
            "Effect": self.effect,
            "Action": one_or_many(&actions),
            "Resource": one_or_many(&self.resources),
        });
        if let Some(conditions) = &self.conditions {
            statement["Condition"] = conditions.clone();
        }
        match &self.only_if {
            Some(condition) => json!({ "Fn::If": [condition, statement, reference("AWS::NoValue")] }),
            None => statement,
        }
    }
}

/// Returns what a function may do. What only an account knows is taken from parameters, if it is not given.
pub fn statements(config: &RoutingConfig, function: Function, known: Option<&OfAccount>) -> Vec<Statement> {
    let mut statements =
        vec![Statement::new("ReadConfig", &["s3:GetObject"], vec![objects(&config_key("${AWS::StackName}", "*"))])];
    let tasks = function.tasks(config);
    statements.extend(launch(function, &tasks, known.map(|known| &known.roles)));
    if function.keeps_launches() {
        if let Some(storage) = config.ledger() {
            statements.extend(keep_launches(storage, function));
            statements.extend(follow_tasks(&tasks));
        }
        statements.extend(payloads(config));
    } else {
        statements.extend(scale(config));
    }
    if function == Function::SqsTrigger {
        let queues = config.queues().into_iter().map(|queue| queue_arn(config, queue)).collect();
        statements.push(Statement::new("TakeMessages", &TAKE, queues));
    }
    if function.keeps_launches() {
        statements.push(Statement::new("DeadLetter", &["sqs:SendMessage"], vec![attribute("DeadLetters", "Arn")]));
    }
    if config.stack.vpc.is_some() {
        statements.extend(use_network_interfaces(function));
    }
    statements.extend(use_key(config));
    statements.extend(use_adopted_keys(config, function, known));
    if config.stack.tracing == Some(true) {
        let send = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"];
        statements.push(Statement::on_everything("Trace", &send, "X-Ray defines no resources for sending traces"));
    }
    // IAM refuses a statement without resources.
    statements.retain(|statement| !statement.resources.is_empty());
    statements
}

/// Allows starting tasks: only these task definitions, only in their clusters, passing only their roles.
fn launch(function: Function, tasks: &[&Task], roles: Option<&TaskRoles>) -> Vec<Statement> {
    let mut by_cluster: BTreeMap<Option<&str>, BTreeSet<&str>> = BTreeMap::new();
    for task in tasks {
        by_cluster.entry(task.cluster()).or_default().insert(task.task_definition());
    }
    let mut statements = Vec::new();
    for (cluster, families) in &by_cluster {
        let run = Statement::new(
            &format!("RunTasksIn{}", identifier(cluster.unwrap_or("default"))),
            &["ecs:RunTask"],
            families.iter().map(|family| task_definition_arn(family)).collect(),
        );
        statements.push(run.under(json!({ "ArnEquals": { "ecs:cluster": cluster_arn(*cluster) } })));
    }
    let is_tagged = |request: &TaskRequest| {
        !request.tags.is_empty() || request.propagate_tags.is_some() || request.enable_ecs_managed_tags == Some(true)
    };
    let tagged = tasks.iter().filter(|task| is_tagged(task.request()));
    let tagged: BTreeSet<Option<&str>> = tagged.map(|task| task.cluster()).collect();
    if !tagged.is_empty() {
        let tag = Statement::new("TagNewTasks", &["ecs:TagResource"], tagged.into_iter().map(tasks_of).collect());
        statements.push(tag.under(json!({ "StringEquals": { "ecs:CreateAction": "RunTask" } })));
    }
    if let Some(roles) = roles {
        let of_tasks = tasks.iter().filter_map(|task| roles.get(task.task_definition())).flatten();
        let arns = of_tasks.map(String::as_str).collect::<BTreeSet<_>>().into_iter().map(Value::from).collect();
        statements.push(pass_roles("PassTaskRoles", arns, "ecs-tasks.amazonaws.com"));
    } else if !tasks.is_empty() {
        let pass = pass_roles("PassTaskRoles", vec![reference(&function.roles_parameter())], "ecs-tasks.amazonaws.com");
        statements.push(Statement { only_if: Some(function.has_roles()), ..pass });
    }
    let overridden: BTreeSet<&str> = tasks
        .iter()
        .flat_map(|task| [&task.request().overrides.task_role_arn, &task.request().overrides.execution_role_arn])
        .filter_map(Option::as_deref)
        .collect();
    if !overridden.is_empty() {
        let roles = overridden.into_iter().map(|role| iam_arn("role", role)).collect();
        statements.push(pass_roles("PassOverriddenRoles", roles, "ecs-tasks.amazonaws.com"));
    }
    let volumes = tasks.iter().flat_map(|task| &task.request().volume_configurations);
    let of_volumes: BTreeSet<&str> = volumes
        .filter_map(|volume| volume.managed_ebs_volume.as_ref())
        .map(|volume| volume.role_arn.as_str())
        .collect();
    if !of_volumes.is_empty() {
        let roles = of_volumes.into_iter().map(|role| iam_arn("role", role)).collect();
        statements.push(pass_roles("PassVolumeRoles", roles, "ecs.amazonaws.com"));
    }
    statements
}

fn pass_roles(sid: &str, roles: Vec<Value>, service: &str) -> Statement {
    let pass = Statement::new(sid, &["iam:PassRole"], roles);
    pass.under(json!({ "StringEquals": { "iam:PassedToService": service } }))
}

/// What an event source mapping does by its function's role.
const TAKE: [&str; 3] = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];

/// Allows recording launches, and continuing them by the work queue. No function reads what was launched earlier, so
/// none may query another index, or the failed launches.
///
/// The actions of a transaction are allowed one by one, as if each were a call of its own. The partition keys are all
/// the keys of a call.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html>
fn keep_launches(storage: &Storage, function: Function) -> Vec<Statement> {
    let keep =
        ["dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"];
    let keys = ItemKind::ALL.map(|kind| format!("{}*", kind.prefix()));
    let work = || vec![attribute(WORK_ID, "Arn")];
    let mut statements = vec![
        Statement::new("KeepLaunches", &keep, vec![table_arn(storage, "")])
            .under(json!({ "ForAllValues:StringLike": { "dynamodb:LeadingKeys": keys } })),
        Statement::new("AddWork", &["sqs:SendMessage"], work()),
    ];
    if function == Function::TaskLifecycle {
        let index = table_arn(storage, &format!("/index/{}", Index::Time.name()));
        let lists: Vec<String> = (0..DUE_SHARDS).map(due_list).collect();
        let find = Statement::new("FindDueLaunches", &["dynamodb:Query"], vec![index]);
        statements.push(find.under(json!({ "ForAllValues:StringEquals": { "dynamodb:LeadingKeys": lists } })));
        statements.push(Statement::new("TakeWork", &TAKE, work()));
    }
    statements
}

/// Allows watching and stopping the tasks of recorded launches.
fn follow_tasks(tasks: &[&Task]) -> Vec<Statement> {
    let clusters: BTreeSet<Option<&str>> = tasks.iter().map(|task| task.cluster()).collect();
    let see = Statement::new(
        "SeeAndStopTasks",
        &["ecs:DescribeTasks", "ecs:StopTask"],
        clusters.iter().map(|cluster| tasks_of(*cluster)).collect(),
    );
    std::iter::once(see.under(in_clusters(&clusters))).chain(list_tasks(&clusters)).collect()
}

/// Allows Lambda to give the function a place in a VPC. It does so with the function's role, so the function's own code is
/// denied the same.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-best-practice>
fn use_network_interfaces(function: Function) -> [Statement; 2] {
    const ACTIONS: [&str; 6] = [
        "ec2:CreateNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:DeleteNetworkInterface",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
    ];
    let itself = arn("lambda", &format!("function:${{AWS::StackName}}-{}", function.name()));
    let why = "network interfaces get their ids when Lambda creates them, and EC2 describes them only on all resources";
    let denied = "the function's code may do this on no resource";
    let deny = Statement { effect: "Deny", ..Statement::on_everything("NoInterfacesByCode", &ACTIONS, denied) };
    [
        Statement::on_everything("UseNetworkInterfaces", &ACTIONS, why),
        deny.under(json!({ "ArnEquals": { "lambda:SourceFunctionArn": itself } })),
    ]
}

/// Returns the services that the functions of a config call, as their endpoints in a VPC are named.
pub fn endpoints(config: &RoutingConfig) -> Vec<&'static str> {
    let functions = functions(config);
    let is_there = |function: Function| functions.contains(&function);
    let starts_tasks = functions.iter().any(|function| !function.tasks(config).is_empty());
    let all = [
        ("s3", true),
        ("sqs", functions.iter().any(|function| function.keeps_launches()) || is_there(Function::QueueScaler)),
        ("dynamodb", config.ledger().is_some()),
        ("ecs", starts_tasks || is_there(Function::QueueScaler) || is_there(Function::TaskLifecycle)),
        ("monitoring", is_there(Function::QueueScaler)),
    ];
    all.into_iter().filter(|(_, is_called)| *is_called).map(|(service, _)| service).collect()
}

/// What it takes to read what a key encrypts.
const DECRYPT: &str = "kms:Decrypt";
/// What it takes, beside [`DECRYPT`], to write what a key encrypts: an object, or a message.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html>,
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html>
const GENERATE: &str = "kms:GenerateDataKey";

/// Allows using the stack's own key. All functions and the schedules read and write what it encrypts.
pub(crate) fn use_key(config: &RoutingConfig) -> Option<Statement> {
    let key = config.stack.kms_key.as_ref()?;
    Some(Statement::new("UseKey", &[DECRYPT, GENERATE], vec![key.value.as_str().into()]))
}

/// Returns whether a function uses keys of what the config adopts: those of queues, and that of the bucket.
fn uses_adopted_keys(config: &RoutingConfig, function: Function) -> (bool, bool) {
    let is_adopted = |queue: &&Queue| !config.stack.queue(queue).is_created;
    let of_queues = function == Function::SqsTrigger && config.queues().iter().any(is_adopted);
    (of_queues, config.stack.storage_bucket == Some(Origin::Adopt))
}

/// Returns whether a template without an account needs the parameter with the keys of what the config adopts.
pub(crate) fn may_need_adopted_keys(config: &RoutingConfig, functions: &[Function]) -> bool {
    functions.iter().any(|function| uses_adopted_keys(config, *function) != (false, false))
}

/// Allows using the keys of adopted queues and of an adopted bucket.
fn use_adopted_keys(config: &RoutingConfig, function: Function, known: Option<&OfAccount>) -> Vec<Statement> {
    let (of_queues, of_bucket) = uses_adopted_keys(config, function);
    let Some(known) = known else {
        let actions = if of_bucket { &[DECRYPT, GENERATE][..] } else { &[DECRYPT] };
        let use_keys = Statement::new("UseAdoptedKeys", actions, vec![reference(ADOPTED_KEYS_PARAMETER)]);
        let only_if = Some(HAS_ADOPTED_KEYS.to_owned());
        return Vec::from_iter((of_queues || of_bucket).then_some(Statement { only_if, ..use_keys }));
    };
    let queue_keys = known.queue_keys.iter().filter(|_| of_queues).map(|key| key.as_str().into()).collect();
    let bucket_key = known.bucket_key.iter().filter(|_| of_bucket).map(|key| key.as_str().into()).collect();
    vec![
        Statement::new("UseKeysOfQueues", &[DECRYPT], queue_keys),
        Statement::new("UseKeyOfBucket", &[DECRYPT, GENERATE], bucket_key),
    ]
}

/// Allows storing events in S3 that are too large for the overrides, for a copy in the record of each launch, or for a
/// dead letter. A launch that is rendered anew reads its event there.
fn payloads(config: &RoutingConfig) -> Option<Statement> {
    let folder = config.storage.as_ref()?.payload_folder();
    Some(Statement::new("KeepPayloads", &["s3:GetObject", "s3:PutObject"], vec![objects(&format!("{folder}*"))]))
}

/// Allows reading queues and workers, and setting the number of workers.
fn scale(config: &RoutingConfig) -> Vec<Statement> {
    let queues: Vec<Queue> = config.workers.iter().flat_map(|worker| worker.queues.clone()).collect();
    let mut arns: Vec<Value> = Vec::new();
    for arn in queues.iter().map(|queue| queue_arn(config, queue)) {
        if !arns.contains(&arn) {
            arns.push(arn);
        }
    }
    let lease = objects(&config_key("${AWS::StackName}", LEASE_NAME));
    let mut statements = vec![
        Statement::new("KeepLease", &["s3:PutObject"], vec![lease]),
        Statement::new("SeeQueues", &["sqs:GetQueueAttributes", "sqs:GetQueueUrl"], arns),
        Statement::on_everything(
            "SeeMetrics",
            &["cloudwatch:GetMetricData"],
            "CloudWatch defines no resources for reading metrics",
        ),
    ];
    let mut clusters: BTreeSet<Option<&str>> = BTreeSet::new();
    let (mut services, mut of_services) = (Vec::new(), BTreeSet::new());
    for worker in &config.workers {
        match &worker.runs_as {
            RunsAs::Service { cluster, service } => {
                clusters.insert(cluster.as_deref());
                of_services.insert(cluster.as_deref());
                let service = service_arn(cluster.as_deref(), service);
                if !services.contains(&service) {
                    services.push(service);
                }
            }
            RunsAs::Task(_) => clusters.extend(config.task_of_worker(worker).map(Task::cluster)),
        }
    }
    if !services.is_empty() {
        let condition = in_clusters(&of_services);
        let scale = Statement::new("ScaleServices", &["ecs:DescribeServices", "ecs:UpdateService"], services);
        let protection = of_services.iter().map(|cluster| tasks_of(*cluster)).collect();
        statements.push(scale.under(condition.clone()));
        statements.push(Statement::new("SeeProtection", &["ecs:GetTaskProtection"], protection).under(condition));
    }
    let see =
        Statement::new("SeeTasks", &["ecs:DescribeTasks"], clusters.iter().map(|cluster| tasks_of(*cluster)).collect());
    statements.push(see.under(in_clusters(&clusters)));
    statements.extend(list_tasks(&clusters));
    statements
}

fn list_tasks(clusters: &BTreeSet<Option<&str>>) -> Option<Statement> {
    let list = Statement::on_everything(
        "ListTasks",
        &["ecs:ListTasks"],
        "ecs:ListTasks is authorized on container instances, which Fargate lacks; the condition names the clusters",
    );
    (!clusters.is_empty()).then(|| list.under(in_clusters(clusters)))
}

fn in_clusters(clusters: &BTreeSet<Option<&str>>) -> Value {
    let arns: Vec<Value> = clusters.iter().map(|cluster| cluster_arn(*cluster)).collect();
    json!({ "ArnEquals": { "ecs:cluster": if let [one] = arns.as_slice() { one.clone() } else { json!(arns) } } })
}

fn cluster_arn(cluster: Option<&str>) -> Value {
    match cluster.unwrap_or("default") {
        known if known.starts_with("arn:") => known.into(),
        name => arn("ecs", &format!("cluster/{name}")),
    }
}

/// Returns a pattern for all tasks of a cluster: their ids are known only once they run.
fn tasks_of(cluster: Option<&str>) -> Value {
    match cluster.unwrap_or("default") {
        known if known.starts_with("arn:") => format!("{}/*", known.replacen(":cluster/", ":task/", 1)).into(),
        name => arn("ecs", &format!("task/{name}/*")),
    }
}

fn service_arn(cluster: Option<&str>, service: &str) -> Value {
    match (service, cluster.unwrap_or("default")) {
        (arn, _) if arn.starts_with("arn:") => arn.into(),
        (name, cluster) if cluster.starts_with("arn:") => {
            format!("{}/{name}", cluster.replacen(":cluster/", ":service/", 1)).into()
        }
        (name, cluster) => arn("ecs", &format!("service/{cluster}/{name}")),
    }
}

/// Returns the ARN of the named revision, or a pattern for every revision of a family: ECS authorizes a family without
/// a revision as its latest revision.
fn task_definition_arn(definition: &str) -> Value {
    let named = definition.rsplit('/').next().unwrap_or(definition);
    let revision = if named.contains(':') { "" } else { ":*" };
    match definition.starts_with("arn:") {
        true => format!("{definition}{revision}").into(),
        false => arn("ecs", &format!("task-definition/{definition}{revision}")),
    }
}

fn objects(keys: &str) -> Value {
    sub(format!("arn:${{AWS::Partition}}:s3:::${{{BUCKET_PARAMETER}}}/{keys}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::{Expect, expect};
    use serde_json::Value;
    use trigger_core::routing::RoutingConfig;
    use trigger_core::text::Source;

    use crate::{Function, stack};

    fn config(text: &str) -> RoutingConfig {
        RoutingConfig::parse(Source::new("c.yaml", text)).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    /// Writes a line for each statement of a role, with what CloudFormation fills in in braces.
    fn check(text: &str, role: &str, expect: &Expect) {
        let template = stack(&config(text), &BTreeMap::new());
        let statements = &template.resources()[role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
        let lines = statements.as_array().into_iter().flatten().map(|statement| {
            let (only_if, statement) = match statement.get("Fn::If") {
                Some(Value::Array(parts)) => (format!("if {} ", plain(&parts[0])), &parts[1]),
                _ => (String::new(), statement),
            };
            let condition = statement.get("Condition").map(|condition| format!(" when {}", plain(condition)));
            let (action, resource) = (plain(&statement["Action"]), plain(&statement["Resource"]));
            format!("{only_if}{action} on {resource}{}\n", condition.unwrap_or_default())
        });
        expect.assert_eq(&lines.collect::<String>());
    }

    fn plain(value: &Value) -> String {
        match value {
            Value::String(text) => {
                text.replace("arn:${AWS::Partition}:", "arn:").replace("${AWS::Region}:${AWS::AccountId}:", "")
            }
            Value::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(", "),
            Value::Object(object) => match object.iter().next() {
                Some((key, inner)) if key == "Fn::Sub" => plain(inner),
                Some((key, inner)) if key == "Ref" || key == "Fn::GetAtt" => format!("{{{}}}", plain(inner)),
                Some((key, inner)) => format!("{key}: {}", plain(inner)),
                None => String::new(),
            },
            other => other.to_string(),
        }
    }

    #[test]
    fn a_function_runs_only_its_own_routes_task_definitions_in_their_clusters() {
        let text = "
version: 1
ledger: off
tasks:
  a: { cluster: one, task_definition: a }
  b: { cluster: one, task_definition: \"b:3\" }
  c: { cluster: \"arn:aws:ecs:eu-west-1:111122223333:cluster/two\", task_definition: c, tags: { team: x } }
  d: { task_definition: d, enable_ecs_managed_tags: true }
routes:
  - { name: of-events, on: { event_pattern: { source: [my.app] } }, run: [a, b, c] }
  - { name: of-schedules, on: { schedule: rate(1 hour) }, run: d }
";
        check(
            text,
            "EventTriggerRole",
            &expect![[r#"
                logs:CreateLogStream, logs:PutLogEvents on {EventTriggerLogs, Arn}
                s3:GetObject on arn:s3:::${Bucket}/config/${AWS::StackName}/*
                ecs:RunTask on arn:ecs:task-definition/c:* when ArnEquals: ecs:cluster: arn:aws:ecs:eu-west-1:111122223333:cluster/two
                ecs:RunTask on arn:ecs:task-definition/a:*, arn:ecs:task-definition/b:3 when ArnEquals: ecs:cluster: arn:ecs:cluster/one
                ecs:TagResource on arn:aws:ecs:eu-west-1:111122223333:task/two/* when StringEquals: ecs:CreateAction: RunTask
                if HasEventTriggerTaskRoles iam:PassRole on {EventTriggerTaskRoles} when StringEquals: iam:PassedToService: ecs-tasks.amazonaws.com
                sqs:SendMessage on {DeadLetters, Arn}
            "#]],
        );
        check(
            text,
            "ScheduleTriggerRole",
            &expect![[r#"
                logs:CreateLogStream, logs:PutLogEvents on {ScheduleTriggerLogs, Arn}
                s3:GetObject on arn:s3:::${Bucket}/config/${AWS::StackName}/*
                ecs:RunTask on arn:ecs:task-definition/d:* when ArnEquals: ecs:cluster: arn:ecs:cluster/default
                ecs:TagResource on arn:ecs:task/default/* when StringEquals: ecs:CreateAction: RunTask
                if HasScheduleTriggerTaskRoles iam:PassRole on {ScheduleTriggerTaskRoles} when StringEquals: iam:PassedToService: ecs-tasks.amazonaws.com
                sqs:SendMessage on {DeadLetters, Arn}
            "#]],
        );
    }

    #[test]
    fn with_a_ledger_a_function_keeps_it_and_sees_to_its_clusters_tasks() {
        let text = "
version: 1
storage: { bucket: state, prefix: team }
tasks:
  a: { cluster: one, task_definition: a, overrides: { task_role_arn: \"arn:aws:iam::111122223333:role/a\", execution_role_arn: b } }
routes:
  - { name: q, on: { queue: jobs }, run: a, large_payload: s3 }
";
        check(
            text,
            "SqsTriggerRole",
            &expect![[r#"
                logs:CreateLogStream, logs:PutLogEvents on {SqsTriggerLogs, Arn}
                s3:GetObject on arn:s3:::${Bucket}/config/${AWS::StackName}/*
                ecs:RunTask on arn:ecs:task-definition/a:* when ArnEquals: ecs:cluster: arn:ecs:cluster/one
                if HasSqsTriggerTaskRoles iam:PassRole on {SqsTriggerTaskRoles} when StringEquals: iam:PassedToService: ecs-tasks.amazonaws.com
                iam:PassRole on arn:aws:iam::111122223333:role/a, arn:iam::${AWS::AccountId}:role/b when StringEquals: iam:PassedToService: ecs-tasks.amazonaws.com
                dynamodb:BatchGetItem, dynamodb:Query, dynamodb:PutItem, dynamodb:UpdateItem, dynamodb:DeleteItem on arn:dynamodb:table/state-team when ForAllValues:StringLike: dynamodb:LeadingKeys: launch/*, line/*, sequence/*, set/*, rate/*
                sqs:SendMessage on {Work, Arn}
                ecs:DescribeTasks, ecs:StopTask on arn:ecs:task/one/* when ArnEquals: ecs:cluster: arn:ecs:cluster/one
                ecs:ListTasks on * when ArnEquals: ecs:cluster: arn:ecs:cluster/one
                s3:GetObject, s3:PutObject on arn:s3:::${Bucket}/team/payloads/*
                sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes on arn:sqs:jobs
                sqs:SendMessage on {DeadLetters, Arn}
                if HasAdoptedKeys kms:Decrypt on {AdoptedKeys}
            "#]],
        );
    }

    #[test]
    fn only_the_function_that_continues_launches_finds_those_that_are_due_and_takes_work() {
        let text = "
version: 1
storage: { bucket: state, table: launches }
tasks: { a: { task_definition: a } }
routes: []
";
        check(
            text,
            "TaskLifecycleRole",
            &expect![[r#"
                logs:CreateLogStream, logs:PutLogEvents on {TaskLifecycleLogs, Arn}
                s3:GetObject on arn:s3:::${Bucket}/config/${AWS::StackName}/*
                dynamodb:BatchGetItem, dynamodb:Query, dynamodb:PutItem, dynamodb:UpdateItem, dynamodb:DeleteItem on arn:dynamodb:table/launches when ForAllValues:StringLike: dynamodb:LeadingKeys: launch/*, line/*, sequence/*, set/*, rate/*
                sqs:SendMessage on {Work, Arn}
                dynamodb:Query on arn:dynamodb:table/launches/index/time when ForAllValues:StringEquals: dynamodb:LeadingKeys: due/0, due/1, due/2, due/3
                sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes on {Work, Arn}
                s3:GetObject, s3:PutObject on arn:s3:::${Bucket}/payloads/*
                sqs:SendMessage on {DeadLetters, Arn}
            "#]],
        );
    }

    #[test]
    fn the_scaler_changes_only_its_services_and_sees_only_its_queues() {
        let text = "
version: 1
tasks: { t: { cluster: batch, task_definition: t, overrides: { container_overrides: [{ name: app }] } } }
workers:
  - { service: s, cluster: web, queue: [q, \"arn:aws:sqs:eu-west-1:111122223333:r\"], scaling: { max: 3, acceptable_latency: 1m } }
  - { run: t, queue: u, scaling: { max: 3, acceptable_latency: 1m, msg_processing_time: 1s } }
";
        check(
            text,
            "QueueScalerRole",
            &expect![[r#"
                logs:CreateLogStream, logs:PutLogEvents on {QueueScalerLogs, Arn}
                s3:GetObject on arn:s3:::${Bucket}/config/${AWS::StackName}/*
                ecs:RunTask on arn:ecs:task-definition/t:* when ArnEquals: ecs:cluster: arn:ecs:cluster/batch
                if HasQueueScalerTaskRoles iam:PassRole on {QueueScalerTaskRoles} when StringEquals: iam:PassedToService: ecs-tasks.amazonaws.com
                s3:PutObject on arn:s3:::${Bucket}/config/${AWS::StackName}/queue-scaler.lease.json
                sqs:GetQueueAttributes, sqs:GetQueueUrl on arn:sqs:q, arn:sqs:eu-west-1:111122223333:r, arn:sqs:u
                cloudwatch:GetMetricData on *
                ecs:DescribeServices, ecs:UpdateService on arn:ecs:service/web/s when ArnEquals: ecs:cluster: arn:ecs:cluster/web
                ecs:GetTaskProtection on arn:ecs:task/web/* when ArnEquals: ecs:cluster: arn:ecs:cluster/web
                ecs:DescribeTasks on arn:ecs:task/batch/*, arn:ecs:task/web/* when ArnEquals: ecs:cluster: arn:ecs:cluster/batch, arn:ecs:cluster/web
                ecs:ListTasks on * when ArnEquals: ecs:cluster: arn:ecs:cluster/batch, arn:ecs:cluster/web
            "#]],
        );
    }

    #[test]
    fn no_action_is_a_wildcard_and_no_resource_without_its_reason() {
        let text = "
version: 1
storage: { bucket: state }
stack: { tracing: true, queues: { jobs: { queue: create }, u: { queue: create } } }
tasks:
  t: { task_definition: t, tags: { a: b }, overrides: { container_overrides: [{ name: app }] } }
routes:
  - { name: e, on: { event_pattern: { source: [my.app] } }, run: t, large_payload: s3 }
  - { name: s, on: { schedule: rate(1 hour) }, run: t }
  - { name: q, on: { queue: jobs }, run: t }
workers:
  - { service: s, cluster: web, queue: u, scaling: { max: 3, acceptable_latency: 1m } }
  - { run: t, queue: v, scaling: { max: 3, acceptable_latency: 1m, msg_processing_time: 1s } }
";
        let config = config(text);
        let mut seen = 0;
        for (function, statement) in Function::ALL.iter().flat_map(|function| {
            super::statements(&config, *function, None).into_iter().map(move |statement| (function, statement))
        }) {
            seen += 1;
            assert!(statement.actions.iter().all(|action| !action.contains('*')), "{function:?}: {statement:?}");
            let is_everything = statement.resources.iter().any(|resource| resource == "*");
            assert_eq!(is_everything, statement.reason.is_some(), "{function:?}: {statement:?}");
        }
        assert!(seen > 30, "only {seen} statements were looked at");
        let template = stack(&config, &BTreeMap::new());
        for (id, role) in template.resources().iter().filter(|(_, resource)| resource["Type"] == "AWS::IAM::Role") {
            for statement in
                role["Properties"]["Policies"][0]["PolicyDocument"]["Statement"].as_array().into_iter().flatten()
            {
                let sid = statement["Sid"].as_str().unwrap_or_default();
                let has_reason = role["Metadata"]["WhyEveryResource"][sid].is_string();
                assert_eq!(statement["Resource"] == "*", has_reason, "{id}: {sid}");
            }
        }
    }
}
