//! Measures a body by AWS's limits.

use serde_json::{Map, Value};
use trigger_core::pattern::lint::RULE_CHARACTERS_MAX;

use crate::body::Body;
use crate::names::RULE_NAME_CHARACTERS_MAX;
use crate::references::{alone, parts_of_sub};
use crate::roles::MANAGED_CHARACTERS_MAX;

/// A limit of AWS's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "`parts` says what each one limits")]
pub enum Limit {
    BodyBytes,
    Resources,
    Rules,
    Schedules,
    Parameters,
    Outputs,
    DescriptionBytes,
    ParameterCharacters,
    InlinePolicyCharacters,
    ManagedPolicyCharacters,
    ManagedPolicies,
    TrustPolicyCharacters,
    EnvironmentBytes,
    /// The name of a resource, with the characters that its type accepts.
    NameCharacters(usize),
    PatternCharacters,
    Targets,
}

const SPLIT: &str = "split the config into several, each with a stack of its own (`stack: { name: ... }`)";

impl Limit {
    /// Returns what is limited, the maximum, and what to do when it is exceeded.
    ///
    /// Sources: <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>,
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>,
    /// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>,
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>,
    /// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/scheduler-quotas.html>.
    pub fn parts(self) -> (&'static str, usize, &'static str) {
        const POLICY: &str = "deploy in two steps, first what is removed, then what is added; if that does not fit either, give fewer \
             task definitions roles of their own, or split the config into several stacks";
        match self {
            Self::BodyBytes => ("the template's size in bytes", 1_000_000, SPLIT),
            Self::Resources => ("the number of resources", 500, SPLIT),
            Self::Rules => ("the number of rules of the event bus", 300, SPLIT),
            Self::Schedules => ("the number of schedules of the account", 10_000_000, SPLIT),
            Self::Parameters => ("the number of parameters", 200, SPLIT),
            Self::Outputs => ("the number of outputs", 200, SPLIT),
            Self::DescriptionBytes => ("the description's size in bytes", 1024, "shorten it"),
            Self::ParameterCharacters => (
                "the number of characters of the parameter's value",
                4096,
                "let more task definitions share their task and execution roles, or split the config into several stacks",
            ),
            Self::InlinePolicyCharacters => ("the number of characters of the role's policies", 10_240, POLICY),
            Self::ManagedPolicyCharacters => ("the number of characters of the policy", MANAGED_CHARACTERS_MAX, POLICY),
            Self::ManagedPolicies => ("the number of the role's managed policies", 10, POLICY),
            Self::TrustPolicyCharacters => ("the number of characters of the trust policy", 2048, SPLIT),
            Self::EnvironmentBytes => (
                "the size in bytes of the function's environment variables",
                4096,
                "take fewer or shorter values by `${env:...}`",
            ),
            Self::NameCharacters(max) => {
                ("the number of characters of its name", max, "shorten the name of the stack, route, queue or table")
            }
            Self::PatternCharacters => (
                "the number of characters of the event pattern",
                RULE_CHARACTERS_MAX,
                "shorten the route's event pattern",
            ),
            Self::Targets => ("the number of the rule's targets", 5, SPLIT),
        }
    }
}

/// How large a part of a body is, and its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measure {
    /// The logical id of the resource, or the name of the section.
    pub id: String,
    /// The limit.
    pub limit: Limit,
    /// The size, in the limit's unit.
    pub actual: usize,
}

