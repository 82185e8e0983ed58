//! `stack`: what `ecs-trigger deploy` needs to know beyond routes and workers.

mod demands;

use crate::event::{Queue, RECEIVES_MIN, visibility_timeout_min};
use crate::text::Spanned;
use crate::text::decode::{choice, record};
use crate::text::diagnostic::Diagnostic;
use crate::text::values::{Duration, Mapping, OneOrMany, Text};

record! {
    /// The CloudFormation stack that is generated from this config.
    #[derive(Default)]
    pub struct StackConfig ("a mapping") {
        /// The name of the stack, and the start of the names of its resources: at most 40 letters, digits and `-`,
        /// beginning with a letter. Default: `ecs-trigger`.
        #[schemars(length(min = 1, max = 40), regex(pattern = "^[A-Za-z][A-Za-z0-9-]*$"), extend("default" = "ecs-trigger"))]
        pub name: Option<Spanned<String>>,
        /// The memory of each function in MiB, 128 to 10,240. CPU is proportional to it. The scaler always has 128 MiB,
        /// as it mostly waits. Default: 256.
        #[schemars(range(min = 128, max = 10_240), extend("default" = 256))]
        pub memory: Option<Spanned<u32>>,
        /// How many days CloudWatch Logs keeps the functions' logs. Only CloudWatch's own retention periods are
        /// allowed. Default: 30.
        #[schemars(extend("enum" = LOG_RETENTION_DAYS, "default" = 30))]
        pub log_retention_days: Option<Spanned<u32>>,
        /// `create`: `deploy` creates the bucket of `storage`; `adopt`: it exists already. Default: `create`.
        pub storage_bucket: Option<Origin>,
        /// The queues that the stack creates, and how messages are received, by queue name. Queues that are not listed
        /// here must exist.
        pub queues: Option<Mapping<Spanned<StackQueue>>>,
        /// The ARN of the SNS topic that the alarms notify. Default: the alarms send no notifications.
        pub alarm_topic: Option<Spanned<String>>,
        /// Whether AWS X-Ray traces the functions. Default: false.
        #[schemars(extend("default" = false))]
        pub tracing: Option<bool>,
        /// The tags of both stacks, and of each of their resources that can have tags: at most 50.
        #[schemars(example = &serde_json::json!({ "team": "images", "cost-center": "4711" }))]
        pub tags: Option<Mapping<Spanned<Text>>>,
        /// The policy that limits what the stack's roles may do: its ARN, or its name in the stack's account. It must
        /// allow what the functions do.
        #[schemars(example = &"arn:aws:iam::111122223333:policy/team-boundary")]
        pub permissions_boundary: Option<Spanned<String>>,
        /// The path of the stack's roles and managed policies, which begins and ends with `/`. Default: `/`.
        #[schemars(example = &"/team/")]
        pub role_path: Option<Spanned<String>>,
        /// The start of the names of all resources. It is put before the stack's name and the names of the queues that
        /// the stack creates, unless they begin with it. A bucket and a table that are created must have names that
        /// begin with it. At most 20 letters, digits and `-`, beginning with a letter.
        #[schemars(regex(pattern = "^[A-Za-z][A-Za-z0-9-]{0,19}$"), example = &"team-")]
        pub name_prefix: Option<Spanned<String>>,
        /// The ARN of the KMS key that encrypts the bucket, the table, the queues, the log groups and the functions'
        /// variables. Its policy must allow the services that use it. Default: AWS's own keys.
        #[schemars(example = &"arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab")]
        pub kms_key: Option<Spanned<String>>,
        /// The VPC in which the functions run. Its subnets need a way to the services that the functions call. Default:
        /// the functions run in Lambda's own network.
        pub vpc: Option<Spanned<VpcConfig>>,
        /// The class of the functions' log groups. Default: `STANDARD`.
        pub log_class: Option<Spanned<LogClass>>,
    }
}

record! {
    /// The subnets and security groups of the functions.
    pub struct VpcConfig ("a mapping with `subnets` and `security_groups`") {
        /// The ids of 1 to 16 subnets of one VPC.
        #[schemars(length(min = 1, max = 16))]
        pub subnets: Vec<Spanned<String>>,
        /// The ids of 1 to 5 security groups of that VPC.
        #[schemars(length(min = 1, max = 5))]
        pub security_groups: Vec<Spanned<String>>,
    }
}

