//! The configs that `init` writes load without errors or warnings, and their tests pass.

use std::io::Cursor;

use clap::Parser;
use expect_test::expect;
use trigger_core::config::test::Expect;
use trigger_core::expectation::{actual, differences};
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

use super::Init;
use super::answers::{Answers, LaunchType, Start, words};
use super::config::{Made, make};
use super::example;
use super::prompt::Prompt;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    init: Init,
}

/// Makes the config for a command line and these answers of a user, if there is one.
fn made(arguments: &str, user: Option<&str>) -> Made {
    let arguments = words(arguments);
    let Line { init } = Line::parse_from(std::iter::once("init".to_owned()).chain(arguments));
    let mut input = Cursor::new(user.unwrap_or_default().to_owned());
    let mut prompt = Prompt { input: &mut input, show: &mut |_| {} };
    let answers = init.answers(user.map(|_| &mut prompt)).expect("all is answered");
    checked(&answers)
}

/// Makes a config, and checks that it loads without a warning and that its tests pass.
fn checked(answers: &Answers) -> Made {
    let made = make(answers, &|_| None).unwrap_or_else(|unusable| {
        let problems: Vec<String> = unusable.problems.iter().map(|problem| problem.line(&unusable.source)).collect();
        panic!("{}\n{problems:#?}", unusable.source.text)
    });
    let source = Source::new("ecs-trigger.yaml", made.text.as_str());
    let config = RoutingConfig::parse(source).expect("the config is valid");
    let warnings: Vec<&str> = config.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert!(warnings.is_empty(), "{}\n{warnings:#?}", made.text);
    let routes = answers.starts.iter().filter(|start| !matches!(start, Start::Depth { .. })).count();
    assert_eq!((config.routes.len(), config.workers.len()), (routes, answers.starts.len() - routes), "{}", made.text);
    assert!(config.tests.len() >= routes, "{}", made.text);
    for test in &config.tests {
        let started = actual(&config, test, "").expect("the sample is an event");
        let expect = test.expect.as_ref().expect("has an expectation");
        assert_eq!(differences(expect, &started), [], "{}\n{}", test.name.0, made.text);
        assert_eq!(expect.value == Expect::NoRoute, test.name.0.contains("starts nothing"), "{}", test.name.0);
    }
    // What a test expects is one line, as `test --update` writes it.
    let is_short = |line: &str| line.len() <= 140 || line.starts_with("    expect: ");
    assert!(made.text.lines().all(is_short), "{}", made.text);
    made
}

#[test]
fn every_combination_of_answers_makes_a_config_that_loads_and_whose_tests_pass() {
    let object = |name: &str| Start::object(name);
    let schedule = |expression: &str, timezone: Option<&str>| Start::Schedule {
        expression: expression.to_owned(),
        timezone: timezone.map(str::to_owned),
    };
    let message = |queue: &str| Start::Message { queue: queue.to_owned() };
    let depth = |queue: &str| Start::Depth { queue: queue.to_owned() };
    let starts = [
        vec![object("uploads")],
        vec![object("uploads/in/ 'x'/")],
        vec![object("uploads/elsewhere/")],
        vec![object("uploads/in/"), object("uploads/out/"), object("others")],
        vec![schedule("cron(0 3 * * ? *)", Some("Asia/Seoul"))],
        vec![schedule("cron(15 10 ? * 6L 2030-2032)", None), schedule("rate(5 minutes)", None)],
        vec![schedule("at(2099-12-31T23:00:00)", None)],
        vec![message("jobs")],
        vec![message("jobs.fifo")],
        vec![message("arn:aws:sqs:eu-west-1:111122223333:jobs")],
        vec![depth("images")],
        vec![depth("images"), depth("images-urgent")],
        example(),
    ];
    let text = |text: &str| Some(text.to_owned());
    let tasks = [
        Answers { is_example: true, ..Answers::default() },
        Answers {
            task_definition: text("import-csv:7"),
            container: text("app"),
            cluster: text("batch"),
            subnets: vec!["subnet-1".to_owned(), "subnet-2".to_owned()],
            security_groups: vec!["sg-1".to_owned()],
            assign_public_ip: true,
            command: words("run --id '{{ id }}' \"it's\" yes 7"),
            storage: text("state-of-mine"),
            ..Answers::default()
        },
        Answers {
            task_definition: text("arn:aws:ecs:eu-west-1:111122223333:task-definition/import_csv:7"),
            container: text("on"),
            launch_type: LaunchType::Ec2,
            is_awsvpc: true,
            ..Answers::default()
        },
        Answers { task_definition: text("7"), launch_type: LaunchType::External, ..Answers::default() },
    ];
    for starts in &starts {
        for task in &tasks {
            for creates_queues in [false, true] {
                let names = starts.iter().filter_map(Start::queue).filter(|name| creates_queues && !name.contains(':'));
                let mut answers = Answers {
                    starts: starts.clone(),
                    created_queues: names.map(str::to_owned).collect(),
                    ..task.clone()
                };
                // A worker's task has no templates: no event starts it.
                if starts.iter().any(|start| matches!(start, Start::Depth { .. })) {
                    answers.command.retain(|word| !word.contains("{{"));
                }
                checked(&answers);
            }
        }
    }
}

