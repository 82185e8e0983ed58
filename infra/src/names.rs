//! What things are called: parameters, logical ids, physical names and ARNs, each in one place.

use serde_json::Value;
use sha2::{Digest, Sha256};
use trigger_core::event::Queue;
use trigger_core::routing::RoutingConfig;

use crate::template::{attribute, sub};

/// The parameter with the name of the bucket that config and code lie in.
pub const BUCKET_PARAMETER: &str = "Bucket";
/// The parameter with the instruction set that the functions' code was built for.
pub const ARCHITECTURE_PARAMETER: &str = "Architecture";
/// The folder of configs in the bucket: each stack's lies in a folder of its own, with the files that it includes.
pub const CONFIG_FOLDER: &str = "config";
/// The config's name there.
pub const CONFIG_FILE: &str = "ecs-trigger.yaml";

/// A logical id for what has this name: a word from the name's letters and digits, and four characters of its hash, since other names
/// have the same letters. It depends on nothing else, so that what is added or removed beside it never renames it.
pub(crate) fn identifier(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let word = |word: &str| {
        let (first, rest) = word.split_at(1);
        format!("{}{rest}", first.to_ascii_uppercase())
    };
    format!("{}{}", words.map(word).collect::<String>(), &format!("{:X}", Sha256::digest(name))[..4])
}

/// The longest name of a rule. Source: <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html>
const RULE_NAME_CHARACTERS_MAX: usize = 64;

/// The name of a route's rule, which begins with the stack's: that is what the function and the dead-letter queue let in.
pub(crate) fn rule_name(stack: &str, route: &str) -> Value {
    let room = RULE_NAME_CHARACTERS_MAX - stack.len() - 1;
    match route.len() <= room {
        true => sub(format!("${{AWS::StackName}}-{route}")),
        false => {
            let id = identifier(route);
            // The end of it is the hash.
            sub(format!("${{AWS::StackName}}-{}", &id[id.len().saturating_sub(room)..]))
        }
    }
}

/// The ARNs of rules that CloudFormation names: they begin with the stack's name.
pub(crate) fn rules_of_this_stack() -> Value {
    sub("arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${AWS::StackName}-*")
}

/// The logical id of a queue that the stack makes.
pub(crate) fn queue_id(queue: &Queue) -> String {
    format!("Queue{}", id_of(queue))
}

/// What tells a queue from others in logical ids: also from those of the same name elsewhere.
pub(crate) fn id_of(queue: &Queue) -> String {
    let place =
        [&queue.region, &queue.account].into_iter().flatten().map(|part| format!("/{part}")).collect::<String>();
    identifier(&format!("{}{place}", queue.name))
}

/// The ARN of a queue, whether the stack makes it or it is there.
pub(crate) fn queue_arn(config: &RoutingConfig, queue: &Queue) -> Value {
    if config.stack.queue(queue).is_created {
        return attribute(&queue_id(queue), "Arn");
    }
    let region = queue.region.as_deref().unwrap_or("${AWS::Region}");
    let account = queue.account.as_deref().unwrap_or("${AWS::AccountId}");
    sub(format!("arn:${{AWS::Partition}}:sqs:{region}:{account}:{}", queue.name))
}

/// The names of the dead-letter queues that the stack makes beside its own, with their logical ids.
pub(crate) fn dead_letters(config: &RoutingConfig) -> impl Iterator<Item = (&str, String)> {
    let all = config.queues().into_iter().chain(config.worker_queues());
    let created = all.filter(|queue| config.stack.queue(queue).is_created);
    created.map(|queue| (queue.name.as_str(), format!("{}DeadLetters", queue_id(queue))))
}

#[cfg(test)]
mod tests {
    use super::identifier;

    #[test]
    fn names_that_differ_have_ids_that_differ() {
        let names = ["csv-upload", "csv_upload", "CsvUpload", "csvupload", "1-2", "-", ""];
        let ids = names.map(identifier);
        for (position, id) in ids.iter().enumerate() {
            assert!(id.chars().all(|c| c.is_ascii_alphanumeric()), "{id}");
            assert!(!ids[..position].contains(id), "{id} twice");
        }
        assert!(ids[0].starts_with("CsvUpload"), "{}", ids[0]);
    }
}