choice! {
    /// A class of log groups.
    pub enum LogClass {
        /// Everything that CloudWatch Logs offers.
        Standard = "STANDARD",
        /// Half the price, and no metrics from logs: there are none of ecs-trigger's metrics, and no alarms on them.
        InfrequentAccess = "INFREQUENT_ACCESS",
    }
}

choice! {
    /// Whether a resource is created or exists already.
    pub enum Origin {
        /// The resource is created.
        Create = "create",
        /// The resource exists already.
        Adopt = "adopt",
    }
}

record! {
    /// A queue, and how its messages are received.
    #[derive(Default)]
    pub struct StackQueue ("a mapping") {
        /// Whether the stack creates the queue and a dead-letter queue for it, or adopts an existing queue. Default:
        /// `adopt`.
        pub queue: Option<Origin>,
        /// Who may send messages to the queue beside the buckets of its routes: the ARNs of SNS topics, EventBridge rules
        /// and buckets, and the ids of other accounts whose buckets may. Only with `queue: create`.
        #[schemars(example = &"arn:aws:sns:eu-west-1:111122223333:orders")]
        pub senders: Option<OneOrMany<Spanned<String>>>,
        /// How long a received message is hidden from other receivers, at most 12h. For a route's queue: at least six
        /// times the function's timeout of 60 s, plus `batch_window`. Default: 6m plus `batch_window`.
        pub visibility_timeout: Option<Spanned<Duration>>,
        /// How often a message can be received before it moves to the dead-letter queue, 1 to 1000. For a route's
        /// queue: at least 5. Default: 5.
        #[schemars(range(min = 1, max = 1000), extend("default" = 5))]
        pub max_receive_count: Option<Spanned<u32>>,
        /// How many messages the function receives at once: 1 to 10,000; for a FIFO queue at most 10. Default: 10.
        #[schemars(range(min = 1, max = 10_000), extend("default" = 10))]
        pub batch_size: Option<Spanned<u32>>,
        /// How long Lambda waits to fill a batch, at most 5m. Required, at least 1s, if `batch_size` is above 10. Not
        /// valid for FIFO queues. Default: Lambda does not wait.
        pub batch_window: Option<Spanned<Duration>>,
        /// How many instances of the function process messages of this queue at once: 2 to 1000. Default: no limit.
        #[schemars(range(min = 2, max = 1000))]
        pub maximum_concurrency: Option<Spanned<u32>>,
    }
}

/// The retention periods of CloudWatch Logs, in days.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html>
const LOG_RETENTION_DAYS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// The longest name of a queue that the stack creates: with `-dead-letters` appended, it must fit into SQS's 80
/// characters.
const CREATED_NAME_CHARACTERS_MAX: usize = 67;