/// Returns how large every part of a body is that AWS limits.
pub fn measures(body: &Body) -> Vec<Measure> {
    let filled = Filled::new(body);
    let mut measures = Vec::new();
    let mut add = |id: &str, limit: Limit, actual: usize| measures.push(Measure { id: id.to_owned(), limit, actual });
    let count = |section: &str| body.template[section].as_object().map_or(0, Map::len);
    add("Template", Limit::BodyBytes, body.template.to_string().len());
    add("Resources", Limit::Resources, count("Resources"));
    let of_type = |kind: &str| filled.resources().filter(|(_, resource)| resource["Type"] == kind).count();
    add("Resources", Limit::Rules, of_type("AWS::Events::Rule"));
    add("Resources", Limit::Schedules, of_type("AWS::Scheduler::Schedule"));
    add("Parameters", Limit::Parameters, count("Parameters"));
    add("Outputs", Limit::Outputs, count("Outputs"));
    add("Description", Limit::DescriptionBytes, body.template["Description"].as_str().map_or(0, str::len));
    for (name, value) in &body.parameters {
        add(name, Limit::ParameterCharacters, value.chars().count());
    }
    for (id, resource) in filled.resources() {
        let properties = &resource["Properties"];
        if let Some((name, max)) = name_of(resource) {
            add(id, Limit::NameCharacters(max), filled.text(name).chars().count());
        }
        match resource["Type"].as_str().unwrap_or_default() {
            "AWS::IAM::Role" => {
                let inline = properties["Policies"].as_array().into_iter().flatten();
                let inline = inline.map(|policy| filled.characters(&policy["PolicyDocument"])).sum();
                add(id, Limit::InlinePolicyCharacters, inline);
                add(id, Limit::ManagedPolicies, filled.managed_policies(id, properties));
                let trust = properties.get("AssumeRolePolicyDocument").map_or(0, |policy| filled.characters(policy));
                add(id, Limit::TrustPolicyCharacters, trust);
            }
            "AWS::IAM::ManagedPolicy" => {
                add(id, Limit::ManagedPolicyCharacters, filled.characters(&properties["PolicyDocument"]));
            }
            "AWS::Lambda::Function" => {
                let variables = properties["Environment"].get("Variables");
                add(id, Limit::EnvironmentBytes, variables.map_or(0, |all| filled.value(all).to_string().len()));
            }
            "AWS::Events::Rule" => {
                let pattern = properties.get("EventPattern").map_or(0, |pattern| filled.characters(pattern));
                add(id, Limit::PatternCharacters, pattern);
                add(id, Limit::Targets, properties["Targets"].as_array().map_or(0, Vec::len));
            }
            _ => {}
        }
    }
    measures
}

/// The property with the name of a resource, and how many characters the service accepts.
const NAMES: [(&str, &str, usize); 11] = [
    ("AWS::CloudWatch::Alarm", "AlarmName", 255),
    ("AWS::CloudWatch::Dashboard", "DashboardName", 255),
    ("AWS::DynamoDB::Table", "TableName", 255),
    ("AWS::Events::Rule", "Name", RULE_NAME_CHARACTERS_MAX),
    ("AWS::IAM::Role", "RoleName", 64),
    ("AWS::Lambda::Function", "FunctionName", 64),
    ("AWS::Logs::LogGroup", "LogGroupName", 512),
    ("AWS::S3::Bucket", "BucketName", 63),
    ("AWS::SQS::Queue", "QueueName", 80),
    ("AWS::Scheduler::Schedule", "Name", 64),
    ("AWS::Scheduler::ScheduleGroup", "Name", 64),
];

/// Returns a resource's name, and how many characters it may have.
pub(super) fn name_of(resource: &Value) -> Option<(&Value, usize)> {
    let (_, property, max) = NAMES.iter().find(|(kind, ..)| resource["Type"] == *kind)?;
    Some((resource["Properties"].get(property)?, *max))
}

/// A body with the values that CloudFormation fills in. What only an account knows has a value of the usual length.
pub(super) struct Filled<'a> {
    body: &'a Body,
}

impl<'a> Filled<'a> {
    pub(super) fn new(body: &'a Body) -> Self {
        Self { body }
    }

    fn resources(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.body.template["Resources"].as_object().into_iter().flatten()
    }

