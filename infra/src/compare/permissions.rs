//! Compares what the functions may do by two templates.

use std::collections::BTreeSet;

use serde_json::Value;

use super::changes::{Parameters, filled_in};

/// How the functions' permissions differ between two templates.
#[derive(Debug, Clone, PartialEq)]
pub struct Permissions {
    /// The deployed template and its parameters, with the additional permissions added; `None` if there are none.
    pub wider: Option<(Value, Parameters)>,
    /// Whether a permission is taken away.
    pub narrows: bool,
}

/// Compares the policies of the roles that both templates have.
pub fn permissions(before: (&Value, &Parameters), after: (&Value, &Parameters)) -> Permissions {
    let (mut wider, mut parameters) = (before.0.clone(), before.1.clone());
    let (mut widens, mut narrows) = (false, false);
    let roles = before.0["Resources"].as_object().into_iter().flatten();
    for (id, _) in roles.filter(|(_, resource)| resource["Type"] == "AWS::IAM::Role") {
        let (Some(old), Some(new)) = (statements(before, id), statements(after, id)) else { continue };
        let (allowed, wanted) = (grants(&old), grants(&new));
        narrows |= !allowed.is_subset(&wanted);
        let is_added = |statement: &&Value| !grants(std::slice::from_ref(statement)).is_subset(&allowed);
        let added: Vec<&Value> = new.iter().filter(is_added).collect();
        widens |= !added.is_empty();
        let list = &mut wider["Resources"][id]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
        if let Some(list) = list.as_array_mut() {
            list.extend(added.into_iter().map(renamed));
        }
    }
    if !widens {
        return Permissions { wider: None, narrows };
    }
    // The added statements may refer to parameters and conditions that the deployed template lacks.
    for section in ["Parameters", "Conditions"] {
        for (name, definition) in after.0[section].as_object().into_iter().flatten() {
            if wider[section].get(name).is_none() {
                wider[section][name] = definition.clone();
                parameters.extend(after.1.get(name).map(|value| (name.clone(), value.clone())));
            }
        }
    }
    Permissions { wider: Some((wider, parameters)), narrows }
}

/// Returns a role's statements, with the parameters filled in. A list of roles that is a parameter becomes a list.
fn statements((template, parameters): (&Value, &Parameters), role: &str) -> Option<Vec<Value>> {
    let statements = &template["Resources"].get(role)?["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
    let plain = |statement: &Value| {
        let statement = statement.get("Fn::If").and_then(|parts| parts.get(1)).unwrap_or(statement);
        let mut statement = filled_in(statement, parameters);
        let roles = statement["Resource"].as_str().filter(|_| statement["Action"] == "iam:PassRole").map(str::to_owned);
        if let Some(roles) = roles {
            statement["Resource"] =
                roles.split(',').filter(|role| !role.is_empty()).collect::<BTreeSet<_>>().into_iter().collect();
        }
        statement
    };
    // A statement on an empty list of roles allows nothing.
    let all = statements.as_array()?.iter().map(plain);
    Some(all.filter(|statement| statement["Resource"] != Value::Array(Vec::new())).collect())
}

/// Returns what the statements allow, as text: each action on each resource, with its condition.
fn grants(statements: &[Value]) -> BTreeSet<String> {
    let many = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    let mut grants = BTreeSet::new();
    for statement in statements {
        for action in many(&statement["Action"]) {
            let of_action = many(&statement["Resource"]).into_iter();
            grants.extend(of_action.map(|resource| format!("{action} {resource} {}", statement["Condition"])));
        }
    }
    grants
}

/// Returns a statement under another name, to put it beside one of its own name.
fn renamed(statement: &Value) -> Value {
    let mut statement = statement.clone();
    let name = statement["Sid"].as_str().unwrap_or_default().to_owned();
    statement["Sid"] = format!("{name}Added").into();
    statement
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::{Expect, expect};
    use serde_json::Value;
    use trigger_core::routing::RoutingConfig;
    use trigger_core::text::Source;

    use super::{Parameters, permissions};
    use crate::stack;

    fn template(task: &str) -> Value {
        let run = if task.contains(" u:") { "[t, u]" } else { "t" };
        let text = format!(
            "version: 1\ntasks: {{ t: {{ {task} }} }}\nroutes: [{{ name: e, on: {{ event_pattern: {{ source: [a] }} }}, run: {run} }}]\n"
        );
        let config = RoutingConfig::parse(Source::new("c.yaml", text)).expect("the config is valid");
        stack(&config, &BTreeMap::new()).to_json()
    }

    /// Checks what is added to the function's role before the config changes, and whether anything is taken away after.
    fn check(before: &str, after: &str, roles: (&str, &str), expect: &Expect) {
        let parameters = |roles: &str| Parameters::from([("EventTriggerTaskRoles".to_owned(), roles.to_owned())]);
        let (before, after) = (template(before), template(after));
        let found = permissions((&before, &parameters(roles.0)), (&after, &parameters(roles.1)));
        let added = found.wider.as_ref().map(|(wider, _)| {
            let list =
                &wider["Resources"]["EventTriggerRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
            let added = list
                .as_array()
                .into_iter()
                .flatten()
                .filter(|statement| statement["Sid"].as_str().is_some_and(|name| name.ends_with("Added")));
            added.map(|statement| format!("+ {} {}\n", statement["Action"], statement["Resource"])).collect::<String>()
        });
        expect.assert_eq(&format!("{}narrows: {}\n", added.unwrap_or_default(), found.narrows));
    }

    #[test]
    fn nothing_is_added_or_taken_back_where_all_is_equal() {
        check(
            "task_definition: a",
            "task_definition: a, count: 2",
            ("r", "r"),
            &expect![[r#"
            narrows: false
        "#]],
        );
    }

    #[test]
    fn another_task_definition_is_allowed_before_the_first_is_forbidden() {
        check(
            "task_definition: a",
            "task_definition: b",
            ("arn:r", "arn:r"),
            &expect![[r#"
            + "ecs:RunTask" {"Fn::Sub":"arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task-definition/b:*"}
            narrows: true
        "#]],
        );
    }

    #[test]
    fn another_role_may_be_passed_before_the_first_may_not() {
        check(
            "task_definition: a",
            "task_definition: a",
            ("arn:r", "arn:r,arn:s"),
            &expect![[r#"
            + "iam:PassRole" ["arn:r","arn:s"]
            narrows: false
        "#]],
        );
    }

    #[test]
    fn a_task_definition_more_takes_nothing_back() {
        let two = "task_definition: a }, u: { task_definition: b";
        check(
            "task_definition: a",
            two,
            ("arn:r", "arn:r"),
            &expect![[r#"
                + "ecs:RunTask" [{"Fn::Sub":"arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task-definition/a:*"},{"Fn::Sub":"arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task-definition/b:*"}]
                narrows: false
            "#]],
        );
    }

    #[test]
    fn what_is_new_takes_nothing_back() {
        check(
            "task_definition: a",
            "task_definition: a, tags: { k: v }",
            ("", ""),
            &expect![[r#"
            + "ecs:TagResource" {"Fn::Sub":"arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task/default/*"}
            narrows: false
        "#]],
        );
    }
}