/// Who may send messages to a queue that the stack creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender<'a> {
    /// The buckets of an account that the routes name.
    Account(&'a str),
    /// An SNS topic, by its ARN.
    Topic(&'a str),
    /// An EventBridge rule, by its ARN.
    Rule(&'a str),
    /// A bucket, by its ARN.
    Bucket(&'a str),
}

impl<'a> Sender<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        match text.splitn(6, ':').collect::<Vec<_>>().as_slice() {
            [account] if is_account(account) => Some(Self::Account(account)),
            ["arn", _, "sns", region, account, name] if !region.is_empty() && is_account(account) => {
                (!name.is_empty()).then_some(Self::Topic(text))
            }
            ["arn", _, "events", region, account, rule] if !region.is_empty() && is_account(account) => {
                rule.starts_with("rule/").then_some(Self::Rule(text))
            }
            ["arn", _, "s3", "", "", name] if !name.is_empty() => Some(Self::Bucket(text)),
            _ => None,
        }
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// How a queue is created and read, with defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueSettings {
    /// Whether the stack creates the queue.
    pub is_created: bool,
    /// In seconds.
    pub visibility_timeout: u32,
    /// How often a message can be received.
    pub max_receive_count: u32,
    /// How many messages the function receives at once.
    pub batch_size: u32,
    /// In seconds.
    pub batch_window: u32,
    /// How many instances of the function run at once; none: no limit.
    pub maximum_concurrency: Option<u32>,
}

impl StackConfig {
    /// Returns the stack's name.
    pub fn name(&self) -> &str {
        self.name.as_ref().map_or("ecs-trigger", |name| name.value.as_str())
    }

    /// Returns the settings of a queue, or the defaults if the config has none.
    pub fn queue(&self, queue: &Queue) -> QueueSettings {
        let settings = self.queues.as_ref().and_then(|queues| queues.get(&queue.name));
        settings.map(|settings| &settings.value).map_or_else(|| StackQueue::default().settings(), StackQueue::settings)
    }

    /// Returns who may send messages to a queue that the stack creates, beside the buckets of its routes.
    pub fn senders(&self, queue: &Queue) -> Vec<Sender<'_>> {
        let settings = self.queues.as_ref().and_then(|queues| queues.get(&queue.name));
        let written =
            settings.and_then(|settings| settings.senders.as_ref()).into_iter().flat_map(|senders| &senders.0);
        written.filter_map(|sender| Sender::parse(sender)).collect()
    }

    /// Returns the Region of the topic that the alarms notify.
    pub fn alarm_topic_region(&self) -> Option<&str> {
        self.alarm_topic.as_ref().and_then(|topic| topic.split(':').nth(3))
    }

    /// Returns whether the stack creates a queue of this name to keep dead letters.
    pub(crate) fn creates_for_dead_letters(&self, name: &str) -> bool {
        let queues = self.queues.iter().flat_map(|queues| &queues.0);
        let mut created = queues.filter(|(_, queue)| queue.queue == Some(Origin::Create));
        let is_its = |queue: &str| Queue::parse(queue).is_some_and(|queue| queue.dead_letters_name() == name);
        name == format!("{}-dead-letters", self.name()) || created.any(|(queue, _)| is_its(queue))
    }

    /// Reports what AWS would refuse, and what would lose messages. `known` are the queues of routes, whose messages a
    /// function receives, and those of workers; none if they are not all known.
    pub(crate) fn check(&self, known: Option<(Vec<Queue>, Vec<Queue>)>, problems: &mut Vec<Diagnostic>) {
        if let Some(name) = &self.name {
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '-';
            let is_legal = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(legal);
            if !is_legal || name.len() > 40 {
                let problem = Diagnostic::error(name.span, format!("`{}` is not a valid stack name", name.value));
                problems.push(problem.help("begin with a letter; use at most 40 letters, digits and `-`"));
            }
        }
        within(&self.memory, "`memory`", "MiB", 128, 10_240, problems);
        if let Some(days) = self.log_retention_days.as_ref().filter(|days| !LOG_RETENTION_DAYS.contains(days)) {
            let problem =
                Diagnostic::error(days.span, format!("CloudWatch Logs has no retention period of {} days", days.value));
            problems
                .push(problem.help("write one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, ..."));
        }
        if let Some(topic) = &self.alarm_topic
            && !matches!(Sender::parse(topic), Some(Sender::Topic(_)))
        {
            let problem = Diagnostic::error(topic.span, format!("`{}` is not the ARN of an SNS topic", topic.value));
            problems.push(problem.help("write for example `arn:aws:sns:eu-west-1:111122223333:alarms`"));
        }
        self.check_demands(problems);
        let Some((of_routes, of_workers)) = known else { return };
        for (name, queue) in self.queues.iter().flat_map(|queues| &queues.0) {
            let is = |known: &&Queue| known.name == name.value;
            let (of_route, of_worker) = (of_routes.iter().find(is), of_workers.iter().find(is));
            let Some(known) = of_route.or(of_worker) else {
                let problem = Diagnostic::error(name.span, format!("no route or worker uses a queue `{}`", name.value));
                problems
                    .push(problem.help("write the name of a queue that a route or worker uses, or remove this entry"));
                continue;
            };
            if queue.queue == Some(Origin::Create) && (known.region.is_some() || known.account.is_some()) {
                let message = format!("the stack cannot create the queue `{}`, as its ARN or URL is given", name.value);
                problems.push(
                    Diagnostic::error(name.span, message)
                        .help("write only the queue's name in the route or worker, or write `queue: adopt`"),
                );
            }
            if queue.queue == Some(Origin::Create)
                && (name.value == self.name() || name.len() > CREATED_NAME_CHARACTERS_MAX)
            {
                let message = format!("the dead-letter queue of `{}` would have no valid name", name.value);
                let help = format!(
                    "rename the queue: at most {CREATED_NAME_CHARACTERS_MAX} characters, and not the stack's name"
                );
                problems.push(Diagnostic::error(name.span, message).help(help));
            }
            queue.value.check(name, of_route.is_some(), problems);
        }
    }
}

