//! The config's JSON Schema, generated from the elements' types and doc comments.

use serde_json::{Value, json};

use super::file::ConfigFile;

/// Returns the JSON Schema of the config file, for editors.
pub fn schema() -> Value {
    let mut generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.root_schema_for::<ConfigFile>();
    schema.insert("title".to_owned(), "ecs-trigger routing config".into());
    let mut value = schema.to_value();
    remove_null(&mut value);
    allow_variables(&mut value);
    value
}

/// Allows an environment variable wherever the schema expects something other than free text.
fn allow_variables(value: &mut Value) {
    const VARIABLE: &str = r"\$\{env:";
    match value {
        Value::Object(object) => {
            match object.get("type").and_then(Value::as_str) {
                Some(scalar @ ("integer" | "boolean")) => {
                    object.insert("type".to_owned(), json!([scalar, "string"]));
                    object.insert("pattern".to_owned(), json!(format!("^{VARIABLE}")));
                }
                Some("string") => {
                    if let Some(Value::String(pattern)) = object.get_mut("pattern") {
                        *pattern = format!("{pattern}|{VARIABLE}");
                    }
                }
                _ => {}
            }
            if let Some(Value::Array(words)) = object.get_mut("oneOf")
                && words.iter().all(|word| word.get("const").is_some())
            {
                words.push(json!({ "type": "string", "pattern": format!("^{VARIABLE}") }));
            }
            object.values_mut().for_each(allow_variables);
        }
        Value::Array(elements) => elements.iter_mut().for_each(allow_variables),
        _ => {}
    }
}

/// Removes `null` as a type: schemars adds it to optional keys, but the config does not accept it.
fn remove_null(value: &mut Value) {
    let is_null = |value: &Value| *value == json!({ "type": "null" });
    if let Value::Object(object) = value {
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(alternatives)) = object.get_mut("anyOf") {
            alternatives.retain(|alternative| !is_null(alternative));
            if let [Value::Object(only)] = alternatives.as_slice() {
                let only = only.clone();
                object.remove("anyOf");
                object.extend(only);
            }
        }
    }
    match value {
        Value::Object(object) => object.values_mut().for_each(remove_null),
        Value::Array(elements) => elements.iter_mut().for_each(remove_null),
        _ => {}
    }
}
