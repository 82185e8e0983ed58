//! `ecs-trigger init`: writes a config for what should start what.

#[cfg(feature = "aws")]
mod account;
#[cfg(not(feature = "aws"))]
#[path = "init/without_account.rs"]
mod account;
mod answers;
mod config;
mod offers;
mod prompt;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use trigger_core::config::schema;

use self::account::{AccountFlags, Looked};
use self::answers::{Answers, LaunchType, Start, words};
use self::config::{Made, SCHEMA_FILE, Unusable, make};
use self::offers::{Offer, Offers};
use self::prompt::Prompt;
use crate::config::{FILE_NAME, show, variable};
use crate::diagnostics;
use crate::exit::Failed;
use crate::output::{self, line, printable};

/// Write a config: what should start which task.
///
/// Asks what it needs to know, or takes it from the options. The config has comments, and tests that pass. What is not
/// known has a placeholder that is marked CHANGE. Without a terminal and without options, the config is an example.
/// Never overwrites a config without --force.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # Answer questions
  ecs-trigger init

  # Each upload starts a task
  ecs-trigger init --s3 uploads/incoming/ --task-definition import-csv \\
    --container app --cluster batch --subnets subnet-0a1b2c3d

  # Another folder, an existing task definition, a command with templates
  ecs-trigger init nightly --schedule 'cron(0 3 * * ? *)' \\
    --timezone Asia/Seoul --task-definition report \\
    --command 'report {{ scheduled.date }}'")]
pub(crate) struct Init {
    /// The folder to write the config to. It is made if it does not exist.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Start a task for each object that is created in this bucket; repeatable.
    #[arg(long = "s3", value_name = "BUCKET[/PREFIX]", help_heading = WHAT)]
    objects: Vec<String>,
    /// Start a task at each firing of this schedule, such as 'rate(1 hour)'; repeatable.
    #[arg(long = "schedule", value_name = "EXPRESSION", help_heading = WHAT)]
    schedules: Vec<String>,
    /// The time zone of the schedules. Default: UTC.
    #[arg(long, value_name = "ZONE", requires = "schedules", help_heading = WHAT)]
    timezone: Option<String>,
    /// Start a task for each message of this queue; repeatable.
    #[arg(long = "queue", value_name = "QUEUE", help_heading = WHAT)]
    queues: Vec<String>,
    /// Run workers that receive the messages of this queue themselves, as many as its depth demands; repeatable.
    #[arg(
        long = "workers",
        value_name = "QUEUE",
        conflicts_with_all = ["objects", "schedules", "queues"],
        help_heading = WHAT,
    )]
    workers: Vec<String>,
    /// Let `deploy` create the queues.
    #[arg(long, help_heading = WHAT)]
    create_queues: bool,
    /// The task definition to run: its family, also with a revision, or its ARN.
    #[arg(long, value_name = "FAMILY", help_heading = TASK)]
    task_definition: Option<String>,
    /// The container that gets the command and the values of the event.
    #[arg(long, value_name = "NAME", help_heading = TASK)]
    container: Option<String>,
    /// The cluster.
    #[arg(long, value_name = "NAME", help_heading = TASK)]
    cluster: Option<String>,
    /// What runs the task. Default: that of the task definition if it was looked at, otherwise FARGATE.
    #[arg(long, value_name = "TYPE", value_enum, ignore_case = true, help_heading = TASK)]
    launch_type: Option<LaunchType>,
    /// The command, with templates such as {{ key }}. Default: the image's own; the event is in variables anyway.
    #[arg(long, value_name = "COMMAND", help_heading = TASK)]
    command: Option<String>,
    /// The subnets, separated by commas.
    #[arg(long, value_name = "IDS", value_delimiter = ',', help_heading = TASK)]
    subnets: Vec<String>,
    /// The security groups, separated by commas.
    #[arg(long, value_name = "IDS", value_delimiter = ',', help_heading = TASK)]
    security_groups: Vec<String>,
    /// Give each task a public IP address, as it needs in a public subnet.
    #[arg(long, help_heading = TASK)]
    assign_public_ip: bool,
    /// The bucket of the ledger, which `deploy` creates.
    #[arg(long, value_name = "BUCKET")]
    storage: Option<String>,
    /// Ask nothing, also at a terminal.
    #[arg(short, long)]
    yes: bool,
    /// Overwrite a config.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    account: AccountFlags,
}

