//! Finds what a template refers to but lacks, and cycles of dependencies.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Finding, Problem};
use crate::body::Body;
use crate::references::{Reference, collect, collect_in_condition};

pub(super) fn findings(body: &Body) -> Vec<Finding> {
    let template = &body.template;
    let none = Map::new();
    let section = |name: &str| template[name].as_object().unwrap_or(&none);
    let (mut findings, mut depends) = (Vec::new(), BTreeMap::new());
    let lacking = |id: &str, found: &[Reference<'_>]| -> Vec<Finding> {
        let unresolved = found.iter().filter(|reference| !reference.resolves(template));
        let problem = |reference: &Reference<'_>| Problem::Unresolved(reference.name().to_owned());
        unresolved.map(|reference| Finding { id: id.to_owned(), problem: problem(reference) }).collect()
    };
    for (id, condition) in section("Conditions").iter().chain(section("Outputs")) {
        let mut found = Vec::new();
        collect_in_condition(condition, &mut found);
        findings.extend(lacking(id, &found));
    }
    for (id, resource) in section("Resources") {
        let mut found = Vec::new();
        found.extend(resource["Condition"].as_str().map(Reference::Condition));
        let dependencies = &resource["DependsOn"];
        let listed = dependencies.as_array().into_iter().flatten().chain([dependencies]).filter_map(Value::as_str);
        found.extend(listed.map(Reference::Resource));
        collect(&resource["Properties"], &mut found);
        findings.extend(lacking(id, &found));
        let of_resources = found.iter().map(|reference| reference.name()).filter(|name| *name != id);
        let of_resources = of_resources.filter(|name| section("Resources").contains_key(*name));
        depends.insert(id.as_str(), of_resources.collect::<BTreeSet<_>>());
    }
    let cycles = in_cycles(depends).into_iter();
    findings.extend(cycles.map(|id| Finding { id: id.to_owned(), problem: Problem::Cycle }));
    let lacks_value = |(name, parameter): &(&String, &Value)| {
        parameter.get("Default").is_none() && !body.parameters.contains_key(name.as_str())
    };
    let valueless = section("Parameters").iter().filter(|_| !body.parameters.is_empty()).filter(lacks_value);
    let unknown = body.parameters.keys().filter(|name| !section("Parameters").contains_key(name.as_str()));
    let of_parameters = valueless.map(|(name, _)| name).chain(unknown);
    findings.extend(of_parameters.map(|name| Finding { id: name.clone(), problem: Problem::Parameter }));
    findings
}

/// Returns the resources in cycles of dependencies: those that remain after all others are taken away from both ends.
fn in_cycles<'a>(mut depends: BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<&'a str> {
    loop {
        let used: BTreeSet<&str> = depends.values().flatten().copied().collect();
        let known: BTreeSet<&str> = depends.keys().copied().collect();
        let before = depends.len();
        depends.retain(|id, of| used.contains(id) && of.iter().any(|id| known.contains(id)));
        let left: BTreeSet<&str> = depends.keys().copied().collect();
        depends.values_mut().for_each(|of| of.retain(|id| left.contains(id)));
        if depends.len() == before {
            return depends.into_keys().collect();
        }
    }
}
