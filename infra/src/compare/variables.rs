//! Gives the deployed functions the variables that a new config needs.

use serde_json::Value;

use crate::references::{referred, resolves};

/// Returns the deployed template, in which the functions have the variables that they lack and the new template gives
/// them, with the resources that these variables name.
pub(super) fn with_variables(deployed: &Value, new: &Value) -> Value {
    let variables = |function: &'_ Value| function["Properties"]["Environment"]["Variables"].clone();
    let mut prepared = deployed.clone();
    for (id, function) in deployed["Resources"].as_object().into_iter().flatten() {
        let wanted = variables(&new["Resources"][id]);
        if function["Type"] != "AWS::Lambda::Function" || wanted.is_null() {
            continue;
        }
        let known = variables(function);
        let lacking = wanted.as_object().into_iter().flatten().filter(|(name, _)| known.get(name.as_str()).is_none());
        for (name, value) in lacking {
            add_resources(value, new, &mut prepared);
            if resolves(&prepared, value) {
                prepared["Resources"][id]["Properties"]["Environment"]["Variables"][name] = value.clone();
            }
        }
    }
    prepared
}

/// Adds the resources of the new template that a value refers to, and those that they refer to.
fn add_resources(of: &Value, new: &Value, prepared: &mut Value) {
    for name in referred(of) {
        let is_there = prepared["Resources"].get(name).is_some();
        if let Some(resource) = new["Resources"].get(name).filter(|_| !is_there) {
            prepared["Resources"][name] = resource.clone();
            add_resources(&resource["Properties"], new, prepared);
        }
    }
}