const WHAT: &str = "What starts a task";
const TASK: &str = "The task";

impl Init {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let file = self.file(FILE_NAME);
        if file.exists() && !self.force {
            return Err(exists(&file));
        }
        let is_asking = !self.yes && io::stdin().is_terminal() && io::stderr().is_terminal();
        let mut input = io::stdin().lock();
        let mut prompt = Prompt { input: &mut input, show: &mut |text| output::on_stderr(text) };
        let answers = self.answers(is_asking.then_some(&mut prompt))?;
        let made = make(&answers, &variable).map_err(|Unusable { source, problems }| {
            show(&source, &problems);
            diagnostics::error("the answers make no valid config: nothing is written");
            Failed::Invalid
        })?;
        self.write(&file, &made)
    }

    /// Returns the path of a file in the folder, without a leading dot.
    fn file(&self, name: &str) -> PathBuf {
        self.folder.strip_prefix(".").unwrap_or(&self.folder).join(name)
    }

    fn write(&self, file: &Path, made: &Made) -> Result<(), Failed> {
        let failed = |path: &Path, error| Failed::File { path: path.to_owned(), error };
        fs::create_dir_all(&self.folder).map_err(|error| failed(&self.folder, error))?;
        let opened = match self.force {
            true => File::create(file),
            false => File::create_new(file),
        };
        let mut opened = opened.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => exists(file),
            _ => failed(file, error),
        })?;
        opened.write_all(made.text.as_bytes()).map_err(|error| failed(file, error))?;
        let schema_file = self.file(SCHEMA_FILE);
        let text = format!("{}\n", output::indented(&schema()));
        fs::write(&schema_file, text).map_err(|error| failed(&schema_file, error))?;
        line!("wrote {}, and {SCHEMA_FILE} for editors", printable(&file.display().to_string()))?;
        for warning in &made.warnings {
            diagnostics::warning(&warning.message);
        }
        for test in &made.incomplete_tests {
            diagnostics::warning(&format!(
                "the sample of the test `{test}` lacks what the command takes from the event; add it, and run \
                 `ecs-trigger test --update`"
            ));
        }
        if !made.to_change.is_empty() {
            line!("change what is marked CHANGE: {}", made.to_change.join(", "))?;
        }
        let folder = match self.folder == Path::new(".") {
            true => String::new(),
            false => format!(" {}", printable(&self.folder.display().to_string())),
        };
        line!("next: ecs-trigger test{folder}, ecs-trigger dev{folder}, ecs-trigger deploy{folder}")
    }

    /// Collects the answers: from the options, then from the account, then from the user.
    fn answers(&self, mut prompt: Option<&mut Prompt<'_>>) -> Result<Answers, Failed> {
        let mut starts = self.starts();
        let is_open = starts.is_empty();
        let kind = match &mut prompt {
            Some(prompt) if is_open => Some(ask_kind(prompt)?),
            _ => None,
        };
        let looked = self.account.look(prompt.as_deref_mut())?;
        let nothing = Offers::default();
        let offers = looked.as_ref().map_or(&nothing, Looked::offers);
        if let (Some(prompt), Some(kind)) = (&mut prompt, kind) {
            starts.push(ask_start(prompt, kind, offers)?);
        }
        let is_example = starts.is_empty();
        if is_example {
            starts = example();
        }
        let created_queues = self.created_queues(&starts, looked.as_ref(), prompt.as_deref_mut(), is_open)?;
        let given = self.account.task_definition().or(self.task_definition.as_deref());
        let offered = ("task definitions", "--task-definition", offers.task_definitions.as_slice());
        let task_definition = one(given, prompt.as_deref_mut(), "Task definition (its family)", offered)?;
        let described = match (&looked, &task_definition) {
            (Some(looked), Some(name)) => Some(looked.describe(name)?),
            _ => None,
        };
        // Without a user to ask, the first container that is essential is the one.
        let containers = described.as_ref().map_or(&[][..], |described| &described.containers);
        let containers = if prompt.is_some() { containers } else { containers.get(..1).unwrap_or_default() };
        let offered = ("containers", "--container", containers);
        let container = one(self.container.as_deref(), prompt.as_deref_mut(), "Container", offered)?;
        let offered = ("clusters", "--cluster", offers.clusters.as_slice());
        let cluster = one(self.cluster.as_deref(), prompt.as_deref_mut(), "Cluster (empty: default)", offered)?;
        let known = self.launch_type.or(described.as_ref().map(|described| described.launch_type));
        let launch_type = match (known, &mut prompt) {
            (Some(known), _) => known,
            (None, Some(prompt)) => ask_launch_type(prompt)?,
            (None, None) => LaunchType::default(),
        };
        let is_awsvpc = described.is_some_and(|described| described.is_awsvpc);
        let mut answers = Answers {
            starts,
            is_example,
            task_definition,
            container,
            cluster,
            launch_type,
            is_awsvpc,
            subnets: self.subnets.clone(),
            security_groups: self.security_groups.clone(),
            assign_public_ip: self.assign_public_ip,
            command: words(self.command.as_deref().unwrap_or_default()),
            storage: self.storage.clone(),
            created_queues,
        };
        if let Some(prompt) = prompt {
            self.ask_rest(prompt, offers, &mut answers)?;
        }
        Ok(answers)
    }

    /// Returns what the options say starts tasks.
    fn starts(&self) -> Vec<Start> {
        let schedule =
            |expression: &String| Start::Schedule { expression: expression.clone(), timezone: self.timezone.clone() };
        let objects = self.objects.iter().map(|name| Start::object(name));
        let schedules = self.schedules.iter().map(schedule);
        let queues = self.queues.iter().map(|queue| Start::Message { queue: queue.clone() });
        let workers = self.workers.iter().map(|queue| Start::Depth { queue: queue.clone() });
        objects.chain(schedules).chain(queues).chain(workers).collect()
    }

    /// Returns the queues that `deploy` creates. An account that was looked at knows which ones exist.
    fn created_queues(
        &self,
        starts: &[Start],
        looked: Option<&Looked>,
        prompt: Option<&mut Prompt<'_>>,
        is_asked: bool,
    ) -> Result<Vec<String>, Failed> {
        let mut queues: Vec<String> = starts.iter().filter_map(Start::queue).map(str::to_owned).collect();
        queues.dedup();
        if let Some(looked) = looked {
            queues.retain(|name| !looked.offers().queues.iter().any(|known| known.value == *name));
        }
        let is_wanted = match prompt {
            _ if self.create_queues || queues.is_empty() => self.create_queues,
            Some(prompt) if is_asked => prompt.yes("Let `deploy` create the queue?")?,
            _ => false,
        };
        Ok(if is_wanted { queues } else { Vec::new() })
    }

    fn ask_rest(&self, prompt: &mut Prompt<'_>, offers: &Offers, answers: &mut Answers) -> Result<(), Failed> {
        if answers.launch_type == LaunchType::Fargate || answers.is_awsvpc {
            if answers.subnets.is_empty() {
                answers.subnets = prompt.choices("Subnets", &offers.subnets)?;
            }
            if answers.security_groups.is_empty() {
                answers.security_groups =
                    prompt.choices("Security groups (none: the default one of the VPC)", &offers.security_groups)?;
            }
            if !answers.assign_public_ip && answers.launch_type == LaunchType::Fargate {
                answers.assign_public_ip =
                    prompt.yes("Are these public subnets? Then each task gets a public IP address")?;
            }
        }
        if self.command.is_none() {
            let command = prompt.text("Command, with templates such as {{ key }} (empty: that of the image)", None)?;
            answers.command = words(command.as_deref().unwrap_or_default());
        }
        Ok(())
    }
}

