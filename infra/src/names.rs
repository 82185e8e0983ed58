//! Names: parameters, logical ids, physical names and ARNs, each defined once.

use serde_json::Value;
use sha2::{Digest, Sha256};
use trigger_core::event::Queue;
use trigger_core::routing::RoutingConfig;
use trigger_core::storage::Storage;

use crate::function::Function;
use crate::template::{arn, attribute, sub};

/// The parameter that takes the name of the bucket, which holds the config and the code.
pub const BUCKET_PARAMETER: &str = "Bucket";
/// The parameter that takes the architecture of the functions' code.
pub const ARCHITECTURE_PARAMETER: &str = "Architecture";
/// The parameter that takes the ARNs of the KMS keys of adopted queues and of an adopted bucket.
pub(crate) const ADOPTED_KEYS_PARAMETER: &str = "AdoptedKeys";
/// The condition that there are such keys.
pub(crate) const HAS_ADOPTED_KEYS: &str = "HasAdoptedKeys";
/// The bucket's folder for configs. Each stack has its own folder there, with its config and the files that it
/// includes.
const CONFIG_FOLDER: &str = "config";
/// The config's file name in its stack's folder.
pub const CONFIG_FILE: &str = "ecs-trigger.yaml";

/// Returns the key, in the bucket, of a file of a stack's config. `path` is relative to the config's folder.
pub fn config_key(stack: &str, path: &str) -> String {
    format!("{CONFIG_FOLDER}/{stack}/{path}")
}

/// Returns the key, in the bucket, of the archive of a function's code. `hash` is the archive's SHA-256 as hexadecimal
/// digits.
pub fn code_key(function: Function, hash: &str) -> String {
    format!("functions/{}-{hash}.zip", function.name())
}

/// Returns the hash in the key of an archive.
pub(crate) fn hash_of_code(key: &str) -> Option<&str> {
    let hash = key.strip_suffix(".zip")?.rsplit('-').next()?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then_some(hash)
}

/// Returns the logical id for a name: the name's letters and digits, and four characters of its hash, since different
/// names can have the same letters. It depends on nothing else: adding or removing other resources never changes it.
pub(crate) fn identifier(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let word = |word: &str| {
        let (first, rest) = word.split_at(1);
        format!("{}{rest}", first.to_ascii_uppercase())
    };
    format!("{}{}", words.map(word).collect::<String>(), &format!("{:X}", Sha256::digest(name))[..4])
}

/// EventBridge refuses a rule whose name has more characters.
/// Source: <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html>
pub(crate) const RULE_NAME_CHARACTERS_MAX: usize = 64;

/// Returns the name of the rule for a part of the events, without the stack's name: the values that the part has, as far
/// as they fit, and six characters of their hash.
pub(crate) fn rule_name(stack: &str, key: &[Option<String>]) -> String {
    let words: Vec<&str> = key.iter().map(|value| value.as_deref().unwrap_or("others")).collect();
    let hash = format!("{:x}", Sha256::digest(format!("{key:?}")));
    let room = RULE_NAME_CHARACTERS_MAX - stack.len() - ".".len() - "-".len() - 6;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ['.', '-', '_'].contains(&c);
    let plain = words.join(".").chars().map(|c| if is_plain(c) { c } else { '-' }).take(room).collect::<String>();
    format!("{plain}-{}", &hash[..6])
}

/// Returns the whole name of one of the stack's rules. A stack's name has no dot, so that no two stacks have a rule of the
/// same name, and none has a rule that begins with the name of another.
pub(crate) fn rule_of_stack(name: &str) -> Value {
    sub(format!("${{AWS::StackName}}.{name}"))
}

/// Returns a pattern for the ARNs of the stack's rules. The functions and the dead-letter queue accept only them.
pub(crate) fn rules_of_this_stack() -> Value {
    sub("arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${AWS::StackName}.*")
}

/// Returns the logical id of a queue that the stack creates.
pub(crate) fn queue_id(queue: &Queue) -> String {
    format!("Queue{}", id_of(queue))
}

/// Returns the part of a logical id that identifies a queue. Queues of the same name in another Region or account have
/// another one.
pub(crate) fn id_of(queue: &Queue) -> String {
    let place =
        [&queue.region, &queue.account].into_iter().flatten().map(|part| format!("/{part}")).collect::<String>();
    identifier(&format!("{}{place}", queue.name))
}

/// Returns the ARN of a queue, whether the stack creates it or not.
pub(crate) fn queue_arn(config: &RoutingConfig, queue: &Queue) -> Value {
    if config.stack.queue(queue).is_created {
        return attribute(&queue_id(queue), "Arn");
    }
    let region = queue.region.as_deref().unwrap_or("${AWS::Region}");
    let account = queue.account.as_deref().unwrap_or("${AWS::AccountId}");
    sub(format!("arn:${{AWS::Partition}}:sqs:{region}:{account}:{}", queue.name))
}

/// Returns the logical id of the dead-letter queue of a queue that the stack creates.
pub(crate) fn dead_letters_id(queue: &Queue) -> String {
    format!("{}DeadLetters", queue_id(queue))
}

/// Returns the queues that the stack creates.
pub(crate) fn created_queues(config: &RoutingConfig) -> impl Iterator<Item = &Queue> {
    config.all_queues().into_iter().filter(|queue| config.stack.queue(queue).is_created)
}

/// Returns the name of each queue that the stack creates, with the logical id of its dead-letter queue.
pub(crate) fn dead_letters(config: &RoutingConfig) -> impl Iterator<Item = (&str, String)> {
    created_queues(config).map(|queue| (queue.name.as_str(), dead_letters_id(queue)))
}

/// Returns the ARN of the table with the launches, or of a part of it.
pub(crate) fn table_arn(storage: &Storage, part: &str) -> Value {
    arn("dynamodb", &format!("table/{}{part}", storage.table()))
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
