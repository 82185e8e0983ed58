//! Each function's role allows exactly what the function's code can call. The test reads the calls from the source.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use e2e::root;
use infra::Function;
use infra::policy::statements;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

/// A config that uses every feature that needs permissions.
const CONFIG: &str = r#"
version: 1
storage: { bucket: state }
stack: { tracing: true }
tasks:
  t: { task_definition: t, tags: { a: b }, overrides: { container_overrides: [{ name: app }] } }
routes:
  - { name: e, on: { event_pattern: { source: [my.app] } }, run: t, large_payload: s3 }
  - { name: s, on: { schedule: rate(1 hour) }, run: t, large_payload: s3 }
  - { name: q, on: { queue: jobs }, run: t, large_payload: s3 }
workers:
  - { service: s, cluster: web, queue: u, scaling: { max: 3, acceptable_latency: 1m } }
  - { run: t, queue: v, scaling: { max: 3, acceptable_latency: 1m, msg_processing_time: 1s } }
"#;

/// Actions that the code does not call: AWS itself uses the role for them, or a call requires them in addition.
const BESIDE_CALLS: [&str; 10] = [
    "kms:Decrypt",              // the event source mapping of a queue with a key of its own
    "ecs:TagResource",          // RunTask, with tags
    "iam:PassRole",             // RunTask
    "sqs:ReceiveMessage",       // the event source mapping
    "sqs:DeleteMessage",        // the event source mapping
    "xray:PutTraceSegments",    // Lambda
    "xray:PutTelemetryRecords", // Lambda
    "sqs:SendMessage",          // Lambda's failure destination
    "s3:PutObject",             // the scaler's lease, which the function itself keeps
    "s3:ListBucket",            // without it, S3 answers "access denied" for an object that does not exist
];

/// Returns the engine's modules that a function's handler reaches, and the adapters behind its ports.
fn modules(function: Function) -> (&'static [&'static str], &'static [&'static str]) {
    const LAUNCHER: &[&str] = &["launcher.rs", "payloads.rs", "store", "work.rs", "dead_letters.rs"];
    match function {
        Function::EventTrigger | Function::ScheduleTrigger | Function::SqsTrigger => {
            (&["handle.rs", "batch.rs", "drive.rs", "dead_letter.rs"], LAUNCHER)
        }
        Function::TaskLifecycle => (&["lifecycle.rs", "drive.rs", "handle.rs", "dead_letter.rs"], LAUNCHER),
        Function::QueueScaler => (&["scale.rs"], &["launcher.rs", "queues.rs", "workers.rs"]),
    }
}

/// Returns the IAM actions of an SDK operation that an adapter's code calls.
/// Source of those of a transaction:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>
fn actions(adapter: &str, code: &str, operation: &str) -> Vec<String> {
    let service = match adapter {
        "launcher.rs" | "workers.rs" => "ecs",
        "dead_letters.rs" | "work.rs" => "sqs",
        "store" => "dynamodb",
        "queues.rs" if operation == "get_metric_data" => "cloudwatch",
        "queues.rs" => "sqs",
        _ => "s3",
    };
    let words = operation.split('_').map(|word| word[..1].to_ascii_uppercase() + &word[1..]);
    match words.collect::<String>().as_str() {
        "ListObjectsV2" => vec!["s3:ListBucket".to_owned()],
        "SendMessageBatch" => vec!["sqs:SendMessage".to_owned()],
        "TransactWriteItems" => {
            let kinds = ["Put", "Update", "Delete", "ConditionCheck"];
            let used = kinds.into_iter().filter(|kind| code.contains(&format!("({kind}::builder()")));
            used.map(|kind| format!("dynamodb:{kind}Item")).collect()
        }
        name => vec![format!("{service}:{name}")],
    }
}

/// Returns the source of a module, or of all files of a folder, without tests and white space, so a chain of calls is
/// one string.
fn source(path: &str) -> String {
    if let Ok(files) = fs::read_dir(root().join(path)) {
        let names = files.map(|file| file.expect("can be read").file_name().to_string_lossy().into_owned());
        let code = names.filter(|name| name != "fixtures.rs" && name != "tests.rs");
        return code.map(|name| source(&format!("{path}/{name}"))).collect();
    }
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines
        .flat_map(|line| line.chars().filter(|c| !c.is_whitespace()).chain(" ".chars()))
        .collect::<String>()
        .replace(' ', "")
}