impl StackQueue {
    fn settings(&self) -> QueueSettings {
        let seconds = |duration: &Option<Spanned<Duration>>| {
            duration.as_ref().map(|duration| u32::try_from(duration.value.0.as_secs()).unwrap_or(u32::MAX))
        };
        let batch_window = seconds(&self.batch_window).unwrap_or(0);
        let visible_after = visibility_timeout_min(batch_window);
        let number = |number: &Option<Spanned<u32>>| number.as_ref().map(|number| number.value);
        QueueSettings {
            is_created: self.queue == Some(Origin::Create),
            visibility_timeout: seconds(&self.visibility_timeout).unwrap_or(visible_after),
            max_receive_count: number(&self.max_receive_count).unwrap_or(RECEIVES_MIN),
            batch_size: number(&self.batch_size).unwrap_or(10),
            batch_window,
            maximum_concurrency: number(&self.maximum_concurrency),
        }
    }

    fn check(&self, name: &Spanned<String>, is_of_route: bool, problems: &mut Vec<Diagnostic>) {
        let is_fifo = name.ends_with(".fifo");
        within(&self.max_receive_count, "`max_receive_count`", "", 1, 1000, problems);
        within(&self.batch_size, "`batch_size`", "", 1, if is_fifo { 10 } else { 10_000 }, problems);
        within(&self.maximum_concurrency, "`maximum_concurrency`", "", 2, 1000, problems);
        let settings = self.settings();
        if let Some(window) = self.batch_window.as_ref().filter(|_| is_fifo || settings.batch_window > 300) {
            let problem =
                Diagnostic::error(window.span, "`batch_window` must be at most 5m, and is not valid for a FIFO queue");
            problems.push(problem.help("write a shorter `batch_window`, or remove it"));
        }
        if let Some(size) = self.batch_size.as_ref().filter(|size| size.value > 10 && settings.batch_window == 0) {
            let problem = Diagnostic::error(size.span, "a `batch_size` above 10 needs a `batch_window`");
            problems.push(problem.help("add `batch_window: 1s`"));
        }
        if let Some(visible) = self.visibility_timeout.as_ref().filter(|_| settings.visibility_timeout > 43_200) {
            let problem = Diagnostic::error(visible.span, "`visibility_timeout` must be at most 12h");
            problems.push(problem.help("write `12h` or less"));
        }
        for sender in self.senders.iter().flat_map(|senders| &senders.0) {
            let (message, help) = match Sender::parse(sender) {
                _ if self.queue != Some(Origin::Create) => (
                    "`senders` is only valid with `queue: create`".to_owned(),
                    "write the policy of a queue that exists where the queue is defined",
                ),
                None => (
                    format!("`{}` is neither the ARN of a topic, rule or bucket nor an account id", sender.value),
                    "write for example `arn:aws:sns:eu-west-1:111122223333:orders`, \
                     `arn:aws:events:eu-west-1:111122223333:rule/orders`, `arn:aws:s3:::uploads` or `111122223333`",
                ),
                Some(Sender::Account(_) | Sender::Bucket(_)) if is_fifo => (
                    "S3 cannot notify a FIFO queue".to_owned(),
                    "let an EventBridge rule send the bucket's events, and write the rule's ARN",
                ),
                Some(_) => continue,
            };
            problems.push(Diagnostic::error(sender.span, message).help(help));
        }
        if !is_of_route {
            return;
        }
        let least = visibility_timeout_min(settings.batch_window);
        if let Some(visible) = self.visibility_timeout.as_ref().filter(|_| settings.visibility_timeout < least) {
            let message = "`visibility_timeout` is less than six times the function's timeout of 60 s plus \
                           `batch_window`: a message could be delivered again while the function still processes it";
            problems.push(Diagnostic::error(visible.span, message).help(format!("write `{least}s` or more")));
        }
        if let Some(receives) = self.max_receive_count.as_ref().filter(|receives| receives.value < RECEIVES_MIN) {
            let message =
                "`max_receive_count` is too low: a throttled function receives messages without processing them";
            problems.push(Diagnostic::error(receives.span, message).help("write `5` or more"));
        }
    }
}

fn within(number: &Option<Spanned<u32>>, what: &str, unit: &str, min: u32, max: u32, problems: &mut Vec<Diagnostic>) {
    if let Some(number) = number.as_ref().filter(|number| !(min..=max).contains(&number.value)) {
        let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
        let problem = Diagnostic::error(number.span, format!("{what} is out of range: {}{unit}", number.value));
        problems.push(problem.help(format!("write a number from {min} to {max}")));
    }
}
