//! What a user wants to start, and how: what `init` asks for.

/// What starts tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Start {
    /// Each object that is created in a bucket, below a prefix.
    Object { bucket: String, prefix: String },
    /// A schedule.
    Schedule { expression: String, timezone: Option<String> },
    /// Each message of a queue.
    Message { queue: String },
    /// The depth of a queue, whose messages the tasks receive themselves.
    Depth { queue: String },
}

impl Start {
    /// Returns what a bucket and a prefix mean, written as `BUCKET`, `BUCKET/PREFIX` or a URI of S3.
    pub(super) fn object(text: &str) -> Self {
        let name = text.strip_prefix("s3://").unwrap_or(text);
        let (bucket, prefix) = name.split_once('/').unwrap_or((name, ""));
        Self::Object { bucket: bucket.to_owned(), prefix: prefix.to_owned() }
    }

    /// Returns the queue whose messages are meant.
    pub(super) fn queue(&self) -> Option<&str> {
        match self {
            Self::Message { queue } | Self::Depth { queue } => Some(queue),
            Self::Object { .. } | Self::Schedule { .. } => None,
        }
    }
}

/// What the tasks run on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
pub(super) enum LaunchType {
    /// AWS runs the tasks.
    #[default]
    Fargate,
    /// The cluster's own instances run the tasks.
    Ec2,
    /// Machines outside AWS run the tasks.
    External,
}

impl LaunchType {
    /// Returns the name by which ECS knows it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Fargate => "FARGATE",
            Self::Ec2 => "EC2",
            Self::External => "EXTERNAL",
        }
    }
}

/// The answers of which a config is made. What is not known has a placeholder in the config.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers {
    /// What starts tasks: at least one, and no others beside those of kind [`Start::Depth`].
    pub(super) starts: Vec<Start>,
    /// Whether the names in `starts` are examples, which the user has to change.
    pub(super) is_example: bool,
    /// The family of the task definition, also with a revision, or its ARN.
    pub(super) task_definition: Option<String>,
    /// The container that gets the command and the variables.
    pub(super) container: Option<String>,
    pub(super) cluster: Option<String>,
    pub(super) launch_type: LaunchType,
    /// Whether each task has a network interface of its own.
    pub(super) is_awsvpc: bool,
    pub(super) subnets: Vec<String>,
    pub(super) security_groups: Vec<String>,
    pub(super) assign_public_ip: bool,
    /// The words of the command. Without any, the image's own command runs.
    pub(super) command: Vec<String>,
    /// The bucket of the ledger.
    pub(super) storage: Option<String>,
    /// The queues that `deploy` creates.
    pub(super) created_queues: Vec<String>,
}

/// Splits a command into words at white space. Quotes and `{{ ... }}` keep a word together.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut closing: Option<&str> = None;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let template = [("{{", "}}"), ("{%", "%}")].into_iter().find(|(opening, _)| rest.starts_with(opening));
        let taken = match (closing, template) {
            (Some(end), _) if rest.starts_with(end) => {
                closing = None;
                // Quotes are not part of the word; braces are.
                if end.len() > 1 {
                    word.get_or_insert_default().push_str(end);
                }
                end.len()
            }
            (None, Some((opening, end))) => {
                closing = Some(end);
                word.get_or_insert_default().push_str(opening);
                opening.len()
            }
            (None, None) if next == '\'' || next == '"' => {
                closing = Some(if next == '"' { "\"" } else { "'" });
                word.get_or_insert_default();
                1
            }
            (None, None) if next.is_whitespace() => {
                words.extend(word.take());
                next.len_utf8()
            }
            _ => {
                word.get_or_insert_default().push(next);
                next.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    words.extend(word);
    words
}