/// Returns the names between each `before` and the next `(`.
fn called<'a>(text: &'a str, before: &str) -> BTreeSet<&'a str> {
    let after = text.match_indices(before).map(|(at, _)| &text[at + before.len()..]);
    let name = |rest: &'a str| rest.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_').next();
    after.filter(|rest| rest.contains('(')).filter_map(name).filter(|name| !name.is_empty()).collect()
}

/// Returns the SDK operations that a piece of an adapter's code calls.
fn operations(code: &str) -> BTreeSet<String> {
    let clients = ["client.", "s3.", "sqs.", "cloudwatch.", "ecs."];
    let all = clients.iter().flat_map(|client| called(code, client));
    all.filter(|name| *name != "clone" && *name != "new").map(str::to_owned).collect()
}

/// Returns the functions of an adapter: name and code.
fn functions_of(code: &str) -> BTreeMap<String, String> {
    let parts = code.split("fn").skip(1);
    let mut functions = BTreeMap::new();
    for part in parts {
        let name: String =
            part.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_' || c.is_ascii_digit()).collect();
        if part[name.len()..].starts_with(['(', '<']) {
            functions.entry(name).or_insert_with(String::new).push_str(part);
        }
    }
    functions
}

/// Returns the SDK operations that a method of an adapter calls, directly and through other functions of the adapter.
fn calls_of(functions: &BTreeMap<String, String>, name: &str, seen: &mut BTreeSet<String>) -> BTreeSet<String> {
    let Some(code) = functions.get(name).filter(|_| seen.insert(name.to_owned())) else { return BTreeSet::new() };
    let mut all = operations(code);
    for other in functions.keys() {
        if [".", "=", "match", "::"].iter().any(|before| code.contains(&format!("{before}{other}("))) {
            all.extend(calls_of(functions, other, seen));
        }
    }
    all
}

/// Returns the actions that a function's code can call: through the methods of its ports that the engine's modules
/// name, and to read the config.
fn reachable(function: Function) -> BTreeSet<String> {
    let (modules, adapters) = modules(function);
    let engine: String = modules.iter().map(|module| source(&format!("shared/engine/src/{module}"))).collect();
    let mut reached = BTreeSet::new();
    for adapter in adapters {
        let code = source(&format!("shared/aws/src/{adapter}"));
        let functions = functions_of(&code);
        for method in functions.keys().filter(|method| engine.contains(&format!(".{method}("))) {
            let operations = calls_of(&functions, method, &mut BTreeSet::new());
            reached.extend(operations.iter().flat_map(|operation| actions(adapter, &code, operation)));
        }
    }
    let of_config = source("shared/aws/src/config/source.rs");
    reached.extend(operations(&of_config).iter().flat_map(|operation| actions("config/source.rs", "", operation)));
    reached
}

#[test]
fn a_role_allows_what_its_functions_code_can_call_and_nothing_else() {
    let config = RoutingConfig::parse(Source::new("c.yaml", CONFIG)).expect("the config is valid");
    for function in Function::ALL {
        let statements = statements(&config, function, None);
        let allowed: BTreeSet<String> =
            statements.iter().flat_map(|statement| &statement.actions).map(|action| (*action).to_owned()).collect();
        let reachable = reachable(function);
        let refused: Vec<&String> = reachable.difference(&allowed).collect();
        assert!(refused.is_empty(), "{function:?} calls what its role does not allow: {refused:?}");
        let idle = allowed.difference(&reachable).filter(|action| !BESIDE_CALLS.contains(&action.as_str()));
        // The event source mapping reads the queue's attributes; no other role may have this action without a call.
        let is_mapped = matches!(function, Function::SqsTrigger | Function::TaskLifecycle);
        let idle: Vec<&String> = idle.filter(|action| !is_mapped || *action != "sqs:GetQueueAttributes").collect();
        assert!(idle.is_empty(), "{function:?} never calls what its role allows: {idle:?}");
        assert!(reachable.len() >= 4, "{function:?}: only {reachable:?} are found");
    }
}