fn exists(file: &Path) -> Failed {
    Failed::Refused(format!("{} exists; pass --force to overwrite it, or name another folder", file.display()))
}

/// Returns what starts tasks in the example.
fn example() -> Vec<Start> {
    vec![
        Start::Object { bucket: "my-uploads".to_owned(), prefix: "incoming/".to_owned() },
        Start::Schedule { expression: "cron(0 3 * * ? *)".to_owned(), timezone: Some("Europe/Berlin".to_owned()) },
        Start::Message { queue: "my-jobs".to_owned() },
    ]
}

/// The kinds of starts, in the order in which the user chooses among them.
#[derive(Debug, Clone, Copy)]
enum StartKind {
    Object,
    Schedule,
    Message,
    Depth,
}

fn ask_kind(prompt: &mut Prompt<'_>) -> Result<StartKind, Failed> {
    const KINDS: [(&str, StartKind); 4] = [
        ("an object that is created in an S3 bucket", StartKind::Object),
        ("a schedule", StartKind::Schedule),
        ("a message of a queue: one task for each", StartKind::Message),
        ("the depth of a queue: workers that receive its messages", StartKind::Depth),
    ];
    let offered = KINDS.map(|(label, _)| Offer::from(label));
    loop {
        let chosen = prompt.choice("What starts a task", &offered)?;
        if let Some((_, kind)) = KINDS.into_iter().find(|(label, _)| chosen.as_deref() == Some(label)) {
            return Ok(kind);
        }
    }
}