#[test]
fn options_alone_make_a_config() {
    let made = made(
        "--s3 uploads/incoming/ --task-definition import-csv --container app --cluster batch \
         --subnets subnet-1,subnet-2 --command 'import s3://{{ bucket }}/{{ key }}'",
        None,
    );
    assert_eq!(made.to_change, [] as [&str; 0]);
    let shown = made.text.split_once("version: 1").expect("has a version").1;
    expect![[r#"


        # The ledger: an event that is delivered twice starts its tasks once, and a task that fails can start again.
        # `deploy` creates the bucket, and a table of the same name. No other bucket on AWS may have the name.
        # storage: { bucket: my-company-ecs-trigger }

        # Where the tasks run. Each task can override it.
        defaults:
          cluster: batch
          launch_type: FARGATE
          network:
            subnets: [subnet-1, subnet-2]
            # security_groups: [sg-0a1b2c3d] # default: the default security group of the VPC
            # assign_public_ip: ENABLED # for a task in a public subnet, which cannot pull its image without it

        # What to run: each is a RunTask call, with its own field names.
        tasks:
          import-csv:
            task_definition: import-csv
            overrides:
              container_overrides:
                - name: app
                  # `{{ ... }}` is filled in from the event, always as one value: docs/templates.md
                  command: [import, "s3://{{ bucket }}/{{ key }}"]
                  environment: { BUCKET: "{{ bucket }}", KEY: "{{ key }}" }

        # Which events start them.
        routes:
          # Each object that is created starts a task. EventBridge must be on for the bucket:
          # `ecs-trigger verify --enable-eventbridge` turns it on.
          - name: upload
            on: { s3: { bucket: uploads, key: { prefix: incoming/ } } }
            run: import-csv

        # What sample events start. After a change, `ecs-trigger test --update` writes what they start now.
        tests:
          - name: "upload: an object starts a task"
            event:
              source: aws.s3
              detail-type: Object Created
              detail:
                bucket: { name: uploads }
                object: { key: incoming/example, size: 1, sequencer: "0A" }
                reason: PutObject
            expect: { route: upload, task: import-csv, command: [import, "s3://uploads/incoming/example"], environment: { BUCKET: uploads, KEY: incoming/example } }
          - name: "upload: an object elsewhere starts nothing"
            event:
              source: aws.s3
              detail-type: Object Created
              detail:
                bucket: { name: uploads }
                object: { key: elsewhere/example, size: 1, sequencer: "0A" }
                reason: PutObject
            expect: no route

        # For `ecs-trigger dev`: what runs instead of the container's image. AWS ignores it.
        local:
          task_definitions:
            import-csv:
              container_definitions:
                app:
                  entry_point: [echo] # prints the command; put your program here
    "#]].assert_eq(shown);
}

#[test]
fn what_is_not_known_is_marked() {
    assert_eq!(
        made("", None).to_change,
        ["the task definition", "the container", "the subnets", "what starts the tasks"]
    );
    let made = made("--queue jobs --task-definition t --container app --launch-type EC2", None);
    assert_eq!(made.to_change, [] as [&str; 0]);
    assert!(!made.text.contains("CHANGE") && !made.text.contains("network"), "{}", made.text);
}

#[test]
fn a_user_is_asked_for_what_no_option_says() {
    let no_account = if cfg!(feature = "aws") { "n\n" } else { "" };
    for (arguments, answers, has) in [
        ("", format!("1\n{no_account}uploads\nin/\nresize\napp\n\n\nsubnet-1\n\ny\n\n"), "subnets: [subnet-1]"),
        ("", format!("2\n{no_account}rate(1 hour)\n\nreport\napp\nbatch\nEC2\nrun it\n"), "command: [run, it]"),
        ("", format!("3\n{no_account}jobs\ny\nt\napp\n\n3\n\n"), "jobs: { queue: create }"),
        ("", format!("4\n{no_account}\nimages\nn\nt\napp\n\n2\n\n"), "run: t\n    queue: images"),
        ("--s3 b --task-definition t --container c", format!("{no_account}\next\n2\n\n"), "launch_type: EC2"),
    ] {
        let made = made(arguments, Some(&answers));
        assert!(made.text.contains(has), "{answers:?}\n{}", made.text);
        assert_eq!(made.to_change, [] as [&str; 0], "{}", made.text);
    }
}

#[test]
fn a_command_is_split_at_white_space_outside_of_quotes_and_templates() {
    for (text, expected) in [
        ("", &[] as &[&str]),
        ("  a  b\tc ", &["a", "b", "c"]),
        ("a '' \"b c\"d", &["a", "", "b cd"]),
        ("x={{ key | default('a b') }} y", &["x={{ key | default('a b') }}", "y"]),
        ("{% if a %}b {% endif %}", &["{% if a %}b", "{% endif %}"]),
        ("'{{ a }}", &["{{ a }}"]),
        ("é{{", &["é{{"]),
    ] {
        assert_eq!(words(text), expected, "{text}");
    }
}
