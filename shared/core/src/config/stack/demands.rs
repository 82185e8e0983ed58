//! What an account may demand of every resource of a stack: tags, a permissions boundary, a path, names.

use super::{LogClass, StackConfig, is_account};
use crate::ecs::limits::{
    SECURITY_GROUPS_MAX, SUBNETS_MAX, TAG_KEY_CHARACTERS_MAX, TAG_VALUE_CHARACTERS_MAX, TAGS_MAX, refused_in_tag,
};
use crate::text::diagnostic::Diagnostic;
use crate::text::{Span, Spanned};

/// The longest path of a role, in characters.
/// Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>
const PATH_CHARACTERS_MAX: usize = 512;

impl StackConfig {
    /// Returns the tags of the stack, by key.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        let tags = self.tags.iter().flat_map(|tags| &tags.0);
        tags.map(|(key, value)| (key.as_str(), value.value.0.as_str()))
    }

    /// Returns the class of the functions' log groups.
    pub fn log_class(&self) -> LogClass {
        self.log_class.as_ref().map_or(LogClass::Standard, |class| class.value)
    }

    /// Returns the Region of the key.
    pub fn kms_key_region(&self) -> Option<&str> {
        self.kms_key.as_ref().filter(|key| is_key(key)).and_then(|key| key.split(':').nth(3))
    }

    /// Reports what AWS would refuse, and warns of what is lost.
    pub(super) fn check_demands(&self, problems: &mut Vec<Diagnostic>) {
        self.check_tags(problems);
        if let Some(boundary) = self.permissions_boundary.as_ref().filter(|policy| !is_policy(policy)) {
            let message = format!("`{}` is neither the ARN nor the name of a policy", boundary.value);
            let help = "write for example `arn:aws:iam::111122223333:policy/team-boundary` or `team-boundary`";
            problems.push(Diagnostic::error(boundary.span, message).help(help));
        }
        if let Some(path) = self.role_path.as_ref().filter(|path| !is_path(path)) {
            let problem = Diagnostic::error(path.span, format!("`{}` is not the path of a role", path.value));
            problems.push(problem.help("begin and end with `/`, for example `/team/`"));
        }
        if let Some(key) = self.kms_key.as_ref().filter(|key| !is_key(key)) {
            let problem = Diagnostic::error(key.span, format!("`{}` is not the ARN of a KMS key", key.value));
            problems.push(problem.help(
                "write for example `arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab`: log \
                 groups and policies take no alias",
            ));
        }
        if let Some(vpc) = &self.vpc {
            check_ids(vpc.span, "subnets", "subnet-", &vpc.subnets, SUBNETS_MAX, problems);
            check_ids(vpc.span, "security_groups", "sg-", &vpc.security_groups, SECURITY_GROUPS_MAX, problems);
        }
        if let Some(class) = self.log_class.as_ref().filter(|class| class.value == LogClass::InfrequentAccess) {
            let message = "log groups of the class `INFREQUENT_ACCESS` have no metrics: the stack has no alarms on \
                           failed launches, unsent dead letters, refused configs and unseen workers";
            let help = "write `STANDARD` to have them; alarms on queues, the table and the functions' errors stay";
            problems.push(Diagnostic::warning(class.span, message).help(help));
        }
    }

    fn check_tags(&self, problems: &mut Vec<Diagnostic>) {
        let Some(tags) = &self.tags else { return };
        let mut refuse = |span: Span, message: String, help: &str| {
            problems.push(Diagnostic::error(span, message).help(help));
        };
        if let Some((key, _)) = tags.0.get(TAGS_MAX) {
            let message = format!("{} tags, but AWS allows at most {TAGS_MAX}", tags.0.len());
            refuse(key.span, message, "remove some");
        }
        for (key, value) in &tags.0 {
            let sides = [
                ("key", key.span, key.as_str(), TAG_KEY_CHARACTERS_MAX),
                ("value", value.span, value.value.0.as_str(), TAG_VALUE_CHARACTERS_MAX),
            ];
            for (side, span, text, max) in sides {
                if let Some(refused) = refused_in_tag(text) {
                    let message = format!("a tag's {side} cannot contain `{}`", refused.escape_debug());
                    refuse(span, message, "use letters, digits, spaces and `_ . : / = + - @`");
                }
                if text.chars().count() > max {
                    refuse(span, format!("a tag's {side} has at most {max} characters"), "shorten it");
                }
            }
            if key.is_empty() {
                refuse(key.span, "the tag has an empty key".to_owned(), "write a key");
            }
            if key.to_ascii_lowercase().starts_with("aws:") {
                let message = format!("the tag `{}` has the prefix `aws:`, which AWS reserves", key.value);
                refuse(key.span, message, "rename it");
            }
        }
    }
}

/// Reports a list of ids that Lambda would refuse.
/// Source: <https://docs.aws.amazon.com/lambda/latest/api/API_VpcConfig.html>
fn check_ids(span: Span, key: &str, prefix: &str, ids: &[Spanned<String>], max: usize, problems: &mut Vec<Diagnostic>) {
    if !(1..=max).contains(&ids.len()) {
        let problem = Diagnostic::error(span, format!("`{key}` has {} ids", ids.len()));
        problems.push(problem.help(format!("write 1 to {max}")));
    }
    let is_id = |id: &str| {
        let rest = id.strip_prefix(prefix).unwrap_or_default();
        !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric())
    };
    for id in ids.iter().filter(|id| !is_id(id)) {
        let problem = Diagnostic::error(id.span, format!("`{}` is not an id of `{key}`", id.value));
        problems.push(problem.help(format!("write for example `{prefix}0a1b2c3d`")));
    }
}

/// Returns whether a text is the ARN of a managed policy, or its name, with its path if it has one.
fn is_policy(text: &str) -> bool {
    let is_name = |name: &str| {
        let legal = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-/".contains(c);
        !name.is_empty() && !name.starts_with('/') && !name.ends_with('/') && name.chars().all(legal)
    };
    match text.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        ["arn", partition, "iam", "", account, policy] => {
            !partition.is_empty() && !account.is_empty() && policy.strip_prefix("policy/").is_some_and(is_name)
        }
        [name] => is_name(name),
        _ => false,
    }
}

fn is_key(text: &str) -> bool {
    let is_id = |id: &str| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    match text.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        ["arn", partition, "kms", region, account, key] => {
            let is_named = !partition.is_empty() && !region.is_empty() && is_account(account);
            is_named && key.strip_prefix("key/").is_some_and(is_id)
        }
        _ => false,
    }
}

fn is_path(text: &str) -> bool {
    let is_closed = text == "/" || (text.len() > 2 && text.starts_with('/') && text.ends_with('/'));
    is_closed && text.len() <= PATH_CHARACTERS_MAX && text.chars().all(|c| c.is_ascii_graphic())
}