fn ask_start(prompt: &mut Prompt<'_>, kind: StartKind, offers: &Offers) -> Result<Start, Failed> {
    let named = |prompt: &mut Prompt<'_>, question: &str, offered: &[Offer]| match offered {
        [] => prompt.needed(question),
        _ => Ok(prompt.choice(question, offered)?.unwrap_or_default()),
    };
    Ok(match kind {
        StartKind::Object => {
            let bucket = named(prompt, "Bucket", &offers.buckets)?;
            let prefix = prompt.text("Prefix of the keys, such as incoming/ (empty: all objects)", None)?;
            Start::Object { bucket, prefix: prefix.unwrap_or_default() }
        }
        StartKind::Schedule => {
            let expression = prompt.text("Schedule: cron(...), rate(...) or at(...)", Some("cron(0 3 * * ? *)"))?;
            let timezone = prompt.text("Time zone, such as Europe/Berlin", Some("UTC"))?;
            Start::Schedule {
                expression: expression.unwrap_or_default(),
                timezone: timezone.filter(|timezone| timezone != "UTC"),
            }
        }
        StartKind::Message => Start::Message { queue: named(prompt, "Queue", &offers.queues)? },
        StartKind::Depth => Start::Depth { queue: named(prompt, "Queue", &offers.queues)? },
    })
}

fn ask_launch_type(prompt: &mut Prompt<'_>) -> Result<LaunchType, Failed> {
    const TYPES: [LaunchType; 3] = [LaunchType::Fargate, LaunchType::Ec2, LaunchType::External];
    let offered = TYPES.map(|launch_type| Offer::from(launch_type.as_str()));
    loop {
        let chosen = prompt.choice("Launch type", &offered)?.unwrap_or_default();
        if let Some(found) = TYPES.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(&chosen)) {
            return Ok(found);
        }
    }
}

/// Returns the value that an option gives, or the one that the user chooses. Without a user to ask, a single offer is
/// taken. `offered` has the name of what is offered, its option, and the offers.
fn one(
    given: Option<&str>,
    prompt: Option<&mut Prompt<'_>>,
    question: &str,
    (what, option, offers): (&str, &str, &[Offer]),
) -> Result<Option<String>, Failed> {
    match (given, prompt, offers) {
        (Some(given), ..) => Ok(Some(given.to_owned())),
        (None, Some(prompt), offers) => prompt.choice(question, offers),
        (None, None, []) => Ok(None),
        (None, None, [only]) => Ok(Some(only.value.clone())),
        (None, None, several) => {
            let values: Vec<&str> = several.iter().map(|offer| offer.value.as_str()).collect();
            Err(Failed::Usage(format!("the account has several {what}; name one with {option}: {}", values.join(", "))))
        }
    }
}