    fn resource(&self, id: &str) -> Option<&'a Value> {
        self.body.template["Resources"].get(id)
    }

    /// Returns the number of characters of a value as JSON without white space, as IAM and EventBridge count them.
    fn characters(&self, value: &Value) -> usize {
        self.value(value).to_string().chars().filter(|c| !c.is_whitespace()).count()
    }

    /// Returns how many managed policies a role has: its own list, and those that name it.
    fn managed_policies(&self, role: &str, properties: &Value) -> usize {
        let own = properties["ManagedPolicyArns"].as_array().map_or(0, Vec::len);
        let names = |(_, policy): &(&String, &Value)| {
            let roles = policy["Properties"]["Roles"].as_array().into_iter().flatten();
            policy["Type"] == "AWS::IAM::ManagedPolicy" && roles.into_iter().any(|of| of["Ref"] == role)
        };
        own + self.resources().filter(names).count()
    }

    /// Returns a value with everything filled in.
    pub(super) fn value(&self, value: &Value) -> Value {
        match (alone(value), value) {
            (Some(("Fn::If", Value::Array(parts))), _) => parts.get(1).map_or(Value::Null, |part| self.value(part)),
            (Some(("Ref", Value::String(name))), _) if self.is_list(name) => {
                self.reference(name).split(',').map(Value::from).collect()
            }
            (Some(("Ref" | "Fn::GetAtt" | "Fn::Sub", _)), _) => self.text(value).into(),
            (_, Value::Array(elements)) => elements.iter().map(|element| self.value(element)).collect(),
            (_, Value::Object(entries)) => {
                Value::Object(entries.iter().map(|(key, value)| (key.clone(), self.value(value))).collect())
            }
            (_, other) => other.clone(),
        }
    }

    fn is_list(&self, parameter: &str) -> bool {
        self.body.template["Parameters"][parameter]["Type"] == "CommaDelimitedList"
    }

    /// Returns a text with everything filled in.
    pub(super) fn text(&self, value: &Value) -> String {
        match (alone(value), value) {
            (Some(("Ref", Value::String(name))), _) => self.reference(name),
            (Some(("Fn::GetAtt", of)), _) => {
                let parts = of.as_array().map(|parts| (parts.first(), parts.get(1)));
                let (id, name) = parts.unwrap_or_default();
                let text = |part: Option<&'_ Value>| part.and_then(Value::as_str).unwrap_or_default().to_owned();
                self.attribute(&text(id), &text(name))
            }
            (Some(("Fn::Sub", Value::String(text))), _) => self.sub(text),
            (Some(("Fn::Sub", Value::Array(parts))), _) => {
                self.sub(parts.first().and_then(Value::as_str).unwrap_or_default())
            }
            (_, Value::String(text)) => text.clone(),
            (_, Value::Null) => String::new(),
            (_, other) => other.to_string(),
        }
    }

    fn sub(&self, text: &str) -> String {
        let fill = |name: &str| match name.split_once('.') {
            Some((id, attribute)) => self.attribute(id, attribute),
            None => self.reference(name),
        };
        parts_of_sub(text, |name| Some(fill(name))).unwrap_or_default()
    }

    fn reference(&self, name: &str) -> String {
        match name {
            "AWS::StackName" => return self.body.stack.clone(),
            "AWS::Partition" => return "aws".to_owned(),
            "AWS::Region" => return "ap-southeast-2".to_owned(),
            "AWS::AccountId" => return "111122223333".to_owned(),
            _ => {}
        }
        let parameter = &self.body.template["Parameters"][name];
        match self.body.parameters.get(name) {
            Some(value) => value.clone(),
            None if parameter.is_object() => self.text(&parameter["Default"]),
            None => self.name(name),
        }
    }

    /// Returns a resource's name; CloudFormation makes one of stack, logical id and twelve characters if it has none.
    fn name(&self, id: &str) -> String {
        let named = self.resource(id).and_then(name_of);
        named.map_or_else(|| format!("{}-{id}-XXXXXXXXXXXX", self.body.stack), |(name, _)| self.text(name))
    }

    fn attribute(&self, id: &str, attribute: &str) -> String {
        let kind = self.resource(id).and_then(|resource| resource["Type"].as_str()).unwrap_or_default();
        let service = kind.split("::").nth(1).unwrap_or_default().to_ascii_lowercase();
        match attribute {
            "Arn" => format!("arn:aws:{service}:ap-southeast-2:111122223333:{}", self.name(id)),
            _ => self.name(id),
        }
    }
}
