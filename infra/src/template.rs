//! Builds a CloudFormation template.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::owner::{KEY, Owner};

/// The key of the tags in a template's metadata.
const TAGS: &str = "Tags";

/// Returns the tags that the stack of a template has by its config.
pub fn tags(template: &Value) -> BTreeMap<String, String> {
    let tags = template["Metadata"][KEY][TAGS].as_object().into_iter().flatten();
    tags.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// A CloudFormation template.
/// Source: <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html>
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    description: String,
    metadata: Value,
    parameters: Map<String, Value>,
    conditions: Map<String, Value>,
    resources: Map<String, Value>,
    outputs: Map<String, Value>,
}

impl Template {
    pub(crate) fn new(description: &str, owner: &Owner) -> Self {
        let (parameters, conditions, resources, outputs) = Default::default();
        let (description, metadata) = (description.to_owned(), owner.to_json());
        Self { description, metadata, parameters, conditions, resources, outputs }
    }

    pub(crate) fn parameter(&mut self, name: &str, parameter: Value) {
        self.parameters.insert(name.to_owned(), parameter);
    }

    pub(crate) fn condition(&mut self, name: &str, condition: Value) {
        self.conditions.insert(name.to_owned(), condition);
    }

    pub(crate) fn resource(&mut self, id: &str, kind: &str, properties: Value) {
        self.resource_with(id, kind, json!({}), properties);
    }

    /// Adds a resource with attributes beside its properties: `DependsOn`, `Metadata`, `DeletionPolicy`.
    pub(crate) fn resource_with(&mut self, id: &str, kind: &str, attributes: Value, properties: Value) {
        let mut resource = Map::from_iter([("Type".to_owned(), kind.into())]);
        if let Value::Object(attributes) = attributes {
            resource.extend(attributes);
        }
        resource.insert("Properties".to_owned(), properties);
        self.resources.insert(id.to_owned(), resource.into());
    }

    /// Adds a resource and its output as the deployed template has them, if it has them.
    pub(crate) fn keep(&mut self, deployed: &Value, id: &str, output: &str) {
        let parts = [("Resources", id, &mut self.resources), ("Outputs", output, &mut self.outputs)];
        for (section, name, kept) in parts {
            if let Some(known) = deployed[section].get(name) {
                kept.insert(name.to_owned(), known.clone());
            }
        }
    }

    pub(crate) fn output(&mut self, name: &str, description: &str, value: Value) {
        self.outputs.insert(name.to_owned(), json!({ "Description": description, "Value": value }));
    }

    pub(crate) fn resources_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.resources.iter_mut().map(|(_, resource)| resource)
    }

    /// Sets the tags that a deployment gives the stack, and CloudFormation each resource that can have tags.
    pub(crate) fn set_tags<'a>(&mut self, tags: impl Iterator<Item = (&'a str, &'a str)>) {
        let tags: Map<String, Value> = tags.map(|(key, value)| (key.to_owned(), value.into())).collect();
        if !tags.is_empty() {
            self.metadata[KEY][TAGS] = tags.into();
        }
    }

    /// Returns the names of the parameters.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.parameters.keys().map(String::as_str)
    }

    /// Returns the resources by logical id.
    pub fn resources(&self) -> &Map<String, Value> {
        &self.resources
    }

    /// Returns the template as JSON.
    pub fn to_json(&self) -> Value {
        let mut template = json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": self.description,
            "Metadata": self.metadata,
        });
        let sections = [
            ("Parameters", &self.parameters),
            ("Conditions", &self.conditions),
            ("Resources", &self.resources),
            ("Outputs", &self.outputs),
        ];
        for (name, section) in sections.into_iter().filter(|(_, section)| !section.is_empty()) {
            template[name] = Value::Object(section.clone());
        }
        template
    }
}

/// Returns a reference to a parameter's value or a resource's name.
pub(crate) fn reference(id: &str) -> Value {
    json!({ "Ref": id })
}

/// Returns a reference to a resource's attribute.
pub(crate) fn attribute(id: &str, name: &str) -> Value {
    json!({ "Fn::GetAtt": [id, name] })
}

/// Returns a text in which CloudFormation fills in `${...}`.
pub(crate) fn sub(text: impl Into<String>) -> Value {
    json!({ "Fn::Sub": text.into() })
}

/// Returns the ARN of a role or policy that is given by its ARN, or by its name in the stack's account.
pub(crate) fn iam_arn(kind: &str, name: &str) -> Value {
    match name.starts_with("arn:") {
        true => name.into(),
        false => sub(format!("arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:{kind}/{name}")),
    }
}

/// Returns the ARN of a resource in the stack's own account and Region.
pub(crate) fn arn(service: &str, resource: &str) -> Value {
    sub(format!("arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}"))
}
